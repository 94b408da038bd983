//! `emma experiment1` and `emma experiment2`.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;
use serde_json::Value;

const FIRST: &str = "experiment1 --seeds 1 --samples 300 --quiet";
const SECOND: &str = "experiment2 --data candidates.csv --quick --quiet";

fn place_with_table() -> Place {
    let place = Place::new();
    let table = emma_testkit::candidates::csv(600, true, &mut emma_testkit::rng(1));
    place.write("candidates.csv", table);
    place
}

fn json(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.read_text(name)).unwrap()
}

/// All that must not depend on when the program ran.
fn without_timing(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("timing");
                map.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

/// Digits masked: the last ones may differ between processors.
fn masked(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_digit() { '#' } else { c })
        .collect()
}

/// What section 4.3 of the thesis says of the circle, on one seed.
#[test]
fn the_reconstruction_error_has_a_false_sink_and_the_potential_has_none() {
    let place = Place::new();
    let output = place.succeed("experiment1 --seeds 1 --quiet --out out");
    insta::assert_snapshot!("experiment1", masked(&output));
    let results = json(&place, "out/results.json");
    let circle = &results["manifolds"]["circle"];
    let sink = |estimator: &str| {
        let sink = &circle["estimators"][estimator]["false_sink"]["mean"];
        sink.as_f64().unwrap()
    };
    assert!(sink("reconstruction_error") > 0.9);
    assert!(sink("potential_energy") < 0.01);
    // Eight hidden units follow the wave less closely.
    for (manifold, least_alignment, least_auc) in [("wave", 0.7, 0.85), ("circle", 0.99, 0.99)] {
        let found = &results["manifolds"][manifold];
        assert!(found["field_alignment"]["mean"].as_f64().unwrap() > least_alignment);
        for estimator in found["estimators"].as_object().unwrap().values() {
            assert!(estimator["auc"]["mean"].as_f64().unwrap() > least_auc);
        }
    }
    for file in [
        "report.html",
        "figures/fields.svg",
        "figures/energy_potential_energy.png",
    ] {
        assert!(place.exists(&format!("out/{file}")), "{file}");
    }
}

#[test]
fn energies_tell_corrupted_rows_from_clean_ones() {
    let place = place_with_table();
    let output = place.succeed(&format!("{SECOND} --out out"));
    assert!(
        output.starts_with("experiment2 on candidates.csv: 600 candidates, 120 pulsars; 2 seeds\n")
    );
    insta::assert_snapshot!("experiment2", masked(&output));
    let results = json(&place, "out/results.json");
    for mode in ["ip", "dm"] {
        for (name, estimator) in results["modes"][mode].as_object().unwrap() {
            let auc = |corruption: &str| {
                let per_seed = &estimator["auc"][corruption]["per_seed"];
                assert_eq!(per_seed.as_array().unwrap().len(), 2);
                estimator["auc"][corruption]["mean"].as_f64().unwrap()
            };
            assert!(auc("noise:2") > 0.8, "{name}");
            assert!(auc("noise:2") > auc("noise:0.25"), "{name}");
            // The same rows in another order.
            assert!((auc("swap") - 0.5).abs() < 1e-12, "{name}");
            assert_eq!(estimator["noise"].as_array().unwrap().len(), 9);
            let figure = format!("out/figures/energies_{name}.svg");
            assert!(place.exists(&figure), "{figure}");
        }
    }
    let report = place.read_text("out/report.html");
    let headings: Vec<&str> = report
        .match_indices("<h2")
        .map(|(at, _)| &report[at..])
        .collect();
    assert!(headings.len() >= 10, "{}", headings.len());
}

#[test]
fn the_same_seed_gives_the_same_results_at_any_number_of_threads() {
    let place = place_with_table();
    for command in [FIRST, SECOND] {
        place.succeed(&format!("{command} --out one --threads 1"));
        place.succeed(&format!("{command} --out two --threads 2"));
        assert_eq!(
            without_timing(json(&place, "one/results.json")),
            without_timing(json(&place, "two/results.json"))
        );
        std::fs::remove_dir_all(place.path().join("one")).unwrap();
        std::fs::remove_dir_all(place.path().join("two")).unwrap();
    }
}

#[test]
fn a_finished_run_is_reprinted_and_other_settings_are_refused() {
    let place = place_with_table();
    for (command, other) in [
        (FIRST, "experiment1 --quick --samples 300"),
        (SECOND, "experiment2 --data candidates.csv --seeds 3"),
    ] {
        let first = place.succeed(&format!("{command} --out out"));
        let before = place.read("out/results.json");
        assert_eq!(place.succeed(&format!("{command} --out out")), first);
        let json = place.succeed(&format!("{command} --out out --json"));
        assert_eq!(json.trim_end().as_bytes(), before.trim_ascii_end());
        let error = place.fail(2, &format!("{other} --out out --quiet"));
        assert!(
            error.contains("holds results of another setting: seeds was ["),
            "{error}"
        );
        assert_eq!(place.read("out/results.json"), before);
        std::fs::remove_dir_all(place.path().join("out")).unwrap();
    }
}

/// As after a kill between two seeds: what is there is not computed again.
#[test]
fn an_interrupted_run_goes_on_to_the_same_results() {
    let place = place_with_table();
    place.succeed(&format!("{SECOND} --out out"));
    let finished = json(&place, "out/results.json");
    std::fs::remove_file(place.path().join("out/results.json")).unwrap();
    std::fs::remove_file(place.path().join("out/seeds/seed1.json")).unwrap();
    let kept = place.read("out/seeds/seed0.json");
    place.succeed(&format!("{SECOND} --out out"));
    assert_eq!(place.read("out/seeds/seed0.json"), kept);
    let again = json(&place, "out/results.json");
    assert_eq!(without_timing(again), without_timing(finished));
}

#[test]
fn each_experiment_keeps_to_its_own_folder() {
    let place = place_with_table();
    place.succeed(&format!("{FIRST} --out out"));
    let error = place.fail(2, &format!("{SECOND} --out out"));
    assert_eq!(
        error,
        "error: --out out: expected an empty folder or one with results of experiment2, got one with \
         other files\n"
    );
}

#[test]
fn data_for_experiment_1_are_ignored_with_a_note() {
    let place = Place::new();
    let output = place.run("experiment1 --seeds 1 --samples 300 --data htru2 --out out");
    assert!(output.status.success());
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(
        note.starts_with(
            "note: experiment1 draws its own wave and circle; --data changes nothing\n"
        ),
        "{note}"
    );
}

#[test]
fn too_few_pulsars_are_refused_before_anything_is_made() {
    let place = Place::new();
    let table = emma_testkit::candidates::csv(40, true, &mut emma_testkit::rng(1));
    place.write("candidates.csv", table);
    let error = place.fail(2, &format!("{SECOND} --out out"));
    assert!(error.contains("expected at least 10 pulsars"), "{error}");
    assert!(!place.exists("out"));
}
