use candle_core::{DType, Device, Tensor};
use emma_energy::{
    Calibration, EnergyEstimator, FittedEstimator, GaussianMixtureFit, PotentialEnergyFit,
    SurprisalFit, energies, load_estimator, save_estimator,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Clean rows near a line: some to fit to, some to learn from how energies of clean rows spread.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut clean = |n: usize| -> candle_core::Result<Tensor> {
        let values: Vec<f32> = (0..n)
            .flat_map(|_| {
                let x = rng.random_range(-1f32..1.);
                [x, x + rng.random_range(-0.1f32..0.1)]
            })
            .collect();
        Tensor::from_vec(values, (n, 2), &Device::Cpu)
    };
    let (rows, calibration_rows) = (clean(1000)?, clean(500)?);

    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let estimators: [Box<dyn FittedEstimator>; 2] = [
        Box::new(PotentialEnergyFit::default().fit(&rows, &mut rng)?), // the thesis's
        Box::new(GaussianMixtureFit::default().fit(&rows, &mut rng)?), // knows more, needs no training
    ];
    let probes = Tensor::new(&[[0.5f32, 0.5], [1., -1.]], &Device::Cpu)?;
    for estimator in &estimators {
        let energy = estimator.energy(&probes)?.to_vec1::<f32>()?;
        assert!(
            energy[0] < energy[1],
            "the row off the line is the more outlying"
        );
    }

    // How surprising is that? One clean row in a hundred has more than ln 100 = 4.6 nats.
    let mixture = &*estimators[1];
    let surprisal = SurprisalFit::default().fit(&energies(mixture, &calibration_rows)?)?;
    let found: Vec<f64> = energies(mixture, &probes)?
        .into_iter()
        .map(|energy| surprisal.value(energy))
        .collect();
    assert!(found[0] < 100f64.ln() && found[1] > 100f64.ln());
    println!(
        "surprisal: {:.1} nats on the line, {:.1} off it",
        found[0], found[1]
    );

    let path = std::env::temp_dir().join(format!("mixture-{}.safetensors", std::process::id()));
    save_estimator(mixture, &path)?;
    let loaded = load_estimator(&path, DType::F32, &Device::Cpu)?;
    std::fs::remove_file(&path)?;
    let again = loaded.energy(&probes)?.to_vec1::<f32>()?;
    assert_eq!(again, mixture.energy(&probes)?.to_vec1::<f32>()?);
    Ok(())
}
