//! `emma man`: the manual pages, made of what `--help` says.

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::{Cli, GlobalArgs, ManArgs};
use crate::failure::{CommandResult, Failure};
use crate::files;

pub(crate) fn run(args: &ManArgs, global: &GlobalArgs) -> CommandResult<()> {
    // The features of this build are no matter of a manual.
    let version = env!("CARGO_PKG_VERSION");
    let mut program = Cli::command()
        .long_version(version)
        .disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    append(&program, version, &mut pages)?;
    let Some(folder) = &args.out else {
        return files::print(&pages.into_iter().map(|(_, page)| page).collect::<String>());
    };
    if !folder.is_dir() {
        return Err(Failure::input(format!(
            "--out {}: expected a folder to write into, there is none",
            folder.display()
        )));
    }
    for (name, page) in &pages {
        files::write(&folder.join(name), page.as_bytes())?;
    }
    if !global.quiet {
        files::tell(&format!("{}: {} pages", folder.display(), pages.len()));
    }
    Ok(())
}

/// Adds the page of a command, and then those of its subcommands, each with the name of its file.
fn append(
    command: &Command,
    version: &str,
    pages: &mut Vec<(String, String)>,
) -> anyhow::Result<()> {
    let page = Man::new(command.clone())
        // No date, so that pages do not change by the day; without anything, the next word took its place.
        .date(" ")
        .source(format!("emma {version}"))
        .manual("EMMA");
    let mut text = Vec::new();
    page.render(&mut text).context("cannot make a page")?;
    let text = String::from_utf8(text).context("cannot make a page")?;
    pages.push((page.get_filename(), text));
    for subcommand in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        append(subcommand, version, pages)?;
    }
    Ok(())
}
