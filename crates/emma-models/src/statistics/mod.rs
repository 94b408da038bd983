//! What figures over seeds or over rows allow to say.
//!
//! | question | answer | file |
//! | --- | --- | --- |
//! | How well do a few seeds tell the mean? | [`MeanInterval`], Student-t | `mean_interval.rs` |
//! | How much does a measure depend on the rows it was taken on? | [`Bootstrap`], percentile interval | `bootstrap.rs` |
//! | Do paired differences have a direction? | [`wilcoxon_signed_rank`] | `wilcoxon.rs` |
//! | Which of several p-values still count? | [`holm`] | `holm.rs` |

mod bootstrap;
mod holm;
mod mean_interval;
mod wilcoxon;

pub use bootstrap::{Bootstrap, BootstrapInterval, Resampling};
pub use holm::holm;
pub use mean_interval::MeanInterval;
pub use wilcoxon::{SignedRankTest, wilcoxon_signed_rank};
