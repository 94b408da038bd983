#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod baselines;
pub mod batch;
pub mod checkpoint;
pub mod coupled;
pub mod error;
pub mod metrics;
pub mod model;
pub mod network;
pub mod standardize;
pub mod statistics;
pub mod threshold;
pub mod trained;
pub mod training;

pub use baselines::{AlternativeAttention, Concatenation, SingleMode};
pub use batch::Batch;
pub use checkpoint::{Checkpoint, ModeColumns, ModelMetadata};
pub use coupled::Coupled;
pub use error::{Error, Result};
pub use metrics::ConfusionMatrix;
pub use model::{ModelOutput, MultiModalModel, concatenate};
pub use network::{Mlp, MlpConfig};
pub use standardize::Standardize;
pub use statistics::MeanInterval;
pub use threshold::ThresholdRule;
pub use trained::{Prediction, TrainedModel, scoring_type};
pub use training::{
    EpochLosses, TrainingConfig, TrainingHistory, TrainingRows, binary_cross_entropy,
    constant_prediction_loss, train, train_without_validation,
};

/// The example of the workspace's front page compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;
