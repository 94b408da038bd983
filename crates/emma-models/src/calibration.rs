//! Where a potential stands among those of clean rows.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// Tensor that has the number of clean rows.
const N_ROWS: &str = "calibration.rows";

/// Most potentials of a mode that are kept.
const MOST_KEPT: usize = 4096;

/// Largest whole number below which f32 has them all.
const MOST_ROWS: usize = 1 << 24;

/// Potentials of each mode on clean rows that its energy was not trained on, so that a row's potential can be called
/// ordinary or not: the distribution behind "beyond 99.97 % of clean rows".
///
/// # Resolution
/// Of n rows at most 4,096 potentials are kept: order statistics evenly spread, the smallest and the largest among them.
/// Up to n = 4,096 p-values are exact; beyond they are never too small and at most 1/4,095 too large, since a potential
/// between two that are kept is taken for the lower one's neighbor.
///
/// # Stored
/// As optional tensors of a model file: `calibration.{mode}.potential` `[Q]`, ascending, and `calibration.rows` `[1]`,
/// which is n, at most 2^24.
///
/// # Source
/// V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random world" (2005); S. Bates et al., "Testing for
/// outliers with conformal p-values" (2023).
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    n_rows: usize,
    names: Vec<String>,
    /// Of each mode, ascending.
    potentials: Vec<Vec<f32>>,
}

impl Calibration {
    /// From the potentials of clean rows, which the energies were not trained on.
    ///
    /// # Shapes
    /// - `modes`: names, `[modes]`
    /// - `potentials`: `[rows][modes]`
    ///
    /// # Errors
    /// [`Error::NoRows`]; [`Error::Row`] for a row with another number of modes or a potential that is not finite.
    pub fn new(modes: &[impl AsRef<str>], potentials: &[Vec<f32>]) -> Result<Self> {
        if potentials.is_empty() {
            return Err(Error::NoRows {
                what: "clean rows to calibrate on",
            });
        }
        for (row, energies) in potentials.iter().enumerate() {
            let odd = energies.iter().find(|energy| !energy.is_finite());
            let message = match odd {
                _ if energies.len() != modes.len() => {
                    format!(
                        "expected {} potentials, got {}",
                        modes.len(),
                        energies.len()
                    )
                }
                Some(energy) => format!("expected finite potentials, got {energy}"),
                None => continue,
            };
            return Err(Error::Row { row, message });
        }
        let n_rows = potentials.len().min(MOST_ROWS);
        let of_mode = |mode: usize| {
            let mut all: Vec<f32> = potentials.iter().map(|energies| energies[mode]).collect();
            all.sort_by(f32::total_cmp);
            let all = thinned(&all, n_rows);
            thinned(&all, n_rows.min(MOST_KEPT))
        };
        Ok(Self {
            n_rows,
            names: modes.iter().map(|name| name.as_ref().to_owned()).collect(),
            potentials: (0..modes.len()).map(of_mode).collect(),
        })
    }

    /// That of a model, if its file has one.
    ///
    /// # Errors
    /// [`Error::Checkpoint`], [`Error::Shape`] or [`Error::MissingTensor`] if it has some of it, or it is not what it
    /// must be.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let names: Vec<String> = checkpoint
            .metadata()
            .modes
            .iter()
            .map(|mode| mode.name.clone())
            .collect();
        let all = checkpoint.tensors();
        let is_there = |name: &String| all.contains_key(&tensor_name(name));
        if !names.iter().any(is_there) && !all.contains_key(N_ROWS) {
            return Ok(None);
        }
        let n_rows = checkpoint.tensor(N_ROWS, &[1])?.to_vec1::<f32>()?[0];
        let invalid = |what: String| Error::Checkpoint(what);
        if !(n_rows >= 1. && n_rows <= MOST_ROWS as f32 && n_rows.fract().abs() <= 0.) {
            return Err(invalid(format!(
                "expected a whole number of rows from 1 to {MOST_ROWS} in tensor {N_ROWS}, got {n_rows}"
            )));
        }
        #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
        let n_rows = n_rows as usize;
        let n_kept = n_rows.min(MOST_KEPT);
        let potentials = names
            .iter()
            .map(|name| {
                let name = tensor_name(name);
                let potentials = checkpoint.tensor(&name, &[n_kept])?.to_vec1::<f32>()?;
                if potentials.is_sorted() {
                    return Ok(potentials);
                }
                Err(invalid(format!(
                    "expected ascending numbers in tensor {name}"
                )))
            })
            .collect::<Result<_>>()?;
        Ok(Some(Self {
            n_rows,
            names,
            potentials,
        }))
    }

    /// Its tensors, under their names in a model file.
    ///
    /// # Errors
    /// Candle's.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        tensors.insert(
            N_ROWS.to_owned(),
            Tensor::new(&[self.n_rows as f32], &Device::Cpu)?,
        );
        for (name, potentials) in self.names.iter().zip(&self.potentials) {
            let tensor = Tensor::new(&potentials[..], &Device::Cpu)?;
            tensors.insert(tensor_name(name), tensor);
        }
        Ok(tensors)
    }

    /// Number of clean rows, n.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of modes.
    pub fn n_modes(&self) -> usize {
        self.potentials.len()
    }

    /// The smallest p-value that there is: 1 / (1 + n).
    pub fn smallest_p_value(&self) -> f64 {
        1. / (1 + self.n_rows) as f64
    }

    /// Conformal p-value of a potential: small for outlying ones. NaN for NaN and for a mode that there is not.
    ///
    /// `p = (1 + number of clean rows of at least this potential) / (1 + n)`
    ///
    /// For a row drawn as the clean ones were, the chance of `p ≤ a` is at most a.
    pub fn p_value(&self, mode_index: usize, potential: f32) -> f64 {
        match self.n_below(mode_index, potential) {
            Some(below) => (1 + self.n_rows - below) as f64 / (1 + self.n_rows) as f64,
            None => f64::NAN,
        }
    }

    /// Share of clean rows of a lower potential, from 0 to 1. NaN for NaN and for a mode that there is not.
    pub fn share_below(&self, mode_index: usize, potential: f32) -> f64 {
        match self.n_below(mode_index, potential) {
            Some(below) => below as f64 / self.n_rows as f64,
            None => f64::NAN,
        }
    }

    /// The potentials of a mode that are kept, ascending, and how many of `n + 1` equal chances lie in each of the
    /// bins that they cut: below the first, between two, above the last.
    pub(crate) fn bins(&self, mode_index: usize) -> (Vec<f32>, Vec<u64>) {
        let kept = self.potentials.get(mode_index).cloned().unwrap_or_default();
        let rank = |index: usize| rank(index, kept.len(), self.n_rows) as u64;
        let between = (1..kept.len()).map(|index| rank(index) - rank(index - 1));
        let chances = std::iter::once(1).chain(between).chain([1]).collect();
        (kept, chances)
    }

    /// How many clean rows are known to have a lower potential.
    fn n_below(&self, mode_index: usize, potential: f32) -> Option<usize> {
        let kept = self.potentials.get(mode_index)?;
        if potential.is_nan() {
            return None;
        }
        Some(match kept.partition_point(|&clean| clean < potential) {
            0 => 0,
            // Beyond all clean rows, those included that were not kept.
            below if below == kept.len() => self.n_rows,
            below => rank(below - 1, kept.len(), self.n_rows) + 1,
        })
    }
}

fn tensor_name(mode: &str) -> String {
    format!("calibration.{mode}.potential")
}

/// Rank among n of the k-th of q that are kept.
fn rank(k: usize, q: usize, n: usize) -> usize {
    if q < 2 { 0 } else { k * (n - 1) / (q - 1) }
}

fn thinned(sorted: &[f32], n_kept: usize) -> Vec<f32> {
    (0..n_kept)
        .map(|k| sorted[rank(k, n_kept, sorted.len())])
        .collect()
}

#[cfg(test)]
mod tests {
    use emma_energy::ConformalPValue;

    use super::*;

    const MODES: [&str; 2] = ["a", "b"];

    /// Potentials that rise and fall with the row, with ties.
    fn potentials(n_rows: usize) -> Vec<Vec<f32>> {
        (0..n_rows)
            .map(|row| {
                let wave = (row as f32 * 0.7).sin() * 10.;
                vec![wave.round(), wave * wave]
            })
            .collect()
    }

    #[test]
    fn few_rows_give_the_conformal_p_value_exactly() {
        let rows = potentials(500);
        let calibration = Calibration::new(&MODES, &rows).unwrap();
        for mode in 0..2 {
            let energies: Vec<f64> = rows.iter().map(|row| f64::from(row[mode])).collect();
            let exact = ConformalPValue::fit(&energies).unwrap();
            for energy in (-240..2200).map(|tenth| tenth as f32 / 20.) {
                let found = calibration.p_value(mode, energy);
                let expected = exact.p_value(f64::from(energy));
                assert!(
                    (found - expected).abs() < 1e-15,
                    "{energy}: {found} {expected}"
                );
            }
        }
        assert!(calibration.p_value(0, f32::NAN).is_nan());
        assert!(calibration.p_value(2, 0.).is_nan());
        assert!((calibration.share_below(0, 1e9) - 1.).abs() < 1e-15);
        assert!(calibration.share_below(0, -1e9).abs() < 1e-15);
    }

    #[test]
    fn many_rows_are_thinned_to_p_values_hardly_larger() {
        let rows = potentials(100_003);
        let calibration = Calibration::new(&MODES, &rows).unwrap();
        let energies: Vec<f64> = rows.iter().map(|row| f64::from(row[1])).collect();
        let exact = ConformalPValue::fit(&energies).unwrap();
        let mut largest = 0f64;
        for energy in (-10..1100).map(|tenth| tenth as f32 / 10.) {
            let excess = calibration.p_value(1, energy) - exact.p_value(f64::from(energy));
            // Rounding of a quotient apart.
            assert!(excess >= -1e-15, "{energy}: {excess}");
            largest = largest.max(excess);
        }
        assert!(largest > 0. && largest <= 1. / 4095., "{largest}");
        let kept = &calibration.tensors().unwrap()["calibration.b.potential"];
        let kept = kept.to_vec1::<f32>().unwrap();
        assert_eq!(kept.len(), 4096);
        let extreme = |pick: fn(f64, f64) -> f64| energies.iter().copied().reduce(pick).unwrap();
        assert_eq!(
            (kept[0], kept[4095]),
            (extreme(f64::min) as f32, extreme(f64::max) as f32)
        );
    }

    #[test]
    fn rows_that_cannot_be_calibrated_on_are_refused() {
        let error = |rows: &[Vec<f32>]| Calibration::new(&MODES, rows).unwrap_err().to_string();
        assert!(
            error(&[]).contains("clean rows to calibrate on"),
            "{}",
            error(&[])
        );
        assert_eq!(
            error(&[vec![1., 2.], vec![1.]]),
            "row 1: expected 2 potentials, got 1"
        );
        assert_eq!(
            error(&[vec![1., f32::INFINITY]]),
            "row 0: expected finite potentials, got inf"
        );
    }
}
