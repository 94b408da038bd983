//! Models without EMMA, to compare it with.

mod alternative_attention;
mod concatenation;
mod digamma;
mod embrace_net;
mod mixture_of_experts;
mod mode_networks;
mod predictive_dynamic_fusion;
mod quality_aware_fusion;
mod single_mode;
mod trusted_multi_view;

pub use alternative_attention::AlternativeAttention;
pub use concatenation::Concatenation;
pub use digamma::digamma;
pub use embrace_net::{EmbraceNet, EmbraceNetConfig};
pub use mixture_of_experts::{Mixture, MixtureOfExperts, MixtureOfExpertsConfig};
pub use predictive_dynamic_fusion::{
    Beliefs, PredictiveDynamicFusion, PredictiveDynamicFusionConfig,
};
pub use quality_aware_fusion::{
    ModeDecisions, QualityAwareFusion, QualityAwareFusionConfig, ranking_penalty,
};
pub use single_mode::SingleMode;
pub use trusted_multi_view::{Opinions, TrustedMultiView, TrustedMultiViewConfig, combine};
