//! `emma data fetch`, and experiments that need HTRU2, against a server on loopback.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use common::Place;
use common::http_server::{Answer, HttpServer, zip_of};
use sha2::{Digest, Sha256};

/// Commands that want HTRU2 and nothing else.
const COMMANDS: [&str; 2] = [
    "data fetch htru2 --data-dir data",
    "experiment3 --data htru2 --data-dir data --quick --epochs 1 --out out",
];

fn run(place: &Place, arguments: &str, url: &str) -> Output {
    let mut command = place.command(arguments);
    command.env("EMMA_HTRU2_URL", url).output().unwrap()
}

fn fail(place: &Place, code: i32, arguments: &str, url: &str) -> String {
    let output = run(place, &format!("{arguments} --quiet"), url);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "emma {arguments}: {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(output.stdout.is_empty());
    text
}

/// HTRU2 itself, where the machine that runs the tests has it.
fn htru2() -> Option<PathBuf> {
    let folder = std::env::var_os("EMMA_DATA_DIR")?;
    let path = Path::new(&folder).join("htru2/HTRU_2.csv");
    path.is_file().then_some(path)
}

#[test]
fn a_download_that_fails_says_why_and_leaves_nothing() {
    let zip = zip_of("HTRU_2.csv", b"1,2,3\n");
    for (answer, code, expected) in [
        (
            Answer::Status(404),
            1,
            "expected HTTP status 200, found 404".to_owned(),
        ),
        (
            Answer::HalfThenClosed(zip.clone()),
            1,
            format!(
                "expected {} bytes, found the connection closed after {} bytes",
                zip.len(),
                zip.len() / 2
            ),
        ),
        (
            Answer::Whole(zip),
            2,
            "found 7a8988e95e356e2b5b8fecf5e31f7c2e7e8fb44a5cd9d89ebb0d1e60b1f5c689".to_owned(),
        ),
        (
            Answer::Whole(b"<html>".to_vec()),
            2,
            "expected a zip archive with HTRU_2.csv in it".to_owned(),
        ),
    ] {
        let server = HttpServer::start(answer);
        for command in COMMANDS {
            let place = Place::new();
            let error = fail(&place, code, command, &server.url());
            let start = "error: cannot download HTRU2 (unpack HTRU_2.csv from \
                         https://archive.ics.uci.edu/static/public/372/htru2.zip to \
                         data/htru2/HTRU_2.csv by hand, or name a mirror in EMMA_HTRU2_URL): ";
            assert!(error.starts_with(start), "{error}");
            assert!(error.contains(&expected), "{error}");
            let left = std::fs::read_dir(place.path()).unwrap().count();
            assert_eq!(left, 0, "{command} leaves nothing");
        }
        assert_eq!(server.requests(), COMMANDS.len());
    }
}

#[test]
fn an_interrupted_download_leaves_nothing() {
    let server = HttpServer::start(Answer::HalfThenSilence(zip_of("HTRU_2.csv", b"1,2,3\n")));
    let place = Place::new();
    let mut command = place.command(COMMANDS[0]);
    command
        .env("EMMA_HTRU2_URL", server.url())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    while server.requests() == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Time for the half that the server sends.
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn another_file_in_the_place_of_htru2_is_an_error_and_stays() {
    let server = HttpServer::start(Answer::Status(404));
    for command in COMMANDS {
        let place = Place::new();
        std::fs::create_dir_all(place.path().join("data/htru2")).unwrap();
        place.write("data/htru2/HTRU_2.csv", "1,2,3\n");
        let error = fail(&place, 2, command, &server.url());
        assert!(error.contains("SHA-256"), "{error}");
        assert_eq!(place.read_text("data/htru2/HTRU_2.csv"), "1,2,3\n");
        assert!(!place.exists("out"));
    }
    assert_eq!(server.requests(), 0, "nothing is downloaded over it");
}

/// Runs into a folder of somebody else's, so that it ends once the data are there.
#[test]
fn without_htru2_auto_runs_on_the_simulated_survey_and_says_so_loudly() {
    for answer in [
        Answer::Status(404),
        Answer::Whole(zip_of("HTRU_2.csv", b"1,2,3\n")),
        Answer::HalfThenClosed(zip_of("HTRU_2.csv", b"1,2,3\n")),
    ] {
        let server = HttpServer::start(answer);
        let place = Place::new();
        std::fs::create_dir(place.path().join("out")).unwrap();
        place.write("out/notes.txt", "mine");
        let output = run(&place, "experiment3 --quiet --out out", &server.url());
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "experiment3 on a SIMULATED survey, NOT on HTRU2: 17,898 candidates, 1,639 pulsars; 10 \
             seeds\n"
        );
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.starts_with("warning: cannot download HTRU2 ("),
            "{told}"
        );
        assert!(
            told.contains("\nwarning: running on the SIMULATED survey instead"),
            "{told}"
        );
        assert!(!place.exists("data"), "nothing is kept");
    }
}

#[test]
fn an_experiment_on_the_simulated_survey_can_be_repeated_from_its_file() {
    let place = Place::new();
    let said = place.succeed("experiment3 --data simulated --seeds 1 --epochs 1 --quiet --out out");
    assert!(
        said.starts_with("experiment3 on a SIMULATED survey, NOT on HTRU2: "),
        "{said}"
    );
    assert!(
        said.contains("F1 on test rows of a SIMULATED survey, "),
        "{said}"
    );
    let results: serde_json::Value =
        serde_json::from_str(&place.read_text("out/results.json")).unwrap();
    assert_eq!(results["data"]["source"], "simulated");
    place.succeed("data simulate --out survey.csv");
    let digest = Sha256::digest(place.read("survey.csv"));
    assert_eq!(results["data"]["sha256"], format!("{digest:x}"));
}

#[test]
fn simulated_tables_hold_together_at_any_number_of_threads() {
    let place = Place::new();
    let simulate = "data simulate --rows 300 --seed 7 --pulsar-fraction 0.25";
    place.succeed(&format!(
        "{simulate} --out a.csv --curves curves.csv --threads 1"
    ));
    place.succeed(&format!("{simulate} --out b.csv --truth t.csv --threads 3"));
    assert_eq!(place.read("a.csv"), place.read("b.csv"));
    assert_eq!(place.read("a.truth.csv"), place.read("t.csv"));
    assert!(!place.exists("b.truth.csv"));

    let fields = |file: &str| -> Vec<Vec<String>> {
        let text = place.read_text(file);
        let rows = text.lines().skip(1);
        rows.map(|row| row.split(',').map(str::to_owned).collect())
            .collect()
    };
    let (table, truth, curves) = (fields("a.csv"), fields("t.csv"), fields("curves.csv"));
    assert_eq!((table.len(), truth.len(), curves.len()), (300, 300, 300));
    assert_eq!(table.iter().filter(|row| row[8] == "1").count(), 75);
    for (number, ((row, truth), curves)) in table.iter().zip(&truth).zip(&curves).enumerate() {
        assert_eq!(
            (&truth[0], &curves[0]),
            (&number.to_string(), &number.to_string())
        );
        assert_eq!(truth[1] == "pulsar", row[8] == "1");
        let bytes: Vec<f64> = curves[1..]
            .iter()
            .map(|byte| byte.parse().unwrap())
            .collect();
        let (profile, dm_curve) = bytes.split_at(128);
        for (curve, features) in [(profile, &row[..4]), (dm_curve, &row[4..8])] {
            // The first two of the four moments; the library's tests recompute all.
            let n = curve.len() as f64;
            let mean = curve.iter().sum::<f64>() / n;
            let variance = curve.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            for (feature, expected) in features.iter().zip([mean, variance.sqrt()]) {
                let feature: f64 = feature.parse().unwrap();
                assert!((feature - expected).abs() <= 1e-6 * expected.abs() + 1e-6);
            }
        }
    }
    // Any reader of HTRU2 takes it.
    let said = place.succeed("experiment3 --data a.csv --seeds 1 --epochs 1 --quiet --out out");
    assert!(said.starts_with("experiment3 on a.csv: 300 candidates, 75 pulsars; 1 seed\n"));
}

/// A table of 400 rows, a fifth of them of class 1.
fn table(seed: u64, change: impl Fn(&mut [String])) -> String {
    let table = emma_testkit::candidates::csv(400, false, &mut emma_testkit::rng(seed));
    let mut text = String::new();
    for line in table.lines() {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        change(&mut fields);
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

#[test]
fn differences_between_tables_are_found_where_they_are() {
    let place = Place::new();
    place.write("a.csv", table(1, |_| {}));
    place.write("like_a.csv", table(2, |_| {}));
    place.write(
        "moved.csv",
        table(3, |fields| {
            if fields[8] == "1" {
                fields[5] = "500".into();
            }
        }),
    );
    let text = place.succeed("data compare --data a.csv --with a.csv");
    assert!(
        text.starts_with("a.csv, 400 rows, and a.csv, 400 rows\n"),
        "{text}"
    );
    let compare = |with: &str| -> serde_json::Value {
        let command = format!("data compare --data a.csv --with {with} --json");
        serde_json::from_str(&place.succeed(&command)).unwrap()
    };
    let same = compare("a.csv");
    for class in same["classes"].as_array().unwrap() {
        for feature in class["features"].as_array().unwrap() {
            assert_eq!(feature["ks"], 0.);
            for quantile in feature["quantiles"].as_array().unwrap() {
                assert_eq!(quantile["values"][0], quantile["values"][1]);
            }
        }
    }
    // The standard error of an area of one half over 800 rows is 0.02.
    let alike = compare("like_a.csv")["roc_auc"].as_f64().unwrap();
    assert!((alike - 0.5).abs() < 0.08, "{alike}");
    let moved = compare("moved.csv");
    assert_eq!(moved["classes"][1]["features"][5]["name"], "dm_std");
    assert_eq!(moved["classes"][1]["features"][5]["ks"], 1.);
    assert!(moved["classes"][0]["features"][5]["ks"].as_f64().unwrap() < 0.15);
    // The fifth that moved, and the fifth of the other table that did not, are known for sure: at best
    // 0.2 + 0.8 (0.2 + 0.8 / 2) = 0.68.
    let auc = moved["roc_auc"].as_f64().unwrap();
    assert!((0.56..0.72).contains(&auc), "{auc}");
}

/// What the survey was made for, on the data that it was fitted to.
#[test]
fn the_simulated_survey_is_like_htru2() {
    if htru2().is_none() {
        eprintln!("SKIPPED: EMMA_DATA_DIR names no folder with htru2/HTRU_2.csv");
        return;
    }
    let place = Place::new();
    let mut command = place.command("data compare");
    command.env("EMMA_DATA_DIR", std::env::var_os("EMMA_DATA_DIR").unwrap());
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    // Figures of HTRU2 as they are printed; its rows are in no file here. What a network learns may differ in
    // its last digits from one processor to the next.
    let (tables, network) = text.split_once("\nA network").unwrap();
    insta::assert_snapshot!("comparison_with_htru2", tables);
    let rows = tables
        .lines()
        .filter(|line| line.starts_with("  ip_") || line.starts_with("  dm_"));
    let distances: Vec<f64> = rows
        .map(|row| row.split_whitespace().nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(distances.len(), 16);
    assert!(
        distances.iter().all(|&distance| distance < 0.15),
        "{tables}"
    );
    let mut words = network.split_whitespace().skip_while(|&word| word != "of");
    let auc: f64 = words.nth(1).unwrap().parse().unwrap();
    assert!((0.7..0.8).contains(&auc), "{network}");
}

/// Only HTRU2's own digest is accepted.
#[test]
fn htru2_is_fetched_once_and_kept() {
    let Some(path) = htru2() else {
        eprintln!("SKIPPED: EMMA_DATA_DIR names no folder with htru2/HTRU_2.csv");
        return;
    };
    let rows = std::fs::read(path).unwrap();
    let server = HttpServer::start(Answer::Whole(zip_of("HTRU_2.csv", &rows)));
    let place = Place::new();
    std::fs::create_dir_all(place.path().join("data/htru2")).unwrap();
    let abandoned = place.path().join("data/htru2/.emma-x7Y.unfinished");
    std::fs::write(&abandoned, "half").unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(&abandoned)
        .unwrap();
    let two_hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    file.set_modified(two_hours_ago).unwrap();
    for (count, state) in [(1, "downloaded"), (1, "already there")] {
        let output = run(&place, COMMANDS[0], &server.url());
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        let start = format!("data/htru2/HTRU_2.csv: 17,898 candidates, 1,639 pulsars; {state}, ");
        assert!(said.starts_with(&start), "{said}");
        assert_eq!(server.requests(), count);
        assert_eq!(place.read("data/htru2/HTRU_2.csv"), rows);
        let left = std::fs::read_dir(place.path().join("data/htru2")).unwrap();
        assert_eq!(left.count(), 1);
    }
    let output = run(&place, &format!("{} --json", COMMANDS[0]), &server.url());
    let about: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(about["rows"], 17_898);
    assert_eq!(about["downloaded"], false);
}
