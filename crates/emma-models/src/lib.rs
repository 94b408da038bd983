//! Multi-modal classifiers: EMMA in front of any network, the baselines to compare it with, training,
//! measures, and model files.
//!
//! The tour, in the order of use:
//!
//! 1. A [`Batch`] holds labelled rows, one tensor a mode.
//! 2. Anything that implements [`MultiModalModel`] can be trained: [`Coupled`] is EMMA in front of a
//!    network, [`Concatenation`], [`SingleMode`] and [`AlternativeAttention`] have no energies. The network
//!    is any `candle_nn::Module`; [`Mlp`] is the thesis's, [`EnsembleMlp`] several that answer together, and
//!    [`numerical_embedding`] has what may stand before either.
//!    Others' ways to fuse modes are there to compare with: [`EmbraceNet`], [`MixtureOfExperts`], [`QualityAwareFusion`], [`PredictiveDynamicFusion`],
//!    [`TrustedMultiView`].
//! 3. [`train`] runs Adam over mini-batches and keeps the parameters of the best epoch; a
//!    [`TrainingSession`] stops and goes on. [`TrainingRows`]
//!    may be other rows in every epoch, such as freshly corrupted ones. [`train_together`] trains a grid of
//!    hyper-parameters. Models of a [`StandardForm`] take fused steps by themselves.
//! 4. [`ThresholdRule`] chooses the threshold on validation rows; [`metrics`] measures rankings,
//!    probabilities and decisions, [`statistics`] says what a difference is worth.
//! 5. A [`Checkpoint`] is the model as a file; a [`TrainedModel`] made of one scores rows and explains
//!    the scores, also of rows that lack modes; a [`Calibration`] says which potentials are ordinary,
//!    and a [`DriftMonitor`] alarms when those of a stream are no longer.
//! 6. A [`ConformalGate`] masks the modes of a row that are suspect, at a chosen rate of false alarms;
//!    [`SelectivePrediction`] answers those rows alone whose error rate it can vouch for, by the labelled rows of an
//!    [`Abstention`].
//!
//! ```
#![doc = include_str!("../examples/robust_classifier.rs")]
//! ```
//!
//! # Invariants
//! - The same seeds give the same parameters, bit for bit, on the CPU.
//! - A row's score depends on that row alone.
//! - Equal models have equal files; a file that is not what it claims is an [`Error`], not a panic, and
//!   costs no more memory than its size and 1 MiB.
//!
//! Sources: A. Werenne, "Energy-based Multi-Modal Attention" (University of Liège, 2019), chapters 5
//! and 6; S. Shon, T.-H. Oh and J. Glass (2018), arXiv:1811.10813.

#![deny(missing_docs)]

pub mod abstention;
pub mod baselines;
pub mod batch;
pub mod calibration;
pub mod checkpoint;
pub mod conformal_gate;
pub mod coupled;
pub mod drift;
pub mod emma_plus;
pub mod encoded_density;
pub mod ensemble_mlp;
pub mod error;
mod grouped_affine;
pub mod metrics;
pub mod model;
mod nearest;
pub mod network;
pub mod numerical_embedding;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod risk_coverage;
pub mod selective_prediction;
pub mod standardize;
pub mod state_dict;
pub mod statistics;
pub mod task;
pub mod threshold;
pub mod trained;
pub mod training;

pub use abstention::{Abstention, AbstentionRows, DoubtScore, JudgedRows};
pub use baselines::{
    AlternativeAttention, Concatenation, EmbraceNet, EmbraceNetConfig, MixtureOfExperts,
    MixtureOfExpertsConfig, PredictiveDynamicFusion, PredictiveDynamicFusionConfig,
    QualityAwareFusion, QualityAwareFusionConfig, SingleMode, TrustedMultiView,
    TrustedMultiViewConfig,
};
pub use batch::Batch;
pub use calibration::Calibration;
pub use checkpoint::{Checkpoint, ModeColumns, ModelMetadata};
pub use conformal_gate::{ConformalGate, FalseAlarms};
pub use coupled::Coupled;
pub use drift::{DriftAlarm, DriftDirection, DriftMonitor};
pub use emma_plus::{EmmaPlus, EmmaPlusConfig, Prepared};
pub use encoded_density::{EncodedDensity, EncodedDensityFit};
pub use ensemble_mlp::{EnsembleAnswer, EnsembleMlp, EnsembleMlpConfig};
pub use error::{Error, Result};
pub use metrics::{
    ClassificationMetrics, ConfusionMatrix, Metric, MulticlassMetrics, RegressionMetrics,
};
pub use model::{ModelOutput, MultiModalModel, concatenate};
pub use network::{Mlp, MlpConfig};
pub use numerical_embedding::{
    Embedded, PeriodicConfig, PeriodicEmbedding, PiecewiseLinearConfig, PiecewiseLinearEmbedding,
    QuantileBins,
};
pub use risk_coverage::{RiskCoverage, RiskCoveragePoint};
pub use selective_prediction::{RiskLimit, ScoredRows, SelectivePrediction, TestedRows};
pub use standardize::Standardize;
pub use statistics::MeanInterval;
pub use task::Task;
pub use threshold::ThresholdRule;
pub use trained::{
    Answers, EmmaPlusSettings, Explanation, MissingModes, Prediction, RowEnergies, RowFault,
    RowScores, RowTransforms, TrainedModel, decided_class, scoring_type,
};
pub use training::{
    EpochLosses, Loss, StandardForm, Trainee, TrainingConfig, TrainingHistory, TrainingRows,
    TrainingSession, TrainingState, binary_cross_entropy, constant_prediction_loss, cross_entropy,
    squared_error, train, train_together, train_without_validation,
};

/// The example of the workspace's front page compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;

#[cfg(test)]
mod tests {
    #[test]
    fn the_front_page_shows_the_example() {
        let front_page = include_str!("../README.md");
        assert!(front_page.contains(include_str!("../examples/robust_classifier.rs").trim_end()));
    }
}
