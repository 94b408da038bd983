//! Mahalanobis distances against the closed form and against a mixture of one Gaussian.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use emma_energy::{
    ComponentChoice, EnergyEstimator, EstimatorConfig, GaussianMixtureFit, MahalanobisConfig,
    MahalanobisFit,
};
use emma_testkit::devices_with;
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use proptest::prelude::*;
use rand::Rng;

fn random_rows(n: usize, n_features: usize, seed: u64, device: &Device) -> Tensor {
    let mut rng = emma_testkit::rng(seed);
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|_| {
            let shared = rng.random_range(-1f64..1.);
            (0..n_features)
                .map(|feature| 3. + shared * feature as f64 + rng.random_range(-1f64..1.))
                .collect()
        })
        .collect();
    Tensor::new(rows, device).unwrap()
}

/// Mean (1, 0), variances 2 and 2, covariance 1: Σ⁻¹ = [[2, -1], [-1, 2]] / 3.
#[test]
fn a_small_case_worked_by_hand() {
    for device in devices_with(DType::F64) {
        let rows = Tensor::new(
            &[[3f64, 1.], [-1., -1.], [2., 2.], [0., -2.], [1., 0.]],
            device,
        )
        .unwrap();
        // Sums of squares 4 + 4 + 1 + 1 and 1 + 1 + 4 + 4, of products 2 + 2 + 2 + 2; 5 rows.
        let fit = MahalanobisFit {
            covariance_floor: 1e-12,
        };
        let distance = fit.fit(&rows, &mut emma_testkit::rng(1)).unwrap();
        let variance = 2.;
        let covariance = 1.6;
        let determinant = variance * variance - covariance * covariance;
        let probes = Tensor::new(
            &[[1f64, 0.], [2., 0.], [1., 1.], [2., 1.], [2., -1.]],
            device,
        );
        let energies = values(&distance.energy(&probes.unwrap()).unwrap()).unwrap();
        let single = variance / determinant / 2.;
        let cross = covariance / determinant;
        let expected = [0., single, single, 2. * single - cross, 2. * single + cross];
        // Parameters are rounded to f32.
        assert_close("energy", &energies, &expected, 1e-6, 0.);
    }
}

proptest! {
    #[test]
    fn it_is_a_mixture_of_one_less_its_energy_at_the_mean(
        n in 1usize..40, n_features in 1usize..5, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let rows = random_rows(n, n_features, seed, device);
            let rng = &mut emma_testkit::rng(seed);
            let distance = MahalanobisFit::default().fit(&rows, rng).unwrap();
            let fit = GaussianMixtureFit {
                components: ComponentChoice::Fixed(1),
                ..GaussianMixtureFit::default()
            };
            let mixture = fit.fit(&rows, rng).unwrap();
            let lowest = values(&mixture.energy(mixture.means()).unwrap()).unwrap()[0];
            let probes = (rows * 1.5).unwrap();
            let ours = values(&distance.energy(&probes).unwrap()).unwrap();
            let theirs = values(&mixture.energy(&probes).unwrap()).unwrap();
            let theirs: Vec<f64> = theirs.iter().map(|energy| energy - lowest).collect();
            assert_close("energy", &ours, &theirs, 1e-12, 1e-12);
        }
    }

    /// With the covariance of the very rows, their mean squared distance is L whatever they are.
    #[test]
    fn the_mean_energy_of_training_rows_is_half_their_features(
        n in 20usize..60, n_features in 1usize..5, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let rows = random_rows(n, n_features, seed, device);
            let fit = MahalanobisFit { covariance_floor: 1e-12 };
            let distance = fit.fit(&rows, &mut emma_testkit::rng(1)).unwrap();
            let energies = values(&distance.energy(&rows).unwrap()).unwrap();
            let mean = energies.iter().sum::<f64>() / n as f64;
            // Parameters are rounded to f32.
            prop_assert!((mean - n_features as f64 / 2.).abs() < 1e-5, "{mean}");
        }
    }

    #[test]
    fn the_gradient_is_that_of_central_differences(n_features in 1usize..5, seed: u64) {
        for device in devices_with(DType::F64) {
            let rows = random_rows(30, n_features, seed, device);
            let distance = MahalanobisFit::default().fit(&rows, &mut emma_testkit::rng(1)).unwrap();
            let probes = Var::from_tensor(&rows.narrow(0, 0, 3).unwrap()).unwrap();
            let energy = || distance.energy(&probes).map_err(candle_core::Error::wrap)?.sum_all();
            assert_gradients(&[("rows", &probes)], energy, 1e-7, 1e-7).unwrap();
        }
    }
}

#[test]
fn one_row_and_constant_features_are_enough() {
    for device in devices_with(DType::F64) {
        let rows = Tensor::new(&[[2f64, -1e30]], device).unwrap();
        let fit = MahalanobisFit {
            covariance_floor: 0.5,
        };
        let distance = fit.fit(&rows, &mut emma_testkit::rng(1)).unwrap();
        let probe = (rows + Tensor::new(&[[1f64, 0.]], device).unwrap()).unwrap();
        // The mean is rounded to f32, half a millionth of 1e30 away.
        let energy = values(&distance.energy(&probe).unwrap()).unwrap()[0];
        assert!(energy.is_finite());
        let first = values(distance.precision_cholesky()).unwrap()[0];
        assert_close("precision", &[first * first], &[2.], 1e-6, 0.);
    }
}

#[test]
fn what_makes_no_distance_is_refused() {
    let rows = Tensor::zeros((0, 2), DType::F32, &Device::Cpu).unwrap();
    let rng = &mut emma_testkit::rng(1);
    let error = MahalanobisFit::default().fit(&rows, rng).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected at least one row for fitting a Mahalanobis distance, got none"
    );
    let fit = MahalanobisFit {
        covariance_floor: -1.,
    };
    assert_eq!(
        fit.fit(&rows, rng).unwrap_err().to_string(),
        "covariance_floor must be from 1e-12 to 1e12, got -1"
    );
    let rows = Tensor::new(&[[1f32, f32::NAN]], &Device::Cpu).unwrap();
    assert_eq!(
        MahalanobisFit::default()
            .fit(&rows, rng)
            .unwrap_err()
            .to_string(),
        "expected finite 32-bit rows, got NaN in row 0, feature 1"
    );
    let load = |n_features| {
        let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let config = EstimatorConfig::Mahalanobis(MahalanobisConfig { n_features });
        config.load(&vb).err().unwrap().to_string()
    };
    assert_eq!(load(0), "n_features must be at least 1, got 0");
    assert!(load(2).starts_with("precision_cholesky must be lower triangular"));
}
