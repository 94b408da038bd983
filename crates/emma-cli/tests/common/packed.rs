//! Tables in the containers that `emma` can read.

use std::io::Write as _;
use std::sync::Arc;

use parquet::data_type::FloatType;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn writer(columns: &str) -> SerializedFileWriter<Vec<u8>> {
    let schema = parse_message_type(&format!("message table {{ {columns} }}")).unwrap();
    SerializedFileWriter::new(
        Vec::new(),
        Arc::new(schema),
        Arc::new(WriterProperties::new()),
    )
    .unwrap()
}

/// A Parquet file of these columns, without rows.
pub(crate) fn parquet(columns: &str) -> Vec<u8> {
    writer(columns).into_inner().unwrap()
}

/// A Parquet file of 32-bit floats.
pub(crate) fn float_columns<const N: usize>(names: &[&str; N], rows: &[[f32; N]]) -> Vec<u8> {
    let columns = names.map(|name| format!("required float {name};"));
    let mut writer = writer(&columns.concat());
    let mut group = writer.next_row_group().unwrap();
    for column in 0..N {
        let values: Vec<f32> = rows.iter().map(|row| row[column]).collect();
        let mut writer = group.next_column().unwrap().unwrap();
        writer
            .typed::<FloatType>()
            .write_batch(&values, None, None)
            .unwrap();
        writer.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}
