//! A survey as comma-separated tables.

use std::io::{self, Write};

use super::candidate::Candidate;
use super::dispersion_curve::N_TRIALS;
use super::pulse_profile::N_PHASE_BINS;
use crate::htru2;

/// Columns of the table of truths.
const TRUTH_COLUMNS: [&str; 13] = [
    "row",
    "kind",
    "period_s",
    "duty_cycle",
    "n_components",
    "dispersion_measure",
    "width_ms",
    "bandwidth_mhz",
    "folded_snr",
    "search_snr",
    "missed_trials",
    "trial_noise",
    "n_chance_detections",
];

/// Writes candidates into up to three tables, row by row, each with a header and LF line ends:
///
/// - features: HTRU2's nine columns, as any reader of HTRU2 takes them;
/// - truth: what each candidate is, hidden from a classifier: its row and the fields of its
///   [`Source`](super::Source), components by their number alone;
/// - curves: its row, then the bytes of the profile (`profile_0`, …) and of the DM-SNR curve (`dm_0`, …).
///
/// Numbers have the fewest digits that read back as the same number. Rows count from 0.
#[derive(Debug)]
pub struct SurveyWriter<W> {
    features: W,
    truth: Option<W>,
    curves: Option<W>,
    n_rows: u64,
}

impl<W: Write> SurveyWriter<W> {
    /// Writes the headers.
    ///
    /// # Errors
    /// The writers'.
    pub fn new(mut features: W, mut truth: Option<W>, mut curves: Option<W>) -> io::Result<Self> {
        writeln!(features, "{}", htru2::COLUMNS.join(","))?;
        if let Some(truth) = &mut truth {
            writeln!(truth, "{}", TRUTH_COLUMNS.join(","))?;
        }
        if let Some(curves) = &mut curves {
            let profile = (0..N_PHASE_BINS).map(|bin| format!(",profile_{bin}"));
            let dm_curve = (0..N_TRIALS).map(|trial| format!(",dm_{trial}"));
            writeln!(curves, "row{}", profile.chain(dm_curve).collect::<String>())?;
        }
        Ok(Self {
            features,
            truth,
            curves,
            n_rows: 0,
        })
    }

    /// Writes the next candidate.
    ///
    /// # Errors
    /// The writers'.
    pub fn write(&mut self, candidate: &Candidate) -> io::Result<()> {
        for feature in candidate.features() {
            write!(self.features, "{feature},")?;
        }
        writeln!(self.features, "{}", candidate.label())?;
        let row = self.n_rows;
        if let Some(truth) = &mut self.truth {
            let source = &candidate.source;
            writeln!(
                truth,
                "{row},{},{},{},{},{},{},{},{},{},{},{},{}",
                source.kind,
                source.period_s,
                source.duty_cycle,
                source.components.len(),
                source.dispersion_measure,
                source.width_ms,
                source.bandwidth_mhz,
                source.folded_snr,
                source.search_snr,
                source.missed_trials,
                source.trial_noise,
                candidate.n_chance_detections
            )?;
        }
        if let Some(curves) = &mut self.curves {
            write!(curves, "{row}")?;
            for byte in candidate.profile.iter().chain(&candidate.dm_curve) {
                write!(curves, ",{byte}")?;
            }
            writeln!(curves)?;
        }
        self.n_rows += 1;
        Ok(())
    }

    /// Gives the writers back: features, truth, curves.
    pub fn into_parts(self) -> (W, Option<W>, Option<W>) {
        (self.features, self.truth, self.curves)
    }
}
