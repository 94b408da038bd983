//! The independent float64 vectors in `golden/`.

use serde::Deserialize;

/// All golden cases.
#[derive(Debug, Deserialize)]
pub struct Golden {
    /// Autoencoders and their energies.
    pub energy: Vec<EnergyCase>,
    /// Steps 2 to 4, with a loss and its gradients.
    pub attention: Vec<AttentionCase>,
}

/// One autoencoder.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)] // Named as in the generator.
pub struct EnergyCase {
    pub name: String,
    pub weight: Vec<Vec<f64>>,
    pub encoder_bias: Vec<f64>,
    pub decoder_bias: Vec<f64>,
    pub x: Vec<Vec<f64>>,
    pub potential: Vec<f64>,
    pub reconstruction: Vec<Vec<f64>>,
    pub squared_error: Vec<f64>,
}

/// One EMMA module and a batch.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct AttentionCase {
    pub name: String,
    pub potentials: Vec<Vec<f64>>,
    pub params: AttentionParameters,
    pub expected: AttentionExpected,
    pub loss: LossCase,
}

/// Parameters of steps 2 to 4.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct AttentionParameters {
    pub minimum_potential: Vec<f64>,
    pub self_weight: Vec<f64>,
    pub self_bias: Vec<f64>,
    pub coupling_weight: Vec<Vec<f64>>,
    pub coupling_exponent: Vec<Vec<f64>>,
    pub coldness: f64,
    pub gain: f64,
    pub attention_bias: f64,
}

/// Values of every step.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct AttentionExpected {
    pub corrected: Vec<Vec<f64>>,
    pub self_energy: Vec<Vec<f64>>,
    pub shared_energy: Vec<Vec<Vec<f64>>>,
    pub modal_energy: Vec<Vec<f64>>,
    pub total_energy: Vec<f64>,
    pub importance: Vec<Vec<f64>>,
    pub log_importance: Vec<Vec<f64>>,
    pub attention: Vec<Vec<f64>>,
    pub capacity: f64,
}

/// A regularized loss of a small network behind EMMA.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct LossCase {
    pub modes: Vec<Vec<Vec<f64>>>,
    pub labels: Vec<f64>,
    pub xi: Vec<Vec<f64>>,
    pub layers: Vec<LayerCase>,
    pub lambda_c: f64,
    pub lambda_e: f64,
    pub value: f64,
    pub grads: GradientCase,
}

/// One linear layer; ReLU between layers.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct LayerCase {
    pub weight: Vec<Vec<f64>>,
    pub bias: Vec<f64>,
}

/// Gradients of the loss.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct GradientCase {
    pub self_weight: Vec<f64>,
    pub self_bias: Vec<f64>,
    pub coupling_weight: Vec<Vec<f64>>,
    pub coupling_exponent: Vec<Vec<f64>>,
    pub gain: f64,
    pub attention_bias: f64,
}

/// Reads the golden vectors.
///
/// # Panics
/// If the file in the repository is broken.
pub fn load() -> Golden {
    serde_json::from_str(include_str!("../golden/golden.json")).expect("golden.json is valid")
}
