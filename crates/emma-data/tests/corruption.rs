//! What every corruption has in common.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;

use emma_data::{
    ClipBound, CorruptedModes, Corruption, CorruptionLevel, CorruptionRecord, Generator,
    ModeCorruption, NoiseStd, QuantizationBits, UnitLevel, corrupt, generator,
    noise_to_signal_decibels,
};
use ndarray::Array2;
use proptest::prelude::*;
use rand::Rng as _;
use rand_distr::StandardNormal;

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

/// Any kind, at a level that touches something.
fn corruption() -> impl Strategy<Value = Corruption> {
    prop::sample::select(Corruption::KINDS.to_vec()).prop_map(|kind| kind.example.parse().unwrap())
}

/// Both classes in turn, so that each is there where there are two rows.
fn start(modes: &[Array2<f32>]) -> CorruptedModes {
    let labels: Vec<u8> = (0..modes[0].nrows())
        .map(|row| u8::from(row % 2 == 1))
        .collect();
    CorruptedModes::of(modes)
        .unwrap()
        .with_labels(&labels)
        .unwrap()
}

fn corrupted(
    modes: &[Array2<f32>],
    record: &CorruptionRecord,
    corruption: &Corruption,
    rng: &mut Generator,
) -> emma_data::Result<(Vec<Array2<f32>>, Array2<bool>)> {
    let corrupted = start(modes).then(record, corruption, rng)?;
    assert_eq!(corrupted.record(), record);
    Ok(corrupted.into_masked())
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
    fn noise_is_one_normal_draw_a_corrupted_cell_in_order(modes in modes(), seed: u64) {
        let rng = &mut generator(seed, "corruption");
        let record = CorruptionRecord::mixture(modes[0].nrows(), modes.len(), rng).unwrap();
        let noisy = corrupt(&modes, &record, &"noise:0.5".parse().unwrap(), &mut rng.clone()).unwrap();
        let mut expected = modes.clone();
        for row in 0..modes[0].nrows() {
            for (mode_index, mode) in expected.iter_mut().enumerate() {
                if record.flags()[[row, mode_index]] {
                    for cell in mode.row_mut(row) {
                        *cell += 0.5 * rng.sample::<f32, _>(StandardNormal);
                    }
                }
            }
        }
        prop_assert_eq!(bits(&noisy), bits(&expected));
    }

    #[test]
    fn no_kind_touches_what_is_not_recorded_and_its_seed_is_all_it_depends_on(
        modes in modes(),
        corruption in corruption(),
        seed: u64,
    ) {
        let n_rows = modes[0].nrows();
        let rng = &mut generator(seed, "corruption");
        // Mode by mode, all rows: two rows at least where there are two.
        for mode_index in 0..modes.len() {
            let record = CorruptionRecord::all_rows(n_rows, modes.len(), mode_index).unwrap();
            let run = || corrupted(&modes, &record, &corruption, &mut rng.clone());
            let Ok((values, missing)) = run() else {
                // One row has none to swap with, and one class is none to move to.
                prop_assert!(n_rows < 2);
                continue;
            };
            let (again, missing_again) = run().unwrap();
            prop_assert_eq!(bits(&again), bits(&values));
            prop_assert_eq!(&missing_again, &missing);
            for (other, (clean, corrupted)) in modes.iter().zip(&values).enumerate() {
                prop_assert_eq!(clean.dim(), corrupted.dim());
                if other != mode_index {
                    let corrupted = bits(std::slice::from_ref(corrupted));
                    prop_assert_eq!(bits(std::slice::from_ref(clean)), corrupted);
                }
            }
        }
        let record = CorruptionRecord::mixture(n_rows, modes.len(), rng).unwrap();
        if let Ok((values, missing)) = corrupted(&modes, &record, &corruption, rng) {
            for (mode_index, (clean, corrupted)) in modes.iter().zip(&values).enumerate() {
                for ((row, column), value) in clean.indexed_iter() {
                    let same = value.to_bits() == corrupted[[row, column]].to_bits();
                    prop_assert!(same || record.flags()[[row, mode_index]]);
                }
            }
            let is_missing = corruption == Corruption::Missing;
            prop_assert_eq!(missing, record.flags().map(|&flag| flag && is_missing));
        }
    }

    #[test]
    fn values_are_missing_where_the_mask_says_so_and_nowhere_else(modes in modes(), seed: u64) {
        let rng = &mut generator(seed, "corruption");
        let record = CorruptionRecord::mixture(modes[0].nrows(), modes.len(), rng).unwrap();
        let (values, missing) = corrupted(&modes, &record, &Corruption::Missing, rng).unwrap();
        prop_assert_eq!(missing.view(), record.flags());
        for (mode_index, mode) in values.iter().enumerate() {
            for ((row, _), value) in mode.indexed_iter() {
                prop_assert_eq!(value.is_nan(), missing[[row, mode_index]]);
            }
        }
    }

    #[test]
    fn a_swap_keeps_the_rows_and_moves_each(
        values in prop::collection::vec(-10.0..10.0_f32, 2..40),
        seed: u64,
    ) {
        // The row number in a second column makes rows different.
        let rows = values.iter().enumerate().flat_map(|(row, &value)| [value, row as f32]);
        let clean = [Array2::from_shape_vec((values.len(), 2), rows.collect()).unwrap()];
        let record = CorruptionRecord::all_rows(values.len(), 1, 0).unwrap();
        let rng = &mut generator(seed, "corruption");
        let swapped = corrupt(&clean, &record, &Corruption::Swap, rng).unwrap().remove(0);
        let source = |row| clean[0].outer_iter().position(|clean| clean == swapped.row(row)).unwrap();
        let mut sources: Vec<usize> = (0..values.len()).map(source).collect();
        for (row, &source) in sources.iter().enumerate() {
            prop_assert_ne!(row, source);
        }
        sources.sort_unstable();
        prop_assert!(sources.into_iter().eq(0..values.len()));
    }

    #[test]
    fn quantized_values_are_few_and_near(
        values in prop::collection::vec(-6.0..6.0_f32, 1..200),
        n_bits in 1..17_u32,
    ) {
        let bits = QuantizationBits::new(n_bits).unwrap();
        let clean = [Array2::from_shape_vec((values.len(), 1), values).unwrap()];
        let record = CorruptionRecord::all_rows(clean[0].nrows(), 1, 0).unwrap();
        let rng = &mut generator(0, "corruption");
        let quantized = corrupt(&clean, &record, &Corruption::Quantize(bits), rng).unwrap();
        let levels: BTreeSet<u32> = quantized[0].iter().map(|value| value.to_bits()).collect();
        prop_assert!(levels.len() <= 1 << n_bits);
        for (&value, &level) in clean[0].iter().zip(&quantized[0]) {
            prop_assert!(level.abs() < 4.0);
            let error = (f64::from(value.clamp(-4.0, 4.0)) - f64::from(level)).abs();
            // Levels and steps are dyadic: exact in 64 bits.
            prop_assert!(error <= bits.step() / 2.0);
        }
    }

    #[test]
    fn clipped_values_are_bounded_and_the_others_as_they_were(modes in modes(), bound in 0.0..12.0_f64) {
        let record = CorruptionRecord::all_rows(modes[0].nrows(), modes.len(), 0).unwrap();
        let corruption = Corruption::Clip(ClipBound::new(bound).unwrap());
        let clipped = corrupt(&modes, &record, &corruption, &mut generator(0, "corruption")).unwrap();
        let bound = bound as f32;
        for (&value, &clipped) in modes[0].iter().zip(&clipped[0]) {
            prop_assert!(clipped.abs() <= bound);
            prop_assert!(clipped.to_bits() == value.to_bits() || value.abs() > bound);
            prop_assert!(clipped * value >= 0.0);
        }
    }

    #[test]
    fn drift_grows_with_the_row(n_rows in 1..100_usize, level in 0.1..10.0_f64) {
        let clean = [Array2::<f32>::zeros((n_rows, 1))];
        let record = CorruptionRecord::all_rows(n_rows, 1, 0).unwrap();
        let corruption = Corruption::Drift(CorruptionLevel::new(level).unwrap());
        let drifted = corrupt(&clean, &record, &corruption, &mut generator(0, "corruption")).unwrap();
        let mut last = 0.0_f32;
        for &value in &drifted[0] {
            prop_assert!(value > last);
            last = value;
        }
        prop_assert_eq!(last.to_bits(), (level as f32).to_bits());
    }

    #[test]
    fn about_their_share_of_the_cells_has_spikes(probability in 0.0..=1.0_f64, seed: u64) {
        let clean = [Array2::<f32>::zeros((5_000, 2))];
        let record = CorruptionRecord::all_rows(5_000, 1, 0).unwrap();
        let corruption = Corruption::Spikes(UnitLevel::new(probability).unwrap());
        let spiked = corrupt(&clean, &record, &corruption, &mut generator(seed, "corruption")).unwrap();
        let count = spiked[0].iter().filter(|value| value.abs() > 9.0).count() as f64;
        // Six standard deviations, and one cell where there is hardly any.
        let tolerance = 1.0 + 6.0 * (10_000.0 * probability * (1.0 - probability)).sqrt();
        prop_assert!((count - 10_000.0 * probability).abs() <= tolerance);
    }

    #[test]
    fn noise_has_the_decibels_of_its_level(level in 0.01..10.0_f64, seed: u64) {
        let rng = &mut generator(seed, "signal");
        let signal = Array2::from_shape_simple_fn((10_000, 2), || rng.sample::<f32, _>(StandardNormal));
        let record = CorruptionRecord::all_rows(10_000, 1, 0).unwrap();
        let level = NoiseStd::new(level).unwrap();
        let clean = [signal];
        let noisy = corrupt(&clean, &record, &Corruption::Noise(level), rng).unwrap();
        let power = |values: &Array2<f32>| {
            values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>()
        };
        let measured = 10.0 * (power(&(&noisy[0] - &clean[0])) / power(&clean[0])).log10();
        // Two powers of relative standard error √(2 / 20,000) = 0.01 each: 0.0141 of their ratio,
        // 0.0614 dB. Six of these.
        prop_assert!((measured - noise_to_signal_decibels(level)).abs() < 6.0 * 0.0614);
    }

    #[test]
    fn what_follows_is_done_to_what_came_out(
        modes in modes(),
        first in corruption(),
        second in corruption(),
        seed: u64,
    ) {
        let record = CorruptionRecord::all_rows(modes[0].nrows(), modes.len(), 0).unwrap();
        let rng = || generator(seed, "corruption");
        let together = start(&modes)
            .then(&record, &first, &mut rng())
            .and_then(|modes| modes.then(&record, &second, &mut rng()));
        let alone = corrupted(&modes, &record, &first, &mut rng())
            .and_then(|(values, _)| corrupted(&values, &record, &second, &mut rng()));
        // A missing mode in an array of its own is no missing mode any more.
        if first != Corruption::Missing {
            match (together, alone) {
                (Ok(together), Ok((alone, _))) => {
                    prop_assert_eq!(bits(&together.into_masked().0), bits(&alone));
                }
                (together, alone) => prop_assert_eq!(
                    together.unwrap_err().to_string(),
                    alone.unwrap_err().to_string()
                ),
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
    fn the_constrained_mixture_keeps_the_larger_half_of_the_modes_in_half_of_the_rows(
        n_rows in 0..200_usize,
        n_modes in 1..9_usize,
        seed: u64,
    ) {
        let draw = || {
            let rng = &mut generator(seed, "corruption");
            CorruptionRecord::constrained_mixture(n_rows, n_modes, rng).unwrap()
        };
        let record = draw();
        prop_assert_eq!(&draw(), &record);
        let mut n_rows_of_each_count = vec![0; n_modes + 1];
        for flags in record.flags().rows() {
            let n_uncorrupted = flags.iter().filter(|&&flag| !flag).count();
            n_rows_of_each_count[n_uncorrupted] += 1;
        }
        let mut expected = vec![0; n_modes + 1];
        expected[n_modes] += n_rows - n_rows / 2;
        expected[n_modes - n_modes / 2] += n_rows / 2;
        prop_assert_eq!(n_rows_of_each_count, expected);
    }

    #[test]
    fn any_text_is_a_corruption_of_a_mode_or_an_error(
        text in "[a-z_:]{0,4}:(noise|swap|quantize|[a-z]{0,5}):?[-+.e0-9a-z]{0,8}",
    ) {
        if let Ok(corruption) = text.parse::<ModeCorruption>() {
            prop_assert_eq!(corruption.to_string().parse::<ModeCorruption>().unwrap(), corruption);
        }
    }

    #[test]
    fn any_text_is_a_corruption_or_an_error(
        kind in prop::sample::select(Corruption::KINDS.map(|kind| kind.name).to_vec()),
        other in "[a-z]{0,5}",
        known: bool,
        level in ":?[-+.e0-9a-z]{0,8}",
    ) {
        let text = format!("{}{level}", if known { kind } else { &other });
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
