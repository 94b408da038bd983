//! Columns that hold names: classes, or which part of a split a row belongs to.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::feature_reader::{Header, excerpt, is_value};
use crate::missing_values::{MissingValues, is_missing};
use crate::record_reader::RecordReader;
use crate::text_table::TextTable;

/// Most different values of a column of names.
const MOST_LEVELS: usize = 1000;

/// A column of names: which there are, and which of them each row has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// The different values, in the order of their first rows.
    pub levels: Vec<String>,
    /// Places in `levels`, `[rows]`.
    pub codes: Vec<u32>,
}

impl Categories {
    /// The same with its levels in order: by number if all are numbers, else by letter.
    #[must_use]
    pub fn sorted(self) -> Self {
        let numbers: Option<Vec<f64>> =
            self.levels.iter().map(|level| level.parse().ok()).collect();
        let mut order: Vec<usize> = (0..self.levels.len()).collect();
        match &numbers {
            Some(numbers) => order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b])),
            None => order.sort_by(|&a, &b| self.levels[a].cmp(&self.levels[b])),
        }
        let mut places = vec![0; order.len()];
        for (place, &level) in (0u32..).zip(&order) {
            places[level] = place;
        }
        Self {
            levels: order
                .iter()
                .map(|&level| self.levels[level].clone())
                .collect(),
            codes: self
                .codes
                .iter()
                .map(|&code| places[code as usize])
                .collect(),
        }
    }
}

/// Reads columns of names from the table in a file: text, plain or packed, or Parquet.
///
/// What is a header is decided as for a [`FeatureReader`](crate::FeatureReader) that is asked for `features`. A text without
/// one has a single column beside the features: the last.
///
/// # Errors
/// Those of [`TableReader::open`](crate::TableReader::open) about the file and missing columns; [`Error::EmptyCategory`] for a row
/// without a value (nothing, `nan`, `na`, `null`), [`Error::CategoryText`] for one that is not UTF-8, [`Error::TooManyCategories`] for more than 1,000 different ones, [`Error::RaggedRow`].
pub fn read_categories(
    path: impl AsRef<Path>,
    features: &[impl AsRef<str>],
    columns: &[&str],
) -> Result<Vec<Categories>> {
    let mut table = TextTable::open(path)?;
    let mut holds_row = false;
    let fields: Vec<usize> = if let Some(records) = table.records() {
        let n_features = features.len();
        let is_name = |&field: &usize| !is_value(records.field(field), MissingValues::AsNan);
        let evidence = (0..n_features.min(records.n_fields())).find(is_name);
        if let Some(evidence) = evidence {
            let header = Header::new(table.file(), records, evidence, columns.iter().copied())?;
            let fields = columns.iter().map(|name| Ok(header.require(name)?.field));
            fields.collect::<Result<_>>()?
        } else {
            if records.n_fields() != n_features + 1 || columns.len() > 1 {
                return Err(Error::HeaderlessColumnCount {
                    file: table.file().to_owned(),
                    line: records.record_line(),
                    features: features
                        .iter()
                        .map(|name| name.as_ref().to_owned())
                        .collect(),
                    label_required: true,
                    found: records.n_fields(),
                });
            }
            holds_row = true;
            vec![n_features; columns.len()]
        }
    } else {
        table.keep(columns)?;
        let names = table.parquet_names().unwrap_or_default();
        let place = |column: &&str| names.iter().position(|name| name == column);
        columns.iter().filter_map(place).collect()
    };
    let is_text = table.records().is_some();
    let n_fields = table.n_fields();
    let mut found: Vec<Coding> = columns.iter().map(|_| Coding::default()).collect();
    while std::mem::take(&mut holds_row) || table.advance()? {
        if is_text && table.n_fields() != n_fields {
            return Err(Error::RaggedRow {
                file: table.file().to_owned(),
                line: table.records().map_or(0, RecordReader::record_line),
                expected: n_fields,
                found: table.n_fields(),
            });
        }
        for ((coding, &field), column) in found.iter_mut().zip(&fields).zip(columns) {
            let text = table.field(field);
            if is_missing(text) {
                return Err(Error::EmptyCategory {
                    file: table.file().to_owned(),
                    place: table.place(),
                    column: (*column).to_owned(),
                });
            }
            let Ok(text) = std::str::from_utf8(text) else {
                return Err(Error::CategoryText {
                    file: table.file().to_owned(),
                    place: table.place(),
                    column: (*column).to_owned(),
                    found: excerpt(text),
                });
            };
            if !coding.add(text) {
                return Err(Error::TooManyCategories {
                    file: table.file().to_owned(),
                    place: table.place(),
                    column: (*column).to_owned(),
                    most: MOST_LEVELS,
                });
            }
        }
    }
    Ok(found.into_iter().map(|coding| coding.categories).collect())
}

/// A column while it is read.
struct Coding {
    categories: Categories,
    places: HashMap<String, u32>,
}

impl Default for Coding {
    fn default() -> Self {
        Self {
            categories: Categories {
                levels: Vec::new(),
                codes: Vec::new(),
            },
            places: HashMap::new(),
        }
    }
}

impl Coding {
    /// Adds a row; false if there are too many values.
    fn add(&mut self, text: &str) -> bool {
        let categories = &mut self.categories;
        let code = match self.places.get(text) {
            Some(&code) => code,
            None if categories.levels.len() == MOST_LEVELS => return false,
            None => {
                let code = categories.levels.len() as u32;
                categories.levels.push(text.to_owned());
                self.places.insert(text.to_owned(), code);
                code
            }
        };
        categories.codes.push(code);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, features: &[&str], columns: &[&str]) -> Result<Vec<Categories>> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("it can be written");
        read_categories(file.path(), features, columns)
    }

    fn message(result: Result<Vec<Categories>>) -> String {
        let message = result.expect_err("refused").to_string();
        message
            .split_once(": ")
            .expect("a file's name")
            .1
            .to_owned()
    }

    #[test]
    fn classes_are_found_by_name_and_coded() {
        let text = "state,x,part\nok,1,train\nleaking,2,test\nok,3,train\n";
        let found = read(text, &["x"], &["part", "state"]).expect("readable");
        assert_eq!(found[0].levels, ["train", "test"]);
        assert_eq!(found[0].codes, [0, 1, 0]);
        let state = found[1].clone().sorted();
        assert_eq!(
            (state.levels[0].as_str(), state.codes),
            ("leaking", vec![1, 0, 1])
        );
    }

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let found = read("y,x\n10,1\n9,1\n-1,1\n", &["x"], &["y"]).expect("readable");
        let sorted = found[0].clone().sorted();
        assert_eq!(sorted.levels, ["-1", "9", "10"]);
        assert_eq!(sorted.codes, [2, 1, 0]);
    }

    #[test]
    fn without_a_header_the_class_is_last() {
        let found = read("1,2,a\n3,4,b\n", &["x", "y"], &["class"]).expect("readable");
        assert_eq!(found[0].levels, ["a", "b"]);
        let error = message(read("1,2\n3,4\n", &["x", "y"], &["class"]));
        assert!(error.starts_with("line 1: "), "{error}");
    }

    #[test]
    fn faults_are_named_with_their_lines() {
        let error = message(read("x,y\n1,a\n2,\n", &["x"], &["y"]));
        assert_eq!(
            error,
            "line 3: expected a value in column \"y\", found none"
        );
        let rows = (0..=MOST_LEVELS).map(|row| format!("1,{row}\n"));
        let text = format!("x,y\n{}", rows.collect::<String>());
        let error = message(read(&text, &["x"], &["y"]));
        assert_eq!(
            error,
            "line 1002: expected at most 1000 different values in column \"y\", found one more (is it a \
             number to predict?)"
        );
        let error = message(read("x,y\n1,NA\n", &["x"], &["y"]));
        assert!(error.starts_with("line 2: expected a value"), "{error}");
        let long = "n".repeat(70);
        let text = format!("x,y\n1,{long}a\n1,{long}b\n");
        let found = read(&text, &["x"], &["y"]).expect("readable");
        assert_eq!(found[0].levels, [format!("{long}a"), format!("{long}b")]);
        let error = message(read("x,y\n1,a,3\n", &["x"], &["y"]));
        assert!(error.starts_with("line 2: "), "{error}");
        let error = message(read("x,y\n1,a\n", &["x"], &["z"]));
        assert!(error.contains("\"z\""), "{error}");
    }
}
