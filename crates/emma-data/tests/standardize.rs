//! What every standardization has in common.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use emma_data::Standardization;
use ndarray::Array2;
use proptest::prelude::*;

fn columns(n_columns: usize) -> Vec<String> {
    (0..n_columns).map(|column| format!("c{column}")).collect()
}

proptest! {
    #[test]
    fn fitted_columns_become_mean_zero_and_deviation_one(
        (n_rows, n_columns, values) in (2..60_usize, 1..5_usize).prop_flat_map(|(n_rows, n_columns)| {
            let values = prop::collection::vec(-1.0..1.0_f32, n_rows * n_columns);
            (Just(n_rows), Just(n_columns), values)
        }),
        offset in -100.0..100.0_f32,
        scale in 1e-3..1e3_f32,
    ) {
        let mut values = Array2::from_shape_vec((n_rows, n_columns), values).unwrap();
        // A row apart from the others, so that no column is nearly constant.
        values.row_mut(0).fill(3.0);
        values.mapv_inplace(|value| (value + offset) * scale);
        let before = values.clone();
        let fitted = Standardization::fit("mode", &columns(n_columns), values.view()).unwrap();
        let standardized = fitted.apply(values.view()).unwrap();
        prop_assert_eq!(&values, &before);
        for column in standardized.columns() {
            let mean = column.iter().map(|&z| f64::from(z)).sum::<f64>() / n_rows as f64;
            let square = column.iter().map(|&z| f64::from(z).powi(2)).sum::<f64>() / n_rows as f64;
            // Values near 100 standard deviations from 0 keep five digits in 32 bits.
            prop_assert!(mean.abs() < 1e-3, "mean {mean}");
            prop_assert!((square.sqrt() - 1.0).abs() < 1e-3, "deviation {}", square.sqrt());
        }
    }

    #[test]
    fn any_values_fit_or_fail_without_panic(
        (n_rows, n_columns, bits) in (0..5_usize, 0..4_usize).prop_flat_map(|(n_rows, n_columns)| {
            let bits = prop::collection::vec(any::<u32>(), n_rows * n_columns);
            (Just(n_rows), Just(n_columns), bits)
        }),
    ) {
        let values = bits.into_iter().map(f32::from_bits).collect();
        let values = Array2::from_shape_vec((n_rows, n_columns), values).unwrap();
        if let Ok(fitted) = Standardization::fit("mode", &columns(n_columns), values.view())
            && let Ok(standardized) = fitted.apply(values.view())
        {
            prop_assert!(standardized.iter().all(|z| z.is_finite()));
        }
    }
}
