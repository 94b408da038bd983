//! Whatever comes in, nothing panics: tables, layouts, and what is written on command lines.
//!
//! `cargo xtask soak` runs these with many more inputs than other test runs do (`PROPTEST_CASES`).
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use damage::{Change, damaged};
use emma_data::{
    Chunk, Corruption, FeatureReader, LabelColumn, MissingValues, ModeColumns, ModeCorruption,
    TableConfig, TablePreview, read_categories,
};
use proptest::prelude::*;

// The test kit itself brings candle, which this crate does without.
#[allow(unreachable_pub)] // It is where it belongs.
#[path = "../../emma-testkit/src/damage.rs"]
mod damage;

/// Texts that are well-formed; what comes in is one of them with changes, or anything at all.
const TABLES: [&str; 6] = [
    "a_x,a_y,b_x,label\n1,2,3,0\n4,5e3,-6,1\n",
    "1,2,3,0\n4,5,6,1\n7,8,9,0\n",
    "\u{feff}\"a_x\",\"a \"\"y\"\"\",b_x,label\r\n1,2,3,yes\r\n4,,6,no\r\n",
    "a_x,b_x\nnan,inf\n-0,1e-45\n",
    "label,b_x,a_y,a_x\n1.0,1,2,3\n\n\n0.0,4,5,6",
    "a_x\ta_y\n1;2\n",
];

const LAYOUTS: [&str; 3] = [
    "label = \"y\"\nmissing = \"as_nan\"\n[modes]\na = [\"a_x\", \"a_y\"]\nb = [\"b_x\"]\n",
    "[modes]\nip = [\"0\"]\n",
    "modes.a = [\"x\"]\nmodes.b = [\"y\", \"z\"]\nlabel = 'l'\n",
];

const WORDS: [&str; 10] = [
    "ip:noise:0.5",
    "dm:missing",
    "a:quantize:8",
    "noise:0.5",
    "clip:2",
    "swap",
    "adversarial_mean:0.5",
    "student_t:1e308",
    "drop:1",
    "ip=a,b,c",
];

/// Some text with changes, or any bytes.
fn changed(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec(any::<Change>(), 0..12);
    let edited = (prop::sample::select(texts), changes);
    let edited = edited.prop_map(|(text, changes)| damaged(text.as_bytes(), &changes));
    prop_oneof![3 => edited, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn fuzzed_tables_are_read_or_refused(
        bytes in changed(&TABLES),
        n_features in 1..4_usize,
        label in 0..3_u8,
        as_nan: bool,
        keeps_faulty_rows: bool,
    ) {
        let features = &["a_x", "b_x", "a_y"][..n_features];
        let label = match label {
            0 => LabelColumn::None,
            1 => LabelColumn::Optional("label".into()),
            _ => LabelColumn::Required("label".into()),
        };
        let missing = if as_nan { MissingValues::AsNan } else { MissingValues::Refuse };
        let reader = FeatureReader::with_missing_values(&bytes[..], "t", features, label, missing);
        if let Ok(mut reader) = reader {
            if keeps_faulty_rows {
                reader.keep_faulty_rows();
            }
            let mut chunk = Chunk::new();
            while let Ok(true) = reader.next_chunk(3, &mut chunk) {
                prop_assert_eq!(chunk.values().len(), chunk.n_rows() * n_features);
            }
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        if let Ok(columns) = read_categories(file.path(), features, &["label"]) {
            let levels = columns[0].levels.len() as u32;
            prop_assert!(columns[0].codes.iter().all(|&code| code < levels));
        }
        if let Ok(preview) = TablePreview::open(file.path(), 100) {
            for column in &preview.columns {
                prop_assert!(column.counts.iter().sum::<usize>() + column.n_missing <= preview.n_rows);
            }
        }
    }

    #[test]
    fn fuzzed_layouts_are_understood_or_refused(bytes in changed(&LAYOUTS)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(config) = TableConfig::parse(&text, "layout.toml") {
            let again = TableConfig::parse(&config.to_toml(), "layout.toml");
            prop_assert_eq!(again.ok(), Some(config));
        }
    }

    #[test]
    fn fuzzed_words_are_understood_or_refused(bytes in changed(&WORDS)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(corruption) = text.parse::<Corruption>() {
            prop_assert_eq!(corruption.to_string().parse::<Corruption>().ok(), Some(corruption));
        }
        if let Ok(corruption) = text.parse::<ModeCorruption>() {
            let again = corruption.to_string().parse::<ModeCorruption>().ok();
            prop_assert_eq!(again, Some(corruption));
        }
        let _ = text.parse::<ModeColumns>();
    }
}
