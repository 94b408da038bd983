//! What every stratified split has in common.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use emma_data::{SplitFractions, generator, stratified_split};
use proptest::prelude::*;

/// Fractions of at least 0.1 each.
fn fractions() -> impl Strategy<Value = SplitFractions> {
    (0.1..0.8_f64, 0.0..1.0_f64).prop_map(|(train, share)| {
        let validation = 0.1 + share * (0.8 - train);
        SplitFractions::new(train, validation, 1.0 - train - validation).unwrap()
    })
}

/// Labels with at least 20 rows of each class, mixed, so that no part lacks a class.
fn labels() -> impl Strategy<Value = Vec<u8>> {
    (20..200_usize, 20..200_usize)
        .prop_map(|(n_negative, n_positive)| {
            let mut labels = vec![0; n_negative];
            labels.resize(n_negative + n_positive, 1);
            labels
        })
        .prop_shuffle()
}

proptest! {
    #[test]
    fn a_split_is_a_stratified_partition(
        labels in labels(),
        fractions in fractions(),
        seed: u64,
    ) {
        let split = stratified_split(&labels, &fractions, &mut generator(seed, "split")).unwrap();
        let parts = [&split.train, &split.validation, &split.test];
        let mut rows: Vec<usize> = parts.into_iter().flatten().copied().collect();
        rows.sort_unstable();
        prop_assert_eq!(rows, (0..labels.len()).collect::<Vec<_>>());

        let shares = [fractions.train(), fractions.validation(), fractions.test()];
        for (part, share) in parts.into_iter().zip(shares) {
            prop_assert!(part.is_sorted());
            for class in [0, 1] {
                let of_class = |label: &u8| *label == class;
                let expected = share * labels.iter().filter(|label| of_class(label)).count() as f64;
                let found = part.iter().filter(|&&row| of_class(&labels[row])).count() as f64;
                // The remainder takes up two roundings of half a row.
                prop_assert!((found - expected).abs() <= 1.0 + 1e-9, "{found} of {expected}");
            }
        }
    }

    #[test]
    fn a_seed_repeats_its_split(labels in labels(), seed: u64) {
        let split = || {
            let mut rng = generator(seed, "split");
            stratified_split(&labels, &SplitFractions::default(), &mut rng).unwrap()
        };
        prop_assert_eq!(split(), split());
    }

    #[test]
    fn any_labels_split_or_fail_without_panic(
        labels in prop::collection::vec(0..3_u8, 0..30),
        seed: u64,
    ) {
        let mut rng = generator(seed, "split");
        let split = stratified_split(&labels, &SplitFractions::default(), &mut rng);
        prop_assert!(!labels.contains(&2) || split.is_err());
    }
}
