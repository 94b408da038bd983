//! Simulating candidates and writing their raw modes, per candidate.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emma_data::survey::{RawModes, Survey, SurveyConfig, moments};
use emma_data::{TableFormat, TableWriter};

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

fn raw_modes(criterion: &mut Criterion) {
    let config = SurveyConfig {
        n_candidates: N_CANDIDATES,
        ..SurveyConfig::default()
    };
    let survey = Survey::new(&config, 0).expect("the default survey is valid");
    let mut group = criterion.benchmark_group("raw modes");
    group.throughput(Throughput::Elements(N_CANDIDATES as u64));
    group.bench_function("simulate", |bencher| {
        bencher.iter(|| {
            for raw in survey.iter_raw_modes() {
                black_box(&raw.subints);
            }
        });
    });
    let samples = survey.raw_samples().expect("a thousand fit into memory");
    let names: Vec<String> = RawModes::columns()
        .into_iter()
        .flat_map(|mode| mode.columns)
        .collect();
    let mut formats = vec![("write CSV", TableFormat::Csv)];
    if cfg!(feature = "parquet") {
        formats.push(("write Parquet", TableFormat::Parquet));
    }
    for (name, format) in formats {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut table = TableWriter::new(Vec::new(), format, &names, Some("label"))
                    .expect("memory takes everything");
                let mut values = Vec::new();
                for (row, &label) in samples.labels().iter().enumerate() {
                    values.clear();
                    for mode in samples.modes() {
                        values.extend(mode.values.row(row));
                    }
                    table
                        .write_row(&values, Some(label))
                        .expect("memory takes everything");
                }
                table.finish().expect("memory takes everything").len()
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

criterion_group!(benches, candidates, raw_modes, moments_of_a_curve);
criterion_main!(benches);
