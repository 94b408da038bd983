//! `emma completions`: what a shell needs to complete options.

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::failure::CommandResult;
use crate::files;

pub(crate) fn run(args: &CompletionsArgs) -> CommandResult<()> {
    // Into memory first: clap_complete panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "emma", &mut script);
    files::print(&String::from_utf8_lossy(&script))
}
