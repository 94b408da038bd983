//! `emma coupling-study`: what shared energies are worth where modes take over for each other, and which form of them.

pub(crate) mod figure;
pub(crate) mod model_kind;
pub(crate) mod results;
pub(crate) mod rows;
pub(crate) mod seed;
pub(crate) mod settings;
pub(crate) mod table;
