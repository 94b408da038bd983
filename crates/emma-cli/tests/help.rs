//! What the program says of itself.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;

#[test]
fn help_of_the_program_and_of_every_command() {
    let place = Place::new();
    insta::assert_snapshot!("emma", place.succeed("--help"));
    insta::assert_snapshot!("experiment3", place.succeed("experiment3 --help"));
    insta::assert_snapshot!("score", place.succeed("score --help"));
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
    assert_eq!(
        error,
        "error: --device: expected cpu, the only device of this version, got tpu\n"
    );
}
