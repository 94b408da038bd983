//! What a trained model says about rows.

/// What a [`TrainedModel`](crate::TrainedModel) says about rows.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Probability of label 1, one a row.
    pub probabilities: Vec<f32>,
    /// What EMMA saw, if the model has it.
    pub explanation: Option<Explanation>,
}

/// Energies and attention behind a [`Prediction`], in f32 (finite: larger numbers saturate).
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// Total energy, one a row.
    pub total_energy: Vec<f32>,
    /// Potential energy Ψ_i before any correction, `[row][mode]`.
    pub potential: Vec<Vec<f32>>,
    /// Modal energy E_i, `[row][mode]`.
    pub energy: Vec<Vec<f32>>,
    /// Importance α_i, `[row][mode]`.
    pub importance: Vec<Vec<f32>>,
    /// Attention β_i, `[row][mode]`.
    pub attention: Vec<Vec<f32>>,
}

/// Nearest f32 that is finite; NaN stays NaN.
pub(super) fn saturate(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
