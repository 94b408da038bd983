//! What the thesis published of HTRU2.

/// F1 of a model in the finished thesis: one split, the best of 125 by the test rows.
pub(super) struct Published {
    pub(super) model: &'static str,
    pub(super) uncorrupted: f64,
    /// With noise 0.5 on `ip` and on `dm`.
    pub(super) noisy: [Option<f64>; 2],
    /// The author's own program, run again: uncorrupted, `ip` noisy, `dm` noisy.
    pub(super) rerun: Option<[&'static str; 3]>,
}

/// The published table.
pub(super) const PUBLISHED: [Published; 6] = [
    Published {
        model: "ip_only",
        uncorrupted: 0.824,
        noisy: [Some(0.593), None],
        rerun: None,
    },
    Published {
        model: "dm_only",
        uncorrupted: 0.661,
        noisy: [None, Some(0.392)],
        rerun: None,
    },
    Published {
        model: "base",
        uncorrupted: 0.883,
        noisy: [Some(0.644), Some(0.657)],
        rerun: Some(["0.816", "0.647", "0.739"]),
    },
    Published {
        model: "without",
        uncorrupted: 0.867,
        noisy: [Some(0.710), Some(0.768)],
        rerun: Some(["0.801", "0.628", "0.729"]),
    },
    Published {
        model: "alternative",
        uncorrupted: 0.773,
        noisy: [Some(0.613), Some(0.688)],
        rerun: None,
    },
    Published {
        model: "with",
        uncorrupted: 0.895,
        noisy: [Some(0.747), Some(0.834)],
        rerun: Some(["0.811 to 0.841", "0.523 to 0.657", "0.765 to 0.793"]),
    },
];
