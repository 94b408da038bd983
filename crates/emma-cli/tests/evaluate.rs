//! `emma evaluate`: what cannot be measured is said.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;
use common::model::{Model, random_rows};

#[test]
fn refusals_name_what_was_expected() {
    let place = Place::new();
    let model = Model::random(&[2, 1], true, 5);
    place.write("model.safetensors", model.file());
    let rows = random_rows(40, 3, 1);
    let table = |label: &dyn Fn(usize) -> String| {
        let line = |(row, values): (usize, &Vec<f32>)| {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            format!("{},{}\n", values.join(","), label(row))
        };
        rows.iter().enumerate().map(line).collect::<String>()
    };
    place.write("good.csv", table(&|row| (row % 2).to_string()));
    place.write("words.csv", table(&|row| ["no", "yes"][row % 2].into()));
    place.write("one.csv", table(&|_| "1".into()));
    let mut lines = String::new();
    for arguments in [
        "--data good.csv --corrupt m9:noise:1",
        "--data good.csv --corrupt m0:nois:1",
        "--data good.csv --curve m0:noise:4..0",
        "--data good.csv --curve m9:noise:0..4",
        "--data good.csv --figure curve.svg",
        "--data good.csv --curve m0:noise:0..1 --figure curve.pdf",
        "--data good.csv --curve m0:noise:0..1 --figure good.csv",
        "--data words.csv",
        "--data one.csv",
        "--data nothing.csv",
    ] {
        let line = place.fail(
            2,
            &format!("evaluate --model model.safetensors {arguments}"),
        );
        assert_eq!(line.lines().count(), 1, "{line}");
        lines.push_str(&line);
    }
    insta::assert_snapshot!("refusals", lines);
    let text =
        place.succeed("evaluate --model model.safetensors --data good.csv --curve m0:noise:0..1/3");
    assert_eq!(text.matches(" to ").count(), 6 + 3, "{text}");
}
