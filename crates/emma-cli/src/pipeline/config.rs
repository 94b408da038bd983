//! `emma.toml`: which table, which modes, and how a model is trained on them.

use std::path::{Path, PathBuf};

use emma_data::{Corruption, MissingValues, ModeColumns, SplitFractions, TableConfig};
use emma_energy::AutoencoderTraining;
use emma_models::{ThresholdRule, TrainingConfig};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::failure::{CommandResult, Failure};

/// Which of the models is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModelName {
    /// A network on clean rows.
    Base,
    /// The same network on rows with corrupted modes.
    Without,
    /// A softmax over modes before it.
    Alternative,
    /// EMMA before it, the thesis's form.
    #[default]
    With,
    /// Repaired modes, blended with the modes themselves, before several networks.
    EmmaPlus,
}

impl ModelName {
    /// The name in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Without => "without",
            Self::Alternative => "alternative",
            Self::With => "with",
            Self::EmmaPlus => "emma_plus",
        }
    }
}

/// What is predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskName {
    /// One of two classes.
    #[default]
    Binary,
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
}

impl TaskName {
    /// The name in files.
    fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Regression => "regression",
        }
    }
}

/// What becomes of rows that lack a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MissingRows {
    /// The first one is an error.
    #[default]
    Refuse,
    /// They are left out, and counted.
    Drop,
}

impl MissingRows {
    /// What a reader does with their values.
    pub(crate) fn values(self) -> MissingValues {
        match self {
            Self::Refuse => MissingValues::Refuse,
            Self::Drop => MissingValues::AsNan,
        }
    }
}

/// Everything that a training is told. Serialized, it is all that the model depends on beside the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Config {
    /// The table, if the file names one; a place is no setting.
    #[serde(skip)]
    pub(crate) data: Option<PathBuf>,
    pub(crate) label: String,
    pub(crate) task: TaskName,
    pub(crate) positive: Option<String>,
    pub(crate) missing: MissingRows,
    pub(crate) seed: u64,
    pub(crate) model: ModelName,
    pub(crate) threshold: ThresholdRule,
    #[serde(serialize_with = "as_pairs")]
    pub(crate) modes: Vec<ModeColumns>,
    pub(crate) split: SplitConfig,
    pub(crate) energy: EnergyConfig,
    pub(crate) network: NetworkConfig,
    pub(crate) training: StageTwoConfig,
    pub(crate) attention: AttentionConfig,
    /// Left out of settings where it says nothing new, so that those of other models stay as they were.
    #[serde(skip_serializing_if = "PlusConfig::is_default")]
    pub(crate) emma_plus: PlusConfig,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    data: Option<PathBuf>,
    label: String,
    #[serde(default)]
    task: TaskName,
    positive: Option<String>,
    #[serde(default)]
    missing: MissingRows,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    model: ModelName,
    threshold: Option<ThresholdRule>,
    modes: toml::Table,
    #[serde(default)]
    split: SplitConfig,
    #[serde(default)]
    energy: EnergyConfig,
    #[serde(default)]
    network: NetworkConfig,
    #[serde(default)]
    training: StageTwoConfig,
    #[serde(default)]
    attention: AttentionConfig,
    #[serde(default)]
    emma_plus: PlusConfig,
}

/// Which rows are learned from, chosen on, and measured on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SplitConfig {
    /// Column that says so row by row, instead of shares.
    pub(crate) column: Option<String>,
    #[serde(deserialize_with = "share")]
    train: Option<f64>,
    #[serde(deserialize_with = "share")]
    validation: Option<f64>,
    #[serde(deserialize_with = "share")]
    test: Option<f64>,
    /// Share of all rows that is kept apart first, for `emma score --max-risk` alone; the others are shares of the rest. Left
    /// out of settings where there is none, so that those of other trainings stay as they were.
    #[serde(deserialize_with = "share", skip_serializing_if = "Option::is_none")]
    pub(crate) calibration: Option<f64>,
}

impl SplitConfig {
    /// Shares of the rows; what is not given is as by default.
    pub(crate) fn fractions(&self) -> CommandResult<SplitFractions> {
        let default = SplitFractions::default();
        Ok(SplitFractions::new(
            self.train.unwrap_or(default.train()),
            self.validation.unwrap_or(default.validation()),
            self.test.unwrap_or(default.test()),
        )?)
    }
}

/// Stage one: an autoencoder a mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EnergyConfig {
    /// Hidden units; three times the mode's columns if not given, from 4 to 128.
    #[serde(deserialize_with = "optional_count")]
    hidden: Option<usize>,
    #[serde(deserialize_with = "count")]
    pub(crate) epochs: usize,
    #[serde(deserialize_with = "count")]
    batch_size: usize,
    #[serde(deserialize_with = "positive")]
    learning_rate: f64,
    #[serde(deserialize_with = "not_negative")]
    noise_std: f64,
}

impl Default for EnergyConfig {
    fn default() -> Self {
        Self {
            hidden: None,
            epochs: 30,
            batch_size: 32,
            learning_rate: 1e-3,
            noise_std: 0.01,
        }
    }
}

impl EnergyConfig {
    /// Hidden units for a mode of so many columns.
    pub(crate) fn n_hidden(&self, n_columns: usize) -> usize {
        self.hidden.unwrap_or((3 * n_columns).clamp(4, 128))
    }

    pub(crate) fn training(&self) -> AutoencoderTraining {
        AutoencoderTraining {
            n_epochs: self.epochs,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            noise_std: self.noise_std,
        }
    }
}

/// The network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NetworkConfig {
    /// Widths of the hidden layers; as many as columns (8 to 64) and half of that if not given.
    #[serde(deserialize_with = "optional_counts")]
    hidden: Option<Vec<usize>>,
}

impl NetworkConfig {
    /// Hidden layers for so many columns.
    pub(crate) fn hidden(&self, n_columns: usize) -> Vec<usize> {
        let first = n_columns.clamp(8, 64);
        self.hidden_or(&[first, first / 2])
    }

    /// Hidden layers, or these if none are given.
    pub(crate) fn hidden_or(&self, default: &[usize]) -> Vec<usize> {
        self.hidden.clone().unwrap_or_else(|| default.to_vec())
    }
}

/// Stage two: the network, and what stands before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StageTwoConfig {
    #[serde(deserialize_with = "count")]
    pub(crate) epochs: usize,
    #[serde(deserialize_with = "count")]
    batch_size: usize,
    #[serde(deserialize_with = "positive")]
    learning_rate: f64,
    #[serde(deserialize_with = "positive")]
    positive_weight: f64,
    #[serde(deserialize_with = "optional_count")]
    patience: Option<usize>,
    /// What is done to one mode of half of the rows, as in `noise:0.5`.
    #[serde(deserialize_with = "corruptions", serialize_with = "as_text")]
    pub(crate) corruption: Vec<Corruption>,
    /// Draws of corrupted validation rows that everything is chosen on.
    #[serde(deserialize_with = "count")]
    pub(crate) validation_draws: usize,
}

impl Default for StageTwoConfig {
    fn default() -> Self {
        Self {
            epochs: 35,
            batch_size: 32,
            learning_rate: 1e-3,
            positive_weight: 1.,
            patience: None,
            corruption: "noise:0.5".parse().into_iter().collect(),
            validation_draws: 4,
        }
    }
}

impl StageTwoConfig {
    pub(crate) fn training(&self, loss: emma_models::Loss) -> TrainingConfig {
        TrainingConfig {
            n_epochs: self.epochs,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            positive_weight: self.positive_weight,
            patience: self.patience,
            loss,
        }
    }
}

/// EMMA's hyper-parameters; of all combinations the best on validation rows is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AttentionConfig {
    #[serde(deserialize_with = "weights")]
    pub(crate) coldness: Vec<f64>,
    #[serde(deserialize_with = "weights")]
    pub(crate) lambda_c: Vec<f64>,
    #[serde(deserialize_with = "weights")]
    pub(crate) lambda_e: Vec<f64>,
}

impl Default for AttentionConfig {
    fn default() -> Self {
        Self {
            coldness: vec![0.01, 0.1, 1.],
            lambda_c: vec![0.],
            lambda_e: vec![0.],
        }
    }
}

/// What EMMA+ is, beside its network and its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PlusConfig {
    /// Energies count as at most this; a mode that reaches it is replaced by its repair. Infinite for none.
    #[serde(deserialize_with = "ceiling")]
    pub(crate) energy_ceiling: f64,
    /// Whether modes are blended with their repairs by a gate; if not, as validation rows chose, the network sees the repairs
    /// alone.
    pub(crate) gate: bool,
    /// Perceptrons that answer together.
    #[serde(deserialize_with = "count")]
    pub(crate) members: usize,
    /// Share of the training and validation rows that lose a mode.
    #[serde(deserialize_with = "probability")]
    pub(crate) mode_dropout: f64,
}

impl Default for PlusConfig {
    fn default() -> Self {
        Self {
            energy_ceiling: 1.5,
            gate: false,
            members: 4,
            mode_dropout: 0.2,
        }
    }
}

impl PlusConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// Reads a file; a table that it names is looked for beside it.
    pub(crate) fn open(path: &Path) -> CommandResult<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::input(format!(
                "{name}: expected a configuration, it cannot be read: {error}"
            ))
        })?;
        let mut config = Self::parse(&text, &name)?;
        if let (Some(data), Some(folder)) = (&config.data, path.parent()) {
            config.data = Some(folder.join(data));
        }
        Ok(config)
    }

    /// Reads a configuration; `file` is its name in errors.
    pub(crate) fn parse(text: &str, file: &str) -> CommandResult<Self> {
        let written: Written = toml::from_str(text)
            .map_err(|error| Failure::input(format!("{file}: {}", explain(text, &error))))?;
        let refuse = |message: String| Failure::input(format!("{file}: {message}"));
        let modes: Vec<ModeColumns> = written
            .modes
            .into_iter()
            .map(|(name, columns)| {
                let columns: Vec<String> =
                    columns.try_into().map_err(|error: toml::de::Error| {
                        refuse(format!(
                            "mode {name:?}: expected a list of columns: {}",
                            error.message()
                        ))
                    })?;
                Ok(ModeColumns::new(name, columns))
            })
            .collect::<CommandResult<_>>()?;
        if written.threshold.is_some() && written.task != TaskName::Binary {
            return Err(refuse(
                "threshold: expected only with task = \"binary\"".to_owned(),
            ));
        }
        let config = Self {
            data: written.data,
            label: written.label,
            task: written.task,
            positive: written.positive,
            missing: written.missing,
            seed: written.seed,
            model: written.model,
            threshold: written.threshold.unwrap_or_default(),
            modes,
            split: written.split,
            energy: written.energy,
            network: written.network,
            training: written.training,
            attention: written.attention,
            emma_plus: written.emma_plus,
        };
        config
            .check()
            .map_err(|failure| failure.context(file.to_owned()))?;
        Ok(config)
    }

    /// What a single key cannot know.
    fn check(&self) -> CommandResult<()> {
        // Names and columns, the label among them.
        self.table(Some(&self.label))?;
        if let Some(column) = &self.split.column {
            let in_mode = |mode: &&ModeColumns| mode.columns.contains(column);
            if *column == self.label {
                return Err(Failure::input(format!(
                    "split.column: expected another column than the label {column:?}"
                )));
            }
            if let Some(mode) = self.modes.iter().find(in_mode) {
                return Err(Failure::input(format!(
                    "split.column: expected a column of no mode, {column:?} is in mode {}",
                    mode.name
                )));
            }
            if self.split.calibration.is_some() {
                return Err(Failure::input(
                    "split.calibration: expected only without split.column, whose values may be calibration"
                        .to_owned(),
                ));
            }
        } else {
            self.split.fractions()?;
        }
        if self.model == ModelName::EmmaPlus && self.task != TaskName::Binary {
            return Err(Failure::input(format!(
                "model: expected task = \"binary\" with model = \"emma_plus\", got task = \"{}\"",
                self.task.name()
            )));
        }
        if !matches!(self.model, ModelName::Base | ModelName::Without) {
            let n_modes = self.modes.len();
            if n_modes < 2 {
                return Err(Failure::input(format!(
                    "modes: expected at least 2 for model = \"{}\", got {n_modes}; \
                     model = \"base\" takes one",
                    self.model.name()
                )));
            }
        }
        let is_weighted = (self.training.positive_weight - 1.).abs() > 0.;
        if is_weighted && self.task != TaskName::Binary {
            return Err(Failure::input(
                "training.positive_weight: expected only with task = \"binary\"".to_owned(),
            ));
        }
        if self.positive.is_some() && self.task != TaskName::Binary {
            return Err(Failure::input(
                "positive: expected only with task = \"binary\"".to_owned(),
            ));
        }
        Ok(())
    }

    /// The table's layout, with a label of 0 and 1 or without any.
    pub(crate) fn table(&self, label: Option<&str>) -> CommandResult<TableConfig> {
        let label = label.map(str::to_owned);
        Ok(TableConfig::new(
            self.modes.clone(),
            label,
            self.missing.values(),
        )?)
    }

    /// Columns of all modes.
    pub(crate) fn n_columns(&self) -> usize {
        self.modes.iter().map(|mode| mode.columns.len()).sum()
    }
}

/// What is wrong with a file, with its line, and the key that was meant if one is unknown.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ");
    let message = match nearest_key(&message) {
        Some(key) => format!("{message} (nearest: {key})"),
        None => message,
    };
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

/// Of the keys that an "unknown field" or "unknown variant" names as possible, the one most like the
/// one that came.
fn nearest_key(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    // Distances take the time of both lengths multiplied: keys are short, texts need not be.
    let found: String = quoted.next()?.chars().take(64).collect();
    quoted.min_by_key(|key| strsim::damerau_levenshtein(&found.to_lowercase(), key))
}

fn checked<'de, T: Deserialize<'de> + std::fmt::Debug, D: Deserializer<'de>>(
    deserializer: D,
    is_valid: impl Fn(&T) -> bool,
    expected: &str,
) -> Result<T, D::Error> {
    let value = T::deserialize(deserializer)?;
    if is_valid(&value) {
        return Ok(value);
    }
    Err(D::Error::custom(format!(
        "expected {expected}, got {value:?}"
    )))
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    checked(deserializer, |&value| value > 0, "a whole number from 1")
}

fn optional_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    count(deserializer).map(Some)
}

fn optional_counts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<usize>>, D::Error> {
    let is_valid = |values: &Vec<usize>| values.iter().all(|&value| value > 0);
    checked(deserializer, is_valid, "whole numbers from 1").map(Some)
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let is_valid = |&value: &f64| value > 0. && value.is_finite();
    checked(deserializer, is_valid, "a positive number")
}

fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let is_valid = |value: &f64| (0. ..f64::INFINITY).contains(value);
    checked(deserializer, is_valid, "a number from 0")
}

fn ceiling<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(
        deserializer,
        |&value| value > 0.,
        "a positive number, or inf for none",
    )
}

fn probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let is_valid = |value: &f64| (0. ..=1.).contains(value);
    checked(deserializer, is_valid, "a number from 0 to 1")
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let is_valid = |&value: &f64| value > 0. && value < 1.;
    checked(deserializer, is_valid, "a share between 0 and 1").map(Some)
}

fn weights<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let is_valid = |values: &Vec<f64>| {
        let valid = |value: &f64| (0. ..f64::INFINITY).contains(value);
        !values.is_empty() && values.iter().all(valid)
    };
    checked(deserializer, is_valid, "at least one number, all from 0")
}

fn corruptions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Corruption>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.is_empty() {
        return Err(D::Error::custom(
            "expected at least one corruption, such as \"noise:0.5\", got none",
        ));
    }
    let parse = |text: &String| match text.parse() {
        Ok(Corruption::AdversarialMean(_)) => Err(D::Error::custom(
            "expected a corruption that does without labels, got adversarial_mean",
        )),
        Ok(corruption) => Ok(corruption),
        Err(error) => Err(D::Error::custom(error)),
    };
    texts.iter().map(parse).collect()
}

fn as_text<S: serde::Serializer>(
    corruptions: &[Corruption],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(corruptions.iter().map(ToString::to_string))
}

fn as_pairs<S: serde::Serializer>(modes: &[ModeColumns], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(modes.iter().map(|mode| (&mode.name, &mode.columns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "label = \"y\"\n[modes]\na = [\"a1\"]\nb = [\"b1\"]\n";

    fn message(text: &str) -> String {
        Config::parse(text, "emma.toml").unwrap_err().to_string()
    }

    #[test]
    fn a_short_file_means_the_defaults() {
        let config = Config::parse(SHORT, "emma.toml").unwrap();
        assert_eq!(
            (config.model, config.task),
            (ModelName::With, TaskName::Binary)
        );
        assert_eq!(config.modes[1].name, "b");
        assert_eq!(config.training.corruption[0].to_string(), "noise:0.5");
        assert_eq!(config.energy.n_hidden(4), 12);
        assert_eq!(config.network.hidden(8), [8, 4]);
        assert_eq!(config.split.fractions().unwrap(), SplitFractions::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let with = |rest: &str| message(&format!("{SHORT}{rest}"));
        for (found, expected) in [
            (
                message("lable = \"y\"\n"),
                "line 1: unknown field `lable`, expected one of `data`, `label`, `task`, `positive`, `missing`, \
                 `seed`, `model`, `threshold`, `modes`, `split`, `energy`, `network`, `training`, `attention`, \
                 `emma_plus` (nearest: label)",
            ),
            (
                message("[modes]\na = [\"x\"]\n"),
                "line 1: missing field `label`",
            ),
            (
                message(&SHORT.replace("[modes]", "threshold = \"f1\"\n[modes]")),
                "line 2: threshold rule must be max_f1, roc_corner, recall:SHARE (above 0, at most 1), fpr:SHARE \
                 (from 0 to below 1), or cost:FN,FP (prices of a missed positive and of a false alarm, not \
                 negative, not both 0), got \"f1\"",
            ),
            (
                message(&SHORT.replace("[modes]", "model = \"wiht\"\n[modes]")),
                "line 2: unknown variant `wiht`, expected one of `base`, `without`, `alternative`, `with`, \
                 `emma_plus` (nearest: with)",
            ),
            (
                with("[training]\nepoch = 3\n"),
                "line 6: unknown field `epoch`, expected one of `epochs`, `batch_size`, `learning_rate`, \
                 `positive_weight`, `patience`, `corruption`, `validation_draws` (nearest: epochs)",
            ),
            (
                with("[training]\nbatch_size = 4\nepochs = 0\n"),
                "line 7: expected a whole number from 1, got 0",
            ),
            (
                with("[energy]\nlearning_rate = -1.0\n"),
                "line 6: expected a positive number, got -1.0",
            ),
            (
                with("[attention]\ncoldness = []\n"),
                "line 6: expected at least one number, all from 0, got []",
            ),
            (
                with("[emma_plus]\nenergy_cieling = 2.0\n"),
                "line 6: unknown field `energy_cieling`, expected one of `energy_ceiling`, `gate`, `members`, \
                 `mode_dropout` (nearest: energy_ceiling)",
            ),
            (
                with("[emma_plus]\nenergy_ceiling = nan\n"),
                "line 6: expected a positive number, or inf for none, got NaN",
            ),
            (
                with("[emma_plus]\nmode_dropout = 1.5\n"),
                "line 6: expected a number from 0 to 1, got 1.5",
            ),
            (
                message(&SHORT.replace(
                    "[modes]",
                    "model = \"emma_plus\"\ntask = \"regression\"\n[modes]",
                )),
                "model: expected task = \"binary\" with model = \"emma_plus\", got task = \"regression\"",
            ),
            (
                with("[split]\ntrain = 2.0\n"),
                "line 6: expected a share between 0 and 1, got 2.0",
            ),
            (
                with("[split]\ncolumn = \"a1\"\n"),
                "split.column: expected a column of no mode, \"a1\" is in mode a",
            ),
            (
                with("[split]\ncolumn = \"part\"\ncalibration = 0.2\n"),
                "split.calibration: expected only without split.column, whose values may be calibration",
            ),
            (
                with("[split]\ncalibration = 1.0\n"),
                "line 6: expected a share between 0 and 1, got 1.0",
            ),
            (
                message("label = \"y\"\n[modes]\na = [\"a1\"]\n"),
                "modes: expected at least 2 for model = \"with\", got 1; model = \"base\" takes one",
            ),
        ] {
            assert_eq!(found, format!("emma.toml: {expected}"));
        }
        let error = with("[training]\ncorruption = [\"nois:1\"]\n");
        assert!(error.starts_with("emma.toml: line 6: "), "{error}");
    }

    /// A file with every key.
    const FULL: &str = include_str!("full.toml");

    #[test]
    fn every_key_is_understood() {
        let config = Config::parse(FULL, "emma.toml").unwrap();
        assert_eq!(config.training.corruption.len(), 2);
        assert_eq!(config.threshold.to_string(), "cost:10,1");
        // What is written into settings is all of it.
        let settings = serde_json::to_value(&config).unwrap();
        assert_eq!(settings["modes"][0][0], "hum");
        assert_eq!(settings["attention"]["lambda_e"][1], 0.01);
        assert_eq!(settings["emma_plus"]["members"], 2);
    }

    proptest::proptest! {
        #[test]
        fn fuzzed_configurations_are_understood_or_refused_in_one_line(
            changes in proptest::collection::vec(
                proptest::prelude::any::<emma_testkit::damage::Change>(),
                1..10,
            ),
        ) {
            let bytes = emma_testkit::damage::damaged(FULL.as_bytes(), &changes);
            let text = String::from_utf8_lossy(&bytes);
            if let Err(error) = Config::parse(&text, "emma.toml") {
                proptest::prop_assert!(error.to_string().starts_with("emma.toml: "), "{}", error);
            }
        }
    }
}
