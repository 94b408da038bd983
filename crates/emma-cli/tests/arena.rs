//! `emma arena`, on few rows and for few epochs.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;
use serde_json::Value;

/// Candidates as `emma data simulate` makes them.
fn place_with_table() -> Place {
    let place = Place::new();
    let made = place.run("data simulate --rows 1500 --seed 5 --out candidates.csv --quiet");
    assert!(made.status.success(), "{made:?}");
    place
}

fn arena(place: &Place, table: &str, out: &str, options: &str) -> Value {
    let output = place.run(&format!(
        "arena --data {table} --epochs 2 --json --quiet --out {out} --seeds 1 {options}"
    ));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_learner_is_scored_in_every_condition_and_the_files_are_there() {
    let place = place_with_table();
    let results = arena(&place, "candidates.csv", "arena", "");
    for regime in ["narrow", "broad"] {
        let learners = results["regimes"][regime]["learners"].as_object().unwrap();
        let n_learners = if regime == "narrow" { 11 } else { 10 };
        assert_eq!(learners.len(), n_learners, "{regime}");
        for (name, learner) in learners {
            let f1 = learner["f1"].as_object().unwrap();
            // 32 conditions and their mean.
            assert_eq!(f1.len(), 33, "{regime} {name}");
            let in_range = |figure: &Value| (0. ..=1.).contains(&figure["mean"].as_f64().unwrap());
            assert!(f1.values().all(in_range), "{regime} {name}");
            // About the same number of parameters for all.
            let n_parameters = learner["n_parameters"].as_u64().unwrap();
            assert!(
                (2_500..6_500).contains(&n_parameters),
                "{name}: {n_parameters}"
            );
        }
        let gains = results["regimes"][regime]["gains"].as_array().unwrap();
        assert_eq!(gains.len(), n_learners - 1);
        // Those of a script know splits of HTRU2 only.
        assert!(results["regimes"][regime].get("from_script").is_none());
    }
    assert!(results.get("lightgbm_of_all_conditions").is_none());
    for file in [
        "results.json",
        "settings.json",
        "report.html",
        "seeds/seed0.json",
        "figures/critical_difference.svg",
        "figures/f1_over_noise_narrow.svg",
        "figures/f1_over_noise_broad.svg",
    ] {
        assert!(place.exists(&format!("arena/{file}")), "{file}");
    }
    // Taken up again, not computed anew: to the same bytes.
    let again = arena(&place, "candidates.csv", "arena", "");
    assert_eq!(results, again);
}

#[test]
fn the_same_seed_gives_the_same_scores_whatever_the_threads() {
    let place = place_with_table();
    let scores = |threads: &str| {
        let options =
            format!("--threads {threads} --learner emma_plus --learner emma --learner embrace_net");
        arena(&place, "candidates.csv", threads, &options)["regimes"].clone()
    };
    assert_eq!(scores("1"), scores("2"));
}

/// Whoever finds pulsars among labels that say nothing has seen the answers.
#[test]
fn shuffled_labels_leave_nothing_to_find() {
    let place = place_with_table();
    let text = place.read_text("candidates.csv");
    let lines: Vec<&str> = text.lines().collect();
    let rows: Vec<(&str, &str)> = lines[1..]
        .iter()
        .map(|line| line.rsplit_once(',').unwrap())
        .collect();
    // Labels of other rows: 733 has no divisor in common with 1,500.
    let shuffled = (0..rows.len()).map(|row| {
        let (_, label) = rows[(row * 733 + 11) % rows.len()];
        format!("{},{label}", rows[row].0)
    });
    let shuffled: Vec<String> = std::iter::once(lines[0].to_owned())
        .chain(shuffled)
        .collect();
    place.write("shuffled.csv", shuffled.join("\n") + "\n");
    let options = "--learner emma_plus --learner mode_dropout";
    let results = arena(&place, "shuffled.csv", "arena", options);
    let share = rows.iter().filter(|(_, label)| *label == "1").count() as f64 / rows.len() as f64;
    // Calling every row a pulsar has F1 = 2p/(1 + p); chance adds some on 246 rows.
    let nothing = 2. * share / (1. + share);
    for regime in ["narrow", "broad"] {
        for learner in ["emma_plus", "mode_dropout"] {
            let f1 = &results["regimes"][regime]["learners"][learner]["f1"]["uncorrupted"];
            let f1 = f1["mean"].as_f64().unwrap();
            assert!(f1 < nothing + 0.12, "{regime} {learner}: {f1} of {nothing}");
        }
    }
}

#[test]
fn bad_options_are_refused() {
    let place = place_with_table();
    let output = place.run("arena --swap-probability 0.5 --data candidates.csv");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("swap_probability"), "{stderr}");
}
