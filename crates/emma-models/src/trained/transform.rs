//! What a model makes of rows before its network sees them, for other learners.

use super::missing_modes::MissingModes;
use super::plus::Gaps;
use super::prediction::saturate;
use super::row_scores::RowScores;
use super::{Predictor, TrainedModel};
use crate::error::{Error, Result};

/// What [`TrainedModel::transform_rows`] makes of rows: one long list for each measure, row-major, in f32.
///
/// With x_i a mode and a_i its attention: by EMMA `mean + a_i (x_i − mean)`, the mode shrunk towards its mean
/// in training; by EMMA+ `r_i + a_i (x_i − r_i)`, blended with its repair r_i. NaN for rows that cannot be scored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowTransforms {
    /// Gated features, `[rows, features]`, in the table's units; never NaN for a row that can be scored.
    pub gated: Vec<f32>,
    /// What the density expects the features to be without noise, `[rows, features]`, in the table's units; by
    /// EMMA+ alone.
    pub repaired: Option<Vec<f32>>,
    /// `log p(x_S | 1) − log p(x_S | 0)` in nats of all modes S together and, if there are several, of each alone,
    /// `[rows, 1 + modes]`; by EMMA+ alone.
    pub log_odds: Option<Vec<f32>>,
    /// Attention and energies, and rows that cannot be scored.
    pub scores: RowScores,
}

impl TrainedModel {
    /// What the model makes of raw rows, the features of all modes side by side, before its network sees them.
    ///
    /// # Shapes
    /// - `rows`: `[rows, all features]`, row-major, in the table's units
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model without attention; as [`score_rows`](Self::score_rows).
    pub fn transform_rows(&self, rows: &[f32], missing: MissingModes) -> Result<RowTransforms> {
        if let Predictor::Plus(model) = &self.predictor {
            let modes = self.standardize(&self.side_by_side(rows)?)?;
            let gaps = match missing {
                MissingModes::Refuse => Gaps::Refused,
                MissingModes::LeaveOut => Gaps::Nan,
            };
            let (scores, repairs) = self.repairs_by_plus(model, &modes, gaps)?;
            let centers = |row: usize, mode: usize, feature: usize, place: usize| {
                let (mean, std) = (f64::from(self.mean[place]), f64::from(self.std[place]));
                mean + std * repairs.repaired[mode][row][feature]
            };
            let attention = |row: usize, mode: usize| repairs.attention[row][mode];
            let (repaired, gated) = self.blended(rows, &scores, centers, attention);
            let log_odds = (0..scores.n_rows()).flat_map(|row| {
                let own = &repairs.log_odds[row];
                let refused = scores.outputs[row].is_nan();
                own.iter()
                    .map(move |&odds| if refused { f32::NAN } else { saturate(odds) })
            });
            return Ok(RowTransforms {
                gated,
                repaired: Some(repaired),
                log_odds: Some(log_odds.collect()),
                scores,
            });
        }
        if !self.has_emma() {
            return Err(Error::Unsupported {
                what: "a transform",
                expected: "a model with attention",
                found: format!(
                    "one without (network of kind {})",
                    self.metadata.network.kind
                ),
            });
        }
        let scores = self.score_rows(rows, missing)?;
        let gates = scores.energies.as_ref().map(|energies| &energies.attention);
        let attention = |row: usize, mode: usize| {
            gates.map_or(0., |gates| f64::from(gates[row * scores.n_modes + mode]))
        };
        let centers = |_: usize, _: usize, _: usize, place: usize| f64::from(self.mean[place]);
        let (_, gated) = self.blended(rows, &scores, centers, attention);
        Ok(RowTransforms {
            gated,
            scores,
            ..RowTransforms::default()
        })
    }

    /// Of every feature what it is drawn towards, and where it comes to lie.
    fn blended(
        &self,
        rows: &[f32],
        scores: &RowScores,
        center: impl Fn(usize, usize, usize, usize) -> f64,
        attention: impl Fn(usize, usize) -> f64,
    ) -> (Vec<f32>, Vec<f32>) {
        let n_features = self.metadata.n_features();
        let (mut centers, mut blended) = (Vec::new(), Vec::new());
        for (row, values) in rows.chunks_exact(n_features).enumerate() {
            if scores.outputs[row * scores.n_outputs].is_nan() {
                centers.extend(vec![f32::NAN; n_features]);
                blended.extend(vec![f32::NAN; n_features]);
                continue;
            }
            let mut place = 0;
            for (mode, columns) in self.metadata.modes.iter().enumerate() {
                let attention = attention(row, mode);
                for feature in 0..columns.columns.len() {
                    let center = center(row, mode, feature, place);
                    let value = f64::from(values[place]);
                    place += 1;
                    centers.push(saturate(center));
                    let is_open = attention > 0. && !value.is_nan();
                    blended.push(saturate(if is_open {
                        center + attention * (value - center)
                    } else {
                        center
                    }));
                }
            }
        }
        (centers, blended)
    }
}
