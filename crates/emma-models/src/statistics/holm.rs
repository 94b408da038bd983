//! Several hypotheses at once.

use crate::error::{Error, Result};

/// Holm's step-down adjustment of p-values: compare the adjusted ones with the level, and the chance
/// of one false discovery or more stays below it, however the tests depend on each other.
///
/// With the m p-values in ascending order, `adjusted_(i) = max_(j ≤ i) min(1, (m − j + 1) · p_(j))`.
///
/// # Shapes
/// - `p_values`: one a hypothesis of the family, in any order
/// - returns the adjusted ones in the same order; none for none
///
/// # Errors
/// [`Error::InvalidSetting`] for one outside 0 to 1.
///
/// # Source
/// S. Holm, Scandinavian Journal of Statistics 6 (1979).
///
/// ```
/// # fn main() -> emma_models::Result<()> {
/// assert_eq!(emma_models::statistics::holm(&[0.25, 0.125])?, [0.25, 0.25]);
/// # Ok(())
/// # }
/// ```
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>> {
    if let Some(value) = p_values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        return Err(Error::InvalidSetting {
            name: "p-value",
            expected: "from 0 to 1",
            found: value.to_string(),
        });
    }
    let mut ascending: Vec<usize> = (0..p_values.len()).collect();
    ascending.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.; p_values.len()];
    let mut largest = 0f64;
    for (rank, &hypothesis) in ascending.iter().enumerate() {
        let n_left = (p_values.len() - rank) as f64;
        largest = largest.max((n_left * p_values[hypothesis]).min(1.));
        adjusted[hypothesis] = largest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_p_value_is_an_error() {
        for value in [-0.1, 1.1, f64::NAN] {
            let error = holm(&[0.5, value]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("p-value must be from 0 to 1, got {value}")
            );
        }
        assert_eq!(holm(&[]).unwrap(), Vec::<f64>::new());
    }
}
