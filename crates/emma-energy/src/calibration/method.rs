//! Calibrations by name.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{
    Calibration, ConformalPValue, EmpiricalQuantile, Logarithm, Raw, StandardScore, Surprisal,
    SurprisalFit,
};
use crate::error::Result;

/// Which calibration, before it is fitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CalibrationMethod {
    /// [`Raw`]: none, as in the thesis. The default.
    #[default]
    Raw,
    /// [`StandardScore`].
    StandardScore,
    /// [`Logarithm`].
    Logarithm,
    /// [`EmpiricalQuantile`].
    EmpiricalQuantile,
    /// [`ConformalPValue`].
    ConformalPValue,
    /// [`Surprisal`], as [`SurprisalFit`] by default fits it.
    Surprisal,
}

impl CalibrationMethod {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Raw,
        Self::StandardScore,
        Self::Logarithm,
        Self::EmpiricalQuantile,
        Self::ConformalPValue,
        Self::Surprisal,
    ];

    /// Fits it to the energies of clean rows.
    ///
    /// # Errors
    /// Those of the calibration's own `fit`.
    pub fn fit(self, energies: &[f64]) -> Result<FittedCalibration> {
        Ok(match self {
            Self::Raw => FittedCalibration::Raw,
            Self::StandardScore => StandardScore::fit(energies)?.into(),
            Self::Logarithm => Logarithm::fit(energies)?.into(),
            Self::EmpiricalQuantile => EmpiricalQuantile::fit(energies)?.into(),
            Self::ConformalPValue => ConformalPValue::fit(energies)?.into(),
            Self::Surprisal => SurprisalFit::default().fit(energies)?.into(),
        })
    }
}

/// A calibration of any method, fitted.
///
/// As JSON it is one object, whose key `method` names the method in snake case; it reads back to the
/// same bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FittedCalibration {
    /// [`Raw`].
    Raw,
    /// [`StandardScore`].
    StandardScore(StandardScore),
    /// [`Logarithm`].
    Logarithm(Logarithm),
    /// [`EmpiricalQuantile`].
    EmpiricalQuantile(EmpiricalQuantile),
    /// [`ConformalPValue`].
    ConformalPValue(ConformalPValue),
    /// [`Surprisal`].
    Surprisal(Surprisal),
}

macro_rules! from {
    ($($kind:ident),*) => {
        $(impl From<$kind> for FittedCalibration {
            fn from(calibration: $kind) -> Self {
                Self::$kind(calibration)
            }
        })*
    };
}
from!(
    StandardScore,
    Logarithm,
    EmpiricalQuantile,
    ConformalPValue,
    Surprisal
);

impl FittedCalibration {
    fn inner(&self) -> &dyn Calibration {
        match self {
            Self::Raw => &Raw,
            Self::StandardScore(calibration) => calibration,
            Self::Logarithm(calibration) => calibration,
            Self::EmpiricalQuantile(calibration) => calibration,
            Self::ConformalPValue(calibration) => calibration,
            Self::Surprisal(calibration) => calibration,
        }
    }
}

impl Calibration for FittedCalibration {
    fn value(&self, energy: f64) -> f64 {
        self.inner().value(energy)
    }

    fn inverse(&self, value: f64) -> f64 {
        self.inner().inverse(value)
    }

    fn calibrate(&self, energies: &Tensor) -> Result<Tensor> {
        self.inner().calibrate(energies)
    }
}
