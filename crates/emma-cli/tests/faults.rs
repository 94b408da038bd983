//! A disk that fills up while the program writes: the old file or the new one is there, never half of
//! one.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::process::Output;

use common::Place;
use common::model::{Model, headerless, random_rows};

/// Runs `emma` where no file may grow beyond so many blocks of 512 bytes.
fn run_with_room_for(blocks: usize, place: &Place, arguments: &str) -> Output {
    let emma = place.command(arguments);
    let mut shell = std::process::Command::new("sh");
    // Without the trap a write beyond the limit would end the process at once.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    shell.args(["-c", &script, "sh"]);
    shell.arg(emma.get_program()).args(emma.get_args());
    shell.current_dir(place.path());
    for (key, value) in emma.get_envs() {
        match value {
            Some(value) => shell.env(key, value),
            None => shell.env_remove(key),
        };
    }
    shell.output().unwrap()
}

fn names(place: &Place, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.path().join(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn scores_are_written_whole_or_not_at_all() {
    let place = Place::new();
    place.write("model.safetensors", Model::random(&[2, 1], true, 5).file());
    place.write("rows.csv", headerless(&random_rows(9000, 3, 5)));
    let arguments = "score --model model.safetensors --data rows.csv --out scores.csv";
    place.succeed(arguments);
    let whole = place.read("scores.csv");
    let mut failed = 0;
    for blocks in [0, 1, 7, 64, 300, whole.len() / 512, whole.len() / 512 + 4] {
        for old in [None, Some("old")] {
            let _ = std::fs::remove_file(place.path().join("scores.csv"));
            if let Some(old) = old {
                place.write("scores.csv", old);
            }
            let output = run_with_room_for(blocks, &place, arguments);
            let error = String::from_utf8(output.stderr).unwrap();
            if output.status.success() {
                assert_eq!(place.read("scores.csv"), whole);
                continue;
            }
            failed += 1;
            assert_eq!(output.status.code(), Some(1), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            let left = place
                .exists("scores.csv")
                .then(|| place.read_text("scores.csv"));
            assert_eq!(left.as_deref(), old, "{blocks} blocks");
            assert_eq!(names(&place, ".").len(), 2 + usize::from(old.is_some()));
        }
    }
    assert_eq!(failed, 12, "all but the largest limit are too small");
}

#[test]
fn an_experiment_goes_on_after_the_disk_was_full() {
    let place = Place::new();
    let table = emma_testkit::candidates::csv(300, true, &mut emma_testkit::rng(1));
    place.write("candidates.csv", table);
    let arguments = "experiment3 --data candidates.csv --seeds 1 --epochs 2 --quiet --out";
    place.succeed(&format!("{arguments} whole"));
    // Too little for the settings, for the first model, for the results.
    for blocks in [0, 2, 3, 6] {
        let out = format!("out{blocks}");
        let output = run_with_room_for(blocks, &place, &format!("{arguments} {out}"));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{blocks} blocks: {error}");
        assert!(!place.exists(&format!("{out}/results.json")));
        place.succeed(&format!("{arguments} {out}"));
        let model = "models/seed0/with.safetensors";
        assert_eq!(
            place.read(&format!("{out}/{model}")),
            place.read(&format!("whole/{model}"))
        );
        assert_eq!(names(&place, &out), names(&place, "whole"));
    }
}

#[test]
fn a_table_and_its_truth_are_written_whole_or_not_at_all() {
    let place = Place::new();
    place.succeed("data simulate --rows 400 --out survey.csv --quiet");
    place.write("bad.csv", "old");
    let before = names(&place, ".");
    let corrupt = "data corrupt --data survey.csv --mode ip=ip_mean,ip_std --mode dm=dm_mean,dm_std \
                   --corrupt ip:noise:0.5 --out bad.csv";
    for arguments in [
        corrupt,
        "data simulate --rows 50 --out bad.csv --raw raw.csv",
        #[cfg(feature = "parquet")]
        "data simulate --rows 50 --out bad.csv --raw raw.parquet",
        "data coupling --rows 500 --out bad.csv --conflict 0.5",
        "data manifold wave --rows 500 --out bad.csv",
    ] {
        // Nothing fits; the truth does, and the table does not.
        for blocks in [0, 11] {
            let output = run_with_room_for(blocks, &place, arguments);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            assert_eq!(place.read("bad.csv"), b"old", "{arguments}");
            assert_eq!(names(&place, "."), before, "{arguments}");
        }
    }
    place.succeed(corrupt);
    assert!(place.exists("bad.truth.csv"));
}

#[test]
fn a_full_device_is_no_bad_input() {
    if !std::path::Path::new("/dev/full").exists() {
        return; // Linux has it.
    }
    let place = Place::new();
    place.write("model.safetensors", Model::random(&[2, 1], true, 5).file());
    place.write("rows.csv", headerless(&random_rows(10, 3, 5)));
    let arguments = "score --model model.safetensors --data rows.csv --out /dev/full";
    let error = place.fail(1, arguments);
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let place = Place::new();
    place.write("model.safetensors", Model::random(&[2, 1], true, 5).file());
    // More output than a pipe holds.
    place.write("rows.csv", headerless(&random_rows(50_000, 3, 1)));
    let mut child = place
        .command("score --model model.safetensors --data rows.csv")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.as_str()), (Some(0), ""));
}
