//! The table that an experiment runs on.

use std::path::Path;

use emma_data::{CandidateTable, Samples, read_candidates};

use crate::args::GlobalArgs;
use crate::experiment3::settings::{DataSettings, HTRU2, RAW, SIMULATED};
use crate::failure::CommandResult;
use crate::html_report::{Report, Tone};
use crate::text::thousands;
use crate::{digest, files, folders, htru2_file, simulated};

/// Reads what `--data` names: `htru2`, `simulated`, `auto` or a file.
pub(crate) fn read_data(
    data: &str,
    data_dir: Option<&Path>,
    global: &GlobalArgs,
) -> CommandResult<(CandidateTable, DataSettings)> {
    let folder = folders::data_folder(data_dir);
    let (table, source) = match data {
        SIMULATED => (simulated::candidates(global)?, SIMULATED),
        HTRU2 => (htru2_file::read_or_download(&folder, global.quiet)??, HTRU2),
        "auto" => match htru2_file::read_or_download(&folder, global.quiet)? {
            Ok(table) => (table, HTRU2),
            Err(failure) => {
                files::tell(&format!(
                    "warning: {failure}\nwarning: running on the SIMULATED survey instead; its scores say \
                     nothing of HTRU2"
                ));
                (simulated::candidates(global)?, SIMULATED)
            }
        },
        file => (read_candidates(file)?, file),
    };
    let data = settings(source, &table.samples, table.sha256.clone());
    Ok((table, data))
}

/// As [`read_data`], and beyond it `raw`: the raw modes of a simulated survey.
pub(crate) fn read_modes(
    data: &str,
    data_dir: Option<&Path>,
    global: &GlobalArgs,
) -> CommandResult<(Samples, DataSettings)> {
    if data == RAW {
        let samples = simulated::raw_modes()?;
        let sha256 = digest::of_samples(&samples);
        let data = settings(RAW, &samples, sha256);
        return Ok((samples, data));
    }
    let (table, data) = read_data(data, data_dir, global)?;
    Ok((table.samples, data))
}

fn settings(source: &str, samples: &Samples, sha256: String) -> DataSettings {
    let labels = samples.labels();
    DataSettings {
        source: source.to_owned(),
        rows: labels.len(),
        positives: labels.iter().map(|&label| usize::from(label)).sum(),
        sha256,
        modes: samples
            .modes()
            .iter()
            .map(|mode| mode.name.clone())
            .collect(),
    }
}

/// The line that says what an experiment's figures are made of; printed first.
pub(crate) fn headline(experiment: &str, data: &DataSettings, n_seeds: usize) -> String {
    let name = match data.source.as_str() {
        HTRU2 => "HTRU2",
        SIMULATED => "a SIMULATED survey, NOT on HTRU2",
        RAW => "the raw modes of a SIMULATED survey, NOT on HTRU2",
        path => path,
    };
    let seeds = if n_seeds == 1 { "seed" } else { "seeds" };
    format!(
        "{experiment} on {name}: {} candidates, {} pulsars; {n_seeds} {seeds}\n",
        thousands(data.rows),
        thousands(data.positives)
    )
}

/// Says in a report what it was made of, and loudly if that was simulated.
pub(crate) fn describe(mut report: Report, data: &DataSettings) -> Report {
    if [SIMULATED, RAW].contains(&data.source.as_str()) {
        report = report.banner(
            Tone::Warning,
            "SIMULATED data",
            "These figures were made on the simulated survey. They say nothing of HTRU2.",
        );
    }
    report
        .fact("Data", data.source.clone())
        .fact("Rows", thousands(data.rows))
        .fact("Pulsars", thousands(data.positives))
        .fact("Modes", data.modes.join(", "))
        .fact("SHA-256 of the data", data.sha256.clone())
}
