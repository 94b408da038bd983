//! The fused potential energy against its definition: values, all gradients, errors, on the CPU.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::Energy;
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, SeededVarMap, potential_energy,
    potential_energy_by_candle,
};
use emma_testkit::tolerance::{assert_alike, assert_close, values};
use proptest::prelude::*;
use rand::Rng;

const CPU: Device = Device::Cpu;

/// Numbers in `[-scale, scale)`, the same whatever the type.
fn uniform(shape: &[usize], scale: f64, seed: u64, dtype: DType) -> Tensor {
    let mut rng = emma_testkit::rng(seed);
    let values: Vec<f64> = (0..shape.iter().product())
        .map(|_| f64::from(rng.random_range(-1f32..1.)) * scale)
        .collect();
    let tensor = Tensor::from_vec(values, shape, &CPU).unwrap();
    tensor
        .to_dtype(DType::F32)
        .unwrap()
        .to_dtype(dtype)
        .unwrap()
}

/// An autoencoder whose three parameters are variables.
fn autoencoder(parameters: [&Tensor; 3]) -> (DenoisingAutoencoder, Vec<Var>) {
    let variables = SeededVarMap::new(emma_testkit::rng(0));
    let (n_hidden, n_features) = parameters[0].dims2().unwrap();
    let names = ["weight", "encoder_bias", "decoder_bias"];
    for (name, tensor) in names.iter().zip(parameters) {
        variables.preset(name, tensor).unwrap();
    }
    let config = AutoencoderConfig {
        n_features,
        n_hidden,
    };
    let vb = variables.var_builder(parameters[0].dtype(), &CPU);
    let autoencoder = DenoisingAutoencoder::new(&config, &vb).unwrap();
    (autoencoder, variables.all_vars())
}

fn random(n_features: usize, n_hidden: usize, seed: u64, dtype: DType) -> [Tensor; 3] {
    [
        uniform(&[n_hidden, n_features], 1., seed, dtype),
        uniform(&[n_hidden], 1., seed ^ 1, dtype),
        uniform(&[n_features], 1., seed ^ 2, dtype),
    ]
}

/// Energies, and the gradients of weight, biases and rows if energy k counts `cotangent[k]`.
fn everything(
    energy: Energy,
    parameters: &[Tensor; 3],
    rows: &Tensor,
    cotangent: &Tensor,
) -> [Vec<f64>; 5] {
    let (autoencoder, vars) = autoencoder(parameters.each_ref());
    let rows = Var::from_tensor(rows).unwrap();
    let energies = energy(&autoencoder, &rows).unwrap();
    let loss = (&energies * cotangent).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    let gradient = |var: &Var| values(gradients.get(var).unwrap()).unwrap();
    [
        values(&energies).unwrap(),
        gradient(&vars[0]),
        gradient(&vars[1]),
        gradient(&vars[2]),
        gradient(&rows),
    ]
}

const NAMES: [&str; 5] = ["energy", "weight", "encoder_bias", "decoder_bias", "rows"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// An energy is a difference of sums, and so are its gradients: an error is as large as a last digit
    /// of their terms, not of their result. Terms of an energy add up to `scale`; those of a gradient,
    /// to as much as the energies count times rows, weights and biases (at most 2, 1 and 1).
    #[test]
    fn values_and_gradients_are_those_of_the_definition(
        n in 1usize..=70, n_features in 1usize..=9, n_hidden in 1usize..=20, seed: u64,
    ) {
        let case = |energy: Energy, dtype: DType| {
            let parameters = random(n_features, n_hidden, seed, dtype);
            let rows = uniform(&[n, n_features], 2., seed ^ 3, dtype);
            everything(energy, &parameters, &rows, &uniform(&[n], 1., seed ^ 4, dtype))
        };
        let expected = case(potential_energy_by_candle, DType::F64);
        let scale = (n_hidden * (2 * n_features + 1)) as f64 + 4.5 * n_features as f64;
        let of_row = 3. + n_hidden as f64;
        let of_parameters = 3. * n as f64;
        let scales = [scale, of_parameters, of_parameters, of_parameters, of_row];
        for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 3e-7)] {
            let found = case(potential_energy, dtype);
            for ((name, scale), (found, expected)) in
                NAMES.iter().zip(scales).zip(found.iter().zip(&expected))
            {
                let relative = if dtype == DType::F64 { 1e-12 } else { 1e-6 };
                let name = format!("{name} in {dtype:?}");
                assert_close(&name, found, expected, relative, tolerance * scale);
            }
        }
    }
}

/// What one of the ways says: energies, or an error in words.
fn said(
    energy: Energy,
    autoencoder: &DenoisingAutoencoder,
    rows: &Tensor,
) -> Result<Vec<f64>, String> {
    match energy(autoencoder, rows) {
        Ok(energies) => {
            assert_eq!(energies.dims(), [rows.dims()[0]]);
            Ok(values(&energies).unwrap())
        }
        // Below it may stand where it came from.
        Err(error) => Err(error.to_string().lines().next().unwrap().to_owned()),
    }
}

#[track_caller]
fn assert_same_answer(what: &str, autoencoder: &DenoisingAutoencoder, rows: &Tensor) {
    let [fused, reference] = [potential_energy, potential_energy_by_candle]
        .map(|path: Energy| said(path, autoencoder, rows));
    match (fused, reference) {
        (Ok(fused), Ok(reference)) => assert_alike(what, &fused, &reference, 1e-5, 1e-5),
        (fused, reference) => assert_eq!(fused, reference, "{what}"),
    }
}

#[test]
fn views_of_any_layout_are_read_by_their_shape() {
    for dtype in [DType::F32, DType::F64] {
        let (autoencoder, _) = autoencoder(random(3, 5, 1, dtype).each_ref());
        let wide = uniform(&[7, 6], 2., 2, dtype);
        let views = [
            (
                "no rows",
                wide.narrow(0, 0, 0).unwrap().narrow(1, 0, 3).unwrap(),
            ),
            (
                "one row",
                wide.narrow(0, 6, 1).unwrap().narrow(1, 2, 3).unwrap(),
            ),
            (
                "an offset",
                uniform(&[9, 3], 2., 3, dtype).narrow(0, 4, 5).unwrap(),
            ),
            ("columns of more", wide.narrow(1, 1, 3).unwrap()),
            ("transposed", uniform(&[3, 40], 2., 4, dtype).t().unwrap()),
            (
                "broadcast rows",
                uniform(&[1, 3], 2., 5, dtype)
                    .broadcast_as((33, 3))
                    .unwrap(),
            ),
            (
                "broadcast features",
                uniform(&[4, 1], 2., 6, dtype).broadcast_as((4, 3)).unwrap(),
            ),
        ];
        for (what, rows) in views {
            assert_same_answer(what, &autoencoder, &rows);
            let packed = rows.force_contiguous().unwrap();
            let energies = [&rows, &packed].map(|rows| said(potential_energy, &autoencoder, rows));
            assert_eq!(energies[0], energies[1], "{what}");
        }
    }
}

#[test]
fn other_types_shapes_and_mixtures_get_the_same_answer_or_error() {
    let rows = uniform(&[4, 3], 2., 1, DType::F32);
    let types = [
        DType::F32,
        DType::F64,
        DType::F16,
        DType::BF16,
        DType::U8,
        DType::I64,
    ];
    for of_parameters in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let parameters = random(3, 5, 1, of_parameters);
        let (autoencoder, _) = autoencoder(parameters.each_ref());
        for of_rows in types {
            let what = format!("{of_parameters:?} and {of_rows:?}");
            assert_same_answer(&what, &autoencoder, &rows.to_dtype(of_rows).unwrap());
        }
    }
    let [weight, encoder_bias, decoder_bias] = random(3, 5, 1, DType::F32);
    let wide = encoder_bias.to_dtype(DType::F64).unwrap();
    let (mixed, _) = autoencoder([&weight, &wide, &decoder_bias]);
    assert_same_answer("an encoder bias in f64", &mixed, &rows);
    let wide = decoder_bias.to_dtype(DType::F64).unwrap();
    let (mixed, _) = autoencoder([&weight, &encoder_bias, &wide]);
    assert_same_answer("a decoder bias in f64", &mixed, &rows);
    let (autoencoder, _) = autoencoder([&weight, &encoder_bias, &decoder_bias]);
    for shape in [
        &[4usize, 2][..],
        &[4, 4],
        &[3],
        &[],
        &[2, 4, 3],
        &[0, 2],
        &[4, 0],
    ] {
        let rows = Tensor::zeros(shape, DType::F32, &CPU).unwrap();
        assert_same_answer(&format!("{shape:?}"), &autoencoder, &rows);
    }
}

/// Values that no sensor gives, in rows and in every parameter, one at a time and beside others; the
/// gradients too.
#[test]
fn infinities_and_no_numbers_come_out_as_in_the_definition() {
    for dtype in [DType::F32, DType::F64] {
        let huge = if dtype == DType::F32 { 1e30 } else { 1e300 };
        let wild = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            huge,
            -huge,
            1e-320,
            0.,
        ];
        for place in 0..4 {
            for (number, &value) in wild.iter().enumerate() {
                let mut tensors: Vec<Tensor> = random(3, 5, 7, dtype).into();
                tensors.push(uniform(&[35, 3], 2., 8, dtype));
                let mut numbers = values(&tensors[place]).unwrap();
                // In the first row or the last, which the kernel treats apart.
                let position = if number % 2 == 0 {
                    0
                } else {
                    numbers.len() - 1
                };
                numbers[position] = value;
                let tensor = Tensor::from_vec(numbers, tensors[place].shape(), &CPU).unwrap();
                tensors[place] = tensor.to_dtype(dtype).unwrap();
                let [weight, encoder_bias, decoder_bias, rows] = tensors.try_into().unwrap();
                let parameters = [weight, encoder_bias, decoder_bias];
                let cotangent = uniform(&[35], 1., 9, dtype);
                let [fused, reference] = [potential_energy, potential_energy_by_candle]
                    .map(|path: Energy| everything(path, &parameters, &rows, &cotangent));
                for ((name, fused), reference) in NAMES.iter().zip(&fused).zip(&reference) {
                    let what = format!("{dtype:?}: {value} in tensor {place}: {name}");
                    assert_alike(&what, fused, reference, 1e-5, 1e-5);
                }
            }
        }
    }
}

#[test]
fn constants_leave_nothing_behind_for_a_gradient() {
    let (autoencoder, vars) = autoencoder(random(3, 5, 1, DType::F32).each_ref());
    let rows = uniform(&[4, 3], 2., 1, DType::F32);
    let energies = potential_energy(&autoencoder.frozen(), &rows).unwrap();
    assert!(!energies.track_op());
    // Only what is asked for: rows are data here.
    let energies = potential_energy(&autoencoder, &rows).unwrap();
    let gradients = energies.sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(&rows).is_none());
    assert!(vars.iter().all(|var| gradients.get(var).is_some()));
    let rows = Var::from_tensor(&rows).unwrap();
    let energies = potential_energy(&autoencoder.frozen(), &rows).unwrap();
    let gradients = energies.sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(&rows).is_some());
    assert!(gradients.get(autoencoder.frozen().weight()).is_none());
}
