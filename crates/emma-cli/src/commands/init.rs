//! `emma init`: a configuration guessed from a table.

use std::path::Path;

use emma_data::TablePreview;

use crate::args::{GlobalArgs, InitArgs};
use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::pipeline::init::Guess;

/// Rows looked at.
const MOST_ROWS: usize = 10_000;

pub(crate) fn run(args: &InitArgs, global: &GlobalArgs) -> CommandResult<()> {
    files::check_targets(
        &[("--out", (args.out.as_os_str() != "-").then_some(&*args.out))],
        &[("the table", Some(&*args.data))],
    )?;
    let preview = TablePreview::open(&args.data, MOST_ROWS)?;
    let file = args.data.display();
    if !preview.has_names {
        return Err(Failure::input(format!(
            "{file}: expected a header that names the columns, the first line holds numbers; \
             write the modes into a configuration by hand: the columns are then taken in its order"
        )));
    }
    if let Some(label) = &args.label
        && !preview.columns.iter().any(|column| column.name == *label)
    {
        let names: Vec<&str> = preview
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        return Err(Failure::input(format!(
            "{file}: expected a column {label:?}, found {}",
            names.join(", ")
        )));
    }
    let guess = Guess::of(&preview, args.label.as_deref());
    if guess.modes.is_empty() {
        return Err(Failure::input(format!(
            "{file}: expected columns of numbers beside the label, found none in the first {} rows",
            preview.n_rows
        )));
    }
    let data = seen_from(&args.out, &args.data);
    let text = guess.to_toml(&data, preview.n_rows);
    if args.out.as_os_str() == "-" {
        return files::print(&text);
    }
    if args.out.exists() && !args.force {
        return Err(Failure::input(format!(
            "{}: expected no such file yet; --force writes over it",
            args.out.display()
        )));
    }
    files::write(&args.out, text.as_bytes())?;
    if !global.quiet {
        let modes = guess.modes.iter();
        let modes: Vec<String> = modes
            .map(|(name, columns)| format!("{name} ({})", columns.len()))
            .collect();
        files::tell(&format!(
            "wrote {}: modes {}, label {}, {}",
            args.out.display(),
            modes.join(", "),
            guess.label.as_deref().unwrap_or("unknown"),
            guess.task
        ));
        files::tell(&format!(
            "look it through, then run: emma train {}",
            args.out.display()
        ));
    }
    Ok(())
}

/// The table as the configuration finds it: from its own folder.
fn seen_from(config: &Path, data: &Path) -> String {
    let folder = config.parent().unwrap_or(Path::new(""));
    let direct = if data.is_absolute() || folder.as_os_str().is_empty() {
        data.to_owned()
    } else if let Ok(rest) = data.strip_prefix(folder) {
        rest.to_owned()
    } else {
        data.canonicalize().unwrap_or_else(|_| data.to_owned())
    };
    direct.display().to_string()
}
