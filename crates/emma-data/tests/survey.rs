//! What every simulated survey has in common.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use emma_data::survey::{
    Candidate, CandidateKind, LogNormal, N_PHASE_BINS, N_TRIALS, Survey, SurveyConfig, moments,
    simulate,
};
use emma_data::{Error, htru2};
use proptest::prelude::*;

fn survey(n_candidates: usize, seed: u64) -> Survey {
    let config = SurveyConfig {
        n_candidates,
        ..SurveyConfig::default()
    };
    Survey::new(&config, seed).unwrap()
}

/// Mean, standard deviation, skewness and excess kurtosis by power sums of whole numbers, which are exact:
/// another way than that of the crate.
fn moments_by_power_sums(curve: &[u8]) -> [f64; 4] {
    let n = curve.len() as i128;
    let sum = |power: u32| {
        curve
            .iter()
            .map(|&value| i128::from(value).pow(power))
            .sum::<i128>()
    };
    let (a, b, c, d) = (sum(1), sum(2), sum(3), sum(4));
    // n², n³ and n⁴ times the central moments.
    let second = n * b - a * a;
    let third = n * n * c - 3 * n * a * b + 2 * a * a * a;
    let fourth = n * n * n * d - 4 * n * n * a * c + 6 * n * a * a * b - 3 * a * a * a * a;
    let (mean, second) = (a as f64 / n as f64, second as f64);
    if second == 0.0 {
        return [mean, 0.0, 0.0, 0.0];
    }
    [
        mean,
        second.sqrt() / n as f64,
        third as f64 / second.powf(1.5),
        fourth as f64 / (second * second) - 3.0,
    ]
}

#[test]
fn features_are_the_moments_of_the_stored_curves() {
    for candidate in survey(400, 0).iter() {
        let curves: [&[u8]; 2] = [&candidate.profile, &candidate.dm_curve];
        let again = curves.map(moments_by_power_sums).concat();
        for (feature, moment) in candidate.features().into_iter().zip(again) {
            // Half a unit in the last place of 32 bits, and as much again for the sums.
            let tolerance = f64::from(f32::EPSILON) * moment.abs().max(1e-3);
            assert!(
                (f64::from(feature) - moment).abs() <= tolerance,
                "{feature} is not {moment}"
            );
        }
    }
}

#[test]
fn curves_fill_the_scale_of_bytes() {
    let (mut n_pulsars, mut n_others) = (0, 0);
    for candidate in survey(400, 1).iter() {
        assert_eq!(candidate.profile.len(), N_PHASE_BINS);
        assert_eq!(candidate.profile.iter().min(), Some(&0));
        assert_eq!(candidate.profile.iter().max(), Some(&255));
        assert_eq!(candidate.dm_curve.len(), N_TRIALS);
        assert!(matches!(candidate.dm_curve.iter().max(), Some(&(0 | 255))));
        let source = &candidate.source;
        assert!((1..=3).contains(&source.components.len()));
        assert!(source.duty_cycle > 0.0 && source.duty_cycle <= 1.0);
        assert!(source.search_snr > 6.0);
        match source.kind {
            CandidateKind::Pulsar => n_pulsars += 1,
            _ => n_others += 1,
        }
    }
    assert_eq!((n_pulsars, n_others), (37, 363));
}

#[test]
fn no_kurtosis_is_below_the_squared_skewness_less_two() {
    for candidate in survey(2000, 2).iter() {
        for curve in [&candidate.profile[..], &candidate.dm_curve] {
            let [_, std, skewness, excess_kurtosis] = moments(curve);
            // Equality, at two values only, is met to the rounding of numbers of this size.
            let bound = skewness * skewness - 2.0;
            assert!(excess_kurtosis >= bound - 1e-12 * bound.abs().max(1.0));
            assert!(std > 0.0);
        }
    }
}

#[test]
fn a_seed_repeats_its_candidates_in_any_order() {
    let first: Vec<Candidate> = survey(60, 3).iter().collect();
    let again = survey(60, 3);
    for index in (0..60).rev() {
        assert_eq!(again.candidate(index).as_ref(), Some(&first[index]));
    }
    let halves = std::thread::scope(|scope| {
        let half = |range: std::ops::Range<usize>| {
            let again = &again;
            scope.spawn(move || {
                range
                    .map(|index| again.candidate(index).unwrap())
                    .collect::<Vec<_>>()
            })
        };
        let (low, high) = (half(0..30), half(30..60));
        [low.join().unwrap(), high.join().unwrap()].concat()
    });
    assert_eq!(halves, first);
    assert!(again.candidate(60).is_none());
    assert_ne!(survey(60, 4).candidate(0).as_ref(), Some(&first[0]));
    for (index, candidate) in first.iter().enumerate() {
        for earlier in &first[..index] {
            assert_ne!(candidate.profile, earlier.profile);
            assert_ne!(
                candidate.source.search_snr.to_bits(),
                earlier.source.search_snr.to_bits()
            );
        }
    }
}

#[test]
fn a_candidate_of_the_same_class_does_not_depend_on_the_size_of_the_survey() {
    let (small, large) = (survey(50, 5), survey(500, 5));
    let mut n_same = 0;
    for index in 0..50 {
        let (small, large) = (
            small.candidate(index).unwrap(),
            large.candidate(index).unwrap(),
        );
        if small.label() == large.label() {
            assert_eq!(small, large);
            n_same += 1;
        }
    }
    assert!(n_same > 30);
}

#[test]
fn the_default_survey_has_the_size_and_the_classes_of_htru2() {
    let config = SurveyConfig::default();
    let survey = Survey::new(&config, 0).unwrap();
    assert_eq!(survey.n_candidates(), 17_898);
    let samples = simulate(3000, 0).unwrap();
    // 3,000 · 1,639/17,898 = 274.7.
    assert_eq!(
        samples
            .labels()
            .iter()
            .map(|&label| u32::from(label))
            .sum::<u32>(),
        275
    );
    for (mode, columns) in samples.modes().iter().zip(htru2::modes()) {
        assert_eq!(
            (&mode.name, &mode.columns),
            (&columns.name, &columns.columns)
        );
        assert_eq!(mode.values.dim(), (3000, 4));
    }
    // The pulsars do not stand together.
    let first: u8 = samples.labels()[..1500].iter().sum();
    assert!((100..175).contains(&first), "{first}");
    assert_eq!(simulate(0, 0).unwrap().labels().len(), 0);
}

#[test]
fn medians_are_near_those_of_htru2() {
    // Medians of HTRU2 by class, and how far off a survey may be: a quarter of HTRU2's interquartile range.
    let medians = [
        (
            0,
            [117.26, 47.49, 0.187, 0.123, 2.64, 17.62, 8.76, 90.7],
            [23.0, 7.94, 0.38, 0.88, 2.37, 10.4, 4.32, 98.0],
        ),
        (
            1,
            [54.30, 37.34, 2.96, 11.61, 33.5, 59.4, 1.92, 2.59],
            [47.5, 11.5, 3.03, 21.1, 65.5, 27.7, 2.95, 13.7],
        ),
    ];
    for (label, expected, ranges) in medians {
        let config = SurveyConfig {
            n_candidates: 2000,
            pulsar_fraction: f64::from(label),
            ..SurveyConfig::default()
        };
        let survey = Survey::new(&config, 0).unwrap();
        let features: Vec<[f32; 8]> = survey
            .iter()
            .map(|candidate| candidate.features())
            .collect();
        for (column, (expected, range)) in expected.into_iter().zip(ranges).enumerate() {
            let mut values: Vec<f32> = features.iter().map(|row| row[column]).collect();
            values.sort_by(f32::total_cmp);
            let median = f64::from(values[1000]);
            assert!(
                (median - expected).abs() < range / 4.0,
                "{} of class {label}: {median} is not {expected}",
                htru2::COLUMNS[column]
            );
        }
    }
}

#[test]
fn kinds_differ_in_dispersion_band_and_period() {
    let survey = survey(6000, 6);
    let mut n_of_kind = [0; 5];
    for candidate in survey.iter() {
        let source = &candidate.source;
        let kind = CandidateKind::ALL
            .iter()
            .position(|&kind| kind == source.kind)
            .unwrap();
        n_of_kind[kind] += 1;
        match source.kind {
            CandidateKind::Pulsar => assert!(source.dispersion_measure > 0.0),
            CandidateKind::Noise => {
                assert!(survey.trials().contains(&source.dispersion_measure));
            }
            _ => assert!(source.dispersion_measure.abs() < 1e-300),
        }
        let whole_band = (source.bandwidth_mhz - 340.0).abs() < 1e-9;
        if source.kind != CandidateKind::NarrowbandInterference {
            assert!(whole_band);
        }
        if source.kind == CandidateKind::PeriodicInterference {
            let turns = source.period_s / 0.02;
            let whole = |number: f64| (number - number.round()).abs() < 1e-9;
            assert!(whole(turns) || whole(turns.recip()), "{}", source.period_s);
        }
    }
    assert!(n_of_kind.iter().all(|&number| number > 20), "{n_of_kind:?}");
}

#[test]
fn settings_outside_their_range_are_named() {
    let refused = |change: fn(&mut SurveyConfig)| {
        let mut config = SurveyConfig::default();
        change(&mut config);
        Survey::new(&config, 0).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|config| config.pulsar_fraction = f64::NAN),
        "simulated survey: expected pulsar_fraction from 0 to 1, found NaN"
    );
    assert_eq!(
        refused(|config| config.population.noise.period_s.median = 0.0),
        "simulated survey: expected population.noise.period_s.median from 1e-9 to 1e9, found 0"
    );
    assert_eq!(
        refused(|config| config.receiver.frequency_ghz = f64::INFINITY),
        "simulated survey: expected receiver.frequency_ghz from 0.01 to 100, found inf"
    );
    let message = refused(|config| {
        config.population.broadband_share = 0.5;
        config.population.narrowband_share = 0.4;
        config.population.periodic_share = 0.3;
    });
    assert!(
        message.starts_with(
            "simulated survey: expected population's shares of interference to add up to at most 1, found 1."
        ),
        "{message}"
    );
    assert_eq!(
        refused(|config| config.n_candidates = usize::MAX),
        format!(
            "memory cannot hold a simulated survey of {} candidates",
            usize::MAX
        )
    );
}

#[test]
fn a_configuration_reads_back_and_unknown_keys_are_refused() {
    let config = SurveyConfig::default();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<SurveyConfig>(&text).unwrap(), config);
    assert_eq!(
        serde_json::from_str::<SurveyConfig>(r#"{"n_candidates": 17898}"#).unwrap(),
        config
    );
    for unknown in [
        r#"{"rows": 3}"#,
        r#"{"population": {"threshold": 3}}"#,
        r#"{"receiver": {"gain": 3}}"#,
    ] {
        let error = serde_json::from_str::<SurveyConfig>(unknown).unwrap_err();
        assert!(error.to_string().contains("unknown field"), "{error}");
    }
}

/// Any number, with those that ranges must refuse.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -2.0..3.0_f64,
        Just(f64::NAN),
        Just(0.0),
        Just(1.0),
        Just(1e-9),
        Just(1e9),
    ]
}

proptest! {
    #[test]
    fn any_configuration_is_refused_or_simulates(
        fraction in number(),
        median in number(),
        log_std in number(),
        which in 0..8_usize,
        setting in number(),
        seed: u64,
    ) {
        let mut config = SurveyConfig { n_candidates: 3, pulsar_fraction: fraction, ..SurveyConfig::default() };
        let population = &mut config.population;
        let distribution = LogNormal::new(median, log_std);
        match which {
            0 => population.pulsar.period_s = distribution,
            1 => population.pulsar.duty_cycle = distribution,
            2 => population.noise.folded_snr = distribution,
            3 => population.noise.search_excess = distribution,
            4 => population.chance.expected = distribution,
            5 => population.chance.excess_shape = distribution,
            6 => population.chance.excess_mean = distribution,
            _ => population.noise.trial_noise = distribution,
        }
        match which {
            0 => population.search_threshold = setting,
            1 => population.pulsar.duty_cycle_exponent = setting,
            2 => population.pulsar.search_excess_exponent = setting,
            3 => config.receiver.sampling_ms = setting,
            4 => population.broadband_share = setting,
            _ => config.receiver.bandwidth_mhz = setting,
        }
        match Survey::new(&config, seed) {
            Ok(survey) => {
                let samples = survey.samples();
                prop_assert!(samples.is_ok(), "{samples:?}");
            }
            Err(error) => {
                let named = matches!(error, Error::SurveySetting { .. });
                prop_assert!(named, "{}", error);
            }
        }
    }

    #[test]
    fn the_number_of_pulsars_is_exact(
        n_candidates in 0..60_usize,
        fraction in 0.0..=1.0_f64,
        seed: u64,
    ) {
        let config = SurveyConfig { n_candidates, pulsar_fraction: fraction, ..SurveyConfig::default() };
        let survey = Survey::new(&config, seed).unwrap();
        prop_assert_eq!(survey.n_candidates(), n_candidates);
        let n_pulsars: usize = survey.iter().map(|candidate| usize::from(candidate.label())).sum();
        let off = n_pulsars as f64 - n_candidates as f64 * fraction;
        prop_assert!(off.abs() <= 0.5, "{} pulsars", n_pulsars);
    }
}
