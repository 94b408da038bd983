//! The joint density against brute force: clean rows and noise integrated on a grid.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use emma_energy::{
    FeatureNoise, GaussianMixtureFit, JointDensity, JointDensityConfig, JointDensityFit,
    JointPosterior, NoiseModel,
};
use emma_testkit::tolerance::assert_close;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A component in two dimensions: weight, mean, root C with Σ = C Cᵀ.
type Component = (f64, [f64; 2], [f64; 3]);

const CLASSES: [&[Component]; 2] = [
    &[
        (0.7, [-1., 0.5], [0.6, 0.3, 0.5]),
        (0.3, [1., -1.], [0.4, -0.5, 0.7]),
    ],
    &[(1., [2., 1.5], [0.8, 0.6, 0.4])],
];
const CLASS_SHARES: [f64; 2] = [0.8, 0.2];

fn noise() -> NoiseModel {
    NoiseModel {
        noise_std: vec![0.5, 2.],
        uninformative_std: 6.,
        ..NoiseModel::default()
    }
}

/// The density of the components above, f64.
fn density(noise: NoiseModel) -> Result<JointDensity> {
    density_of_features(noise, Vec::new())
}

/// The same whose features are not the modes' own values.
fn density_of_features(
    noise: NoiseModel,
    feature_noise: Vec<Vec<FeatureNoise>>,
) -> Result<JointDensity> {
    let config = JointDensityConfig {
        mode_widths: vec![1, 1],
        n_components: CLASSES.iter().map(|class| class.len()).collect(),
        noise,
        most_exact_states: 64,
        feature_noise,
    };
    let mut tensors = HashMap::new();
    let mut put = |name: String, values: Vec<f64>, shape: &[usize]| -> Result<()> {
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
        Ok(())
    };
    put(
        "log_class_weights".into(),
        CLASS_SHARES.map(f64::ln).to_vec(),
        &[2],
    )?;
    for (c, class) in CLASSES.iter().enumerate() {
        let k = class.len();
        let weights = class.iter().map(|(weight, ..)| weight.ln());
        put(format!("class.{c}.log_weights"), weights.collect(), &[k])?;
        let means = class.iter().flat_map(|(_, mean, _)| *mean);
        put(format!("class.{c}.means"), means.collect(), &[k, 2])?;
        let factors = class.iter().flat_map(|(_, _, [a, b, d])| {
            // The inverse of [[a, 0], [b, d]].
            [1. / a, 0., -b / (a * d), 1. / d]
        });
        put(
            format!("class.{c}.precision_cholesky"),
            factors.collect(),
            &[k, 2, 2],
        )?;
    }
    let vb = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
    Ok(JointDensity::new(&config, &vb)?)
}

fn normal(x: f64, mean: f64, std: f64) -> f64 {
    (-((x - mean) / std).powi(2) / 2.).exp() / (std * std::f64::consts::TAU.sqrt())
}

/// p(z | c).
fn clean_density(class: usize, z: [f64; 2]) -> f64 {
    let components = CLASSES[class].iter();
    let of = components.map(|(weight, mean, [a, b, d])| {
        let first = (z[0] - mean[0]) / a;
        let second = (z[1] - mean[1] - b * first) / d;
        weight * normal(first, 0., 1.) * normal(second, 0., 1.) / (a * d)
    });
    of.sum()
}

const LOW: f64 = -12.;
const HIGH: f64 = 12.;
const STEPS: usize = 1200;

/// The grid's points and the weight of each: the trapezoid rule, exact to rounding for smooth functions that
/// are nothing at both ends.
fn grid() -> (Vec<f64>, f64) {
    let step = (HIGH - LOW) / STEPS as f64;
    let points = (0..=STEPS).map(|i| LOW + step * i as f64);
    (points.collect(), step)
}

/// What brute force finds.
#[derive(Debug, Default)]
struct BruteForce {
    /// p(x_S | c) of both modes, the first alone, the second alone.
    likelihood: [[f64; 2]; 3],
    expectation: [f64; 2],
    energies: [f64; 2],
}

/// Probability of a state, its energy, and the probability of a value in it given the clean one.
type State = (f64, f64, Box<dyn Fn(f64) -> f64>);

/// All noisy states of a mode, each seen as the features say, or as it is. A missing value has no states.
fn states(x: f64, model: &NoiseModel, features: Option<&Vec<FeatureNoise>>) -> Vec<State> {
    if x.is_nan() {
        return vec![(1., model.highest_energy(), Box::new(|_| 1.))];
    }
    let share = (1. - model.clean_probability) / (model.noise_std.len() + 1) as f64;
    let widest = model.uninformative_std;
    let mut states: Vec<State> = Vec::new();
    for (level, &std) in model.noise_std.iter().enumerate() {
        let energy = (1. + 4. * std).ln();
        let (gain, shift, std) = match features {
            Some(levels) if !levels.is_empty() => {
                let level = &levels[level];
                (level.gain[0], level.shift[0], level.std[0])
            }
            _ => (1., 0., std),
        };
        let seen = move |z: f64| normal(x, gain * z + shift, std);
        states.push((share, energy, Box::new(seen)));
    }
    let energy = model.highest_energy();
    states.push((share, energy, Box::new(move |_| normal(x, 0., widest))));
    states
}

/// Sums over every state of noise and, on the grid, over every clean row.
fn brute_force(x: [f64; 2], model: &NoiseModel, features: &[Vec<FeatureNoise>]) -> BruteForce {
    let (points, step) = grid();
    let on_grid = |class: usize| -> Vec<Vec<f64>> {
        let row = |&a: &f64| {
            points
                .iter()
                .map(|&b| clean_density(class, [a, b]))
                .collect()
        };
        points.iter().map(row).collect()
    };
    let mut found = BruteForce::default();
    let mut total = 0.;
    for class in 0..2 {
        let prior = on_grid(class);
        let marginal = |mode: usize| -> Vec<f64> {
            (0..points.len())
                .map(|i| {
                    let sum: f64 = (0..points.len())
                        .map(|j| if mode == 0 { prior[i][j] } else { prior[j][i] })
                        .sum();
                    sum * step
                })
                .collect()
        };
        // A mode that is clean is where it is; all others are integrated over.
        let clean = model.clean_probability;
        let mut joint = |probability: f64, z: [f64; 2], energies: [f64; 2]| {
            let probability = probability * CLASS_SHARES[class];
            found.likelihood[0][class] += probability / CLASS_SHARES[class];
            total += probability;
            for mode in 0..2 {
                found.expectation[mode] += probability * z[mode];
                found.energies[mode] += probability * energies[mode];
            }
        };
        let noisy = [0, 1].map(|mode| states(x[mode], model, features.get(mode)));
        let known = [!x[0].is_nan(), !x[1].is_nan()];
        if known[0] && known[1] {
            joint(clean * clean * clean_density(class, x), x, [0.; 2]);
        }
        for (probability, energy, of) in &noisy[1] {
            if !known[0] {
                break;
            }
            for &b in &points {
                let density = clean_density(class, [x[0], b]) * of(b) * step;
                joint(clean * probability * density, [x[0], b], [0., *energy]);
            }
        }
        for (probability, energy, of) in &noisy[0] {
            if !known[1] {
                break;
            }
            for &a in &points {
                let density = clean_density(class, [a, x[1]]) * of(a) * step;
                joint(clean * probability * density, [a, x[1]], [*energy, 0.]);
            }
        }
        for (first, first_energy, of_first) in &noisy[0] {
            let first_values: Vec<f64> = points.iter().map(|&a| of_first(a)).collect();
            for (second, second_energy, of_second) in &noisy[1] {
                let second_values: Vec<f64> = points.iter().map(|&b| of_second(b)).collect();
                for (i, &a) in points.iter().enumerate() {
                    for (j, &b) in points.iter().enumerate() {
                        let density = prior[i][j] * first_values[i] * second_values[j];
                        joint(
                            first * second * density * step * step,
                            [a, b],
                            [*first_energy, *second_energy],
                        );
                    }
                }
            }
        }
        for mode in 0..2 {
            let alone = &mut found.likelihood[1 + mode][class];
            if !known[mode] {
                *alone = 1.;
                continue;
            }
            let marginal = marginal(mode);
            let at = |z: f64| -> f64 {
                let components = CLASSES[class].iter();
                let of = components.map(|(weight, mean, [a, b, d])| {
                    let std = if mode == 0 { *a } else { b.hypot(*d) };
                    weight * normal(z, mean[mode], std)
                });
                of.sum()
            };
            *alone = clean * at(x[mode]);
            for (probability, _, of) in &noisy[mode] {
                let sum: f64 = points.iter().zip(&marginal).map(|(&z, p)| p * of(z)).sum();
                *alone += probability * sum * step;
            }
        }
    }
    for mode in 0..2 {
        found.expectation[mode] /= total;
        found.energies[mode] /= total;
    }
    found
}

fn posterior(density: &JointDensity, rows: &[[f64; 2]], dtype: DType) -> Result<JointPosterior> {
    let mode = |mode: usize| -> candle_core::Result<Tensor> {
        let values = rows.iter().map(|row| row[mode]).collect();
        Tensor::from_vec(values, (rows.len(), 1), &Device::Cpu)?.to_dtype(dtype)
    };
    Ok(density.posterior(&[mode(0)?, mode(1)?])?)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

const ROWS: [[f64; 2]; 6] = [
    [-1., 0.4],
    [-1., 3.],
    [5., -4.],
    [2.1, f64::NAN],
    [f64::NAN, -0.7],
    [f64::NAN, f64::NAN],
];

#[test]
fn the_posterior_is_what_numerical_integration_finds() -> Result<()> {
    agrees_with_brute_force(&[])
}

#[test]
fn it_also_is_for_features_that_noise_shifts_and_shrinks() -> Result<()> {
    let level = |gain: f64, shift: f64, std: f64| FeatureNoise {
        gain: vec![gain],
        shift: vec![shift],
        std: vec![std],
    };
    agrees_with_brute_force(&[
        vec![level(0.7, 0.3, 0.4), level(0., 1.5, 0.5)],
        vec![level(1., -0.2, 0.6), level(-0.4, 0., 1.2)],
    ])?;
    agrees_with_brute_force(&[Vec::new(), vec![level(0.9, 0.1, 0.5), level(0.3, 2., 0.7)]])?;
    // All that these levels do is to add variance, but another one than the mode's.
    agrees_with_brute_force(&[vec![level(1., 0., 0.25), level(1., 0., 0.9)], Vec::new()])
}

fn agrees_with_brute_force(features: &[Vec<FeatureNoise>]) -> Result<()> {
    let density = density_of_features(noise(), features.to_vec())?;
    let found = posterior(&density, &ROWS, DType::F64)?;
    let expectation = [
        numbers(&found.expectation[0]),
        numbers(&found.expectation[1]),
    ];
    let log_likelihood = numbers(&found.log_likelihood);
    let energies = numbers(&found.energies);
    for (row, &x) in ROWS.iter().enumerate() {
        let expected = brute_force(x, &noise(), features);
        let likelihood: Vec<f64> = expected
            .likelihood
            .iter()
            .flatten()
            .map(|likelihood| likelihood.ln())
            .collect();
        // Gaussians of width 0.4 and more on a grid of 0.02: the trapezoid rule is exact beyond 1e-12.
        let found = &log_likelihood[row * 6..][..6];
        assert_close(
            &format!("likelihood of {x:?}"),
            found,
            &likelihood,
            0.,
            1e-9,
        );
        let found = [expectation[0][row], expectation[1][row]];
        let name = format!("expectation of {x:?}");
        assert_close(&name, &found, &expected.expectation, 0., 1e-9);
        let found = &energies[row * 2..][..2];
        let name = format!("energies of {x:?}");
        assert_close(&name, found, &expected.energies, 0., 1e-9);
    }
    Ok(())
}

/// A tied feature, and one that is nearly a function of two others.
fn nearly_dependent(n_rows: usize, seed: u64) -> (Vec<Tensor>, Vec<u32>) {
    let (modes, labels) = sensors(n_rows, 2, 2, seed);
    let mut rng = emma_testkit::rng(seed + 1);
    let extended = modes.iter().map(|mode| {
        let rows = mode.to_vec2::<f64>().unwrap();
        let values = rows.iter().flat_map(|row| {
            let deviate: f64 = StandardNormal.sample(&mut rng);
            let [a, b] = [row[0], row[1]];
            [
                a,
                b,
                a.round(),
                0.5 * (a - b) + 0.1 * a * a + 1e-3 * deviate,
            ]
        });
        Tensor::from_vec(values.collect::<Vec<f64>>(), (n_rows, 4), &Device::Cpu).unwrap()
    });
    (extended.collect(), labels)
}

/// Noise that differs between features by less than shows makes states that share nothing.
#[test]
fn states_that_share_a_whitening_agree_with_those_that_do_not() -> Result<()> {
    let (modes, labels) = nearly_dependent(900, 43);
    let noise = NoiseModel {
        swap_probability: 0.05,
        ..NoiseModel::default()
    };
    for (exact, is_partly_missing) in [(64, false), (64, true), (1, true)] {
        let fit = JointDensityFit {
            noise: noise.clone(),
            most_exact_states: exact,
            ..JointDensityFit::default()
        };
        let shared = fit.fit(&modes, &labels, 2, &mut emma_testkit::rng(5))?;
        let levels = noise.noise_std.iter().map(|&std| FeatureNoise {
            gain: vec![1.; 4],
            shift: vec![0.; 4],
            std: (0..4).map(|i| std * (1. + 1e-14 * f64::from(i))).collect(),
        });
        let config = JointDensityConfig {
            feature_noise: vec![levels.collect(); 2],
            ..shared.config().clone()
        };
        let tensors = shared.tensors().into_iter().collect();
        let vb = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
        let apart = JointDensity::new(&config, &vb)?;
        let (clean, _) = nearly_dependent(300, 47);
        let mut rows = faulty(&clean, 53);
        if is_partly_missing {
            let mut values = rows[1].to_vec2::<f64>()?;
            for (row, values) in values.iter_mut().enumerate() {
                values[row % 4] = f64::NAN;
            }
            rows[1] = Tensor::new(values, &Device::Cpu)?;
        }
        let (a, b) = (shared.posterior(&rows)?, apart.posterior(&rows)?);
        let close = |name: &str, a: &Tensor, b: &Tensor| {
            // Variances of combinations of features go down to 2e-5 of one of them: that many digits less.
            assert_close(name, &numbers(a), &numbers(b), 1e-9, 1e-9);
        };
        close("likelihood", &a.log_likelihood, &b.log_likelihood);
        close("energies", &a.energies, &b.energies);
        close("first", &a.expectation[0], &b.expectation[0]);
        close("second", &a.expectation[1], &b.expectation[1]);
        let in_f32: Vec<Tensor> = rows
            .iter()
            .map(|mode| mode.to_dtype(DType::F32).unwrap())
            .collect();
        let c = shared.posterior(&in_f32)?;
        let close = |name: &str, a: &Tensor, b: &Tensor| {
            assert_close(name, &numbers(a), &numbers(b), 1e-4, 1e-4);
        };
        close("likelihood in f32", &c.log_likelihood, &a.log_likelihood);
        close("energies in f32", &c.energies, &a.energies);
        close("first in f32", &c.expectation[0], &a.expectation[0]);
        close("second in f32", &c.expectation[1], &a.expectation[1]);
    }
    Ok(())
}

#[test]
fn f32_agrees_with_f64() -> Result<()> {
    let density = density(noise())?;
    let in_f64 = posterior(&density, &ROWS, DType::F64)?;
    let in_f32 = posterior(&density, &ROWS, DType::F32)?;
    for (name, a, b) in [
        ("first", &in_f32.expectation[0], &in_f64.expectation[0]),
        ("second", &in_f32.expectation[1], &in_f64.expectation[1]),
        ("likelihood", &in_f32.log_likelihood, &in_f64.log_likelihood),
        ("energies", &in_f32.energies, &in_f64.energies),
    ] {
        assert_eq!(a.dtype(), DType::F32);
        // Exponents of a few tens, in units of 6e-8.
        assert_close(name, &numbers(a), &numbers(b), 1e-5, 1e-5);
    }
    Ok(())
}

/// Rows of `n_modes` sensors of one thing, `width` features each, with faults in some modes.
fn sensors(n_rows: usize, n_modes: usize, width: usize, seed: u64) -> (Vec<Tensor>, Vec<u32>) {
    let mut rng = emma_testkit::rng(seed);
    let mut normal = move || -> f64 { StandardNormal.sample(&mut rng) };
    let labels: Vec<u32> = (0..n_rows).map(|row| u32::from(row % 3 == 0)).collect();
    let mut modes = vec![Vec::new(); n_modes];
    for &label in &labels {
        let thing = normal() + 2.5 * f64::from(label);
        for (number, mode) in modes.iter_mut().enumerate() {
            for feature in 0..width {
                let slope = 1. - 0.3 * (number + feature) as f64;
                mode.push(slope * thing + 0.4 * normal());
            }
        }
    }
    let tensor = |values| Tensor::from_vec(values, (n_rows, width), &Device::Cpu).unwrap();
    (modes.into_iter().map(tensor).collect(), labels)
}

/// Every third row is clean, the others have noise of 0.5 or 3 on a mode or two, or lack one.
fn faulty(modes: &[Tensor], seed: u64) -> Vec<Tensor> {
    let mut rng = emma_testkit::rng(seed);
    let n_rows = modes[0].dims()[0];
    let mut values: Vec<Vec<Vec<f64>>> = modes.iter().map(|m| m.to_vec2().unwrap()).collect();
    let faults = (0..n_rows).flat_map(|row| std::iter::repeat_n(row, row % 3));
    for row in faults {
        let mode = rng.random_range(0..modes.len());
        let std = [0.5, 3., f64::NAN][rng.random_range(0..3)];
        for value in &mut values[mode][row] {
            let deviate: f64 = StandardNormal.sample(&mut rng);
            *value += std * deviate;
        }
    }
    let tensor = |values: Vec<Vec<f64>>| {
        let flat: Vec<f64> = values.into_iter().flatten().collect();
        let width = flat.len() / n_rows;
        Tensor::from_vec(flat, (n_rows, width), &Device::Cpu).unwrap()
    };
    values.into_iter().map(tensor).collect()
}

fn fitted(n_modes: usize, most_exact_states: usize) -> Result<JointDensity> {
    let (modes, labels) = sensors(600, n_modes, 2, 3);
    let of = |n_components| GaussianMixtureFit {
        components: emma_energy::ComponentChoice::Fixed(n_components),
        n_starts: 1,
        ..GaussianMixtureFit::default()
    };
    let fit = JointDensityFit {
        classes: vec![of(3), of(2)],
        most_exact_states,
        ..JointDensityFit::default()
    };
    Ok(fit.fit(&modes, &labels, 2, &mut emma_testkit::rng(5))?)
}

#[test]
fn levels_found_one_mode_at_a_time_agree_with_exact_enumeration() -> Result<()> {
    for n_modes in [2, 3] {
        let exact = fitted(n_modes, usize::MAX)?;
        let settled = fitted(n_modes, 1)?;
        let (clean, labels) = sensors(600, n_modes, 2, 17);
        let rows = faulty(&clean, 23);
        let a = exact.posterior(&rows)?;
        let b = settled.posterior(&rows)?;
        // Each mode alone is summed over exactly by both.
        let alone = |p: &JointPosterior| numbers(&p.log_likelihood.narrow(1, 1, n_modes).unwrap());
        assert_eq!(alone(&a), alone(&b));
        let mean_difference = |a: &Tensor, b: &Tensor| {
            let differences = numbers(&(a - b).unwrap().abs().unwrap());
            differences.iter().sum::<f64>() / differences.len() as f64
        };
        let probability = |p: &JointPosterior| {
            let odds = p.log_odds().unwrap().narrow(1, 0, 1).unwrap();
            let weighed = (odds.neg().unwrap().exp().unwrap() + 1.).unwrap();
            weighed.recip().unwrap()
        };
        let (a_label, b_label) = (probability(&a), probability(&b));
        let decided = numbers(&a_label).into_iter().zip(numbers(&b_label));
        let differing = decided.filter(|(a, b)| (*a > 0.5) != (*b > 0.5)).count();
        let errors = [
            mean_difference(
                &Tensor::cat(&a.expectation, 1)?,
                &Tensor::cat(&b.expectation, 1)?,
            ),
            mean_difference(&a_label, &b_label),
            mean_difference(&a.energies, &b.energies),
            differing as f64 / labels.len() as f64,
        ];
        println!("{n_modes} modes: {errors:?}");
        // Means over rows: standardized units, probability, nats; share of other decisions at even odds.
        let limits = [0.05, 0.02, 0.12, 0.02];
        for (error, limit) in errors.iter().zip(limits) {
            assert!(*error < limit, "{n_modes} modes: {errors:?}");
        }
    }
    Ok(())
}

#[test]
fn repair_brings_noisy_modes_nearer_to_what_they_were() -> Result<()> {
    for (n_modes, most) in [(2, 64), (4, 64)] {
        let density = fitted(n_modes, most)?;
        let (clean, _) = sensors(600, n_modes, 2, 29);
        let rows = faulty(&clean, 31);
        let posterior = density.posterior(&rows)?;
        for mode in 0..n_modes {
            let (clean, noisy) = (numbers(&clean[mode]), numbers(&rows[mode]));
            let repaired = numbers(&posterior.expectation[mode]);
            let mut errors = [0.; 2];
            for ((clean, noisy), repaired) in clean.iter().zip(&noisy).zip(&repaired) {
                // A missing feature counts as its mean, 0.
                let noisy = if noisy.is_nan() { 0. } else { *noisy };
                errors[0] += (noisy - clean).powi(2);
                errors[1] += (repaired - clean).powi(2);
            }
            assert!(errors[1] < 0.5 * errors[0], "{n_modes} {mode}: {errors:?}");
        }
    }
    Ok(())
}

#[test]
fn a_row_is_judged_by_itself() -> Result<()> {
    for n_modes in [2, 4] {
        let density = fitted(n_modes, 64)?;
        for dtype in [DType::F32, DType::F64] {
            let rows = faulty(&sensors(70, n_modes, 2, 37).0, 41);
            let rows: Vec<Tensor> = rows
                .iter()
                .map(|mode| mode.to_dtype(dtype).unwrap())
                .collect();
            let together = density.posterior(&rows)?;
            for row in [0, 1, 35, 69] {
                let alone: Vec<Tensor> = rows
                    .iter()
                    .map(|mode| mode.narrow(0, row, 1).unwrap())
                    .collect();
                let alone = density.posterior(&alone)?;
                let same = |all: &Tensor, one: &Tensor| {
                    let of_all = numbers(&all.narrow(0, row, 1).unwrap());
                    let bits = |values: Vec<f64>| -> Vec<u64> {
                        values.into_iter().map(f64::to_bits).collect()
                    };
                    assert_eq!(
                        bits(of_all),
                        bits(numbers(one)),
                        "{n_modes} {dtype:?} {row}"
                    );
                };
                same(&together.log_likelihood, &alone.log_likelihood);
                same(&together.energies, &alone.energies);
                for (all, one) in together.expectation.iter().zip(&alone.expectation) {
                    same(all, one);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn values_of_any_size_give_numbers() -> Result<()> {
    let density = density(noise())?;
    let huge = [1e3, 1e9, 1e30, f64::MAX, f64::INFINITY, f64::NEG_INFINITY];
    let rows: Vec<[f64; 2]> = huge
        .into_iter()
        .flat_map(|x| [[x, 0.], [x, -x], [x, f64::NAN]])
        .collect();
    for dtype in [DType::F32, DType::F64] {
        let posterior = posterior(&density, &rows, dtype)?;
        let everything = [
            numbers(&posterior.expectation[0]),
            numbers(&posterior.expectation[1]),
            numbers(&posterior.log_odds()?),
            numbers(&posterior.energies),
        ];
        for values in &everything {
            assert!(
                values.iter().all(|value| value.is_finite()),
                "{dtype:?} {values:?}"
            );
        }
        // Such a mode says nothing: what it was, the other tells.
        let highest = noise().highest_energy();
        for row in 0..rows.len() {
            let energy = everything[3][2 * row];
            assert!((energy - highest).abs() < 1e-5, "{dtype:?} {row} {energy}");
            assert!(everything[0][row].abs() < 5., "{dtype:?} {row}");
        }
    }
    Ok(())
}

#[test]
fn nothing_at_all_is_the_prior_also_one_mode_at_a_time() -> Result<()> {
    let missing = Tensor::full(f64::NAN, (1, 2), &Device::Cpu)?;
    let modes = [missing.clone(), missing];
    let exact = fitted(2, 64)?.posterior(&modes)?;
    let settled = fitted(2, 0)?.posterior(&modes)?;
    assert_eq!(numbers(&exact.energies), numbers(&settled.energies));
    for mode in 0..2 {
        let (a, b) = (&exact.expectation[mode], &settled.expectation[mode]);
        assert_eq!(numbers(a), numbers(b));
    }
    let odds = numbers(&settled.log_odds()?);
    assert!(odds.iter().all(|odds| odds.abs() < 1e-12), "{odds:?}");
    Ok(())
}

/// Small beside another feature of the mode is not small for its own.
#[test]
fn features_of_a_mode_may_be_of_any_scale() -> Result<()> {
    let config = JointDensityConfig {
        mode_widths: vec![2],
        n_components: vec![1],
        noise: noise(),
        most_exact_states: 64,
        feature_noise: Vec::new(),
    };
    let stds = [10f64.sqrt(), 1e-6];
    let number = |values: &[f64], shape: &[usize]| {
        Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
    };
    let tensors = HashMap::from([
        ("log_class_weights".to_owned(), number(&[0.], &[1])),
        ("class.0.log_weights".to_owned(), number(&[0.], &[1])),
        ("class.0.means".to_owned(), number(&[0.; 2], &[1, 2])),
        (
            "class.0.precision_cholesky".to_owned(),
            number(&[1. / stds[0], 0., 0., 1. / stds[1]], &[1, 2, 2]),
        ),
    ]);
    let vb = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
    let density = JointDensity::new(&config, &vb)?;
    let found = density.posterior(&[number(&[0.; 2], &[1, 2])])?;
    let model = noise();
    let share = (1. - model.clean_probability) / (model.noise_std.len() + 1) as f64;
    let at_mean = |noise: f64| {
        stds.iter()
            .map(|std| normal(0., 0., std.hypot(noise)))
            .product::<f64>()
    };
    let noisy: f64 = model.noise_std.iter().map(|&noise| at_mean(noise)).sum();
    let uninformative = normal(0., 0., model.uninformative_std).powi(2);
    let expected = model.clean_probability * at_mean(0.) + share * (noisy + uninformative);
    assert_close(
        "likelihood",
        &numbers(&found.log_likelihood)[..1],
        &[expected.ln()],
        0.,
        1e-9,
    );
    Ok(())
}

/// Numbers of 32 bits are 64 apart at the density of such a mode.
#[test]
fn what_the_other_modes_say_does_not_drown() -> Result<()> {
    let density = density(noise())?;
    for dtype in [DType::F32, DType::F64] {
        let odds = |x: f64| -> Result<Vec<f64>> {
            let odds = posterior(&density, &[[x, 0.9]], dtype)?.log_odds()?;
            Ok(numbers(&odds))
        };
        let missing = odds(f64::NAN)?;
        for far in [1e4, 1e6, 1e9] {
            let found = odds(far)?;
            assert!(
                (found[0] - missing[0]).abs() < 1e-3,
                "{dtype:?} {far}: {found:?} {missing:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_swapped_mode_is_recognized_only_if_it_may_be() -> Result<()> {
    let usual = NoiseModel {
        noise_std: vec![0.5],
        ..NoiseModel::default()
    };
    let may_swap = NoiseModel {
        swap_probability: 0.1,
        ..usual.clone()
    };
    // Each mode is one that the second class has; together they belong to no row.
    let row = [[2.8, 0.6]];
    let energy = |noise: NoiseModel| -> Result<f64> {
        let energies = numbers(&posterior(&density(noise)?, &row, DType::F64)?.energies);
        Ok(energies[0] + energies[1])
    };
    assert!(energy(may_swap)? > energy(usual)? + 0.5);
    Ok(())
}

#[test]
fn a_fitted_density_comes_back_from_its_tensors() -> Result<()> {
    let density = fitted(2, 64)?;
    let tensors = density.tensors().into_iter().collect();
    let vb = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
    let again = JointDensity::new(density.config(), &vb)?;
    let rows = faulty(&sensors(50, 2, 2, 43).0, 47);
    let (a, b) = (density.posterior(&rows)?, again.posterior(&rows)?);
    assert_eq!(numbers(&a.log_likelihood), numbers(&b.log_likelihood));
    assert_eq!(numbers(&a.energies), numbers(&b.energies));
    Ok(())
}

/// Makes a setting wrong.
type Change = fn(&mut NoiseModel);

#[test]
fn wrong_settings_and_rows_are_refused() -> Result<()> {
    let wrong: [(Change, &str); 5] = [
        (
            |m| m.clean_probability = 1.,
            "clean_probability must be above 0 and below 1, got 1",
        ),
        (
            |m| m.clean_probability = f64::NAN,
            "clean_probability must be above 0 and below 1, got NaN",
        ),
        (
            |m| m.noise_std = vec![1., 0.5],
            "noise_std must be positive, ascending and at most 1e6, got [1.0, 0.5]",
        ),
        (
            |m| m.uninformative_std = 1.,
            "uninformative_std must be above every noise level and at most 1e6, got 1",
        ),
        (
            |m| m.swap_probability = 0.4,
            "swap_probability must be at least 0 and below 1 less clean_probability, got 0.4",
        ),
    ];
    let density = density(noise())?;
    for (change, message) in wrong {
        let mut model = NoiseModel::default();
        change(&mut model);
        assert_eq!(density.with_noise(model).unwrap_err().to_string(), message);
    }
    let rows = Tensor::zeros((3, 1), DType::F64, &Device::Cpu)?;
    let error = density.posterior(std::slice::from_ref(&rows)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "modes must be as many as the density has, got 1 instead of 2"
    );
    let wide = Tensor::zeros((3, 2), DType::F64, &Device::Cpu)?;
    let error = density.posterior(&[rows.clone(), wide]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected rows with 1 features, got a tensor of shape [3, 2]"
    );
    let none = Tensor::zeros((0, 1), DType::F64, &Device::Cpu)?;
    let posterior = density.posterior(&[none.clone(), none])?;
    assert_eq!(posterior.log_odds()?.dims(), [0, 3]);
    let fit = JointDensityFit::default();
    let rng = &mut emma_testkit::rng(1);
    let error = fit
        .fit(std::slice::from_ref(&rows), &[0, 1, 2], 2, rng)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "labels must be below the number of classes, got 2 of 2"
    );
    let error = fit.fit(&[rows], &[0, 0, 0], 2, rng).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected at least one row for a class of a joint density, got none"
    );
    Ok(())
}
