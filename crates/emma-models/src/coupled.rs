//! EMMA in front of a network.

use candle_core::Tensor;
use candle_nn::Module;
use emma_attention::{CouplingForm, Emma, PotentialEnergies, Regularizers};
use emma_energy::EnergyEstimator;

use crate::error::{Error, Result};
use crate::model::{ModelOutput, MultiModalModel, concatenate, outputs_of_rows};
use crate::training::{StandardForm, StandardGate, perceptron};

/// EMMA in front of any network: energies, attention, weighted modes, network.
///
/// The network is any [`Module`] that takes `[rows, all features]` and gives one number or one a class for each row. A
/// network that wants its modes apart calls [`Emma::forward`] itself.
///
/// # Source
/// Thesis figure 5.2.
pub struct Coupled<N> {
    /// One energy estimator a mode, frozen.
    pub estimators: Vec<Box<dyn EnergyEstimator>>,
    /// Steps 2 to 4.
    pub emma: Emma,
    /// What is added to the training loss.
    pub regularizers: Regularizers,
    /// What predicts from the weighted modes.
    pub network: N,
}

impl<N: Module> Coupled<N> {
    /// Puts the parts together.
    ///
    /// # Errors
    /// [`Error::ModeCount`] if there is not one estimator a mode; an attention error if a
    /// regularizer's weight is out of range.
    pub fn new(
        estimators: Vec<Box<dyn EnergyEstimator>>,
        emma: Emma,
        regularizers: Regularizers,
        network: N,
    ) -> Result<Self> {
        regularizers.validate()?;
        if estimators.len() != emma.config().n_modes {
            return Err(Error::ModeCount {
                expected: emma.config().n_modes,
                found: estimators.len(),
            });
        }
        Ok(Self {
            estimators,
            emma,
            regularizers,
            network,
        })
    }

    /// Potential energies of a batch, to compute once and keep.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, features]` tensor a mode, standardized
    /// - returns `[rows, modes]`
    ///
    /// # Errors
    /// An attention error if the modes do not fit.
    pub fn potentials(&self, modes: &[Tensor]) -> Result<PotentialEnergies> {
        Ok(PotentialEnergies::estimate(&self.estimators, modes)?)
    }
}

impl<N: Module + 'static> MultiModalModel for Coupled<N> {
    fn forward(
        &self,
        modes: &[Tensor],
        potentials: Option<&PotentialEnergies>,
    ) -> Result<ModelOutput> {
        let estimated;
        let potentials = if let Some(potentials) = potentials {
            potentials
        } else {
            estimated = self.potentials(modes)?;
            &estimated
        };
        let output = self.emma.forward(modes, potentials)?;
        let logits = self
            .network
            .forward(&concatenate(&output.weighted_modes)?)?;
        Ok(ModelOutput {
            logits: outputs_of_rows(&logits)?,
            emma: Some(output),
        })
    }

    fn penalty(
        &self,
        output: &ModelOutput,
        corruption_sign: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        match &output.emma {
            Some(emma) => {
                Ok(self
                    .regularizers
                    .penalty(&self.emma, &emma.log_importance, corruption_sign)?)
            }
            None => Ok(None),
        }
    }

    fn project(&self) -> Result<()> {
        Ok(self.emma.project()?)
    }

    fn standard_form(&self) -> Option<StandardForm<'_>> {
        // Fused steps know the thesis's shared energies alone.
        if self.emma.config().coupling_form != CouplingForm::GeometricBlend {
            return None;
        }
        Some(StandardForm {
            single_mode: None,
            gate: StandardGate::Emma {
                estimators: &self.estimators,
                emma: &self.emma,
                regularizers: &self.regularizers,
            },
            network: perceptron(&self.network)?,
        })
    }
}
