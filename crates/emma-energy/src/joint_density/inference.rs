//! From rows to what a joint density says about them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use emma_kernels::{MixturePosterior, NoisyMixture, Real};

use super::noise_model::NoiseLevel;
use super::posterior::JointPosterior;
use super::table::{
    Components, JointState, TERMS_PER_MODE, Table, View, families, levels_of, log_sum_exp,
};

/// Rows at a time.
const CHUNK: usize = 4096;

/// Numbers of all states that are kept.
const MOST_NUMBERS: usize = 1 << 26;

/// Rounds over all modes in which their levels settle, at most.
const MOST_ROUNDS: usize = 8;

/// Values beyond it count as it: their squares are numbers in any type.
const LARGEST: f64 = 1e9;

/// Least logarithm of the density of a mode that says nothing. Far below it the numbers of 32 bits are so
/// far apart that it would drown what the other modes say; states in which such a mode says something are
/// less likely by many times as much.
const LEAST_LOG_DENSITY: f64 = -1000.;

/// The level of a mode that is clean.
const CLEAN: usize = 0;

/// What is said of rows, row by row.
#[derive(Debug)]
pub(super) struct Inferred<R> {
    pub(super) n_rows: usize,
    /// `[n, L]`.
    pub(super) expectation: Vec<R>,
    /// `[n, subsets, C]`.
    pub(super) log_likelihood: Vec<R>,
    /// `[n, M]`.
    pub(super) energies: Vec<R>,
}

/// Which states a table sums over.
#[derive(Debug)]
enum States<'a> {
    /// All.
    All,
    /// Those of one mode, the others' being as they are.
    OfMode(usize, &'a JointState),
    /// A state and all that differ from it in one mode.
    Around(&'a JointState),
    /// The one in which a mode, the only one that is there, is clean.
    Clean(usize),
}

/// A joint density at work, with what it has needed so far: the mixture in states, by the features that are there.
#[derive(Debug)]
pub(super) struct Inference<R> {
    components: Arc<Components>,
    known: Mutex<Known<R>>,
}

#[derive(Debug)]
struct Known<R> {
    /// Of all views together.
    n_numbers: usize,
    views: HashMap<Key, Vec<View<R>>>,
}

/// The features that are there, a state, and the mode all levels of which are asked for, if any is.
type Key = (Vec<bool>, JointState, Option<usize>);

impl<R> Default for Known<R> {
    fn default() -> Self {
        Self {
            n_numbers: 0,
            views: HashMap::new(),
        }
    }
}

/// Rows of which the same features are there.
struct Alike<'a, R> {
    observed: &'a [bool],
    present: Vec<bool>,
    /// `[n, L]`, 0 where nothing is there.
    rows: &'a [R],
    /// `[n, terms]`.
    terms: Vec<R>,
}

impl<R: Real> Inference<R> {
    pub(super) fn new(components: Arc<Components>) -> Self {
        Self {
            components,
            known: Mutex::default(),
        }
    }

    fn n_features(&self) -> usize {
        self.components.n_features()
    }

    fn n_modes(&self) -> usize {
        self.components.mode_widths.len()
    }

    fn n_classes(&self) -> usize {
        self.components.log_class_weights.len()
    }

    /// Rows `[n, L]`, NaN where a feature is missing.
    pub(super) fn infer(&self, rows: &[R]) -> Inferred<R> {
        let n_features = self.n_features();
        let n_rows = rows.len() / n_features;
        let mut all = self.room(n_rows);
        let mut patterns: BTreeMap<Vec<bool>, Vec<usize>> = BTreeMap::new();
        for (row, values) in rows.chunks_exact(n_features).enumerate() {
            let observed = values.iter().map(|value| !value.is_nan()).collect();
            patterns.entry(observed).or_default().push(row);
        }
        let largest = R::of(LARGEST);
        for (observed, members) in &patterns {
            for members in members.chunks(CHUNK) {
                let mut values = Vec::with_capacity(members.len() * n_features);
                for &row in members {
                    let row = &rows[row * n_features..][..n_features];
                    let known = row.iter().zip(observed);
                    values.extend(known.map(|(&value, &observed)| {
                        let value = if observed { value } else { R::zero() };
                        value.max(-largest).min(largest)
                    }));
                }
                let part = self.infer_alike(observed, &values);
                all.scatter(&part, members);
            }
        }
        all
    }

    fn room(&self, n_rows: usize) -> Inferred<R> {
        let n_subsets = JointPosterior::n_subsets(self.n_modes());
        Inferred {
            n_rows,
            expectation: vec![R::zero(); n_rows * self.n_features()],
            log_likelihood: vec![R::zero(); n_rows * n_subsets * self.n_classes()],
            energies: vec![R::zero(); n_rows * self.n_modes()],
        }
    }

    /// Rows of which the same features are there.
    fn infer_alike(&self, observed: &[bool], rows: &[R]) -> Inferred<R> {
        let components = &*self.components;
        let n_rows = rows.len() / self.n_features();
        let alike = Alike {
            observed,
            present: components.present(observed),
            rows,
            terms: self.row_terms(observed, rows),
        };
        let mut inferred = self.room(n_rows);
        let mut together = vec![R::zero(); n_rows * self.n_classes()];
        let n_states: usize = alike
            .present
            .iter()
            .map(|&present| if present { components.levels.len() } else { 1 })
            .fold(1, usize::saturating_mul);
        if n_states <= components.most_exact_states {
            let table = self.table(observed, &States::All);
            self.sum(&table, &alike, None, &mut together, &mut inferred);
        } else {
            self.settle(&alike, &mut together, &mut inferred);
        }
        self.set_likelihood(&together, 0, &mut inferred.log_likelihood);
        if self.n_modes() > 1 {
            for mode in 0..self.n_modes() {
                if alike.present[mode] {
                    let alone = self.mode_alone(&alike, mode);
                    self.set_likelihood(&alone, 1 + mode, &mut inferred.log_likelihood);
                }
            }
        }
        for (mode, &present) in alike.present.iter().enumerate() {
            if !present {
                let highest = R::of(components.noise.highest_energy());
                for energies in inferred.energies.chunks_exact_mut(self.n_modes()) {
                    energies[mode] = highest;
                }
            }
        }
        inferred
    }

    /// Sums over the states of a table: joint densities of the classes, expectation, energies.
    fn sum(
        &self,
        table: &Table<R>,
        alike: &Alike<'_, R>,
        center: Option<&JointState>,
        log_joint: &mut [R],
        inferred: &mut Inferred<R>,
    ) {
        let components = &*self.components;
        let n_rows = alike.rows.len() / self.n_features();
        let n_states = table.states.len();
        let mut weights = vec![R::zero(); n_rows * n_states];
        let posterior = MixturePosterior {
            log_joint,
            state_weights: &mut weights,
            expectation: &mut inferred.expectation,
        };
        table.mixture.posterior(alike.rows, &alike.terms, posterior);
        let of_level = |level: usize| R::of(components.noise.energy(components.levels[level].0));
        let of_level: Vec<R> = (0..components.levels.len()).map(of_level).collect();
        let rows = inferred.energies.chunks_exact_mut(self.n_modes());
        for (energies, weights) in rows.zip(weights.chunks_exact(n_states)) {
            for (mode, energy) in energies.iter_mut().enumerate() {
                let mut total = R::zero();
                for (state, &weight) in table.states.iter().zip(weights) {
                    // Around a state, only what differs from it in this mode.
                    let counts = center.is_none_or(|center| {
                        let others = state.iter().zip(center).enumerate();
                        others
                            .into_iter()
                            .all(|(other, (a, b))| other == mode || a == b)
                    });
                    if counts {
                        *energy = *energy + weight * of_level[state[mode]];
                        total = total + weight;
                    }
                }
                // Levels that have not settled may leave nothing around the center, or nothing that the kernel
                // keeps beside states that are likelier by as much as a number has digits.
                *energy = match center {
                    Some(center) if total == R::zero() => of_level[center[mode]],
                    _ => *energy / total,
                };
            }
        }
    }

    /// Finds the modes' levels one mode at a time, then sums over the states around what was found.
    fn settle(&self, alike: &Alike<'_, R>, together: &mut [R], inferred: &mut Inferred<R>) {
        let n_rows = alike.rows.len() / self.n_features();
        let mut states = vec![vec![CLEAN; self.n_modes()]; n_rows];
        let mut moving: Vec<usize> = (0..n_rows).collect();
        for _ in 0..MOST_ROUNDS {
            let before = states.clone();
            for mode in (0..self.n_modes()).filter(|&mode| alike.present[mode]) {
                for (others, members) in grouped(&moving, |row| {
                    let mut others = states[row].clone();
                    others[mode] = CLEAN;
                    others
                }) {
                    let table = self.table(alike.observed, &States::OfMode(mode, &others));
                    let part = alike.of(&members, self.n_features(), self.n_terms());
                    let n_levels = table.states.len();
                    let mut weights = vec![R::zero(); members.len() * n_levels];
                    let posterior = MixturePosterior {
                        log_joint: &mut [],
                        state_weights: &mut weights,
                        expectation: &mut [],
                    };
                    table.mixture.posterior(&part.rows, &part.terms, posterior);
                    for (&row, weights) in members.iter().zip(weights.chunks_exact(n_levels)) {
                        states[row][mode] = highest(weights);
                    }
                }
            }
            moving.retain(|&row| states[row] != before[row]);
            if moving.is_empty() {
                break;
            }
        }
        let all: Vec<usize> = (0..n_rows).collect();
        let n_classes = self.n_classes();
        for (center, members) in grouped(&all, |row| states[row].clone()) {
            let table = self.table(alike.observed, &States::Around(&center));
            let rows = alike.of(&members, self.n_features(), self.n_terms());
            let part = Alike {
                observed: alike.observed,
                present: alike.present.clone(),
                rows: &rows.rows,
                terms: rows.terms,
            };
            let mut joint = vec![R::zero(); members.len() * n_classes];
            let mut found = self.room(members.len());
            self.sum(&table, &part, Some(&center), &mut joint, &mut found);
            inferred.scatter(&found, &members);
            scatter(together, &joint, &members, n_classes);
        }
    }

    fn n_terms(&self) -> usize {
        TERMS_PER_MODE * self.n_modes()
    }

    /// Joint densities of the classes and one mode, the others being unknown.
    fn mode_alone(&self, alike: &Alike<'_, R>, mode: usize) -> Vec<R> {
        let n_rows = alike.rows.len() / self.n_features();
        let observed = self.only(alike.observed, mode);
        let table = self.table(&observed, &States::All);
        let mut log_joint = vec![R::zero(); n_rows * self.n_classes()];
        let posterior = MixturePosterior {
            log_joint: &mut log_joint,
            state_weights: &mut [],
            expectation: &mut [],
        };
        table.mixture.posterior(alike.rows, &alike.terms, posterior);
        log_joint
    }

    /// The features of one mode that are there.
    fn only(&self, observed: &[bool], mode: usize) -> Vec<bool> {
        let features = observed.iter().zip(&self.components.mode_of);
        features
            .map(|(&observed, &own)| observed && own == mode)
            .collect()
    }

    /// Logarithms of the densities that the modes' values have if they say nothing, and if they are another
    /// row's: `[n, M, 2]`.
    fn row_terms(&self, observed: &[bool], rows: &[R]) -> Vec<R> {
        let components = &*self.components;
        let n_features = self.n_features();
        let n_terms = self.n_terms();
        let std = components.noise.uninformative_std;
        let mut terms = vec![R::zero(); rows.len() / n_features * n_terms];
        for (row, terms) in rows
            .chunks_exact(n_features)
            .zip(terms.chunks_exact_mut(n_terms))
        {
            let constant = R::of(-(std.ln() + std::f64::consts::TAU.ln() / 2.));
            for ((&value, &observed), &mode) in row.iter().zip(observed).zip(&components.mode_of) {
                if observed {
                    let scaled = value / R::of(std);
                    let term = &mut terms[TERMS_PER_MODE * mode];
                    *term = *term + constant - scaled * scaled * R::of(0.5);
                }
            }
        }
        let least = R::of(LEAST_LOG_DENSITY);
        for term in terms.iter_mut().step_by(TERMS_PER_MODE) {
            *term = term.max(least);
        }
        let swaps = components.levels.iter();
        if !swaps
            .clone()
            .any(|(level, _)| *level == NoiseLevel::Swapped)
        {
            return terms;
        }
        for (mode, present) in components.present(observed).into_iter().enumerate() {
            if !present {
                continue;
            }
            let own = self.only(observed, mode);
            let table = self.table(&own, &States::Clean(mode));
            let mut log_joint = vec![R::zero(); rows.len() / n_features * self.n_classes()];
            let posterior = MixturePosterior {
                log_joint: &mut log_joint,
                state_weights: &mut [],
                expectation: &mut [],
            };
            table.mixture.posterior(rows, &terms, posterior);
            let log_prior = R::of(components.levels[CLEAN].1);
            let of_rows = log_joint.chunks_exact(self.n_classes());
            for (terms, log_joint) in terms.chunks_exact_mut(n_terms).zip(of_rows) {
                terms[TERMS_PER_MODE * mode + 1] = log_sum_exp(log_joint) - log_prior;
            }
        }
        terms
    }

    /// From joint densities to likelihoods, into their place.
    fn set_likelihood(&self, log_joint: &[R], subset: usize, log_likelihood: &mut [R]) {
        let n_classes = self.n_classes();
        let width = JointPosterior::n_subsets(self.n_modes()) * n_classes;
        for (log_joint, target) in log_joint
            .chunks_exact(n_classes)
            .zip(log_likelihood.chunks_exact_mut(width))
        {
            let target = &mut target[subset * n_classes..][..n_classes];
            let weights = &self.components.log_class_weights;
            for ((target, &joint), &weight) in target.iter_mut().zip(log_joint).zip(weights) {
                *target = joint - R::of(weight);
            }
        }
    }

    /// The states, and the kernel's form of them.
    fn table(&self, observed: &[bool], states: &States<'_>) -> Table<R> {
        let components = &*self.components;
        let runs = self.runs(observed, states);
        let views = runs.iter().flat_map(|run| self.views(observed, run));
        Table {
            mixture: NoisyMixture {
                n_features: self.n_features(),
                n_terms: self.n_terms(),
                classes: components.classes.clone(),
                families: families(views),
            },
            states: runs.iter().flat_map(Run::states).collect(),
        }
    }

    /// The kernel's form of a run.
    fn views(&self, observed: &[bool], run: &Run) -> Vec<View<R>> {
        let of = |state: JointState, scaled| self.made_once((observed.to_vec(), state, scaled));
        let states = run.levels.iter();
        if self.components.is_scaled(run.mode) {
            let mut others = run.state.clone();
            others[run.mode] = CLEAN;
            let all = of(others, Some(run.mode));
            return states.map(|&level| all[level].clone()).collect();
        }
        states.flat_map(|&level| of(run.at(level), None)).collect()
    }

    /// Views, made if they are not there; others are not kept waiting while they are.
    fn made_once(&self, key: Key) -> Vec<View<R>> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().views.get(&key) {
            return known.clone();
        }
        let (observed, state, scaled) = &key;
        let made = self.components.views(observed, state, *scaled);
        let of_states: usize = made.iter().map(View::n_numbers).sum();
        let whitening = &made[0].whitening;
        let size = of_states + whitening.means.len() + whitening.factors.len();
        let mut known = lock();
        if known.n_numbers + size > MOST_NUMBERS {
            *known = Known::default();
        }
        if known.views.insert(key, made.clone()).is_none() {
            known.n_numbers += size;
        }
        made
    }

    /// States that differ in one mode, one run after the other.
    fn runs(&self, observed: &[bool], states: &States<'_>) -> Vec<Run> {
        let n_levels = self.components.levels.len();
        let present = self.components.present(observed);
        let present: Vec<usize> = (0..self.n_modes()).filter(|&mode| present[mode]).collect();
        let clean = vec![CLEAN; self.n_modes()];
        let run = |state: &JointState, mode: usize, levels: Vec<usize>| Run {
            state: state.clone(),
            mode,
            levels,
        };
        let Some((&last, others)) = present.split_last() else {
            return vec![run(&clean, 0, vec![CLEAN])];
        };
        match states {
            States::All => {
                let mut all = vec![clean];
                for &mode in others {
                    all = all
                        .into_iter()
                        .flat_map(|state| levels_of(&state, mode, n_levels))
                        .collect();
                }
                let runs = all.iter();
                runs.map(|state| run(state, last, (0..n_levels).collect()))
                    .collect()
            }
            States::OfMode(mode, others) => vec![run(others, *mode, (0..n_levels).collect())],
            States::Around(center) => {
                let runs = present.iter().enumerate();
                // The center is in the first of them.
                runs.map(|(place, &mode)| {
                    let levels = (0..n_levels).filter(|&level| place == 0 || level != center[mode]);
                    run(center, mode, levels.collect())
                })
                .collect()
            }
            States::Clean(mode) => vec![run(&clean, *mode, vec![CLEAN])],
        }
    }
}

/// A state, with some of the levels of a mode.
#[derive(Debug)]
struct Run {
    state: JointState,
    mode: usize,
    levels: Vec<usize>,
}

impl Run {
    fn at(&self, level: usize) -> JointState {
        let mut state = self.state.clone();
        state[self.mode] = level;
        state
    }

    fn states(&self) -> impl Iterator<Item = JointState> {
        self.levels.iter().map(|&level| self.at(level))
    }
}

/// Rows by what they have in common.
fn grouped(rows: &[usize], key: impl Fn(usize) -> JointState) -> BTreeMap<JointState, Vec<usize>> {
    let mut groups: BTreeMap<JointState, Vec<usize>> = BTreeMap::new();
    for &row in rows {
        groups.entry(key(row)).or_default().push(row);
    }
    groups
}

/// Place of the highest, the first of equals.
fn highest<R: Real>(values: &[R]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

struct Selected<R> {
    rows: Vec<R>,
    terms: Vec<R>,
}

impl<R: Real> Alike<'_, R> {
    /// Some of the rows.
    fn of(&self, members: &[usize], n_features: usize, n_terms: usize) -> Selected<R> {
        let select = |values: &[R], width: usize| {
            let rows = members.iter();
            rows.flat_map(|&row| values[row * width..][..width].iter().copied())
                .collect()
        };
        Selected {
            rows: select(self.rows, n_features),
            terms: select(&self.terms, n_terms),
        }
    }
}

impl<R: Real> Inferred<R> {
    /// Puts what is said of some rows into their places.
    fn scatter(&mut self, part: &Self, members: &[usize]) {
        let n = part.n_rows.max(1);
        let widths = |values: &[R]| values.len() / n;
        scatter(
            &mut self.expectation,
            &part.expectation,
            members,
            widths(&part.expectation),
        );
        scatter(
            &mut self.log_likelihood,
            &part.log_likelihood,
            members,
            widths(&part.log_likelihood),
        );
        scatter(
            &mut self.energies,
            &part.energies,
            members,
            widths(&part.energies),
        );
    }
}

fn scatter<R: Copy>(target: &mut [R], part: &[R], members: &[usize], width: usize) {
    for (&row, values) in members.iter().zip(part.chunks_exact(width.max(1))) {
        target[row * width..][..width].copy_from_slice(values);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::JointDensityFit;

    /// States that differ in one mode are one family, in the order in which they are named.
    #[test]
    fn the_kernel_has_the_states_in_families() {
        let n_rows = 200;
        let mut rng = emma_testkit::rng(1);
        let modes = [0, 1, 2].map(|_| {
            let values = StandardNormal.sample_iter(&mut rng).take(2 * n_rows);
            Tensor::from_vec(values.collect::<Vec<f64>>(), (n_rows, 2), &Device::Cpu).unwrap()
        });
        let labels: Vec<u32> = (0..200).map(|row| row % 2).collect();
        let fit = JointDensityFit::default();
        let density = fit.fit(&modes, &labels, 2, &mut rng).unwrap();
        let inference = Inference::<f64>::new(density.components.clone());
        let n_levels = inference.components.levels.len();
        let observed = [true; 6];
        let center = vec![1, 0, n_levels - 1];
        let around = vec![n_levels, n_levels - 1, n_levels - 1];
        for (states, sizes) in [
            (States::All, vec![n_levels; n_levels * n_levels]),
            (States::OfMode(1, &center), vec![n_levels]),
            (States::Around(&center), around),
            (States::Clean(2), vec![1]),
        ] {
            let table = inference.table(&observed, &states);
            let families = table.mixture.families.iter();
            let found: Vec<usize> = families.map(|family| family.states.len()).collect();
            assert_eq!(found, sizes, "{states:?}");
            assert_eq!(table.states.len(), table.mixture.n_states(), "{states:?}");
            let mut distinct = table.states.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), table.states.len(), "{states:?}");
        }
    }
}
