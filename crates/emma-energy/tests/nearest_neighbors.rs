//! Distances to nearest neighbors against a search among all rows.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use emma_energy::{
    EnergyEstimator, EstimatorConfig, NearestNeighbors, NearestNeighborsConfig,
    NearestNeighborsFit, lowest_energy, transfer,
};
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, devices_with};
use proptest::prelude::*;
use rand::Rng;

fn fit(rows: &Tensor, n_neighbors: usize) -> NearestNeighbors {
    let fit = NearestNeighborsFit {
        n_neighbors,
        ..NearestNeighborsFit::default()
    };
    fit.fit(rows, &mut emma_testkit::rng(1)).unwrap()
}

/// The definition, word by word.
fn mean_distance(stored: &[Vec<f64>], row: &[f64], n_neighbors: usize) -> f64 {
    let mut distances: Vec<f64> = stored
        .iter()
        .map(|stored| {
            let squares = row.iter().zip(stored).map(|(a, b)| (a - b).powi(2));
            squares.sum::<f64>().sqrt()
        })
        .collect();
    distances.sort_by(f64::total_cmp);
    let start = usize::from(stored.iter().any(|stored| stored == row));
    distances[start..start + n_neighbors].iter().sum::<f64>() / n_neighbors as f64
}

proptest! {
    /// Coarse values make ties, duplicates and rows that are stored ones, fine ones none of them.
    #[test]
    fn energies_are_those_of_a_search_among_all_rows(
        n in 13usize..200, n_features in 1usize..6, n_neighbors in 1usize..12,
        levels in prop_oneof![1i32..6, Just(1 << 12)], seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let mut rng = emma_testkit::rng(seed);
            let mut draw = |n: usize| -> Vec<Vec<f64>> {
                let mut value = || f64::from(rng.random_range(-levels..=levels)) / 8.;
                (0..n).map(|_| (0..n_features).map(|_| value()).collect()).collect()
            };
            let (stored, mut probes) = (draw(n), draw(20));
            probes.extend_from_slice(&stored[..5]);
            let estimator = fit(&Tensor::new(stored.clone(), device).unwrap(), n_neighbors);
            let energies = estimator.energy(&Tensor::new(probes.clone(), device).unwrap()).unwrap();
            let expected: Vec<f64> =
                probes.iter().map(|row| mean_distance(&stored, row, n_neighbors)).collect();
            assert_close("energy", &values(&energies).unwrap(), &expected, 1e-14, 0.);
        }
    }

    #[test]
    fn the_gradient_is_that_of_central_differences(
        n_features in 1usize..5, n_neighbors in 1usize..4, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let mut rng = emma_testkit::rng(seed);
            let mut draw = |n: usize| {
                let values = (0..n * n_features).map(|_| rng.random_range(-1f64..1.)).collect();
                Tensor::from_vec(values, (n, n_features), device).unwrap()
            };
            // One row that is never a neighbor, so that neighbors do not change from step to step.
            let stored = Tensor::cat(&[draw(n_neighbors), (draw(1) - 1000.).unwrap()], 0).unwrap();
            let estimator = fit(&stored, n_neighbors);
            // Where no distance vanishes.
            let rows = Var::from_tensor(&(draw(2) + 30.).unwrap()).unwrap();
            let energy = || estimator.energy(&rows).map_err(candle_core::Error::wrap)?.sum_all();
            assert_gradients(&[("rows", &rows)], energy, 1e-7, 1e-8).unwrap();
        }
    }
}

#[test]
fn a_small_case_worked_by_hand() {
    for device in devices() {
        let stored = Tensor::new(&[[0f32], [1.], [4.], [10.]], device).unwrap();
        let estimator = fit(&stored, 2);
        let rows = Tensor::new(&[[2f32], [-3.], [20.], [1.]], device).unwrap();
        let energies = values(&estimator.energy(&rows).unwrap()).unwrap();
        // The last is a stored row: its neighbors are 0 and 4.
        assert_close("energy", &energies, &[1.5, 3.5, 13., 2.], 1e-6, 0.);
    }
}

/// Not its distance to itself: what is learned from training rows holds for new ones.
#[test]
fn a_training_row_is_no_neighbor_of_its_own() {
    for device in devices() {
        // In f64 where the device has it, tenths are no f32 numbers: rows are rounded, then equal.
        for dtype in [DType::F32, DType::F64] {
            if !emma_testkit::has_type(device, dtype) {
                continue;
            }
            let rows: Vec<Vec<f64>> = (0..40)
                .map(|row| vec![f64::from(row * row) / 10., f64::from(row) / 3.])
                .collect();
            let tensor = Tensor::new(rows.clone(), &Device::Cpu).unwrap();
            let tensor = transfer(&tensor, dtype, device).unwrap();
            let estimator = fit(&tensor, 1);
            let energies = values(&estimator.energy(&tensor).unwrap()).unwrap();
            for (row, energy) in energies.iter().enumerate() {
                let others: Vec<Vec<f64>> = rows
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != row)
                    .map(|(_, values)| values.clone())
                    .collect();
                let expected = mean_distance(&others, &rows[row], 1);
                assert_close("energy", &[*energy], &[expected], 1e-4, 0.);
            }
            assert!(lowest_energy(&estimator, &tensor).unwrap() > 0.3);
        }
    }
}

#[test]
fn a_value_that_many_rows_share_is_as_common_as_can_be() {
    for device in devices_with(DType::F64) {
        let mut rows = vec![vec![1f64, 2.]; 4];
        rows.extend([vec![4., 6.], vec![1., 7.]]);
        let estimator = fit(&Tensor::new(rows, device).unwrap(), 3);
        let probes = Var::new(&[[1f64, 2.], [4., 6.]], device).unwrap();
        let energies = estimator.energy(&probes).unwrap();
        let third = (5. + 5. + 10f64.sqrt()) / 3.;
        assert_close(
            "energy",
            &values(&energies).unwrap(),
            &[0., third],
            1e-14,
            0.,
        );
        let gradients = energies.sum_all().unwrap().backward().unwrap();
        let gradient = values(gradients.get(&probes).unwrap()).unwrap();
        assert_close(
            "gradient where all is zero",
            &gradient[..2],
            &[0., 0.],
            0.,
            0.,
        );
        assert!(gradient[2] > 0.1);
    }
}

/// On the CPU, which computes distances in f64.
#[test]
fn huge_and_tiny_distances_are_exact_in_f32() {
    let tiny = f32::from_bits(1);
    for scale in [1e30f32, 1., 1e-30, tiny] {
        let stored = Tensor::new(
            &[[0f32, 0.], [scale, scale], [4. * scale, 0.]],
            &Device::Cpu,
        );
        let estimator = fit(&stored.unwrap(), 1);
        let rows = Tensor::new(&[[4. * scale, 3. * scale]], &Device::Cpu).unwrap();
        let energy = estimator.energy(&rows).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(energy, [3. * scale]);
    }
}

#[test]
fn a_row_that_is_not_a_number_has_no_energy() {
    for device in devices() {
        let stored = Tensor::new(&[[0f32, 0.], [1., 1.], [4., 0.]], device).unwrap();
        let estimator = fit(&stored, 2);
        let rows = Tensor::new(&[[f32::NAN, 0.], [f32::INFINITY, 0.], [0., 0.]], device).unwrap();
        let energies = values(&estimator.energy(&rows).unwrap()).unwrap();
        assert!(energies[0].is_nan());
        assert!(energies[1] > f64::MAX);
        assert!(energies[2].is_finite());
    }
}

#[test]
fn of_too_many_rows_a_random_part_is_stored() {
    let rows: Vec<Vec<f32>> = (0..100u8).map(|row| vec![f32::from(row)]).collect();
    let rows = Tensor::new(rows, &Device::Cpu).unwrap();
    let fit = NearestNeighborsFit {
        n_neighbors: 2,
        max_rows: 30,
    };
    let stored = |seed| {
        let estimator = fit.fit(&rows, &mut emma_testkit::rng(seed)).unwrap();
        values(estimator.rows()).unwrap()
    };
    let first = stored(1);
    assert_eq!(first.len(), 30);
    // In their order, none twice.
    assert!(first.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(first, stored(1));
    assert_ne!(first, stored(2));
}

#[test]
fn what_makes_no_neighbors_is_refused() {
    let rows = |n: usize| Tensor::zeros((n, 2), DType::F32, &Device::Cpu).unwrap();
    let refusal = |n_neighbors, max_rows, n| {
        let fit = NearestNeighborsFit {
            n_neighbors,
            max_rows,
        };
        let result = fit.fit(&rows(n), &mut emma_testkit::rng(1));
        result.unwrap_err().to_string()
    };
    for (message, expected) in [
        (refusal(0, 10, 5), "n_neighbors must be at least 1, got 0"),
        (
            refusal(5, 5, 9),
            "max_rows must be more than n_neighbors, got 5",
        ),
        (
            refusal(5, 10, 0),
            "expected at least one row for nearest neighbors, got none",
        ),
        (
            refusal(5, 10, 5),
            "expected at least 6 rows for nearest neighbors, got 5",
        ),
    ] {
        assert_eq!(message, expected);
    }
    let load = |n_features, n_rows, n_neighbors| {
        let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let config = NearestNeighborsConfig {
            n_features,
            n_rows,
            n_neighbors,
        };
        let result = EstimatorConfig::NearestNeighbors(config).load(&vb);
        result.map(|_| ()).map_err(|error| error.to_string())
    };
    let refused = |message: &str| Err(message.to_owned());
    assert_eq!(
        load(0, 3, 1),
        refused("n_features must be at least 1, got 0")
    );
    assert_eq!(
        load(1, 3, 0),
        refused("n_neighbors must be at least 1, got 0")
    );
    assert_eq!(
        load(1, 3, 3),
        refused("n_rows must be more than n_neighbors, got 3")
    );
    assert_eq!(load(1, 4, 3), Ok(()));
}
