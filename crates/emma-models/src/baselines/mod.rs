//! Models without EMMA, to compare it with.

mod alternative_attention;
mod concatenation;
mod single_mode;

pub use alternative_attention::AlternativeAttention;
pub use concatenation::Concatenation;
pub use single_mode::SingleMode;
