//! Simulating candidates, per candidate.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emma_data::survey::{Survey, SurveyConfig, moments};

const N_CANDIDATES: usize = 1000;

fn candidates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulate");
    group.throughput(Throughput::Elements(N_CANDIDATES as u64));
    for (name, pulsar_fraction) in [
        ("as HTRU2", SurveyConfig::default().pulsar_fraction),
        ("pulsars", 1.0),
        ("no pulsars", 0.0),
    ] {
        let config = SurveyConfig {
            n_candidates: N_CANDIDATES,
            pulsar_fraction,
            ..SurveyConfig::default()
        };
        let survey = Survey::new(&config, 0).expect("the default survey is valid");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for candidate in survey.iter() {
                    black_box(candidate.features());
                }
            });
        });
    }
    group.finish();
}

fn moments_of_a_curve(criterion: &mut Criterion) {
    let survey = Survey::new(&SurveyConfig::default(), 0).expect("the default survey is valid");
    let candidate = survey.candidate(0).expect("there is a first candidate");
    criterion.bench_function("moments of a DM-SNR curve", |bencher| {
        bencher.iter(|| moments(black_box(&candidate.dm_curve)));
    });
}

criterion_group!(benches, candidates, moments_of_a_curve);
criterion_main!(benches);
