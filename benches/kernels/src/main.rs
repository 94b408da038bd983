//! The kernels as a contestant of `cargo xtask bench`, and as what `cargo xtask instructions` counts.
//!
//! ```text
//! kernels --what step|grid|stage_one|score|modes [--threads N] [--models N] [--modes M] [--rows N]
//! kernels --what … --repeat N       works N times after the preparations, and names the instruction set
//! ```

mod gate;
mod scoring;
mod training;

use emma_bench::contestant::{Options, Ready, answer};
use emma_kernels::InstructionSet;

/// A work that was prepared.
trait Work {
    /// Model steps, or 1 where the whole is one unit.
    fn units(&self) -> usize;

    /// Does it once.
    fn run(&mut self);

    /// A small part of it, for counting instructions.
    fn run_part(&mut self);

    /// Warms up.
    fn prepare(&mut self) -> Ready;
}

fn main() -> anyhow::Result<()> {
    let options = Options::of_process();
    let n_threads = options.number("--threads", 1)?;
    let what = options.text("--what").unwrap_or("step");
    let mut work: Box<dyn Work> = match what {
        "step" => Box::new(training::Grid::one()),
        "grid" => {
            let n_models = options.number("--models", 125)?;
            Box::new(training::Grid::of(n_models, n_threads))
        }
        "stage_one" => Box::new(training::Autoencoder::new()),
        "score" => Box::new(scoring::Scoring::new(n_threads)),
        "modes" => {
            let n_modes = options.number("--modes", 512)?;
            Box::new(gate::ManyModes::new(
                n_modes,
                options.number("--rows", 256)?,
            ))
        }
        _ => anyhow::bail!("--what expects step, grid, stage_one, score or modes, got {what}"),
    };
    if options.text("--repeat").is_some() {
        for _ in 0..options.number("--repeat", 0)? {
            work.run_part();
        }
        println!("{:?}", InstructionSet::current());
        return Ok(());
    }
    let ready = work.prepare();
    answer(&ready, work.units(), || work.run())
}
