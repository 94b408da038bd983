//! Small tables that look like pulsar candidates, for tests that must run without HTRU2.

use std::fmt::Write as _;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Column names of HTRU2, label last.
pub const COLUMNS: [&str; 9] = [
    "ip_mean",
    "ip_std",
    "ip_skewness",
    "ip_excess_kurtosis",
    "dm_mean",
    "dm_std",
    "dm_skewness",
    "dm_excess_kurtosis",
    "label",
];

/// Draws candidates: about a fifth pulsars, with overlapping class-conditional normals of HTRU2's
/// magnitudes. Nothing is claimed of them but that a classifier can learn from both modes.
pub fn draw(n_rows: usize, rng: &mut impl Rng) -> Vec<([f32; 8], u8)> {
    const OTHERS: [(f64, f64); 8] = [
        (117., 17.),
        (47., 6.),
        (0.2, 0.4),
        (0.4, 1.),
        (9., 9.),
        (23., 12.),
        (9., 3.),
        (110., 60.),
    ];
    const PULSARS: [(f64, f64); 8] = [
        (60., 25.),
        (38., 8.),
        (3., 1.5),
        (14., 9.),
        (45., 25.),
        (55., 15.),
        (3.5, 2.),
        (25., 25.),
    ];
    (0..n_rows)
        .map(|row| {
            let label = u8::from(row % 5 == 0);
            let moments = if label == 1 { PULSARS } else { OTHERS };
            let features = moments.map(|(mean, std)| {
                let deviate: f64 = StandardNormal.sample(&mut *rng);
                (mean + std * deviate) as f32
            });
            (features, label)
        })
        .collect()
}

/// The same as comma-separated text, with or without a header.
pub fn csv(n_rows: usize, header: bool, rng: &mut impl Rng) -> String {
    let mut text = String::new();
    if header {
        text.push_str(&COLUMNS.join(","));
        text.push('\n');
    }
    for (features, label) in draw(n_rows, rng) {
        for value in features {
            let _ = write!(text, "{value},");
        }
        let _ = writeln!(text, "{label}");
    }
    text
}
