//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use emma_models::ThresholdRule;

use crate::device::DeviceChoice;

/// Predictions that stay right when a sensor lies: energy-based multi-modal attention (EMMA).
#[derive(Debug, Parser)]
#[command(name = "emma", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct GlobalArgs {
    /// Threads to compute with [default: all cores]; results do not depend on it
    #[arg(long, global = true, value_name = "N", value_parser = parse_count)]
    pub(crate) threads: Option<usize>,
    /// Device to compute on: cpu, cuda, cuda:N (card N) or metal, if this emma was built with it
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: DeviceChoice,
    /// Print no progress
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Does EMMA make pulsar detection robust? The thesis's experiment 3
    Experiment3(Experiment3Args),
    /// Score the rows of a table with a trained model
    Score(ScoreArgs),
}

// Every one is a flag of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Args)]
pub(crate) struct Experiment3Args {
    /// auto or htru2 (HTRU2 in the data folder), or a table with HTRU2's nine columns
    #[arg(long, value_name = "htru2|auto|FILE", default_value = "auto")]
    pub(crate) data: String,
    /// Folder that holds htru2/HTRU_2.csv [default: $EMMA_DATA_DIR, else data/ in the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Number of seeds: splits, first values, noise
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = parse_count)]
    pub(crate) seeds: usize,
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Two seeds only
    #[arg(long, conflicts_with = "seeds")]
    pub(crate) quick: bool,
    /// Results folder [default: results/experiment3/ in the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Delete an existing results folder's results and start anew
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Rule that chooses the decision threshold on validation rows
    #[arg(long, value_enum, default_value_t = ThresholdRuleArg::MaxF1)]
    pub(crate) threshold_rule: ThresholdRuleArg,
    /// Weight of pulsars in the loss
    #[arg(long, value_name = "W", default_value_t = 1., value_parser = parse_positive)]
    pub(crate) positive_weight: f64,
    /// Retrain each model on training and validation rows for the epochs found
    #[arg(long)]
    pub(crate) retrain: bool,
    /// Epochs of each model
    #[arg(long, value_name = "N", default_value_t = 35, value_parser = parse_count)]
    pub(crate) epochs: usize,
    /// Print results.json instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Model file (safetensors)
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// Table to score (CSV, with or without a header), or - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Add potential, energy, importance and attention of every mode
    #[arg(long)]
    pub(crate) explain: bool,
}

/// Names of threshold rules on the command line, as in results.json.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ThresholdRuleArg {
    /// Largest F1, smoothed over neighbouring thresholds
    MaxF1,
    /// Nearest to the corner of the ROC curve (the thesis's rule)
    RocCorner,
}

impl From<ThresholdRuleArg> for ThresholdRule {
    fn from(rule: ThresholdRuleArg) -> Self {
        match rule {
            ThresholdRuleArg::MaxF1 => Self::MaxF1,
            ThresholdRuleArg::RocCorner => Self::RocCorner,
        }
    }
}

/// More threads, seeds or epochs than this are a slip of the finger.
const MOST: usize = 100_000;

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MOST}")),
    }
}

fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0. && f64::is_finite(value) => Ok(value),
        _ => Err("expected a positive number".into()),
    }
}
