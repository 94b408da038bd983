//! What a table holds: modes, label, and what becomes of missing values.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::feature_reader::is_value;
use crate::missing_values::MissingValues;
use crate::samples::{ModeColumns, feature_names};

const KEYS: [&str; 3] = ["label", "missing", "modes"];

/// Which columns of a table are which mode, which is the label, and what becomes of missing values.
///
/// Written in TOML, with the modes in their order:
///
/// ```
/// use emma_data::{MissingValues, TableConfig};
///
/// let config = TableConfig::parse(
///     r#"
///     label = "ore"
///     missing = "as_nan"
///
///     [modes]
///     scale = ["weight", "volume"]
///     camera = ["redness"]
///     "#,
///     "stones.toml",
/// )?;
/// assert_eq!(config.modes()[1].name, "camera");
/// assert_eq!(config.features(), ["weight", "volume", "redness"]);
/// assert_eq!(config.label(), Some("ore"));
/// assert_eq!(config.missing(), MissingValues::AsNan);
/// # Ok::<(), emma_data::Error>(())
/// ```
///
/// `label` may be left out, where no label is read; so may `missing`, which is `refuse` then.
///
/// # Invariants
/// At least one mode; mode names are lowercase letters, digits and underscores, and different; every
/// mode has a column; no column is in a mode twice, in two modes, or the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableConfig {
    modes: Vec<ModeColumns>,
    label: Option<String>,
    missing: MissingValues,
}

/// The same as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    label: Option<String>,
    #[serde(default)]
    missing: MissingValues,
    modes: toml::Table,
}

impl TableConfig {
    /// The configuration of a table with these modes, such as those of a command line.
    ///
    /// # Errors
    /// [`Error::NoModes`], [`Error::ModeName`], [`Error::DuplicateMode`], [`Error::NoModeColumns`],
    /// [`Error::DuplicateModeColumn`], [`Error::ColumnInTwoModes`], [`Error::LabelInMode`].
    pub fn new(
        modes: Vec<ModeColumns>,
        label: Option<String>,
        missing: MissingValues,
    ) -> Result<Self> {
        feature_names(&modes)?;
        let mut owners = HashMap::new();
        for mode in &modes {
            for column in &mode.columns {
                if label.as_ref() == Some(column) {
                    return Err(Error::LabelInMode {
                        column: column.clone(),
                        mode: mode.name.clone(),
                    });
                }
                if let Some(first) = owners.insert(column, &mode.name) {
                    return Err(Error::ColumnInTwoModes {
                        column: column.clone(),
                        first: first.clone(),
                        second: mode.name.clone(),
                    });
                }
            }
        }
        Ok(Self {
            modes,
            label,
            missing,
        })
    }

    /// Reads a configuration from a file in TOML.
    ///
    /// # Errors
    /// [`Error::Open`] if the file cannot be read; those of [`TableConfig::parse`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let name = path.as_ref().display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, name),
            Err(source) => Err(Error::Open { file: name, source }),
        }
    }

    /// Reads a configuration in TOML; `file` is its name in errors.
    ///
    /// # Errors
    /// [`Error::ConfigSyntax`] if the text is no TOML, as where one mode is there twice, or a value has
    /// another type; [`Error::ConfigKey`] for a key that means nothing; [`Error::Config`] around those
    /// of [`TableConfig::new`].
    pub fn parse(text: &str, file: impl Into<String>) -> Result<Self> {
        let file = file.into();
        let syntax = |error: toml::de::Error| Error::ConfigSyntax {
            file: file.clone(),
            message: one_line(text, &error),
        };
        let table: toml::Table = toml::from_str(text).map_err(syntax)?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(Error::ConfigKey {
                nearest: nearest_key(key),
                file,
                key: key.clone(),
            });
        }
        let written: Written = toml::from_str(text).map_err(syntax)?;
        let modes = written
            .modes
            .into_iter()
            .map(|(name, columns)| {
                let columns: Vec<String> =
                    columns
                        .try_into()
                        .map_err(|error: toml::de::Error| Error::ConfigSyntax {
                            file: file.clone(),
                            message: format!("mode {name:?}: {}", error.message()),
                        })?;
                Ok(ModeColumns::new(name, columns))
            })
            .collect::<Result<_>>()?;
        Self::new(modes, written.label, written.missing).map_err(|source| Error::Config {
            file,
            source: Box::new(source),
        })
    }

    /// The configuration as it is written in a file.
    ///
    /// ```
    /// use emma_data::{MissingValues, TableConfig};
    ///
    /// let modes = vec!["ip=ip_mean,ip_std".parse()?];
    /// let config = TableConfig::new(modes, Some("label".to_owned()), MissingValues::Refuse)?;
    /// assert_eq!(TableConfig::parse(&config.to_toml(), "table.toml")?, config);
    /// # Ok::<(), emma_data::Error>(())
    /// ```
    pub fn to_toml(&self) -> String {
        let mut table = toml::Table::new();
        if let Some(label) = &self.label {
            table.insert("label".to_owned(), label.clone().into());
        }
        if self.missing == MissingValues::AsNan {
            table.insert("missing".to_owned(), "as_nan".into());
        }
        let modes = self.modes.iter();
        let modes: toml::Table = modes
            .map(|mode| (mode.name.clone(), mode.columns.clone().into()))
            .collect();
        table.insert("modes".to_owned(), modes.into());
        table.to_string()
    }

    /// The columns of a table that is written: the features, and the label if there is one.
    ///
    /// # Errors
    /// [`Error::NumericHeader`] if every feature's name is a number or stands for a missing one: a reader would take
    /// such a header for a row.
    pub fn header(&self) -> Result<Vec<&str>> {
        let mut names = self.features();
        if names
            .iter()
            .all(|name| is_value(name.trim().as_bytes(), MissingValues::AsNan))
        {
            return Err(Error::NumericHeader {
                found: names.iter().map(|&name| name.to_owned()).collect(),
            });
        }
        names.extend(self.label());
        Ok(names)
    }

    /// The modes, in order.
    pub fn modes(&self) -> &[ModeColumns] {
        &self.modes
    }

    /// The columns of all modes, in order: what a reader is asked for.
    pub fn features(&self) -> Vec<&str> {
        let columns = self.modes.iter().flat_map(|mode| &mode.columns);
        columns.map(String::as_str).collect()
    }

    /// Name of the label, if there is one.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// What becomes of missing values.
    pub fn missing(&self) -> MissingValues {
        self.missing
    }
}

/// A mode as it is written on a command line: `ip=ip_mean,ip_std`.
///
/// White space around names does not count, and names with commas cannot be written.
impl FromStr for ModeColumns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((name, columns)) = text.split_once('=') else {
            return Err(Error::ModeText {
                found: text.to_owned(),
            });
        };
        let name = name.trim();
        if columns.trim().is_empty() {
            return Err(Error::NoModeColumns {
                mode: name.to_owned(),
            });
        }
        let columns: Vec<&str> = columns.split(',').map(str::trim).collect();
        if name.is_empty() || columns.contains(&"") {
            return Err(Error::ModeText {
                found: text.to_owned(),
            });
        }
        Ok(Self::new(name, columns))
    }
}

/// The key that takes the fewest edits to be `key`.
fn nearest_key(key: &str) -> &'static str {
    // Distances take the time of both lengths multiplied: keys are short, texts need not be.
    let start: String = key.chars().take(64).collect();
    KEYS.into_iter()
        .min_by_key(|known| strsim::damerau_levenshtein(&start.to_lowercase(), known))
        .unwrap_or_default()
}

/// What the parser says, without its drawing of the text.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ");
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::TableConfig;
    use crate::missing_values::MissingValues;
    use crate::samples::ModeColumns;

    #[test]
    fn modes_stand_in_the_order_of_the_file() {
        let text = "[modes]\nz = [\"c\"]\na = [\"b\", \"a\"]\nm = [\"d\"]\n";
        let config = TableConfig::parse(text, "t.toml").unwrap();
        assert_eq!(config.features(), ["c", "b", "a", "d"]);
        assert_eq!(
            (config.label(), config.missing()),
            (None, MissingValues::Refuse)
        );
    }

    #[test]
    fn a_flag_gives_the_mode_of_the_file() {
        let mode: ModeColumns = " ip = a, b c,d".parse().unwrap();
        assert_eq!(mode, ModeColumns::new("ip", ["a", "b c", "d"]));
        for (text, message) in [
            (
                "ip",
                "expected a mode written as NAME=COLUMN,COLUMN,..., found \"ip\"",
            ),
            (
                "=a",
                "expected a mode written as NAME=COLUMN,COLUMN,..., found \"=a\"",
            ),
            (
                "ip=a,,b",
                "expected a mode written as NAME=COLUMN,COLUMN,..., found \"ip=a,,b\"",
            ),
            (
                "ip= ",
                "mode \"ip\": expected at least one column, found none",
            ),
        ] {
            assert_eq!(
                text.parse::<ModeColumns>().unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn a_configuration_reads_back_what_it_writes() {
        let columns = [
            "plain",
            "a b",
            "quo\"te",
            "back\\slash",
            "l\nf",
            "é\u{7f}",
            "",
        ];
        let modes = vec![
            ModeColumns::new("z_1", columns),
            ModeColumns::new("0", ["last"]),
        ];
        for label in [None, Some("the \"label\"".to_owned())] {
            for missing in [MissingValues::Refuse, MissingValues::AsNan] {
                let config = TableConfig::new(modes.clone(), label.clone(), missing).unwrap();
                let text = config.to_toml();
                assert_eq!(
                    TableConfig::parse(&text, "t.toml").unwrap(),
                    config,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_header_that_reads_as_a_row_is_refused() {
        let header = |modes: &[&str]| {
            let modes = modes.iter().map(|mode| mode.parse().unwrap()).collect();
            let config =
                TableConfig::new(modes, Some("y".to_owned()), MissingValues::Refuse).unwrap();
            config
                .header()
                .map(|names| names.join(","))
                .map_err(|error| error.to_string())
        };
        assert_eq!(header(&["a=0,1", "b=x"]).unwrap(), "0,1,x,y");
        assert_eq!(
            header(&["a=0,1e3", "b=nan"]).unwrap_err(),
            "expected a column to be written whose name is no number, found \"0\", \"1e3\", \"nan\""
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (
                "[modes]\n",
                "cannot be taken as a table's configuration: expected at least one mode, found none",
            ),
            (
                "[modes]\nip = []\n",
                "cannot be taken as a table's configuration: mode \"ip\": expected at least one \
                 column, found none",
            ),
            (
                "[modes]\nip = [\"a\", \"b\"]\ndm = [\"c\", \"b\"]\n",
                "cannot be taken as a table's configuration: expected every column in one mode, \
                 found \"b\" in \"ip\" and \"dm\"",
            ),
            (
                "label = \"c\"\n[modes]\ndm = [\"c\", \"b\"]\n",
                "cannot be taken as a table's configuration: expected the label \"c\" in no mode, \
                 found it in \"dm\"",
            ),
            (
                "[modes]\nIP = [\"a\"]\n",
                "cannot be taken as a table's configuration: expected a mode name of lowercase \
                 letters, digits and underscores, found \"IP\"",
            ),
            (
                "lable = \"y\"\n[modes]\nip = [\"a\"]\n",
                "expected the keys label, missing and modes, found \"lable\" (nearest: label)",
            ),
            (
                "[modes]\nip = [\"a\"]\nip = [\"b\"]\n",
                "expected a table's configuration in TOML: line 3: duplicate key `ip` in table `modes`",
            ),
            (
                "[modes]\nip = \"a\"\n",
                "expected a table's configuration in TOML: mode \"ip\": invalid type: string \"a\", \
                 expected a sequence",
            ),
            (
                "missing = \"skip\"\n[modes]\nip = [\"a\"]\n",
                "expected a table's configuration in TOML: line 1: unknown variant `skip`, expected \
                 `refuse` or `as_nan`",
            ),
            (
                "label = \"y\"\n",
                "expected a table's configuration in TOML: line 1: missing field `modes`",
            ),
        ] {
            let error = TableConfig::parse(text, "t.toml").unwrap_err();
            let mut message = error.to_string();
            if let Some(source) = error.source() {
                message = format!("{message}: {source}");
            }
            assert_eq!(message, format!("t.toml: {expected}"));
        }
        let twice = vec![ModeColumns::new("ip", ["a"]), ModeColumns::new("ip", ["b"])];
        let error = TableConfig::new(twice, None, MissingValues::Refuse).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected different mode names, found \"ip\" twice"
        );
    }
}
