//! `emma experiment3` on a small table that has HTRU2's columns.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;
#[path = "common/experiment3.rs"]
mod experiment3;

use common::Place;
use emma_models::statistics::{holm, wilcoxon_signed_rank};
use emma_models::{ClassificationMetrics, Metric};
use experiment3::{FILES, SMALL, place_with_table, results, without_timing};
use scraper::{Html, Selector};
use serde_json::Value;

/// Digits masked: the last ones may differ between processors.
fn masked(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '0'..='9' => '#',
            '-' | '−' => '+', // signs of differences
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
        let model = &results["models"][difference["model"].as_str().unwrap()];
        let baseline = &results["models"][difference["baseline"].as_str().unwrap()];
        for metric in Metric::ALL {
            let first = |of: &Value| {
                let figure = &of[metric.name()]["ip"]["per_seed"][0];
                figure.as_f64().unwrap()
            };
            assert!((first(difference) - (first(model) - first(baseline))).abs() < 1e-15);
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

/// Headings, answers, captions and the number of figures and of rows of tables, digits masked.
fn structure(page: &str) -> String {
    let page = Html::parse_document(page);
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    let parts = Selector::parse("h1, h2, .banner, .answer, svg, figcaption, caption, tr, .command");
    let mut lines: Vec<String> = Vec::new();
    let mut n_rows = 0;
    for part in page.select(&parts.unwrap()) {
        let text: Vec<&str> = part.text().flat_map(str::split_whitespace).collect();
        let name = part.value().name();
        if name == "tr" {
            n_rows += 1;
            continue;
        }
        if n_rows > 0 {
            lines.push(format!("{n_rows} rows"));
            n_rows = 0;
        }
        lines.push(match name {
            "svg" => "svg".to_owned(),
            name => masked(&format!("{name}: {}", text.join(" "))),
        });
    }
    lines.push(format!("{n_rows} rows"));
    lines.join("\n")
}

/// Names in the first column of the table of figures in `docs/experiment3.md`.
fn documented_figures() -> Vec<String> {
    let page = include_str!("../../../docs/experiment3.md");
    let section = page.split("\n### Figures\n").nth(1).unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_report_and_its_figures_are_as_documented() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let page = place.read_text("out/report.html");
    insta::assert_snapshot!("report", structure(&page));
    assert!(
        page.contains(
            "cargo xtask experiment3 --data &#39;candidates.csv&#39; --seeds 2 --epochs 3<"
        )
    );
    assert!(!page.contains("SIMULATED"));

    let mut expected: Vec<String> = Vec::new();
    for name in documented_figures() {
        // The small grid has no regularizers.
        if name != "regularizers" {
            expected.extend(["-dark.png", ".png", ".svg"].map(|ending| format!("{name}{ending}")));
        }
    }
    let mut found: Vec<String> = std::fs::read_dir(place.path().join("out/figures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// From what the folder holds, to the same bytes, and without training anything.
#[test]
fn a_report_that_was_removed_is_made_again() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let page = place.read("out/report.html");
    let figure = place.read("out/figures/attention_surface.svg");
    std::fs::remove_file(place.path().join("out/report.html")).unwrap();
    std::fs::remove_dir_all(place.path().join("out/figures")).unwrap();
    std::fs::remove_file(place.path().join("out/models/seed0/with.safetensors")).unwrap();
    place.succeed(&format!("{SMALL} --out out"));
    assert!(place.read("out/report.html") == page);
    assert!(place.read("out/figures/attention_surface.svg") == figure);
    assert!(!place.exists("out/models/seed0/with.safetensors"));
}

/// Total energy is lowest for clean rows, and importance and attention are shares.
#[test]
fn the_close_look_sees_what_emma_does() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let look: Value = serde_json::from_str(&place.read_text("out/close_look.json")).unwrap();
    let results = results(&place, "out");
    for (seed, look) in look["seeds"].as_array().unwrap().iter().enumerate() {
        assert_eq!(look["seed"], seed);
        let conditions = look["conditions"].as_object().unwrap();
        assert_eq!(conditions.len(), 32);
        let energy = |name: &str| conditions[name]["total_energy"].as_f64().unwrap();
        for mode in ["ip", "dm", "both"] {
            assert!(energy(&format!("{mode}:noise:4")) > energy("uncorrupted"));
        }
        for (name, condition) in conditions {
            let of = |what: &str| -> Vec<f64> {
                serde_json::from_value(condition[what].clone()).unwrap()
            };
            // Sums of 32-bit numbers, rounded to nearest.
            assert!(
                (of("importance").iter().sum::<f64>() - 1.).abs() < 1e-6,
                "{name}"
            );
            for what in ["attention", "masked"] {
                assert!(of(what).iter().all(|share| (0. ..=1.).contains(share)));
            }
        }
        // With all rows kept, the errors are those of the results.
        let outcome = place.read_text(&format!("out/models/seed{seed}/outcome.json"));
        let outcome: Value = serde_json::from_str(&outcome).unwrap();
        let (mut wrong, mut rows) = (0, 0);
        for condition in results["conditions"].as_array().unwrap() {
            let test = &outcome["models"]["with"]["test"][condition.as_str().unwrap()];
            let count = |key: &str| test[key].as_u64().unwrap();
            let errors = count("false_positives") + count("false_negatives");
            wrong += errors;
            rows += errors + count("true_positives") + count("true_negatives");
        }
        for rule in ["refused_by_energy", "refused_by_probability"] {
            let error = look[rule]["error"].as_array().unwrap();
            assert_eq!(error.len(), 50);
            let all = error[49].as_f64().unwrap();
            assert!((all - wrong as f64 / rows as f64).abs() < 1e-15, "{rule}");
        }
        assert_eq!(look.get("along_noise").is_some(), seed == 0);
    }
    let surface = &look["seeds"][0]["along_noise"]["surface"];
    assert_eq!(surface[1].as_array().unwrap().len(), 100);
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

/// What `emma score --why` compares with are the potentials that it prints itself, of clean validation rows.
#[test]
fn the_model_keeps_the_potentials_of_clean_validation_rows() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let split: Value =
        serde_json::from_str(&place.read_text("out/models/seed0/split.json")).unwrap();
    let file = place.read("out/models/seed0/with.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let numbers = |name: &str| -> Vec<f32> {
        let (bytes, _) = tensors.tensor(name).unwrap().data().as_chunks::<4>();
        bytes
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    };
    let model = "--model out/models/seed0/with.safetensors";
    let scores = place.succeed(&format!("score {model} --data candidates.csv --explain"));
    let lines: Vec<Vec<&str>> = scores
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    let validation = split["validation"].as_array().unwrap();
    assert!((numbers("calibration.rows")[0] - validation.len() as f32).abs() < 0.5);
    for mode in ["ip", "dm"] {
        let name = format!("potential_{mode}");
        let column = lines[0].iter().position(|found| *found == name).unwrap();
        let mut expected: Vec<f32> = validation
            .iter()
            .map(|row| usize::try_from(row.as_u64().unwrap()).unwrap())
            .map(|row| lines[row + 1][column].parse().unwrap())
            .collect();
        expected.sort_by(f32::total_cmp);
        let kept = numbers(&format!("calibration.{mode}.potential"));
        assert_eq!(kept.len(), expected.len());
        for (kept, expected) in kept.iter().zip(&expected) {
            // Training computes in f32, scoring in f64; potentials are differences of sums of some tens.
            assert!(
                (kept - expected).abs() <= 1e-4 * expected.abs().max(1.),
                "{kept} {expected}"
            );
        }
    }
    let why = place.run(&format!(
        "score {model} --data candidates.csv --why --suspect 0.05 --top 5"
    ));
    assert_eq!(String::from_utf8(why.stderr).unwrap(), "");
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

/// What a version without a choice of grids and without a generalization study would have written.
fn as_an_earlier_version_wrote(results: &str) -> String {
    let old = without_new_measures(results, &["f1", "precision", "recall", "specificity"]);
    let mut old: Value = serde_json::from_str(&old).unwrap();
    for key in ["conditions", "oracle"] {
        old.as_object_mut().unwrap().remove(key);
    }
    old["settings"].as_object_mut().unwrap().remove("grid");
    for model in old["models"].as_object_mut().unwrap().values_mut() {
        let model = model.as_object_mut().unwrap();
        for key in [
            "mean_over_conditions",
            "robustness",
            "of_oracle",
            "threshold_rules",
            "grid",
            "coldness_sweep",
        ] {
            model.remove(key);
        }
    }
    let differences = old["paired_differences"].as_array_mut().unwrap();
    differences.retain(|difference| difference["model"] == "with");
    for difference in differences {
        let difference = difference.as_object_mut().unwrap();
        difference.retain(|key, _| ["model", "baseline", "f1"].contains(&key.as_str()));
    }
    keep_old_conditions(&mut old);
    serde_json::to_string_pretty(&old).unwrap()
}

fn keep_old_conditions(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, _| !key.contains(':'));
            members.values_mut().for_each(keep_old_conditions);
        }
        Value::Array(values) => values.iter_mut().for_each(keep_old_conditions),
        _ => {}
    }
}

#[test]
fn a_folder_of_an_earlier_version_is_reprinted_and_its_unfinished_seeds_computed_again() {
    let place = place_with_table();
    let table = place.succeed(&format!("{SMALL} --out out"));
    let stored = place.read_text("out/results.json");
    let old = as_an_earlier_version_wrote(&stored);
    assert!(!old.contains("mcc") && !old.contains("noise:"));
    place.write("out/results.json", &old);
    let settings: Value = serde_json::from_str(&place.read_text("out/settings.json")).unwrap();
    let mut settings = settings.as_object().unwrap().clone();
    settings.remove("grid");
    place.write(
        "out/settings.json",
        serde_json::to_string(&settings).unwrap(),
    );
    let old_table = place.succeed(&format!("{SMALL} --out out"));
    let (scores, _) = table.split_once("F1 of EMMA").unwrap();
    assert!(old_table.starts_with(scores), "{old_table}");
    assert!(old_table.contains("An interval that holds 0 is no difference"));
    assert!(!old_table.contains("conditions"), "{old_table}");
    let printed = place.succeed(&format!("{SMALL} --out out --json"));
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let mut old_results: Value = serde_json::from_str(&old).unwrap();
    // The one thing that is known without being there.
    old_results["settings"]["grid"] = printed["settings"]["grid"].clone();
    assert_eq!(printed, old_results, "nothing is made up");
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

/// Seeds of a version without a sweep of the coldness are computed again, rather than put beside others.
#[test]
fn a_finished_seed_without_the_sweep_is_computed_again() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let stored = results(&place, "out");
    std::fs::remove_file(place.path().join("out/results.json")).unwrap();
    let path = "out/models/seed1/outcome.json";
    let mut outcome: Value = serde_json::from_str(&place.read_text(path)).unwrap();
    let with = outcome["models"]["with"].as_object_mut().unwrap();
    assert!(with.remove("coldness_sweep").is_some());
    place.write(path, serde_json::to_string(&outcome).unwrap());
    place.succeed(&format!("{SMALL} --out out"));
    assert_eq!(
        without_timing(results(&place, "out")),
        without_timing(stored)
    );
}

/// F1 of a seed by condition.
fn f1(results: &Value, model: &str, condition: &str, seed: usize) -> f64 {
    let figure = &results["models"][model]["f1"][condition]["per_seed"][seed];
    figure.as_f64().unwrap()
}

#[test]
fn every_model_is_scored_in_every_condition() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out out"));
    let results = results(&place, "out");
    let conditions: Vec<&str> = results["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(conditions.len(), 32);
    for (name, model) in results["models"].as_object().unwrap() {
        for metric in Metric::ALL {
            let by_condition = model[metric.name()].as_object().unwrap();
            // The conditions, and the modes' short names.
            assert_eq!(by_condition.len(), 34, "{name} {metric}");
            for mode in ["ip", "dm"] {
                let long = format!("{mode}:noise:0.5");
                assert_eq!(by_condition[mode], by_condition[&long]);
            }
            let mean = &model["mean_over_conditions"][metric.name()];
            for seed in 0..2 {
                let of = |condition: &&str| by_condition[*condition]["per_seed"][seed].as_f64();
                let sum: f64 = conditions.iter().map(|name| of(name).unwrap()).sum();
                let found = mean["per_seed"][seed].as_f64().unwrap();
                assert!((found - sum / 32.).abs() < 1e-14, "{name} {metric}");
            }
        }
    }
    let mut changed = 0;
    for condition in &conditions[1..] {
        // Who does not see a mode does not notice what happens to it.
        for (model, unseen) in [("ip_only", "dm:"), ("dm_only", "ip:")] {
            let same = (0..2).all(|seed| {
                let clean = f1(&results, model, "uncorrupted", seed);
                (f1(&results, model, condition, seed) - clean).abs() <= 0.
            });
            assert!(
                same || !condition.starts_with(unseen),
                "{model} {condition}"
            );
            changed += usize::from(!same);
        }
    }
    assert!(changed > 15, "the mode itself matters: {changed}");
}

#[test]
fn either_threshold_rule_is_that_of_a_run_with_it() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --grid none --out max_f1"));
    place.succeed(&format!(
        "{SMALL} --grid none --threshold-rule roc_corner --out roc_corner"
    ));
    for rule in ["max_f1", "roc_corner"] {
        let chosen = results(&place, rule);
        for folder in ["max_f1", "roc_corner"] {
            let results = results(&place, folder);
            for (name, model) in results["models"].as_object().unwrap() {
                let table = &model["threshold_rules"][rule];
                assert_eq!(table["thresholds"], chosen["models"][name]["thresholds"]);
                for condition in results["conditions"].as_array().unwrap() {
                    let condition = condition.as_str().unwrap();
                    assert_eq!(
                        table["f1"][condition], chosen["models"][name]["f1"][condition],
                        "{name} {condition}"
                    );
                }
            }
        }
    }
}

#[test]
fn tests_of_differences_are_wilcoxons_with_holms_adjustment() {
    let place = place_with_table();
    place.succeed(
        "experiment3 --data candidates.csv --seeds 6 --epochs 1 --grid none --quiet --out out",
    );
    let results = results(&place, "out");
    let differences = results["paired_differences"].as_array().unwrap();
    assert_eq!(differences.len(), 10);
    let mut shown = 0;
    for metric in ["f1", "brier"] {
        for condition in ["uncorrupted", "dm:swap", "ip", "mean_over_conditions"] {
            let test =
                |of: &Value, key: &str| of["tests"][metric][condition][key].as_f64().unwrap();
            let p_values: Vec<f64> = differences
                .iter()
                .map(|difference| {
                    let figure = if condition == "mean_over_conditions" {
                        &difference[condition][metric]
                    } else {
                        &difference[metric][condition]
                    };
                    let per_seed: Vec<f64> =
                        serde_json::from_value(figure["per_seed"].clone()).unwrap();
                    assert_eq!(per_seed.len(), 6);
                    wilcoxon_signed_rank(&per_seed).map_or(1., |test| test.p_value)
                })
                .collect();
            let adjusted = holm(&p_values).unwrap();
            for ((difference, p_value), p_holm) in differences.iter().zip(p_values).zip(adjusted) {
                assert!((test(difference, "p_value") - p_value).abs() <= 0.);
                assert!((test(difference, "p_holm") - p_holm).abs() <= 0.);
                shown += usize::from(p_value < 0.05);
                assert!(
                    p_holm >= 0.3,
                    "six seeds cannot show any of ten differences"
                );
            }
        }
    }
    assert!(shown > 0, "there are differences to adjust");
    let table = place.succeed(
        "experiment3 --data candidates.csv --seeds 6 --epochs 1 --grid none --quiet --out out",
    );
    let stars = table.lines().filter(|line| line.contains('*')).count();
    assert_eq!(stars, 1, "only the footnote: {table}");
}

#[test]
fn the_grid_is_chosen_from_by_validation_and_stands_in_the_results() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out small"));
    place.succeed(&format!("{SMALL} --grid none --out none"));
    let base = "experiment3 --data candidates.csv --seeds 1 --epochs 1 --quiet";
    place.succeed(&format!("{base} --grid thesis --out thesis"));
    for (folder, n_candidates) in [("small", 3), ("none", 1), ("thesis", 125)] {
        let results = results(&place, folder);
        assert_eq!(results["settings"]["grid"]["name"], folder);
        let with = &results["models"]["with"];
        let grid = with["grid"].as_array().unwrap();
        assert_eq!(grid.len(), n_candidates);
        for (position, seed) in results["seeds"].as_array().unwrap().iter().enumerate() {
            let score = |candidate: &Value| {
                let per_seed = &candidate["validation_f1"]["per_seed"];
                per_seed[position].as_f64().unwrap()
            };
            let best = grid.iter().map(score).fold(0., f64::max);
            // The first of equals.
            let chosen = grid.iter().find(|&one| score(one) >= best).unwrap();
            let hyperparameters = with["hyperparameters"][position].as_object().unwrap();
            for (name, value) in hyperparameters {
                assert_eq!(chosen[name], *value);
            }
            assert!(chosen["chosen_by"].as_array().unwrap().contains(seed));
            let found = with["validation_f1"][position].as_f64().unwrap();
            assert!((found - best).abs() <= 0.);
        }
        // Without regularizers, from 0.00001 to 100; what is in the grid is the same model.
        let sweep = with["coldness_sweep"].as_array().unwrap();
        assert_eq!(sweep.len(), 8);
        for (power, point) in (-5..).zip(sweep) {
            let coldness = point["coldness"].as_f64().unwrap();
            assert!((coldness.log10() - f64::from(power)).abs() < 1e-12);
            let capacity = point["rectified_capacity"]["mean"].as_f64().unwrap();
            assert!((0. ..1.).contains(&capacity));
            let is_plain = |candidate: &&Value| {
                ["lambda_c", "lambda_e"].map(|name| candidate[name].as_f64()) == [Some(0.); 2]
                    && candidate["coldness"] == point["coldness"]
            };
            if let Some(candidate) = grid.iter().find(is_plain) {
                assert_eq!(candidate["validation_f1"], point["validation_f1"]);
            }
        }
        let n_chosen = grid
            .iter()
            .map(|one| one["chosen_by"].as_array().unwrap().len());
        assert_eq!(
            n_chosen.sum::<usize>(),
            results["seeds"].as_array().unwrap().len()
        );
        assert!(!place.exists(&format!("{folder}/models/seed0/unscored")));
        let drawn = |name: &str| place.exists(&format!("{folder}/figures/{name}.svg"));
        assert!(drawn("coldness"));
        assert_eq!(drawn("regularizers"), n_candidates == 125);
    }
    // The candidate that two grids share is the same model.
    let middle = |folder: &str, number: usize| {
        let results = results(&place, folder);
        results["models"]["with"]["grid"][number]["validation_f1"].clone()
    };
    assert_eq!(middle("none", 0), middle("small", 1));
    assert_eq!(
        place.fail(2, &format!("{SMALL} --grid thesis --out small")),
        "error: small holds results of another setting: coldness was [0.01,0.1,1.0], now it is \
         [0.0001,0.001,0.01,0.1,1.0]; choose another --out, or start anew with --fresh\n"
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

#[test]
fn each_fault_of_the_published_program_has_its_row() {
    let place = place_with_table();
    let command = format!("{SMALL} --out out --as-published");
    let output = place.succeed(&command);
    insta::assert_snapshot!("as_published", masked(&output));
    let results = results(&place, "out");
    let programs = results["programs"].as_array().unwrap();
    let f1 = |program: &Value, condition: usize| {
        let figure = &program["f1"][condition]["per_seed"];
        serde_json::from_value::<Vec<f64>>(figure.clone()).unwrap()
    };
    // Six programs of three models; the first without faults.
    assert_eq!(programs.len(), 18);
    for (index, program) in programs.iter().enumerate() {
        assert_eq!(program["model"], ["base", "without", "with"][index % 3]);
        for condition in 0..3 {
            let difference = &program["difference"][condition]["per_seed"];
            let difference: Vec<f64> = serde_json::from_value(difference.clone()).unwrap();
            let pairs = f1(program, condition)
                .into_iter()
                .zip(f1(&programs[index % 3], condition));
            let expected: Vec<f64> = pairs
                .map(|(with_fault, without)| with_fault - without)
                .collect();
            assert_eq!(difference, expected);
        }
    }
    for (index, gain) in results["gains"].as_array().unwrap().iter().enumerate() {
        for condition in 0..3 {
            let found: Vec<f64> =
                serde_json::from_value(gain["f1"][condition]["per_seed"].clone()).unwrap();
            let [without, with] = [1, 2].map(|model| f1(&programs[3 * index + model], condition));
            let expected: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
            assert_eq!(found, expected);
        }
    }
    // Finished results are shown again, and are not those of the experiment itself.
    assert_eq!(place.succeed(&command), output);
    let error = place.fail(2, &format!("{SMALL} --out out"));
    assert!(
        error.contains("results of experiment3, got one with other files"),
        "{error}"
    );
}
