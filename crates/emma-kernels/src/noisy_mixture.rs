//! Mixtures of Gaussians seen through unknown noise: which state of the noise, which class, and what the
//! row was without it.

use std::f64::consts::{LN_2, LOG2_E};
use std::sync::Arc;

use crate::block::{Block, Lanes};
use crate::columns::{Columns, at};
use crate::level::{BLOCK, Level, Task};
use crate::real::Real;

/// Features of a row as the components of a mixture see them, `y_k = F_k (x[columns] − means_k)`: what states of
/// the noise have in common that differ only in the variance of the last outputs.
#[derive(Debug, Clone, Default)]
pub struct Whitening<R> {
    /// Features of the row that it looks at, D of them.
    pub columns: Vec<usize>,
    /// Outputs whose variance differs between states, E of them, the last ones.
    pub n_scaled: usize,
    /// `[K, D]`.
    pub means: Vec<R>,
    /// `F_k`, row by row: of the first D − E rows the lower triangle, the last E rows whole; K after K.
    pub factors: Vec<R>,
}

impl<R> Whitening<R> {
    /// Inputs of every output.
    fn n_inputs(&self, output: usize) -> usize {
        let n_columns = self.columns.len();
        if output + self.n_scaled < n_columns {
            output + 1
        } else {
            n_columns
        }
    }
}

/// A mixture in one state of the noise.
///
/// Its components are those of the mixture, in the same order in every state. Component k says of a row x, with
/// `y` of the [`Whitening`],
///
/// `t_k = log_constants_k + Σ x_terms[terms] − (Σ_j<D−E y_kj² + Σ_j≥D−E precisions_kj y_kj²)/2`.
#[derive(Debug, Clone, Default)]
pub struct NoiseState<R> {
    /// Which of the row's own terms it adds.
    pub terms: Vec<usize>,
    /// `[K]`, with the logarithms of all weights: of the component, its class and the state.
    pub log_constants: Vec<R>,
    /// `[K, E]`; 0 of what says nothing in this state, whose y are to be finite all the same.
    pub precisions: Vec<R>,
    /// Of the columns, the first so many tell what the row was: G of them.
    pub n_kept: usize,
    /// Features whose expectation is not what the row says, T of them.
    pub targets: Vec<usize>,
    /// What is to be added to the expectation of the targets, `[K, T]`.
    pub offsets: Vec<R>,
    /// Likewise, for each unit of `x[columns] − means_k`: `[K, T, G]`.
    pub gains: Vec<R>,
}

/// States of the noise that share a [`Whitening`].
#[derive(Debug, Clone)]
pub struct NoiseFamily<R> {
    /// What they have in common.
    pub whitening: Arc<Whitening<R>>,
    /// At least one.
    pub states: Vec<Arc<NoiseState<R>>>,
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
    /// S states in all, at least one; those of several mixtures may be the same.
    pub families: Vec<NoiseFamily<R>>,
}

/// What a [`NoisyMixture`] says about n rows; what is not wanted is left empty.
#[derive(Debug)]
pub struct MixturePosterior<'a, R> {
    /// `log Σ_s Σ_k∈c exp(t_sk)`, `[n, C]`.
    pub log_joint: &'a mut [R],
    /// Weight of every state, family by family, `[n, S]`: a row sums to one.
    pub state_weights: &'a mut [R],
    /// Expected features, `[n, L]`: `Σ_s Σ_k r_sk (x + offset_k + gain_k d)`, x only where the state keeps
    /// it.
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

    /// States, S.
    pub fn n_states(&self) -> usize {
        let families = self.families.iter();
        families.map(|family| family.states.len()).sum()
    }

    /// The posterior of every row.
    ///
    /// Components whose weight is below the type's precision are left out of the expectation, those that are 16
    /// binary digits further behind the likeliest of their class out of everything. Rows are to
    /// be finite, and so small that `|y_k|²` is finite.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - `row_terms`: `[n, terms]`
    ///
    /// # Panics
    /// If slices are too short for the rows, or those of the mixture for its sizes.
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
    /// `−y²/2`, in bits, of the outputs whose variance differs between states.
    scaled: Columns<R>,
    /// The row's own terms of every state, in bits.
    of_row: Columns<R>,
    /// t in bits, then its power of two, of which a class's largest is one: state by state, component by component.
    weights: Columns<R>,
    /// Sums of a state's weights, class by class.
    sums: Columns<R>,
    /// A class's highest term in bits, then the logarithm of its sum.
    log_joint: Columns<R>,
    /// What a class's weights are to be multiplied by.
    shares: Columns<R>,
    state_weights: Columns<R>,
    expectation: Columns<R>,
}

impl<R: Real> Workspace<R> {
    fn new(mixture: &NoisyMixture<R>) -> Self {
        let columns = |n_columns| Columns::new(n_columns, BLOCK);
        let (n_states, n_classes) = (mixture.n_states(), mixture.n_classes());
        let scaled = mixture.families.iter().map(|own| own.whitening.n_scaled);
        Self {
            rows: columns(mixture.n_features),
            row_terms: columns(mixture.n_terms),
            difference: columns(mixture.n_features),
            scaled: columns(scaled.max().unwrap_or(0)),
            of_row: columns(n_states),
            weights: columns(n_states * mixture.n_components()),
            sums: columns(n_states * n_classes),
            log_joint: columns(n_classes),
            shares: columns(n_classes),
            state_weights: columns(n_states),
            expectation: columns(mixture.n_features),
        }
    }

    /// The terms t of all states, and the highest of every class: in bits, whose powers cost less.
    #[inline(always)]
    fn terms<S: Level, const V: usize>(&mut self, simd: S, mixture: &NoisyMixture<R>) {
        let n_components = mixture.n_components();
        let rows = self.rows.blocks::<S, V>();
        let row_terms = self.row_terms.blocks::<S, V>();
        let difference = self.difference.blocks_mut::<S, V>();
        let scaled = self.scaled.blocks_mut::<S, V>();
        let bits = R::of(LOG2_E);
        let minus_half = Block::<S, R, V>::splat(simd, R::of(-0.5 * LOG2_E));
        let states = mixture.families.iter().flat_map(|family| &family.states);
        let of_row = self.of_row.blocks_mut::<S, V>();
        for (state, of_row) in states.zip(&mut *of_row) {
            let mut sum = Block::<S, R, V>::zero(simd);
            for &term in &state.terms {
                sum = sum + at::<S, R, V>(simd, row_terms, term);
            }
            *of_row = (sum * bits).lanes;
        }
        // Each class has a highest term of its own: of one far behind, the logarithm is not that of zero.
        let highest = self.log_joint.blocks_mut::<S, V>();
        highest.fill([R::splat(simd, R::neg_infinity()); V]);
        let (mut weights, mut of_rows) = (self.weights.blocks_mut::<S, V>(), &*of_row);
        for family in &mixture.families {
            let Whitening {
                columns, n_scaled, ..
            } = &*family.whitening;
            let n_states = family.states.len();
            let (own_weights, rest) = weights.split_at_mut(n_states * n_components);
            let (own_of_rows, rest_of_rows) = of_rows.split_at(n_states);
            (weights, of_rows) = (rest, rest_of_rows);
            let mut factors = family.whitening.factors.as_slice();
            for (class, highest) in mixture.classes.windows(2).zip(&mut *highest) {
                let mut of_class = Block::<S, R, V>::new(simd, *highest);
                for k in class[0]..class[1] {
                    subtract_mean::<S, R, V>(simd, &family.whitening, k, rows, difference);
                    let mut square = Block::<S, R, V>::zero(simd);
                    for output in 0..columns.len() {
                        let (row, rest) = factors.split_at(family.whitening.n_inputs(output));
                        factors = rest;
                        let mut whitened = Block::<S, R, V>::zero(simd);
                        for (&factor, &lanes) in row.iter().zip(difference.iter()) {
                            let factor = Block::splat(simd, factor);
                            whitened = Block::new(simd, lanes).mul_add(factor, whitened);
                        }
                        let half = whitened * minus_half;
                        if let Some(place) = (output + n_scaled).checked_sub(columns.len()) {
                            scaled[place] = (half * whitened).lanes;
                        } else {
                            square = half.mul_add(whitened, square);
                        }
                    }
                    let states = family.states.iter().zip(own_of_rows);
                    let own_weights = own_weights[k..].iter_mut().step_by(n_components);
                    for ((state, &of_row), weight) in states.zip(own_weights) {
                        let mut term = Block::<S, R, V>::new(simd, of_row)
                            + state.log_constants[k] * bits
                            + square;
                        let precisions = &state.precisions[k * n_scaled..][..*n_scaled];
                        for (&precision, &lanes) in precisions.iter().zip(&*scaled) {
                            let precision = Block::splat(simd, precision);
                            term = Block::new(simd, lanes).mul_add(precision, term);
                        }
                        of_class = of_class.at_least(term);
                        *weight = term.lanes;
                    }
                }
                *highest = of_class.lanes;
            }
        }
    }

    /// From terms to weights, and their sums.
    #[inline(always)]
    fn normalize<S: Level, const V: usize>(&mut self, simd: S, mixture: &NoisyMixture<R>) {
        let n_components = mixture.n_components();
        let n_classes = mixture.n_classes();
        let zero = Block::<S, R, V>::zero(simd);
        // Further behind, tens of thousands of terms do not change the last digit of a class's sum.
        let least = Block::<S, R, V>::splat(simd, R::epsilon().log2() - R::of(16.));
        let weights = self.weights.blocks_mut::<S, V>();
        let sums = self.sums.blocks_mut::<S, V>();
        let log_joint = self.log_joint.blocks_mut::<S, V>();
        let shares = self.shares.blocks_mut::<S, V>();
        let of_states = weights.chunks_exact_mut(n_components);
        for (of_state, sums) in of_states.zip(sums.chunks_exact_mut(n_classes)) {
            let classes = mixture.classes.windows(2).zip(&*log_joint);
            for ((class, &highest), sum) in classes.zip(sums) {
                let highest = Block::<S, R, V>::new(simd, highest);
                let mut total = zero;
                for lanes in &mut of_state[class[0]..class[1]] {
                    let behind = Block::new(simd, *lanes) - highest;
                    if behind.is_less(least) {
                        *lanes = zero.lanes;
                        continue;
                    }
                    let weight = behind.exp_2_of_not_positive();
                    let weight = behind.select_less(least, zero, weight);
                    total = total + weight;
                    *lanes = weight.lanes;
                }
                *sum = total.lanes;
            }
        }
        let mut highest = Block::<S, R, V>::splat(simd, R::neg_infinity());
        for &of_class in &*log_joint {
            highest = highest.at_least(Block::new(simd, of_class));
        }
        let mut total = zero;
        for (class, (log_joint, share)) in log_joint.iter_mut().zip(&mut *shares).enumerate() {
            let mut sum = zero;
            for &of_state in sums[class..].iter().step_by(n_classes) {
                sum = sum + Block::new(simd, of_state);
            }
            let of_class = Block::<S, R, V>::new(simd, *log_joint);
            let factor = (of_class - highest).exp_2_of_not_positive();
            total = factor.mul_add(sum, total);
            *log_joint = ((of_class + sum.log_2()) * R::of(LN_2)).lanes;
            *share = factor.lanes;
        }
        // Before the logarithm, which has no digits left where terms are large.
        let normalization = Block::<S, R, V>::splat(simd, R::one()) / total;
        for share in &mut *shares {
            *share = (Block::<S, R, V>::new(simd, *share) * normalization).lanes;
        }
        let state_weights = self.state_weights.blocks_mut::<S, V>();
        for (sums, state_weight) in sums.chunks_exact(n_classes).zip(state_weights) {
            let mut weight = zero;
            for (&sum, &share) in sums.iter().zip(&*shares) {
                weight = Block::new(simd, sum).mul_add(Block::new(simd, share), weight);
            }
            *state_weight = weight.lanes;
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
        let shares = self.shares.blocks::<S, V>();
        let state_weights = self.state_weights.blocks::<S, V>();
        let expectation = self.expectation.blocks_mut::<S, V>();
        expectation.fill(zero.lanes);
        let states = mixture.families.iter().flat_map(|family| {
            let states = family.states.iter();
            states.map(|state| (&*family.whitening, &**state))
        });
        let of_states = self.weights.blocks::<S, V>().chunks_exact(n_components);
        for (((whitening, state), weights), &state_weight) in
            states.zip(of_states).zip(state_weights)
        {
            for &column in &whitening.columns[..state.n_kept] {
                let kept = Block::<S, R, V>::new(simd, state_weight);
                let sum = at::<S, R, V>(simd, expectation, column);
                expectation[column] = at::<S, R, V>(simd, rows, column).mul_add(kept, sum).lanes;
            }
            if state.targets.is_empty() {
                continue;
            }
            for (class, &share) in mixture.classes.windows(2).zip(shares) {
                for k in class[0]..class[1] {
                    let weight =
                        at::<S, R, V>(simd, weights, k) * Block::<S, R, V>::new(simd, share);
                    if weight.is_less(least) {
                        continue;
                    }
                    // By lane: what a row gets does not depend on its neighbours.
                    let weight = weight.select_less(least, zero, weight);
                    subtract_mean::<S, R, V>(simd, whitening, k, rows, difference);
                    let difference = &difference[..state.n_kept];
                    let first = k * state.targets.len();
                    for (place, &target) in state.targets.iter().enumerate() {
                        let place = first + place;
                        let mut change = Block::<S, R, V>::splat(simd, state.offsets[place]);
                        let gains = &state.gains[place * state.n_kept..][..state.n_kept];
                        for (&gain, &lanes) in gains.iter().zip(difference) {
                            let gain = Block::splat(simd, gain);
                            change = Block::new(simd, lanes).mul_add(gain, change);
                        }
                        let sum = at::<S, R, V>(simd, expectation, target);
                        expectation[target] = change.mul_add(weight, sum).lanes;
                    }
                }
            }
        }
    }
}

/// `d = x[columns] − means_k`.
#[inline(always)]
fn subtract_mean<S: Level, R: Real, const V: usize>(
    simd: S,
    whitening: &Whitening<R>,
    component: usize,
    rows: &[Lanes<S, R, V>],
    difference: &mut [Lanes<S, R, V>],
) {
    let n_columns = whitening.columns.len();
    let means = &whitening.means[component * n_columns..][..n_columns];
    for ((&column, &mean), difference) in whitening.columns.iter().zip(means).zip(difference) {
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
        let (n_classes, n_states) = (mixture.n_classes(), mixture.n_states());
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
