//! What the reader makes of every table.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use emma_data::{Chunk, FeatureReader, LabelColumn, ModeColumns, Samples};
use proptest::prelude::*;

const FEATURES: [&str; 3] = ["first", "second", "third"];

/// Every finite float, subnormal numbers and both zeros included.
fn finite() -> impl Strategy<Value = f32> {
    any::<u32>()
        .prop_map(f32::from_bits)
        .prop_filter("finite", |value| value.is_finite())
}

fn rows() -> impl Strategy<Value = Vec<([f32; 3], u8)>> {
    prop::collection::vec(([finite(), finite(), finite()], 0..2_u8), 1..40)
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\n", "\r\n", "\r"])
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Reads a table in chunks of `max_rows`, all of its rows.
fn read(table: &[u8], label: &LabelColumn, max_rows: usize) -> emma_data::Result<Chunk> {
    let mut reader = FeatureReader::new(table, "table.csv", &FEATURES, label.clone())?;
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    let mut chunk = Chunk::new();
    while reader.next_chunk(max_rows, &mut chunk)? {
        assert_eq!(chunk.first_row() as usize, values.len() / FEATURES.len());
        assert!((1..=max_rows).contains(&chunk.n_rows()));
        values.extend_from_slice(chunk.values());
        labels.extend_from_slice(chunk.labels().unwrap_or_default());
    }
    let whole = FeatureReader::new(table, "table.csv", &FEATURES, label.clone())?.read_all()?;
    assert_eq!(bits(whole.values()), bits(&values));
    assert_eq!(whole.labels().unwrap_or_default(), labels);
    Ok(whole)
}

proptest! {
    #[test]
    fn tables_come_back_bit_for_bit(
        rows in rows(),
        end in line_end(),
        has_header: bool,
        has_mark: bool,
        has_label: bool,
        n_blank in 0..3_usize,
        ends_open: bool,
        max_rows in 1..50_usize,
    ) {
        let mut lines = Vec::new();
        if has_header {
            lines.push(if has_label {
                "note,third,label,first,second".to_owned()
            } else {
                "note,third,first,second".to_owned()
            });
        }
        for (index, ([first, second, third], label)) in rows.iter().enumerate() {
            let note = ["\"a, \"\"b\"\"\"", "", "nan"][index % 3];
            lines.push(match (has_header, has_label) {
                (true, true) => format!("{note},{third},{label},{first},{second:e}"),
                (true, false) => format!("{note},{third:?}, {first} ,{second}"),
                (false, true) => format!("{first},{second},\"{third}\",{label}"),
                (false, false) => format!("{first},{second:e},\t{third}"),
            });
        }
        let gap = end.repeat(1 + n_blank);
        let mark = if has_mark { "\u{feff}" } else { "" };
        let last = if ends_open { "" } else { &*gap };
        let table = format!("{mark}{}{last}", lines.join(&gap));

        let label = LabelColumn::Optional("label".to_owned());
        let chunk = read(table.as_bytes(), &label, max_rows).unwrap();
        let expected: Vec<f32> = rows.iter().flat_map(|(values, _)| *values).collect();
        prop_assert_eq!(bits(chunk.values()), bits(&expected));
        let labels: Vec<u8> = rows.iter().map(|(_, label)| *label).collect();
        prop_assert_eq!(chunk.labels(), has_label.then_some(&*labels));
        let expected_lines: Vec<u64> = (0..rows.len())
            .map(|row| (1 + (row + usize::from(has_header)) * (1 + n_blank)) as u64)
            .collect();
        prop_assert_eq!(chunk.lines(), expected_lines);

        let without = read(table.as_bytes(), &LabelColumn::None, max_rows).unwrap();
        prop_assert_eq!(bits(without.values()), bits(&expected));
        prop_assert_eq!(without.labels(), None);
    }

    #[test]
    fn fields_are_those_of_the_csv_crate(
        fields in prop::collection::vec(("[ -~\n\"]{0,6}", finite(), finite(), finite()), 1..20),
        end in line_end(),
    ) {
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(["text", "first", "second", "third"]).unwrap();
        for (text, first, second, third) in &fields {
            writer
                .write_record([text.clone(), first.to_string(), second.to_string(), third.to_string()])
                .unwrap();
        }
        let table = writer.into_inner().unwrap();
        let table = String::from_utf8(table).unwrap().replace('\n', end);
        let chunk = read(table.as_bytes(), &LabelColumn::None, 7).unwrap();
        let expected: Vec<f32> = csv::Reader::from_reader(table.as_bytes())
            .records()
            .flat_map(|record| {
                let record = record.unwrap();
                (1..4).map(move |field| record[field].parse::<f32>().unwrap()).collect::<Vec<_>>()
            })
            .collect();
        prop_assert_eq!(bits(chunk.values()), bits(&expected));
    }

    #[test]
    fn mutated_bytes_never_panic(
        rows in rows(),
        has_header: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(
            b"\0\n\r\",.-+e019xnan \xef\xbb\xbf\xff\x80".to_vec(),
        ), 0..3_u8), 0..12),
        max_rows in 1..50_usize,
    ) {
        let mut table = Vec::new();
        if has_header {
            table.extend_from_slice(b"first,second,third,label\n");
        }
        for ([first, second, third], label) in rows {
            table.extend_from_slice(format!("{first:e},{second:e},{third:e},{label}\n").as_bytes());
        }
        for (place, byte, kind) in changes {
            let place = place.index(table.len());
            match kind {
                0 => table[place] = byte,
                1 => table.insert(place, byte),
                _ => table.truncate(place.max(1)),
            }
        }
        check_outcome(&table, max_rows)?;
    }

    #[test]
    fn random_bytes_never_panic(
        table in prop::collection::vec(any::<u8>(), 0..200),
        max_rows in 1..50_usize,
    ) {
        check_outcome(&table, max_rows)?;
    }
}

/// Whatever comes out of `table` is finite and whole, or an error that says where.
fn check_outcome(table: &[u8], max_rows: usize) -> Result<(), TestCaseError> {
    for label in [
        LabelColumn::None,
        LabelColumn::Optional("label".to_owned()),
        LabelColumn::Required("label".to_owned()),
    ] {
        match read(table, &label, max_rows) {
            Ok(chunk) => {
                prop_assert_eq!(chunk.values().len(), 3 * chunk.n_rows());
                prop_assert!(chunk.values().iter().all(|value| value.is_finite()));
                prop_assert!(
                    chunk
                        .labels()
                        .unwrap_or_default()
                        .iter()
                        .all(|&label| label < 2)
                );
                prop_assert!(chunk.lines().is_sorted());
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("table.csv: "), "{}", message);
                prop_assert!(!message.ends_with('.'), "{}", message);
            }
        }
    }
    let modes = [
        ModeColumns::new("a", ["first"]),
        ModeColumns::new("b", ["second", "third"]),
    ];
    let samples = Samples::read(table, "table.csv", &modes, "label");
    prop_assert_eq!(
        samples.is_ok(),
        read(table, &LabelColumn::Required("label".to_owned()), max_rows).is_ok()
    );
    Ok(())
}

/// Rows that are kept with their faults: as many as there are records, each with its text.
#[test]
fn faulty_rows_are_kept_with_their_text_and_their_reason() {
    let table = "1,2,3\n4,\"fi,ve\",6\r\n7,8\n\n 9 ,8,\"7\"\r1,nan,1e39";
    let mut reader = FeatureReader::new(
        table.as_bytes(),
        "a: b.csv",
        &["x", "y", "z"],
        LabelColumn::None,
    )
    .unwrap();
    reader.keep_faulty_rows();
    let mut chunk = Chunk::new();
    let mut rows = Vec::new();
    while reader.next_chunk(2, &mut chunk).unwrap() {
        for row in 0..chunk.n_rows() {
            let record = std::str::from_utf8(chunk.record(row).unwrap())
                .unwrap()
                .to_owned();
            let fault = chunk.faults().iter().find(|fault| fault.row == row);
            let values = &chunk.values()[3 * row..3 * row + 3];
            assert_eq!(fault.is_some(), values.iter().all(|value| value.is_nan()));
            let reason = fault.map_or("", |fault| fault.reason.as_str()).to_owned();
            rows.push((
                chunk.first_row() + row as u64,
                chunk.lines()[row],
                record,
                reason,
            ));
        }
    }
    let row =
        |row, line, record: &str, reason: &str| (row, line, record.to_owned(), reason.to_owned());
    assert_eq!(
        rows,
        [
            row(0, 1, "1,2,3", ""),
            row(
                1,
                2,
                "4,\"fi,ve\",6",
                "expected a number in column \"y\" (column 2), found \"fi,ve\""
            ),
            row(
                2,
                3,
                "7,8",
                "expected 3 fields, as in the first line, found 2"
            ),
            row(3, 5, " 9 ,8,\"7\"", ""),
            row(
                4,
                6,
                "1,nan,1e39",
                "expected a finite 32-bit number in column \"y\" (column 2), found \"nan\""
            ),
        ]
    );
}
