//! What `emma --version` says of this build.

use std::sync::LazyLock;

/// Features of this crate that a user may want to know of, each with whether it was compiled in.
const FEATURES: [(&str, bool); 6] = [
    ("parquet", cfg!(feature = "parquet")),
    ("cuda", cfg!(feature = "cuda")),
    ("cudnn", cfg!(feature = "cudnn")),
    ("metal", cfg!(feature = "metal")),
    ("mkl", cfg!(feature = "mkl")),
    ("accelerate", cfg!(feature = "accelerate")),
];

/// The version, the commit that was checked out, and the features that were compiled in.
pub(crate) static LONG: LazyLock<String> = LazyLock::new(|| {
    let features: Vec<&str> = FEATURES
        .iter()
        .filter(|(_, compiled_in)| *compiled_in)
        .map(|(name, _)| *name)
        .collect();
    let features = if features.is_empty() {
        "none".to_owned()
    } else {
        features.join(", ")
    };
    format!(
        "{}\ncommit: {}\nfeatures: {features}",
        env!("CARGO_PKG_VERSION"),
        env!("EMMA_COMMIT")
    )
});
