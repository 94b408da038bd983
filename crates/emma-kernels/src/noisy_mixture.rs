//! Mixtures of Gaussians seen through unknown noise: which state of the noise, which class, and what the
//! row was without it.

use std::sync::Arc;

use crate::block::{Block, Lanes};
use crate::columns::{Columns, at, blocks};
use crate::level::{BLOCK, Level, Task};
use crate::real::Real;

/// What a mixture looks like in one state of the noise.
///
/// Its components are those of the mixture, in the same order in every state. Component k says of a row x,
/// with `d = x[columns] − means_k`,
///
/// `t_k = log_constants_k + Σ x_terms[terms] − |P_k d|²/2`, P_k lower triangular.
#[derive(Debug, Clone, Default)]
pub struct NoiseState<R> {
    /// Features of the row that it looks at, D of them.
    pub columns: Vec<usize>,
    /// Which of the row's own terms it adds.
    pub terms: Vec<usize>,
    /// `[K, D]`.
    pub means: Vec<R>,
    /// Lower triangles of `P_k`, row by row, `[K, D (D + 1) / 2]`.
    pub factors: Vec<R>,
    /// `[K]`, with the logarithms of all weights: of the component, its class and the state.
    pub log_constants: Vec<R>,
    /// Features whose expectation is not what the row says, T of them.
    pub targets: Vec<usize>,
    /// What is to be added to the expectation of the targets, `[K, T]`.
    pub offsets: Vec<R>,
    /// Likewise, for each unit of `d`: `[K, T, D]`.
    pub gains: Vec<R>,
}

/// A mixture in every state of the noise that is considered.
///
/// The states' terms compete: the weight of a component in a state is its share of
/// `Σ_s Σ_k exp(t_sk)`.
#[derive(Debug, Clone)]
pub struct NoisyMixture<R> {
    /// Features of a row, L.
    pub n_features: usize,
    /// Terms that come with a row.
    pub n_terms: usize,
    /// First component of every class, and the number of components at the end: C + 1 numbers.
    pub classes: Vec<usize>,
    /// S states, at least one; those of several mixtures may be the same.
    pub states: Vec<Arc<NoiseState<R>>>,
}

/// What a [`NoisyMixture`] says about n rows; what is not wanted is left empty.
#[derive(Debug)]
pub struct MixturePosterior<'a, R> {
    /// `log Σ_s Σ_k∈c exp(t_sk)`, `[n, C]`.
    pub log_joint: &'a mut [R],
    /// Weight of every state, `[n, S]`: a row sums to one.
    pub state_weights: &'a mut [R],
    /// Expected features, `[n, L]`: `Σ_s Σ_k r_sk (x + offset_k + gain_k d)`, x only where the state looks
    /// at it.
    pub expectation: &'a mut [R],
}

impl<R: Real> NoisyMixture<R> {
    /// Components, K.
    pub fn n_components(&self) -> usize {
        self.classes.last().copied().unwrap_or(0)
    }

    /// Classes, C.
    pub fn n_classes(&self) -> usize {
        self.classes.len().saturating_sub(1)
    }

    /// The posterior of every row.
    ///
    /// Components whose weight is below the type's precision are left out of the expectation. Rows are to
    /// be finite, and so small that `|P_k d|²` is finite.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - `row_terms`: `[n, terms]`
    ///
    /// # Panics
    /// If slices are too short for the rows.
    pub fn posterior(&self, rows: &[R], row_terms: &[R], posterior: MixturePosterior<'_, R>) {
        R::noisy_mixture(self, rows, row_terms, posterior);
    }

    pub(crate) fn run_posterior(
        &self,
        rows: &[R],
        row_terms: &[R],
        posterior: MixturePosterior<'_, R>,
    ) {
        R::dispatch(Infer {
            mixture: self,
            rows,
            row_terms,
            posterior,
        });
    }
}

struct Infer<'a, R> {
    mixture: &'a NoisyMixture<R>,
    rows: &'a [R],
    row_terms: &'a [R],
    posterior: MixturePosterior<'a, R>,
}

/// Room for a block of rows.
struct Workspace<R> {
    rows: Columns<R>,
    row_terms: Columns<R>,
    difference: Columns<R>,
    /// t, then r: state by state, component by component.
    weights: Columns<R>,
    log_joint: Columns<R>,
    /// What a class's terms are to be multiplied by.
    shares: Columns<R>,
    state_weights: Columns<R>,
    expectation: Columns<R>,
}

impl<R: Real> Workspace<R> {
    fn new(mixture: &NoisyMixture<R>) -> Self {
        let columns = |n_columns| Columns::new(n_columns, BLOCK);
        let n_states = mixture.states.len();
        Self {
            rows: columns(mixture.n_features),
            row_terms: columns(mixture.n_terms),
            difference: columns(mixture.n_features),
            weights: columns(n_states * mixture.n_components()),
            log_joint: columns(mixture.n_classes()),
            shares: columns(mixture.n_classes()),
            state_weights: columns(n_states),
            expectation: columns(mixture.n_features),
        }
    }

    /// The terms t of all states.
    #[inline(always)]
    fn terms<S: Level, const V: usize>(&mut self, simd: S, mixture: &NoisyMixture<R>) {
        let n_components = mixture.n_components();
        let rows = self.rows.blocks::<S, V>();
        let row_terms = self.row_terms.blocks::<S, V>();
        let difference = self.difference.blocks_mut::<S, V>();
        let weights = self.weights.blocks_mut::<S, V>();
        let minus_half = Block::<S, R, V>::splat(simd, R::of(-0.5));
        for (state, weights) in mixture
            .states
            .iter()
            .zip(weights.chunks_exact_mut(n_components))
        {
            let mut of_row = Block::<S, R, V>::zero(simd);
            for &term in &state.terms {
                of_row = of_row + at::<S, R, V>(simd, row_terms, term);
            }
            let mut factors = state.factors.as_slice();
            for (k, weight) in weights.iter_mut().enumerate() {
                subtract_mean::<S, R, V>(simd, state, k, rows, difference);
                let mut square = Block::<S, R, V>::zero(simd);
                for output in 0..state.columns.len() {
                    let (row, rest) = factors.split_at(output + 1);
                    factors = rest;
                    let mut whitened = Block::<S, R, V>::zero(simd);
                    for (&factor, &lanes) in row.iter().zip(difference.iter()) {
                        let factor = Block::splat(simd, factor);
                        whitened = Block::new(simd, lanes).mul_add(factor, whitened);
                    }
                    square = whitened.mul_add(whitened, square);
                }
                let constant = of_row + state.log_constants[k];
                *weight = square.mul_add(minus_half, constant).lanes;
            }
        }
    }

    /// From terms to weights, and their sums.
    #[inline(always)]
    fn normalize<S: Level, const V: usize>(&mut self, simd: S, mixture: &NoisyMixture<R>) {
        let n_components = mixture.n_components();
        let zero = Block::<S, R, V>::zero(simd);
        let lowest = Block::<S, R, V>::splat(simd, R::neg_infinity());
        let weights = self.weights.blocks_mut::<S, V>();
        let log_joint = self.log_joint.blocks_mut::<S, V>();
        let shares = self.shares.blocks_mut::<S, V>();
        // Each class has a highest term of its own: of one far behind, the logarithm is not that of zero.
        let mut highest = lowest;
        let classes = mixture.classes.windows(2);
        for ((class, log_joint), share) in classes.clone().zip(&mut *log_joint).zip(&mut *shares) {
            let mut of_class = lowest;
            for of_state in weights.chunks_exact(n_components) {
                for &lanes in &of_state[class[0]..class[1]] {
                    of_class = of_class.at_least(Block::new(simd, lanes));
                }
            }
            let mut sum = zero;
            for of_state in weights.chunks_exact_mut(n_components) {
                for lanes in &mut of_state[class[0]..class[1]] {
                    let weight = (Block::new(simd, *lanes) - of_class).exp_of_not_positive();
                    sum = sum + weight;
                    *lanes = weight.lanes;
                }
            }
            highest = highest.at_least(of_class);
            *log_joint = sum.lanes;
            *share = of_class.lanes;
        }
        let mut total = zero;
        for (sum, share) in log_joint.iter_mut().zip(&mut *shares) {
            let of_class = Block::<S, R, V>::new(simd, *share);
            let sum_of_class = Block::<S, R, V>::new(simd, *sum);
            let factor = (of_class - highest).exp_of_not_positive();
            total = factor.mul_add(sum_of_class, total);
            *sum = (of_class + sum_of_class.ln()).lanes;
            *share = factor.lanes;
        }
        // Before the logarithm, which has no digits left where terms are large.
        let normalization = Block::<S, R, V>::splat(simd, R::one()) / total;
        for share in &mut *shares {
            *share = (Block::<S, R, V>::new(simd, *share) * normalization).lanes;
        }
        let state_weights = self.state_weights.blocks_mut::<S, V>();
        for (of_state, state_weight) in weights.chunks_exact_mut(n_components).zip(state_weights) {
            let mut sum = zero;
            for (class, &share) in classes.clone().zip(&*shares) {
                let share = Block::<S, R, V>::new(simd, share);
                for lanes in &mut of_state[class[0]..class[1]] {
                    let weight = Block::new(simd, *lanes) * share;
                    sum = sum + weight;
                    *lanes = weight.lanes;
                }
            }
            *state_weight = sum.lanes;
        }
    }

    /// What the rows were.
    #[inline(always)]
    fn expect<S: Level, const V: usize>(&mut self, simd: S, mixture: &NoisyMixture<R>) {
        let n_components = mixture.n_components();
        let zero = Block::<S, R, V>::zero(simd);
        let least = Block::<S, R, V>::splat(simd, R::epsilon());
        let rows = self.rows.blocks::<S, V>();
        let difference = self.difference.blocks_mut::<S, V>();
        let state_weights = self.state_weights.blocks::<S, V>();
        let expectation = self.expectation.blocks_mut::<S, V>();
        expectation.fill(zero.lanes);
        let of_states = self.weights.values().chunks_exact(n_components * BLOCK);
        for ((state, weights), &state_weight) in
            mixture.states.iter().zip(of_states).zip(state_weights)
        {
            for &column in &state.columns {
                let kept = Block::<S, R, V>::new(simd, state_weight);
                let sum = at::<S, R, V>(simd, expectation, column);
                expectation[column] = at::<S, R, V>(simd, rows, column).mul_add(kept, sum).lanes;
            }
            if state.targets.is_empty() {
                continue;
            }
            let n_columns = state.columns.len();
            for (k, of_component) in weights.chunks_exact(BLOCK).enumerate() {
                if !of_component.iter().any(|&weight| weight >= R::epsilon()) {
                    continue;
                }
                // By lane: what a row gets does not depend on its neighbours.
                let weight = at::<S, R, V>(simd, blocks::<S, R, V>(of_component), 0);
                let weight = weight.select_less(least, zero, weight);
                subtract_mean::<S, R, V>(simd, state, k, rows, difference);
                let first = k * state.targets.len();
                for (place, &target) in state.targets.iter().enumerate() {
                    let place = first + place;
                    let mut change = Block::<S, R, V>::splat(simd, state.offsets[place]);
                    let gains = &state.gains[place * n_columns..][..n_columns];
                    for (&gain, &lanes) in gains.iter().zip(difference.iter()) {
                        change = Block::new(simd, lanes).mul_add(Block::splat(simd, gain), change);
                    }
                    let sum = at::<S, R, V>(simd, expectation, target);
                    expectation[target] = change.mul_add(weight, sum).lanes;
                }
            }
        }
    }
}

/// `d = x[columns] − means_k`.
#[inline(always)]
fn subtract_mean<S: Level, R: Real, const V: usize>(
    simd: S,
    state: &NoiseState<R>,
    component: usize,
    rows: &[Lanes<S, R, V>],
    difference: &mut [Lanes<S, R, V>],
) {
    let n_columns = state.columns.len();
    let means = &state.means[component * n_columns..][..n_columns];
    for ((&column, &mean), difference) in state.columns.iter().zip(means).zip(difference) {
        *difference = (at::<S, R, V>(simd, rows, column) - mean).lanes;
    }
}

impl<R: Real> Task<R> for Infer<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) {
        let Self {
            mixture,
            rows,
            row_terms,
            posterior,
        } = self;
        let (n_features, n_terms) = (mixture.n_features, mixture.n_terms);
        let (n_classes, n_states) = (mixture.n_classes(), mixture.states.len());
        let mut workspace = Workspace::new(mixture);
        let n_rows = rows.len() / n_features.max(1);
        for first in (0..n_rows).step_by(BLOCK) {
            let here = first..n_rows.min(first + BLOCK);
            let n_here = here.len();
            workspace.rows.gather(0, n_features, rows, here.clone());
            if n_terms > 0 {
                workspace
                    .row_terms
                    .gather(0, n_terms, row_terms, here.clone());
            }
            workspace.terms::<S, V>(simd, mixture);
            workspace.normalize::<S, V>(simd, mixture);
            if !posterior.log_joint.is_empty() {
                let target = &mut posterior.log_joint[first * n_classes..];
                workspace.log_joint.scatter(target, 0..n_here);
            }
            if !posterior.state_weights.is_empty() {
                let target = &mut posterior.state_weights[first * n_states..];
                workspace.state_weights.scatter(target, 0..n_here);
            }
            if !posterior.expectation.is_empty() {
                workspace.expect::<S, V>(simd, mixture);
                let target = &mut posterior.expectation[first * n_features..];
                workspace.expectation.scatter(target, 0..n_here);
            }
        }
    }
}
