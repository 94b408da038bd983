//! Which answers of a model are right: the labelled rows in its file by which it may say nothing.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::risk_coverage::{RiskCoverage, check_rows};
use crate::selective_prediction::{RiskLimit, ScoredRows, SelectivePrediction};
use crate::trained::{Answers, decided_class};

/// The version of what [`Abstention`] keeps in a model file.
const VERSION: u64 = 1;

/// Most rows of a kind that are kept.
const MOST_ROWS: usize = 16_384;

/// What says how little a row's answer is to be trusted: the higher, the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtScore {
    /// 1 less the probability that the model gives the class it decides for, from 0 to 1; above ½ where the threshold decides
    /// against the likelier class.
    Uncertainty,
    /// The total energy, of models that have one: how outlying the row's modes are together.
    TotalEnergy,
}

impl DoubtScore {
    /// All of them, the simplest first.
    pub const ALL: [Self; 2] = [Self::Uncertainty, Self::TotalEnergy];

    /// The name in files and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uncertainty => "uncertainty",
            Self::TotalEnergy => "total_energy",
        }
    }

    /// The scores of rows.
    ///
    /// # Shapes
    /// - `outputs`: `[rows, outputs]`, row-major: the probability of label 1, or those of the classes
    /// - `total_energy`: `[rows]`, if the model has one
    /// - returns `[rows]`; NaN for rows whose outputs are
    ///
    /// # Errors
    /// [`Error::Unsupported`] for the total energy of a model without.
    pub fn of(
        self,
        outputs: &[f32],
        n_outputs: usize,
        threshold: f64,
        total_energy: Option<&[f32]>,
    ) -> Result<Vec<f32>> {
        match (self, total_energy) {
            (Self::TotalEnergy, Some(total_energy)) => Ok(total_energy.to_vec()),
            (Self::TotalEnergy, None) => Err(Error::Unsupported {
                what: "abstention by total energy",
                expected: "a model with energies",
                found: "one without".into(),
            }),
            (Self::Uncertainty, _) => {
                let of_row = |row: &[f32]| match (row, decided_class(row, threshold)) {
                    (_, None) => f32::NAN,
                    ([probability], Some(0)) => *probability,
                    ([probability], Some(_)) => 1. - probability,
                    (probabilities, Some(class)) => 1. - probabilities[class],
                };
                Ok(outputs.chunks_exact(n_outputs.max(1)).map(of_row).collect())
            }
        }
    }

    /// The same for what a model says of rows.
    ///
    /// # Errors
    /// As [`of`](Self::of); [`Error::TaskKind`] for a predicted number, which is neither right nor wrong.
    pub fn of_answers(
        self,
        answers: &Answers,
        threshold: f64,
        total_energy: Option<&[f32]>,
    ) -> Result<Vec<f32>> {
        let (outputs, n_outputs) = outputs_of(answers)?;
        self.of(&outputs, n_outputs, threshold, total_energy)
    }
}

/// Which rows an [`Abstention`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbstentionRows {
    /// Rows that nothing else was done with: what is promised of a limit holds.
    Calibration,
    /// The rows on which epoch, hyper-parameters and threshold were chosen, for lack of others. The model looks a little
    /// better on them than it is, so the risk may be a little beyond its limit.
    Validation,
}

/// What a model said of labelled rows of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedRows {
    /// Total energy, if the model has one, `[rows]`.
    pub total_energy: Option<Vec<f32>>,
    /// What it answered.
    pub answers: Answers,
    /// The true class, `[rows]`.
    pub classes: Vec<usize>,
}

impl JudgedRows {
    /// Some of the rows, in the order given.
    #[must_use]
    pub fn of_rows(&self, rows: &[usize]) -> Self {
        let energies = self.total_energy.as_ref();
        Self {
            total_energy: energies.map(|own| rows.iter().map(|&row| own[row]).collect()),
            answers: self.answers.of_rows(rows),
            classes: rows.iter().map(|&row| self.classes[row]).collect(),
        }
    }

    /// The rows' scores, `[rows]`.
    ///
    /// # Errors
    /// Those of [`DoubtScore::of_answers`].
    pub fn scores(&self, score: DoubtScore, threshold: f64) -> Result<Vec<f32>> {
        score.of_answers(&self.answers, threshold, self.total_energy.as_deref())
    }

    /// Scores, and whether the answers are wrong.
    fn scored(&self, score: DoubtScore, threshold: f64) -> Result<Scored> {
        let scores = self.scores(score, threshold)?;
        let errors = self.errors(threshold)?;
        check_rows(&scores, &errors)?;
        if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
            let message = format!("expected a finite {}, got {}", score.name(), scores[row]);
            return Err(Error::Row { row, message });
        }
        Ok(Scored { scores, errors })
    }

    /// Whether the answers are wrong, `[rows]`.
    ///
    /// # Errors
    /// [`Error::TaskKind`] for predicted numbers; [`Error::LabelCount`].
    pub fn errors(&self, threshold: f64) -> Result<Vec<bool>> {
        let (outputs, n_outputs) = outputs_of(&self.answers)?;
        let n_rows = self.answers.n_rows();
        if n_rows != self.classes.len() {
            return Err(Error::LabelCount {
                predictions: n_rows,
                labels: self.classes.len(),
            });
        }
        let rows = outputs.chunks_exact(n_outputs.max(1)).zip(&self.classes);
        Ok(rows
            .map(|(row, &class)| decided_class(row, threshold) != Some(class))
            .collect())
    }
}

/// Rows with a score, and whether the answer was wrong.
#[derive(Debug, Clone, PartialEq)]
struct Scored {
    scores: Vec<f32>,
    errors: Vec<bool>,
}

impl Scored {
    fn rows(&self) -> ScoredRows<'_> {
        ScoredRows {
            scores: &self.scores,
            errors: &self.errors,
        }
    }

    fn thinned(self) -> Self {
        let n_rows = self.scores.len();
        let n_kept = n_rows.min(MOST_ROWS);
        let kept = || (0..n_kept).map(|k| k * n_rows / n_kept);
        Self {
            scores: kept().map(|row| self.scores[row]).collect(),
            errors: kept().map(|row| self.errors[row]).collect(),
        }
    }
}

/// Scores and errors of a model on labelled rows that it was not trained on, clean and corrupted as training has them: what
/// a limit of the risk is calibrated on, by [`SelectivePrediction`].
///
/// # Which score
/// Of those that the model has, the one that puts errors last on validation rows: the smallest area under the curve of
/// risk and coverage ([`RiskCoverage::area`]), of corrupted rows; the uncertainty where they are equal.
///
/// # Two kinds of rows
/// A limit is kept for clean rows and for corrupted ones alike. Of these only some are corrupted (half, in training's
/// mixture), so it holds for every share of corrupted rows from none to that.
///
/// # Stored
/// As optional tensors of a model file, `abstention.{clean|corrupted}.score` and `.error` (0 or 1), `[rows]`, at most 16,384
/// rows, in an order that means nothing; and as the metadata key `abstention`: `version` (1), `score`, `rows` and `area`, that
/// of each score.
#[derive(Debug, Clone, PartialEq)]
pub struct Abstention {
    note: Note,
    clean: Scored,
    corrupted: Scored,
}

/// What stands in the metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    version: u64,
    score: DoubtScore,
    rows: AbstentionRows,
    area: BTreeMap<DoubtScore, f64>,
}

/// The one key whose meaning no version may change.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Abstention {
    /// The kinds of rows, in their order.
    pub const KINDS: [&'static str; 2] = ["clean", "corrupted"];

    /// Of labelled rows, clean and corrupted, in an order that means nothing; `chosen_on` are the corrupted validation rows
    /// that choose the score.
    ///
    /// # Errors
    /// [`Error::TaskKind`] for a model of numbers; [`Error::NoRows`], [`Error::LabelCount`]; [`Error::Row`] for a score that is
    /// not finite.
    pub fn new(
        clean: &JudgedRows,
        corrupted: &JudgedRows,
        rows: AbstentionRows,
        chosen_on: &JudgedRows,
        threshold: f64,
    ) -> Result<Self> {
        let mut area = BTreeMap::new();
        let mut best: Option<(DoubtScore, f64)> = None;
        for score in DoubtScore::ALL {
            if score == DoubtScore::TotalEnergy && chosen_on.total_energy.is_none() {
                continue;
            }
            let scored = chosen_on.scored(score, threshold)?;
            let own = RiskCoverage::of(&scored.scores, &scored.errors)?.area();
            area.insert(score, own);
            if best.is_none_or(|(_, least)| own < least) {
                best = Some((score, own));
            }
        }
        let score = best.map_or(DoubtScore::Uncertainty, |(score, _)| score);
        Ok(Self {
            note: Note {
                version: VERSION,
                score,
                rows,
                area,
            },
            clean: clean.scored(score, threshold)?.thinned(),
            corrupted: corrupted.scored(score, threshold)?.thinned(),
        })
    }

    /// That of a model, if its file has one.
    ///
    /// # Errors
    /// [`Error::Checkpoint`], [`Error::Shape`] or [`Error::MissingTensor`] if the file has some of it, or it is not what it
    /// must be, or of a version that is not known.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let metadata = checkpoint.metadata();
        let names = |part: &str| Self::KINDS.map(|kind| tensor_name(kind, part));
        let Some(note) = &metadata.abstention else {
            let all = ["score", "error"].into_iter().flat_map(names);
            let found: Vec<String> = all
                .filter(|name| checkpoint.tensors().contains_key(name))
                .collect();
            return match found.first() {
                None => Ok(None),
                Some(name) => Err(Error::Checkpoint(format!(
                    "expected key abstention in the metadata beside tensor {name}, it is missing"
                ))),
            };
        };
        let invalid = |error: serde_json::Error| {
            Error::Checkpoint(format!("invalid abstention in the metadata: {error}"))
        };
        let Version { version } = Version::deserialize(note).map_err(invalid)?;
        if version != VERSION {
            return Err(Error::Checkpoint(format!(
                "expected version {VERSION} of abstention in the metadata, got {version}"
            )));
        }
        let note = Note::deserialize(note).map_err(invalid)?;
        if note.score == DoubtScore::TotalEnergy && metadata.energy.is_none() {
            return Err(Error::Checkpoint(
                "expected energies of a model that abstains by total_energy, it has none"
                    .to_owned(),
            ));
        }
        let scored = |kind: &str| -> Result<Scored> {
            let name = tensor_name(kind, "score");
            let scores: Vec<f32> = match checkpoint.any_shape(&name)?.dims() {
                &[n_rows] if (1..=MOST_ROWS).contains(&n_rows) => {
                    checkpoint.tensor(&name, &[n_rows])?.to_vec1()?
                }
                dims => {
                    return Err(Error::Shape {
                        what: format!("tensor {name}"),
                        expected: format!("[1 to {MOST_ROWS}]"),
                        found: dims.to_vec(),
                    });
                }
            };
            let name = tensor_name(kind, "error");
            let errors: Vec<f32> = checkpoint.tensor(&name, &[scores.len()])?.to_vec1()?;
            let errors = errors.into_iter().map(|error| match error {
                0. => Ok(false),
                1. => Ok(true),
                other => Err(Error::Checkpoint(format!(
                    "expected 0 and 1 in tensor {name}, got {other}"
                ))),
            });
            Ok(Scored {
                scores,
                errors: errors.collect::<Result<_>>()?,
            })
        };
        let [clean, corrupted] = Self::KINDS;
        Ok(Some(Self {
            note,
            clean: scored(clean)?,
            corrupted: scored(corrupted)?,
        }))
    }

    /// Its tensors, under their names in a model file.
    ///
    /// # Errors
    /// Candle's.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for (kind, rows) in Self::KINDS.into_iter().zip([&self.clean, &self.corrupted]) {
            let errors = rows.errors.iter().map(|&error| f32::from(u8::from(error)));
            let errors: Vec<f32> = errors.collect();
            for (part, values) in [("score", &rows.scores), ("error", &errors)] {
                let tensor = Tensor::new(&values[..], &Device::Cpu)?;
                tensors.insert(tensor_name(kind, part), tensor);
            }
        }
        Ok(tensors)
    }

    /// What stands beside them in the metadata.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if an area is no number.
    pub fn note(&self) -> Result<Value> {
        serde_json::to_value(&self.note).map_err(|error| Error::Checkpoint(error.to_string()))
    }

    /// The score that rows are put in order by.
    pub fn score(&self) -> DoubtScore {
        self.note.score
    }

    /// Which rows they are.
    pub fn rows(&self) -> AbstentionRows {
        self.note.rows
    }

    /// Area under the curve of risk and coverage on corrupted validation rows, by score.
    pub fn areas(&self) -> &BTreeMap<DoubtScore, f64> {
        &self.note.area
    }

    /// Scores and errors of clean and of corrupted rows.
    pub fn kinds(&self) -> [ScoredRows<'_>; 2] {
        [self.clean.rows(), self.corrupted.rows()]
    }

    /// The threshold that keeps to a limit on clean and on corrupted rows; none if no coverage that is tried does.
    ///
    /// # Errors
    /// Those of [`SelectivePrediction::calibrate_on_each`].
    pub fn limited_to(&self, limit: RiskLimit) -> Result<Option<SelectivePrediction>> {
        SelectivePrediction::calibrate_on_each(&self.kinds(), limit)
    }

    /// The least risk that there is a threshold for.
    ///
    /// # Errors
    /// Those of [`SelectivePrediction::least_risk`].
    pub fn least_risk(&self, confidence: f64) -> Result<f64> {
        SelectivePrediction::least_risk(&self.kinds(), confidence)
    }
}

fn tensor_name(kind: &str, part: &str) -> String {
    format!("abstention.{kind}.{part}")
}

fn no_classes() -> Error {
    Error::TaskKind {
        expected: "binary or multiclass",
        found: "regression",
    }
}

/// Probabilities row by row, and how many each row has.
fn outputs_of(answers: &Answers) -> Result<(Vec<f32>, usize)> {
    match answers {
        Answers::Binary(probabilities) => Ok((probabilities.clone(), 1)),
        Answers::Multiclass(rows) => Ok((rows.concat(), rows.first().map_or(1, Vec::len))),
        Answers::Regression(_) => Err(no_classes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(probabilities: &[f32], classes: &[usize], energy: &[f32]) -> JudgedRows {
        JudgedRows {
            total_energy: (!energy.is_empty()).then(|| energy.to_vec()),
            answers: Answers::Binary(probabilities.to_vec()),
            classes: classes.to_vec(),
        }
    }

    fn abstention(rows: &JudgedRows) -> Abstention {
        Abstention::new(rows, rows, AbstentionRows::Calibration, rows, 0.3).unwrap()
    }

    #[test]
    fn uncertainty_is_that_of_the_class_decided_for() {
        let of = |answers: &Answers| {
            DoubtScore::Uncertainty
                .of_answers(answers, 0.3, None)
                .unwrap()
        };
        // From .3 up it is a 1.
        let scores = of(&Answers::Binary(vec![0.25, 0.375, 1.]));
        assert_eq!(scores, [0.25, 0.625, 0.]);
        let scores = of(&Answers::Multiclass(vec![vec![0.25, 0.5, 0.25]]));
        assert_eq!(scores, [0.5]);
        assert!(of(&Answers::Binary(vec![f32::NAN]))[0].is_nan());
        let error = DoubtScore::Uncertainty.of_answers(&Answers::Regression(vec![1.]), 0.3, None);
        assert_eq!(
            error.unwrap_err().to_string(),
            "expected a binary or multiclass model, got a regression one"
        );
        let error = DoubtScore::TotalEnergy.of(&[0.5], 1, 0.3, None);
        assert!(error.is_err());
    }

    #[test]
    fn the_score_that_puts_errors_last_is_chosen() {
        // Answers: 0 0 1 1, of which the last is wrong.
        let classes = [0, 0, 1, 0];
        let probabilities = [0.1, 0.2, 0.9, 0.4];
        let uncertain = abstention(&judged(&probabilities, &classes, &[4., 3., 2., 1.]));
        assert_eq!(uncertain.score(), DoubtScore::Uncertainty);
        assert_eq!(uncertain.kinds()[0].errors, [false, false, false, true]);
        // Sure of its error, which the energy knows.
        let probabilities = [0.1, 0.2, 0.9, 1.];
        let by_energy = abstention(&judged(&probabilities, &classes, &[1., 2., 3., 4.]));
        assert_eq!(by_energy.score(), DoubtScore::TotalEnergy);
        assert!((by_energy.areas()[&DoubtScore::TotalEnergy] - 0.0625).abs() < 1e-12);
        // None to choose from; and equals.
        let without = abstention(&judged(&probabilities, &classes, &[]));
        assert_eq!(without.score(), DoubtScore::Uncertainty);
        let equal = abstention(&judged(&[0.5; 4], &classes, &[1.; 4]));
        assert_eq!(equal.score(), DoubtScore::Uncertainty);
    }

    #[test]
    fn rows_that_do_not_go_together_are_refused() {
        let error = |rows: &JudgedRows| {
            let found = Abstention::new(rows, rows, AbstentionRows::Validation, rows, 0.3);
            found.unwrap_err().to_string()
        };
        assert!(error(&judged(&[0.1], &[], &[])).contains("as many labels"));
        assert!(error(&judged(&[], &[], &[])).contains("at least one row"));
        assert_eq!(
            error(&judged(&[0.1, 0.2], &[0, 0], &[1., f32::INFINITY])),
            "row 1: expected a finite total_energy, got inf"
        );
    }

    #[test]
    fn of_many_rows_some_are_kept() {
        let n_rows = MOST_ROWS + 1;
        let probabilities: Vec<f32> = (0..n_rows).map(|row| row as f32 / 65_536.).collect();
        let rows = judged(&probabilities, &vec![0; n_rows], &[]);
        let kept = abstention(&rows);
        assert_eq!(kept.kinds()[1].scores.len(), MOST_ROWS);
        assert!(kept.kinds()[0].scores.is_sorted());
    }
}
