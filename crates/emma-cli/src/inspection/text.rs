//! A model in words and tables.

use std::fmt::Write as _;

use emma_models::Task;
use serde_json::Value;

use super::{Attention, Inspection, Masking};
use crate::text::{align, number, printable, thousands};

/// Couplings that are put into words, strongest first.
const MOST_SENTENCES: usize = 12;
/// A matrix of more modes is left to `--json`.
const MOST_MODES_IN_A_MATRIX: usize = 12;
/// Coupling weights below this in size move no energy by a tenth of it.
const WEAK: f64 = 0.05;

impl Inspection {
    /// A page for people; `file` is what they call the model.
    pub(crate) fn text(&self, file: &str) -> String {
        let mut text = String::new();
        let n_features: usize = self.modes.iter().map(|mode| mode.columns.len()).sum();
        let name = self
            .name
            .as_ref()
            .map_or_else(String::new, |name| format!("{}, ", printable(name)));
        let _ = writeln!(
            text,
            "{file}: {name}{}, {}, {}; format version {}",
            counted(self.modes.len(), "mode"),
            counted(n_features, "feature"),
            counted(self.n_parameters, "learned parameter"),
            self.format_version
        );
        let label = printable(&self.label);
        let _ = match &self.task {
            Task::Binary { classes } => {
                let positive = classes
                    .get(1)
                    .map_or("1".to_owned(), |class| printable(class));
                let threshold = number(self.threshold);
                writeln!(
                    text,
                    "A row counts as {label} = {positive} from a probability of {threshold} up."
                )
            }
            Task::Multiclass { classes } => {
                let classes: Vec<String> = classes.iter().map(|class| printable(class)).collect();
                writeln!(text, "Classes of {label}: {}.", classes.join(", "))
            }
            Task::Regression { mean, std } => writeln!(
                text,
                "{label} is predicted, a number: mean {}, std {} over training rows.",
                number(*mean),
                number(*std)
            ),
        };
        self.write_modes(&mut text);
        if let Some(attention) = &self.attention {
            self.write_energies(&mut text);
            attention.write(&mut text, &self.mode_names());
        }
        if let Some(repair) = &self.repair {
            repair.write(&mut text, &self.mode_names());
        }
        let widths: Vec<String> = self
            .network
            .widths
            .iter()
            .map(ToString::to_string)
            .collect();
        let _ = writeln!(
            text,
            "\nNetwork: {}, {}",
            self.network.kind.kind,
            widths.join("-")
        );
        if self.attention.is_none() && self.repair.is_none() {
            text.push_str("No energies: nothing in this model measures how outlying a mode is.\n");
        }
        if let Some(abstention) = &self.abstention {
            abstention.write(&mut text);
        }
        self.write_provenance(&mut text);
        text
    }

    fn mode_names(&self) -> Vec<&str> {
        self.modes.iter().map(|mode| mode.name.as_str()).collect()
    }

    fn write_modes(&self, text: &mut String) {
        text.push_str("\nModes, with mean and standard deviation of the training rows\n\n");
        let mut rows = vec![cells(["column", "mean", "std"])];
        for mode in &self.modes {
            for column in &mode.columns {
                rows.push(cells([
                    &format!("{}: {}", mode.name, printable(&column.name)),
                    &number(f64::from(column.mean)),
                    &number(f64::from(column.std)),
                ]));
            }
        }
        align(text, &rows);
    }

    fn write_energies(&self, text: &mut String) {
        let Some(energy) = &self.energy else {
            return;
        };
        let notes: Vec<String> = energy
            .notes
            .iter()
            .map(|(key, value)| format!("{} {}", printable(key), plain(value)))
            .collect();
        let notes = if notes.is_empty() {
            String::new()
        } else {
            format!(" ({})", notes.join(", "))
        };
        let _ = writeln!(
            text,
            "\nEnergies: {}{notes}; self-energy = weight × (potential − lowest + e) + bias\n",
            energy.kind
        );
        let mut rows = vec![cells([
            "mode",
            "hidden units",
            "lowest potential",
            "self weight",
            "self bias",
        ])];
        for mode in &self.modes {
            if let Some(energy) = &mode.energy {
                rows.push(cells([
                    &mode.name,
                    &energy.n_hidden.to_string(),
                    &number(energy.minimum_potential),
                    &number(energy.self_weight),
                    &number(energy.self_bias),
                ]));
            }
        }
        align(text, &rows);
    }

    fn write_provenance(&self, text: &mut String) {
        if self.training.is_empty() {
            text.push_str("\nThe file does not say how the model was trained.\n");
            return;
        }
        text.push_str("\nTrained with\n\n");
        let rows: Vec<Vec<String>> = self
            .training
            .iter()
            .map(|(key, value)| cells([&printable(key), &plain(value)]))
            .collect();
        let width = rows.iter().map(|row| row[0].chars().count()).max();
        for row in &rows {
            let _ = writeln!(
                text,
                "  {:<width$}  {}",
                row[0],
                row[1],
                width = width.unwrap_or(0)
            );
        }
    }
}

impl Attention {
    fn write(&self, text: &mut String, modes: &[&str]) {
        let _ = writeln!(
            text,
            "\nAttention: coldness {}, gain {}, bias {}",
            number(self.coldness),
            number(self.gain),
            number(self.bias)
        );
        let _ = writeln!(
            text,
            "  A mode with all the importance gets attention {}; capacity {} ({} unrectified).",
            number(self.most),
            number(self.rectified_capacity),
            number(self.capacity)
        );
        let others = if modes.len() == 2 {
            "the other's"
        } else {
            "the soft minimum of the others'"
        };
        let _ = match &self.masking {
            Masking::Never => writeln!(text, "  No mode is ever masked completely."),
            Masking::GainIsNegative => writeln!(
                text,
                "  The gain is negative: the more important a mode is, the less of it passes."
            ),
            Masking::Always => writeln!(text, "  Every mode is masked: nothing passes."),
            Masking::ByEnergy { importance, gap } if *gap >= 0. => writeln!(
                text,
                "  A mode is masked when its energy is {} or more above {others} (importance {} or \
                 less).",
                number(*gap),
                number(*importance)
            ),
            Masking::ByEnergy { importance, gap } => writeln!(
                text,
                "  A mode is masked unless its energy is more than {} below {others} (importance {} \
                 or less).",
                number(-gap),
                number(*importance)
            ),
        };
        text.push_str(
            "\nCoupling: w_ij e_i^γ_ij e_j^(1 − γ_ij) is added to the energy of mode i\n\n",
        );
        if modes.len() > MOST_MODES_IN_A_MATRIX {
            let _ = writeln!(
                text,
                "  {} modes: the matrices are in the output of --json.",
                modes.len()
            );
        } else {
            matrix(text, "w_ij", modes, &self.coupling_weight);
            text.push('\n');
            matrix(text, "γ_ij", modes, &self.coupling_exponent);
        }
        text.push('\n');
        self.write_coupling_in_words(text, modes);
    }

    fn write_coupling_in_words(&self, text: &mut String, modes: &[&str]) {
        let mut couplings = Vec::new();
        for (i, (weights, exponents)) in self
            .coupling_weight
            .iter()
            .zip(&self.coupling_exponent)
            .enumerate()
        {
            for (j, (weight, exponent)) in weights.iter().zip(exponents).enumerate() {
                if let (Some(weight), Some(exponent)) = (weight, exponent)
                    && weight.abs() >= WEAK
                {
                    couplings.push((i, j, *weight, *exponent));
                }
            }
        }
        couplings.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
        if couplings.is_empty() {
            let _ = writeln!(text, "  No weight reaches {WEAK}: the modes hardly couple.");
        }
        for (i, j, weight, exponent) in couplings.iter().take(MOST_SENTENCES) {
            let (mode, other) = (modes[*i], modes[*j]);
            let effect = match (weight > &0., *exponent < 1.) {
                (_, false) => {
                    let _ = writeln!(
                        text,
                        "  {mode} {} its own energy by way of {other} (w {}, γ {}).",
                        if *weight > 0. { "raises" } else { "lowers" },
                        number(*weight),
                        number(*exponent)
                    );
                    continue;
                }
                (true, true) => "loses attention",
                (false, true) => "gains attention",
            };
            let _ = writeln!(
                text,
                "  {mode} {effect} as {other} gets more outlying (w {}, γ {}).",
                number(*weight),
                number(*exponent)
            );
        }
        if let Some(more) = couplings
            .len()
            .checked_sub(MOST_SENTENCES)
            .filter(|&n| n > 0)
        {
            let _ = writeln!(text, "  {} weaker than these.", counted(more, "coupling"));
        }
    }
}

fn matrix(text: &mut String, name: &str, modes: &[&str], values: &[Vec<Option<f64>>]) {
    let mut rows = vec![vec![name.to_owned()]];
    rows[0].extend(modes.iter().map(|mode| format!("j = {mode}")));
    for (mode, values) in modes.iter().zip(values) {
        let mut row = vec![format!("i = {mode}")];
        row.extend(
            values
                .iter()
                .map(|value| value.map_or_else(|| "·".to_owned(), number)),
        );
        rows.push(row);
    }
    align(text, &rows);
}

/// Text without its quotes, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

pub(super) fn counted(count: usize, thing: &str) -> String {
    format!(
        "{} {thing}{}",
        thousands(count),
        if count == 1 { "" } else { "s" }
    )
}

pub(super) fn cells<const N: usize>(row: [&str; N]) -> Vec<String> {
    row.map(str::to_owned).to_vec()
}
