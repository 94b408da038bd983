//! `emma experiment3` on a small table that has HTRU2's columns.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;
use emma_models::{ClassificationMetrics, Metric};
use serde_json::Value;

const FILES: [&str; 7] = [
    "base.safetensors",
    "without.safetensors",
    "with.safetensors",
    "alternative.safetensors",
    "ip_only.safetensors",
    "dm_only.safetensors",
    "split.json",
];

fn place_with_table() -> Place {
    let place = Place::new();
    let table = emma_testkit::candidates::csv(600, true, &mut emma_testkit::rng(1));
    place.write("candidates.csv", table);
    place
}

const SMALL: &str = "experiment3 --data candidates.csv --quick --epochs 3 --quiet";

fn results(place: &Place, folder: &str) -> Value {
    serde_json::from_str(&place.read_text(&format!("{folder}/results.json"))).unwrap()
}

/// All that must not depend on when or where the program ran.
fn without_timing(mut results: Value) -> Value {
    results.as_object_mut().unwrap().remove("timing");
    for model in results["models"].as_object_mut().unwrap().values_mut() {
        model.as_object_mut().unwrap().remove("timing");
    }
    results
}

/// Digits masked: the last ones may differ between processors.
fn masked(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '0'..='9' => '#',
            '-' => '+', // signs of differences
            c => c,
        })
        .collect()
}

#[test]
fn the_table_and_the_files_are_as_documented() {
    let place = place_with_table();
    let output = place.succeed(&format!("{SMALL} --out out"));
    assert!(
        output.starts_with("experiment3 on candidates.csv: 600 candidates, 120 pulsars; 2 seeds\n")
    );
    insta::assert_snapshot!("table", masked(&output));

    let results = results(&place, "out");
    assert_eq!(results["data"]["source"], "candidates.csv");
    assert_eq!(results["data"]["rows"], 600);
    assert_eq!(results["data"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(results["seeds"], serde_json::json!([0, 1]));
    for model in [
        "base",
        "without",
        "with",
        "ip_only",
        "dm_only",
        "alternative",
    ] {
        let model = &results["models"][model];
        for condition in ["uncorrupted", "ip", "dm"] {
            for metric in Metric::ALL {
                let figure = &model[metric.name()][condition];
                let per_seed: Vec<f64> =
                    serde_json::from_value(figure["per_seed"].clone()).unwrap();
                assert_eq!(per_seed.len(), 2, "{metric}");
                let mean = figure["mean"].as_f64().unwrap();
                assert!((mean - f64::midpoint(per_seed[0], per_seed[1])).abs() < 1e-12);
                assert!(figure["ci95"].as_f64().unwrap() >= 0.);
            }
        }
        for list in [
            "thresholds",
            "hyperparameters",
            "validation_f1",
            "best_epochs",
            "timing",
        ] {
            assert_eq!(model[list].as_array().unwrap().len(), 2, "{list}");
        }
    }
    for difference in results["paired_differences"].as_array().unwrap() {
        let baseline = &results["models"][difference["baseline"].as_str().unwrap()];
        let with = &results["models"]["with"];
        for metric in Metric::ALL {
            let first = |of: &Value| {
                let figure = &of[metric.name()]["ip"]["per_seed"][0];
                figure.as_f64().unwrap()
            };
            assert!((first(difference) - (first(with) - first(baseline))).abs() < 1e-15);
        }
    }
    for seed in 0..2 {
        for file in FILES {
            assert!(
                place.exists(&format!("out/models/seed{seed}/{file}")),
                "{file}"
            );
        }
        let split: Value =
            serde_json::from_str(&place.read_text(&format!("out/models/seed{seed}/split.json")))
                .unwrap();
        let mut rows: Vec<u64> = ["train", "validation", "test"]
            .iter()
            .flat_map(|part| split[part].as_array().unwrap())
            .map(|row| row.as_u64().unwrap())
            .collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..600).collect::<Vec<_>>());
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_at_any_number_of_threads() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out one --threads 1"));
    place.succeed(&format!("{SMALL} --out many --threads 5"));
    assert_eq!(
        without_timing(results(&place, "one")),
        without_timing(results(&place, "many"))
    );
    for seed in 0..2 {
        for file in FILES {
            let file = format!("models/seed{seed}/{file}");
            assert_eq!(
                place.read(&format!("one/{file}")),
                place.read(&format!("many/{file}")),
                "{file}"
            );
        }
    }
}

/// The saved model, scored by `emma score` on the test rows, has the F1 of `results.json`, and its
/// probabilities all the other measures.
#[test]
fn saved_models_score_as_the_results_say() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let results = results(&place, "out");
    let split: Value =
        serde_json::from_str(&place.read_text("out/models/seed0/split.json")).unwrap();
    let table = place.read_text("candidates.csv");
    let lines: Vec<&str> = table.lines().skip(1).collect();
    for model in [
        "base",
        "without",
        "with",
        "ip_only",
        "dm_only",
        "alternative",
    ] {
        let scores = place.succeed(&format!(
            "score --model out/models/seed0/{model}.safetensors --data candidates.csv"
        ));
        let (predicted, probabilities): (Vec<bool>, Vec<f32>) = scores
            .lines()
            .skip(1)
            .map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                (fields[2] == "1", fields[1].parse::<f32>().unwrap())
            })
            .unzip();
        let (mut test_probabilities, mut test_labels) = (Vec::new(), Vec::new());
        let (mut true_positives, mut positives, mut found) = (0, 0, 0);
        for row in split["test"].as_array().unwrap() {
            let row = usize::try_from(row.as_u64().unwrap()).unwrap();
            let pulsar = lines[row].ends_with(",1");
            test_probabilities.push(probabilities[row]);
            test_labels.push(u8::from(pulsar));
            positives += usize::from(pulsar);
            found += usize::from(predicted[row]);
            true_positives += usize::from(pulsar && predicted[row]);
        }
        let f1 =
            2. * f64::from(u32::try_from(true_positives).unwrap()) / (positives + found) as f64;
        let expected = &results["models"][model]["f1"]["uncorrupted"]["per_seed"][0];
        assert!(
            (f1 - expected.as_f64().unwrap()).abs() < 1e-12,
            "{model}: {f1} {expected}"
        );
        let threshold = results["models"][model]["thresholds"][0].as_f64().unwrap();
        let metrics =
            ClassificationMetrics::of(&test_probabilities, &test_labels, threshold).unwrap();
        for metric in Metric::ALL {
            let expected = &results["models"][model][metric.name()]["uncorrupted"]["per_seed"][0];
            let difference = metric.of(&metrics) - expected.as_f64().unwrap();
            assert!(difference.abs() < 1e-15, "{model} {metric}: {difference:e}");
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_results() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let whole = without_timing(results(&place, "out"));
    let model = place.read("out/models/seed1/with.safetensors");
    // As if it had stopped in the middle of seed 1.
    std::fs::remove_file(place.path().join("out/results.json")).unwrap();
    std::fs::remove_file(place.path().join("out/models/seed1/outcome.json")).unwrap();
    std::fs::write(
        place.path().join("out/models/seed1/with.safetensors"),
        "half",
    )
    .unwrap();
    let marker = place.path().join("out/models/seed0/with.safetensors");
    let before = std::fs::metadata(&marker).unwrap().modified().unwrap();
    place.succeed(&format!("{SMALL} --out out"));
    assert_eq!(without_timing(results(&place, "out")), whole);
    assert_eq!(place.read("out/models/seed1/with.safetensors"), model);
    let after = std::fs::metadata(&marker).unwrap().modified().unwrap();
    assert_eq!(before, after, "the finished seed is not computed again");
}

#[test]
fn a_finished_run_is_reprinted_and_other_settings_are_refused() {
    let place = place_with_table();
    let first = place.succeed(&format!("{SMALL} --out out"));
    let stored = place.read("out/results.json");
    assert_eq!(place.succeed(&format!("{SMALL} --out out")), first);
    assert_eq!(place.read("out/results.json"), stored);

    let other = "experiment3 --data candidates.csv --quick --epochs 4 --quiet --out out";
    assert_eq!(
        place.fail(2, other),
        "error: out holds results of another setting: training.n_epochs was 3, now it is 4; \
         choose another --out, or start anew with --fresh\n"
    );
    assert_eq!(
        place.read("out/results.json"),
        stored,
        "a refusal changes nothing"
    );

    place.write("out/notes.txt", "mine");
    place.succeed(&format!("{other} --fresh"));
    assert_eq!(
        results(&place, "out")["settings"]["training"]["n_epochs"],
        4
    );
    assert_eq!(
        place.read_text("out/notes.txt"),
        "mine",
        "--fresh removes results only"
    );
}

/// Whether a line of the table has this model and this figure of uncorrupted rows.
fn shows(table: &str, model: &str, figure: &str) -> bool {
    table.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(model) && words.next() == Some(figure)
    })
}

#[test]
fn the_table_shows_the_measure_asked_for_of_a_finished_folder_too() {
    let place = place_with_table();
    let mcc = place.succeed(&format!("{SMALL} --out out --metric mcc"));
    let stored = place.read("out/results.json");
    let results = results(&place, "out");
    let mean = |metric: Metric, model: &str| {
        let figure = &results["models"][model][metric.name()]["uncorrupted"]["mean"];
        figure.as_f64().unwrap()
    };
    let difference = |metric: Metric| {
        let figure = &results["paired_differences"][0][metric.name()]["uncorrupted"]["mean"];
        figure.as_f64().unwrap()
    };
    assert!(
        mcc.contains("\nMatthews correlation on test rows, mean"),
        "{mcc}"
    );
    assert!(
        mcc.contains("\nMatthews correlation of EMMA (with) less"),
        "{mcc}"
    );
    for metric in Metric::ALL {
        let table = place.succeed(&format!("{SMALL} --out out --metric {metric}"));
        assert!(
            table.contains(&format!("\n{} on test rows", metric.title())),
            "{table}"
        );
        assert_eq!(table.contains("Lower is better."), metric.lower_is_better());
        let digits = if metric.lower_is_better() { 4 } else { 3 };
        for model in ["with", "ip_only"] {
            let expected = format!("{:.digits$}", mean(metric, model));
            assert!(
                shows(&table, model, &expected),
                "{metric} {model} {expected}: {table}"
            );
        }
        let expected = format!("{:+.digits$}", difference(metric));
        assert!(
            shows(&table, "without", &expected),
            "{metric} {expected}: {table}"
        );
        if metric == Metric::Mcc {
            assert_eq!(table, mcc);
        }
        if metric == Metric::F1 {
            assert_eq!(table, place.succeed(&format!("{SMALL} --out out")));
        }
    }
    assert_eq!(place.read("out/results.json"), stored);
    place.fail(2, &format!("{SMALL} --out out --metric auc"));
    place.fail(2, &format!("{SMALL} --out out --metric mcc --json"));
}

/// Removes what earlier versions did not write.
fn without_new_measures(text: &str, old: &[&str]) -> String {
    fn strip(value: &mut Value, old: &[&str]) {
        match value {
            Value::Object(members) => {
                members
                    .retain(|key, _| old.contains(&key.as_str()) || key.parse::<Metric>().is_err());
                members.values_mut().for_each(|value| strip(value, old));
            }
            Value::Array(values) => values.iter_mut().for_each(|value| strip(value, old)),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).unwrap();
    strip(&mut value, old);
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn a_folder_of_an_earlier_version_is_reprinted_and_its_unfinished_seeds_computed_again() {
    let place = place_with_table();
    let table = place.succeed(&format!("{SMALL} --out out"));
    let stored = place.read_text("out/results.json");
    let old = without_new_measures(&stored, &["f1", "precision", "recall", "specificity"]);
    let mut old: Value = serde_json::from_str(&old).unwrap();
    for difference in old["paired_differences"].as_array_mut().unwrap() {
        difference
            .as_object_mut()
            .unwrap()
            .retain(|key, _| ["model", "baseline", "f1"].contains(&key.as_str()));
    }
    let old = serde_json::to_string_pretty(&old).unwrap();
    assert!(!old.contains("mcc"));
    place.write("out/results.json", &old);
    assert_eq!(place.succeed(&format!("{SMALL} --out out")), table);
    let printed = place.succeed(&format!("{SMALL} --out out --json"));
    let same: [Value; 2] = [&printed, &old].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(same[0], same[1], "nothing is made up");
    assert_eq!(
        place.fail(2, &format!("{SMALL} --out out --metric mcc")),
        "error: out/results.json: expected the measure mcc, it is not there: an earlier version \
         wrote the file; start anew with --fresh\n"
    );
    assert_eq!(place.read_text("out/results.json"), old);

    std::fs::remove_file(place.path().join("out/results.json")).unwrap();
    let outcome = "out/models/seed0/outcome.json";
    place.write(
        outcome,
        without_new_measures(&place.read_text(outcome), &[]),
    );
    place.succeed(&format!("{SMALL} --out out"));
    assert_eq!(
        without_timing(results(&place, "out")),
        without_timing(serde_json::from_str(&stored).unwrap())
    );
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let place = place_with_table();
    std::fs::create_dir(place.path().join("out")).unwrap();
    place.write("out/notes.txt", "mine");
    let error = place.fail(2, &format!("{SMALL} --out out"));
    assert_eq!(
        error,
        "error: --out out: expected an empty folder or one with results of experiment3, got one \
         with other files\n"
    );
    assert_eq!(
        std::fs::read_dir(place.path().join("out")).unwrap().count(),
        1
    );
}

#[test]
fn json_is_the_results_file() {
    let place = place_with_table();
    for _ in 0..2 {
        let printed = place.succeed(&format!("{SMALL} --out out --json"));
        assert_eq!(printed, place.read_text("out/results.json"));
    }
}

#[test]
fn options_change_what_they_say() {
    let place = place_with_table();
    let base = "experiment3 --data candidates.csv --seeds 1 --seed 7 --epochs 3 --quiet";
    place.succeed(&format!("{base} --out plain"));
    let plain = results(&place, "plain");
    assert_eq!(plain["seeds"], serde_json::json!([7]));
    assert_eq!(plain["models"]["with"]["f1"]["ip"]["ci95"], Value::Null);
    for option in [
        "--threshold-rule roc_corner",
        "--positive-weight 10",
        "--retrain",
    ] {
        place.succeed(&format!("{base} {option} --out other --fresh"));
        let other = results(&place, "other");
        let different = ["base", "with"].iter().any(|model| {
            place.read(&format!("plain/models/seed7/{model}.safetensors"))
                != place.read(&format!("other/models/seed7/{model}.safetensors"))
        });
        assert!(different, "{option}");
        assert!(plain["settings"] != other["settings"], "{option}");
    }
}

/// Retrained models have seen the validation rows; nothing may be chosen with them any more.
#[test]
fn retraining_changes_no_choice() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out plain"));
    place.succeed(&format!("{SMALL} --retrain --out retrained"));
    let (plain, retrained) = (results(&place, "plain"), results(&place, "retrained"));
    for (name, model) in plain["models"].as_object().unwrap() {
        for choice in [
            "thresholds",
            "validation_f1",
            "hyperparameters",
            "best_epochs",
        ] {
            assert_eq!(
                model[choice], retrained["models"][name][choice],
                "{name} {choice}"
            );
        }
    }
}

#[test]
fn a_table_that_cannot_be_used_costs_no_earlier_results() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let stored = place.read("out/results.json");
    let table = place.read_text("candidates.csv");
    let negatives: Vec<&str> = table.lines().filter(|line| !line.ends_with(",1")).collect();
    place.write("candidates.csv", negatives.join("\n"));
    place.fail(2, &format!("{SMALL} --out out --fresh"));
    assert_eq!(place.read("out/results.json"), stored);
    place.fail(2, &format!("{SMALL} --out other"));
    assert!(
        !place.exists("other"),
        "nothing is left for a corrected table to trip over"
    );
}

#[test]
fn what_a_killed_run_left_behind_is_no_obstacle() {
    let place = place_with_table();
    std::fs::create_dir(place.path().join("out")).unwrap();
    place.write("out/.emma-x7Y.unfinished", "half");
    place.succeed(&format!("{SMALL} --out out"));
    assert!(!place.exists("out/.emma-x7Y.unfinished"));
    let whole = without_timing(results(&place, "out"));
    // A finished seed that lost a model is not finished.
    std::fs::remove_file(place.path().join("out/results.json")).unwrap();
    std::fs::remove_file(place.path().join("out/models/seed0/with.safetensors")).unwrap();
    place.succeed(&format!("{SMALL} --out out"));
    assert!(place.exists("out/models/seed0/with.safetensors"));
    assert_eq!(without_timing(results(&place, "out")), whole);
}

#[test]
fn data_that_cannot_be_had_leave_no_folder() {
    let place = Place::new();
    let error = place.fail(1, "experiment3 --data htru2 --out out --quiet");
    assert!(
        error.starts_with("error: cannot download HTRU2 (unpack HTRU_2.csv from "),
        "{error}"
    );
    place.write("text.csv", "a,b\n1,2\n");
    place.fail(2, "experiment3 --data text.csv --out out");
    place.fail(2, "experiment3 --data absent.csv --out out");
    assert!(!place.exists("out"));
}
