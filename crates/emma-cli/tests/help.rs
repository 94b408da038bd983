//! What the program says of itself.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;

#[test]
fn help_of_the_program_and_of_every_command() {
    let place = Place::new();
    insta::assert_snapshot!("emma", place.succeed("--help"));
    insta::assert_snapshot!("experiment1", place.succeed("experiment1 --help"));
    insta::assert_snapshot!("experiment2", place.succeed("experiment2 --help"));
    insta::assert_snapshot!("experiment3", place.succeed("experiment3 --help"));
    insta::assert_snapshot!(
        "experiment3_merge",
        place.succeed("experiment3 merge --help")
    );
    insta::assert_snapshot!("init", place.succeed("init --help"));
    insta::assert_snapshot!("train", place.succeed("train --help"));
    insta::assert_snapshot!("evaluate", place.succeed("evaluate --help"));
    insta::assert_snapshot!("score", place.succeed("score --help"));
    insta::assert_snapshot!("inspect", place.succeed("inspect --help"));
    insta::assert_snapshot!("data_fetch", place.succeed("data fetch --help"));
    insta::assert_snapshot!("data_compare", place.succeed("data compare --help"));
    insta::assert_snapshot!("data_simulate", place.succeed("data simulate --help"));
    insta::assert_snapshot!("data_coupling", place.succeed("data coupling --help"));
    insta::assert_snapshot!("data_manifold", place.succeed("data manifold --help"));
    insta::assert_snapshot!("data_describe", place.succeed("data describe --help"));
    insta::assert_snapshot!("data_corrupt", place.succeed("data corrupt --help"));
    insta::assert_snapshot!("data", place.succeed("data --help"));
    insta::assert_snapshot!("data_corruptions", place.succeed("data corruptions --help"));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let place = Place::new();
    for arguments in [
        "",
        "nonsense",
        "score",
        "experiment3 --seeds 0",
        "experiment3 --seeds 18446744073709551615",
        "experiment3 --epochs 18446744073709551615",
        "experiment3 --threads none",
        "experiment3 --quick --seeds 3",
        "experiment3 --positive-weight -1",
        "experiment3 --threshold-rule best",
        "experiment3 --metric auc",
    ] {
        place.fail(2, arguments);
    }
    let error = place.fail(2, "experiment3 --device tpu");
    let line = error.lines().next().unwrap();
    assert_eq!(
        line,
        "error: invalid value 'tpu' for '--device <DEVICE>': expected cpu, cuda, cuda:N (N the \
         card's number, from 0) or metal"
    );
}

/// Neither command may start anything on a device that it does not get.
#[test]
fn a_device_that_is_not_there_is_one_line_and_exit_code_2() {
    let place = Place::new();
    let commands = ["experiment3 --out out", "score --model m --data d"];
    for (device, name, compiled_in) in [
        ("cuda:9999", "CUDA", cfg!(feature = "cuda")),
        ("metal", "Metal", cfg!(feature = "metal")),
    ] {
        for command in commands {
            if compiled_in && device == "metal" {
                // Where Metal is built in, it is there.
                continue;
            }
            let error = place.fail(2, &format!("{command} --device {device}"));
            let expected = if compiled_in {
                format!("error: --device {device}: expected a {name} device that opens, got: ")
            } else {
                let feature = name.to_lowercase();
                format!(
                    "error: --device {device}: this emma was built without {name}; build it with \
                     `cargo build --release -p emma-cli --features {feature}`\n"
                )
            };
            assert!(error.starts_with(&expected), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
    assert!(!place.exists("out"));
}
