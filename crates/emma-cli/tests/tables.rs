//! Tables that the `data` commands describe, corrupt and make up.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::collections::BTreeSet;
use std::process::Stdio;

use common::Place;
use emma_data::{CorruptionTruth, MissingValues, Table, TableConfig};

const LAYOUT: &str = "--mode ip=ip_mean,ip_std,ip_skewness,ip_excess_kurtosis \
                      --mode dm=dm_mean,dm_std,dm_skewness,dm_excess_kurtosis --label label";

/// Suffix of the other format that tables are written in, where there is one.
const PACKED: &str = if cfg!(feature = "parquet") {
    "parquet"
} else {
    "text.csv"
};

fn config(layout: &str) -> TableConfig {
    let words: Vec<&str> = layout.split_whitespace().collect();
    let options = words.chunks(2);
    let modes = options.clone().filter(|option| option[0] == "--mode");
    let label = options.clone().find(|option| option[0] == "--label");
    TableConfig::new(
        modes.map(|option| option[1].parse().unwrap()).collect(),
        label.map(|option| option[1].to_owned()),
        MissingValues::AsNan,
    )
    .unwrap()
}

fn table(place: &Place, name: &str, layout: &str) -> Table {
    Table::open(place.path().join(name), &config(layout)).unwrap()
}

fn fields(place: &Place, name: &str) -> Vec<Vec<String>> {
    let text = place.read_text(name);
    let rows = text.lines();
    rows.map(|row| row.split(',').map(str::to_owned).collect())
        .collect()
}

#[test]
fn what_the_truth_names_is_changed_and_nothing_else() {
    let place = Place::new();
    place.succeed("data simulate --rows 400 --out survey.csv --quiet");
    let clean = fields(&place, "survey.csv");
    for (rows, per_row) in [("all", 2), ("mixture", 1), ("constrained", 1)] {
        let corrupt = format!(
            "data corrupt --data survey.csv {LAYOUT} --corrupt ip:noise:0.5 --corrupt dm:offset:-1 \
             --corrupt ip:scale:2 --rows {rows} --seed 3 --out {rows}.csv --quiet"
        );
        place.succeed(&corrupt);
        let after = fields(&place, &format!("{rows}.csv"));
        assert_eq!(after.len(), clean.len());
        assert_eq!(after[0], clean[0]);
        let truth = place.read(&format!("{rows}.truth.csv"));
        let truth = CorruptionTruth::read(&*truth, "truth", 400, ["ip", "dm"]).unwrap();
        let record = truth.record().unwrap();
        for row in 0..400 {
            for (mode, columns) in [(0, 0..4), (1, 4..8)] {
                let (before, after) = (&clean[row + 1], &after[row + 1]);
                let changed = before[columns.clone()] != after[columns];
                assert_eq!(changed, record.flags()[[row, mode]], "{rows}: row {row}");
            }
            assert_eq!(clean[row + 1][8], after[row + 1][8]);
            let n_corrupted = record.flags().row(row).iter().filter(|&&flag| flag).count();
            assert!(n_corrupted == per_row || (n_corrupted == 0 && rows != "all"));
        }
        let n_marked = record.flags().iter().filter(|&&flag| flag).count();
        assert_eq!(n_marked, if rows == "all" { 800 } else { 200 });
        // Two corruptions of ip, one of dm.
        let of = |mode: usize| {
            truth
                .corrupted()
                .iter()
                .filter(|it| it.mode_index == mode)
                .count()
        };
        let n_marked_in = |mode: usize| {
            record
                .flags()
                .column(mode)
                .iter()
                .filter(|&&flag| flag)
                .count()
        };
        assert_eq!((of(0), of(1)), (2 * n_marked_in(0), n_marked_in(1)));
        // The same again is the same bytes, from standard input and with the layout in a file too.
        place.write("layout.toml", config(LAYOUT).to_toml());
        let again = corrupt
            .replace(LAYOUT, "--table layout.toml")
            .replace("survey.csv", "-")
            .replace(&format!("{rows}.csv"), "again.csv");
        let mut command = place.command(&again);
        let survey = std::fs::File::open(place.path().join("survey.csv")).unwrap();
        assert!(
            command
                .stdin(Stdio::from(survey))
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(place.read("again.csv"), place.read(&format!("{rows}.csv")));
        assert_eq!(
            place.read("again.truth.csv"),
            place.read(&format!("{rows}.truth.csv"))
        );
        place.succeed(
            &corrupt
                .replace("--seed 3", "--seed 4")
                .replace(&format!("{rows}.csv"), "other.csv"),
        );
        assert_ne!(place.read("other.csv"), place.read(&format!("{rows}.csv")));
    }
}

#[test]
fn levels_are_standard_deviations_of_the_table() {
    let place = Place::new();
    place.succeed("data simulate --rows 2000 --out survey.csv --quiet");
    let name = format!("noisy.{PACKED}");
    place.succeed(&format!(
        "data corrupt --data survey.csv {LAYOUT} --corrupt dm:noise:0.5 --out {name}"
    ));
    let (clean, noisy) = (
        table(&place, "survey.csv", LAYOUT),
        table(&place, &name, LAYOUT),
    );
    assert_eq!(clean.labels(), noisy.labels());
    assert_eq!(clean.modes()[0].values, noisy.modes()[0].values);
    let (clean, noisy) = (&clean.modes()[1].values, &noisy.modes()[1].values);
    for (clean, noisy) in clean.columns().into_iter().zip(noisy.columns()) {
        let noise = &noisy.map(|&x| f64::from(x)) - &clean.map(|&x| f64::from(x));
        let ratio = noise.std(0.) / clean.map(|&x| f64::from(x)).std(0.);
        // Five standard errors of a standard deviation over 2,000 draws: 5 · 0.5 / √4000.
        assert!((ratio - 0.5).abs() < 0.04, "{ratio}");
    }
}

#[test]
fn missing_modes_are_empty_cells_that_read_back_as_missing() {
    let place = Place::new();
    place.write(
        "rows.csv",
        "name,y,x,z,label\na,1,2,3,0\nb,4,,6,1\nc,7,8,,1.0\nd,1,1,1,0\n",
    );
    let layout = "--mode a=x,y --mode b=z --label label --nan missing";
    place.succeed(&format!(
        "data corrupt --data rows.csv {layout} --corrupt b:missing --corrupt a:offset:1 --out out.csv"
    ));
    let text = place.read_text("out.csv");
    assert!(text.starts_with("x,y,z,label\n"), "{text}");
    // Incomplete, so left as it was.
    assert_eq!(text.lines().nth(2), Some(",4,,1"));
    assert!(
        text.lines()
            .skip(1)
            .all(|line| line.split(',').nth(2) == Some(""))
    );
    assert_eq!(
        place.read_text("out.truth.csv"),
        "row,mode,corruption\n0,b,missing\n1,b,missing\n3,b,missing\n0,a,offset:1\n2,a,offset:1\n\
         3,a,offset:1\n"
    );
    let said = place.succeed(&format!("data describe --data out.csv {layout} --json"));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["rows"], 4);
    assert_eq!(said["label"]["rows"], serde_json::json!([2, 2]));
    assert_eq!(said["modes"][1]["incomplete_rows"], 4);
    assert_eq!(
        said["modes"][1]["columns"][0]["quantiles"],
        serde_json::json!([])
    );
    assert_eq!(said["modes"][0]["columns"][0]["missing"], 1);
}

#[test]
fn a_table_is_described() {
    let place = Place::new();
    place.write(
        "stones.csv",
        "stone,weight,volume,redness,ore\na,2.9,1.1,0.21,0\nb,3.1,,0.25,0\nc,2.7,1,0.19,0\nd,5.1,NA,0.61,1\n",
    );
    place.write(
        "stones.toml",
        "label = \"ore\"\nmissing = \"as_nan\"\n[modes]\nscale = [\"weight\", \"volume\"]\ncamera = [\"redness\"]\n",
    );
    insta::assert_snapshot!(
        "description",
        place.succeed("data describe --data stones.csv --table stones.toml")
    );
    let quantiles = place.succeed("data describe --data stones.csv --mode scale=weight --json");
    let said: serde_json::Value = serde_json::from_str(&quantiles).unwrap();
    assert_eq!(said["label"], serde_json::Value::Null);
    let quantiles = &said["modes"][0]["columns"][0]["quantiles"];
    // 2.7, 2.9, 3.1, 5.1: the median is 3.
    assert_eq!(quantiles[3]["p"], 0.5);
    assert!((quantiles[3]["value"].as_f64().unwrap() - 3.).abs() < 1e-6);
    assert!((quantiles[6]["value"].as_f64().unwrap() - 5.1).abs() < 1e-6);
}

#[test]
fn raw_modes_are_those_of_the_same_candidates_at_any_number_of_threads() {
    let place = Place::new();
    let simulate = "data simulate --rows 1100 --seed 7 --pulsar-fraction 0.25 --quiet";
    place.succeed(&format!("{simulate} --out plain.csv"));
    place.succeed(&format!(
        "{simulate} --out a.csv --raw raw.csv --curves curves.csv --threads 1"
    ));
    place.succeed(&format!(
        "{simulate} --out b.csv --raw raw.{PACKED} --threads 3"
    ));
    place.succeed(&format!(
        "{simulate} --out c.csv --raw again.csv --threads 3"
    ));
    assert_eq!(place.read("a.csv"), place.read("plain.csv"));
    assert_eq!(place.read("b.csv"), place.read("plain.csv"));
    assert_eq!(place.read("a.truth.csv"), place.read("plain.truth.csv"));
    assert_eq!(place.read("raw.csv"), place.read("again.csv"));
    assert_eq!(place.read("raw.table.toml"), place.read("again.table.toml"));

    let layout = TableConfig::open(place.path().join("raw.table.toml")).unwrap();
    let modes = layout.modes().iter();
    let modes: Vec<(&str, usize)> = modes
        .map(|mode| (&*mode.name, mode.columns.len()))
        .collect();
    assert_eq!(
        modes,
        [
            ("profile", 128),
            ("dm_curve", 64),
            ("subbands", 512),
            ("subints", 512)
        ]
    );
    let raw = Table::open(place.path().join("raw.csv"), &layout).unwrap();
    let features = table(&place, "a.csv", LAYOUT);
    assert_eq!(raw.labels(), features.labels());
    let curves = fields(&place, "curves.csv");
    for row in 0..1100 {
        // Row i is the same candidate: its profile is that of the curves, whose mean is the first feature.
        let profile: Vec<String> = raw.modes()[0]
            .values
            .row(row)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(profile, curves[row + 1][1..129]);
        let mean = raw.modes()[0].values.row(row).mean().unwrap();
        assert!((mean - features.modes()[0].values[[row, 0]]).abs() < 1e-3);
        let highest = |values: &mut dyn Iterator<Item = f32>| values.fold(0., f32::max);
        let resampled = highest(&mut raw.modes()[1].values.row(row).iter().copied());
        let curve = highest(
            &mut curves[row + 1][129..]
                .iter()
                .map(|byte| byte.parse().unwrap()),
        );
        assert_eq!(resampled.to_string(), curve.to_string());
    }
    let packed = Table::open(place.path().join(format!("raw.{PACKED}")), &layout).unwrap();
    assert_eq!(packed.labels(), raw.labels());
    for (packed, raw) in packed.modes().iter().zip(raw.modes()) {
        assert_eq!(packed.values, raw.values);
    }
    // What it was made for: damage to one of the modes.
    place.succeed(
        "data corrupt --data raw.csv --table raw.table.toml --rows constrained --corrupt \
         subbands:noise:0.5 --out bad.csv",
    );
    assert!(place.read_text("bad.truth.csv").lines().count() > 200);
}

#[test]
fn coupled_modes_come_with_their_truth_and_layout() {
    let place = Place::new();
    let coupling = "data coupling --rows 2000 --seed 5 --structure nested --strength 2";
    place.succeed(&format!("{coupling} --out clean.csv"));
    place.succeed(&format!(
        "{coupling} --conflict 0.2,0,0 --out conflict.csv --quiet"
    ));
    assert_eq!(place.read_text("clean.truth.csv"), "row,mode,corruption\n");
    assert_eq!(
        place.read("clean.table.toml"),
        place.read("conflict.table.toml")
    );
    let layout = TableConfig::open(place.path().join("clean.table.toml")).unwrap();
    let [clean, conflict] = ["clean.csv", "conflict.csv"]
        .map(|name| Table::open(place.path().join(name), &layout).unwrap());
    assert_eq!(clean.labels(), conflict.labels());
    let truth = place.read("conflict.truth.csv");
    let truth = CorruptionTruth::read(&*truth, "truth", 2000, ["a", "b", "c"]).unwrap();
    let in_conflict: BTreeSet<usize> = truth.corrupted().iter().map(|it| it.row).collect();
    assert!(truth.corrupted().iter().all(|it| it.mode_index == 0));
    // Five standard deviations of the number of conflicts, 5 √(2000 · 0.2 · 0.8).
    assert!(
        in_conflict.len().abs_diff(400) < 90,
        "{}",
        in_conflict.len()
    );
    for row in 0..2000 {
        let sign = if in_conflict.contains(&row) { -1. } else { 1. };
        let values = |table: &Table| table.modes()[0].values.row(row).to_owned();
        assert_eq!(&values(&clean) * sign, values(&conflict));
    }
    for mode in [1, 2] {
        assert_eq!(clean.modes()[mode].values, conflict.modes()[mode].values);
    }
    // The part that all share tells the class as its strength says.
    let labels = clean.labels().unwrap();
    let shared = clean.modes()[1].values.column(0).to_owned();
    let right = shared
        .iter()
        .zip(labels)
        .filter(|(x, label)| (**x > 0.) == (**label == 1));
    // Φ(2) = 0.977.
    assert!((0.96..0.99).contains(&(right.count() as f64 / 2000.)));
}

#[test]
fn manifolds_are_the_curves_of_the_thesis() {
    let place = Place::new();
    place.succeed("data manifold wave --rows 300 --seed 2 --out wave.csv");
    place.succeed("data manifold circle --rows 300 --seed 2 --out circle.csv --quiet");
    place.succeed("data manifold circle --rows 300 --seed 2 --noise 0.1 --out noisy.csv");
    let points = |name: &str| -> Vec<[f64; 2]> {
        let rows = fields(&place, name);
        assert_eq!(rows[0], ["x", "y"]);
        let rows = rows[1..].iter();
        rows.map(|row| [0, 1].map(|axis| row[axis].parse().unwrap()))
            .collect()
    };
    let (wave, circle, noisy) = (
        points("wave.csv"),
        points("circle.csv"),
        points("noisy.csv"),
    );
    assert_eq!((wave.len(), circle.len()), (300, 300));
    // sin t = -sin x at x = t - π; coordinates are rounded to 32 bits.
    assert!(wave.iter().all(|[x, y]| (y + x.sin()).abs() < 1e-6));
    assert!(circle.iter().all(|[x, y]| (x.hypot(*y) - 3.).abs() < 1e-6));
    let n_off = noisy
        .iter()
        .filter(|[x, y]| (x.hypot(*y) - 3.).abs() > 1e-3)
        .count();
    assert!(n_off > 280, "{n_off}");
}
