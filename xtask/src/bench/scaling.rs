//! How the cost of ours grows: over modes, over rows, over threads.

use std::process::Command;

use super::contestant::{Process, Ready};
use super::statistics::Spread;
use super::table::{digits, megabytes, table, time};

/// Rows of the table over modes.
const N_ROWS: usize = 256;
/// Modes of the table over rows.
const N_MODES: usize = 32;

/// A program of ours with these options, on so many threads.
pub(crate) type Kernels<'a> = &'a dyn Fn(&str, usize) -> Command;

/// Programs of the same options that take their rounds at once.
struct Team {
    options: String,
    /// Of all of them: a program on one thread may be held on one core, several on the same.
    n_threads: usize,
    n_programs: usize,
}

impl Team {
    fn one(options: String) -> Self {
        Self {
            options,
            n_threads: 1,
            n_programs: 1,
        }
    }

    fn start(&self, kernels: Kernels<'_>) -> Result<(Vec<Process>, Ready), String> {
        let start = || Process::start(&mut kernels(&self.options, self.n_threads));
        let (first, ready) = start()?;
        let mut programs = vec![first];
        for _ in 1..self.n_programs {
            programs.push(start()?.0);
        }
        Ok((programs, ready))
    }
}

/// The slowest one's time.
fn round(programs: &mut [Process]) -> Result<f64, String> {
    let times: Vec<_> = std::thread::scope(|scope| {
        let rounds = programs.iter_mut().map(|own| scope.spawn(|| own.round()));
        let rounds: Vec<_> = rounds.collect();
        let times = rounds.into_iter().map(std::thread::ScopedJoinHandle::join);
        times.collect()
    });
    let mut slowest = 0f64;
    for time in times {
        let panicked = |_| "the thread that waits for it panicked".to_owned();
        slowest = slowest.max(time.map_err(panicked)??);
    }
    Ok(slowest)
}

/// Times of the teams in turns; `None` where one did not run, which was said.
fn measure(kernels: Kernels<'_>, teams: &[Team], n_rounds: usize) -> Vec<Option<(Spread, Ready)>> {
    let mut running: Vec<_> = teams
        .iter()
        .map(|team| {
            team.start(kernels)
                .map(|(programs, ready)| (programs, ready, Vec::new()))
        })
        .collect();
    for _ in 0..n_rounds {
        for team in &mut running {
            let failed = match team {
                Ok((programs, _, samples)) => round(programs).map(|time| samples.push(time)).err(),
                Err(_) => None,
            };
            if let Some(reason) = failed {
                *team = Err(reason);
            }
        }
    }
    let results = running.into_iter().zip(teams);
    let results = results.map(|(result, team)| match result {
        Ok((_, ready, samples)) => Spread::of(samples).map(|spread| (spread, ready)),
        Err(reason) => {
            let Team {
                options,
                n_programs,
                ..
            } = team;
            eprintln!("kernels {options}, {n_programs} at once: did not run: {reason}");
            None
        }
    });
    results.collect()
}

/// Cost over modes, in time and memory.
pub(crate) fn over_modes(kernels: Kernels<'_>, n_rounds: usize) -> String {
    let modes: Vec<usize> = (1..=10).map(|power| 1 << power).collect();
    let options = modes
        .iter()
        .map(|modes| Team::one(format!("--what modes --modes {modes} --rows {N_ROWS}")));
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
pub(crate) fn over_rows(kernels: Kernels<'_>, n_rounds: usize) -> String {
    let counts = [256, 1024, 4096, 16_384, 65_536];
    let options =
        counts.map(|rows| Team::one(format!("--what modes --modes {N_MODES} --rows {rows}")));
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

/// Cost over threads: how many times as fast as one. Beside it what the machine gives: as many programs of one
/// thread at once, which share nothing, and how many times the work of one they do.
pub(crate) fn over_threads(kernels: Kernels<'_>, n_rounds: usize, n_cores: usize) -> String {
    let several: Vec<usize> = (2..=n_cores.min(4)).collect();
    let works = [("grid of 125 models", "grid"), ("scoring", "score")];
    let mut header = vec!["work".to_owned(), "1 thread".to_owned()];
    for n in &several {
        header.extend([format!("{n} threads"), format!("{n} programs at once")]);
    }
    let mut rows = vec![header];
    for (title, what) in works {
        let options = |n_threads: usize| format!("--what {what} --threads {n_threads}");
        let mut teams = vec![Team::one(options(1))];
        for &n in &several {
            teams.push(Team {
                options: options(n),
                n_threads: n,
                n_programs: 1,
            });
            teams.push(Team {
                options: options(1),
                n_threads: n,
                n_programs: n,
            });
        }
        let results = measure(kernels, &teams, n_rounds);
        let one = results[0].as_ref().map(|(spread, _)| spread.median);
        let mut row = vec![title.to_owned()];
        row.extend(
            teams
                .iter()
                .zip(&results)
                .map(|(team, result)| match (result, one) {
                    (Some((spread, _)), Some(one)) => {
                        let gain = team.n_programs as f64 * one / spread.median;
                        format!("{}x", digits(gain))
                    }
                    _ => "did not run".to_owned(),
                }),
        );
        rows.push(row);
    }
    table(&rows)
}
