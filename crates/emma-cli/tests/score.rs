//! `emma score` against the format's formula, worked out here in plain f64.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::fmt::Write as _;

use common::Place;
use common::model::{Model, headerless, random_rows};

fn check(scores: &str, model: &Model, rows: &[Vec<f32>]) {
    let lines: Vec<&str> = scores.lines().skip(1).collect();
    assert_eq!(lines.len(), rows.len());
    for (number, (line, row)) in lines.iter().zip(rows).enumerate() {
        let fields: Vec<f64> = line
            .split(',')
            .map(|field| field.parse().unwrap())
            .collect();
        assert!((fields[0] - number as f64).abs() < 1e-9);
        for (position, expected) in model.expected(row).into_iter().enumerate() {
            let got = fields[position + 1];
            let allowed = 2e-7 * expected.abs() + 1e-9;
            assert!(
                (got - expected).abs() <= allowed,
                "row {number}, column {}: got {got}, expected {expected}",
                position + 1
            );
        }
    }
}

#[test]
fn scores_follow_the_formula_for_any_number_of_modes() {
    for (seed, features) in [(1, vec![4, 4]), (2, vec![1, 3, 2]), (3, vec![2; 7])] {
        let model = Model::random(&features, true, seed);
        let rows = random_rows(50, features.iter().sum(), seed);
        let place = Place::new();
        place.write("model.safetensors", model.file());
        place.write("rows.csv", headerless(&rows));
        let scores = place.succeed("score --model model.safetensors --data rows.csv --explain");
        let mut header = "row,probability,label,total_energy".to_owned();
        for mode in 0..features.len() {
            let _ = write!(
                header,
                ",potential_m{mode},energy_m{mode},importance_m{mode},attention_m{mode}"
            );
        }
        assert_eq!(scores.lines().next(), Some(header.as_str()));
        check(&scores, &model, &rows);

        let short = place.succeed("score --model model.safetensors --data rows.csv");
        for (short, long) in short.lines().zip(scores.lines()) {
            let first_four: Vec<&str> = long.split(',').take(4).collect();
            assert_eq!(short, first_four.join(","));
        }
    }
}

#[test]
fn scores_are_the_same_however_the_table_is_packed() {
    let model = Model::random(&[2, 1], true, 9);
    let rows = random_rows(5000, 3, 9);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    let table = headerless(&rows);
    place.write("rows.csv", &table);
    let expected = place.succeed("score --model model.safetensors --data rows.csv");
    // The name says nothing: the bytes do.
    let mut packings = vec![
        common::packed::gzip(table.as_bytes()),
        common::packed::zstd(table.as_bytes()),
    ];
    if cfg!(feature = "parquet") {
        let rows: Vec<[f32; 3]> = rows.iter().map(|row| [row[0], row[1], row[2]]).collect();
        packings.push(common::packed::float_columns(
            &["m0_0", "m0_1", "m1_0"],
            &rows,
        ));
    }
    for packed in packings {
        place.write("packed.csv", packed);
        let scores = place.succeed("score --model model.safetensors --data packed.csv");
        assert_eq!(scores, expected);
    }
}

#[test]
fn models_without_emma_write_probability_and_label_alone() {
    let model = Model::random(&[3, 2], false, 4);
    let rows = random_rows(20, 5, 4);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&rows));
    let scores = place.succeed("score --model model.safetensors --data rows.csv");
    assert_eq!(scores.lines().next(), Some("row,probability,label"));
    check(&scores, &model, &rows);
    let output = place.run("score --model model.safetensors --data rows.csv --explain");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), scores);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("has no EMMA")
    );
}

#[test]
fn columns_are_found_by_name_among_others_that_hold_text() {
    let model = Model::random(&[2, 1], true, 5);
    let rows = random_rows(10, 3, 5);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&rows));
    let expected = place.succeed("score --model model.safetensors --data rows.csv");
    for ending in ["\n", "\r\n", "\r"] {
        let mut table = format!("name,m1_0,m0_1,remark,m0_0,label{ending}");
        for row in &rows {
            let _ = write!(
                table,
                "a b,{},{},\"x, y\",{},unknown{ending}",
                row[2], row[1], row[0]
            );
        }
        place.write("table.csv", table);
        let scores = place.succeed("score --model model.safetensors --data table.csv");
        assert_eq!(scores, expected);
    }
    // A headerless table may have the label last.
    place.write("labelled.csv", headerless(&rows).replace('\n', ",1\n"));
    let scores = place.succeed("score --model model.safetensors --data labelled.csv");
    assert_eq!(scores, expected);
}

#[test]
fn rows_score_the_same_in_any_chunk_and_in_any_file() {
    let model = Model::random(&[3, 3], true, 6);
    let rows = random_rows(9000, 6, 6);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&rows));
    place.write("tail.csv", headerless(&rows[4000..4200]));
    let all = place.succeed("score --model model.safetensors --data rows.csv --explain");
    let tail = place.succeed("score --model model.safetensors --data tail.csv --explain");
    let numbers = all
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap().0);
    assert!(
        numbers.eq((0..9000).map(|row| row.to_string())),
        "rows are numbered in order"
    );
    let cut = |line: &str| line.split_once(',').map(|(_, rest)| rest.to_owned());
    let all: Vec<_> = all.lines().skip(1).map(cut).collect();
    let tail: Vec<_> = tail.lines().skip(1).map(cut).collect();
    assert_eq!(all.len(), 9000);
    assert_eq!(all[4000..4200], tail);
}

#[test]
fn rows_score_the_same_at_any_number_of_threads() {
    let model = Model::random(&[4, 4], true, 5);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    // Several chunks of one thread, in more than one of the reader's.
    place.write("rows.csv", headerless(&random_rows(6000, 8, 5)));
    let score = "score --model model.safetensors --data rows.csv --explain --threads";
    let one = place.succeed(&format!("{score} 1"));
    assert_eq!(one.lines().count(), 6001);
    assert_eq!(one, place.succeed(&format!("{score} 5")));
}

#[test]
fn a_written_file_equals_standard_output() {
    let model = Model::random(&[3, 3], true, 6);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&random_rows(30, 6, 6)));
    let printed = place.succeed("score --model model.safetensors --data rows.csv");
    place.succeed("score --model model.safetensors --data rows.csv --out scores.csv");
    assert_eq!(place.read_text("scores.csv"), printed);
}

#[test]
fn inputs_are_not_overwritten_and_devices_stay_devices() {
    let model = Model::random(&[2, 1], true, 5);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&random_rows(3, 3, 5)));
    for same in ["model.safetensors", "./rows.csv"] {
        let command = format!("score --model model.safetensors --data rows.csv --out {same}");
        let error = place.fail(2, &command);
        assert!(error.contains("expected another file than --"), "{error}");
    }
    assert_eq!(place.read("model.safetensors"), model.file());
    #[cfg(unix)]
    {
        place.succeed("score --model model.safetensors --data rows.csv --out /dev/null");
        let device = std::fs::metadata("/dev/null").unwrap();
        assert!(!device.is_file());
        std::os::unix::fs::symlink("real.csv", place.path().join("link.csv")).unwrap();
        place.write("real.csv", "old");
        place.succeed("score --model model.safetensors --data rows.csv --out link.csv");
        assert!(place.read_text("real.csv").starts_with("row,"));
    }
}

/// What the standard output is redirected to belongs to whoever redirected it.
#[cfg(unix)]
#[test]
fn the_standard_output_is_added_to_and_links_are_followed() {
    let model = Model::random(&[2, 1], true, 5);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&random_rows(3, 3, 5)));
    let score = "score --model model.safetensors --data rows.csv";
    let printed = place.succeed(score);
    place.write("log", "mine\n");
    let log = std::fs::File::options()
        .append(true)
        .open(place.path().join("log"))
        .unwrap();
    let mut command = place.command(&format!("{score} --out /dev/stdout"));
    assert!(command.stdout(log).status().unwrap().success());
    assert_eq!(place.read_text("log"), format!("mine\n{printed}"));

    std::fs::create_dir(place.path().join("folder")).unwrap();
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, place.path().join(name)).unwrap();
    };
    link("folder/real.csv", "dangling.csv");
    place.succeed(&format!("{score} --out dangling.csv"));
    assert_eq!(place.read_text("folder/real.csv"), printed);
    assert!(place.path().join("dangling.csv").is_symlink());
    link("rows.csv", "rows_too.csv");
    let error = place.fail(2, &format!("{score} --out rows_too.csv"));
    assert!(
        error.contains("expected another file than --data"),
        "{error}"
    );

    let mut permissions = std::fs::metadata(place.path().join("log"))
        .unwrap()
        .permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(place.path().join("log"), permissions).unwrap();
    let error = place.fail(2, &format!("{score} --out log"));
    assert!(error.contains("it is read-only"), "{error}");
    assert!(place.read_text("log").starts_with("mine\n"));
}

#[test]
fn an_empty_table_with_a_header_gives_a_header() {
    let model = Model::random(&[1, 1], true, 7);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", "m0_0,m1_0\n");
    let scores = place.succeed("score --model model.safetensors --data rows.csv");
    assert_eq!(scores, "row,probability,label,total_energy\n");
}
