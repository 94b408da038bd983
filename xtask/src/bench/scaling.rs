//! How the cost of ours grows: over modes, over rows, over threads.

use std::process::Command;

use super::contestant::{Process, Ready};
use super::statistics::Spread;
use super::table::{digits, megabytes, table, time};

/// Rows of the table over modes.
const N_ROWS: usize = 256;
/// Modes of the table over rows.
const N_MODES: usize = 32;

/// Times of one kernel with these options; `None` where it did not run, which was said.
fn measure(
    kernels: &dyn Fn(&str) -> Command,
    options: &[String],
    n_rounds: usize,
) -> Vec<Option<(Spread, Ready)>> {
    let mut processes: Vec<_> = options
        .iter()
        .map(|options| {
            Process::start(&mut kernels(options))
                .map(|(process, ready)| (process, ready, Vec::new()))
        })
        .collect();
    for _ in 0..n_rounds {
        for process in &mut processes {
            let failed = match process {
                Ok((process, _, samples)) => process.round().map(|time| samples.push(time)).err(),
                Err(_) => None,
            };
            if let Some(reason) = failed {
                *process = Err(reason);
            }
        }
    }
    let results = processes.into_iter().zip(options);
    let results = results.map(|(process, options)| match process {
        Ok((_, ready, samples)) => Spread::of(samples).map(|spread| (spread, ready)),
        Err(reason) => {
            eprintln!("kernels {options}: did not run: {reason}");
            None
        }
    });
    results.collect()
}

/// Cost over modes, in time and memory.
pub(crate) fn over_modes(kernels: &dyn Fn(&str) -> Command, n_rounds: usize) -> String {
    let modes: Vec<usize> = (1..=10).map(|power| 1 << power).collect();
    let options = modes
        .iter()
        .map(|modes| format!("--what modes --modes {modes} --rows {N_ROWS}"));
    let results = measure(kernels, &options.collect::<Vec<_>>(), n_rounds);
    let header = [
        "modes",
        "time",
        "a pair and row",
        "extra memory",
        "of which parameters' gradients",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (modes, result) in modes.into_iter().zip(results) {
        let pairs = modes * modes;
        let mut row = vec![modes.to_string()];
        match result {
            Some((spread, ready)) => row.extend([
                time(spread.median),
                format!(
                    "{} ns",
                    digits(spread.median * 1e3 / (pairs * N_ROWS) as f64)
                ),
                ready.extra_bytes.map_or(String::new(), megabytes),
                megabytes(8 * pairs as u64),
            ]),
            None => row.resize(rows[0].len(), "did not run".to_owned()),
        }
        rows.push(row);
    }
    table(&rows)
}

/// Cost over rows.
pub(crate) fn over_rows(kernels: &dyn Fn(&str) -> Command, n_rounds: usize) -> String {
    let counts = [256, 1024, 4096, 16_384, 65_536];
    let options = counts.map(|rows| format!("--what modes --modes {N_MODES} --rows {rows}"));
    let results = measure(kernels, &options, n_rounds);
    let mut rows = vec![["rows", "time", "a row"].map(str::to_owned).to_vec()];
    for (count, result) in counts.into_iter().zip(results) {
        let mut row = vec![count.to_string()];
        match result {
            Some((spread, _)) => {
                row.extend([time(spread.median), time(spread.median / f64::from(count))]);
            }
            None => row.resize(rows[0].len(), "did not run".to_owned()),
        }
        rows.push(row);
    }
    table(&rows)
}

/// Cost over threads: how many times as fast as one.
pub(crate) fn over_threads(
    kernels: &dyn Fn(&str) -> Command,
    n_rounds: usize,
    n_cores: usize,
) -> String {
    let threads: Vec<usize> = (1..=n_cores.min(4)).collect();
    let works = [("grid of 125 models", "grid"), ("scoring", "score")];
    let mut header = vec!["work".to_owned()];
    header.extend(threads.iter().map(|n| match n {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    }));
    let mut rows = vec![header];
    for (title, what) in works {
        let options = threads
            .iter()
            .map(|threads| format!("--what {what} --threads {threads}"));
        let results = measure(kernels, &options.collect::<Vec<_>>(), n_rounds);
        let one = results[0].as_ref().map(|(spread, _)| spread.median);
        let mut row = vec![title.to_owned()];
        row.extend(results.iter().map(|result| match (result, one) {
            (Some((spread, _)), Some(one)) => {
                format!("{}x", digits(one / spread.median))
            }
            _ => "did not run".to_owned(),
        }));
        rows.push(row);
    }
    table(&rows)
}
