//! Models that may abstain: `--max-risk` of `emma score` and `emma evaluate`, from training to the promise that is kept.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::Place;
use common::model::Parts;
use rand::Rng;
use rand::seq::SliceRandom;
use serde_json::Value;

/// A short training on candidates; `{model}` and `{split}` are filled in.
const CONFIG: &str = r#"
label = "label"
model = "{model}"
[modes]
ip = ["ip_mean", "ip_std", "ip_skewness", "ip_excess_kurtosis"]
dm = ["dm_mean", "dm_std", "dm_skewness", "dm_excess_kurtosis"]
[split]
{split}
[energy]
epochs = 2
[training]
epochs = 4
batch_size = 128
learning_rate = 0.005
validation_draws = 1
[attention]
coldness = [0.1]
"#;

const SCORE: &str = "score --model model/model.safetensors --data table.csv";
const EVALUATE: &str = "evaluate --model model/model.safetensors --data table.csv --resamples 0";
const INSPECT: &str = "inspect --model model/model.safetensors";

/// A model of simulated candidates, which it was trained on.
fn trained(model: &str, split: &str) -> Place {
    let place = Place::new();
    let mut rng = emma_testkit::rng(4);
    place.write(
        "table.csv",
        emma_testkit::candidates::csv(1500, true, &mut rng),
    );
    let config = CONFIG.replace("{model}", model).replace("{split}", split);
    place.write("emma.toml", config);
    place.succeed("train emma.toml --data table.csv --quiet");
    place
}

fn stderr(place: &Place, arguments: &str) -> String {
    let output = place.run(arguments);
    assert!(output.status.success(), "{arguments}");
    String::from_utf8(output.stderr).unwrap()
}

fn json(place: &Place, arguments: &str) -> Value {
    serde_json::from_str(&place.succeed(&format!("{arguments} --json"))).unwrap()
}

/// The metadata of a place's model.
fn metadata(place: &Place) -> Value {
    Parts::of(&place.read("model/model.safetensors")).metadata
}

#[test]
fn rows_are_answered_up_to_a_threshold_of_the_score() {
    for model in ["with", "without", "emma_plus"] {
        let place = trained(model, "calibration = 0.3");
        let score = format!("{SCORE} --max-risk 0.1");
        let report = place.succeed(&score);
        let header = report.lines().next().unwrap();
        assert!(header.ends_with(",answered"), "{header}");
        // All else is what it is without.
        let plain = place.succeed(SCORE);
        let abstention = &json(&place, &format!("{EVALUATE} --max-risk 0.1"))["abstention"];
        let threshold = abstention["threshold"].as_f64().unwrap();
        let by_energy = abstention["score"] == "total_energy";
        let mut n_answered = 0;
        for (with, without) in report.lines().zip(plain.lines()).skip(1) {
            let (own, answered) = with.rsplit_once(',').unwrap();
            assert_eq!(own, without);
            let fields: Vec<&str> = own.split(',').collect();
            let number = |place: usize| fields[place].parse::<f32>().unwrap();
            let doubt = match fields[2] {
                _ if by_energy => number(3),
                "1" => 1. - number(1),
                _ => number(1),
            };
            assert_eq!(answered == "1", f64::from(doubt) <= threshold, "{with}");
            n_answered += u64::from(answered == "1");
        }
        assert_eq!(abstention["n_answered"].as_u64(), Some(n_answered));
        assert!(n_answered > 500, "{n_answered}");
        // It is told what to expect, unless it is to be quiet.
        let told = stderr(&place, &score);
        assert!(told.starts_with("note: answers up to "), "{told}");
        assert!(
            told.ends_with(": at most 10.00 % of them wrong, with confidence 0.9\n"),
            "{told}"
        );
        assert_eq!(stderr(&place, &format!("{score} --quiet")), "");
        // Stricter limits answer fewer.
        let fewer = format!("{EVALUATE} --max-risk 0.1 --confidence 0.99");
        let fewer = json(&place, &fewer)["abstention"]["n_answered"].as_u64();
        assert!(fewer.unwrap() <= n_answered);
        let text = place.succeed(&format!("{EVALUATE} --max-risk 0.1"));
        assert!(
            text.contains("stated: at most 10.00 %, with confidence 0.9"),
            "{text}"
        );
        assert!(place.succeed(INSPECT).contains("\nAbstention: by "));
    }
}

#[test]
fn rows_kept_apart_are_stored_and_counted() {
    let place = trained("with", "calibration = 0.3");
    let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
    assert_eq!(metrics["rows"]["calibration"], 450);
    let rest = ["train", "validation", "test"].map(|part| metrics["rows"][part].as_u64().unwrap());
    assert_eq!(rest.iter().sum::<u64>(), 1050);
    let note = &metadata(&place)["abstention"];
    assert_eq!(note["version"], 1);
    assert_eq!(note["rows"], "calibration");
    let area = note["area"].as_object().unwrap();
    assert_eq!(area.len(), 2);
    let own = note["score"].as_str().unwrap();
    assert!(
        area.values()
            .all(|area| area.as_f64() >= note["area"][own].as_f64())
    );
    let header = Parts::of(&place.read("model/model.safetensors")).header;
    for name in [
        "clean.score",
        "clean.error",
        "corrupted.score",
        "corrupted.error",
    ] {
        assert_eq!(header[format!("abstention.{name}")]["shape"][0], 450);
    }
    assert_eq!(json(&place, INSPECT)["abstention"]["n_rows"], 450);

    // Without them validation rows take their place, which is said.
    let place = trained("with", "");
    assert_eq!(metadata(&place)["abstention"]["rows"], "validation");
    let told = stderr(&place, &format!("{SCORE} --max-risk 0.2"));
    assert!(told.contains("rows that the model was chosen on"), "{told}");
    let metrics = place.read_text("model/metrics.json");
    assert!(!metrics.contains("calibration"));
    assert!(
        !place
            .read_text("model/settings.json")
            .contains("calibration")
    );
}

#[test]
fn a_split_column_may_keep_rows_apart() {
    let place = trained("without", "");
    let table = place.read_text("table.csv");
    let parts = ["train", "validation", "test", "calibration"];
    let mut rng = emma_testkit::rng(9);
    let mut text = String::new();
    for (row, line) in table.lines().enumerate() {
        let part = if row == 0 {
            "part"
        } else {
            parts[rng.random_range(0..parts.len())]
        };
        let _ = writeln!(text, "{line},{part}");
    }
    place.write("parts.csv", &text);
    let config = CONFIG
        .replace("{model}", "without")
        .replace("{split}", "column = \"part\"");
    place.write("parts.toml", config);
    place.succeed("train parts.toml --data parts.csv --out parts --quiet");
    let metrics: Value = serde_json::from_str(&place.read_text("parts/metrics.json")).unwrap();
    let n_apart = text.matches(",calibration\n").count();
    assert_eq!(metrics["rows"]["calibration"], n_apart);
    // What is learned from the other rows does not depend on these.
    let mut flipped = String::new();
    for line in text.lines() {
        let _ = match line.strip_suffix(",0,calibration") {
            Some(features) => writeln!(flipped, "{features},1,calibration"),
            None => writeln!(flipped, "{line}"),
        };
    }
    place.write("flipped.csv", flipped);
    place.succeed("train parts.toml --data flipped.csv --out flipped --quiet");
    let learned = |folder: &str| place.read_text(&format!("{folder}/history.csv"));
    assert_eq!(learned("parts"), learned("flipped"));
    let refused = place.fail(
        2,
        "score --model flipped/model.safetensors --data table.csv --max-risk 0.05",
    );
    assert!(
        refused.contains("--max-risk 0.05: expected at least 0."),
        "{refused}"
    );
}

#[test]
fn what_cannot_be_vouched_for_is_refused() {
    let place = trained("without", "calibration = 0.1");
    let mut report = place.fail(2, &format!("{SCORE} --max-risk 0.001 --out scores.csv"));
    assert!(!place.exists("scores.csv"));
    report.push_str(&place.fail(2, &format!("{EVALUATE} --max-risk 0.001 --confidence 0.5")));
    report.push_str(&place.fail(2, &format!("{SCORE} --confidence 0.5")));
    for value in ["0", "1", "-0.1", "nan"] {
        report.push_str(&place.fail(2, &format!("{SCORE} --max-risk {value}")));
    }
    // What is said to be the least is one.
    let least = report.split("at least ").nth(1).unwrap();
    let least = least.split(',').next().unwrap();
    place.succeed(&format!("{SCORE} --max-risk {least}"));
    // The numbers are of one training, which other processors do to other bits.
    let known = without_shares(&report);
    insta::assert_snapshot!("refused", known);

    let whole = place.read("model/model.safetensors");
    let mut report = String::new();
    let mut refuse = |change: &dyn Fn(&mut Value)| {
        let mut parts = Parts::of(&whole);
        change(&mut parts.metadata);
        place.write("model/model.safetensors", parts.file());
        report.push_str(&place.fail(2, &format!("{SCORE} --max-risk 0.2")));
        // Who does not ask for it does not need it.
        place.succeed(SCORE);
    };
    refuse(&|metadata| metadata["abstention"]["version"] = 2.into());
    refuse(&|metadata| metadata["abstention"]["score"] = "mood".into());
    refuse(&|metadata| metadata["abstention"]["score"] = "total_energy".into());
    refuse(&|metadata| metadata["abstention"] = Value::Null);
    refuse(&|metadata| {
        metadata["format_version"] = 2.into();
        metadata["task"] = serde_json::json!({"kind": "regression", "mean": 0., "std": 1.});
    });
    insta::assert_snapshot!("damaged", report);
}

#[test]
fn scores_that_are_no_numbers_are_refused() {
    let place = trained("without", "calibration = 0.1");
    let mut parts = Parts::of(&place.read("model/model.safetensors"));
    let start = &parts.header["abstention.clean.score"]["data_offsets"][0];
    let start = usize::try_from(start.as_u64().unwrap()).unwrap();
    parts.tensors[start..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    place.write("model/model.safetensors", parts.file());
    let error = place.fail(2, &format!("{SCORE} --max-risk 0.2"));
    let expected = "expected finite numbers in tensor abstention.clean.score, got NaN";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn calibration_that_leaves_no_rows_is_named() {
    let place = Place::new();
    let mut rng = emma_testkit::rng(4);
    place.write(
        "table.csv",
        emma_testkit::candidates::csv(300, true, &mut rng),
    );
    let config = CONFIG
        .replace("{model}", "without")
        .replace("{split}", "calibration = 0.98");
    place.write("emma.toml", config);
    let error = place.fail(2, "train emma.toml --data table.csv --quiet");
    let expected = "of them in what split.calibration = 0.98 leaves of the table";
    assert!(error.contains(expected), "{error}");
    assert!(!place.exists("model"));
}

/// The digits of shares that depend on a training, left out.
fn without_shares(report: &str) -> String {
    let mut text = String::new();
    for (index, part) in report.split("at least ").enumerate() {
        match part.split_once(", the least") {
            Some((_, rest)) if index > 0 => {
                text.push_str("at least LEAST, the least");
                text.push_str(rest);
            }
            _ => text.push_str(part),
        }
    }
    text
}

/// A model from before there was abstention.
#[test]
fn an_older_model_is_told_to_be_trained_again() {
    let place = Place::new();
    let model = common::model::Model::random(&[2, 1, 1], true, 11);
    place.write("model.safetensors", model.file());
    place.write("rows.csv", common::model::headerless(&[vec![0.; 4]]));
    let score = "score --model model.safetensors --data rows.csv";
    place.succeed(score);
    insta::assert_snapshot!("older", place.fail(2, &format!("{score} --max-risk 0.1")));
}

/// Rows of HTRU2, for who has it, else of the simulated survey; without the header.
fn candidates(place: &Place) -> (String, Vec<String>) {
    let path = std::env::var_os("EMMA_DATA_DIR")
        .map(|folder| Path::new(&folder).join("htru2/HTRU_2.csv"))
        .filter(|path| path.is_file());
    place.succeed("data simulate --rows 17898 --seed 5 --out survey.csv");
    let survey = place.read_text("survey.csv");
    let header = survey.lines().next().unwrap().to_owned();
    let rows = match path {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => survey.lines().skip(1).collect::<Vec<_>>().join("\n"),
    };
    let is_row = |line: &&str| !line.trim().is_empty() && !line.contains("mean");
    (
        header,
        rows.lines().filter(is_row).map(str::to_owned).collect(),
    )
}

/// The promise: of ten draws of all rows (training, calibration and rows to be answered), at least nine have a risk
/// within the limit, among clean rows and among those of which half are corrupted.
#[test]
fn the_risk_of_unseen_rows_is_as_stated_in_as_many_draws_as_stated() {
    let place = Place::new();
    let (header, rows) = candidates(&place);
    let config = CONFIG.replace("{model}", "without").replace(
        "{split}",
        "train = 0.7\nvalidation = 0.15\ntest = 0.15\ncalibration = 0.4",
    );
    place.write("emma.toml", config);
    let (mut kept, mut coverage) = ([0; 2], 0.);
    for seed in 0..10 {
        let mut rows = rows.clone();
        rows.shuffle(&mut emma_testkit::rng(seed));
        let (known, unseen) = rows.split_at(6000);
        for (name, rows) in [("known.csv", known), ("unseen.csv", unseen)] {
            place.write(name, format!("{header}\n{}\n", rows.join("\n")));
        }
        place.succeed("train emma.toml --data known.csv --quiet --fresh");
        for (kept, options) in kept.iter_mut().zip([
            "",
            "--corrupt ip:noise:0.5 --corrupt dm:noise:0.5 --rows mixture",
        ]) {
            let found = json(
                &place,
                &format!(
                    "evaluate --model model/model.safetensors --data unseen.csv --resamples 0 --seed {seed} \
                     --max-risk 0.02 {options}"
                ),
            );
            let found = &found["abstention"];
            *kept += u32::from(found["risk"].as_f64().unwrap() <= 0.02);
            coverage += found["coverage"].as_f64().unwrap() / 20.;
            eprintln!("{seed} {options:?}: {found}");
        }
    }
    assert!(kept.iter().all(|&kept| kept >= 9), "{kept:?}");
    // Not by answering next to nothing, and not all.
    assert!((0.5..0.999).contains(&coverage), "{coverage}");
}
