//! What the raw modes of every simulated candidate have in common.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use emma_data::survey::{
    CandidateKind, N_PLANE_ROWS, Plane, Population, RawModes, Survey, SurveyConfig,
};
use proptest::prelude::*;

fn survey(n_candidates: usize, seed: u64) -> Survey {
    let config = SurveyConfig {
        n_candidates,
        ..SurveyConfig::default()
    };
    Survey::new(&config, seed).unwrap()
}

/// Candidates of one kind.
fn of_kind(kind: CandidateKind, n_candidates: usize, seed: u64) -> Survey {
    let share = |of: CandidateKind| if kind == of { 1.0 } else { 0.0 };
    let config = SurveyConfig {
        n_candidates,
        pulsar_fraction: share(CandidateKind::Pulsar),
        population: Population {
            broadband_share: share(CandidateKind::BroadbandInterference),
            narrowband_share: share(CandidateKind::NarrowbandInterference),
            periodic_share: share(CandidateKind::PeriodicInterference),
            ..Population::default()
        },
        ..SurveyConfig::default()
    };
    Survey::new(&config, seed).unwrap()
}

fn planes(raw: &RawModes) -> [&Plane; 2] {
    [&raw.subbands, &raw.subints]
}

#[test]
fn eight_features_of_a_seed_stay_the_same() {
    // As they were before there were raw modes.
    let pinned: [(usize, [f32; 8]); 4] = [
        (
            0,
            [
                107.078_125,
                49.654_37,
                0.043_352_924,
                0.002_020_570_7,
                2.020_903,
                15.308_272,
                11.339_819,
                153.555_51,
            ],
        ),
        (
            1,
            [
                64.796_875,
                39.103_7,
                2.090_686_6,
                6.684_877,
                20.745_82,
                54.932_77,
                2.907_289_3,
                7.458_620_5,
            ],
        ),
        (
            3,
            [
                110.734_375,
                48.336_14,
                0.318_682_16,
                0.294_286_28,
                2.718_227_4,
                18.682_169,
                8.386_455,
                77.870_705,
            ],
        ),
        (
            38,
            [
                10.945_312_5,
                28.122_03,
                6.898_599,
                50.109_077,
                137.212_37,
                83.451_454,
                -0.106_297_664,
                -1.430_002_3,
            ],
        ),
    ];
    let survey = survey(200, 7);
    for (index, features) in pinned {
        let candidate = survey.candidate(index).unwrap();
        assert_eq!(
            candidate.features().map(f32::to_bits),
            features.map(f32::to_bits)
        );
        assert_eq!(survey.raw_modes(index).unwrap().candidate, candidate);
    }
}

#[test]
fn the_mean_of_either_plane_is_the_profile() {
    for raw in survey(400, 1).iter_raw_modes() {
        for plane in planes(&raw) {
            let largest = plane
                .as_flattened()
                .iter()
                .fold(0.0_f32, |largest, value| largest.max(value.abs()));
            for bin in 0..32 {
                let mean: f64 = plane.iter().map(|row| f64::from(row[bin]) / 16.0).sum();
                let bytes = &raw.candidate.profile[4 * bin..4 * bin + 4];
                let profile: f64 = bytes.iter().map(|&byte| f64::from(byte) / 4.0).sum();
                // A byte is rounded by up to a half, a cell to 32 bits.
                let tolerance = 0.5 + f64::from(f32::EPSILON * largest);
                assert!(
                    (mean - profile).abs() <= tolerance,
                    "{mean} is not {profile}"
                );
            }
        }
    }
}

#[test]
fn emissions_share_out_the_signal() {
    for raw in survey(600, 2).iter_raw_modes() {
        let emission = &raw.emission;
        for shares in [&emission.subband_shares, &emission.subint_shares] {
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(shares.iter().all(|&share| share >= 0.0));
        }
        let n_bands = |floor: f64| {
            let shares = emission.subband_shares.iter();
            shares.filter(|&&share| share > floor).count()
        };
        let silent = emission
            .subint_shares
            .iter()
            .filter(|&&share| share <= 0.0)
            .count();
        match raw.candidate.source.kind {
            CandidateKind::Pulsar => {
                assert!(n_bands(1e-4) >= 12);
                assert!(silent <= N_PLANE_ROWS / 2);
            }
            CandidateKind::BroadbandInterference => assert!(silent >= 1),
            CandidateKind::NarrowbandInterference => {
                let source = &raw.candidate.source;
                let width = source.bandwidth_mhz / 340.0 * 16.0;
                // A width of whole rows and a part touches up to two more.
                assert!((n_bands(0.0) as f64) < width + 2.0);
                assert!(silent >= 1);
            }
            CandidateKind::PeriodicInterference => assert!(silent <= N_PLANE_ROWS - 5),
            CandidateKind::Noise => {
                assert!(
                    emission
                        .subband_shares
                        .iter()
                        .all(|share| (share - 0.0625).abs() < 1e-15)
                );
                assert!(emission.subband_lags.len() == 16 && silent == 0);
            }
        }
    }
}

#[test]
fn interference_without_dispersion_is_swept_at_its_trial() {
    let (mut n_swept, mut n_all) = (0, 0);
    let survey = of_kind(CandidateKind::BroadbandInterference, 200, 3);
    for raw in survey.iter_raw_modes() {
        let (emission, source) = (&raw.emission, &raw.candidate.source);
        let trial = survey.trials()[emission.trial];
        // Dedispersion takes a delay away that was not there: the lowest frequency is early.
        let (lowest, highest) = (1.352 - 0.34 * 15.0 / 32.0, 1.352 + 0.34 * 15.0 / 32.0);
        let sweep_ms = 4.149 * trial * (1.0 / (lowest * lowest) - 1.0 / (highest * highest));
        let lags = &emission.subband_lags;
        let found = (lags[15] - lags[0]) * 1000.0 * source.period_s;
        assert!((found - sweep_ms).abs() < 1e-9 * sweep_ms.max(1.0));
        assert!(sweep_ms <= source.width_ms);
        n_all += 1;
        n_swept += usize::from(sweep_ms > 0.1 * source.width_ms);
    }
    assert!(n_swept > n_all / 4, "{n_swept} of {n_all}");
}

/// Number of rows in which a fit of the mean row is at least 0.4 high.
fn visible_rows(plane: &Plane) -> usize {
    let mean_of = |row: &[f32; 32]| row.iter().map(|&value| f64::from(value)).sum::<f64>() / 32.0;
    let mut profile = [0.0; 32];
    for row in plane {
        for (sum, &value) in profile.iter_mut().zip(row) {
            *sum += f64::from(value) / 16.0;
        }
    }
    let profile_mean = profile.iter().sum::<f64>() / 32.0;
    let energy: f64 = profile.iter().map(|v| (v - profile_mean).powi(2)).sum();
    plane
        .iter()
        .filter(|row| {
            let mean = mean_of(row);
            let product: f64 = profile
                .iter()
                .zip(*row)
                .map(|(p, &v)| (p - profile_mean) * (f64::from(v) - mean))
                .sum();
            product / energy > 0.4
        })
        .count()
}

#[test]
fn kinds_look_as_they_are() {
    let typical = |kind, mode: usize| {
        let mut counts: Vec<usize> = of_kind(kind, 200, 4)
            .iter_raw_modes()
            .filter(|raw| raw.candidate.source.folded_snr.abs() > 10.0)
            .map(|raw| visible_rows(planes(&raw)[mode]))
            .collect();
        assert!(counts.len() > 20);
        counts.sort_unstable();
        counts[counts.len() / 2]
    };
    assert!(typical(CandidateKind::Pulsar, 0) >= 12);
    assert!(typical(CandidateKind::Pulsar, 1) >= 14);
    assert!(typical(CandidateKind::NarrowbandInterference, 0) <= 4);
    assert!(typical(CandidateKind::NarrowbandInterference, 1) <= 9);
    assert!(typical(CandidateKind::PeriodicInterference, 0) >= 9);
}

#[test]
fn raw_modes_repeat_in_any_order_and_differ_by_seed() {
    let first: Vec<RawModes> = survey(40, 3).iter_raw_modes().collect();
    let again = survey(40, 3);
    for index in (0..40).rev() {
        assert_eq!(again.raw_modes(index).as_ref(), Some(&first[index]));
    }
    assert!(again.raw_modes(40).is_none());
    let other = survey(40, 4).raw_modes(0).unwrap();
    assert_ne!(other.subbands, first[0].subbands);
    // Drawn for the planes alone: the candidates differ anyway.
    let [one, another] = [3, 4].map(|seed| {
        let pulsars = of_kind(CandidateKind::Pulsar, 1, seed);
        pulsars
            .raw_modes(0)
            .unwrap()
            .emission
            .subint_shares
            .map(f64::to_bits)
    });
    assert_ne!(one, another);
    for (index, raw) in first.iter().enumerate() {
        for earlier in &first[..index] {
            assert_ne!(raw.subbands, earlier.subbands);
            assert_ne!(raw.subints, earlier.subints);
        }
    }
}

#[test]
fn samples_hold_the_four_modes_row_by_row() {
    let survey = survey(30, 5);
    let samples = survey.raw_samples().unwrap();
    let names: Vec<(&str, usize)> = samples
        .modes()
        .iter()
        .map(|mode| (&*mode.name, mode.columns.len()))
        .collect();
    assert_eq!(
        names,
        [
            ("profile", 128),
            ("dm_curve", 64),
            ("subbands", 512),
            ("subints", 512)
        ]
    );
    for (index, raw) in survey.iter_raw_modes().enumerate() {
        assert_eq!(samples.labels()[index], raw.candidate.label());
        let cell = |mode: usize, name: &str| {
            let mode = &samples.modes()[mode];
            let column = mode
                .columns
                .iter()
                .position(|column| column == name)
                .unwrap();
            mode.values[[index, column]].to_bits()
        };
        assert_eq!(
            cell(0, "profile_9"),
            f32::from(raw.candidate.profile[9]).to_bits()
        );
        assert_eq!(
            cell(1, "dm_curve_63"),
            f32::from(raw.dm_curve[63]).to_bits()
        );
        assert_eq!(cell(2, "subbands_113"), raw.subbands[3][17].to_bits());
        assert_eq!(cell(3, "subints_511"), raw.subints[15][31].to_bits());
    }
    assert_eq!(
        survey.raw_modes(0).unwrap().candidate.dm_curve.iter().max(),
        survey.raw_modes(0).unwrap().dm_curve.iter().max()
    );
}

proptest! {
    #[test]
    fn any_receiver_that_is_allowed_gives_finite_modes(
        frequency in -2.0..2.0_f64,
        bandwidth in -3.0..5.0_f64,
        channel in -6.0..3.0_f64,
        sampling in -6.0..3.0_f64,
        period in -9.0..9.0_f64,
        seed: u64,
    ) {
        let mut config = SurveyConfig { n_candidates: 5, pulsar_fraction: 0.4, ..SurveyConfig::default() };
        config.receiver.frequency_ghz = 10_f64.powf(frequency);
        config.receiver.bandwidth_mhz = 10_f64.powf(bandwidth);
        config.receiver.channel_mhz = 10_f64.powf(channel);
        config.receiver.sampling_ms = 10_f64.powf(sampling);
        config.population.pulsar.period_s.median = 10_f64.powf(period);
        let samples = Survey::new(&config, seed).unwrap().raw_samples();
        prop_assert!(samples.is_ok(), "{samples:?}");
    }
}
