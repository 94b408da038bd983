//! Kernels against the equations in plain f64, one row at a time.

use std::f64::consts::E;
use std::sync::Arc;

use rand::Rng;

use crate::adam::Adam;
use crate::block::Block;
use crate::gate::{Gate, N_OUTPUTS, n_parameters};
use crate::level::{BLOCK, Level, Task};
use crate::potential::Autoencoder;
use crate::real::Real;
use crate::{
    Affine, Batches, Front, GateConfig, Memory, MixturePosterior, Network, NoiseFamily, NoiseState,
    NoisyMixture, Rows, Scorer, Scores, StageOne, StageOneConfig, StageTwo, StageTwoConfig,
    Whitening,
};

fn numbers(n: usize, low: f64, high: f64, seed: u64) -> Vec<f64> {
    let mut rng = emma_testkit::rng(seed);
    (0..n).map(|_| rng.random_range(low..high)).collect()
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (k, (a, b)) in found.iter().zip(expected).enumerate() {
        let scale = b.abs().max(1.);
        assert!(
            (a - b).abs() <= tolerance * scale,
            "{what} {k}: {a} instead of {b}"
        );
    }
}

/// One elementary function of 32 numbers.
struct Elementary<'a, R> {
    name: &'a str,
    values: &'a mut [R],
}

impl<R: Real> Task<R> for Elementary<'_, R> {
    type Output = ();

    fn run<S: Level, const V: usize>(self, simd: S) {
        for lanes in crate::columns::blocks_mut::<S, R, V>(self.values) {
            let x = Block::<S, R, V>::new(simd, *lanes);
            *lanes = match self.name {
                "exp2" => x.exp_2(),
                "exp2 of not positive" => x.exp_2_of_not_positive(),
                "exp" => x.exp_of_not_positive(),
                "ln" => x.ln(),
                "log2" => x.log_2(),
                "tanh" => x.tanh_of_not_negative(),
                "sigmoid" => x.sigmoid(),
                "softplus" => x.sigmoid_and_softplus().1,
                _ => x.sqrt(),
            }
            .lanes;
        }
    }
}

fn elementary<R: Real>(name: &str, values: &[f64]) -> Vec<f64> {
    let mut results: Vec<R> = values.iter().map(|&value| R::of(value)).collect();
    results.resize(values.len().next_multiple_of(BLOCK), R::one());
    R::dispatch(Elementary {
        name,
        values: &mut results,
    });
    results.truncate(values.len());
    results
        .iter()
        .map(|value| value.to_f64().unwrap())
        .collect()
}

/// A few units in the last place, relative.
#[test]
fn elementary_functions_are_those_of_the_standard_library() {
    type Function = fn(f64) -> f64;
    let functions: [(&str, Function, f64, f64); 9] = [
        ("exp2", f64::exp2, -120., 120.),
        ("exp2 of not positive", f64::exp2, -99., 0.),
        ("exp", f64::exp, -68., 0.),
        ("ln", f64::ln, 1e-30, 1e30),
        ("log2", f64::log2, 1e-30, 1e30),
        ("tanh", f64::tanh, 0., 30.),
        ("sqrt", f64::sqrt, 0., 1e30),
        ("sigmoid", |x| 1. / (1. + (-x).exp()), -68., 80.),
        (
            "softplus",
            |x| x.max(0.) + (-x.abs()).exp().ln_1p(),
            -10.,
            80.,
        ),
    ];
    for (name, function, low, high) in functions {
        let mut values = numbers(3000, low, high, 1);
        values.extend(numbers(1000, low.max(-1.), high.min(1.), 2));
        values.extend(numbers(1000, low.max(-1e-3), high.min(1e-3), 3));
        // Logarithms near 1.
        values.extend(numbers(1000, 0.7f64.min(high), 1.5f64.min(high + 1e-9), 4));
        // What is compared is the function of the f32, not of the f64 it was rounded from.
        let values: Vec<f64> = values
            .iter()
            .map(|&value| f64::from(value as f32))
            .collect();
        let expected: Vec<f64> = values.iter().map(|&value| function(value)).collect();
        // ln(1 + t) of a small t loses digits relative to itself, not to 1.
        let floor = if name == "softplus" { 1. } else { 0. };
        for (found, epsilon) in [
            (elementary::<f32>(name, &values), f64::from(f32::EPSILON)),
            (elementary::<f64>(name, &values), f64::EPSILON),
        ] {
            for ((x, found), expected) in values.iter().zip(found).zip(&expected) {
                let error = (found - expected).abs() / expected.abs().max(floor);
                assert!(
                    error <= 4. * epsilon,
                    "{name}({x}) is {expected}, got {found}"
                );
            }
        }
    }
}

#[test]
fn ends_of_the_elementary_functions() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cases: [(&str, &[f64], &[f64]); 7] = [
        (
            "exp2",
            &[-inf, -1e4, 0., 1., 1e4, inf],
            &[0., 0., 1., 2., inf, inf],
        ),
        (
            "exp2 of not positive",
            &[-inf, -1e4, -1e30, 0.],
            &[0., 0., 0., 1.],
        ),
        ("exp", &[-inf, -1e4, -1e30, 0.], &[0., 0., 0., 1.]),
        ("ln", &[0., -0., 1., inf], &[-inf, -inf, 0., inf]),
        ("log2", &[0., -0., 1., 8., inf], &[-inf, -inf, 0., 3., inf]),
        ("tanh", &[0., 1e30, inf], &[0., 1., 1.]),
        ("sigmoid", &[-inf, 0., inf], &[0., 0.5, 1.]),
    ];
    for (name, values, expected) in cases {
        assert_eq!(elementary::<f32>(name, values), expected, "{name}");
        assert_eq!(elementary::<f64>(name, values), expected, "{name}");
        assert!(elementary::<f32>(name, &[nan])[0].is_nan(), "{name}");
        assert!(elementary::<f64>(name, &[nan])[0].is_nan(), "{name}");
    }
    for name in ["ln", "log2"] {
        assert!(elementary::<f32>(name, &[-1.])[0].is_nan(), "{name}");
        assert!(elementary::<f64>(name, &[-inf])[0].is_nan(), "{name}");
    }
    let tiny = elementary::<f64>("ln", &[5e-324, 1e-310]);
    assert_near(&tiny, &[5e-324f64.ln(), 1e-310f64.ln()], 1e-15, "ln");
}

/// Self-energies, modal energies, log-importance, attention of one row.
fn gate_row(parameters: &[f64], minimum: &[f64], coldness: f64, row: &[f64]) -> [Vec<f64>; 4] {
    let m = row.len();
    let (weights, exponents) = (&parameters[2 * m..], &parameters[2 * m + m * m..]);
    let (gain, bias) = (
        parameters[2 * m + 2 * m * m],
        parameters[2 * m + 2 * m * m + 1],
    );
    let energy: Vec<f64> = (0..m)
        .map(|i| parameters[i] * ((row[i] - minimum[i]).max(0.) + E) + parameters[m + i])
        .collect();
    let modal: Vec<f64> = (0..m)
        .map(|i| {
            let others = (0..m).filter(|&j| j != i);
            energy[i]
                + others
                    .map(|j| {
                        let exponent = exponents[i * m + j];
                        weights[i * m + j]
                            * energy[i].powf(exponent)
                            * energy[j].powf(1. - exponent)
                    })
                    .sum::<f64>()
        })
        .collect();
    let lowest = modal.iter().copied().fold(f64::INFINITY, f64::min);
    let sum: f64 = modal.iter().map(|e| (-coldness * (e - lowest)).exp()).sum();
    let log: Vec<f64> = modal
        .iter()
        .map(|e| -coldness * (e - lowest) - sum.ln())
        .collect();
    let attention = log
        .iter()
        .map(|l| (gain * l.exp() - bias).tanh().max(0.))
        .collect();
    [energy, modal, log, attention]
}

fn gate_parameters(n_modes: usize, seed: u64) -> Vec<f64> {
    let m2 = n_modes * n_modes;
    let mut parameters = numbers(n_modes, 0.5, 1., seed);
    parameters.extend(numbers(n_modes, 0., 2., seed + 1));
    let limit = 1. / n_modes as f64;
    parameters.extend(numbers(m2, -limit, limit, seed + 2));
    parameters.extend(numbers(m2, 0., 1., seed + 3));
    parameters.extend([1.7, 0.2]);
    assert_eq!(parameters.len(), n_parameters(n_modes));
    parameters
}

#[test]
fn the_gate_follows_the_equations_and_its_gradient_their_differences() {
    // More rows than a tile of 256, and a last block that is not full.
    // More modes than are computed together.
    for (n_modes, n_rows) in [(2, 1), (2, 301), (3, 33), (5, 40), (19, 3)] {
        let parameters = gate_parameters(n_modes, 10);
        let minimum = numbers(n_modes, -1., 1., 20);
        let potentials = numbers(n_rows * n_modes, -2., 12., 21);
        let cotangent = numbers(n_rows * n_modes * N_OUTPUTS, -1., 1., 22);
        let all = |parameters: &[f64], potentials: &[f64]| -> Vec<f64> {
            let mut parts: [Vec<f64>; N_OUTPUTS] = Default::default();
            for row in potentials.chunks(n_modes) {
                for (part, values) in parts
                    .iter_mut()
                    .zip(gate_row(parameters, &minimum, 0.3, row))
                {
                    part.extend(values);
                }
            }
            parts.concat()
        };
        let loss = |parameters: &[f64], potentials: &[f64]| -> f64 {
            let outputs = all(parameters, potentials);
            outputs.iter().zip(&cotangent).map(|(a, b)| a * b).sum()
        };
        let gate = Gate {
            parameters: &parameters,
            minimum_potential: &minimum,
            coldness: 0.3,
        };
        let mut outputs = vec![0.; cotangent.len()];
        gate.forward(&potentials, &mut outputs);
        assert_near(&outputs, &all(&parameters, &potentials), 1e-13, "output");
        let mut of_potentials = vec![0.; potentials.len()];
        let mut of_parameters = vec![0.; parameters.len()];
        gate.backward(
            &potentials,
            &outputs,
            &cotangent,
            &mut of_potentials,
            &mut of_parameters,
        );
        let expected = differences(&parameters, |changed| loss(changed, &potentials));
        assert_near(&of_parameters, &expected, 1e-6, "parameter");
        if n_rows < 50 {
            let expected = differences(&potentials, |changed| loss(&parameters, changed));
            assert_near(&of_potentials, &expected, 1e-6, "potential");
        }
        let (parameters, minimum) = (single(&parameters), single(&minimum));
        let gate = Gate {
            parameters: &parameters,
            minimum_potential: &minimum,
            coldness: 0.3,
        };
        let mut in_f32 = vec![0.; outputs.len()];
        gate.forward(&single(&potentials), &mut in_f32);
        let in_f32: Vec<f64> = in_f32.iter().map(|&value| f64::from(value)).collect();
        assert_near(&in_f32, &outputs, 3e-6, "output in f32");
    }
}

fn differences(values: &[f64], function: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-6;
    (0..values.len())
        .map(|k| {
            let mut changed = values.to_vec();
            changed[k] = values[k] + step;
            let above = function(&changed);
            changed[k] = values[k] - step;
            (above - function(&changed)) / (2. * step)
        })
        .collect()
}

#[test]
fn a_row_has_the_same_bits_alone() {
    let parameters = single(&gate_parameters(3, 30));
    let potentials = single(&numbers(70 * 3, -2., 12., 31));
    let gate = Gate {
        parameters: &parameters,
        minimum_potential: &[0., 0., 0.],
        coldness: 0.3,
    };
    let mut together = vec![0.; 70 * 3 * N_OUTPUTS];
    gate.forward(&potentials, &mut together);
    for (number, row) in potentials.chunks(3).enumerate() {
        let mut alone = vec![0.; 12];
        gate.forward(row, &mut alone);
        for (alone, together) in alone.chunks(3).zip(together.chunks(70 * 3)) {
            assert_eq!(alone, &together[number * 3..][..3]);
        }
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.) + (-x.abs()).exp().ln_1p()
}

fn potential_row(parameters: &[f64], n_hidden: usize, row: &[f64]) -> f64 {
    let l = row.len();
    let (weight, biases) = parameters.split_at(n_hidden * l);
    let (encoder, decoder) = biases.split_at(n_hidden);
    let hidden: f64 = (0..n_hidden)
        .map(|u| {
            let products = row.iter().zip(&weight[u * l..]).map(|(x, w)| x * w);
            softplus(products.sum::<f64>() + encoder[u])
        })
        .sum();
    let deviation: f64 = row.iter().zip(decoder).map(|(x, c)| (x - c).powi(2)).sum();
    deviation / 2. - hidden
}

#[test]
fn potentials_follow_the_equation_and_their_gradient_its_differences() {
    // More hidden units than factors of one product.
    for (n_features, n_hidden, n_rows) in [(4, 12, 300), (1, 1, 1), (3, 130, 33), (8, 3, 41)] {
        let parameters = numbers(n_hidden * (n_features + 1) + n_features, -1., 1., 40);
        let (weight, biases) = parameters.split_at(n_hidden * n_features);
        let (encoder_bias, decoder_bias) = biases.split_at(n_hidden);
        let autoencoder = Autoencoder {
            weight,
            encoder_bias,
            decoder_bias,
        };
        let rows = numbers(n_rows * n_features, -3., 3., 41);
        let cotangent = numbers(n_rows, -1., 1., 42);
        let expected: Vec<f64> = rows
            .chunks(n_features)
            .map(|row| potential_row(&parameters, n_hidden, row))
            .collect();
        let mut energies = vec![0.; n_rows];
        autoencoder.energies(&rows, &mut energies);
        assert_near(&energies, &expected, 1e-13, "energy");
        let mut of_rows = vec![0.; rows.len()];
        let mut of_parameters = vec![0.; parameters.len()];
        autoencoder.backward(&rows, &cotangent, &mut of_rows, &mut of_parameters);
        let loss = |parameters: &[f64], rows: &[f64]| -> f64 {
            let energies = rows.chunks(n_features).zip(&cotangent);
            energies
                .map(|(row, c)| c * potential_row(parameters, n_hidden, row))
                .sum()
        };
        let expected = differences(&parameters, |changed| loss(changed, &rows));
        assert_near(&of_parameters, &expected, 1e-6, "parameter");
        if n_rows < 50 {
            let expected = differences(&rows, |changed| loss(&parameters, changed));
            assert_near(&of_rows, &expected, 1e-6, "row");
        }
    }
}

fn perceptron_row(widths: &[usize], parameters: &[f64], row: &[f64]) -> f64 {
    let (mut values, mut rest) = (row.to_vec(), parameters);
    for (k, width) in widths.windows(2).enumerate() {
        let (weight, after) = rest.split_at(width[0] * width[1]);
        let (bias, after) = after.split_at(width[1]);
        rest = after;
        values = bias
            .iter()
            .enumerate()
            .map(|(o, b)| {
                let row = &weight[o * width[0]..];
                let sum = values.iter().zip(row).map(|(x, w)| x * w).sum::<f64>() + b;
                if k + 2 < widths.len() {
                    sum.max(0.)
                } else {
                    sum
                }
            })
            .collect();
    }
    values[0]
}

/// Attention and log-importance of one row.
fn weigh(config: &StageTwoConfig, gate: &[f64], row: &[f64], potentials: &[f64]) -> [Vec<f64>; 2] {
    let n_modes = config.mode_widths.len();
    match &config.gate {
        GateConfig::Open => [vec![1.; n_modes], vec![0.; n_modes]],
        GateConfig::Softmax => {
            let (weight, bias) = gate.split_at(gate.len() - n_modes);
            let scores = bias
                .iter()
                .zip(weight.chunks(row.len()))
                .map(|(b, w)| row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + b);
            let scores: Vec<f64> = scores.map(f64::exp).collect();
            let sum: f64 = scores.iter().sum();
            [scores.iter().map(|s| s / sum).collect(), vec![0.; n_modes]]
        }
        GateConfig::Emma {
            minimum_potential,
            coldness,
            ..
        } => {
            let minimum: Vec<f64> = minimum_potential.iter().map(|&m| f64::from(m)).collect();
            let [_, _, log, attention] = gate_row(gate, &minimum, *coldness, potentials);
            [attention, log]
        }
    }
}

/// Mean loss with penalties, the reference of one training step.
fn stage_two_loss(config: &StageTwoConfig, parameters: &[f64], data: &[Vec<f64>; 5]) -> f64 {
    let [first, second, potentials, signs, labels] = data;
    let n_modes = config.mode_widths.len();
    let n_gate = parameters.len() - config.network.n_parameters();
    let (gate, network) = parameters.split_at(n_gate);
    let mut total = 0.;
    for (r, &label) in labels.iter().enumerate() {
        let mut row = first[r * config.mode_widths[0]..][..config.mode_widths[0]].to_vec();
        row.extend(&second[r * config.mode_widths[1]..][..config.mode_widths[1]]);
        let [attention, log] = weigh(config, gate, &row, &potentials[r * n_modes..][..n_modes]);
        for (f, value) in row.iter_mut().enumerate() {
            *value *= attention[usize::from(f >= config.mode_widths[0])];
        }
        let logit = perceptron_row(&config.network.widths, network, &row);
        let p = config.positive_weight;
        total += (1. + (p - 1.) * label) * softplus(logit) - p * label * logit;
        if let GateConfig::Emma { energy_weight, .. } = config.gate {
            let signs = &signs[r * n_modes..][..n_modes];
            total -= energy_weight * signs.iter().zip(&log).map(|(s, l)| s * l).sum::<f64>();
        }
    }
    let mut loss = total / labels.len() as f64;
    if let GateConfig::Emma {
        capacity_weight,
        capacity_minus_bias,
        ..
    } = config.gate
    {
        let bias = if capacity_minus_bias {
            gate[n_gate - 1]
        } else {
            0.
        };
        loss += capacity_weight * (gate[n_gate - 2] - bias);
    }
    loss
}

#[test]
fn one_step_of_stage_two_has_the_loss_and_the_gradient_of_the_reference() {
    let emma = GateConfig::Emma {
        minimum_potential: vec![-1., 0.5],
        coldness: 0.3,
        capacity_weight: 0.05,
        capacity_minus_bias: true,
        energy_weight: 0.02,
        minimum_self_weight: 1e-3,
        coupling_limit: 1.,
        symmetric: false,
    };
    // Fewer rows than a block, more than one, and widths that fill no tile of outputs.
    for (gate, n_rows, hidden) in [
        (GateConfig::Open, 32, vec![8, 4]),
        (GateConfig::Softmax, 50, vec![5]),
        (emma.clone(), 32, vec![8, 4]),
        (emma, 45, vec![7, 3]),
    ] {
        let mut widths = vec![7];
        widths.extend(hidden);
        widths.push(1);
        let config = StageTwoConfig {
            mode_widths: vec![4, 3],
            gate,
            network: Network { widths },
            batch_size: n_rows,
            learning_rate: 1e-3,
            positive_weight: 1.5,
        };
        let n_network = config.network.n_parameters();
        let n_gate = StageTwo::n_parameters(&config) - n_network;
        let mut parameters = match config.gate {
            GateConfig::Emma { .. } => gate_parameters(2, 50),
            _ => numbers(n_gate, -0.5, 0.5, 51),
        };
        parameters.extend(numbers(n_network, -0.6, 0.6, 52));
        let signs = numbers(n_rows * 2, -1., 1., 55);
        let data = [
            numbers(n_rows * 4, -2., 2., 53),
            numbers(n_rows * 3, -2., 2., 54),
            numbers(n_rows * 2, -3., 10., 56),
            signs.iter().map(|sign| sign.signum()).collect(),
            numbers(n_rows, 0., 1., 57)
                .iter()
                .map(|y| y.round())
                .collect(),
        ];
        let in_f32: Vec<Vec<f32>> = data.iter().map(|values| single(values)).collect();
        let rows = Rows {
            modes: vec![&in_f32[0], &in_f32[1]],
            potentials: &in_f32[2],
            signs: &in_f32[3],
            labels: &in_f32[4],
        };
        let batches = Batches::new(&rows, &config.mode_widths, n_rows, (0..n_rows).rev());
        let mut model = StageTwo::new(config.clone(), &single(&parameters));
        let mut task = config.clone();
        if let GateConfig::Emma {
            capacity_weight,
            energy_weight,
            ..
        } = &mut task.gate
        {
            (*capacity_weight, *energy_weight) = (0., 0.);
        }
        let (task_loss, expected) = (
            model.task_loss_of(&batches),
            stage_two_loss(&task, &parameters, &data),
        );
        assert!(
            (task_loss - expected).abs() < 2e-6 * expected.abs().max(1.),
            "{task_loss} {expected}"
        );
        let loss = model.epoch(&batches);
        let expected = stage_two_loss(&config, &parameters, &data);
        assert!(
            (loss - expected).abs() < 2e-6 * expected.abs().max(1.),
            "{loss} {expected}"
        );
        let gradient = model.first_gradient();
        let expected = differences(&parameters, |changed| {
            stage_two_loss(&config, changed, &data)
        });
        assert_near(&gradient, &expected, 3e-6, "gradient");
    }
}

#[test]
fn stage_two_learns_and_stays_within_its_ranges() {
    let n_rows = 500;
    let first = numbers(n_rows * 2, -2., 2., 60);
    let labels: Vec<f64> = first
        .chunks(2)
        .map(|row| f64::from(u8::from(row[0] > row[1])))
        .collect();
    let data = [
        single(&first),
        single(&numbers(n_rows, -2., 2., 61)),
        single(&numbers(n_rows * 2, 0., 5., 62)),
        single(&labels),
    ];
    let rows = Rows {
        modes: vec![&data[0], &data[1]],
        potentials: &data[2],
        signs: &[],
        labels: &data[3],
    };
    let config = StageTwoConfig {
        mode_widths: vec![2, 1],
        gate: GateConfig::Emma {
            minimum_potential: vec![0., 0.],
            coldness: 0.1,
            capacity_weight: -10.,
            capacity_minus_bias: false,
            energy_weight: 0.,
            minimum_self_weight: 0.2,
            coupling_limit: 0.3,
            symmetric: true,
        },
        network: Network {
            widths: vec![3, 6, 1],
        },
        batch_size: 32,
        learning_rate: 1e-2,
        positive_weight: 1.,
    };
    let mut parameters = single(&gate_parameters(2, 63));
    parameters.extend(single(&numbers(
        config.network.n_parameters(),
        -0.5,
        0.5,
        64,
    )));
    let mut model = StageTwo::new(config, &parameters);
    let batches = Batches::new(&rows, &[2, 1], 32, 0..n_rows);
    for _ in 0..40 {
        model.epoch(&batches);
    }
    // Half of the rows are positive: whoever knows nothing has ln 2, .69.
    let loss = model.task_loss_of(&batches);
    assert!(loss < 0.2, "{loss}");
    let gate = &model.parameters()[..14];
    assert!(gate[..2].iter().all(|w| *w >= 0.2) && gate[2..4].iter().all(|b| *b >= 0.));
    assert!(gate[4..8].iter().all(|w| w.abs() <= 0.3));
    assert!((gate[9] - gate[10]).abs() < f32::EPSILON, "{gate:?}");
    assert!(gate[8..12].iter().all(|x| (0. ..=1.).contains(x)));
    assert!(
        gate[12] > 2.,
        "a negative penalty opens the gate: {}",
        gate[12]
    );
}

#[test]
fn one_step_of_stage_one_has_the_loss_and_the_gradient_of_the_reference() {
    for (n_features, n_hidden, n_rows) in [(4, 12, 64), (3, 5, 20)] {
        let parameters = numbers(n_hidden * (n_features + 1) + n_features, -1., 1., 70);
        let clean = numbers(n_rows * n_features, -2., 2., 71);
        let corrupted = numbers(n_rows * n_features, -2., 2., 72);
        let loss = |parameters: &[f64]| -> f64 {
            let (weight, biases) = parameters.split_at(n_hidden * n_features);
            let (encoder, decoder) = biases.split_at(n_hidden);
            let rows = clean.chunks(n_features).zip(corrupted.chunks(n_features));
            let total: f64 = rows
                .map(|(clean, row)| {
                    let hidden: Vec<f64> = (0..n_hidden)
                        .map(|u| {
                            let weights = &weight[u * n_features..];
                            let sum: f64 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
                            1. / (1. + (-sum - encoder[u]).exp())
                        })
                        .collect();
                    (0..n_features)
                        .map(|f| {
                            let sum: f64 = (0..n_hidden)
                                .map(|u| hidden[u] * weight[u * n_features + f])
                                .sum();
                            (sum + decoder[f] - clean[f]).powi(2)
                        })
                        .sum::<f64>()
                })
                .sum();
            total / n_rows as f64
        };
        let config = StageOneConfig {
            n_features,
            n_hidden,
            batch_size: n_rows,
            learning_rate: 1e-3,
        };
        let mut model = StageOne::new(config, &single(&parameters));
        let found = model.epoch(&single(&clean), &single(&corrupted));
        let expected = loss(&parameters);
        assert!(
            (found - expected).abs() < 2e-6 * expected,
            "{found} {expected}"
        );
        let expected = differences(&parameters, loss);
        assert_near(&model.first_gradient(), &expected, 1e-5, "gradient");
    }
}

fn autoencoder(parameters: &[f64], n_hidden: usize, n_features: usize) -> Autoencoder<'_, f64> {
    let (weight, biases) = parameters.split_at(n_hidden * n_features);
    let (encoder_bias, decoder_bias) = biases.split_at(n_hidden);
    Autoencoder {
        weight,
        encoder_bias,
        decoder_bias,
    }
}

#[test]
fn scores_are_those_of_the_parts() {
    let n_rows = 300;
    let rows = numbers(n_rows * 7, -2., 2., 80);
    let autoencoders = [
        numbers(5 * 5 + 4, -1., 1., 81),
        numbers(6 * 4 + 3, -1., 1., 82),
    ];
    let gate = gate_parameters(2, 83);
    let shares = numbers(2 * 8, -1., 1., 85);
    let network = Network {
        widths: vec![7, 5, 1],
    };
    let network_parameters = numbers(network.n_parameters(), -1., 1., 84);
    let minimum = [-3., -4.];
    let fronts = [
        Front::Open,
        Front::Softmax {
            parameters: &shares,
        },
        Front::Emma {
            autoencoders: vec![
                autoencoder(&autoencoders[0], 5, 4),
                autoencoder(&autoencoders[1], 6, 3),
            ],
            gate: Gate {
                parameters: &gate,
                minimum_potential: &minimum,
                coldness: 0.2,
            },
        },
    ];
    for front in fronts {
        let has_emma = matches!(front, Front::Emma { .. });
        let (mut expected, mut potentials) = (Vec::new(), Vec::new());
        let mut seen: [Vec<f64>; 4] = Default::default();
        for row in rows.chunks(7) {
            let attention = match front {
                Front::Open => vec![1., 1.],
                Front::Softmax { parameters } => {
                    let weights = [0, 1].map(|mode| {
                        let weight = &parameters[mode * 7..][..7];
                        let sum: f64 = weight.iter().zip(row).map(|(w, x)| w * x).sum();
                        (sum + parameters[14 + mode]).exp()
                    });
                    weights
                        .map(|weight| weight / (weights[0] + weights[1]))
                        .into()
                }
                Front::Emma { .. } => {
                    let of_row = [
                        potential_row(&autoencoders[0], 5, &row[..4]),
                        potential_row(&autoencoders[1], 6, &row[4..]),
                    ];
                    potentials.extend(of_row);
                    let parts = gate_row(&gate, &minimum, 0.2, &of_row);
                    for (seen, part) in seen.iter_mut().zip(&parts) {
                        seen.extend(part);
                    }
                    let [.., attention] = parts;
                    attention
                }
            };
            let weighted: Vec<f64> = row
                .iter()
                .enumerate()
                .map(|(f, x)| x * attention[usize::from(f >= 4)])
                .collect();
            let logit = perceptron_row(&network.widths, &network_parameters, &weighted);
            expected.push(1. / (1. + (-logit).exp()));
        }
        let scorer = Scorer {
            mode_widths: vec![4, 3],
            front,
            network: network.clone(),
            network_parameters: &network_parameters,
        };
        let mut probabilities = vec![0.; n_rows];
        scorer.probabilities(&rows, &mut probabilities);
        assert_near(&probabilities, &expected, 1e-13, "probability");
        for (row, together) in rows.chunks(7).zip(&probabilities) {
            let mut alone = [0.];
            scorer.probabilities(row, &mut alone);
            assert_eq!(alone[0].to_bits(), together.to_bits());
        }
        if has_emma {
            let mut found = [vec![0.; n_rows * 2], vec![0.; n_rows * 8]];
            let mut again = vec![0.; n_rows];
            let [of_modes, gate] = &mut found;
            let scores = Scores {
                probabilities: &mut again,
                potentials: of_modes,
                gate,
            };
            scorer.scores(&rows, scores);
            assert_eq!(again, probabilities);
            assert_near(&found[0], &potentials, 1e-13, "potential");
            assert_near(&found[1], &seen.concat(), 1e-12, "gate");
        }
    }
}

#[test]
fn no_rows_give_nothing() {
    let gate = Gate {
        parameters: &gate_parameters(2, 90),
        minimum_potential: &[0., 0.],
        coldness: 0.3,
    };
    let mut of_parameters = vec![0.; n_parameters(2)];
    gate.forward(&[], &mut []);
    gate.backward(&[], &[], &[], &mut [], &mut of_parameters);
    let numbers = numbers(13, -1., 1., 91);
    let autoencoder = Autoencoder {
        weight: &numbers[..6],
        encoder_bias: &numbers[..3],
        decoder_bias: &numbers[..2],
    };
    autoencoder.energies(&[], &mut []);
    autoencoder.backward(&[], &[], &mut [], &mut of_parameters);
    let scorer = Scorer {
        mode_widths: vec![2, 2],
        front: Front::Emma {
            autoencoders: vec![autoencoder; 2],
            gate,
        },
        network: Network { widths: vec![4, 1] },
        network_parameters: &numbers[..5],
    };
    scorer.probabilities(&[], &mut []);
    assert!(of_parameters.iter().all(|&value| value == 0.));
}

#[test]
fn affine_maps_are_sums_in_order_and_a_row_has_the_same_bits_alone() {
    for [n_rows, n_inputs, n_outputs] in [[1, 1, 1], [3, 5, 7], [70, 13, 6], [257, 0, 2], [4, 3, 0]]
    {
        let weight = numbers(n_inputs * n_outputs, -1., 1., 1);
        let bias = numbers(n_outputs, -1., 1., 2);
        let rows = numbers(n_rows * n_inputs, -2., 2., 3);
        for rectified in [false, true] {
            let affine = Affine {
                weight: &weight,
                bias: &bias,
                rectified,
            };
            let mut found = vec![f64::NAN; n_rows * n_outputs];
            affine.outputs(&rows, &mut found);
            let expected: Vec<f64> = (0..n_rows * n_outputs)
                .map(|place| {
                    let (row, output) = (place / n_outputs, place % n_outputs);
                    let row = &rows[row * n_inputs..][..n_inputs];
                    let weight = &weight[output * n_inputs..][..n_inputs];
                    let products = row.iter().zip(weight).map(|(x, w)| x * w);
                    let sum = bias[output] + products.sum::<f64>();
                    if rectified { sum.max(0.) } else { sum }
                })
                .collect();
            assert_near(&found, &expected, 1e-14, "affine");
            let in_f32 = Affine {
                weight: &single(&weight),
                bias: &single(&bias),
                rectified,
            };
            let mut singles = vec![f32::NAN; n_rows * n_outputs];
            in_f32.outputs(&single(&rows), &mut singles);
            let wide: Vec<f64> = singles.iter().map(|&value| value.into()).collect();
            assert_near(&wide, &expected, 1e-6, "affine in f32");
            let last = n_rows - 1;
            let mut alone = vec![f32::NAN; n_outputs];
            in_f32.outputs(&single(&rows[last * n_inputs..]), &mut alone);
            assert_eq!(alone, singles[last * n_outputs..]);
        }
    }
    let mut not_a_number = [0.];
    let affine = Affine {
        weight: &[1.],
        bias: &[0.],
        rectified: true,
    };
    affine.outputs(&[f64::NAN], &mut not_a_number);
    assert!(not_a_number[0].is_nan());
}

/// Two families of states, three components in two classes.
fn noisy_mixture() -> NoisyMixture<f64> {
    let mut seed = 0;
    let mut drawn = |n: usize, low: f64, high: f64| {
        seed += 1;
        numbers(n, low, high, seed)
    };
    let whole = Arc::new(Whitening {
        columns: vec![2, 0, 1],
        n_scaled: 1,
        means: drawn(3 * 3, -1., 1.),
        factors: drawn(3 * 6, -1., 1.),
    });
    let alone = Arc::new(Whitening {
        columns: vec![1],
        n_scaled: 0,
        means: drawn(3, -1., 1.),
        factors: drawn(3, 0.5, 1.),
    });
    let mut state = |n_scaled: usize, n_kept: usize, targets: Vec<usize>, terms: Vec<usize>| {
        let n_targets = targets.len();
        Arc::new(NoiseState {
            terms,
            log_constants: drawn(3, -2., 0.),
            precisions: drawn(3 * n_scaled, 0., 2.),
            n_kept,
            targets,
            offsets: drawn(3 * n_targets, -1., 1.),
            gains: drawn(3 * n_targets * n_kept, -1., 1.),
        })
    };
    let families = vec![
        NoiseFamily {
            whitening: whole,
            states: vec![
                state(1, 3, vec![0, 2], Vec::new()),
                state(1, 2, vec![1], vec![0]),
            ],
        },
        NoiseFamily {
            whitening: alone,
            states: vec![state(0, 1, vec![0, 2], vec![0, 1])],
        },
    ];
    NoisyMixture {
        n_features: 3,
        n_terms: 2,
        classes: vec![0, 2, 3],
        families,
    }
}

/// `t_k` of a row.
fn mixture_term(
    whitening: &Whitening<f64>,
    state: &NoiseState<f64>,
    k: usize,
    difference: &[f64],
    row_terms: &[f64],
) -> f64 {
    let n = whitening.columns.len();
    let n_fixed = n - whitening.n_scaled;
    let mut factors = whitening.factors[k * whitening.factors.len() / 3..].iter();
    let mut term = state.log_constants[k];
    term += state.terms.iter().map(|&own| row_terms[own]).sum::<f64>();
    for output in 0..n {
        let n_inputs = if output < n_fixed { output + 1 } else { n };
        let inputs = difference[..n_inputs].iter();
        let y: f64 = inputs.map(|d| factors.next().unwrap() * d).sum();
        let precision = match output.checked_sub(n_fixed) {
            Some(place) => state.precisions[k * whitening.n_scaled + place],
            None => 1.,
        };
        term -= precision * y * y / 2.;
    }
    term
}

/// Sums of classes, of states, and of features, weights as they are.
fn mixture_sums(mixture: &NoisyMixture<f64>, x: &[f64], row_terms: &[f64]) -> [Vec<f64>; 3] {
    let [mut of_classes, mut of_states, mut expected] = [vec![0.; 2], vec![0.; 3], vec![0.; 3]];
    let states = mixture.families.iter().flat_map(|family| {
        let states = family.states.iter();
        states.map(|state| (&family.whitening, state))
    });
    for (s, (whitening, state)) in states.enumerate() {
        let n = whitening.columns.len();
        for k in 0..3 {
            let difference: Vec<f64> = (0..n)
                .map(|i| x[whitening.columns[i]] - whitening.means[k * n + i])
                .collect();
            let weight = mixture_term(whitening, state, k, &difference, row_terms).exp();
            of_classes[k / 2] += weight;
            of_states[s] += weight;
            for &column in &whitening.columns[..state.n_kept] {
                expected[column] += weight * x[column];
            }
            for (place, &target) in state.targets.iter().enumerate() {
                let place = k * state.targets.len() + place;
                let gains = &state.gains[place * state.n_kept..][..state.n_kept];
                let change: f64 = gains.iter().zip(&difference).map(|(g, d)| g * d).sum();
                expected[target] += weight * (state.offsets[place] + change);
            }
        }
    }
    [of_classes, of_states, expected]
}

#[test]
fn a_mixture_seen_through_noise_is_the_sum_over_its_states() {
    const N_ROWS: usize = 37;
    let mixture = noisy_mixture();
    let rows = numbers(N_ROWS * 3, -2., 2., 91);
    let row_terms = numbers(N_ROWS * 2, -1., 1., 92);
    let (mut log_joint, mut weights) = (vec![0.; N_ROWS * 2], vec![0.; N_ROWS * 3]);
    let mut expectation = vec![0.; N_ROWS * 3];
    mixture.posterior(
        &rows,
        &row_terms,
        MixturePosterior {
            log_joint: &mut log_joint,
            state_weights: &mut weights,
            expectation: &mut expectation,
        },
    );
    for (row, x) in rows.chunks_exact(3).enumerate() {
        let terms = &row_terms[row * 2..][..2];
        let [of_classes, of_states, expected] = mixture_sums(&mixture, x, terms);
        let total: f64 = of_classes.iter().sum();
        let logarithms: Vec<f64> = of_classes.iter().map(|sum| sum.ln()).collect();
        assert_near(&log_joint[row * 2..][..2], &logarithms, 1e-13, "log joint");
        let shares: Vec<f64> = of_states.iter().map(|sum| sum / total).collect();
        assert_near(&weights[row * 3..][..3], &shares, 1e-13, "state weights");
        let expected: Vec<f64> = expected.iter().map(|sum| sum / total).collect();
        assert_near(
            &expectation[row * 3..][..3],
            &expected,
            1e-13,
            "expectation",
        );
    }
}

/// Steps without a gradient.
struct Idle<'a> {
    adam: &'a mut Adam,
    n_steps: usize,
}

impl Task<f32> for Idle<'_> {
    type Output = ();

    fn run<S: Level, const V: usize>(self, simd: S) {
        for _ in 0..self.n_steps {
            self.adam.step::<S, V>(simd);
        }
    }
}

/// By themselves decayed means end at the smallest number there is, and stay there.
#[test]
fn adam_forgets_what_has_no_gradient() {
    let mut adam = Adam::new(&[0.5, -0.5], 1e-3);
    adam.remember(&Memory {
        n_steps: 1000,
        mean: vec![1e-29, 1e-3],
        mean_square: vec![1e-35, 1e-2],
    });
    f32::dispatch(Idle {
        adam: &mut adam,
        n_steps: 3000,
    });
    let memory = adam.memory();
    assert_eq!(memory.mean, [0., 0.]);
    assert_eq!(memory.mean_square[0].to_bits(), 0);
    assert!(memory.mean_square[1] > 1e-4);
    assert_eq!(adam.parameters()[0].to_bits(), 0.5f32.to_bits());
    assert!(adam.parameters()[1] < -0.5);
}

#[test]
#[should_panic(expected = "batch size and features a mode")]
fn batches_of_another_size_are_refused() {
    let config = StageTwoConfig {
        mode_widths: vec![1],
        gate: GateConfig::Open,
        network: Network { widths: vec![1, 1] },
        batch_size: 32,
        learning_rate: 1e-3,
        positive_weight: 1.,
    };
    let rows = Rows {
        modes: vec![&[1., 2.]],
        potentials: &[],
        signs: &[],
        labels: &[0., 1.],
    };
    let batches = Batches::new(&rows, &[1], 64, 0..2);
    StageTwo::new(config, &[0., 0.]).epoch(&batches);
}

/// The instruction set is chosen once a process: these tests again, in others.
#[test]
fn narrower_instruction_sets_pass_the_same_tests() {
    let variable = crate::InstructionSet::VARIABLE;
    if std::env::var_os(variable).is_some() {
        return;
    }
    for set in ["base", "avx2"] {
        let tests = std::env::current_exe().unwrap();
        let output = std::process::Command::new(tests)
            .env(variable, set)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{set}: {printed}");
    }
}

#[test]
fn tied_exponents_begin_at_their_mean_and_share_its_gradient() {
    let n_rows = 40;
    let config = StageTwoConfig {
        mode_widths: vec![2, 1],
        gate: GateConfig::Emma {
            minimum_potential: vec![0., 0.],
            coldness: 0.3,
            capacity_weight: 0.,
            capacity_minus_bias: false,
            energy_weight: 0.1,
            minimum_self_weight: 1e-3,
            coupling_limit: 1.,
            symmetric: true,
        },
        network: Network {
            widths: vec![3, 4, 1],
        },
        batch_size: n_rows,
        learning_rate: 1e-3,
        positive_weight: 1.,
    };
    let mut parameters = gate_parameters(2, 100);
    parameters.extend(numbers(config.network.n_parameters(), -0.6, 0.6, 104));
    let signs = numbers(n_rows * 2, -1., 1., 105);
    let data = [
        numbers(n_rows * 2, -2., 2., 106),
        numbers(n_rows, -2., 2., 107),
        numbers(n_rows * 2, 0., 10., 108),
        signs.iter().map(|sign| sign.signum()).collect(),
        numbers(n_rows, 0., 1., 109)
            .iter()
            .map(|y| y.round())
            .collect(),
    ];
    let in_f32: Vec<Vec<f32>> = data.iter().map(|values| single(values)).collect();
    let rows = Rows {
        modes: vec![&in_f32[0], &in_f32[1]],
        potentials: &in_f32[2],
        signs: &in_f32[3],
        labels: &in_f32[4],
    };
    let batches = Batches::new(&rows, &config.mode_widths, n_rows, 0..n_rows);
    let mut model = StageTwo::new(config.clone(), &single(&parameters));
    model.epoch(&batches);
    let mean = |pair: &mut [f64]| {
        let mean = f64::midpoint(pair[1], pair[2]);
        (pair[1], pair[2]) = (mean, mean);
    };
    mean(&mut parameters[8..12]);
    let mut expected = differences(&parameters, |changed| {
        stage_two_loss(&config, changed, &data)
    });
    assert!(
        (expected[9] - expected[10]).abs() > 1e-4,
        "a case that tells"
    );
    mean(&mut expected[8..12]);
    assert_near(&model.first_gradient(), &expected, 3e-6, "gradient");
}
