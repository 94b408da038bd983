//! Expected values in `fixtures/`, from scikit-learn, scipy and statsmodels.

use serde::Deserialize;

/// All cases of `metrics.json`.
#[derive(Debug, Deserialize)]
pub struct MetricFixtures {
    /// Measures of labelled rows.
    pub classification: Vec<ClassificationCase>,
    /// Two-sided signed-rank tests.
    pub wilcoxon: Vec<WilcoxonCase>,
    /// Adjusted p-values.
    pub holm: Vec<HolmCase>,
    /// Student-t intervals.
    pub mean_interval: Vec<MeanIntervalCase>,
    /// Percentile intervals over all possible resamples.
    pub bootstrap: Vec<BootstrapCase>,
}

/// One set of rows at one threshold.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)] // Named as in the generator.
pub struct ClassificationCase {
    pub name: String,
    pub probabilities: Vec<f32>,
    pub labels: Vec<u8>,
    pub threshold: f64,
    pub true_positives: usize,
    pub false_positives: usize,
    pub true_negatives: usize,
    pub false_negatives: usize,
    pub f1: f64,
    pub precision: f64,
    pub recall: f64,
    pub specificity: f64,
    pub g_mean: f64,
    pub mcc: f64,
    pub accuracy: f64,
    pub balanced_accuracy: f64,
    pub roc_auc: f64,
    pub pr_auc: f64,
    pub recall_at_false_positive_rate: Vec<RecallAtRate>,
    pub brier: f64,
    pub expected_calibration_error: Vec<CalibrationError>,
}

/// Largest recall within a false-positive rate.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RecallAtRate {
    pub rate: f64,
    pub recall: f64,
}

/// Calibration error with a number of bins.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct CalibrationError {
    pub n_bins: usize,
    pub value: f64,
}

/// One signed-rank test.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct WilcoxonCase {
    pub name: String,
    pub differences: Vec<f64>,
    pub positive_rank_sum: f64,
    pub negative_rank_sum: f64,
    pub statistic: f64,
    pub p_value: f64,
}

/// One family of hypotheses.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct HolmCase {
    pub p_values: Vec<f64>,
    pub adjusted: Vec<f64>,
}

/// One sample.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct MeanIntervalCase {
    pub values: Vec<f64>,
    pub mean: f64,
    pub ci95: f64,
}

/// One statistic of a few rows.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct BootstrapCase {
    /// `mean` of the values, or `roc_auc` of values and labels, resampled within the classes.
    pub statistic: String,
    pub values: Vec<f64>,
    pub labels: Option<Vec<u8>>,
    pub level: f64,
    pub estimate: f64,
    pub lower: f64,
    pub upper: f64,
    /// How far either end's level is from the nearest step of the distribution function.
    pub margin: f64,
}

/// Reads the cases of `metrics.json`.
///
/// # Panics
/// If the file in the repository is broken.
pub fn metrics() -> MetricFixtures {
    serde_json::from_str(include_str!("../fixtures/metrics.json")).expect("metrics.json is valid")
}

/// All cases of `gaussian_mixtures.json`.
#[derive(Debug, Deserialize)]
pub struct GaussianMixtureFixtures {
    /// Mixtures set by hand.
    pub scoring: Vec<MixtureScoringCase>,
    /// Fits from a given start.
    pub expectation_maximization: Vec<ExpectationMaximizationCase>,
}

/// One mixture and its densities.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)] // Named as in the generator.
pub struct MixtureScoringCase {
    pub name: String,
    pub log_weights: Vec<f64>,
    pub means: Vec<Vec<f64>>,
    pub precision_cholesky: Vec<Vec<Vec<f64>>>,
    pub rows: Vec<Vec<f64>>,
    pub log_likelihood: Vec<f64>,
    pub responsibilities: Vec<Vec<f64>>,
    pub bic: f64,
}

/// A fit of so many iterations.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct ExpectationMaximizationCase {
    pub name: String,
    pub rows: Vec<Vec<f64>>,
    pub start: MixtureMoments,
    pub covariance_floor: f64,
    pub n_iterations: usize,
    pub end: MixtureMoments,
    pub mean_log_likelihood: f64,
    pub bic: f64,
}

/// Weights, means and covariances of all components.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct MixtureMoments {
    pub weights: Vec<f64>,
    pub means: Vec<Vec<f64>>,
    pub covariances: Vec<Vec<Vec<f64>>>,
}

/// Reads the cases of `gaussian_mixtures.json`.
///
/// # Panics
/// If the file in the repository is broken.
pub fn gaussian_mixtures() -> GaussianMixtureFixtures {
    serde_json::from_str(include_str!("../fixtures/gaussian_mixtures.json"))
        .expect("gaussian_mixtures.json is valid")
}
