//! Steps 2 to 4 fused, against their definition: values, all gradients, errors, on the CPU.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use common::{Forward, NAMES};
use emma_attention::{
    Coldness, CouplingExponent, CouplingLimit, Emma, EmmaConfig, EmmaOutput, PotentialEnergies,
};
use emma_energy::SeededVarMap;
use emma_testkit::tolerance::{assert_alike, assert_close, values};
use proptest::prelude::*;
use rand::Rng;

const CPU: Device = Device::Cpu;
const FUSED: Forward = Emma::forward;
const BY_CANDLE: Forward = Emma::forward_by_candle;

/// The six parameters in the order of [`NAMES`], minimum potentials, potentials and a cotangent of each
/// of the four stages; the same numbers whatever the type.
#[derive(Clone)]
struct Case {
    config: EmmaConfig,
    parameters: [Tensor; 6],
    minimum: Tensor,
    potentials: Tensor,
    cotangents: [Tensor; 4],
}

impl Case {
    fn random(n_modes: usize, n_rows: usize, seed: u64, dtype: DType) -> Self {
        let mut rng = emma_testkit::rng(seed);
        let mut uniform = |shape: &[usize], low: f32, high: f32| {
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| rng.random_range(low..high))
                .collect();
            let tensor = Tensor::from_vec(values, shape, &CPU).unwrap();
            tensor.to_dtype(dtype).unwrap()
        };
        let limit = 1. / (n_modes - 1) as f32;
        let square = [n_modes, n_modes];
        let rows = [n_rows, n_modes];
        Self {
            config: EmmaConfig {
                n_modes,
                coldness: Coldness::new(0.2).unwrap(),
                coupling_limit: CouplingLimit::SharedAmongModes,
                coupling_exponent: CouplingExponent::Free,
                ..EmmaConfig::default()
            },
            parameters: [
                uniform(&[n_modes], 0.3, 2.),
                uniform(&[n_modes], 0.1, 1.5),
                uniform(&square, -limit, limit),
                uniform(&square, 0., 1.),
                uniform(&[1], 1., 4.),
                uniform(&[1], 0.05, 0.3),
            ],
            minimum: uniform(&[n_modes], -3., 3.),
            potentials: uniform(&rows, -6., 12.),
            cotangents: [0; 4].map(|_| uniform(&rows, -1., 1.)),
        }
    }

    fn emma(&self) -> (Emma, Vec<Var>) {
        let variables = SeededVarMap::new(emma_testkit::rng(0));
        for (name, tensor) in NAMES.iter().zip(&self.parameters) {
            variables.preset(name, tensor).unwrap();
        }
        let vb = variables.var_builder(self.minimum.dtype(), &CPU);
        let emma = Emma::new(&self.config, &self.minimum, &vb).unwrap();
        (emma, variables.all_vars())
    }

    fn output(&self, path: Forward) -> Result<EmmaOutput, String> {
        let (emma, _) = self.emma();
        let potentials = PotentialEnergies::new(self.potentials.clone()).unwrap();
        let n_rows = self.potentials.dims()[0];
        let mode = Tensor::ones((n_rows, 1), self.potentials.dtype(), &CPU).unwrap();
        let modes = vec![mode; self.config.n_modes];
        // Below it may stand where it came from.
        path(&emma, &modes, &potentials)
            .map_err(|error| error.to_string().lines().next().unwrap().to_owned())
    }

    /// Stages, total energy, and the gradients of parameters and potentials if the stages count as the
    /// cotangents say.
    fn everything(&self, path: Forward) -> Vec<(&'static str, Vec<f64>)> {
        let (emma, vars) = self.emma();
        let potentials = Var::from_tensor(&self.potentials).unwrap();
        let input = PotentialEnergies::new(potentials.as_tensor().clone()).unwrap();
        let mode = Tensor::ones((self.potentials.dims()[0], 1), emma.dtype(), &CPU).unwrap();
        let output = path(&emma, &vec![mode; self.config.n_modes], &input).unwrap();
        let stages = stages(&output);
        let loss = stages
            .iter()
            .zip(&self.cotangents)
            .map(|((_, stage), cotangent)| (*stage * cotangent).unwrap().sum_all().unwrap())
            .reduce(|sum, term| (sum + term).unwrap())
            .unwrap();
        let gradients = loss.backward().unwrap();
        let mut all: Vec<_> = stages
            .iter()
            .map(|(name, stage)| (*name, values(stage).unwrap()))
            .collect();
        all.push(("total energy", values(&output.total_energy).unwrap()));
        let vars = NAMES.iter().zip(&vars);
        for (&name, var) in vars.chain([(&"potentials", &potentials)]) {
            all.push((name, values(gradients.get(var).unwrap()).unwrap()));
        }
        all
    }
}

fn stages(output: &EmmaOutput) -> [(&'static str, &Tensor); 4] {
    [
        ("self-energies", output.self_energies.as_tensor()),
        ("modal energies", output.modal_energies.as_tensor()),
        ("log-importance", output.log_importance.as_tensor()),
        ("attention", output.attention.as_tensor()),
    ]
}

/// Whether no attention is so near its threshold, and no potential so near its minimum, that the last
/// digit of f32 decides about a gradient.
fn away_from_kinks(case: &Case) -> bool {
    let output = case.output(BY_CANDLE).unwrap();
    let [.., gain, bias] = case
        .parameters
        .each_ref()
        .map(|tensor| values(tensor).unwrap());
    let excess = case.potentials.broadcast_sub(&case.minimum).unwrap();
    let log_importance = values(output.log_importance.as_tensor()).unwrap();
    values(&excess)
        .unwrap()
        .iter()
        .all(|excess| excess.abs() > 1e-5)
        && log_importance
            .iter()
            .all(|log| (gain[0] * log.exp() - bias[0]).abs() > 1e-4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Terms of modal energies and of all gradients are as large as energies (some tens), and may cancel; a
    /// difference of energies times the coldness decides about importance. So an error is measured by the
    /// largest energy of the batch too.
    #[test]
    fn values_and_gradients_are_those_of_the_definition(
        n_modes in 2usize..=9, n_rows in 1usize..=70, seed: u64, tied: bool,
    ) {
        let case = |dtype: DType| {
            let mut case = Case::random(n_modes, n_rows, seed, dtype);
            if tied {
                case.config.coupling_exponent = CouplingExponent::Symmetric;
            }
            case
        };
        let wide = case(DType::F64);
        prop_assume!(away_from_kinks(&wide));
        let expected = wide.everything(BY_CANDLE);
        let energy = expected[0].1.iter().fold(1f64, |largest, &energy| largest.max(energy));
        for (dtype, relative, absolute) in [(DType::F64, 1e-12, 1e-14), (DType::F32, 1e-6, 1e-6)] {
            let found = case(dtype).everything(FUSED);
            for ((name, expected), (_, found)) in expected.iter().zip(&found) {
                let scale = expected.iter().fold(energy, |scale, value| scale.max(value.abs()));
                let name = format!("{name} in {dtype:?}");
                assert_close(&name, found, expected, relative, absolute * scale);
            }
        }
    }
}

#[track_caller]
fn assert_same_answer(what: &str, case: &Case) {
    match (case.output(FUSED), case.output(BY_CANDLE)) {
        (Ok(fused), Ok(reference)) => {
            for ((name, fused), (_, reference)) in stages(&fused).iter().zip(stages(&reference)) {
                assert!(fused.is_contiguous(), "{what}: {name}");
                assert_eq!(fused.dims(), reference.dims(), "{what}: {name}");
                assert_eq!(fused.dtype(), reference.dtype(), "{what}: {name}");
                let [fused, reference] = [fused, reference].map(|tensor| values(tensor).unwrap());
                assert_alike(&format!("{what}: {name}"), &fused, &reference, 1e-5, 1e-5);
            }
        }
        (fused, reference) => assert_eq!(fused.err(), reference.err(), "{what}"),
    }
}

#[test]
fn views_of_any_layout_are_read_by_their_shape() {
    for dtype in [DType::F32, DType::F64] {
        let wide = Case::random(6, 40, 1, dtype).potentials;
        let views = [
            (
                "no rows",
                wide.narrow(0, 0, 0).unwrap().narrow(1, 0, 3).unwrap(),
            ),
            (
                "one row",
                wide.narrow(0, 6, 1).unwrap().narrow(1, 2, 3).unwrap(),
            ),
            ("columns of more", wide.narrow(1, 1, 3).unwrap()),
            (
                "an offset",
                wide.narrow(1, 0, 3)
                    .unwrap()
                    .contiguous()
                    .unwrap()
                    .narrow(0, 5, 7)
                    .unwrap(),
            ),
            (
                "transposed",
                wide.t()
                    .unwrap()
                    .contiguous()
                    .unwrap()
                    .narrow(0, 0, 3)
                    .unwrap()
                    .t()
                    .unwrap(),
            ),
            (
                "broadcast rows",
                wide.narrow(0, 0, 1)
                    .unwrap()
                    .narrow(1, 0, 3)
                    .unwrap()
                    .broadcast_as((33, 3))
                    .unwrap(),
            ),
            (
                "broadcast modes",
                wide.narrow(1, 0, 1).unwrap().broadcast_as((40, 3)).unwrap(),
            ),
        ];
        for (what, potentials) in views {
            let mut case = Case::random(3, 1, 2, dtype);
            case.potentials = potentials;
            assert_same_answer(what, &case);
            // Parameters too.
            case.parameters[3] = case.parameters[3].t().unwrap();
            case.minimum = case
                .minimum
                .narrow(0, 0, 1)
                .unwrap()
                .broadcast_as(3)
                .unwrap();
            assert_same_answer(what, &case);
        }
    }
}

#[test]
fn other_types_and_mixtures_get_the_same_answer_or_error() {
    let plain = Case::random(3, 5, 3, DType::F32);
    let types = [DType::F32, DType::F64, DType::F16, DType::BF16, DType::U8];
    for of_minimum in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        for of_potentials in types {
            for of_parameters in [DType::F32, DType::F64, DType::F16] {
                let mut case = plain.clone();
                case.minimum = plain.minimum.to_dtype(of_minimum).unwrap();
                case.potentials = plain.potentials.to_dtype(of_potentials).unwrap();
                for tensor in &mut case.parameters {
                    *tensor = tensor.to_dtype(of_parameters).unwrap();
                }
                let what = format!("{of_minimum:?}, {of_potentials:?}, {of_parameters:?}");
                assert_same_answer(&what, &case);
            }
        }
    }
    for (number, name) in NAMES.iter().enumerate() {
        let mut case = plain.clone();
        case.parameters[number] = case.parameters[number].to_dtype(DType::F64).unwrap();
        assert_same_answer(name, &case);
    }
}

/// Values that no estimator should give, in potentials, minimum potentials and every parameter, in the
/// first row or the last; and the gradients.
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
            0.,
            -3.,
            1e-320,
        ];
        for place in 0..8 {
            for (number, &value) in wild.iter().enumerate() {
                let mut case = Case::random(3, 35, 5, dtype);
                let tensor = match place {
                    0..6 => &mut case.parameters[place],
                    6 => &mut case.minimum,
                    _ => &mut case.potentials,
                };
                let mut numbers = values(tensor).unwrap();
                // On no diagonal.
                let position = match numbers.len() {
                    1 => 0,
                    _ if number % 2 == 0 => 1,
                    n => n - 2,
                };
                numbers[position] = value;
                let wild = Tensor::from_vec(numbers, tensor.shape(), &CPU).unwrap();
                *tensor = wild.to_dtype(dtype).unwrap();
                let what = format!("{dtype:?}: {value} in tensor {place}");
                for ((name, fused), (_, reference)) in case
                    .everything(FUSED)
                    .iter()
                    .zip(case.everything(BY_CANDLE))
                {
                    let name = format!("{what}: {name}");
                    let (mut fused, mut reference) = (fused.clone(), reference);
                    if name.contains("coupling") {
                        // The definition multiplies a diagonal that means nothing by 0; of NaN that is NaN.
                        for position in [0, 4, 8] {
                            (fused[position], reference[position]) = (0., 0.);
                        }
                    }
                    // Exponentials of large arguments lose digits in f32.
                    assert_alike(&name, &fused, &reference, 1e-3, 1e-3);
                }
            }
        }
    }
}

/// Couplings of one sign and of none, so that no difference of infinities hides another.
#[test]
fn an_infinite_potential_comes_out_as_in_the_definition() {
    for sign in [1., 0., -1.] {
        let mut case = Case::random(3, 2, 9, DType::F64);
        case.parameters[2] = (case.parameters[2].abs().unwrap() * sign).unwrap();
        let mut numbers = values(&case.potentials).unwrap();
        numbers[4] = f64::INFINITY;
        case.potentials = Tensor::from_vec(numbers, (2, 3), &CPU).unwrap();
        assert_same_answer(&format!("sign {sign}"), &case);
    }
}

/// Neither counts as masked: the gradient goes on, as it does in the definition.
#[test]
fn attention_of_exactly_zero_and_of_no_number_have_a_gradient() {
    let mut case = Case::random(2, 3, 6, DType::F64);
    case.parameters[4] = Tensor::zeros(1, DType::F64, &CPU).unwrap();
    case.parameters[5] = Tensor::zeros(1, DType::F64, &CPU).unwrap();
    let [fused, reference] = [FUSED, BY_CANDLE].map(|path| case.everything(path));
    for ((name, fused), (_, reference)) in fused.iter().zip(&reference) {
        assert_close(name, fused, reference, 1e-12, 1e-14);
    }
    assert!(fused[10].0 == "attention_bias" && fused[10].1[0].abs() > 1e-3);
    case.potentials = (case.potentials * f64::NAN).unwrap();
    for path in [FUSED, BY_CANDLE] {
        let everything = case.everything(path);
        assert!(everything[10].1[0].is_nan(), "{:?}", everything[10]);
    }
}

#[test]
fn the_largest_coldness_and_none_are_those_of_the_definition() {
    for dtype in [DType::F32, DType::F64] {
        for coldness in [0., 1e-30, 5., 999., 1001., 1e30, f64::MAX] {
            let mut case = Case::random(3, 34, 7, dtype);
            case.config.coldness = Coldness::new(coldness).unwrap();
            let [fused, reference] = [FUSED, BY_CANDLE].map(|path| case.output(path).unwrap());
            let [fused, reference] = [&fused, &reference].map(|output| {
                [
                    values(output.log_importance.as_tensor()),
                    values(output.attention.as_tensor()),
                ]
                .map(Result::unwrap)
            });
            // A last digit of the energies' differences, times the coldness.
            assert_alike("log-importance", &fused[0], &reference[0], 1e-4, 1e-4);
            assert_alike("attention", &fused[1], &reference[1], 1e-3, 1e-3);
        }
    }
}

#[test]
fn constants_leave_nothing_behind_for_a_gradient() {
    let case = Case::random(3, 5, 8, DType::F32);
    let named = NAMES.iter().zip(&case.parameters);
    let named = named.map(|(&name, tensor)| (name.to_owned(), tensor.clone()));
    let constants = VarBuilder::from_tensors(named.collect(), DType::F32, &CPU);
    let emma = Emma::new(&case.config, &case.minimum, &constants).unwrap();
    let modes = vec![Tensor::ones((5, 1), DType::F32, &CPU).unwrap(); 3];
    let potentials = PotentialEnergies::new(case.potentials.clone()).unwrap();
    let output = emma.forward(&modes, &potentials).unwrap();
    assert!(stages(&output).iter().all(|(_, stage)| !stage.track_op()));
    // Potentials are data here: only parameters have gradients.
    let (emma, vars) = case.emma();
    let output = emma.forward(&modes, &potentials).unwrap();
    let gradients = output
        .attention
        .as_tensor()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    assert!(gradients.get(&case.potentials).is_none());
    assert!(vars.iter().all(|var| gradients.get(var).is_some()));
}
