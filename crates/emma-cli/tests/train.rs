//! A model for a table of one's own: `emma init`, `emma train`, and `emma evaluate` of what comes of it.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::fmt::Write as _;
use std::time::Duration;

use common::Place;
use rand::Rng;
use serde_json::Value;

/// What a training leaves.
const LEFT: [&str; 3] = ["model.safetensors", "metrics.json", "history.csv"];

/// Rows of three sensors whose features lie around the place of their class or target.
fn sensors(n_rows: usize, label: impl Fn(usize, f64) -> (f64, String)) -> String {
    let mut rng = emma_testkit::rng(7);
    let mut text =
        String::from("id,hum_rms,hum_peak,heat_case,heat_oil,amps_mean,amps_ripple,state\n");
    for row in 0..n_rows {
        let (place, name) = label(row, rng.random_range(-1.5..1.5));
        let _ = write!(text, "{row}");
        for column in 0..6 {
            let value: f64 = place + rng.random_range(-0.6..0.6);
            let _ = write!(text, ",{}", (10. + f64::from(column)) * value + 3.);
        }
        let _ = writeln!(text, ",{name}");
    }
    text
}

fn two_classes(n_rows: usize) -> String {
    sensors(n_rows, |row, _| {
        let broken = row % 4 == 0;
        (
            f64::from(u8::from(broken)),
            if broken { "broken" } else { "sound" }.into(),
        )
    })
}

/// A short training of that table.
const SHORT: &str = r#"
data = "table.csv"
label = "state"
positive = "broken"
[modes]
hum = ["hum_rms", "hum_peak"]
heat = ["heat_case", "heat_oil"]
amps = ["amps_mean", "amps_ripple"]
[energy]
epochs = 3
[training]
epochs = 4
learning_rate = 0.01
validation_draws = 2
[attention]
coldness = [0.1, 1.0]
"#;

fn short_training() -> Place {
    let place = Place::new();
    place.write("table.csv", two_classes(600));
    place.write("emma.toml", SHORT);
    place
}

fn left(place: &Place, folder: &str) -> Vec<Vec<u8>> {
    LEFT.map(|name| place.read(&format!("{folder}/{name}")))
        .into()
}

fn f1(metrics: &Value, condition: &str) -> f64 {
    metrics["test"][condition]["f1"].as_f64().unwrap()
}

#[test]
fn from_a_table_to_scores_in_four_commands() {
    let place = Place::new();
    place.write("table.csv", two_classes(900));
    place.succeed("init table.csv");
    let config = place.read_text("emma.toml");
    insta::assert_snapshot!("init", config);
    let config = config
        .replace("epochs = 35", "epochs = 8")
        .replace("epochs = 30", "epochs = 5");
    place.write("emma.toml", config);
    let told = place.succeed("train emma.toml --quiet --log-json log.jsonl --tensorboard events");
    assert!(
        told.contains("Positive is \"broken\", negative \"sound\""),
        "{told}"
    );
    let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
    assert!(f1(&metrics, "uncorrupted") > 0.9, "{told}");
    assert!(f1(&metrics, "hum:missing") > 0.6, "{told}");
    assert_eq!(metrics["candidates"].as_array().unwrap().len(), 3);
    assert!(!place.exists("model/unfinished.safetensors"));

    // Three energies of 5 epochs; base and three combinations of 8.
    let log = place.read_text("log.jsonl");
    assert_eq!(log.lines().count(), 3 * 5 + 4 * 8);
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["training_loss"].is_number() && line["epoch"].is_number());
    }
    assert_eq!(
        place.read_text("model/history.csv").lines().count(),
        1 + 3 * 5 + 4 * 8
    );
    let events = std::fs::read_dir(place.path().join("events")).unwrap();
    assert_eq!(events.count(), 1);

    let scores = place.succeed("score --model model/model.safetensors --data table.csv");
    assert_eq!(scores.lines().count(), 901);
    assert!(
        scores.lines().nth(1).unwrap().split(',').nth(3) == Some("broken"),
        "{scores}"
    );
    let measured = place.succeed(
        "evaluate --model model/model.safetensors --data table.csv --corrupt hum:noise:1 --resamples 50 \
         --curve heat:noise:0..2/3 --figure curve.svg --figure curve.png --json",
    );
    let measured: Value = serde_json::from_str(&measured).unwrap();
    let interval = &measured["intervals"]["f1"];
    let ends = ["lower", "estimate", "upper"].map(|end| interval[end].as_f64().unwrap());
    assert!(
        ends[0] <= ends[1] && ends[1] <= ends[2] && ends[0] < ends[2],
        "{ends:?}"
    );
    assert_eq!(measured["curve"]["points"].as_array().unwrap().len(), 3);
    assert!(place.read_text("curve.svg").contains("<svg") && place.exists("curve.png"));
    let text =
        place.succeed("evaluate --model model/model.safetensors --data table.csv --resamples 0");
    assert!(text.starts_with("900 rows as they are\n"), "{text}");
}

#[test]
fn the_same_table_and_configuration_give_the_same_bits_on_any_number_of_threads() {
    let place = short_training();
    place.succeed("train emma.toml --out one --threads 1");
    place.succeed("train emma.toml --out three --threads 3");
    assert_eq!(left(&place, "one"), left(&place, "three"));
    place.write("emma.toml", format!("seed = 1\n{SHORT}"));
    place.succeed("train emma.toml --out other");
    assert_ne!(left(&place, "one")[0], left(&place, "other")[0]);
}

/// Takes up a training again and again, each time killed after a while, until it is finished; returns how often
/// it was killed.
fn killed_and_resumed(
    place: &Place,
    folder: &str,
    patience: &mut impl Iterator<Item = u64>,
) -> usize {
    let arguments = format!("train emma.toml --out {folder} --resume --save-every 0 --quiet");
    let mut n_kills = 0;
    for milliseconds in patience {
        let mut child = place.command(&arguments).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return n_kills;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        n_kills += 1;
    }
    n_kills
}

/// As often as `EMMA_TEST_KILLS` says, or thrice.
#[test]
fn a_killed_training_goes_on_to_the_same_bits() {
    let wanted = std::env::var("EMMA_TEST_KILLS").map_or(3, |kills| kills.parse().unwrap());
    let place = short_training();
    place.succeed("train emma.toml --out whole");
    let mut rng = emma_testkit::rng(9);
    let mut n_kills = 0;
    for round in 0.. {
        if n_kills >= wanted {
            break;
        }
        let folder = format!("killed{round}");
        // Now sooner, now later; later and later, so that it ends.
        let mut patience = (1..).map(|kill| rng.random_range(5..20 * (kill + 1)));
        n_kills += killed_and_resumed(&place, &folder, &mut patience);
        assert_eq!(left(&place, &folder), left(&place, "whole"));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_training_says_how_to_go_on_and_does_so_to_the_same_bits() {
    let place = short_training();
    // Long enough that the signal comes in time.
    let config = SHORT.replace("epochs = 4", "epochs = 4000");
    place.write("emma.toml", config);
    let mut command = place.command("train emma.toml --out stopped --threads 2");
    let child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !place.exists("stopped/unfinished.safetensors") {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.ends_with(
            "error: stopped before the end; to go on: emma train emma.toml --out stopped --threads 2 --resume\n"
        ),
        "{told}"
    );
    // The same epochs are done, whoever does them.
    let again = place.fail(2, "train emma.toml --out stopped");
    assert!(
        again.contains("found an unfinished one; go on with it by --resume"),
        "{again}"
    );
    let other = SHORT.replace("epochs = 4", "epochs = 5");
    place.write("other.toml", other);
    let refused = place.fail(2, "train other.toml --out stopped --resume");
    assert!(
        refused.contains("config.training.epochs was 4000, now it is 5"),
        "{refused}"
    );
}

#[test]
fn a_finished_training_is_shown_again_and_not_lost() {
    let place = short_training();
    let told = place.succeed("train emma.toml --quiet");
    let before = left(&place, "model");
    assert_eq!(place.succeed("train emma.toml --resume --quiet"), told);
    let refused = place.fail(2, "train emma.toml");
    assert!(refused.contains("found a finished one"), "{refused}");
    place.write("emma.toml", SHORT.replace("epochs = 3", "epochs = 2"));
    let refused = place.fail(2, "train emma.toml --resume");
    assert!(
        refused.contains("config.energy.epochs was 3, now it is 2"),
        "{refused}"
    );
    assert_eq!(left(&place, "model"), before);
    place.succeed("train emma.toml --fresh");
    assert_ne!(left(&place, "model"), before);
}

#[test]
fn several_classes_keep_their_names() {
    let place = Place::new();
    let names = ["calm", "frost", "storm"];
    let table = sensors(600, |row, _| ((row % 3) as f64, names[row % 3].into()));
    place.write("table.csv", table);
    let config = SHORT.replace("positive = \"broken\"", "task = \"multiclass\"");
    let config = config.replace("epochs = 4", "epochs = 12");
    place.write("emma.toml", config);
    place.succeed("train emma.toml");
    let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
    assert_eq!(metrics["task"]["classes"], serde_json::json!(names));
    let accuracy = metrics["test"]["uncorrupted"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
    let measured =
        place.succeed("evaluate --model model/model.safetensors --data table.csv --resamples 20");
    assert!(measured.contains("macro_f1"), "{measured}");
    let scores = place.succeed("score --model model/model.safetensors --data table.csv");
    assert!(
        scores.starts_with(
            "row,probability,label,class,total_energy,probability_calm,probability_frost,probability_storm\n"
        ),
        "{scores}"
    );
    let right = scores.lines().skip(1).enumerate();
    let right = right.filter(|(row, line)| line.split(',').nth(3) == Some(names[row % 3]));
    assert!(right.count() > 540);
}

#[test]
fn numbers_are_predicted_in_their_unit() {
    let place = Place::new();
    let table = sensors(600, |_, place| (place, (200. + 50. * place).to_string()));
    place.write("table.csv", table);
    let config = SHORT.replace("positive = \"broken\"", "task = \"regression\"");
    place.write("emma.toml", config.replace("epochs = 4", "epochs = 12"));
    place.succeed("train emma.toml");
    let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
    let clean = &metrics["test"]["uncorrupted"];
    assert!(clean["r_squared"].as_f64().unwrap() > 0.8, "{clean}");
    let mae = clean["mae"].as_f64().unwrap();
    assert!(mae > 0.5 && mae < 25., "in the target's unit: {mae}");
    let scores = place.succeed("score --model model/model.safetensors --data table.csv --top 3");
    assert!(
        scores.starts_with("rank,row,prediction,total_energy\n1,"),
        "{scores}"
    );
}

/// As tables of one's own have it: the columns in the order of the configuration, then the target.
#[test]
fn without_a_header_the_last_column_is_the_target() {
    let place = Place::new();
    let table = sensors(600, |_, place| (place, (200. + 50. * place).to_string()));
    let rows = table.lines().skip(1);
    let rows: Vec<&str> = rows.map(|line| line.split_once(',').unwrap().1).collect();
    place.write("table.csv", rows.join("\n"));
    let config = SHORT.replace("positive = \"broken\"", "task = \"regression\"");
    place.write("emma.toml", config.replace("epochs = 4", "epochs = 12"));
    place.succeed("train emma.toml");
    let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
    let rmse = metrics["test"]["uncorrupted"]["rmse"].as_f64().unwrap();
    // In the unit of the last column, whose deviation is 43; a feature would be predicted to nothing.
    assert!((2. ..25.).contains(&rmse), "{rmse}");
    let measured =
        place.succeed("evaluate --model model/model.safetensors --data table.csv --resamples 20");
    assert!(measured.contains("r_squared"), "{measured}");
}

#[test]
fn a_missing_mode_is_measured_as_it_is_scored() {
    let place = short_training();
    place.succeed("train emma.toml --quiet");
    let evaluate = "evaluate --model model/model.safetensors --data table.csv --resamples 0 --json";
    let of = |more: &str| -> Value {
        serde_json::from_str(&place.succeed(&format!("{evaluate} {more}"))).unwrap()
    };
    let missing = of("--corrupt heat:missing");
    // By hand: the same table without the sensor, by `emma score`.
    let table = two_classes(600);
    let mut lines = table.lines();
    let mut holes = format!("{}\n", lines.next().unwrap());
    for line in lines {
        let mut fields: Vec<&str> = line.split(',').collect();
        (fields[3], fields[4]) = ("", "");
        let _ = writeln!(holes, "{}", fields.join(","));
    }
    place.write("holes.csv", holes);
    let scores =
        place.succeed("score --model model/model.safetensors --data holes.csv --nan missing");
    let found = scores
        .lines()
        .skip(1)
        .filter(|line| line.split(',').nth(2) == Some("1"));
    let counts = &missing["metrics"];
    let expected = ["true_positives", "false_positives"].map(|name| counts[name].as_u64().unwrap());
    assert_eq!(found.count() as u64, expected.iter().sum::<u64>());
    assert_ne!(missing["metrics"]["brier"], of("")["metrics"]["brier"]);
}

#[test]
fn a_split_column_and_rows_without_values_are_respected() {
    let place = Place::new();
    let parts = ["train", "train", "train", "validation", "test"];
    let mut text = String::new();
    for (row, line) in two_classes(1000).lines().enumerate() {
        let line = if row == 3 {
            line.replacen(',', ",,", 1)
        } else {
            line.to_owned()
        };
        let mut fields: Vec<&str> = line.split(',').collect();
        if row == 3 {
            fields.remove(2); // The value that went missing.
        }
        let part = if row == 0 { "part" } else { parts[row % 5] };
        let _ = writeln!(text, "{},{part}", fields.join(","));
    }
    place.write("table.csv", text);
    let config = SHORT.replace(
        "[modes]",
        "missing = \"drop\"\n[split]\ncolumn = \"part\"\n[modes]",
    );
    place.write("emma.toml", config);
    place.succeed("train emma.toml");
    let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
    assert_eq!(
        metrics["rows"],
        serde_json::json!({"train": 600, "validation": 199, "test": 200, "left_out": 1})
    );
}

#[test]
fn a_drifting_sensor_is_found_in_rows_and_in_scores() {
    let place = short_training();
    place.succeed("train emma.toml --quiet");
    // The heat sensor runs away from row 2,000 on.
    let table = two_classes(3000);
    let (header, rows) = table.split_once('\n').unwrap();
    let mut drifting = format!("{header}\n");
    for (row, line) in rows.lines().enumerate() {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        if row >= 2000 {
            let heat: f64 = fields[3].parse().unwrap();
            fields[3] = (heat + 0.05 * (row - 2000) as f64).to_string();
        }
        let _ = writeln!(drifting, "{}", fields.join(","));
    }
    place.write("drifting.csv", drifting);
    let watch = "monitor --model model/model.safetensors --rows-per-false-alarm 100000";
    let clean = place.run(&format!("{watch} --data table.csv"));
    assert_eq!(
        String::from_utf8(clean.stderr).unwrap(),
        "watched 600 rows: 0 alarms\n"
    );
    let alarms = place.succeed(&format!("{watch} --data drifting.csv --quiet"));
    let first: Value = serde_json::from_str(alarms.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["mode"], &first["direction"]),
        (&"heat".into(), &"up".into())
    );
    let row = first["row"].as_u64().unwrap();
    assert!((2000..2700).contains(&row), "{first}");
    place.succeed(
        "score --model model/model.safetensors --data drifting.csv --explain --out scores.csv",
    );
    let of_scores = place.succeed(&format!("{watch} --data scores.csv --scores --quiet"));
    assert_eq!(of_scores, alarms);
    let refused = place.fail(2, &format!("{watch} --data drifting.csv --scores"));
    assert!(refused.contains("\"potential_hum\""), "{refused}");
    place.write("base.toml", format!("model = \"base\"\n{SHORT}"));
    place.succeed("train base.toml --out base --quiet");
    let refused = place.fail(2, "monitor --model base/model.safetensors --data table.csv");
    assert!(
        refused.contains("expected a model with energies"),
        "{refused}"
    );
}

#[test]
fn thresholds_follow_the_rule() {
    let place = short_training();
    let threshold = |rule: &str| -> f64 {
        place.write("emma.toml", format!("threshold = \"{rule}\"\n{SHORT}"));
        place.succeed("train emma.toml --fresh");
        let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
        assert_eq!(metrics["threshold_rule"], *rule);
        metrics["threshold"].as_f64().unwrap()
    };
    assert!(threshold("recall:1") <= threshold("recall:0.5"));
    assert!(threshold("cost:100,1") <= threshold("cost:1,100"));
}

#[test]
fn what_is_wrong_is_said_in_one_line_and_nothing_is_left_behind() {
    let place = short_training();
    let table = two_classes(60);
    place.write("ones.csv", table.replace("sound", "broken"));
    place.write("three.csv", table.replacen("sound", "odd", 1));
    place.write(
        "few.csv",
        table.lines().take(4).collect::<Vec<_>>().join("\n"),
    );
    place.write("columns.csv", table.replace("heat_oil", "heat_water"));
    place.write(
        "text.csv",
        table.replacen("sound", "sound\nx,1,2,3,4,5,warm,sound", 1),
    );
    place.write("numbers.csv", "1,2,3\n4,5,6\n");
    let mut lines = String::new();
    let mut refused = |config: &str, arguments: &str| {
        place.write("emma.toml", config);
        let line = place.fail(2, arguments);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!place.exists("model"), "{arguments}");
        lines.push_str(&line);
    };
    refused(SHORT, "train nothing.toml");
    refused("label = [", "train emma.toml");
    refused(&SHORT.replace("epochs = 3", "epoch = 3"), "train emma.toml");
    refused(&SHORT.replace("\"broken\"", "\"burst\""), "train emma.toml");
    refused(
        &SHORT.replace("positive = \"broken\"\n", ""),
        "train emma.toml",
    );
    refused(
        &SHORT.replace("\"heat_oil\"", "\"heat_case\""),
        "train emma.toml",
    );
    refused(
        &SHORT.replace("data = \"table.csv\"\n", ""),
        "train emma.toml",
    );
    for file in ["ones", "three", "few", "columns", "text", "nothing"] {
        refused(SHORT, &format!("train emma.toml --data {file}.csv"));
    }
    refused(
        &SHORT.replace(
            "positive = \"broken\"",
            "task = \"multiclass\"\nthreshold = \"recall:0.9\"",
        ),
        "train emma.toml",
    );
    refused(SHORT, "train emma.toml --log-json table.csv");
    refused(SHORT, "init table.csv --out table.csv --force");
    refused(SHORT, "train emma.toml --save-every -1");
    refused(SHORT, "train emma.toml --resume --fresh");
    refused(SHORT, "init numbers.csv --out new.toml");
    refused(SHORT, "init table.csv --label nothing --out new.toml");
    refused(SHORT, "init table.csv");
    refused(SHORT, "init nothing.csv --out new.toml");
    insta::assert_snapshot!("refusals", lines);
}
