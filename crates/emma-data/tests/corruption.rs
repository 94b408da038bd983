//! What every corruption has in common.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use emma_data::{
    Corruption, CorruptionRecord, NoiseStd, corrupt, generator, noise_to_signal_decibels,
};
use ndarray::Array2;
use proptest::prelude::*;

/// Modes of one to four columns over the same rows.
fn modes() -> impl Strategy<Value = Vec<Array2<f32>>> {
    (0..30_usize, prop::collection::vec(1..5_usize, 1..5)).prop_flat_map(|(n_rows, widths)| {
        widths
            .into_iter()
            .map(|width| {
                prop::collection::vec(-10.0..10.0_f32, n_rows * width).prop_map(move |values| {
                    Array2::from_shape_vec((n_rows, width), values).unwrap()
                })
            })
            .collect::<Vec<_>>()
    })
}

fn bits(modes: &[Array2<f32>]) -> Vec<Vec<u32>> {
    modes
        .iter()
        .map(|mode| mode.iter().map(|value| value.to_bits()).collect())
        .collect()
}

proptest! {
    #[test]
    fn corruption_touches_exactly_the_recorded_cells_of_a_copy(modes in modes(), seed: u64) {
        let n_rows = modes[0].nrows();
        let mut rng = generator(seed, "corruption");
        let record = CorruptionRecord::mixture(n_rows, modes.len(), &mut rng).unwrap();
        let before = bits(&modes);
        let noise = Corruption::Noise(NoiseStd::new(1.0).unwrap());
        let corrupted = corrupt(&modes, &record, &noise, &mut generator(seed, "noise")).unwrap();
        prop_assert_eq!(bits(&modes), before);

        for (mode_index, (clean, noisy)) in modes.iter().zip(&corrupted).enumerate() {
            prop_assert_eq!(clean.dim(), noisy.dim());
            for ((row, column), value) in clean.indexed_iter() {
                let same = value.to_bits() == noisy[[row, column]].to_bits();
                prop_assert_eq!(same, !record.flags()[[row, mode_index]]);
            }
        }
        let again = corrupt(&modes, &record, &noise, &mut generator(seed, "noise")).unwrap();
        prop_assert_eq!(bits(&again), bits(&corrupted));
    }

    #[test]
    fn no_kind_touches_what_is_not_recorded(
        modes in modes(),
        form in prop::sample::select(Corruption::FORMS.to_vec()),
        seed: u64,
    ) {
        let corruption: Corruption = form.replace(['S', 'P'], "0.5").parse().unwrap();
        let rng = &mut generator(seed, "corruption");
        let record = CorruptionRecord::mixture(modes[0].nrows(), modes.len(), rng).unwrap();
        let corrupted = corrupt(&modes, &record, &corruption, rng).unwrap();
        for (mode_index, (clean, corrupted)) in modes.iter().zip(&corrupted).enumerate() {
            for ((row, column), value) in clean.indexed_iter() {
                let same = value.to_bits() == corrupted[[row, column]].to_bits();
                prop_assert!(same || record.flags()[[row, mode_index]]);
            }
        }
    }

    #[test]
    fn a_clean_record_draws_nothing(modes in modes(), seed: u64) {
        let record = CorruptionRecord::clean(modes[0].nrows(), modes.len()).unwrap();
        let noise = Corruption::Noise(NoiseStd::new(1.0).unwrap());
        let mut rng = generator(seed, "noise");
        let copies = corrupt(&modes, &record, &noise, &mut rng).unwrap();
        prop_assert_eq!(bits(&copies), bits(&modes));
        prop_assert_eq!(rng, generator(seed, "noise"));
    }

    #[test]
    fn the_mixture_shares_half_of_the_rows_equally(
        n_rows in 0..200_usize,
        n_modes in 1..7_usize,
        seed: u64,
    ) {
        let mut rng = generator(seed, "corruption");
        let record = CorruptionRecord::mixture(n_rows, n_modes, &mut rng).unwrap();
        let n_corrupted: Vec<usize> = record
            .flags()
            .columns()
            .into_iter()
            .map(|flags| flags.iter().filter(|&&flag| flag).count())
            .collect();
        prop_assert_eq!(n_corrupted.iter().sum::<usize>(), n_rows / 2);
        let (least, most) = (n_corrupted.iter().min().unwrap(), n_corrupted.iter().max().unwrap());
        prop_assert!(most - least <= 1);
        for flags in record.flags().rows() {
            prop_assert!(flags.iter().filter(|&&flag| flag).count() <= 1);
        }
        for (sign, flag) in record.signs().iter().zip(record.flags()) {
            prop_assert_eq!(sign.is_sign_negative(), *flag);
        }
    }

    #[test]
    fn any_text_is_a_corruption_or_an_error(text in "(noise|student_t|offset|scale|drop|[a-z]{0,5}):?[-+.e0-9a-z]{0,8}") {
        if let Ok(corruption) = text.parse::<Corruption>() {
            prop_assert_eq!(corruption.to_string().parse::<Corruption>().unwrap(), corruption);
        }
    }

    #[test]
    fn doubling_the_noise_adds_six_decibels(level in 1e-6..1e6_f64) {
        let decibels = |level| noise_to_signal_decibels(NoiseStd::new(level).unwrap());
        let difference = decibels(2.0 * level) - decibels(level);
        prop_assert!((difference - 20.0 * 2.0_f64.log10()).abs() < 1e-9);
    }
}
