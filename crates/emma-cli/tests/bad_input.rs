//! Every kind of bad input: one clear line, exit code 2, nothing lost, nothing left behind.
//!
//! The lines are kept as a snapshot, to be read as a user would.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::path::PathBuf;

use common::Place;
use common::model::{Model, Parts};
use serde_json::json;

const OLD: &str = "old";

/// Runs `emma`, which must refuse; returns its line.
fn refusal(place: &Place, arguments: &str) -> String {
    let before = contents(place);
    let output = place.run(arguments);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "emma {arguments}: {line}");
    assert_eq!(line.lines().count(), 1, "emma {arguments}: {line}");
    assert!(line.starts_with("error: "), "{line}");
    assert!(line.chars().count() < 600, "{line}");
    assert_eq!(
        contents(place),
        before,
        "emma {arguments} changed something"
    );
    line
}

/// Everything below the folder, by path, with its bytes.
fn contents(place: &Place) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut folders = vec![place.path().to_owned()];
    let mut entries = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            entries.push((path.clone(), std::fs::read(&path).ok()));
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    entries.sort();
    entries
}

fn model() -> Vec<u8> {
    Model::random(&[2, 1], true, 5).file()
}

/// A model file with something changed.
fn edited(edit: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = Parts::of(&model());
    edit(&mut parts);
    parts.file()
}

#[test]
fn tables_to_score() {
    let tables: [(&str, &[u8]); 15] = [
        ("text", b"m0_0,m0_1,m1_0\n1,2,3\n4,five,6\n"),
        ("empty_field", b"m0_0,m0_1,m1_0\n1,2,3\n4,,6\n"),
        ("nan", b"m0_0,m0_1,m1_0\n1,nan,3\n"),
        ("infinity", b"1,2,3\n4,5,-inf\n"),
        ("too_large", b"1,2,3\n4,1e39,6\n"),
        ("ragged", b"m0_0,m0_1,m1_0\n1,2,3\n4,5\n"),
        ("absent", b"m0_0,m0_2,m1_0\n1,2,3\n"),
        ("double", b"m0_0,m0_1,m1_0,m0_1\n1,2,3,4\n"),
        ("wide", b"1,2,3,4,5\n"),
        ("empty", b""),
        ("blank", b"\n \n\r\n"),
        ("open_quote", b"m0_0,m0_1,m1_0\n1,2,3\n4,\"5,6\n7,8,9\n"),
        ("binary", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("not_utf8", b"m0_0,m0_1,m1_0\n1,\xff\xfe,3\n"),
        ("beyond", b"m0_0,m0_1,m1_0\n1,2,3\n3e38,-3e38,3e38\n"),
    ];
    let place = Place::new();
    place.write("model.safetensors", edited(|_| {}));
    place.write("scores.csv", OLD);
    std::fs::create_dir(place.path().join("folder.csv")).unwrap();
    let mut report = String::new();
    for (name, bytes) in tables {
        place.write(&format!("{name}.csv"), bytes);
    }
    let long = format!("m0_0,m0_1,m1_0\n1,2,{}\n", "3".repeat(600_000));
    place.write("long.csv", long);
    let names = tables.iter().map(|(name, _)| *name);
    for name in names.chain(["long", "folder", "missing"]) {
        // A row far out is none: it is what the module is for.
        if name == "beyond" {
            continue;
        }
        report.push_str(&refusal(
            &place,
            &format!("score --model model.safetensors --data {name}.csv --out scores.csv"),
        ));
    }
    insta::assert_snapshot!("tables_to_score", report);
    place.succeed("score --model model.safetensors --data beyond.csv --out scores.csv");
}

#[test]
fn packed_tables() {
    let table: &[u8] = b"m0_0,m0_1,m1_0\n1,2,3\n4,5,6\n";
    let gzip = common::packed::gzip(table);
    let zstd = common::packed::zstd(table);
    let mut wrong_checksum = gzip.clone();
    let position = wrong_checksum.len() - 8;
    wrong_checksum[position] ^= 1;
    let mut wrong_bytes = gzip.clone();
    wrong_bytes[12..].fill(0xff);
    let place = Place::new();
    place.write("model.safetensors", model());
    place.write("scores.csv", OLD);
    let mut report = String::new();
    for (name, bytes) in [
        ("cut.csv.gz", &gzip[..gzip.len() - 3]),
        ("cut_in_header.csv.gz", &gzip[..5]),
        ("wrong_checksum.csv.gz", &wrong_checksum),
        ("wrong_bytes.csv.gz", &wrong_bytes),
        ("cut.csv.zst", &zstd[..zstd.len() - 3]),
        (
            "text.csv.gz",
            &common::packed::gzip(b"m0_0,m0_1,m1_0\n1,2,three\n"),
        ),
        ("twice.csv.gz", &common::packed::gzip(&gzip)),
    ] {
        place.write(name, bytes);
        report.push_str(&refusal(
            &place,
            &format!("score --model model.safetensors --data {name} --out scores.csv"),
        ));
    }
    insta::assert_snapshot!("packed_tables", report);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_tables() {
    use common::packed::{float_columns, parquet};
    let good = float_columns(
        &["m0_0", "m0_1", "m1_0"],
        &[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
    );
    let mut broken = good.clone();
    let length = broken.len();
    broken[length - 40..length - 8].fill(0xff);
    let place = Place::new();
    place.write("model.safetensors", model());
    place.write("scores.csv", OLD);
    let mut report = String::new();
    let schema = |column: &str| format!("required float m0_0; {column}; required float m1_0;");
    for (name, bytes) in [
        ("text", parquet(&schema("required binary m0_1 (string)"))),
        (
            "decimal",
            parquet(&schema("required int64 m0_1 (decimal(12, 3))")),
        ),
        ("boolean", parquet(&schema("required boolean m0_1"))),
        ("list", parquet(&schema("repeated float m0_1"))),
        ("absent", parquet(&schema("required float m0_2"))),
        (
            "nan",
            float_columns(
                &["m0_0", "m0_1", "m1_0"],
                &[[1.0, 2.0, 3.0], [4.0, f32::NAN, 6.0]],
            ),
        ),
        ("cut", good[..good.len() / 2].to_vec()),
        ("broken", broken),
        ("packed", common::packed::gzip(&good)),
    ] {
        let name = format!("{name}.parquet");
        place.write(&name, bytes);
        report.push_str(&refusal(
            &place,
            &format!("score --model model.safetensors --data {name} --out scores.csv"),
        ));
    }
    insta::assert_snapshot!("parquet_tables", report);
}

#[test]
fn tables_to_learn_from() {
    let good = emma_testkit::candidates::csv(60, true, &mut emma_testkit::rng(1));
    let lines: Vec<&str> = good.lines().collect();
    let with_line = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number] = line;
        lines.join("\n")
    };
    let only = |label: &str| {
        let kept = lines.iter().enumerate();
        let kept = kept.filter(|(number, line)| *number == 0 || line.ends_with(label));
        kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
    };
    let constant = lines
        .iter()
        .enumerate()
        .map(|(number, line)| {
            let mut fields: Vec<&str> = line.split(',').collect();
            if number > 0 {
                fields[5] = "7.5";
            }
            fields.join(",")
        })
        .collect::<Vec<_>>()
        .join("\n");
    let tables = [
        ("label_two", with_line(3, "1,2,3,4,5,6,7,8,2")),
        ("label_text", with_line(3, "1,2,3,4,5,6,7,8,pulsar")),
        ("label_empty", with_line(3, "1,2,3,4,5,6,7,8,")),
        ("nan", with_line(3, "1,2,3,4,5,nan,7,8,0")),
        ("ragged", with_line(3, "1,2,3")),
        ("no_label", good.replace(",label", ",class")),
        ("only_pulsars", only(",1")),
        ("no_pulsars", only(",0")),
        ("three_rows", lines[..4].join("\n")),
        ("header_alone", lines[0].to_owned()),
        ("constant", constant),
    ];
    let place = Place::new();
    let mut report = String::new();
    for (name, table) in tables {
        let file = format!("{name}.csv");
        place.write(&file, table);
        report.push_str(&refusal(
            &place,
            &format!("experiment3 --data {file} --out out --seeds 1"),
        ));
    }
    std::fs::create_dir_all(place.path().join("data/htru2")).unwrap();
    place.write("data/htru2/HTRU_2.csv", &good);
    for command in ["experiment3 --data auto --out out", "data fetch htru2"] {
        report.push_str(&refusal(&place, &format!("{command} --data-dir data")));
    }
    insta::assert_snapshot!("tables_to_learn_from", report);
}

/// Files whose bytes or tensors are wrong.
fn broken_files() -> Vec<(&'static str, Vec<u8>)> {
    let whole = model();
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    let mut longer = whole.clone();
    longer.extend_from_slice(&[0; 4]);
    let mut not_utf8 = whole.clone();
    not_utf8[20] = 0xff;
    let tensor = |name: &'static str, change: fn(&mut serde_json::Value)| {
        edited(|parts| change(&mut parts.header[name]))
    };
    vec![
        ("empty", Vec::new()),
        ("short", whole[..7].to_vec()),
        ("cut_header", whole[..100].to_vec()),
        ("cut_tensors", whole[..whole.len() - 1].to_vec()),
        ("longer", longer),
        ("huge_header", huge),
        ("not_utf8", not_utf8),
        ("text", b"row,probability,label\n0,0.5,1\n".to_vec()),
        ("foreign", b"\x02\0\0\0\0\0\0\0{}".to_vec()),
        (
            "wide_shape",
            tensor("network.0.bias", |info| info["shape"] = json!([7])),
        ),
        (
            "far_away",
            tensor("network.0.bias", |info| {
                info["data_offsets"] = json!([1_u64 << 40, (1_u64 << 40) + 24]);
            }),
        ),
        (
            "overflow",
            tensor("network.0.bias", |info| {
                info["shape"] = json!([u64::MAX, u64::MAX]);
            }),
        ),
        (
            "half",
            tensor("network.0.bias", |info| {
                info["dtype"] = json!("F16");
                info["shape"] = json!([12]);
            }),
        ),
        (
            "unknown_type",
            tensor("network.0.bias", |info| info["dtype"] = json!("Q4")),
        ),
        (
            "not_a_number",
            edited(|parts| {
                let end = parts.tensors.len();
                parts.tensors[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
            }),
        ),
        (
            "renamed_tensor",
            edited(|parts| {
                let header = parts.header.as_object_mut().unwrap();
                let info = header.remove("attention.gain").unwrap();
                header.insert("attention.grain".into(), info);
            }),
        ),
        (
            "other_shape",
            tensor("attention.coupling_weight", |info| {
                info["shape"] = json!([4]);
            }),
        ),
        (
            "zero_std",
            edited(|parts| {
                let place = &parts.header["standardize.m1.std"]["data_offsets"];
                let start = usize::try_from(place[0].as_u64().unwrap()).unwrap();
                parts.tensors[start..start + 4].fill(0);
            }),
        ),
    ]
}

/// Files that say what cannot be.
fn contradictory_files() -> Vec<(&'static str, Vec<u8>)> {
    let metadata = |change: fn(&mut serde_json::Value)| edited(|parts| change(&mut parts.metadata));
    vec![
        (
            "near_kind",
            metadata(|json| json["energy"]["kind"] = json!("denoising_autoencodr")),
        ),
        (
            "unknown_kind",
            metadata(|json| json["network"]["kind"] = json!("transformer")),
        ),
        (
            "kind_that_steers_the_terminal",
            metadata(|json| json["network"]["kind"] = json!("mlp\nerror: x\u{1b}[2J")),
        ),
        (
            "version_three",
            metadata(|json| json["format_version"] = json!(3)),
        ),
        (
            "version_text",
            metadata(|json| json["format_version"] = json!("one")),
        ),
        (
            "near_key",
            metadata(|json| {
                let json = json.as_object_mut().unwrap();
                json.remove("threshold");
                json.insert("treshold".into(), json!(0.5));
            }),
        ),
        (
            "no_key",
            metadata(|json| {
                json.as_object_mut().unwrap().remove("coldness");
            }),
        ),
        (
            "one_mode",
            metadata(|json| {
                json["modes"].as_array_mut().unwrap().pop();
            }),
        ),
        ("no_modes", metadata(|json| json["modes"] = json!([]))),
        (
            "three_modes",
            metadata(|json| {
                let mode = json!({"name": "m2", "columns": ["m2_0"]});
                json["modes"].as_array_mut().unwrap().push(mode);
            }),
        ),
        (
            "same_modes",
            metadata(|json| json["modes"][1]["name"] = json!("m0")),
        ),
        (
            "same_columns",
            metadata(|json| json["modes"][1]["columns"][0] = json!("m0_1")),
        ),
        (
            "mode_name",
            metadata(|json| json["modes"][1]["name"] = json!("M 1")),
        ),
        (
            "no_columns",
            metadata(|json| json["modes"][1]["columns"] = json!([])),
        ),
        (
            "negative_coldness",
            metadata(|json| json["coldness"] = json!(-0.1)),
        ),
        (
            "no_coldness",
            metadata(|json| json["coldness"] = json!(null)),
        ),
        (
            "threshold_text",
            metadata(|json| json["threshold"] = json!("half")),
        ),
        (
            "metadata_text",
            edited(|parts| parts.metadata = json!("with")),
        ),
    ]
}

#[test]
fn model_files() {
    let files = [broken_files(), contradictory_files()].concat();
    let place = Place::new();
    place.write("rows.csv", "m0_0,m0_1,m1_0\n1,2,3\n");
    place.write("scores.csv", OLD);
    std::fs::create_dir(place.path().join("folder.safetensors")).unwrap();
    let mut report = String::new();
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    for (name, bytes) in &files {
        place.write(&format!("{name}.safetensors"), bytes);
    }
    for name in names.into_iter().chain(["folder", "missing"]) {
        let score = format!("score --model {name}.safetensors --data rows.csv --out scores.csv");
        let line = refusal(&place, &score);
        // All commands that read models say the same.
        let inspect = format!("inspect --model {name}.safetensors");
        assert_eq!(refusal(&place, &inspect), line);
        for format in ["onnx", "torch"] {
            let export =
                format!("export --model {name}.safetensors --format {format} --out scores.csv");
            assert_eq!(refusal(&place, &export), line);
        }
        report.push_str(&line);
    }
    insta::assert_snapshot!("model_files", report);
    // The unchanged file is a good one, so each of these lines is owed to its change.
    place.write("whole.safetensors", edited(|_| {}));
    place.succeed("score --model whole.safetensors --data rows.csv");
}

#[test]
fn options() {
    let place = Place::new();
    place.write("model.safetensors", model());
    place.write("rows.csv", "m0_0,m0_1,m1_0\n1,2,3\n");
    std::fs::create_dir(place.path().join("folder")).unwrap();
    let mut report = String::new();
    for arguments in [
        "scor --model a",
        "score",
        "score --model model.safetensors",
        "score --modle model.safetensors --data rows.csv",
        "score --model model.safetensors --data rows.csv --out rows.csv",
        "score --model model.safetensors --data rows.csv --out model.safetensors",
        "score --model model.safetensors --data rows.csv --out folder",
        "score --model model.safetensors --data rows.csv --out nowhere/scores.csv",
        "score --model model.safetensors --data rows.csv --out scores.parquet.gz",
        "score --model model.safetensors --data rows.csv --out a.csv --rejects ./a.csv",
        "score --model model.safetensors --data rows.csv --rejects rows.csv",
        "score --model model.safetensors --data rows.csv --rejects rejects.parquet",
        "score --model model.safetensors --data rows.csv --rejects nowhere/rejects.csv",
        "score --model model.safetensors --data rows.csv --top 0",
        "score --model model.safetensors --data rows.csv --suspect 0.1",
        "score --model model.safetensors --data rows.csv --why --suspect 0",
        "score --model model.safetensors --data rows.csv --why --suspect nan",
        "score --model model.safetensors --data rows.csv --suspect-rate 0",
        "score --model model.safetensors --data rows.csv --suspect-rate 1",
        "score --model model.safetensors --data rows.csv --suspect-rate -0.5",
        "score --model model.safetensors --data rows.csv --suspect-rate nan",
        "score --model model.safetensors --data rows.csv --nan skip",
        "score --model model.safetensors --data rows.csv --threads 0",
        "inspect",
        "export",
        "export --model model.safetensors --out model.onnx",
        "export --model model.safetensors --format onxx --out model.onnx",
        "export --model model.safetensors --format pmml --out model.onnx",
        "export --model model.safetensors --format onnx",
        "export --model model.safetensors --format onnx --out ./model.safetensors",
        "export --model model.safetensors --format torch --out folder/../model.safetensors",
        "export --model model.safetensors --format onnx --out folder",
        "export --model model.safetensors --format onnx --out nowhere/model.onnx",
        "completions",
        "completions tcsh",
        "man --out nowhere",
        "man --out rows.csv",
        "data",
        "data fetch htru3",
        "experiment3 --seeds 0",
        "experiment3 --seeds -1",
        "experiment3 --seeds 1e3",
        "experiment3 --epochs 18446744073709551615",
        "experiment3 --seed 18446744073709551615 --data rows.csv",
        "experiment3 --quick --seeds 3",
        "experiment3 --positive-weight nan",
        "experiment3 --positive-weight 0",
        "experiment3 --threshold-rule max_f",
        "experiment3 --device tpu",
        "score --device cuda:one",
        "data simulate",
        "data simulate --out a.csv --rows 0",
        "data simulate --out a.csv --pulsar-fraction 1.5",
        "data simulate --out a.csv --pulsar-fraction nan",
        "data simulate --out a.csv --truth a.csv",
        "data simulate --out a.csv --truth ./a.csv",
        "data simulate --out a.csv --curves folder/../a.csv",
        "data simulate --out folder/",
        "data compare --data rows.csv",
        "data simulate --out nowhere/a.csv",
    ] {
        if arguments == "data" {
            continue; // Help, which is longer than a line.
        }
        report.push_str(&refusal(&place, arguments));
    }
    insta::assert_snapshot!("options", report);
}

/// Layouts that make no sense, in flags and in files.
#[test]
fn layouts() {
    let place = Place::new();
    place.write("rows.csv", "x,y,z,label\n1,2,3,0\n4,5,6,1\n");
    place.write("copy.csv", OLD);
    for (name, text) in [
        ("no_modes", "[modes]\n"),
        ("no_table", "label = \"label\"\n"),
        ("empty_mode", "[modes]\na = [\"x\"]\nb = []\n"),
        ("twice", "[modes]\na = [\"x\"]\na = [\"y\"]\n"),
        ("column_twice", "[modes]\na = [\"x\", \"x\"]\n"),
        ("in_two_modes", "[modes]\na = [\"x\", \"y\"]\nb = [\"y\"]\n"),
        (
            "label_in_mode",
            "label = \"y\"\n[modes]\na = [\"x\", \"y\"]\n",
        ),
        ("mode_name", "[modes]\nA = [\"x\"]\n"),
        ("unknown_key", "lable = \"label\"\n[modes]\na = [\"x\"]\n"),
        (
            "unknown_policy",
            "missing = \"skip\"\n[modes]\na = [\"x\"]\n",
        ),
        ("text_for_columns", "[modes]\na = \"x\"\n"),
        ("no_toml", "label = \"label\"\nmissing =\n[modes]\n"),
        ("binary", "\u{1}\u{2}"),
    ] {
        place.write(&format!("{name}.toml"), text);
    }
    place.write("not_utf8.toml", b"label = \"\xff\"\n");
    std::fs::create_dir(place.path().join("folder.toml")).unwrap();
    let mut report = String::new();
    for layout in [
        "",
        "--table no_modes.toml --mode a=x",
        "--table no_modes.toml --label label",
        "--table no_modes.toml --nan missing",
        "--mode a",
        "--mode =x",
        "--mode a=",
        "--mode a=x,,y",
        "--mode A=x",
        "--mode a=x --mode a=y",
        "--mode a=x,x",
        "--mode a=x,y --mode b=z,y",
        "--mode a=x,y --label y",
        "--mode a=x,w",
        "--mode a=x --label class",
        "--mode a=x --nan skip",
        "--table no_modes.toml",
        "--table no_table.toml",
        "--table empty_mode.toml",
        "--table twice.toml",
        "--table column_twice.toml",
        "--table in_two_modes.toml",
        "--table label_in_mode.toml",
        "--table mode_name.toml",
        "--table unknown_key.toml",
        "--table unknown_policy.toml",
        "--table text_for_columns.toml",
        "--table no_toml.toml",
        "--table binary.toml",
        "--table not_utf8.toml",
        "--table folder.toml",
        "--table nowhere.toml",
    ] {
        let line = refusal(&place, &format!("data describe --data rows.csv {layout}"));
        // Both commands that read tables with a layout say the same.
        let corrupt =
            format!("data corrupt --data rows.csv {layout} --corrupt a:swap --out copy.csv");
        if !layout.is_empty() {
            assert_eq!(refusal(&place, &corrupt), line);
        }
        report.push_str(&line);
    }
    insta::assert_snapshot!("layouts", report);
}

#[test]
fn tables_to_corrupt() {
    let place = Place::new();
    place.write("rows.csv", "x,y,z,label\n1,2,3,0\n4,5,6,1\n4,7,8,1\n");
    place.write("one.csv", "x,y,z,label\n1,2,3,0\n");
    place.write("same.csv", "x,y,z,label\n1,2,3,0\n1,2,3,1\n");
    place.write("nan.csv", "x,y,z,label\n1,2,3,0\n4,nan,6,1\n");
    place.write("nowhere.csv", "x,y,z,label\n,2,,0\n,5,6,1\n");
    place.write("numbers.csv", "1,2,3,0\n4,5,6,1\n");
    place.write("no_rows.csv", "x,y,z,label\n");
    place.write("wide.csv", "1,2,3,0,9\n");
    place.write("negative.csv", "x,y,z,label\n1,2,3,0\n4,5,6,0\n");
    place.write("copy.csv", OLD);
    place.write("copy.truth.csv", OLD);
    place.write("layout.toml", "[modes]\na = [\"x\"]\n");
    std::fs::create_dir(place.path().join("folder")).unwrap();
    let out = "--out copy.csv";
    let layout = "--mode a=x,y --mode b=z --label label";
    let rows = format!("--data rows.csv {layout}");
    let mut report = String::new();
    for arguments in [
        rows.clone(),
        format!("{rows} --corrupt a:swap"),
        format!("{rows} {out}"),
        format!("{rows} {out} --corrupt a"),
        format!("{rows} {out} --corrupt swap"),
        format!("{rows} {out} --corrupt A:swap"),
        format!("{rows} {out} --corrupt aa:swap"),
        format!("{rows} {out} --corrupt a:nosie:0.5"),
        format!("{rows} {out} --corrupt a:noise"),
        format!("{rows} {out} --corrupt a:noise:half"),
        format!("{rows} {out} --corrupt a:noise:-0.5"),
        format!("{rows} {out} --corrupt a:noise:nan"),
        format!("{rows} {out} --corrupt a:drop:1.5"),
        format!("{rows} {out} --corrupt a:quantize:17"),
        format!("{rows} {out} --corrupt a:offset:1e39"),
        format!("{rows} {out} --corrupt a:clip:-1"),
        format!("{rows} {out} --corrupt a:missing:1"),
        format!("{rows} {out} --corrupt a:scale:3e38 --corrupt a:scale:10"),
        format!("{rows} {out} --corrupt a:swap --rows some"),
        format!("{rows} {out} --corrupt a:swap --seed -1"),
        format!("{rows} {out} --corrupt a:swap --rows mixture"),
        format!("--data one.csv {layout} {out} --corrupt b:swap"),
        format!("--data same.csv {layout} {out} --corrupt a:noise:0.5"),
        format!("--data negative.csv {layout} {out} --corrupt a:adversarial_mean"),
        format!("--data rows.csv --mode a=x {out} --corrupt a:adversarial_mean"),
        format!("--data nan.csv {layout} {out} --corrupt b:swap"),
        format!("--data nowhere.csv {layout} --nan error {out} --corrupt b:swap"),
        format!("--data nan.csv --mode a=z --label y {out} --corrupt a:swap"),
        format!("--data no_rows.csv {layout} {out} --corrupt b:swap"),
        format!("--data wide.csv {layout} {out} --corrupt b:swap"),
        format!("--data absent.csv {layout} {out} --corrupt b:swap"),
        format!("--data - {layout} {out} --corrupt b:swap"),
        format!("--data numbers.csv --mode a=0,1 --mode b=2 {out} --corrupt b:swap"),
        format!("{rows} --corrupt a:swap --out rows.csv"),
        format!("{rows} --corrupt a:swap --out folder/../rows.csv"),
        "--data rows.csv --table layout.toml --corrupt a:swap --out layout.toml".to_owned(),
        format!("{rows} {out} --corrupt a:swap --truth copy.csv"),
        format!("{rows} {out} --corrupt a:swap --truth rows.csv"),
        format!("{rows} --corrupt a:swap --out folder"),
        format!("{rows} --corrupt a:swap --out nowhere/copy.csv"),
        format!("{rows} {out} --corrupt a:swap --truth folder/"),
        format!("--data nowhere.csv --mode a=x --nan missing {out} --corrupt a:noise:1"),
    ] {
        report.push_str(&refusal(&place, &format!("data corrupt {arguments}")));
    }
    insta::assert_snapshot!("tables_to_corrupt", report);
}

#[test]
fn made_up_data() {
    let place = Place::new();
    place.write("a.csv", OLD);
    let mut report = String::new();
    for arguments in [
        "simulate --out a.csv --raw a.csv",
        "simulate --out a.csv --raw b.csv --truth b.table.toml",
        "simulate --out a.csv --raw nowhere/b.csv",
        "coupling",
        "coupling --out a.csv --rows 0",
        "coupling --out a.csv --structure ring",
        "coupling --out a.csv --strength -1",
        "coupling --out a.csv --redundancy 1.5",
        "coupling --out a.csv --complementarity 1,2",
        "coupling --out a.csv --complementarity 0,101,0",
        "coupling --out a.csv --conflict nan",
        "coupling --out a.csv --positive-fraction 1",
        "coupling --out a.csv --truth a.csv",
        "coupling --out a.csv --truth a.table.toml",
        "manifold",
        "manifold --out a.csv",
        "manifold spiral --out a.csv",
        "manifold wave --out a.csv --noise -1",
        "manifold wave --out a.csv --noise 1e38 --rows 1000",
        "manifold wave --out a.csv --rows 1e3",
    ] {
        if arguments == "manifold" {
            continue; // Help, which is longer than a line.
        }
        report.push_str(&refusal(&place, &format!("data {arguments}")));
    }
    insta::assert_snapshot!("made_up_data", report);
}
