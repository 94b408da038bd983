//! By what a model may abstain, and what that is worth.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use emma_models::{Abstention, AbstentionRows, DoubtScore, RiskCoverage};
use serde::Serialize;

use crate::failure::CommandResult;
use crate::text::{number, thousands};

/// Shares of rows whose risk is told.
const COVERAGES: [f64; 4] = [1., 0.95, 0.9, 0.8];

/// Score, rows, and their risk at some coverages.
#[derive(Debug, Serialize)]
pub(super) struct AbstentionSummary {
    score: DoubtScore,
    rows: AbstentionRows,
    n_rows: usize,
    /// Area under the curve of risk and coverage on corrupted validation rows, by score.
    area: BTreeMap<DoubtScore, f64>,
    /// By kind of row.
    risks: BTreeMap<&'static str, Vec<Risk>>,
}

/// The share of errors among rows of the lowest scores.
#[derive(Debug, Serialize)]
struct Risk {
    coverage: f64,
    risk: f64,
}

impl AbstentionSummary {
    pub(super) fn of(abstention: &Abstention) -> CommandResult<Self> {
        let mut risks = BTreeMap::new();
        let mut n_rows = 0;
        for (kind, rows) in Abstention::KINDS.into_iter().zip(abstention.kinds()) {
            let curve = RiskCoverage::of(rows.scores, rows.errors)?;
            // Rows of one score go together: the last point that does not go beyond, or the first.
            let at = |coverage: f64| {
                let points = curve.points();
                let beyond = points.partition_point(|point| point.coverage <= coverage);
                points.get(beyond.saturating_sub(1)).map(|point| Risk {
                    coverage: point.coverage,
                    risk: point.risk,
                })
            };
            risks.insert(kind, COVERAGES.into_iter().filter_map(at).collect());
            n_rows = rows.scores.len();
        }
        Ok(Self {
            score: abstention.score(),
            rows: abstention.rows(),
            n_rows,
            area: abstention.areas().clone(),
            risks,
        })
    }

    pub(super) fn write(&self, text: &mut String) {
        let areas = self.area.iter();
        let areas: Vec<String> = areas
            .map(|(score, area)| format!("{} {}", score.name(), number(*area)))
            .collect();
        let rows = match self.rows {
            AbstentionRows::Calibration => "rows kept apart",
            AbstentionRows::Validation => "validation rows, which the model was chosen on",
        };
        let _ = writeln!(
            text,
            "\nAbstention: by {}, on {} {rows} (area under risk and coverage: {})",
            self.score.name(),
            thousands(self.n_rows),
            areas.join(", ")
        );
        for (kind, risks) in &self.risks {
            let risks: Vec<String> = risks
                .iter()
                .map(|point| {
                    let [risk, coverage] =
                        [point.risk, point.coverage].map(|share| number(100. * share));
                    format!("{risk} % of {coverage} %")
                })
                .collect();
            let _ = writeln!(
                text,
                "  Wrong of {kind} rows answered: {}.",
                risks.join(", ")
            );
        }
    }
}
