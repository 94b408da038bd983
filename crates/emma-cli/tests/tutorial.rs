//! The commands of `docs/tutorial.md`, in their order, do what the page says.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/tutorial.md");

/// The lines of all blocks of commands.
fn commands() -> Vec<&'static str> {
    let blocks = PAGE.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    lines
        .map(|line| line.strip_prefix("emma ").unwrap())
        .collect()
}

#[test]
fn every_command_of_the_page_does_what_it_says() {
    let place = Place::new();
    let mut said = Vec::new();
    for command in commands() {
        if command.starts_with("train") {
            // As long as the page's training, but for a test's patience.
            let config = place.read_text("emma.toml");
            let shorter = config.replace("epochs = 35", "epochs = 15");
            place.write("emma.toml", shorter.replace("epochs = 30", "epochs = 15"));
        }
        said.push((command, place.succeed(command)));
    }
    let of = |start: &str| -> Vec<&str> {
        let with = said
            .iter()
            .filter(|(command, _)| command.starts_with(start));
        with.map(|(_, said)| said.as_str()).collect()
    };
    let config = place.read_text("emma.toml");
    assert!(config.contains("task = \"multiclass\"") && config.contains("label = \"state\""));
    for mode in ["vibration", "temperature", "current"] {
        assert!(
            config.contains(&format!("\n{mode} = [\"{mode}_")),
            "{config}"
        );
    }
    let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
    let f1 = |condition: &str| metrics["test"][condition]["macro_f1"].as_f64().unwrap();
    assert!(f1("uncorrupted") > 0.9, "{}", of("train")[0]);
    assert!(f1("temperature:missing") > 0.6, "{}", of("train")[0]);
    assert_eq!(place.read_text("scores.csv").lines().count(), 2001);

    // The first score command writes to a file; then a clean and a broken thermometer.
    let [_, clean, broken] = of("score")[..] else {
        panic!("three commands score");
    };
    let n_suspect = |text: &str| text.matches("temperature suspect").count();
    assert_eq!(clean.lines().count(), 6);
    assert!(
        n_suspect(broken) >= 4 && n_suspect(clean) <= 1,
        "{clean}\n{broken}"
    );
    assert!(of("evaluate")[0].contains("macro_f1 over temperature:noise:0..4"));
    let [quiet, alarms] = of("monitor")[..] else {
        panic!("two commands monitor");
    };
    assert_eq!(quiet, "");
    let first: Value = serde_json::from_str(alarms.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["mode"], &first["direction"]),
        (&"temperature".into(), &"up".into())
    );
    assert!(first["row"].as_u64().unwrap() < 50, "{first}");
    assert!(place.exists("curve.svg") && place.exists("model.onnx"));
}
