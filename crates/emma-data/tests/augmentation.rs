//! What augmentations promise: shares, fresh rows, untouched bits.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use emma_data::{
    Augmentation, AugmentedModes, BroadShares, CorruptedShare, EpochAugmentation, InOrder,
    ModeDropout, ModeMixture, NoiseRange, Unchanged, augment, broad, generator, narrow,
};
use ndarray::Array2;
use proptest::prelude::*;
use rand::Rng;

const N_ROWS: usize = 20_000;

fn modes(n_rows: usize, widths: &[usize]) -> Vec<Array2<f32>> {
    let rng = &mut generator(5, "rows");
    let mode =
        |&width| Array2::from_shape_simple_fn((n_rows, width), || rng.random_range(-2.0..2.0));
    widths.iter().map(mode).collect()
}

fn bits(modes: &[Array2<f32>]) -> Vec<u32> {
    let cells = modes.iter().flatten();
    cells.map(|cell| cell.to_bits()).collect()
}

/// Bits of a row over all modes.
fn row_bits(modes: &[Array2<f32>], row: usize) -> Vec<u32> {
    let cells = modes.iter().flat_map(|mode| mode.row(row).to_vec());
    cells.map(f32::to_bits).collect()
}

/// Six standard deviations of a binomial share: one failure in a thousand million seeds.
#[track_caller]
fn assert_share(what: &str, count: usize, of: usize, expected: f64) {
    let share = count as f64 / of as f64;
    let bound = 6.0 * (expected * (1.0 - expected) / of as f64).sqrt();
    assert!(
        (share - expected).abs() <= bound,
        "{what}: {share}, not {expected}"
    );
}

/// Counts of rows by the touched modes, of which there are two, and whether one is missing.
#[derive(Debug, Default)]
struct Counts {
    clean: usize,
    noisy: [usize; 2],
    both_noisy: usize,
    missing: [usize; 2],
    both_missing: usize,
}

fn counts(augmented: &AugmentedModes) -> Counts {
    let mut counts = Counts::default();
    let record = augmented.record();
    let rows = record.flags();
    for (touched, missing) in rows.outer_iter().zip(augmented.missing().outer_iter()) {
        match (missing[0], missing[1], touched[0], touched[1]) {
            (true, true, ..) => counts.both_missing += 1,
            (true, ..) => counts.missing[0] += 1,
            (_, true, ..) => counts.missing[1] += 1,
            (.., true, true) => counts.both_noisy += 1,
            (.., true, false) => counts.noisy[0] += 1,
            (.., false, true) => counts.noisy[1] += 1,
            (.., false, false) => counts.clean += 1,
        }
    }
    counts
}

#[test]
fn a_mixture_shares_out_its_rows() {
    let noise = |fault: &str| {
        let fault = fault.parse().unwrap();
        CorruptedShare::new(&fault, &["ip", "dm"], 1.0)
            .unwrap()
            .boxed()
    };
    let mixture = ModeMixture::new(vec![
        (0.5, Unchanged.boxed()),
        (0.25, noise("ip:noise:0.5")),
        (0.25, noise("dm:noise:0.5")),
    ]);
    let rows = modes(N_ROWS, &[2, 1]);
    let rng = &mut generator(1, "mixture");
    let counts = counts(&augment(&rows, &mixture.unwrap(), rng).unwrap());
    assert_share("clean", counts.clean, N_ROWS, 0.5);
    assert_share("ip", counts.noisy[0], N_ROWS, 0.25);
    assert_share("dm", counts.noisy[1], N_ROWS, 0.25);
    // Exactly one branch a row.
    assert_eq!(counts.both_noisy, 0);
}

#[test]
fn a_corrupted_share_is_the_share_of_its_rows() {
    let fault = "dm:offset:3".parse().unwrap();
    let fault = CorruptedShare::new(&fault, &["ip", "dm"], 0.3).unwrap();
    let rows = modes(N_ROWS, &[2, 1]);
    let counts = counts(&augment(&rows, &fault, &mut generator(1, "share")).unwrap());
    assert_share("dm", counts.noisy[1], N_ROWS, 0.3);
    assert_eq!(counts.clean + counts.noisy[1], N_ROWS);
}

#[test]
fn narrow_has_its_shares() {
    let rows = modes(N_ROWS, &[2, 1]);
    let recipe = narrow(2, 0.5, 0.2).unwrap();
    let counts = counts(&augment(&rows, &recipe, &mut generator(1, "narrow")).unwrap());
    assert_share("clean", counts.clean, N_ROWS, 0.5 * 0.8);
    for mode in 0..2 {
        assert_share("noisy", counts.noisy[mode], N_ROWS, 0.25 * 0.8);
        assert_share("missing", counts.missing[mode], N_ROWS, 0.1);
    }
    assert_eq!((counts.both_noisy, counts.both_missing), (0, 0));
}

#[test]
fn broad_has_its_shares() {
    let rows = modes(N_ROWS, &[2, 1]);
    let recipe = broad(2, 1.0, &BroadShares::default()).unwrap();
    let counts = counts(&augment(&rows, &recipe, &mut generator(1, "broad")).unwrap());
    assert_share("clean", counts.clean, N_ROWS, 0.25);
    assert_share("all modes", counts.both_noisy, N_ROWS, 0.6 * 0.2);
    for mode in 0..2 {
        assert_share("noisy", counts.noisy[mode], N_ROWS, 0.6 * 0.4);
        assert_share("missing", counts.missing[mode], N_ROWS, 0.15 / 2.0);
    }
    assert_eq!(counts.both_missing, 0);
}

/// Root mean square of the narrow recipe's noise: 5,000 rows of 3 features know it to one part in 170.
#[test]
fn narrow_noise_has_its_level() {
    let rows = modes(N_ROWS, &[3]);
    let recipe = narrow(1, 0.5, 0.0).unwrap();
    let augmented = augment(&rows, &recipe, &mut generator(1, "level")).unwrap();
    let record = augmented.record();
    let (mut squares, mut n_cells) = (0.0, 0);
    for row in (0..N_ROWS).filter(|&row| record.flags()[[row, 0]]) {
        for (after, before) in augmented.modes()[0].row(row).iter().zip(rows[0].row(row)) {
            squares += f64::from(after - before).powi(2);
            n_cells += 1;
        }
    }
    let level = (squares / f64::from(n_cells)).sqrt();
    let bound = 6.0 * 0.5 / (2.0 * f64::from(n_cells)).sqrt();
    assert!((level - 0.5).abs() < bound, "{level}");
}

#[test]
fn epochs_differ_and_repeat_with_their_seed() {
    let rows = modes(300, &[2, 3]);
    let epochs = |seed| {
        let recipe = broad(2, 1.0, &BroadShares::default()).unwrap();
        EpochAugmentation::new(recipe.boxed(), seed, "training rows")
    };
    let of = |seed, epoch| bits(epochs(seed).of_epoch(&rows, epoch).unwrap().modes());
    assert_eq!(of(1, 4), of(1, 4));
    assert_ne!(of(1, 4), of(1, 5));
    assert_ne!(of(1, 4), of(2, 4));
    // Whatever came before: epoch 4 after 3 is epoch 4.
    let one = epochs(1);
    one.of_epoch(&rows, 3).unwrap();
    assert_eq!(bits(one.of_epoch(&rows, 4).unwrap().modes()), of(1, 4));
}

#[test]
fn other_rows_are_refused() {
    let rows = [Array2::<f32>::zeros((2, 1)), Array2::zeros((3, 1))];
    let error = augment(&rows, &Unchanged, &mut generator(1, "rows")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "mode 1: expected 2 rows, as in mode 0, found 3"
    );
}

fn any_augmentation() -> impl Strategy<Value = Box<dyn Augmentation>> {
    // Strategies cannot clone boxes of traits: settings are drawn, and the augmentation is made of them.
    let settings = (0_u8..5, 0.0..1.0, 0.0..2.0, any::<bool>());
    prop::collection::vec(settings, 1..5).prop_map(|settings| {
        let parts = settings.into_iter().map(|(kind, share, level, all)| {
            let noise = NoiseRange::new(0.0, level, f64::from(u8::from(all)) * share).unwrap();
            let dropout = ModeDropout::new(share, true).unwrap();
            match kind {
                0 => noise.boxed(),
                1 => dropout.boxed(),
                2 => {
                    let branches =
                        vec![(share * 0.5, noise.boxed()), (share * 0.5, dropout.boxed())];
                    ModeMixture::new(branches).unwrap().boxed()
                }
                3 => narrow(3, level, share).unwrap().boxed(),
                _ => {
                    let fault = "b:swap".parse().unwrap();
                    let faulty = CorruptedShare::new(&fault, &["a", "b", "c"], share);
                    faulty.unwrap().boxed()
                }
            }
        });
        InOrder(parts.collect()).boxed()
    })
}

proptest! {
    #[test]
    fn untouched_modes_keep_their_bits_and_no_row_loses_all(
        augmentation in any_augmentation(),
        n_rows in 0_usize..40,
        seed in any::<u64>(),
    ) {
        let rows = modes(n_rows, &[2, 1, 3]);
        let before = bits(&rows);
        let draw = || augment(&rows, &augmentation, &mut generator(seed, "property")).unwrap();
        let augmented = draw();
        prop_assert_eq!(bits(&rows), before);
        prop_assert_eq!(bits(draw().modes()), bits(augmented.modes()));
        let record = augmented.record();
        for row in 0..n_rows {
            prop_assert!(!augmented.present(row).is_empty());
            for (mode_index, mode) in augmented.modes().iter().enumerate() {
                let values = mode.row(row);
                prop_assert_eq!(values.len(), rows[mode_index].ncols());
                if !record.flags()[[row, mode_index]] {
                    prop_assert_eq!(values, rows[mode_index].row(row));
                }
                let missing = augmented.missing()[[row, mode_index]];
                prop_assert_eq!(missing, values.iter().all(|value| value.is_nan()));
                prop_assert_eq!(missing, values.iter().any(|value| value.is_nan()));
            }
            if !record.flags().row(row).iter().any(|&touched| touched) {
                prop_assert_eq!(row_bits(augmented.modes(), row), row_bits(&rows, row));
            }
        }
    }

    #[test]
    fn rows_that_are_not_given_keep_their_bits(
        augmentation in any_augmentation(),
        seed in any::<u64>(),
    ) {
        let rows = modes(20, &[2, 1, 3]);
        let mut augmented = AugmentedModes::of(&rows).unwrap();
        let given = [3, 8, 9, 17];
        augmentation.augment(&mut augmented, &given, &mut generator(seed, "given")).unwrap();
        for row in (0..20).filter(|row| !given.contains(row)) {
            prop_assert_eq!(row_bits(augmented.modes(), row), row_bits(&rows, row));
            prop_assert!(!augmented.record().flags().row(row).iter().any(|&touched| touched));
        }
    }
}
