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
    insta::assert_snapshot!("coupling_study", place.succeed("coupling-study --help"));
    insta::assert_snapshot!("init", place.succeed("init --help"));
    insta::assert_snapshot!("train", place.succeed("train --help"));
    insta::assert_snapshot!("monitor", place.succeed("monitor --help"));
    insta::assert_snapshot!("evaluate", place.succeed("evaluate --help"));
    insta::assert_snapshot!("score", place.succeed("score --help"));
    insta::assert_snapshot!("transform", place.succeed("transform --help"));
    insta::assert_snapshot!("inspect", place.succeed("inspect --help"));
    insta::assert_snapshot!("export", place.succeed("export --help"));
    insta::assert_snapshot!("completions", place.succeed("completions --help"));
    insta::assert_snapshot!("man", place.succeed("man --help"));
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

#[test]
fn the_long_version_begins_with_the_short_one_and_names_the_features() {
    let place = Place::new();
    let version = concat!("emma ", env!("CARGO_PKG_VERSION"));
    assert_eq!(place.succeed("-V"), format!("{version}\n"));
    let text = place.succeed("--version");
    let [first, commit, features] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    assert_eq!(first, version);
    let commit = commit.strip_prefix("commit: ").unwrap();
    let is_digest = commit.len() == 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A release build outside of a repository knows none.
    assert_eq!(
        is_digest || commit == "unknown",
        !cfg!(debug_assertions),
        "{commit}"
    );
    let features = features.strip_prefix("features: ").unwrap();
    for (name, compiled_in) in [
        ("parquet", cfg!(feature = "parquet")),
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
    ] {
        assert_eq!(
            features.split(", ").any(|found| found == name),
            compiled_in,
            "{text}"
        );
    }
}

#[test]
fn colors_are_for_terminals_and_for_those_who_want_them() {
    const ESCAPE: u8 = 0x1b;
    let place = Place::new();
    for arguments in ["--help", "score --modle a", "score --model a --data b"] {
        let colored = |settings: &[(&str, &str)]| {
            let mut command = place.command(arguments);
            for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"] {
                command.env_remove(name);
            }
            let output = command.envs(settings.iter().copied()).output().unwrap();
            let colors = |bytes: &[u8]| bytes.contains(&ESCAPE);
            colors(&output.stdout) || colors(&output.stderr)
        };
        // A pipe is no terminal; forced, it is shown that there are colors to leave out.
        assert!(!colored(&[]), "{arguments}");
        assert!(colored(&[("CLICOLOR_FORCE", "1")]), "{arguments}");
        assert!(
            !colored(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]),
            "{arguments}"
        );
    }
}

#[test]
fn completions_know_every_command_in_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.succeed(&format!("completions {shell}"));
        for word in [
            "experiment3",
            "score",
            "export",
            "simulate",
            "pulsar-fraction",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn a_manual_page_for_every_command() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("pages")).unwrap();
    place.succeed("man --out pages");
    let mut names: Vec<String> = std::fs::read_dir(place.path().join("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    insta::assert_snapshot!("manual_pages", names.join("\n"));
    let all = place.succeed("man");
    for name in &names {
        let page = place.read_text(&format!("pages/{name}"));
        assert!(all.contains(&page), "{name}");
        // No date: the same program writes the same pages.
        let command = name.strip_suffix(".1").unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let title = format!(".TH {command} 1 \" \" \"emma {version}\" EMMA");
        assert!(page.lines().any(|line| line == title), "{page}");
    }
    insta::assert_snapshot!("man_export", place.read_text("pages/emma-export.1"));
    assert_eq!(place.fail(2, "man --out nowhere").lines().count(), 1);
}
