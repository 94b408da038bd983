//! Maximum likelihood by expectation-maximization.

use super::fused::{Kernel, log_sum_exp};
use crate::covariance::precision_cholesky;
use crate::training_rows::TrainingRows;

/// Rows' worth of membership below which a component has no rows and is dropped.
const NO_ROWS: f64 = 1e-9;

/// One Gaussian of a mixture.
#[derive(Debug, Clone)]
pub(crate) struct Component {
    pub(super) weight: f64,
    pub(crate) mean: Vec<f64>,
    /// `[L, L]`, row-major, floor included.
    pub(super) covariance: Vec<f64>,
}

impl Component {
    /// Lower triangular P with `Pᵀ P = Σ⁻¹`.
    pub(crate) fn precision_cholesky(&self) -> Vec<f64> {
        precision_cholesky(&self.covariance, self.mean.len())
    }
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) covariance_floor: f64,
    pub(super) max_iterations: usize,
    /// Least change of the mean log-likelihood for which one more iteration is worth it.
    pub(super) tolerance: f64,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) components: Vec<Component>,
    /// Mean log-likelihood of a row, of the start and after every iteration.
    pub(super) mean_log_likelihoods: Vec<f64>,
}

impl Outcome {
    /// That of the components that came out.
    pub(super) fn mean_log_likelihood(&self) -> f64 {
        self.mean_log_likelihoods
            .last()
            .copied()
            .unwrap_or(f64::NEG_INFINITY)
    }
}

/// Iterates from a start until the mean log-likelihood changes by less than the tolerance.
///
/// Each iteration computes the responsibilities of the components for the rows, and from them the
/// components anew. Without the floor on the covariances the likelihood cannot fall.
///
/// # Source
/// A. Dempster, N. Laird and D. Rubin, "Maximum likelihood from incomplete data via the EM algorithm"
/// (1977).
pub(super) fn expectation_maximization(
    rows: &TrainingRows,
    start: Vec<Component>,
    limits: &Limits,
) -> Outcome {
    let mut components = start;
    let (mut responsibilities, mean) = expect(rows, &components);
    let mut mean_log_likelihoods = vec![mean];
    for _ in 0..limits.max_iterations {
        let n_components = components.len();
        components = maximize(
            rows,
            &responsibilities,
            n_components,
            limits.covariance_floor,
        );
        let before = mean_log_likelihoods[mean_log_likelihoods.len() - 1];
        let (next, mean) = expect(rows, &components);
        responsibilities = next;
        mean_log_likelihoods.push(mean);
        if (mean - before).abs() < limits.tolerance {
            break;
        }
    }
    Outcome {
        components,
        mean_log_likelihoods,
    }
}

/// Responsibilities `[n, K]` of the components for the rows, and the rows' mean log-likelihood.
fn expect(rows: &TrainingRows, components: &[Component]) -> (Vec<f64>, f64) {
    let kernel = kernel(components);
    let mut responsibilities = Vec::with_capacity(rows.len() * components.len());
    let mut total = 0.;
    kernel.for_each_row(rows.values(), |_, terms| {
        let log_likelihood = log_sum_exp(terms);
        total += log_likelihood;
        responsibilities.extend(terms.iter().map(|term| (term - log_likelihood).exp()));
    });
    (responsibilities, total / rows.len() as f64)
}

fn kernel(components: &[Component]) -> Kernel<f64> {
    let means: Vec<f64> = components.iter().flat_map(|c| c.mean.clone()).collect();
    let factors: Vec<f64> = components
        .iter()
        .flat_map(Component::precision_cholesky)
        .collect();
    let log_weights: Vec<f64> = components.iter().map(|c| c.weight.ln()).collect();
    let log_constants = log_constants(&log_weights, &factors);
    Kernel::new(&means, &factors, &log_constants)
}

/// `c_k = log w_k + log det P_k − L log(2π)/2`: with it a term is the logarithm of the component's
/// weighted density.
pub(super) fn log_constants(log_weights: &[f64], precision_cholesky: &[f64]) -> Vec<f64> {
    let size = precision_cholesky.len() / log_weights.len();
    let n_features = size.isqrt();
    let normalization = n_features as f64 * std::f64::consts::TAU.ln() / 2.;
    log_weights
        .iter()
        .zip(precision_cholesky.chunks_exact(size))
        .map(|(log_weight, factor)| {
            let diagonal = factor.iter().step_by(n_features + 1);
            let log_determinant: f64 = diagonal.map(|value| value.ln()).sum();
            log_weight + log_determinant - normalization
        })
        .collect()
}

/// Weight, mean and covariance of the rows, each with its membership `[n, K]` in a component;
/// components that no row is a member of are left out.
///
/// `n_k = Σ_i r_ik`, `w_k = n_k / n`, `μ_k = Σ_i r_ik x_i / n_k`,
/// `Σ_k = Σ_i r_ik (x_i − μ_k)(x_i − μ_k)ᵀ / n_k + floor · I`.
pub(super) fn maximize(
    rows: &TrainingRows,
    memberships: &[f64],
    n_components: usize,
    covariance_floor: f64,
) -> Vec<Component> {
    let mut components: Vec<Component> = (0..n_components)
        .map(|component| {
            let memberships = memberships.iter().skip(component).step_by(n_components);
            component_of(rows, memberships, covariance_floor)
        })
        .filter(|component| component.weight > NO_ROWS)
        .collect();
    let total: f64 = components.iter().map(|component| component.weight).sum();
    for component in &mut components {
        component.weight /= total;
    }
    components
}

/// The component of the rows with their memberships in it; its weight is their sum.
pub(crate) fn component_of<'a>(
    rows: &TrainingRows,
    memberships: impl Iterator<Item = &'a f64> + Clone,
    covariance_floor: f64,
) -> Component {
    let n = rows.n_features();
    let mut weight = 0.;
    let mut mean = vec![0.; n];
    for (row, &membership) in rows.iter().zip(memberships.clone()) {
        weight += membership;
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += membership * value;
        }
    }
    let mut covariance = vec![0.; n * n];
    // Otherwise a division by nothing; the component is dropped.
    if weight > NO_ROWS {
        for sum in &mut mean {
            *sum /= weight;
        }
        let mut difference = vec![0.; n];
        for (row, &membership) in rows.iter().zip(memberships) {
            for ((difference, value), mean) in difference.iter_mut().zip(row).zip(&mean) {
                *difference = value - mean;
            }
            for (i, sums) in covariance.chunks_exact_mut(n).enumerate() {
                let factor = membership * difference[i];
                for (sum, value) in sums[..=i].iter_mut().zip(&difference) {
                    *sum += factor * value;
                }
            }
        }
        for i in 0..n {
            for j in 0..=i {
                covariance[i * n + j] /= weight;
                covariance[j * n + i] = covariance[i * n + j];
            }
            covariance[i * n + i] += covariance_floor;
        }
    }
    Component {
        weight,
        mean,
        covariance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaussian_mixture::initialization::initial_components;
    use emma_testkit::fixtures::{MixtureMoments, gaussian_mixtures};
    use emma_testkit::tolerance::assert_close;
    use proptest::prelude::*;
    use rand::Rng;

    fn components(moments: &MixtureMoments) -> Vec<Component> {
        let parts = moments.weights.iter().zip(&moments.means);
        parts
            .zip(&moments.covariances)
            .map(|((&weight, mean), covariance)| Component {
                weight,
                mean: mean.clone(),
                covariance: covariance.concat(),
            })
            .collect()
    }

    /// Not a digit is owed to the start: both iterate the same equations in f64.
    #[test]
    fn iterations_are_those_of_scikit_learn() {
        for case in gaussian_mixtures().expectation_maximization {
            let rows = TrainingRows::from_rows(&case.rows);
            let limits = Limits {
                covariance_floor: case.covariance_floor,
                max_iterations: case.n_iterations,
                tolerance: 0.,
            };
            let outcome = expectation_maximization(&rows, components(&case.start), &limits);
            let expected = components(&case.end);
            assert_eq!(outcome.components.len(), expected.len());
            assert_eq!(outcome.mean_log_likelihoods.len(), case.n_iterations + 1);
            for (got, expected) in outcome.components.iter().zip(&expected) {
                let close = |what: &str, got: &[f64], expected: &[f64]| {
                    assert_close(&format!("{} {what}", case.name), got, expected, 1e-9, 1e-9);
                };
                close("weight", &[got.weight], &[expected.weight]);
                close("mean", &got.mean, &expected.mean);
                close("covariance", &got.covariance, &expected.covariance);
            }
            let mean = outcome.mean_log_likelihood();
            assert_close(&case.name, &[mean], &[case.mean_log_likelihood], 1e-10, 0.);
        }
    }

    #[test]
    fn a_component_without_rows_is_dropped() {
        let rows = TrainingRows::from_rows(&[vec![1.], vec![3.]]);
        let kept = maximize(&rows, &[1., 0., 1., 0.], 2, 0.5);
        assert_eq!(kept.len(), 1);
        assert_close("mean", &kept[0].mean, &[2.], 0., 0.);
        assert_close("variance", &kept[0].covariance, &[1.5], 0., 0.);
        assert_close("weight", &[kept[0].weight], &[1.], 0., 0.);
    }

    #[test]
    fn iterations_end_where_nothing_changes_any_more() {
        let mut rng = emma_testkit::rng(3);
        let rows: Vec<Vec<f64>> = (0..200)
            .map(|row| vec![f64::from(row % 2) * 20. + rng.random::<f64>()])
            .collect();
        let rows = TrainingRows::from_rows(&rows);
        let start = initial_components(&rows, 2, 1e-3, &mut rng);
        let limits = Limits {
            covariance_floor: 1e-3,
            max_iterations: 100,
            tolerance: 1e-6,
        };
        let outcome = expectation_maximization(&rows, start, &limits);
        assert!(outcome.mean_log_likelihoods.len() < 5);
    }

    proptest! {
        /// The floor, which is no part of the likelihood, is too small here to matter: what it takes
        /// is of the order of the floor over the smallest variance, 1e-12 over 1e-5.
        #[test]
        fn the_likelihood_never_falls(
            n in 20usize..120, n_components in 1usize..5, n_features in 1usize..4, seed: u64,
        ) {
            let mut rng = emma_testkit::rng(seed);
            let rows: Vec<Vec<f64>> = (0..n)
                .map(|row| {
                    let shift = (row % 3) as f64;
                    (0..n_features).map(|_| shift + rng.random_range(-1f64..1.)).collect()
                })
                .collect();
            let rows = TrainingRows::from_rows(&rows);
            let limits = Limits { covariance_floor: 1e-12, max_iterations: 30, tolerance: 0. };
            let start = initial_components(&rows, n_components, 1e-2, &mut rng);
            let outcome = expectation_maximization(&rows, start, &limits);
            let smallest = outcome.components.iter()
                .flat_map(Component::precision_cholesky)
                .fold(0f64, |most, value| most.max(value.abs()));
            prop_assume!(smallest < 300.);
            for pair in outcome.mean_log_likelihoods.windows(2) {
                prop_assert!(pair[1] >= pair[0] - 1e-7, "{pair:?}");
            }
        }
    }
}
