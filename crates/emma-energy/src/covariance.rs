//! Covariances and the triangular factors of their inverses.

/// Share of a feature's variance below which what the features before it leave unexplained is
/// rounding and no variance.
const SMALLEST_PIVOT: f64 = 1e-12;

/// Factors by which variances grow, one after the other, until a covariance is positive definite.
const RIDGES: [f64; 6] = [0., 1e-10, 1e-8, 1e-6, 1e-4, 1e-2];

/// Lower triangular `P` with a positive diagonal and `Pᵀ P = Σ⁻¹`, so that `|P (x − μ)|²` is the
/// squared Mahalanobis distance. It is the inverse of the Cholesky factor of `Σ`.
///
/// A covariance that rounding has made singular gets its variances multiplied by `1 + 1e-10`, or by
/// as much more as it needs; if nothing helps, its correlations count as zero. Positive finite
/// variances always give finite numbers.
///
/// # Shapes
/// - `covariance`: `[L, L]`, row-major; only its lower triangle is read
/// - returns `[L, L]`
pub(crate) fn precision_cholesky(covariance: &[f64], n_features: usize) -> Vec<f64> {
    let n = n_features;
    let cholesky = RIDGES
        .iter()
        .find_map(|ridge| cholesky(covariance, n, 1. + ridge));
    if let Some(cholesky) = cholesky {
        return triangular_inverse(&cholesky, n);
    }
    let mut factor = vec![0.; n * n];
    for i in 0..n {
        factor[i * n + i] = 1. / covariance[i * n + i].sqrt();
    }
    factor
}

/// Cholesky factor `C`, lower triangular with `C Cᵀ = Σ`, of the covariance with its variances
/// multiplied; nothing if a pivot is too small.
fn cholesky(covariance: &[f64], n: usize, growth: f64) -> Option<Vec<f64>> {
    let mut factor = vec![0.; n * n];
    for i in 0..n {
        for j in 0..=i {
            let products: f64 = (0..j).map(|k| factor[i * n + k] * factor[j * n + k]).sum();
            if i > j {
                factor[i * n + j] = (covariance[i * n + j] - products) / factor[j * n + j];
                continue;
            }
            let variance = covariance[i * n + i] * growth;
            let pivot = variance - products;
            // Written so that NaN fails.
            if !(pivot > SMALLEST_PIVOT * variance && pivot.is_finite()) {
                return None;
            }
            factor[i * n + i] = pivot.sqrt();
        }
    }
    Some(factor)
}

/// Inverse of a lower triangular matrix, lower triangular itself.
pub(crate) fn triangular_inverse(triangle: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.; n * n];
    for j in 0..n {
        inverse[j * n + j] = 1. / triangle[j * n + j];
        for i in j + 1..n {
            let products: f64 = (j..i)
                .map(|k| triangle[i * n + k] * inverse[k * n + j])
                .sum();
            inverse[i * n + j] = -products / triangle[i * n + i];
        }
    }
    inverse
}

/// Sweeps over all pairs after which rotations end in any case; a few are enough.
const MOST_SWEEPS: usize = 60;

/// Eigenvalues `λ` and orthonormal eigenvectors, the rows of `Q`, of a finite symmetric matrix:
/// `A = Qᵀ diag(λ) Q`.
///
/// Rotations of pairs of rows until nothing is left beside the diagonal (C. G. J. Jacobi, 1846). Of a
/// covariance it finds the small eigenvalues with more digits than a tridiagonal form keeps.
///
/// # Shapes
/// - `symmetric`: `[L, L]`, row-major
/// - returns `[L]` and `[L, L]`
pub(crate) fn eigen(symmetric: &[f64], n_features: usize) -> (Vec<f64>, Vec<f64>) {
    let n = n_features;
    let mut left = symmetric.to_vec();
    let mut vectors = vec![0.; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.;
    }
    for _ in 0..MOST_SWEEPS {
        let mut is_diagonal = true;
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            let (beside, first, second) = (left[p * n + q], left[p * n + p], left[q * n + q]);
            if beside.abs() <= f64::EPSILON * (first.abs() * second.abs()).sqrt() {
                continue;
            }
            is_diagonal = false;
            // The smaller of the two angles.
            let cotangent = (second - first) / (2. * beside);
            let tangent = cotangent.signum() / (cotangent.abs() + cotangent.hypot(1.));
            let cosine = 1. / tangent.hypot(1.);
            let sine = tangent * cosine;
            let turn = |values: &mut [f64], a: usize, b: usize| {
                let (x, y) = (values[a], values[b]);
                values[a] = cosine * x - sine * y;
                values[b] = sine * x + cosine * y;
            };
            for k in 0..n {
                turn(&mut left, k * n + p, k * n + q);
            }
            for k in 0..n {
                turn(&mut left, p * n + k, q * n + k);
                turn(&mut vectors, p * n + k, q * n + k);
            }
        }
        if is_diagonal {
            break;
        }
    }
    ((0..n).map(|i| left[i * n + i]).collect(), vectors)
}

/// `C Cᵀ` of a lower triangular matrix.
pub(crate) fn times_own_transpose(triangle: &[f64], n: usize) -> Vec<f64> {
    let mut product = vec![0.; n * n];
    for i in 0..n {
        for j in 0..n {
            product[i * n + j] = (0..=i.min(j))
                .map(|k| triangle[i * n + k] * triangle[j * n + k])
                .sum();
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use emma_testkit::tolerance::assert_close;
    use proptest::prelude::*;

    #[test]
    fn a_small_case_worked_by_hand() {
        // C = [[2, 0], [1, 3]].
        let factor = precision_cholesky(&[4., 2., 2., 10.], 2);
        assert_close("P", &factor, &[0.5, 0., -1. / 6., 1. / 3.], 1e-15, 0.);
        let covariance = times_own_transpose(&[2., 0., 1., 3.], 2);
        assert_close("covariance", &covariance, &[4., 2., 2., 10.], 0., 0.);
    }

    proptest! {
        #[test]
        fn eigenvectors_are_orthonormal_and_give_the_matrix(
            n in 1usize..9,
            seed in any::<u64>(),
            decades in 0f64..8.,
        ) {
            use rand_distr::{Distribution, StandardNormal};
            let mut rng = emma_testkit::rng(seed);
            let mut root = vec![0.; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let deviate: f64 = StandardNormal.sample(&mut rng);
                    root[i * n + j] = deviate * 10f64.powf(-decades * i as f64 / n as f64);
                }
            }
            let symmetric = times_own_transpose(&root, n);
            let (values, vectors) = eigen(&symmetric, n);
            let product = |weights: &[f64], i: usize, j: usize| -> f64 {
                (0..n).map(|k| weights[k] * vectors[k * n + i] * vectors[k * n + j]).sum()
            };
            let largest = values.iter().copied().fold(0., f64::max);
            for i in 0..n {
                for j in 0..n {
                    let identity = if i == j { 1. } else { 0. };
                    prop_assert!((product(&vec![1.; n], i, j) - identity).abs() < 1e-13);
                    let error = product(&values, i, j) - symmetric[i * n + j];
                    prop_assert!(error.abs() < 1e-14 * n as f64 * largest, "{error} of {largest}");
                }
            }
        }
    }

    #[test]
    fn eigenvalues_worked_by_hand() {
        let (values, vectors) = eigen(&[2., 1., 1., 2.], 2);
        assert_close("values", &values, &[1., 3.], 1e-15, 0.);
        let half = 0.5f64.sqrt();
        assert_close("vectors", &vectors, &[half, -half, half, half], 1e-15, 0.);
        let (values, _) = eigen(&[0., 0., 0., 0.], 2);
        assert_close("of nothing", &values, &[0., 0.], 0., 0.);
        let (values, _) = eigen(&[1., 1., 1., 1.], 2);
        assert_close("of a singular matrix", &values, &[0., 2.], 1e-15, 0.);
        // Of D [[2, 1], [1, 2]] D: the product of the eigenvalues is the determinant.
        let scale: f64 = 1e-10;
        let (values, _) = eigen(&[2., scale, scale, 2. * scale * scale], 2);
        let small = 3. * scale * scale / values[0];
        assert_close("of graded features", &values[1..], &[small], 0., 1e-14);
    }

    /// The correlations of which rounding leaves nothing to invert.
    #[test]
    fn singular_covariances_have_finite_factors() {
        for scale in [1e-12, 1., 1e30, 1e76] {
            for covariance in [
                vec![1.; 9],
                vec![1., -1., 0., -1., 1., 0., 0., 0., 1e-9],
                // No covariance at all: beyond what its variances allow.
                vec![1., 0., 5., 0., 1., 0., 5., 0., 1.],
            ] {
                let covariance: Vec<f64> = covariance.iter().map(|value| value * scale).collect();
                let factor = precision_cholesky(&covariance, 3);
                for (position, &value) in factor.iter().enumerate() {
                    // At most 1 / sqrt(the least pivot) of the variable's own scale.
                    let limit = 1e6 / (1e-9 * scale).sqrt();
                    assert!(value.abs() < limit, "{scale}: {position} {value}");
                }
                for i in 0..3 {
                    assert!(factor[i * 4] > 0., "{scale}: {factor:?}");
                }
            }
        }
    }

    /// A row across a line is far away though no row was ever seen there.
    #[test]
    fn a_singular_covariance_keeps_its_correlation() {
        for scale in [1e-9, 1., 1e30] {
            let factor = precision_cholesky(&[scale; 4], 2);
            let squared_distance = |x: f64, y: f64| {
                let second = factor[2] * x + factor[3] * y;
                ((factor[0] * x).powi(2) + second.powi(2)) * scale
            };
            let along = squared_distance(1., 1.);
            assert!((along - 1.).abs() < 1e-3, "{scale}: {along}");
            // 2 by the variances alone.
            assert!(squared_distance(1., -1.) > 1e9, "{scale}: {factor:?}");
        }
    }

    proptest! {
        #[test]
        fn the_factor_whitens_its_covariance(n in 1usize..7, seed: u64) {
            let mut rng = emma_testkit::rng(seed);
            let mut root = vec![0.; n * n];
            for i in 0..n {
                for j in 0..=i {
                    root[i * n + j] = rand::Rng::random_range(&mut rng, -1f64..1.);
                }
                root[i * n + i] += 2.;
            }
            let covariance = times_own_transpose(&root, n);
            let factor = precision_cholesky(&covariance, n);
            // P Σ Pᵀ = (P C)(P C)ᵀ is the identity.
            let mut whitened = vec![0.; n * n];
            for i in 0..n {
                for j in 0..n {
                    whitened[i * n + j] = (0..n).map(|k| factor[i * n + k] * root[k * n + j]).sum();
                    if j > i {
                        prop_assert!(factor[i * n + j].to_bits() == 0);
                    }
                }
            }
            let mut identity = vec![0.; n * n];
            (0..n).for_each(|i| identity[i * n + i] = 1.);
            // The condition of roots with a diagonal of 1 to 3 stays below 1e4.
            assert_close("P C", &whitened, &identity, 0., 1e-11);
        }
    }
}
