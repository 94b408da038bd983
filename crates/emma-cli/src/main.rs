//! The `emma` program: reruns the EMMA thesis and scores tables.

mod args;
mod commands;
mod device;
mod experiment3;
mod failure;
mod files;
mod folders;
mod progress;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;
use failure::{CommandResult, Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::OutputClosed) {
                files::tell(&format!("error: {failure}"));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: &Cli) -> CommandResult<()> {
    match &cli.command {
        Command::Experiment3(args) => commands::experiment3::run(args, &cli.global),
        Command::Score(args) => commands::score::run(args, &cli.global),
    }
}
