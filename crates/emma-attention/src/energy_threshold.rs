//! The energy a mode may have and still pass.

use candle_core::{D, Tensor};

use crate::error::Result;
use crate::importance::{Coldness, log_partition};
use crate::modal_energy::ModalEnergies;

/// Energy threshold of every row: a mode gets attention exactly if its modal energy is below.
///
/// `E_threshold = (log(g_a / b_a) − log Z) / ρ` with `Z = Σ_k exp(−ρ E_k)`
///
/// Infinite where nothing is ever masked: at zero coldness with `g_a / M > b_a`, or at
/// `b_a = 0`. Negative infinity where everything is: at zero coldness otherwise, or at `g_a = 0`.
///
/// # Shapes
/// - `gain` g_a, `bias` b_a: not negative
/// - returns `[rows]`
///
/// # Units
/// Those of the modal energies.
///
/// # Errors
/// Only candle's own.
///
/// # Source
/// Thesis eq. 5.8.
/// Deviation: the equation's inequality is reversed (it has E_i above the threshold pass). More
/// outlying modes make Z smaller and the threshold higher, so that the module becomes less
/// selective, not more as the text has it.
pub fn energy_threshold(
    energies: &ModalEnergies,
    coldness: Coldness,
    gain: f64,
    bias: f64,
) -> Result<Tensor> {
    let log_partition = log_partition(energies, coldness)?.squeeze(D::Minus1)?;
    // The logarithm of 0/0 is NaN; a gate with no gain passes nothing.
    let log_ratio = if gain > 0. {
        gain.ln() - bias.ln()
    } else {
        f64::NEG_INFINITY
    };
    let numerator = (log_partition.neg()? + log_ratio)?;
    if coldness.value() > 0. {
        return Ok((numerator / coldness.value())?);
    }
    // The limit; a mode that is exactly on the border gets tanh(0), no attention.
    let infinite = (numerator.ones_like()? * f64::INFINITY)?;
    Ok(numerator
        .gt(&numerator.zeros_like()?)?
        .where_cond(&infinite, &infinite.neg()?)?)
}

/// How far a mode's energy may lie above the others' before the mode is masked.
///
/// A mode gets no attention exactly if `E_i ≥ E_others + gap`, where
/// `gap = log((g_a − b_a) / b_a) / ρ` and `E_others = −log(Σ_{k≠i} exp(−ρ E_k)) / ρ`, a soft minimum
/// of the other modes' energies (with two modes: the other's energy). Unlike [`energy_threshold`],
/// which changes from row to row, the gap is one number for a trained module.
///
/// Infinite where nothing is ever masked: at `b_a = 0`, or at zero coldness with `g_a / M > b_a`.
/// Negative infinity where everything is: at `g_a ≤ b_a`, or at zero coldness otherwise.
///
/// # Units
/// Those of the modal energies; `gain` and `bias` are not negative, `n_modes` is M.
///
/// # Source
/// This implementation: eq. 5.7 is zero where `g_a α_i ≤ b_a`, with α_i of eq. 5.6.
pub fn masking_gap(coldness: Coldness, gain: f64, bias: f64, n_modes: usize) -> f64 {
    let masked = if coldness.value() > 0. {
        gain <= bias
    } else {
        gain <= bias * n_modes as f64
    };
    if masked {
        f64::NEG_INFINITY
    } else if bias > 0. && coldness.value() > 0. {
        ((gain - bias) / bias).ln() / coldness.value()
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::attention_scores;
    use crate::importance::log_importance;
    use candle_core::DType;
    use emma_testkit::devices_with;

    #[test]
    fn a_mode_is_masked_exactly_beyond_the_gap() -> Result<()> {
        for device in devices_with(DType::F64) {
            let mut n_masked = 0;
            for (coldness, gain, bias) in [
                (0.1, 1., 0.2),
                (1., 2., 0.9),
                (0.01, 1.2, 0.39),
                (0.5, 1., 0.),
                (0.5, 0.4, 0.5),
                (0., 1., 0.3),
                (0., 1., 0.4),
            ] {
                let rho = Coldness::new(coldness)?;
                let gap = masking_gap(rho, gain, bias, 3);
                let energies = [
                    [1f64, 2., 40.],
                    [10., 10., 10.],
                    [0., 100., 3.],
                    [-5., 30., 29.],
                ];
                let tensor = ModalEnergies::new(Tensor::new(&energies, device)?)?;
                let attention = attention_scores(
                    &log_importance(&tensor, rho)?,
                    &Tensor::new(&[gain], device)?,
                    &Tensor::new(&[bias], device)?,
                )?;
                let attention = attention.as_tensor().to_vec2::<f64>()?;
                for (energies, attention) in energies.iter().zip(attention) {
                    for mode in 0..3 {
                        let others = (0..3).filter(|&other| other != mode);
                        let sum: f64 = others.map(|k| (-coldness * energies[k]).exp()).sum();
                        // At zero coldness the gap alone decides.
                        let beyond = if coldness > 0. {
                            energies[mode] >= gap - sum.ln() / coldness
                        } else {
                            gap < 0.
                        };
                        assert_eq!(
                            attention[mode] <= 0.,
                            beyond,
                            "{coldness} {energies:?} {mode}"
                        );
                        n_masked += usize::from(beyond);
                    }
                }
            }
            assert!(
                (20..60).contains(&n_masked),
                "both must occur: {n_masked} of 84"
            );
        }
        Ok(())
    }

    #[test]
    fn a_mode_passes_exactly_if_its_energy_is_below_the_threshold() -> Result<()> {
        for device in devices_with(DType::F64) {
            let energies = ModalEnergies::new(Tensor::new(
                &[
                    [1f64, 2., 40.],
                    [10., 10., 10.],
                    [0., 100., 100.],
                    [-5., 30., 29.],
                ],
                device,
            )?)?;
            for (coldness, gain, bias) in [(0.1, 1., 0.2), (1., 2., 0.9), (0.01, 1.2, 0.39)] {
                let rho = Coldness::new(coldness)?;
                let threshold = energy_threshold(&energies, rho, gain, bias)?.to_vec1::<f64>()?;
                let attention = attention_scores(
                    &log_importance(&energies, rho)?,
                    &Tensor::new(&[gain], device)?,
                    &Tensor::new(&[bias], device)?,
                )?;
                let attention = attention.as_tensor().to_vec2::<f64>()?;
                let energies = energies.as_tensor().to_vec2::<f64>()?;
                let mut masked = 0;
                for (row, threshold) in threshold.iter().enumerate() {
                    for (energy, attention) in energies[row].iter().zip(&attention[row]) {
                        assert_eq!(energy < threshold, *attention > 0., "row {row}");
                        masked += usize::from(*attention <= 0.);
                    }
                }
                assert!(masked > 0, "the case must mask something to test anything");
            }
        }
        Ok(())
    }

    #[test]
    fn outlying_modes_raise_the_threshold() -> Result<()> {
        for device in devices_with(DType::F64) {
            let energies = Tensor::new(&[[1f64, 2.], [11., 12.]], device)?;
            let energies = ModalEnergies::new(energies)?;
            let threshold =
                energy_threshold(&energies, Coldness::new(0.5)?, 1., 0.3)?.to_vec1::<f64>()?;
            assert!((threshold[1] - threshold[0] - 10.).abs() < 1e-9);
        }
        Ok(())
    }

    #[test]
    fn limits_are_infinite_and_never_nan() -> Result<()> {
        for device in devices_with(DType::F64) {
            let energies = ModalEnergies::new(Tensor::new(&[[1f64, 2.]], device)?)?;
            for (coldness, gain, bias, expected) in [
                (0., 1., 0.3, f64::INFINITY),
                (0., 1., 0.7, f64::NEG_INFINITY),
                (0., 1., 0.5, f64::NEG_INFINITY),
                (0.1, 1., 0., f64::INFINITY),
                (0.1, 0., 0., f64::NEG_INFINITY),
            ] {
                let threshold = energy_threshold(&energies, Coldness::new(coldness)?, gain, bias)?;
                assert_eq!(threshold.to_vec1::<f64>()?, [expected]);
            }
        }
        Ok(())
    }
}
