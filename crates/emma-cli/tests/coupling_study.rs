//! `emma coupling-study`.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;
use serde_json::Value;

const STUDY: &str = "coupling-study --quick --quiet --out out";

/// Digits and signs masked: the last digits may differ between processors.
fn masked(text: &str) -> String {
    let mask = |c: char| match c {
        '0'..='9' => '#',
        '+' | '-' => '~',
        '*' => ' ',
        c => c,
    };
    let text: String = text.chars().map(mask).collect();
    let lines = text.lines().map(str::trim_end);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_quick_study_measures_every_model_against_the_known_optimum() {
    let place = Place::new();
    let output = place.succeed(STUDY);
    insta::assert_snapshot!("coupling_study", masked(&output));
    let results: Value = serde_json::from_str(&place.read_text("out/results.json")).unwrap();
    let optimum = |condition: &str| results["optimum"][condition]["mean"].as_f64().unwrap();
    // By closed form .933, less where the only view of a part is gone; 1,000 rows: five standard errors are .04.
    assert!(
        (optimum("none") - 0.933).abs() < 0.04,
        "{}",
        optimum("none")
    );
    assert!(optimum("B and C") < optimum("C") && optimum("C") < optimum("none") + 0.01);
    for (_, network) in results["networks"].as_object().unwrap() {
        let models = &network["models"];
        assert_eq!(models.as_object().unwrap().len(), 6);
        let share = |model: &str, group: &str| {
            let share = &models[model]["share"][group];
            assert_eq!(share["per_seed"].as_array().unwrap().len(), 2);
            share["mean"].as_f64().unwrap()
        };
        for (model, about) in models.as_object().unwrap() {
            assert!(share(model, "clean") > 0.9, "{model}");
            let coldness = about["coldness"].as_array().unwrap();
            assert!(
                coldness
                    .iter()
                    .all(|own| own.is_null() == (model == "no_attention"))
            );
            // Energies are what tells a broken mode.
            if model != "no_attention" {
                let gain = share(model, "one_broken") - share("no_attention", "one_broken");
                assert!(gain > 0.1, "{model}: {gain}");
            }
        }
        let less = &models["free"]["less_uncoupled"]["mean"]["per_seed"];
        let of = |model: &str, seed: usize| {
            let per_seed = &models[model]["share"]["mean"]["per_seed"];
            per_seed[seed].as_f64().unwrap()
        };
        for seed in 0..2 {
            let expected = of("free", seed) - of("uncoupled", seed);
            // Means of differences and differences of means round otherwise.
            assert!((less[seed].as_f64().unwrap() - expected).abs() < 1e-12);
        }
    }
    for file in ["less_uncoupled.svg", "less_uncoupled.png"] {
        assert!(place.exists(&format!("out/figures/{file}")), "{file}");
    }

    // A finished folder is printed again, also as JSON; on other threads all comes out the same.
    assert_eq!(place.succeed(STUDY), output);
    let printed: Value = serde_json::from_str(&place.succeed(&format!("{STUDY} --json"))).unwrap();
    assert_eq!(printed, results);
    place.succeed("coupling-study --quick --quiet --out other --threads 1");
    assert_eq!(
        place.read("other/results.json"),
        place.read("out/results.json")
    );
    let told = place.fail(2, &format!("{STUDY} --rows 1000"));
    assert!(
        told.contains("data.n_rows was 2000, now it is 1000"),
        "{told}"
    );
    let told = place.fail(2, "coupling-study --rows 199");
    assert!(
        told.contains("expected a whole number from 200 to 1000000"),
        "{told}"
    );
}
