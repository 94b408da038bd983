use emma_data::{
    Corruption, CorruptionRecord, ModeColumns, Samples, SplitFractions, Standardization, corrupt,
    generator, stratified_split,
};

/// Ten stones, described by a scale and by a camera; the last column says whether they are ore.
const TABLE: &str = "\
stone,weight,volume,redness,brightness,ore
a,2.9,1.1,0.21,0.60,0
b,3.1,1.2,0.25,0.55,0
c,2.7,1.0,0.19,0.63,0
d,3.3,1.2,0.24,0.58,0
e,2.8,1.1,0.22,0.61,0
f,5.1,1.0,0.61,0.40,1
g,5.6,1.1,0.66,0.37,1
h,4.9,1.0,0.58,0.43,1
i,5.3,1.1,0.63,0.41,1
j,5.0,1.0,0.64,0.38,1
";

fn main() -> emma_data::Result<()> {
    let modes = [
        ModeColumns::new("scale", ["weight", "volume"]),
        ModeColumns::new("camera", ["redness", "brightness"]),
    ];
    // Columns are found by name; the names of the stones are not parsed.
    let samples = Samples::read(TABLE.as_bytes(), "stones.csv", &modes, "ore")?;
    assert_eq!((samples.n_rows(), samples.n_modes()), (10, 2));

    let fractions = SplitFractions::new(0.6, 0.2, 0.2)?;
    let split = stratified_split(samples.labels(), &fractions, &mut generator(7, "split"))?;
    assert_eq!(split.train.len(), 6);

    let train = samples.select(&split.train)?;
    let test = samples.select(&split.test)?;
    let mut test_modes = Vec::new();
    for (mode, test_mode) in train.modes().iter().zip(test.modes()) {
        let scale = Standardization::fit(&mode.name, &mode.columns, mode.values.view())?;
        test_modes.push(scale.apply(test_mode.values.view())?);
    }

    // The camera fails on every test row: noise of half a standard deviation.
    let record = CorruptionRecord::all_rows(test.n_rows(), test.n_modes(), 1)?;
    let noise: Corruption = "noise:0.5".parse()?;
    let corrupted = corrupt(&test_modes, &record, &noise, &mut generator(7, "noise"))?;
    assert_eq!(corrupted[0], test_modes[0]);
    assert_ne!(corrupted[1], test_modes[1]);

    println!(
        "{} before {noise}:\n{:.2}",
        test.modes()[1].name,
        test_modes[1]
    );
    println!("and after:\n{:.2}", corrupted[1]);
    Ok(())
}
