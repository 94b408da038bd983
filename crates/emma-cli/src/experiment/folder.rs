//! A results folder: begun, continued, finished, or somebody else's.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::{CommandResult, Failure};
use crate::files;

/// File of the results, written last.
pub(crate) const RESULTS_FILE: &str = "results.json";
/// File of everything that the results depend on, written first.
pub(crate) const SETTINGS_FILE: &str = "settings.json";

/// Makes an experiment's folder ready to be filled or continued; returns its results if it is finished.
pub(crate) fn prepare<R: DeserializeOwned>(
    folder: &Path,
    settings: &impl Serialize,
    outputs: &[&str],
    fresh: bool,
    upgrade: fn(&mut Value),
) -> CommandResult<Option<R>> {
    prepare_for(RESULTS_FILE, folder, settings, outputs, fresh, upgrade)
}

/// Makes a folder ready to be filled or continued; returns its results, which are in the file of this
/// name, if it is finished.
///
/// The settings' key `experiment` marks a folder as an experiment's own. `outputs` are the other files and
/// folders that the experiment makes, which a fresh start removes. `upgrade` completes the settings of an
/// earlier version.
pub(crate) fn prepare_for<R: DeserializeOwned>(
    results_file: &str,
    folder: &Path,
    settings: &impl Serialize,
    outputs: &[&str],
    fresh: bool,
    upgrade: fn(&mut Value),
) -> CommandResult<Option<R>> {
    let now = serde_json::to_value(settings).context("cannot write the settings")?;
    let unusable =
        |error: std::io::Error| Failure::input(format!("--out {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let settings_path = folder.join(SETTINGS_FILE);
    let earlier: Option<Value> = std::fs::read_to_string(&settings_path)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    match earlier.filter(|earlier| earlier["experiment"] == now["experiment"]) {
        // Without the settings of an earlier run, nothing in the folder is known to be ours.
        None => {
            let mut entries = std::fs::read_dir(folder).map_err(unusable)?;
            // A run that was killed at its very start leaves a file that never got its name.
            let foreign = |name: &std::ffi::OsStr| !files::is_unfinished(name);
            if entries.any(|entry| entry.map_or(true, |entry| foreign(&entry.file_name()))) {
                return Err(Failure::input(format!(
                    "--out {}: expected an empty folder or one with results of {}, got one with other \
                     files",
                    folder.display(),
                    now["experiment"].as_str().unwrap_or_default()
                )));
            }
        }
        Some(_) if fresh => remove_earlier_run(folder, results_file, outputs)?,
        Some(mut earlier) => {
            upgrade(&mut earlier);
            if let Some((name, then, now)) = first_difference(&earlier, &now) {
                return Err(Failure::input(format!(
                    "{} holds results of another setting: {name} was {then}, now it is {now}; \
                     choose another --out, or start anew with --fresh",
                    folder.display()
                )));
            }
            // What a killed run left behind while it wrote.
            files::remove_unfinished(folder);
            for name in outputs {
                files::remove_unfinished(&folder.join(name));
            }
            let results_path = folder.join(results_file);
            return if results_path.exists() {
                Ok(Some(read_json(&results_path)?))
            } else {
                Ok(None)
            };
        }
    }
    files::remove_unfinished(folder);
    files::write_json(&settings_path, settings)?;
    Ok(None)
}

/// Removes what an earlier run wrote, and nothing else.
fn remove_earlier_run(folder: &Path, results_file: &str, outputs: &[&str]) -> CommandResult<()> {
    // The settings go last: a folder without them is not taken for an unfinished run.
    for name in [results_file].iter().chain(outputs).chain(&[SETTINGS_FILE]) {
        let path = folder.join(name);
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::Failed(
                    anyhow::Error::new(error).context(format!("cannot remove {}", path.display())),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The first setting in which an earlier run differs: its name, then, now.
pub(crate) fn first_difference(then: &Value, now: &Value) -> Option<(String, String, String)> {
    difference("", then, now)
}

fn difference(path: &str, then: &Value, now: &Value) -> Option<(String, String, String)> {
    if let (Value::Object(then), Value::Object(now)) = (then, now) {
        return then
            .keys()
            .chain(now.keys().filter(|key| !then.contains_key(*key)))
            .find_map(|key| {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let missing = Value::Null;
                difference(
                    &path,
                    then.get(key).unwrap_or(&missing),
                    now.get(key).unwrap_or(&missing),
                )
            });
    }
    (then != now).then(|| (path.to_owned(), then.to_string(), now.to_string()))
}

/// Reads a file of a results folder.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> CommandResult<T> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::input(format!(
            "{}: {error}; start anew with --fresh",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}
