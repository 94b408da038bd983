//! What `--max-risk` asks for: which rows a model answers.

use std::path::Path;

use emma_models::{
    Abstention, AbstentionRows, Checkpoint, DoubtScore, Error, RiskLimit, SelectivePrediction,
    Task, TestedRows,
};

use crate::args::RiskArgs;
use crate::failure::{CommandResult, Failure};
use crate::text::{number, thousands};

/// A score, and the threshold up to which rows are answered.
pub(crate) struct Abstaining {
    pub(crate) score: DoubtScore,
    pub(crate) selective: SelectivePrediction,
    pub(crate) rows: AbstentionRows,
}

impl Abstaining {
    /// That of a model for the risk asked for, if one is.
    ///
    /// # Errors
    /// Bad input if the model has no classes or no rows to go by, or these cannot vouch for so small a risk.
    pub(crate) fn of(
        args: &RiskArgs,
        file: &Path,
        checkpoint: &Checkpoint,
    ) -> CommandResult<Option<Self>> {
        let Some(risk) = args.max_risk else {
            return Ok(None);
        };
        let refuse = |message: String| Failure::input(format!("{}: {message}", file.display()));
        if matches!(checkpoint.metadata().task, Task::Regression { .. }) {
            return Err(refuse(
                "expected a model of classes, since --max-risk is a share of wrong ones; this one predicts a number"
                    .to_owned(),
            ));
        }
        let in_file = |error: Error| error.in_file(file);
        let Some(abstention) = Abstention::from_checkpoint(checkpoint).map_err(in_file)? else {
            return Err(refuse(
                "expected a model with scores and errors of rows that training kept apart, as emma train writes those \
                 of classes, since --max-risk goes by them; it has none: train it again"
                    .to_owned(),
            ));
        };
        let confidence = args.confidence;
        let limit = RiskLimit { risk, confidence };
        let selective = match abstention.limited_to(limit) {
            Ok(Some(selective)) => selective,
            Ok(None) | Err(Error::TooFewRows { .. }) => {
                let least = abstention.least_risk(confidence).map_err(in_file)?;
                let rows = format!(
                    "{} labelled rows in {}",
                    thousands(n_rows(&abstention)),
                    file.display()
                );
                let message = match rounded_up(least) {
                    least if least < 1. => format!(
                        "expected at least {least}, the least that the {rows} vouch for with confidence {confidence}"
                    ),
                    _ => format!("expected more rows: the {rows} vouch for no risk at all"),
                };
                return Err(Failure::input(format!("--max-risk {risk}: {message}")));
            }
            Err(error) => return Err(in_file(error).into()),
        };
        Ok(Some(Self {
            score: abstention.score(),
            selective,
            rows: abstention.rows(),
        }))
    }

    /// What is to be known of it before its answers are trusted.
    pub(crate) fn note(&self) -> String {
        let limit = self.selective.limit();
        let covered = self.selective.tested().iter().map(TestedRows::coverage);
        let covered: Vec<String> = covered
            .zip(Abstention::KINDS)
            .map(|(coverage, kind)| format!("{} % of {kind} rows", number(100. * coverage)))
            .collect();
        let caution = match self.rows {
            AbstentionRows::Calibration => "",
            AbstentionRows::Validation => {
                "; these are the rows that the model was chosen on, so it may be a little more: \
                 split.calibration keeps others apart"
            }
        };
        format!(
            "answers up to {} {}, {}: at most {} % of them wrong, with confidence {}{caution}",
            self.score.name(),
            number(f64::from(self.selective.threshold())),
            covered.join(" and "),
            number(100. * limit.risk),
            limit.confidence,
        )
    }
}

/// Rows of each kind.
fn n_rows(abstention: &Abstention) -> usize {
    let [clean, _] = abstention.kinds();
    clean.scores.len()
}

/// To three digits, and never down.
fn rounded_up(share: f64) -> f64 {
    let digits = 10f64.powi(2 - share.log10().floor() as i32);
    (share * digits).ceil() / digits
}

#[cfg(test)]
mod tests {
    use super::rounded_up;

    #[test]
    fn shares_are_rounded_up() {
        for (share, expected) in [(0.012_341, "0.0124"), (0.5, "0.5"), (0.000_999_1, "0.001")] {
            assert_eq!(rounded_up(share).to_string(), expected);
        }
        assert!(rounded_up(0.9999) >= 1. && rounded_up(1.) >= 1.);
    }
}
