//! The same for Parquet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use emma_data::{
    Chunk, Error, LabelColumn, MissingValues, Place, Result, TableReader, htru2, read_candidates,
};
use half::f16;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use super::{FEATURES, columns, digest, gzip, read, text};

/// Values of one column of a row group, and which rows have one if not all.
enum Values {
    Boolean(Vec<bool>),
    Int32(Vec<i32>, Option<Vec<i16>>),
    Int64(Vec<i64>),
    Float16(Vec<f16>),
    Float32(Vec<f32>),
    Float64(Vec<f64>, Option<Vec<i16>>),
    Text(Vec<&'static str>),
}

/// Writes row groups; returns the bytes of the file.
fn file(schema: &str, groups: Vec<Vec<Values>>, compression: Compression) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message table {{ {schema} }}")).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_row_count_limit(1000)
        .set_write_batch_size(500)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for group in groups {
        let mut group_writer = writer.next_row_group().unwrap();
        for values in group {
            let mut column = group_writer.next_column().unwrap().unwrap();
            macro_rules! write {
                ($type:ty, $values:expr, $levels:expr) => {
                    column
                        .typed::<$type>()
                        .write_batch($values, $levels, None)
                        .unwrap()
                };
            }
            match values {
                Values::Boolean(values) => write!(BoolType, &values, None),
                Values::Int32(values, levels) => write!(Int32Type, &values, levels.as_deref()),
                Values::Int64(values) => write!(Int64Type, &values, None),
                Values::Float16(values) => {
                    let values: Vec<<FixedLenByteArrayType as DataType>::T> = values
                        .iter()
                        .map(|value| value.to_le_bytes().to_vec().into())
                        .collect();
                    write!(FixedLenByteArrayType, &values, None)
                }
                Values::Float32(values) => write!(FloatType, &values, None),
                Values::Float64(values, levels) => write!(DoubleType, &values, levels.as_deref()),
                Values::Text(values) => {
                    let values: Vec<_> = values.into_iter().map(Into::into).collect();
                    write!(ByteArrayType, &values, None)
                }
            };
            column.close().unwrap();
        }
        group_writer.close().unwrap();
    }
    writer.into_inner().unwrap()
}

const SCHEMA: &str = "required float x; required binary name (string); required float y; \
                      required float z; required int32 label;";

/// The table of `columns`, in row groups of at most `rows_per_group`.
fn same_table(
    features: &[Vec<f32>; 3],
    labels: &[u8],
    rows_per_group: usize,
    compression: Compression,
) -> Vec<u8> {
    let groups = (0..labels.len())
        .step_by(rows_per_group)
        .map(|start| {
            let rows = start..(start + rows_per_group).min(labels.len());
            let [x, y, z] = features
                .each_ref()
                .map(|column| Values::Float32(column[rows.clone()].to_vec()));
            let labels = labels[rows.clone()].iter().map(|&label| label.into());
            let names = vec!["stone"; rows.len()];
            vec![
                x,
                Values::Text(names),
                y,
                z,
                Values::Int32(labels.collect(), None),
            ]
        })
        .collect();
    file(SCHEMA, groups, compression)
}

struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn written(bytes: &[u8]) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    std::fs::write(&path, bytes).unwrap();
    Written {
        _folder: folder,
        path,
    }
}

fn open(path: &Path, missing: MissingValues) -> Result<TableReader<'static>> {
    let label = LabelColumn::Required("label".to_owned());
    TableReader::open(path, &FEATURES, label, missing)
}

fn read_file(bytes: &[u8]) -> Result<Chunk> {
    let place = written(bytes);
    open(&place.path, MissingValues::Refuse)?.read_all()
}

#[test]
fn parquet_gives_the_values_of_text() {
    let (features, labels) = columns(10_000, 1);
    let expected = read(text(&features, &labels).as_bytes()).unwrap();
    for (rows_per_group, compression) in [
        (10_000, Compression::UNCOMPRESSED),
        (3_333, Compression::SNAPPY),
        (
            7_000,
            Compression::GZIP(parquet::basic::GzipLevel::default()),
        ),
        (9_999, Compression::ZSTD(ZstdLevel::default())),
    ] {
        let place = written(&same_table(&features, &labels, rows_per_group, compression));
        let found = open(&place.path, MissingValues::Refuse)
            .and_then(TableReader::read_all)
            .unwrap();
        assert_eq!(found.values(), expected.values());
        assert_eq!(found.labels(), expected.labels());
        assert!(found.lines().is_empty());
        assert_eq!(found.n_rows(), 10_000);

        // Chunks of every size cut the same rows.
        let mut reader = open(&place.path, MissingValues::Refuse).unwrap();
        let mut chunk = Chunk::new();
        let mut values = Vec::new();
        while reader.next_chunk(777, &mut chunk).unwrap() {
            assert_eq!(chunk.place(1), Place::Row(values.len() as u64 / 3 + 1));
            values.extend_from_slice(chunk.values());
        }
        assert_eq!(values, expected.values());
        assert!(!reader.next_chunk(777, &mut chunk).unwrap());
    }
}

#[test]
fn every_type_of_number_is_read() {
    let schema = "required int32 a (integer(8, true)); required int32 b (integer(32, false)); \
                  required int64 c (integer(64, false)); required fixed_len_byte_array(2) d (float16); \
                  required double e; required int64 f; required boolean label;";
    let group = vec![
        Values::Int32(vec![-7, 7], None),
        Values::Int32(vec![-1, 1], None),
        Values::Int64(vec![-1, 1]),
        Values::Float16(vec![f16::from_f32(0.5), f16::from_f32(-2.0)]),
        // Halfway between two floats and a little more: rounded once, it goes up.
        Values::Float64(
            vec![1.0 + f64::from(f32::EPSILON) / 2.0 + f64::EPSILON, 0.1],
            None,
        ),
        Values::Int64(vec![(1 << 40) + 1, i64::MIN]),
        Values::Boolean(vec![true, false]),
    ];
    let place = written(&file(schema, vec![group], Compression::SNAPPY));
    let label = LabelColumn::Required("label".to_owned());
    let names = ["a", "b", "c", "d", "e", "f"];
    let chunk = TableReader::open(&place.path, &names, label, MissingValues::Refuse)
        .and_then(TableReader::read_all)
        .unwrap();
    let expected = [
        [
            -7.0,
            u32::MAX as f32,
            u64::MAX as f32,
            0.5,
            1.0 + f32::EPSILON,
            (1_u64 << 40) as f32,
        ],
        [7.0, 1.0, 1.0, -2.0, 0.1, i64::MIN as f32],
    ];
    assert_eq!(chunk.values(), expected.concat());
    assert_eq!(chunk.labels(), Some(&[1, 0][..]));
}

fn with_gaps() -> Vec<u8> {
    let schema = "optional double y; optional int32 x; required float z; required int32 label;";
    let group = vec![
        Values::Float64(vec![1.0, f64::NAN, 4.0], Some(vec![1, 1, 0, 1])),
        Values::Int32(vec![1, 2, 3], Some(vec![1, 1, 1, 0])),
        Values::Float32(vec![5.0, 6.0, 7.0, 8.0]),
        Values::Int32(vec![0, 1, 0, 1], None),
    ];
    file(schema, vec![group], Compression::UNCOMPRESSED)
}

#[test]
fn nulls_are_missing_values() {
    let place = written(&with_gaps());
    let error = read_file(&with_gaps()).unwrap_err().to_string();
    let expected =
        "rows: row 1: expected a finite 32-bit number in column \"y\" (column 1), found \"NaN\"";
    assert!(error.ends_with(expected), "{error}");

    let mut reader = open(&place.path, MissingValues::AsNan).unwrap();
    let mut chunk = Chunk::new();
    assert!(reader.next_chunk(10, &mut chunk).unwrap());
    let found: Vec<i32> = chunk.values().iter().map(|&value| value as i32).collect();
    // NaN as an integer is 0, which no value here is.
    assert_eq!(found, [1, 1, 5, 0, 2, 6, 0, 3, 7, 4, 0, 8]);
    assert_eq!(reader.n_missing(), [2, 1, 0]);

    let label = LabelColumn::Required("x".to_owned());
    let error = TableReader::open(&place.path, &["z"], label, MissingValues::AsNan)
        .and_then(TableReader::read_all)
        .unwrap_err()
        .to_string();
    let expected = "row 1: expected 0 or 1 in the label column \"x\" (column 2), found \"2\"";
    assert!(error.ends_with(expected), "{error}");
    let mut reader = TableReader::open(
        &place.path,
        &["x"],
        LabelColumn::None,
        MissingValues::Refuse,
    )
    .unwrap();
    let error = reader.next_chunk(10, &mut chunk).unwrap_err().to_string();
    let expected = "row 3: expected a number in column \"x\" (column 2), found \"null\"";
    assert!(error.ends_with(expected), "{error}");
    // The rows before the faulty one are there, and no more come.
    assert_eq!(chunk.values(), [1.0, 2.0, 3.0]);
    assert!(!reader.next_chunk(10, &mut chunk).unwrap());
}

#[test]
fn other_types_are_refused_by_name() {
    let schema = "required binary text (string); required int32 money (decimal(9, 2)); \
                  required int32 day (date); required group pair { required float x; } \
                  repeated float many; required boolean flag; required float x;";
    let place = written(&file(schema, Vec::new(), Compression::UNCOMPRESSED));
    for (column, number, found) in [
        ("text", 1, "BYTE_ARRAY (string)"),
        (
            "money",
            2,
            "INT32 (decimal of 9 digits, 2 of them behind the point)",
        ),
        ("day", 3, "INT32 (date)"),
        ("pair", 4, "lists or groups"),
        ("many", 5, "lists or groups"),
        ("flag", 6, "BOOLEAN"),
    ] {
        let error = TableReader::open(
            &place.path,
            &[column],
            LabelColumn::None,
            MissingValues::AsNan,
        )
        .err()
        .unwrap();
        let message = format!(
            "{}: expected integers or floats in column {column:?} (column {number}), found {found}",
            place.path.display()
        );
        assert_eq!(error.to_string(), message);
    }
    let error = open(&place.path, MissingValues::Refuse).err().unwrap();
    let expected = "expected a column named \"y\", found the columns \"text\", \"money\", \"day\", \
                    \"pair\", \"many\", \"flag\", \"x\"";
    assert!(error.to_string().ends_with(expected), "{error}");
    let none = TableReader::open(
        &place.path,
        &["x"],
        LabelColumn::None,
        MissingValues::Refuse,
    )
    .and_then(TableReader::read_all);
    assert!(matches!(none, Err(Error::ParquetNoRows { .. })));
}

#[test]
fn a_stream_cannot_be_parquet() {
    let bytes = with_gaps();
    for bytes in [bytes.clone(), gzip(&bytes)] {
        let error = read(&bytes).unwrap_err();
        assert!(matches!(error, Error::ParquetStream { .. }), "{error}");
    }
}

#[test]
fn candidates_are_read_from_parquet() {
    let columns = htru2::COLUMNS.map(|name| format!("required double {name};"));
    let schema = columns.concat();
    let column = |value: f64| Values::Float64(vec![value, value + 1.0], None);
    let mut group: Vec<Values> = (0..8)
        .map(|column_index| column(column_index.into()))
        .collect();
    group.push(column(0.0));
    let place = written(&file(&schema, vec![group], Compression::SNAPPY));
    let table = read_candidates(&place.path).unwrap();
    assert_eq!(table.samples.labels(), [0, 1]);
    assert_eq!(
        table.samples.modes()[1].values.row(1).to_vec(),
        [5.0, 6.0, 7.0, 8.0]
    );
    assert_eq!(table.sha256, digest(&std::fs::read(&place.path).unwrap()));
}

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    let (features, labels) = columns(2_000, 2);
    let bytes = same_table(&features, &labels, 700, Compression::SNAPPY);
    let ends = (4..bytes.len())
        .step_by(97)
        .chain(bytes.len() - 20..bytes.len());
    for length in ends {
        let error = read_file(&bytes[..length]).unwrap_err();
        assert!(matches!(error, Error::Parquet { .. }), "{length}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_parquet_is_no_panic(
        compression in prop::sample::select(vec![
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::ZSTD(ZstdLevel::default()),
        ]),
        in_description: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (features, labels) = columns(100, 5);
        let mut bytes = same_table(&features, &labels, 60, compression);
        let description = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap());
        let first = if in_description { bytes.len() - 8 - description as usize } else { 4 };
        for (position, byte) in damage {
            let position = first + position.index(bytes.len() - first);
            bytes[position] = byte;
        }
        let place = written(&bytes);
        let result = open(&place.path, MissingValues::Refuse).and_then(TableReader::read_all);
        if let Err(error) = result {
            let name = place.path.display().to_string();
            prop_assert!(error.to_string().starts_with(&name), "{error}");
        }
    }
}
