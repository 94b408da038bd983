//! EMMA+ as users have it: trained by a configuration, kept in a file, scoring and transforming tables.
#![allow(clippy::unwrap_used, clippy::float_cmp)] // In a test a panic is the report; equal bits are meant.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use common::Place;
use common::model::Parts;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};

const CONFIG: &str = r#"
label = "label"
model = "emma_plus"
[modes]
ip = ["ip_mean", "ip_std", "ip_skewness", "ip_excess_kurtosis"]
dm = ["dm_mean", "dm_std", "dm_skewness", "dm_excess_kurtosis"]
[network]
hidden = [16, 8]
[training]
epochs = 3
batch_size = 128
corruption = ["noise:0.5", "missing"]
validation_draws = 2
[emma_plus]
gate = true
"#;

const TRAIN: &str = "train emma.toml --data table.csv --quiet --out";
const ON_TABLE: &str = "--model model.safetensors --data table.csv";

fn untrained() -> Place {
    let place = Place::new();
    let mut rng = emma_testkit::rng(4);
    place.write(
        "table.csv",
        emma_testkit::candidates::csv(900, true, &mut rng),
    );
    place.write("emma.toml", CONFIG);
    place
}

/// A place with the table and a model that was trained on it, once for all tests.
fn trained() -> Place {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    let place = untrained();
    let model = MODEL.get_or_init(|| {
        place.succeed(&format!("{TRAIN} model"));
        place.read("model/model.safetensors")
    });
    place.write("model.safetensors", model);
    place
}

/// Rows of a table by the names of its columns; empty fields are NaN.
fn columns(csv: &str) -> BTreeMap<String, Vec<f64>> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in lines {
        for (name, field) in names.iter().zip(line.split(',')) {
            let value = if field.is_empty() {
                f64::NAN
            } else {
                field.parse().unwrap()
            };
            columns.entry((*name).to_owned()).or_default().push(value);
        }
    }
    columns
}

/// The first rows of the table, some fields emptied: `(row, first field, fields)`.
fn with_holes(place: &Place, n_rows: usize, holes: &[(usize, usize, usize)]) -> String {
    let table = place.read_text("table.csv");
    let mut lines = table.lines();
    let mut text = format!("{}\n", lines.next().unwrap());
    for (row, line) in lines.take(n_rows).enumerate() {
        let mut fields: Vec<&str> = line.split(',').collect();
        for &(_, first, n) in holes.iter().filter(|hole| hole.0 == row) {
            fields[first..first + n].fill("");
        }
        let _ = writeln!(text, "{}", fields.join(","));
    }
    text
}

#[test]
fn a_training_gives_the_same_file_again_which_says_what_it_is() {
    let place = trained();
    place.succeed(&format!("{TRAIN} again --threads 1"));
    let file = place.read("model.safetensors");
    assert_eq!(place.read("again/model.safetensors"), file);
    let metadata = Parts::of(&file).metadata;
    assert_eq!(metadata["format_version"], 2);
    assert_eq!(metadata["name"], "emma_plus");
    assert_eq!(metadata["coldness"], Value::Null);
    let energy = &metadata["energy"];
    assert_eq!(energy["kind"], "joint_density");
    assert_eq!(energy["mode_widths"], json!([4, 4]));
    assert_eq!(energy["energy_ceiling"], 1.5);
    assert_eq!(metadata["network"]["kind"], "ensemble_mlp");
    assert_eq!(metadata["network"]["n_members"], 4);
    let metrics: Value = serde_json::from_str(&place.read_text("again/metrics.json")).unwrap();
    let conditions: Vec<&String> = metrics["test"].as_object().unwrap().keys().collect();
    assert_eq!(
        conditions,
        [
            "dm:missing",
            "dm:noise:0.5",
            "ip:missing",
            "ip:noise:0.5",
            "uncorrupted"
        ]
    );
    let f1 = metrics["test"]["uncorrupted"]["f1"].as_f64().unwrap();
    assert!(f1 > 0.7, "{f1}");
}

#[test]
fn a_killed_training_goes_on_to_the_same_bits() {
    let place = trained();
    let config = CONFIG.replace("epochs = 3", "epochs = 40");
    place.write("emma.toml", config);
    place.succeed(&format!("{TRAIN} whole"));
    let arguments = format!("{TRAIN} killed --save-every 0 --resume");
    let mut child = place.command(&arguments).spawn().unwrap();
    while !place.exists("killed/unfinished.safetensors") {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.exists("killed/model.safetensors"));
    place.succeed(&arguments);
    for name in ["model.safetensors", "metrics.json", "history.csv"] {
        let of = |folder: &str| place.read(&format!("{folder}/{name}"));
        assert_eq!(of("killed"), of("whole"), "{name}");
    }
}

#[test]
fn scores_are_the_same_again_and_do_not_depend_on_other_rows() {
    let place = trained();
    let all = place.succeed(&format!("score {ON_TABLE} --explain"));
    assert!(
        all.starts_with(
            "row,probability,label,total_energy,energy_ip,attention_ip,energy_dm,attention_dm\n"
        ),
        "{all}"
    );
    assert_eq!(all.lines().count(), 901);
    let one_thread = place.succeed(&format!("score {ON_TABLE} --explain --threads 1"));
    assert_eq!(one_thread, all);
    let scores: Vec<&str> = all.lines().skip(1).collect();
    let table = place.read_text("table.csv");
    let header = table.lines().next().unwrap();
    for row in [0, 17, 899] {
        let line = table.lines().nth(row + 1).unwrap();
        place.write("one.csv", format!("{header}\n{line}\n"));
        let alone = place.succeed("score --model model.safetensors --data one.csv --explain");
        let (_, alone) = alone.lines().nth(1).unwrap().split_once(',').unwrap();
        assert_eq!(alone, scores[row].split_once(',').unwrap().1, "row {row}");
    }
    let explained = columns(&all);
    for (row, total) in explained["total_energy"].iter().enumerate() {
        let sum = explained["energy_ip"][row] + explained["energy_dm"][row];
        // Three roundings to f32, each by at most half of 2^-23 of numbers below 10.
        assert!((total - sum).abs() < 2e-6, "{total} {sum}");
    }
    assert!(explained["attention_ip"].iter().any(|&share| share > 0.1));
}

#[test]
fn missing_values_are_integrated_out_one_by_one() {
    let place = trained();
    // One feature, one mode, everything; the last row is whole.
    let holes = [(0, 2, 1), (1, 0, 4), (2, 0, 8)];
    place.write("holes.csv", with_holes(&place, 4, &holes));
    let command = "score --model model.safetensors --data holes.csv --explain";
    let refused = place.fail(2, command);
    assert_eq!(
        refused,
        "error: holes.csv: line 2: expected a number in column \"ip_skewness\" (column 3), found \"\"\n"
    );
    let command = format!("{command} --nan missing");
    let refused = place.fail(2, &command);
    assert_eq!(
        refused,
        "error: holes.csv: line 4: expected at least one mode, all are missing\n"
    );
    let scores = columns(&place.succeed(&format!("{command} --rejects rejects.csv --quiet")));
    assert_eq!(scores["row"], [0., 1., 3.]);
    assert!(scores.values().flatten().all(|value| value.is_finite()));
    let whole = columns(&place.succeed(&format!("score {ON_TABLE} --explain")));
    for (name, values) in &scores {
        // What is whole has the same bits whether others are or not.
        assert_eq!(values[2], whole[name][3], "{name}");
    }
    // The rest of a mode still speaks.
    let highest = (1_f64 + 4. * 30.).ln() as f32;
    assert_eq!(scores["energy_ip"][1] as f32, highest);
    assert_eq!(scores["attention_ip"][1], 0.);
    assert!(scores["energy_ip"][0] < 1.5);
    // Without the feature, the same as with it but for a little.
    let other = (scores["energy_ip"][0] - whole["energy_ip"][0]).abs();
    assert!(other > 0. && other < 1.5, "{other}");
}

#[test]
fn a_transform_blends_modes_with_their_repairs() {
    let place = trained();
    let text = place.succeed(&format!("transform {ON_TABLE}"));
    let header = "row,gated_ip_mean,gated_ip_std,gated_ip_skewness,gated_ip_excess_kurtosis,gated_dm_mean,\
                  gated_dm_std,gated_dm_skewness,gated_dm_excess_kurtosis,repaired_ip_mean,repaired_ip_std,\
                  repaired_ip_skewness,repaired_ip_excess_kurtosis,repaired_dm_mean,repaired_dm_std,\
                  repaired_dm_skewness,repaired_dm_excess_kurtosis,log_odds,log_odds_ip,log_odds_dm,\
                  attention_ip,attention_dm,energy_ip,energy_dm,label";
    assert_eq!(text.lines().next().unwrap(), header);
    let made = columns(&text);
    let table = columns(&place.read_text("table.csv"));
    assert_eq!(made["label"], table["label"]);
    let scores = columns(&place.succeed(&format!("score {ON_TABLE} --explain")));
    for name in ["attention_ip", "attention_dm", "energy_ip", "energy_dm"] {
        assert_eq!(made[name], scores[name], "{name}");
    }
    let mut n_open = 0;
    for (name, values) in &table {
        if name == "label" {
            continue;
        }
        let attention = &made[&format!("attention_{}", &name[..2])];
        for (row, &value) in values.iter().enumerate() {
            let gated = made[&format!("gated_{name}")][row];
            let repaired = made[&format!("repaired_{name}")][row];
            let expected = repaired + attention[row] * (value - repaired);
            // Of numbers that were rounded to f32.
            let size = value.abs().max(repaired.abs()).max(1.);
            assert!((gated - expected).abs() <= 3e-7 * size, "{name} {row}");
            n_open += usize::from((gated - repaired).abs() > 1e-3);
        }
    }
    assert!(n_open > 100, "{n_open}");
    // Evidence tells the classes apart.
    let mean = |label: f64| {
        let own = made["log_odds"].iter().zip(&made["label"]);
        let own: Vec<f64> = own
            .filter(|pair| *pair.1 == label)
            .map(|pair| *pair.0)
            .collect();
        own.iter().sum::<f64>() / own.len() as f64
    };
    assert!(mean(1.) > mean(0.) + 2.);

    place.write("holes.csv", with_holes(&place, 3, &[(0, 2, 1), (1, 4, 4)]));
    let command = "transform --model model.safetensors --data holes.csv --nan missing";
    let made = columns(&place.succeed(command));
    assert_eq!(made["attention_dm"][1], 0.);
    for name in ["dm_mean", "dm_std", "dm_skewness", "dm_excess_kurtosis"] {
        let (gated, repaired) = (
            &made[&format!("gated_{name}")],
            &made[&format!("repaired_{name}")],
        );
        assert!(repaired[1].is_finite());
        assert_eq!(gated[1], repaired[1], "{name}");
    }
    assert_eq!(
        made["gated_ip_skewness"][0],
        made["repaired_ip_skewness"][0]
    );
    assert_ne!(made["gated_ip_mean"][0], made["repaired_ip_mean"][0]);
}

#[test]
fn by_default_there_is_no_gate_and_the_network_sees_repairs_alone() {
    let place = untrained();
    let config = CONFIG.replace("gate = true", "members = 2");
    place.write("emma.toml", &config);
    place.succeed(&format!("{TRAIN} model"));
    let model = "model/model.safetensors";
    assert_eq!(
        Parts::of(&place.read(model)).metadata["energy"]["gate"],
        Value::Null
    );
    let text = place.succeed(&format!("inspect --model {model}"));
    assert!(text.contains("No gate"), "{text}");
    let made = columns(&place.succeed(&format!("transform --model {model} --data table.csv")));
    assert_eq!(made["gated_ip_mean"], made["repaired_ip_mean"]);
    assert!(
        made["attention_dm"]
            .iter()
            .all(|&attention| attention == 0.)
    );
}

#[test]
fn validation_rows_lose_modes_as_training_rows_do() {
    let place = untrained();
    let config = CONFIG
        .replace("epochs = 3", "epochs = 15\nlearning_rate = 0.01")
        .replace("[\"noise:0.5\", \"missing\"]", "[\"noise:0.001\"]");
    let worse = |mode_dropout: &str| {
        place.write("emma.toml", config.replace("gate = true", mode_dropout));
        place.succeed(&format!("{TRAIN} model --fresh"));
        let metrics: Value = serde_json::from_str(&place.read_text("model/metrics.json")).unwrap();
        let brier = |measures: &Value| measures["brier"].as_f64().unwrap();
        brier(&metrics["validation"]) / brier(&metrics["test"]["uncorrupted"])
    };
    // Rows like clean ones, but for their modes.
    let (all, one) = (worse("mode_dropout = 0.0"), worse("mode_dropout = 1.0"));
    assert!(one > 1.3 * all, "{one} {all}");
}

#[test]
fn rows_that_cannot_be_transformed_are_put_aside() {
    let place = trained();
    let table = with_holes(&place, 4, &[(0, 2, 1), (2, 0, 8)]);
    place.write("holes.csv", &table);
    let command = "transform --model model.safetensors --data holes.csv";
    place.fail(2, &format!("{command} --out made.csv"));
    assert!(!place.exists("made.csv"));
    let output = place.run(&format!("{command} --rejects rejects.csv --out made.csv"));
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "transformed 2 rows, rejected 2\n"
    );
    let whole = place.succeed(&format!("transform {ON_TABLE}"));
    let lines: Vec<&str> = whole.lines().collect();
    let expected = [lines[0], lines[2], lines[4]].map(|line| format!("{line}\n"));
    assert_eq!(place.read_text("made.csv"), expected.concat());
    let rejects = place.read_text("rejects.csv");
    let rejected: Vec<&str> = rejects.lines().collect();
    assert_eq!(rejected.len(), 3);
    for (line, row) in rejected[1..].iter().zip([0, 2]) {
        assert!(
            line.starts_with(&format!("{row},{},\"expected a number", row + 2)),
            "{line}"
        );
        let record = table.lines().nth(row + 1).unwrap();
        assert!(line.ends_with(&format!("\"{record}\"")), "{line}");
    }
    // With missing values taken as such, only the row that lacks everything is.
    place.succeed(&format!(
        "{command} --nan missing --rejects rejects.csv --quiet"
    ));
    assert_eq!(place.read_text("rejects.csv").lines().count(), 2);
    let same = place.fail(2, &format!("{command} --rejects made.csv --out made.csv"));
    assert!(same.contains("--rejects"), "{same}");
}

#[test]
fn a_mode_may_be_called_all() {
    let place = untrained();
    place.write("emma.toml", CONFIG.replace("ip = [", "all = ["));
    place.succeed(&format!("{TRAIN} model"));
    let text = place.succeed("transform --model model/model.safetensors --data table.csv");
    let header = text.lines().next().unwrap();
    assert!(
        header.contains(",log_odds,log_odds_all,log_odds_dm,"),
        "{header}"
    );
}

#[test]
fn a_transform_by_the_thesis_model_shrinks_modes_to_their_means() {
    let place = untrained();
    let config = CONFIG.replace("\"emma_plus\"", "\"with\"");
    place.write("emma.toml", format!("{config}[energy]\nepochs = 2\n"));
    place.succeed(&format!("{TRAIN} model"));
    let model = "model/model.safetensors";
    place.write("holes.csv", with_holes(&place, 50, &[(0, 4, 1)]));
    let arguments = format!("--model {model} --data holes.csv --nan missing");
    let text = place.succeed(&format!("transform {arguments}"));
    assert!(!text.contains("repaired"), "{text}");
    let made = columns(&text);
    let inspected = place.succeed(&format!("inspect --model {model} --json"));
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let column = &inspected["modes"][1]["columns"][1];
    assert_eq!(column["name"], "dm_std");
    let mean: f64 = column["mean"].to_string().parse::<f32>().unwrap().into();
    // A mode that lacks a value is left out as a whole.
    assert_eq!(made["attention_dm"][0], 0.);
    assert!((made["gated_dm_std"][0] - mean).abs() <= 1e-6 * mean.abs());
    let table = columns(&place.read_text("table.csv"));
    for row in 1..50 {
        let value = table["dm_std"][row];
        let expected = mean + made["attention_dm"][row] * (value - mean);
        let size = value.abs().max(mean.abs());
        assert!((made["gated_dm_std"][row] - expected).abs() <= 1e-6 * size);
    }
}

#[test]
fn it_is_evaluated_and_inspected() {
    let place = trained();
    let measured = place.succeed(&format!(
        "evaluate {ON_TABLE} --corrupt ip:missing --resamples 20"
    ));
    assert!(measured.contains("f1"), "{measured}");
    insta::assert_snapshot!("inspected", {
        let text = place.succeed("inspect --model model.safetensors");
        // Learned numbers may differ in their last digits on other machines; so do those of the table's digest.
        let from = text.find("\nEMMA+").unwrap();
        let to = text.find("\nGate").unwrap();
        text[from..to].to_owned()
    });
    let json = place.succeed("inspect --model model.safetensors --json");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["repair"]["n_members"], 4);
    assert_eq!(json["repair"]["gate"]["gain"].as_array().unwrap().len(), 2);
    assert_eq!(json["network"]["widths"], json!([13, 16, 8, 1]));
}

#[test]
fn what_it_cannot_do_is_said() {
    let place = trained();
    let file = place.read("model.safetensors");
    let mut told = String::new();
    let mut refused = |arguments: &str| {
        let error = place.fail(2, arguments);
        let _ = write!(told, "{arguments}\n{error}\n");
    };
    for arguments in [
        "export --model model.safetensors --format onnx --out model.onnx",
        "export --model model.safetensors --format torch --out model.torch",
        "monitor --model model.safetensors --data table.csv",
        "score --model model.safetensors --data table.csv --why",
    ] {
        refused(arguments);
    }
    let mut damaged = |name: &str, change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::of(&file);
        change(&mut parts);
        place.write(name, parts.file());
        refused(&format!("score --data table.csv --model {name}"));
    };
    damaged("kind", &|parts| {
        parts.metadata["energy"]["kind"] = "joint_densty".into();
    });
    damaged("network", &|parts| {
        parts.metadata["network"]["kind"] = "mlp".into();
    });
    damaged("version", &|parts| {
        parts.metadata["format_version"] = 1.into();
    });
    damaged("task", &|parts| {
        parts.metadata["task"] = json!({"kind": "regression", "mean": 0, "std": 1});
    });
    damaged("widths", &|parts| {
        parts.metadata["energy"]["mode_widths"] = json!([4, 5]);
    });
    damaged("classes", &|parts| {
        parts.metadata["energy"]["n_components"] = json!([20]);
    });
    damaged("components", &|parts| {
        parts.metadata["energy"]["n_components"] = json!([u64::MAX, 1]);
    });
    damaged("states", &|parts| {
        parts.metadata["energy"]["most_exact_states"] = u64::MAX.into();
    });
    damaged("levels", &|parts| {
        let levels: Vec<u32> = (1..100).collect();
        parts.metadata["energy"]["noise"]["noise_std"] = json!(levels);
    });
    damaged("noise", &|parts| {
        parts.metadata["energy"]["noise"]["clean_probability"] = 2.into();
    });
    damaged("ceiling", &|parts| {
        parts.metadata["energy"]["energy_ceiling"] = (-1).into();
    });
    damaged("members", &|parts| {
        parts.metadata["network"]["n_members"] = u64::MAX.into();
    });
    damaged("inputs", &|parts| {
        parts.metadata["network"]["n_inputs"] = 7.into();
    });
    damaged("missing", &|parts| {
        let gain = parts.header["gate.gain"].take();
        let header = parts.header.as_object_mut().unwrap();
        header.remove("gate.gain");
        header.insert("gate.gian".into(), gain);
    });
    place.write("cut", &file[..file.len() - 100]);
    refused("score --data table.csv --model cut");
    place.write("base.toml", CONFIG.replace("\"emma_plus\"", "\"base\""));
    place.succeed("train base.toml --data table.csv --quiet --out base");
    refused("transform --data table.csv --model base/model.safetensors");
    place.write(
        "numbers.toml",
        format!("task = \"regression\"\n{CONFIG}").as_str(),
    );
    refused("train numbers.toml --data table.csv");
    // A key that a reader does not know is none of its business.
    let mut parts = Parts::of(&file);
    parts.metadata["energy"]["later"] = 1.into();
    parts.metadata["network"]["later"] = 1.into();
    place.write("later", parts.file());
    assert_eq!(
        place.succeed("score --data table.csv --model later"),
        place.succeed(&format!("score {ON_TABLE}"))
    );
    insta::assert_snapshot!("refusals", told);
}

/// A wave of 20 samples and two numbers, both of a class; the layout of a training on them.
fn wide() -> Place {
    let place = Place::new();
    let mut rng = emma_testkit::rng(21);
    let mut normal = move || -> f64 { StandardNormal.sample(&mut rng) };
    let wave: Vec<String> = (0..20).map(|at| format!("wave_{at}")).collect();
    let mut table = format!("{},first,second,label\n", wave.join(","));
    for row in 0..600 {
        let label = row % 3 / 2;
        let height = 1.5 * f64::from(label) + 0.7 * normal();
        for at in 0..20 {
            let value = height * (f64::from(at) / 3.).sin() + 0.2 * normal();
            let _ = write!(table, "{value},");
        }
        let _ = writeln!(
            table,
            "{},{},{label}",
            height + 0.3 * normal(),
            height + 0.5 * normal()
        );
    }
    place.write("table.csv", table);
    let wave = wave.join("\", \"");
    let config = CONFIG.replace(
        "dm = [\"dm_mean\", \"dm_std\", \"dm_skewness\", \"dm_excess_kurtosis\"]",
        "numbers = [\"first\", \"second\"]",
    );
    let config = config.replace(
        "ip = [\"ip_mean\", \"ip_std\", \"ip_skewness\", \"ip_excess_kurtosis\"]",
        &format!("wave = [\"{wave}\"]"),
    );
    place.write("emma.toml", config);
    place
}

#[test]
fn a_wide_mode_stands_in_the_density_as_features_and_comes_back_repaired() {
    let place = wide();
    place.succeed(&format!("{TRAIN} model"));
    place.succeed(&format!("{TRAIN} again --threads 1"));
    let file = place.read("model/model.safetensors");
    assert_eq!(place.read("again/model.safetensors"), file);
    let energy = &Parts::of(&file).metadata["energy"];
    assert_eq!(energy["mode_widths"], json!([7, 2]));
    assert_eq!(energy["encoders"][0]["n_features"], 20);
    assert_eq!(energy["encoders"][1], Value::Null);
    assert_eq!(energy["feature_noise"][0].as_array().unwrap().len(), 5);
    // A row as it is, one without a sample, one without its wave.
    place.write("rows.csv", with_holes(&place, 3, &[(1, 4, 1), (2, 0, 20)]));
    let on_rows = "--model model/model.safetensors --data rows.csv --nan missing";
    let features = columns(&place.succeed(&format!("transform {on_rows}")));
    let original = columns(&place.read_text("table.csv"));
    for at in 0..20 {
        let repaired = &features[&format!("repaired_wave_{at}")];
        assert!(repaired.iter().all(|value| value.is_finite()));
        // The wave that is not there is what the two numbers say.
        let difference = repaired[2] - original[&format!("wave_{at}")][2];
        assert!(difference.abs() < 2., "{at}: {difference}");
    }
    place.succeed("inspect --model model/model.safetensors");
    let scores = columns(&place.succeed(&format!("score {on_rows} --explain")));
    assert!((scores["energy_wave"][2] - 121f64.ln()).abs() < 1e-6);
}

#[test]
fn a_file_whose_encoders_contradict_it_is_refused() {
    let place = wide();
    place.succeed(&format!("{TRAIN} model"));
    let file = place.read("model/model.safetensors");
    let refused = |name: &str, change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::of(&file);
        change(&mut parts);
        place.write(name, parts.file());
        place.fail(2, &format!("score --model {name} --data table.csv"))
    };
    for (name, expected, change) in [
        (
            "width",
            "expected an encoder of 20 values, got 19",
            (&|parts: &mut Parts| {
                parts.metadata["energy"]["encoders"][0]["n_features"] = 19.into();
            }) as &dyn Fn(&mut Parts),
        ),
        (
            "count",
            "expected an entry of encoders for each of 2 modes, got 1",
            &|parts: &mut Parts| {
                let encoders = parts.metadata["energy"]["encoders"].as_array_mut().unwrap();
                encoders.truncate(1);
            },
        ),
        ("none", "expected mode_widths", &|parts: &mut Parts| {
            let energy = parts.metadata["energy"].as_object_mut().unwrap();
            energy.remove("encoders");
        }),
        ("units", "at most 65536 units", &|parts: &mut Parts| {
            parts.metadata["energy"]["encoders"][0]["hidden"] = json!([u64::MAX]);
        }),
        ("hidden", "expected tensor", &|parts: &mut Parts| {
            parts.metadata["energy"]["encoders"][0]["hidden"] = json!([31, 6, 32]);
        }),
    ] {
        let message = refused(name, change);
        assert!(message.contains(expected), "{name}: {message}");
    }
}
