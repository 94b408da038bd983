//! The `emma` program: reruns the EMMA thesis and scores tables.

mod abstaining;
mod arena;
mod args;
mod commands;
mod comparison;
mod coupling_study;
mod device;
mod digest;
mod energies;
mod evaluation;
mod experiment;
mod experiment1;
mod experiment2;
mod experiment3;
mod failure;
mod figures;
mod files;
mod folders;
mod html_report;
mod htru2_file;
mod inspection;
mod labels;
mod networks;
mod part;
mod pipeline;
mod progress;
mod scoring;
mod simulated;
mod tables;
mod task_metrics;
mod text;
mod threads;
mod usage;
mod version;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;
use failure::{CommandResult, Failure};

fn main() -> ExitCode {
    silence_caught_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version, asked for or shown where nothing was asked.
        Err(message) if message.exit_code() == 0 || usage::is_help(&message) => message.exit(),
        Err(error) => {
            files::tell_error(&usage::one_line(&error));
            return ExitCode::from(2);
        }
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::OutputClosed) {
                files::tell_error(&format!("error: {}", text::printable(&failure.to_string())));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

/// The parquet crate panics on some damaged files. `emma-data` catches that and makes it an error, which
/// is one line; the panic's own message would be more.
fn silence_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |location| location.file());
        if !place.contains("/parquet-") {
            report(panic);
        }
    }));
}

fn run(cli: &Cli) -> CommandResult<()> {
    match &cli.command {
        Command::Data(args) => commands::data::run(args, &cli.global),
        Command::Evaluate(args) => commands::evaluate::run(args, &cli.global),
        Command::Monitor(args) => commands::monitor::run(args, &cli.global),
        Command::Inspect(args) => commands::inspect::run(args, &cli.global),
        Command::Experiment1(args) => commands::experiment1::run(args, &cli.global),
        Command::Experiment2(args) => commands::experiment2::run(args, &cli.global),
        Command::Arena(args) => commands::arena::run(args, &cli.global),
        Command::Experiment3(args) => commands::experiment3::run(args, &cli.global),
        Command::CouplingStudy(args) => commands::coupling_study::run(args, &cli.global),
        Command::Init(args) => commands::init::run(args, &cli.global),
        Command::Train(args) => commands::train::run(args, &cli.global),
        Command::Score(args) => commands::score::run(args, &cli.global),
        Command::Transform(args) => commands::transform::run(args, &cli.global),
        Command::Export(args) => commands::export::run(args, &cli.global),
        Command::Completions(args) => commands::completions::run(args),
        Command::Man(args) => commands::man::run(args, &cli.global),
    }
}
