//! What `emma score` can be told beside model and data.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::fmt::Write as _;
use std::io::Read as _;

use common::Place;
use common::model::{Model, Parts, headerless, random_rows};

/// A model of modes of 2, 1 and 1 features, and rows for it.
fn place_with(rows: &[Vec<f32>], calibrated: bool) -> (Place, Model) {
    let mut model = Model::random(&[2, 1, 1], true, 11);
    if calibrated {
        let clean = |mode: usize| (0..200).map(|row| row as f32 / 40. + mode as f32).collect();
        model.calibrate(&(0..3).map(clean).collect::<Vec<_>>());
    }
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(rows));
    (place, model)
}

const SCORE: &str = "score --model model.safetensors --data rows.csv";

fn stderr(place: &Place, arguments: &str) -> String {
    let output = place.run(arguments);
    assert!(output.status.success(), "{arguments}");
    String::from_utf8(output.stderr).unwrap()
}

fn fields(line: &str) -> Vec<&str> {
    line.split(',').collect()
}

#[test]
fn packed_scores_unpack_to_the_plain_ones() {
    let (place, _) = place_with(&random_rows(10_000, 4, 1), false);
    let plain = place.succeed(&format!("{SCORE} --explain"));
    place.succeed(&format!("{SCORE} --explain --out s.csv.gz"));
    place.succeed(&format!("{SCORE} --explain --out s.csv.zst --threads 3"));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&place.read("s.csv.gz")[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, plain);
    let text = zstd::decode_all(&place.read("s.csv.zst")[..]).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), plain);
    let packed = place.read("s.csv.gz");
    place.succeed(&format!("{SCORE} --explain --out s.csv.gz --threads 1"));
    assert_eq!(place.read("s.csv.gz"), packed);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_scores_hold_the_same_values_as_text() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    // One row lacks a mode.
    let mut rows = random_rows(5_000, 4, 2);
    rows[4_500][2] = f32::NAN;
    let (place, _) = place_with(&rows, true);
    let options = "--explain --suspect-rate 0.1 --why --nan missing";
    let text = place.succeed(&format!("{SCORE} {options}"));
    place.succeed(&format!("{SCORE} {options} --out s.parquet --threads 1"));
    let file = place.read("s.parquet");
    place.succeed(&format!("{SCORE} {options} --out s.parquet --threads 4"));
    assert_eq!(place.read("s.parquet"), file);
    let reader = SerializedFileReader::new(bytes_of(file)).unwrap();
    let mut schema = Vec::new();
    parquet::schema::printer::print_schema(&mut schema, reader.metadata().file_metadata().schema());
    insta::assert_snapshot!("parquet_schema", String::from_utf8(schema).unwrap());
    let mut lines = text.lines().skip(1);
    for record in reader.get_row_iter(None).unwrap() {
        let found: Vec<String> = record
            .unwrap()
            .get_column_iter()
            .map(|(_, field)| match field {
                Field::Long(value) => value.to_string(),
                Field::Int(value) => value.to_string(),
                Field::Float(value) => value.to_string(),
                Field::Str(value) if value.contains(',') => format!("\"{value}\""),
                Field::Str(value) => value.clone(),
                Field::Null => String::new(),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(lines.next(), Some(found.join(",").as_str()));
    }
    assert_eq!(lines.next(), None);
}

#[cfg(feature = "parquet")]
fn bytes_of(file: Vec<u8>) -> bytes::Bytes {
    file.into()
}

#[test]
fn the_top_rows_are_the_head_of_all_rows_sorted() {
    // Each row three times, so that there are ties.
    let rows = random_rows(3_000, 4, 3);
    let rows = [rows.clone(), rows.clone(), rows].concat();
    let (place, _) = place_with(&rows, true);
    let all = place.succeed(&format!("{SCORE} --explain --why"));
    let mut lines: Vec<&str> = all.lines().skip(1).collect();
    let probability = |line: &str| fields(line)[1].parse::<f32>().unwrap();
    lines.sort_by(|a, b| probability(b).total_cmp(&probability(a)));
    for n in [1, 7, 4_000, 9_000, 20_000] {
        let mut expected = format!("rank,{}\n", all.lines().next().unwrap());
        for (rank, line) in lines.iter().take(n).enumerate() {
            let _ = writeln!(expected, "{},{line}", rank + 1);
        }
        let top = place.succeed(&format!("{SCORE} --explain --why --top {n} --threads 2"));
        assert!(top == expected, "{n}");
    }
}

#[test]
fn sentences_name_what_is_suspect() {
    let rows = [
        [0., 0., 0., 0.],
        [1e4, 0., 0., 0.],
        [0.5, -0.5, 30., -40.],
        [f32::NAN, 0., 1., 1.],
    ]
    .map(Vec::from);
    let (place, _) = place_with(&rows, true);
    let report = place.succeed(&format!("{SCORE} --why --nan missing"));
    insta::assert_snapshot!("why", report);
    assert_eq!(stderr(&place, &format!("{SCORE} --why --nan missing")), "");
    let stricter = place.succeed(&format!("{SCORE} --why --nan missing --suspect 1"));
    insta::assert_snapshot!("why_everything", stricter);
    let told = stderr(
        &place,
        &format!("{SCORE} --why --nan missing --suspect 0.004"),
    );
    assert_eq!(
        told,
        "note: model.safetensors has potentials of 200 clean rows, too few to call a mode suspect at 0.004\n"
    );
}

#[test]
fn suspect_modes_have_columns_of_their_own() {
    let rows = [
        [0., 0., 0., 0.],
        [1e4, 0., 0., 0.],
        [0.5, -0.5, 30., -40.],
        [f32::NAN, 0., 1., 1.],
    ]
    .map(Vec::from);
    let (place, _) = place_with(&rows, true);
    let score = format!("{SCORE} --nan missing --suspect-rate 0.05");
    let report = place.succeed(&score);
    insta::assert_snapshot!("suspect_rate", report);
    assert_eq!(stderr(&place, &score), "");
    // The other columns are what they are without.
    let plain = place.succeed(&format!("{SCORE} --nan missing"));
    for (with, without) in report.lines().zip(plain.lines()) {
        assert_eq!(with.get(..without.len()), Some(without));
    }
    let header = |options: &str| {
        let report = place.succeed(&format!("{score} {options}"));
        report.lines().next().unwrap().to_owned()
    };
    let own = "p_value_m0,suspect_m0,p_value_m1,suspect_m1,p_value_m2,suspect_m2";
    assert!(header("--explain --why").ends_with(&format!("attention_m2,{own},why")));
    assert!(header("--top 2").ends_with(own));
}

/// Among the clean rows themselves a mode's share of suspects is the rate, by counting.
#[test]
fn of_the_clean_rows_a_share_of_the_rate_is_suspect() {
    let rows = random_rows(200, 4, 5);
    let (place, mut model) = place_with(&rows, false);
    let explained = place.succeed(&format!("{SCORE} --explain"));
    let place_of = |name: &str, report: &str| {
        let header = report.lines().next().unwrap();
        header.split(',').position(|own| own == name).unwrap()
    };
    let column = |name: &str, report: &str| -> Vec<f32> {
        let place = place_of(name, report);
        let rows = report.lines().skip(1);
        rows.map(|row| fields(row)[place].parse().unwrap())
            .collect()
    };
    let sorted = |mode: usize| {
        let mut potentials = column(&format!("potential_m{mode}"), &explained);
        potentials.sort_by(f32::total_cmp);
        potentials
    };
    model.calibrate(&(0..3).map(sorted).collect::<Vec<_>>());
    place.write("model.safetensors", model.file());
    let report = place.succeed(&format!("{SCORE} --suspect-rate 0.1"));
    for mode in 0..3 {
        // Each row counts itself: the r-th highest of 200 has (1 + r) / 201, at most .1 for r up to 19.
        let suspects = column(&format!("suspect_m{mode}"), &report);
        assert_eq!(suspects.iter().filter(|&&suspect| suspect > 0.).count(), 19);
        let p_values = column(&format!("p_value_m{mode}"), &report);
        for (p, suspect) in p_values.iter().zip(&suspects) {
            assert_eq!(*p <= 0.1, *suspect > 0.);
        }
    }
}

#[test]
fn a_model_that_cannot_tell_suspect_modes_is_refused() {
    let (place, _) = place_with(&[vec![0.; 4]], false);
    let rate = format!("{SCORE} --suspect-rate");
    let mut report = place.fail(2, &format!("{rate} 0.05"));
    place.write(
        "model.safetensors",
        Model::random(&[2, 1, 1], false, 11).file(),
    );
    report.push_str(&place.fail(2, &format!("{rate} 0.05")));
    let (place, _) = place_with(&[vec![0.; 4]], true);
    report.push_str(&place.fail(2, &format!("{rate} 0.004")));
    // 1 / 201 is less than that.
    place.succeed(&format!("{rate} 0.005"));
    insta::assert_snapshot!("suspect_rate_refused", report);
}

#[test]
fn without_potentials_of_clean_rows_sentences_say_what_can_be_said() {
    let (place, _) = place_with(&[vec![0., 0., 0., 0.], vec![1., 2., 3., 40.]], false);
    let output = place.run(&format!("{SCORE} --why"));
    insta::assert_snapshot!(
        "why_uncalibrated",
        String::from_utf8(output.stdout).unwrap()
    );
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "note: model.safetensors has no potentials of clean rows, so --why calls no mode suspect\n"
    );
    let baseline = Model::random(&[2, 1, 1], false, 11);
    place.write("model.safetensors", baseline.file());
    assert_eq!(
        place.succeed(&format!("{SCORE} --why")),
        place.succeed(SCORE)
    );
    let told = stderr(&place, &format!("{SCORE} --why"));
    assert_eq!(
        told,
        "note: model.safetensors has no EMMA, so --why adds nothing\n"
    );
}

#[test]
fn potentials_of_clean_rows_that_are_damaged_are_refused() {
    let (place, mut model) = place_with(&[vec![0.; 4]], true);
    let whole = model.file();
    let mut report = String::new();
    let mut refuse = |file: Vec<u8>| {
        place.write("model.safetensors", file);
        report.push_str(&place.fail(2, &format!("{SCORE} --why")));
        // Who does not ask for sentences does not need them.
        place.succeed(SCORE);
    };
    for rows in [0.5, 0., 7.] {
        model
            .tensors
            .insert("calibration.rows".into(), (vec![1], vec![rows]));
        refuse(model.file());
    }
    model
        .tensors
        .insert("calibration.rows".into(), (vec![1], vec![200.]));
    model.tensors.get_mut("calibration.m1.potential").unwrap().1[3] = 99.;
    refuse(model.file());
    model.tensors.remove("calibration.m1.potential");
    refuse(model.file());
    model.tensors.remove("calibration.rows");
    refuse(model.file());
    insta::assert_snapshot!("damaged_calibration", report);
    // Other readers see a model like any other.
    assert!(Parts::of(&whole).header["calibration.m0.potential"].is_object());
}

const BAD: &str = "m0_0,m0_1,m1_0,m2_0\n\
    1,2,3,4\n\
    1,two,3,4\n\
    1,2,3\n\
    \"1\",\"2\n\",3,1e39\n\
    4,3,2,1\n\
    ,,,\n\
    1,\"a \"\"b\"\", c\",nan,4\n\
    5,6,7,8";

#[test]
fn rows_that_cannot_be_scored_are_put_aside_with_the_reason() {
    let (place, _) = place_with(
        &[
            vec![1., 2., 3., 4.],
            vec![4., 3., 2., 1.],
            vec![5., 6., 7., 8.],
        ],
        false,
    );
    let good = place.succeed(SCORE);
    for table in [BAD.to_owned(), BAD.replace('\n', "\r\n")] {
        place.write("bad.csv", &table);
        let score = "score --model model.safetensors --data bad.csv --rejects rejects.csv";
        let output = place.run(score);
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "scored 3 rows, rejected 5\n"
        );
        let scores = String::from_utf8(output.stdout).unwrap();
        // Rows keep their numbers.
        let numbers: Vec<&str> = scores.lines().skip(1).map(|line| fields(line)[0]).collect();
        assert_eq!(numbers, ["0", "4", "7"]);
        let rest = |text: &str| -> Vec<String> {
            let cut = |line: &str| line.split_once(',').unwrap().1.to_owned();
            text.lines().map(cut).collect()
        };
        assert_eq!(rest(&scores), rest(&good));
        let rejects = place.read_text("rejects.csv");
        if !table.contains('\r') {
            insta::assert_snapshot!("rejects", rejects);
        }
        assert_eq!(stderr(&place, &format!("{score} --quiet")), "");
    }
    // By default the first such row ends it all, after those before it.
    let output = place.run("score --model model.safetensors --data bad.csv");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
}

/// Energies that the model makes impossible: rows far out in mode 0 have a negative self-energy.
#[test]
fn rows_of_impossible_energy_are_put_aside_too() {
    let mut model = Model::random(&[2, 1, 1], true, 11);
    model.tensors.get_mut("attention.self_weight").unwrap().1[0] = -0.01;
    model.tensors.get_mut("attention.self_bias").unwrap().1[0] = 1.;
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", "0,0,0,0\n1,1,1,1\n900,900,1,1\n2,2,2,2\n");
    let told = stderr(
        &place,
        &format!("{SCORE} --rejects rejects.csv.gz --out s.csv"),
    );
    assert_eq!(told, "scored 3 rows, rejected 1\n");
    let mut rejects = String::new();
    flate2::read::MultiGzDecoder::new(&place.read("rejects.csv.gz")[..])
        .read_to_string(&mut rejects)
        .unwrap();
    let expected =
        "row,line,reason,record\n2,3,\"expected a positive, finite self-energy of mode m0, got -";
    assert!(rejects.starts_with(expected), "{rejects}");
    assert!(rejects.ends_with(",\"900,900,1,1\"\n"), "{rejects}");
    let numbers: Vec<String> = place
        .read_text("s.csv")
        .lines()
        .skip(1)
        .map(|line| fields(line)[0].to_owned())
        .collect();
    assert_eq!(numbers, ["0", "1", "3"]);
    // Without --rejects the rows before it come out, and the error names its line.
    let output = place.run(SCORE);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.starts_with("error: rows.csv: line 3: expected a positive, finite self-energy"),
        "{told}"
    );
}

#[test]
fn no_row_vanishes_whatever_is_wrong_with_it() {
    let mut rng = emma_testkit::rng(5);
    let rows = random_rows(9_500, 4, 5);
    let mut table = String::from("m0_0,m0_1,m1_0,m2_0\n");
    for row in &rows {
        let kind = rand::Rng::random_range(&mut rng, 0..12);
        let _ = match kind {
            0 => writeln!(table, "{},,{},{}", row[0], row[2], row[3]),
            1 => writeln!(table, "{},{}", row[0], row[1]),
            2 => writeln!(table, ",,,"),
            3 => writeln!(table, "x,{},\"y\ny\",1", row[1]),
            _ => writeln!(table, "{},{},{},{}", row[0], row[1], row[2], row[3]),
        };
    }
    let (place, _) = place_with(&[], false);
    place.write("rows.csv", &table);
    for options in ["", "--nan missing", "--nan missing --threads 1 --explain"] {
        let told = stderr(
            &place,
            &format!("{SCORE} {options} --rejects r.csv --out s.csv"),
        );
        let rejected: std::collections::BTreeSet<u64> = csv_column(&place.read_text("r.csv"));
        let scored: std::collections::BTreeSet<u64> = csv_column(&place.read_text("s.csv"));
        assert_eq!(
            told,
            format!(
                "scored {} rows, rejected {}\n",
                scored.len(),
                rejected.len()
            )
        );
        assert!(scored.is_disjoint(&rejected));
        assert!(scored.union(&rejected).copied().eq(0..9_500), "{options}");
        assert!(!rejected.is_empty() && scored.len() > 5_000);
    }
}

/// The first column of records that may have line ends inside.
fn csv_column(text: &str) -> std::collections::BTreeSet<u64> {
    let mut numbers = std::collections::BTreeSet::new();
    let mut quoted = false;
    for line in text.split_inclusive('\n').skip(1) {
        if !quoted {
            let number = line.split(',').next().unwrap().parse().unwrap();
            assert!(numbers.insert(number), "{number} is there twice");
        }
        quoted ^= line.matches('"').count() % 2 == 1;
    }
    numbers
}

#[test]
fn a_damaged_stream_stops_and_writes_neither_file() {
    let (place, _) = place_with(&[], false);
    let gzip = common::packed::gzip(headerless(&random_rows(20_000, 4, 6)).as_bytes());
    place.write("rows.csv", &gzip[..gzip.len() / 2]);
    let error = place.fail(2, &format!("{SCORE} --rejects r.csv --out s.csv"));
    assert!(error.contains("found a damaged one near line "), "{error}");
    assert!(!place.exists("r.csv") && !place.exists("s.csv"));
    place.write("rows.csv", "1,2,3,4\n1,\"2,3,4\n1,2,3,4\n");
    let error = place.fail(2, &format!("{SCORE} --rejects r.csv --out s.csv"));
    assert!(
        error.contains("expected every quote of this row to be closed"),
        "{error}"
    );
    assert!(!place.exists("r.csv") && !place.exists("s.csv"));
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_rows_are_put_aside_by_their_numbers() {
    let (place, _) = place_with(&[], false);
    let rows = [
        [1., 2., 3., 4.],
        [1., f32::NAN, f32::INFINITY, 4.],
        [4., 3., 2., 1.],
        [1., 2., 3., f32::NEG_INFINITY],
    ];
    let names = ["m0_0", "m0_1", "m1_0", "m2_0"];
    place.write("rows.csv", common::packed::float_columns(&names, &rows));
    let told = stderr(&place, &format!("{SCORE} --rejects r.csv --out s.csv"));
    assert_eq!(told, "scored 2 rows, rejected 2\n");
    insta::assert_snapshot!("parquet_rejects", place.read_text("r.csv"));
}

#[test]
fn rows_that_lack_a_mode_are_scored_by_the_others() {
    let rows = random_rows(6_000, 4, 7);
    let (place, model) = place_with(&rows, false);
    let whole = place.succeed(&format!("{SCORE} --explain"));
    // The same bits where nothing is missing.
    assert_eq!(
        place.succeed(&format!("{SCORE} --explain --nan missing")),
        whole
    );
    let mut gaps = rows.clone();
    for (number, row) in gaps.iter_mut().enumerate() {
        match number % 10 {
            3 => row[0] = f32::NAN,
            5 => row[2] = f32::NAN,
            7 => (row[1], row[3]) = (f32::NAN, f32::NAN),
            _ => {}
        }
    }
    place.write("rows.csv", headerless(&gaps));
    let found = place.succeed(&format!("{SCORE} --explain --nan missing"));
    assert_eq!(
        place.succeed(&format!("{SCORE} --explain --nan missing --threads 1")),
        found
    );
    for (number, (found, whole)) in found.lines().skip(1).zip(whole.lines().skip(1)).enumerate() {
        let missing: &[usize] = match number % 10 {
            3 => &[0],
            5 => &[1],
            7 => &[0, 2],
            _ => &[],
        };
        if missing.is_empty() {
            assert_eq!(found, whole);
            continue;
        }
        let fields = fields(found);
        let expected = model.expected_without(&rows[number], missing);
        for (position, expected) in expected.into_iter().enumerate() {
            let field = fields[position + 1];
            let Some(expected) = expected else {
                assert_eq!(field, "", "row {number}, column {}", position + 1);
                continue;
            };
            let got: f64 = field.parse().unwrap();
            let allowed = 2e-7 * expected.abs() + 1e-9;
            assert!(
                (got - expected).abs() <= allowed,
                "row {number}, column {}: {got} {expected}",
                position + 1
            );
        }
        for &mode in missing {
            assert_eq!(fields[4 + 4 * mode + 3], "0");
        }
    }
    // A row alone has the bits that it has among others.
    for number in [3, 5, 7, 5_997] {
        place.write("one.csv", headerless(&gaps[number..=number]));
        let one =
            place.succeed("score --model model.safetensors --data one.csv --explain --nan missing");
        let one = one.lines().nth(1).unwrap().split_once(',').unwrap().1;
        let among = found
            .lines()
            .nth(number + 1)
            .unwrap()
            .split_once(',')
            .unwrap()
            .1;
        assert_eq!(one, among);
    }
    let error = place.fail(2, SCORE);
    assert!(
        error.contains("rows.csv: line 4: expected a finite 32-bit number"),
        "{error}"
    );
}

#[test]
fn a_model_without_emma_sees_a_missing_mode_at_its_mean() {
    let model = Model::random(&[2, 1], false, 8);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", "1,,3\nnan,7,3\n1,2,3\n");
    let mean = |mode: usize| {
        model.tensors[&format!("standardize.m{mode}.mean")]
            .1
            .clone()
    };
    let (first, second) = (mean(0)[0], mean(0)[1]);
    let found = place.succeed(&format!("{SCORE} --nan missing"));
    place.write(
        "rows.csv",
        format!("{first},{second},3\n{first},{second},3\n1,2,3\n"),
    );
    assert_eq!(place.succeed(SCORE), found);
}

#[test]
fn a_row_without_any_mode_cannot_be_scored() {
    let (place, _) = place_with(&[], false);
    place.write("rows.csv", "m0_0,m0_1,m1_0,m2_0\n1,2,3,4\n1,,NA,null\n");
    let error = place.fail(2, &format!("{SCORE} --nan missing"));
    assert_eq!(
        error,
        "error: rows.csv: line 3: expected at least one mode, all are missing\n"
    );
    let told = stderr(
        &place,
        &format!("{SCORE} --nan missing --rejects r.csv --out s.csv"),
    );
    assert_eq!(told, "scored 1 rows, rejected 1\n");
    assert_eq!(
        place.read_text("r.csv"),
        "row,line,reason,record\n1,3,\"expected at least one mode, all are missing\",\"1,,NA,null\"\n"
    );
}
