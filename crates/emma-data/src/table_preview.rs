//! A first look at a table that nothing is known about.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::feature_reader::{excerpt, parse};
use crate::missing_values::is_missing;
use crate::record_reader::RecordReader;
use crate::text_table::TextTable;

/// Most different values that are kept of a column.
const MOST_VALUES: usize = 1000;

/// What the first rows of a table look like, column by column.
#[derive(Debug, Clone, PartialEq)]
pub struct TablePreview {
    /// Whether the table names its columns; if not they are `column_1`, `column_2`, ...
    pub has_names: bool,
    /// The columns, in the order of the file.
    pub columns: Vec<ColumnPreview>,
    /// Rows looked at.
    pub n_rows: usize,
}

/// What the first rows of a column look like.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnPreview {
    /// Its name.
    pub name: String,
    /// Rows that hold a number.
    pub n_numbers: usize,
    /// Rows that hold nothing, or what stands for it.
    pub n_missing: usize,
    /// Different values, in the order of their first rows; the first 1,000 alone.
    pub values: Vec<String>,
    /// Rows that have each of these values.
    pub counts: Vec<usize>,
}

impl ColumnPreview {
    /// Whether every row holds a number or nothing, and at least one a number.
    pub fn is_numeric(&self, n_rows: usize) -> bool {
        self.n_numbers > 0 && self.n_numbers + self.n_missing == n_rows
    }
}

impl TablePreview {
    /// Looks at up to `max_rows` rows of the table in a file: text, plain or packed, or Parquet.
    ///
    /// The first line of a text names its columns if one of its fields is neither a number nor stands for
    /// a missing one.
    ///
    /// # Errors
    /// Those of [`TableReader::open`](crate::TableReader::open) about the file; [`Error::NoRows`].
    pub fn open(path: impl AsRef<Path>, max_rows: usize) -> Result<Self> {
        let mut table = TextTable::open(path)?;
        let mut holds_row = false;
        let (has_names, names): (bool, Vec<String>) = match (table.records(), table.parquet_names())
        {
            (Some(records), _) => {
                let fields = (0..records.n_fields()).map(|field| records.field(field));
                let is_name = |text: &[u8]| parse::<f64>(text).is_none() && !is_missing(text);
                let has_names = fields.clone().any(is_name);
                holds_row = !has_names;
                let name = |(field, text): (usize, &[u8])| {
                    if has_names {
                        String::from_utf8_lossy(text).into_owned()
                    } else {
                        format!("column_{}", field + 1)
                    }
                };
                (has_names, fields.enumerate().map(name).collect())
            }
            (None, names) => (true, names.unwrap_or_default().to_vec()),
        };
        let mut columns: Vec<ColumnPreview> = names
            .into_iter()
            .map(|name| ColumnPreview {
                name,
                n_numbers: 0,
                n_missing: 0,
                values: Vec::new(),
                counts: Vec::new(),
            })
            .collect();
        let mut seen: Vec<HashMap<Vec<u8>, usize>> = vec![HashMap::new(); columns.len()];
        let mut n_rows = 0;
        while n_rows < max_rows && (std::mem::take(&mut holds_row) || table.advance()?) {
            n_rows += 1;
            for (field, (column, seen)) in columns.iter_mut().zip(&mut seen).enumerate() {
                let text = table.field(field);
                if text.is_empty() || is_missing(text) {
                    column.n_missing += 1;
                    continue;
                }
                column.n_numbers += usize::from(parse::<f64>(text).is_some());
                if let Some(&place) = seen.get(text) {
                    column.counts[place] += 1;
                } else if seen.len() < MOST_VALUES {
                    seen.insert(text.to_vec(), column.values.len());
                    column.values.push(excerpt(text));
                    column.counts.push(1);
                }
            }
        }
        if n_rows == 0 {
            return Err(Error::NoRows {
                file: table.file().to_owned(),
                line: table.records().map_or(1, RecordReader::record_line),
            });
        }
        Ok(Self {
            has_names,
            columns,
            n_rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> TablePreview {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("it can be written");
        TablePreview::open(file.path(), 100).expect("readable")
    }

    #[test]
    fn numbers_names_and_gaps_are_told_apart() {
        let found = look("a,b,c\n1,x,\n2.5,y,3\nnan,x,4\n");
        assert!(found.has_names);
        assert_eq!(found.n_rows, 3);
        let [a, b, c] = &found.columns[..] else {
            panic!("three columns")
        };
        assert!(a.is_numeric(3) && !b.is_numeric(3) && c.is_numeric(3));
        assert_eq!((a.n_missing, c.n_missing), (1, 1));
        assert_eq!(b.values, ["x", "y"]);
        assert_eq!(b.counts, [2, 1]);
    }

    #[test]
    fn a_first_line_of_numbers_is_a_row() {
        let found = look("1,2\n3,4\n");
        assert!(!found.has_names);
        assert_eq!(found.n_rows, 2);
        assert_eq!(found.columns[1].name, "column_2");
        assert_eq!(found.columns[1].values, ["2", "4"]);
    }
}
