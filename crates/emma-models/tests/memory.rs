//! A bad model file costs no more memory than its own size and 1 MiB, whatever it claims.
//!
//! One test alone in its program, because all threads share the allocator that counts.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::fmt::Write as _;
use std::io::{Seek, SeekFrom, Write};

use candle_core::Device;
use emma_models::{Checkpoint, TrainedModel};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most bytes allocated at once, above those before, while `work` runs.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage() - before)
}

const MIB: usize = 1 << 20;

/// A header with its length in front, and zeros for tensors.
fn file(header: &str, n_zeros: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + n_zeros, 0);
    bytes
}

/// A header whose metadata are this JSON, with one tensor of `n` numbers.
fn with_metadata(metadata: &str, n: usize) -> Vec<u8> {
    let text = serde_json::to_string(metadata).unwrap();
    let header = format!(
        r#"{{"__metadata__":{{"emma":{text}}},"x":{{"dtype":"F32","shape":[{n}],"data_offsets":[0,{}]}}}}"#,
        4 * n
    );
    file(&header, 4 * n)
}

const METADATA: &str = r#"{"format_version":1,"modes":[{"name":"a","columns":["x"]}],"label":"y","coldness":null,"energy":null,"network":{"kind":"mlp"},"threshold":0.5"#;

/// Files that are all bad, each with what is wrong with it.
#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_files() -> Vec<(&'static str, Vec<u8>)> {
    let mut entries = String::from("{");
    for number in 0..40_000 {
        let _ = write!(
            entries,
            r#""{number}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}},"#
        );
    }
    let few_entries = format!("{}}}", &entries[..entries.find(r#","1400""#).unwrap()]);
    let many_entries = format!("{}}}", entries.trim_end_matches(','));
    let dimensions = vec!["1"; 500_000].join(",");
    let columns: Vec<String> = (0..300_000)
        .map(|column| format!(r#""{column}""#))
        .collect();
    let n = 3 * MIB;
    let mut not_a_number = with_metadata(&format!("{METADATA}}}"), n);
    let end = not_a_number.len();
    not_a_number[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    vec![
        ("an announced exabyte", {
            let mut bytes = file("{}", 0);
            bytes[7] = 0x10;
            bytes
        }),
        ("an announced header of the whole file", {
            let mut bytes = file("{}", 3 * MIB);
            bytes[..8].copy_from_slice(&(3 * MIB as u64 + 2).to_le_bytes());
            bytes
        }),
        (
            "blanks for a header",
            file(&format!("{{{}}}", " ".repeat(3 * MIB)), 0),
        ),
        (
            "a tensor of exabytes",
            file(
                r#"{"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,16]}}"#,
                16,
            ),
        ),
        (
            "a shape of many dimensions",
            file(
                &format!(
                    r#"{{"x":{{"dtype":"F32","shape":[{dimensions}],"data_offsets":[0,4]}}}}"#
                ),
                4,
            ),
        ),
        ("fewer tensors than the bound", file(&few_entries, 0)),
        ("many empty tensors", file(&many_entries, 0)),
        (
            "a long metadata list",
            with_metadata(
                &format!(
                    r#"{METADATA},"training":{{"a":[{}]}}}}"#,
                    vec!["0"; 500_000].join(",")
                ),
                1,
            ),
        ),
        ("commas written as escapes", {
            let list = vec!["0"; 500_000].join(",");
            let metadata = format!(r#"{METADATA},"training":{{"a":[{list}]}}}}"#);
            let text = serde_json::to_string(&metadata)
                .unwrap()
                .replace(',', "\\u002c");
            let header = format!(
                r#"{{"__metadata__":{{"emma":{text}}},"x":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#
            );
            file(&header, 4)
        }),
        (
            "one long text",
            with_metadata(
                &format!(r#"{METADATA},"name":"{}"}}"#, "a".repeat(5 * MIB)),
                1,
            ),
        ),
        ("one long name", {
            let name = "a".repeat(5 * MIB);
            file(
                &format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#),
                4,
            )
        }),
        (
            "many columns",
            with_metadata(
                &format!(
                    r#"{{"format_version":1,"modes":[{{"name":"a","columns":[{}]}}]"#,
                    columns.join(",")
                ),
                1,
            ),
        ),
        (
            "many keys",
            with_metadata(&format!("{{{}", r#""a":0,"#.repeat(500_000)), 1),
        ),
        ("not a number at the very end", not_a_number),
        (
            "a missing tensor",
            with_metadata(&format!("{METADATA}}}"), 2 * MIB),
        ),
    ]
}

#[test]
fn a_bad_model_file_costs_its_own_size_and_a_mebibyte() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in bad_files() {
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, &bytes).unwrap();
        let length = bytes.len();
        drop(bytes);
        let (result, peak) = peak_of(|| {
            let checkpoint = Checkpoint::load(&path)?;
            TrainedModel::from_checkpoint(&checkpoint, &Device::Cpu)
        });
        assert!(result.is_err(), "{name}");
        assert!(peak <= length + MIB, "{name}: {peak} of {length} bytes");
    }

    // A gibibyte of nothing, which takes no room on the disk, is refused at a glance.
    let path = folder.path().join("junk.safetensors");
    let mut junk = std::fs::File::create(&path).unwrap();
    junk.seek(SeekFrom::Start(1 << 30)).unwrap();
    junk.write_all(b"x").unwrap();
    for announced in [0_u64, 50_000_000, 1 << 29, u64::MAX] {
        junk.seek(SeekFrom::Start(0)).unwrap();
        junk.write_all(&announced.to_le_bytes()).unwrap();
        let (result, peak) = peak_of(|| Checkpoint::load(&path));
        assert!(result.is_err(), "{announced}");
        assert!(peak <= MIB, "{announced}: {peak} bytes");
    }
}
