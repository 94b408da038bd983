//! `emma experiment3` in pieces: shards that are merged, and runs that are killed.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;
#[path = "common/experiment3.rs"]
mod experiment3;

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::Place;
use experiment3::{FILES, SMALL, place_with_table, results, without_timing};
use rand::Rng;

/// Results and every model are the same.
fn assert_same(place: &Place, one: &str, other: &str) {
    assert_eq!(
        without_timing(results(place, one)),
        without_timing(results(place, other)),
        "{one} {other}"
    );
    for seed in 0..2 {
        for file in FILES {
            let file = format!("models/seed{seed}/{file}");
            assert_eq!(
                place.read(&format!("{one}/{file}")),
                place.read(&format!("{other}/{file}")),
                "{other}/{file}"
            );
        }
    }
}

/// Every file below a folder, with its contents.
fn contents(place: &Place, folder: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut folders = vec![place.path().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn merged_shards_are_the_whole_run() {
    let place = place_with_table();
    let said = place.succeed(&format!("{SMALL} --out whole"));
    // 16 models: shares begin inside of seeds, and with 20 shards some are empty.
    for of in [1, 3, 20] {
        let mut folders = String::new();
        for index in 0..of {
            let folder = format!("part{of}-{index}");
            let told = place.succeed(&format!("{SMALL} --shard {index}/{of} --out {folder}"));
            assert!(
                told.contains(&format!("shard {index}/{of}: ")) && !place.exists("results.json"),
                "{told}"
            );
            // In any order.
            folders = format!("{folder} {folders}");
        }
        let merged = format!("merged{of}");
        let merge = format!("experiment3 merge {folders} --out {merged} --quiet");
        assert_eq!(
            place.succeed(&merge),
            said.replace(": whole/", &format!(": {merged}/"))
        );
        assert_same(&place, "whole", &merged);
        assert_eq!(
            place.read("whole/settings.json"),
            place.read(&format!("{merged}/settings.json"))
        );
        let finished = contents(&place, &merged);
        place.succeed(&merge);
        assert_eq!(contents(&place, &merged), finished, "it is reprinted");
    }
}

#[test]
fn test_rows_are_scored_by_the_merge_alone() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --shard 0/1 --out part"));
    let names = contents(&place, "part");
    let names: Vec<String> = names
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    // Eight models and five for the sweep, of two seeds, with what training found, and the settings.
    assert_eq!(names.len(), 2 * 13 * 2 + 1, "{names:?}");
    assert!(
        !names.iter().any(|name| name.contains("outcome")),
        "{names:?}"
    );
    // What a version without a sweep kept is trained again.
    let path = "part/models/seed0/unscored/with-001.json";
    let mut kept: serde_json::Value = serde_json::from_str(&place.read_text(path)).unwrap();
    let capacity = kept.as_object_mut().unwrap().remove("rectified_capacity");
    assert!(capacity.is_some());
    place.write(path, kept.to_string());
    place.succeed(&format!("{SMALL} --shard 0/1 --out part"));
    let again: serde_json::Value = serde_json::from_str(&place.read_text(path)).unwrap();
    assert_eq!(again.get("rectified_capacity"), capacity.as_ref());
}

#[test]
fn shards_that_do_not_make_a_whole_are_refused_and_nothing_is_written() {
    let place = place_with_table();
    let other = SMALL.replace("--epochs 3", "--epochs 2");
    for (command, shard, folder) in [
        (SMALL, "0/3", "a"),
        (SMALL, "1/3", "b"),
        (SMALL, "2/3", "c"),
        (SMALL, "1/3", "b-again"),
        (SMALL, "1/2", "half"),
        (&other, "1/3", "other"),
        (&other, "2/3", "unfinished"),
    ] {
        place.succeed(&format!("{command} --shard {shard} --out {folder}"));
    }
    place.succeed(&format!("{SMALL} --out whole"));
    place.write("c/models/seed1/unscored/with-002.safetensors", "half");
    place.write(
        "other.csv",
        place.read_text("candidates.csv").replace("0.1", "0.2"),
    );
    let mut report = String::new();
    for arguments in [
        "a b",
        "a a b c",
        "a b b-again c",
        "a half",
        "a other c",
        "a b c",
        "a whole",
        "a absent",
        "a b c --data other.csv",
        "a b c --data absent.csv",
        "",
    ] {
        let command = format!("experiment3 merge {arguments} --out out --quiet");
        let error = place.fail(2, &command);
        assert_eq!(error.lines().count(), 1, "{error}");
        let error: Vec<&str> = error
            .split_whitespace()
            .map(|word| {
                let is_digest = word.trim_end_matches(',').len() == 64;
                if is_digest { "DIGEST" } else { word }
            })
            .collect();
        let _ = writeln!(report, "$ {command}\n{}", error.join(" "));
        assert!(!place.exists("out"), "{command}");
    }
    let settings = place.read_text("half/settings.json");
    let settings = settings.replace(r#""version": ""#, r#""version": "0.0."#);
    place.write("half/settings.json", settings);
    std::fs::rename(place.path().join("c"), place.path().join("d")).unwrap();
    std::fs::create_dir(place.path().join("c")).unwrap();
    place.write("c/settings.json", "{");
    for command in [
        "experiment3 merge a b c --out out",
        "experiment3 merge a half --out out",
        "experiment3 merge a b d --out a",
        "experiment3 --shard 3/3",
        "experiment3 --shard 1",
        "experiment3 --shard 0/2 --json",
    ] {
        let error = place.fail(2, command);
        assert_eq!(error.lines().count(), 1, "{error}");
        let _ = write!(report, "$ {command}\n{error}");
    }
    // A folder is of one shard for good.
    let error = place.fail(2, &format!("{SMALL} --shard 2/3 --out b"));
    let _ = write!(report, "$ --shard 2/3 into the folder of 1/3\n{error}");
    let error = place.fail(2, &format!("{SMALL} --out b"));
    let _ = write!(report, "$ all of it into the folder of 1/3\n{error}");
    insta::assert_snapshot!("refusals", report);
}

#[test]
fn a_merge_does_not_overwrite_other_results() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --shard 0/1 --out part"));
    let other = SMALL.replace("--epochs 3", "--epochs 2");
    place.succeed(&format!("{other} --out out"));
    let before = contents(&place, "out");
    let merge = "experiment3 merge part --out out --quiet";
    assert_eq!(
        place.fail(2, merge),
        "error: out holds results of another setting: training.n_epochs was 2, now it is 3; \
         choose another --out, or start anew with --fresh\n"
    );
    assert_eq!(contents(&place, "out"), before);
    place.succeed(&format!("{merge} --fresh"));
    place.succeed(&format!("{SMALL} --out whole"));
    assert_same(&place, "whole", "out");
}

/// Every file's place below a folder.
fn names(place: &Place, folder: &str) -> Vec<std::path::PathBuf> {
    let root = place.path().join(folder);
    let files = contents(place, folder).into_iter();
    files
        .map(|(path, _)| path.strip_prefix(&root).unwrap().to_owned())
        .collect()
}

/// How often runs are killed: `cargo xtask soak` asks for more.
fn wanted_kills() -> usize {
    let wanted = std::env::var("EMMA_TEST_KILLS");
    wanted.map_or(3, |wanted| wanted.parse().unwrap())
}

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let place = place_with_table();
    let start = Instant::now();
    place.succeed(&format!("{SMALL} --out whole"));
    let whole = start.elapsed();
    let rng = &mut emma_testkit::rng(6);
    let wanted = wanted_kills();
    let mut killed = 0;
    // A machine that is suddenly faster may finish before it is killed; not time after time.
    for campaign in 0..10 * wanted {
        if killed == wanted {
            break;
        }
        let out = format!("out{campaign}");
        let run = format!("{SMALL} --out {out}");
        while killed < wanted {
            let mut command = place.command(&run);
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_secs_f64(
                whole.as_secs_f64() * rng.random_range(0.02..0.8),
            ));
            let is_running = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            if !is_running {
                break;
            }
            killed += 1;
        }
        place.succeed(&run);
        assert_same(&place, "whole", &out);
        assert_eq!(
            names(&place, &out),
            names(&place, "whole"),
            "nothing is left"
        );
        std::fs::remove_dir_all(place.path().join(&out)).unwrap();
    }
    assert_eq!(killed, wanted);
}

/// What a killed run had trained is not trained again: a model that was put there is taken as it is.
#[test]
fn a_trained_model_is_taken_up_again() {
    let place = place_with_table();
    place.succeed(&format!("{SMALL} --out whole"));
    place.succeed(&format!("{SMALL} --shard 0/1 --out part"));
    let folder = |out: &str| format!("{out}/models/seed1/unscored");
    std::fs::create_dir_all(place.path().join(folder("out"))).unwrap();
    std::fs::copy(
        place.path().join("whole/settings.json"),
        place.path().join("out/settings.json"),
    )
    .unwrap();
    // Another seed's network would be noticed.
    for name in ["without.safetensors", "without.json"] {
        let source = format!("part/models/seed0/unscored/{name}");
        place.write(&format!("{}/{name}", folder("out")), place.read(&source));
    }
    place.succeed(&format!("{SMALL} --out out"));
    let (whole, out) = (results(&place, "whole"), results(&place, "out"));
    let without = |results: &serde_json::Value| results["models"]["without"]["thresholds"].clone();
    assert_ne!(without(&whole)[1], without(&out)[1]);
    assert_eq!(without(&out)[1], without(&out)[0]);
    assert_eq!(
        whole["models"]["with"]["thresholds"],
        out["models"]["with"]["thresholds"]
    );
}
