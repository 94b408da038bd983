//! What a table looks like, and the configuration that is guessed from it.

use std::fmt::Write as _;

use emma_data::{ColumnPreview, TablePreview};

use super::rows::PARTS;

/// What columns are guessed to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guess {
    /// Names and columns of the modes.
    pub(crate) modes: Vec<(String, Vec<String>)>,
    pub(crate) label: Option<String>,
    /// `binary`, `multiclass` or `regression`.
    pub(crate) task: &'static str,
    /// Of a binary label in words, the class that is likely meant to be found: the rarer one.
    pub(crate) positive: Option<String>,
    pub(crate) split_column: Option<String>,
    /// Columns that are neither: text, or numbers that look like the row's number.
    pub(crate) left_out: Vec<String>,
    pub(crate) has_missing: bool,
}

/// Names that labels go by.
const LABELS: [&str; 7] = [
    "label",
    "target",
    "class",
    "y",
    "state",
    "outcome",
    "is_pulsar",
];
/// Names that columns go by which say what part of the split a row is in.
const SPLITS: [&str; 4] = ["split", "part", "fold", "subset"];
/// Names that columns go by which number the rows.
const NUMBERS: [&str; 4] = ["id", "row", "index", "row_id"];
/// What is the same in every configuration.
const SETTINGS: &str = "\n# Stage one: an autoencoder a mode, whose energy says how unlike the training rows a mode is.\n\
     [energy]\n\
     # hidden = 12 # units; by default three times the mode's columns\n\
     epochs = 30\nbatch_size = 32\nlearning_rate = 0.001\nnoise_std = 0.01\n\n\
     [network]\n\
     # hidden = [8, 4] # widths of the hidden layers\n\n\
     # Stage two: the network behind the attention, on rows of which half have one corrupted mode.\n\
     [training]\n\
     epochs = 35\nbatch_size = 32\nlearning_rate = 0.001\n\
     # patience = 10 # epochs without a better validation loss before training stops\n\
     # positive_weight = 1.0 # weight of the positive class in the loss\n\
     # What happens to the corrupted modes; `emma data corruptions` lists the kinds.\n\
     # With several, each row draws one. The worse the faults that a model has met, the more it bears.\n\
     corruption = [\"noise:0.5\", \"noise:4\", \"missing\"]\n\n\
     # Hyper-parameters of EMMA: all combinations are trained, validation rows choose.\n\
     [attention]\n\
     coldness = [0.01, 0.1, 1.0]\nlambda_c = [0.0]\nlambda_e = [0.0]\n\n\
     # Of model = \"emma_plus\" alone.\n\
     [emma_plus]\n\
     # From this energy up a mode is replaced by its repair; inf for none.\n\
     energy_ceiling = 1.5\n\
     # Whether lesser energies blend a mode with its repair; if not, the network sees repairs alone.\n\
     gate = false\n\
     # members = 4 # perceptrons that answer together\n\
     # mode_dropout = 0.2 # share of the training and validation rows that lose a mode";
/// Most classes a column of whole numbers is guessed to have.
const MOST_CLASSES: usize = 20;

impl Guess {
    /// Guesses from the first rows; a label may be told.
    pub(crate) fn of(preview: &TablePreview, label: Option<&str>) -> Self {
        let columns = &preview.columns;
        let lower = |column: &ColumnPreview| column.name.to_lowercase();
        let named = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| columns.iter().find(|column| lower(column) == *name))
        };
        let is_split = |column: &&ColumnPreview| {
            column
                .values
                .iter()
                .all(|value| PARTS.contains(&value.as_str()))
        };
        let split = named(&SPLITS).filter(is_split);
        let label = match label {
            Some(label) => columns.iter().find(|column| column.name == label),
            None => named(&LABELS).or_else(|| {
                // The last column, if it looks like classes and not like a measurement.
                let few = |column: &&ColumnPreview| {
                    column.n_missing == 0 && (2..=MOST_CLASSES).contains(&column.values.len())
                };
                columns.last().filter(few)
            }),
        };
        let is_role = |column: &ColumnPreview| {
            let is = |other: Option<&ColumnPreview>| other.is_some_and(|other| other == column);
            is(label) || is(split)
        };
        let is_number = |column: &ColumnPreview| NUMBERS.contains(&lower(column).as_str());
        let is_feature = |column: &&ColumnPreview| {
            !is_role(column) && !is_number(column) && column.is_numeric(preview.n_rows)
        };
        let features: Vec<&ColumnPreview> = columns.iter().filter(is_feature).collect();
        let names: Vec<&str> = features.iter().map(|column| column.name.as_str()).collect();
        let (task, positive) = label.map_or(("binary", None), |label| task_of(label, preview));
        Self {
            modes: modes(&names),
            label: label.map(|column| column.name.clone()),
            task,
            positive,
            split_column: split.map(|column| column.name.clone()),
            left_out: columns
                .iter()
                .filter(|column| !is_role(column) && !is_feature(column))
                .map(|column| column.name.clone())
                .collect(),
            has_missing: features.iter().any(|column| column.n_missing > 0),
        }
    }

    /// The commented configuration.
    pub(crate) fn to_toml(&self, data: &str, n_rows: usize) -> String {
        let mut text = format!(
            "# Guessed by `emma init` from the first {n_rows} rows of the table. Look it through, then run\n\
             #   emma train emma.toml\n\n\
             # The table: CSV (also gzip or zstd) or Parquet, seen from this file's folder.\n\
             data = {}\n\n\
             # The column to predict.\n",
            quoted(data)
        );
        let mut line = |line: String| {
            let _ = writeln!(text, "{line}"); // Writing to a String cannot fail.
        };
        match &self.label {
            Some(label) => line(format!("label = {}", quoted(label))),
            None => line("label = \"FILL IN\" # no column looks like one".into()),
        }
        line(format!(
            "# binary (two classes), multiclass (by name) or regression (a number).\ntask = \"{}\"",
            self.task
        ));
        match &self.positive {
            Some(positive) => line(format!(
                "# The class that is looked for; the other one counts as negative.\npositive = {}",
                quoted(positive)
            )),
            None if self.task == "binary" => line(
                "# positive = \"NAME\" # with classes in words: the one that is looked for".into(),
            ),
            None => {}
        }
        line(format!(
            "# Rows that lack a value: \"refuse\" stops at the first, \"drop\" leaves them out and counts them.\n\
             missing = \"{}\"",
            if self.has_missing { "drop" } else { "refuse" }
        ));
        line("# Everything random follows from it.\nseed = 0".into());
        line(
            "# with (EMMA), emma_plus (repairs modes; two classes), alternative (a softmax over modes),\n\
             # without (corrupted rows, no attention), base (clean rows, no attention)."
                .into(),
        );
        line(format!(
            "model = \"{}\"",
            if self.modes.len() > 1 { "with" } else { "base" }
        ));
        if self.task == "binary" {
            line(
                "# How the decision threshold is chosen on validation rows: max_f1, roc_corner, recall:0.95, fpr:0.01,\n\
                 # or cost:10,1 (a missed positive costs 10, a false alarm 1).\n\
                 threshold = \"max_f1\""
                    .into(),
            );
        }
        line(
            "\n# Modes: columns that come from one sensor and fail together. The more honestly they are cut,\n\
             # the better a broken one can be told.\n[modes]"
                .into(),
        );
        for (name, columns) in &self.modes {
            let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
            line(format!("{name} = [{}]", columns.join(", ")));
        }
        if !self.left_out.is_empty() {
            let columns: Vec<String> = self.left_out.iter().map(|name| quoted(name)).collect();
            line(format!("# In no mode: {}", columns.join(", ")));
        }
        line("\n[split]".into());
        match &self.split_column {
            Some(column) => line(format!(
                "# Says train, validation, test or calibration (for emma score --max-risk), row by row.\ncolumn = {}",
                quoted(column)
            )),
            None => line(
                "# Shares of the rows, class by class; column = \"NAME\" takes them from the table.\n\
                 train = 0.67\nvalidation = 0.165\ntest = 0.165\n\
                 # calibration = 0.2 # of all rows, kept apart first: for emma score --max-risk with its guarantee"
                    .into(),
            ),
        }
        line(SETTINGS.into());
        text
    }
}

fn task_of(label: &ColumnPreview, preview: &TablePreview) -> (&'static str, Option<String>) {
    let is_numeric = label.is_numeric(preview.n_rows);
    let mut values: Vec<(&str, usize)> = label
        .values
        .iter()
        .zip(&label.counts)
        .map(|(value, &count)| (value.as_str(), count))
        .collect();
    values.sort_unstable();
    let is_whole = |(value, _): &(&str, usize)| value.parse::<i64>().is_ok();
    match values[..] {
        [("0" | "0.0", _), ("1" | "1.0", _)] => ("binary", None),
        [(first, of_first), (second, of_second)] => {
            let rarer = if of_first < of_second { first } else { second };
            ("binary", Some(rarer.to_owned()))
        }
        _ if !is_numeric => ("multiclass", None),
        _ if values.len() <= MOST_CLASSES && values.iter().all(is_whole) => ("multiclass", None),
        _ => ("regression", None),
    }
}

/// Columns by the prefix before their first underscore, or dot; those without a companion together.
fn modes(columns: &[&str]) -> Vec<(String, Vec<String>)> {
    let prefix = |column: &str| {
        let end = column.find(['_', '.', ':', '/', ' '])?;
        let name: String = column[..end]
            .to_lowercase()
            .chars()
            .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            .collect();
        (!name.is_empty()).then_some(name)
    };
    let mut modes: Vec<(String, Vec<String>)> = Vec::new();
    for &column in columns {
        let name = prefix(column).unwrap_or_else(|| "rest".to_owned());
        match modes.iter_mut().find(|(mode, _)| *mode == name) {
            Some((_, columns)) => columns.push(column.to_owned()),
            None => modes.push((name, vec![column.to_owned()])),
        }
    }
    modes
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // On one line, also within a comment.
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c)); // Writing to a String cannot fail.
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::config::{Config, ModelName, TaskName};

    fn guess(text: &str) -> (Guess, usize) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let preview = TablePreview::open(file.path(), 1000).unwrap();
        (Guess::of(&preview, None), preview.n_rows)
    }

    #[test]
    fn modes_labels_and_splits_are_guessed_and_the_guess_is_a_configuration() {
        let (found, n_rows) = guess(
            "id,ip_mean,ip_std,dm_mean,comment,State,part\n\
             1,0.5,1,2,fine,up,train\n2,0.5,,2,odd,down,test\n3,0.7,1,2,odd,down,validation\n",
        );
        assert_eq!(found.modes.len(), 2);
        assert_eq!(found.modes[0].1, ["ip_mean", "ip_std"]);
        assert_eq!(found.label.as_deref(), Some("State"));
        assert_eq!(
            (found.task, found.positive.as_deref()),
            ("binary", Some("up"))
        );
        assert_eq!(found.split_column.as_deref(), Some("part"));
        assert_eq!(found.left_out, ["id", "comment"]);
        let config = Config::parse(&found.to_toml("a \"b\".csv", n_rows), "emma.toml").unwrap();
        assert_eq!(config.model, ModelName::With);
        assert_eq!(config.modes[1].columns, ["dm_mean"]);
        assert_eq!(config.data.unwrap().to_str(), Some("a \"b\".csv"));
    }

    #[test]
    fn tasks_are_told_by_the_labels_values() {
        for (labels, task) in [
            (["0", "1", "1"], "binary"),
            (["a", "b", "c"], "multiclass"),
            (["3", "4", "5"], "multiclass"),
            (["3.5", "4.25", "5"], "regression"),
        ] {
            let rows: Vec<String> = labels
                .iter()
                .map(|label| format!("1,2,{label}\n"))
                .collect();
            let (found, n_rows) = guess(&format!("a_x,b_x,target\n{}", rows.concat()));
            assert_eq!(found.task, task, "{labels:?}");
            let config = Config::parse(&found.to_toml("t.csv", n_rows), "emma.toml").unwrap();
            let expected = match task {
                "binary" => TaskName::Binary,
                "multiclass" => TaskName::Multiclass,
                _ => TaskName::Regression,
            };
            assert_eq!(config.task, expected);
        }
    }
}
