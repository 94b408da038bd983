//! The command line.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use emma_data::{
    CouplingStructure, Manifold, MissingValues, ModeColumns, ModeCorruption, NoiseStd,
};
use emma_models::{Metric, ThresholdRule};

use crate::arena::learner::Learner;
use crate::device::DeviceChoice;
use crate::evaluation::curve::CurveSpec;
use crate::experiment3::grid::GridName;
use crate::experiment3::shard::Shard;
use crate::failure::{CommandResult, Failure};

/// Predictions that stay right when a sensor lies: energy-based multi-modal attention (EMMA).
#[derive(Debug, Parser)]
#[command(name = "emma", version, long_version = crate::version::LONG.as_str(), max_term_width = 100)]
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
    #[arg(long, global = true, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
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
    /// Do energies know a wave and a circle? The thesis's experiment 1
    Experiment1(Experiment1Args),
    /// Do energies know clean rows from noisy, foreign and missing ones? The thesis's experiment 2
    Experiment2(Experiment2Args),
    /// Does EMMA make pulsar detection robust? The thesis's experiment 3
    Experiment3(Experiment3Args),
    /// Does EMMA+ keep predictions right under faults nobody trained for? Against everything else one would try
    Arena(ArenaArgs),
    /// What are shared energies worth, and in which form, where modes take over for each other?
    ///
    /// Three simulated modes whose best decision is known; EMMA without shared energies, with the thesis's, and with
    /// two other forms, each chosen on validation rows.
    CouplingStudy(CouplingStudyArgs),
    /// Look at a table and write a configuration to train a model on it
    Init(InitArgs),
    /// Train a model on a table, as a configuration says
    ///
    /// Leaves model.safetensors, metrics.json and history.csv in a folder. What is done is kept there while it
    /// works: a training that was stopped goes on with --resume, to the same bits as if it had not been.
    Train(TrainArgs),
    /// Score the rows of a table with a trained model
    Score(ScoreArgs),
    /// Write the rows of a table as a model's gate leaves them, for other learners
    ///
    /// One row per row, in order: gated features in the table's units, attention and energy of every mode; by
    /// emma_plus also repaired features and log-odds. A label of 0 and 1 is passed through if the table has it.
    Transform(TransformArgs),
    /// Measure a trained model on labelled rows, clean or corrupted
    ///
    /// Corruptions count in standard deviations of the model's training rows. Intervals are 95 % percentile
    /// bootstrap intervals over the rows; --curve follows the main measure over levels of one corruption.
    Evaluate(EvaluateArgs),
    /// Watch a stream of rows, or of their scores, and alarm when the energies of a mode drift
    ///
    /// One line of JSON for each alarm: row, mode, direction (up: less like the rows it was trained on; down: a sensor
    /// that is stuck), the row since when, and the evidence. The test is sequential: it may be looked at after every row.
    Monitor(MonitorArgs),
    /// Say what a trained model learned: energies, coupling, gain, threshold, capacity
    Inspect(InspectArgs),
    /// Get or simulate data sets
    Data(DataArgs),
    /// Write a trained model for other programs: as ONNX, or for PyTorch's load_state_dict
    ///
    /// Both files hold all of the model: standardization, energies, attention, network and threshold.
    /// Features go in as the table has them. What comes out agrees with `emma score --explain`.
    Export(ExportArgs),
    /// Print the completions of a shell, to be put where the shell looks for them
    ///
    /// For instance: emma completions bash > ~/.local/share/bash-completion/completions/emma
    Completions(CompletionsArgs),
    /// Print the manual pages, or write each to a file
    ///
    /// For instance: emma man | man -l -
    Man(ManArgs),
}

/// What the experiments on energies can be told.
#[derive(Debug, Args)]
pub(crate) struct ExperimentArgs {
    /// Number of seeds: draws, first values, noise
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = parse_count, allow_negative_numbers = true)]
    seeds: usize,
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Two seeds only
    #[arg(long, conflicts_with = "seeds")]
    quick: bool,
    /// Results folder [default: one of the experiment's name in results/ in the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Delete an existing results folder's results and start anew
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Print results.json instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

impl ExperimentArgs {
    /// The seeds asked for.
    pub(crate) fn seeds(&self) -> CommandResult<Vec<u64>> {
        seeds(self.seed, self.seeds, self.quick)
    }

    /// Whether it is to be quick.
    pub(crate) fn is_quick(&self) -> bool {
        self.quick
    }
}

/// `n` seeds from the first on, two if it is to be quick.
pub(crate) fn seeds(first: u64, n: usize, quick: bool) -> CommandResult<Vec<u64>> {
    let n = if quick { 2 } else { n } as u64;
    let end = first
        .checked_add(n)
        .ok_or_else(|| Failure::input(format!("--seed {first}: the last seed is too large")))?;
    Ok((first..end).collect())
}

#[derive(Debug, Args)]
pub(crate) struct CouplingStudyArgs {
    #[command(flatten)]
    pub(crate) run: ExperimentArgs,
    /// Rows of each seed: half to train on, a quarter to choose by, a quarter to test on [default: 8000, with --quick
    /// 2000]
    #[arg(long, value_name = "N", value_parser = parse_study_rows, allow_negative_numbers = true)]
    rows: Option<usize>,
}

impl CouplingStudyArgs {
    /// Rows of each seed.
    pub(crate) fn n_rows(&self) -> usize {
        let usual = if self.run.is_quick() { 2000 } else { 8000 };
        self.rows.unwrap_or(usual)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Experiment1Args {
    #[command(flatten)]
    pub(crate) run: ExperimentArgs,
    /// Points of each curve to learn from
    #[arg(long, value_name = "N", default_value_t = 40_000, value_parser = parse_count, allow_negative_numbers = true)]
    pub(crate) samples: usize,
    /// Ignored: the experiment draws its own curves
    #[arg(long, value_name = "ANY", hide = true)]
    pub(crate) data: Option<String>,
}

/// Where candidates come from.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// HTRU2 from the data folder, downloaded if it is not there (htru2), the simulated survey
    /// (simulated), the former or else the latter (auto), or a table with HTRU2's nine columns
    #[arg(long, value_name = "htru2|simulated|auto|FILE", default_value = "auto")]
    pub(crate) data: String,
    /// Folder that holds htru2/HTRU_2.csv [default: $EMMA_DATA_DIR, else data/ in the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Experiment2Args {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) run: ExperimentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ArenaArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ArenaCommand>,
    /// HTRU2 from the data folder, downloaded if it is not there (htru2), the simulated survey
    /// (simulated), the former or else the latter (auto), the four raw modes of 6,000 simulated candidates (raw), or
    /// a table with HTRU2's nine columns
    #[arg(
        long,
        value_name = "htru2|simulated|auto|raw|FILE",
        default_value = "auto"
    )]
    pub(crate) data: String,
    /// Folder that holds htru2/HTRU_2.csv [default: $EMMA_DATA_DIR, else data/ in the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) run: ExperimentArgs,
    /// Most epochs of a training
    #[arg(long, value_name = "N", default_value_t = 35, value_parser = parse_count, allow_negative_numbers = true)]
    pub(crate) epochs: usize,
    /// Only this learner; once for each [default: all]
    #[arg(long = "learner", value_name = "NAME", value_enum)]
    pub(crate) learners: Vec<Learner>,
    /// Let EMMA+ reckon with modes that belong to another row, with this probability
    ///
    /// It is one of the test conditions written as a belief: report such scores apart.
    #[arg(long, value_name = "P")]
    pub(crate) swap_probability: Option<f64>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ArenaCommand {
    /// Choose every learner's hyper-parameters on validation rows, and print them as JSON
    Tune,
}

// Every one is a flag of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Experiment3Args {
    #[command(subcommand)]
    pub(crate) command: Option<Experiment3Command>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Number of seeds: splits, first values, noise
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = parse_count, allow_negative_numbers = true)]
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
    /// Hyper-parameters that EMMA's are chosen from by validation F1
    #[arg(long, value_enum, value_name = "GRID", default_value_t)]
    pub(crate) grid: GridName,
    /// Rule that chooses the decision threshold on validation rows
    #[arg(long, value_enum, default_value_t = ThresholdRuleArg::MaxF1)]
    pub(crate) threshold_rule: ThresholdRuleArg,
    /// Weight of pulsars in the loss
    #[arg(long, value_name = "W", default_value_t = 1., value_parser = parse_positive, allow_negative_numbers = true)]
    pub(crate) positive_weight: f64,
    /// Retrain each model on training and validation rows for the epochs found
    #[arg(long)]
    pub(crate) retrain: bool,
    /// Epochs of each model
    #[arg(long, value_name = "N", default_value_t = 35, value_parser = parse_count, allow_negative_numbers = true)]
    pub(crate) epochs: usize,
    /// Instead of the experiment, measure what each fault of the program behind the published tables
    /// does to F1
    #[arg(long, conflicts_with_all = ["shard", "retrain", "threshold_rule", "metric"])]
    pub(crate) as_published: bool,
    /// Train share I of N of the models only, I from 0 to N - 1, into a results folder of its own; merge
    /// puts them together
    #[arg(long, value_name = "I/N", conflicts_with_all = ["json", "metric"])]
    pub(crate) shard: Option<Shard>,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

/// How results are printed.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Measure that the table shows; results.json has all of them
    #[arg(long, value_name = "NAME", default_value_t, value_parser = metrics(), conflicts_with = "json")]
    pub(crate) metric: Metric,
    /// Print results.json instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Experiment3Command {
    /// Put the results folders of all shards together, to the same results as without shards
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Results folders of all shards, in any order
    #[arg(value_name = "DIR", required = true)]
    pub(crate) shards: Vec<PathBuf>,
    /// Results folder to write
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Where the shards' table is now [default: where it was]
    #[arg(long, value_name = "htru2|simulated|FILE")]
    pub(crate) data: Option<String>,
    /// Folder that holds htru2/HTRU_2.csv [default: $EMMA_DATA_DIR, else data/ in the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Delete other results in the folder to write
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Table (CSV with a header, also gzip or zstd, or Parquet)
    #[arg(value_name = "TABLE")]
    pub(crate) data: PathBuf,
    /// Column to predict [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) label: Option<String>,
    /// Configuration to write, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "emma.toml")]
    pub(crate) out: PathBuf,
    /// Write over an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

// Every one is a flag of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Configuration, as emma init writes one
    #[arg(value_name = "CONFIG.toml")]
    pub(crate) config: PathBuf,
    /// Table to train on [default: the one that the configuration names]
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Folder for the model and what else is left
    #[arg(long, value_name = "DIR", default_value = "model")]
    pub(crate) out: PathBuf,
    /// Go on with a training that was stopped
    #[arg(long)]
    pub(crate) resume: bool,
    /// Delete an earlier training in the folder and start anew
    #[arg(long, conflicts_with = "resume")]
    pub(crate) fresh: bool,
    /// Print metrics.json instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Append losses to a file, a line of JSON for each epoch; epochs that a resumed training does again come again
    #[arg(long, value_name = "FILE")]
    pub(crate) log_json: Option<PathBuf>,
    /// Write an event file for TensorBoard into a folder
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: Option<PathBuf>,
    /// Seconds between two times that what is done is kept; 0 keeps every epoch, and every autoencoder in any case
    #[arg(long, value_name = "SECONDS", default_value_t = 5., value_parser = parse_seconds, allow_negative_numbers = true)]
    pub(crate) save_every: f64,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Model file (safetensors)
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// Table to score (CSV, with or without a header, also gzip or zstd, or Parquet), or - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// File to write: CSV, packed if its name ends in .gz or .zst, or Parquet if it ends in .parquet [default:
    /// standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Add potential, energy, importance and attention of every mode; of emma_plus energy and attention
    #[arg(long)]
    pub(crate) explain: bool,
    /// Add a sentence: which mode is suspect, which carries the attention
    #[arg(long)]
    pub(crate) why: bool,
    /// With --why, call a mode suspect if a share of clean rows below P is as far out [default: 0.01]
    #[arg(long, value_name = "P", requires = "why", value_parser = parse_share, allow_negative_numbers = true)]
    pub(crate) suspect: Option<f64>,
    /// Add the p-value of every mode, and whether it is suspect: in a share of at most A of clean rows it is by mistake
    #[arg(long, value_name = "A", value_parser = parse_rate, allow_negative_numbers = true)]
    pub(crate) suspect_rate: Option<f64>,
    #[command(flatten)]
    pub(crate) risk: RiskArgs,
    /// Write the N rows of the highest probability alone, best first, with their rank
    #[arg(long, value_name = "N", value_parser = parse_rows, allow_negative_numbers = true)]
    pub(crate) top: Option<usize>,
    /// Put rows that cannot be scored into a CSV file, with the reason, and go on [default: stop at the first]
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// What a missing value is: an error, or missing, so that its mode (by emma_plus: it alone) is left out of the
    /// row [default: error]
    #[arg(long, value_name = "error|missing", value_parser = missing_values())]
    pub(crate) nan: Option<MissingValues>,
}

/// A limit of the share of wrong answers.
#[derive(Debug, Args)]
pub(crate) struct RiskArgs {
    /// Answer only where the share of wrong answers is at most R, going by labelled rows that training kept; score adds the
    /// column answered, 1 or 0
    #[arg(long, value_name = "R", value_parser = parse_rate, allow_negative_numbers = true)]
    pub(crate) max_risk: Option<f64>,
    /// Confidence that it is, for rows drawn as those were
    #[arg(long, value_name = "C", default_value_t = 0.9, requires = "max_risk", value_parser = parse_rate, allow_negative_numbers = true)]
    pub(crate) confidence: f64,
}

#[derive(Debug, Args)]
pub(crate) struct TransformArgs {
    /// Model file (safetensors) with attention
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// Table to transform (CSV, with or without a header, also gzip or zstd, or Parquet), or - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// File to write: CSV, packed if its name ends in .gz or .zst, or Parquet if it ends in .parquet [default:
    /// standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Put rows that cannot be transformed into a CSV file, with the reason, and go on [default: stop at the first]
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// What a missing value is: an error, or missing, as for emma score [default: error]
    #[arg(long, value_name = "error|missing", value_parser = missing_values())]
    pub(crate) nan: Option<MissingValues>,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Model file (safetensors)
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// Table with the label (CSV, with or without a header, also gzip or zstd, or Parquet)
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// What is done to which mode first, such as ip:noise:0.5 or dm:missing; once for each, in order
    #[arg(long, value_name = "MODE:KIND:LEVEL")]
    pub(crate) corrupt: Vec<ModeCorruption>,
    /// Which modes of which rows are corrupted
    #[arg(long, value_enum, default_value_t = RowsArg::All)]
    pub(crate) rows: RowsArg,
    /// Seed of the corruption and of the resamples
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Resamples for the intervals; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) resamples: usize,
    #[command(flatten)]
    pub(crate) risk: RiskArgs,
    /// Follow the main measure over levels of a corruption, such as ip:noise:0..4 or ip:noise:0..4/17
    #[arg(long, value_name = "MODE:KIND:FROM..TO")]
    pub(crate) curve: Option<CurveSpec>,
    /// File for the drawing of the curve, .svg or .png; once for each
    #[arg(long, value_name = "FILE", requires = "curve")]
    pub(crate) figure: Vec<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MonitorArgs {
    /// Model file (safetensors) with energies
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// Table to watch (CSV, also gzip or zstd, or Parquet), or - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The table holds scores of emma score --explain, not rows
    #[arg(long)]
    pub(crate) scores: bool,
    /// Rows that pass on average before the first false alarm, at least, over all modes together
    #[arg(long, value_name = "N", default_value_t = 1e6, value_parser = parse_rows_per_alarm, allow_negative_numbers = true)]
    pub(crate) rows_per_false_alarm: f64,
    /// Seed of the draws that break ties
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Model file (safetensors)
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// Print JSON instead of words and tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Download a published data set into the data folder, unless it is there
    ///
    /// The file is told by its digest; another file in its place is an error and stays untouched.
    /// EMMA_HTRU2_URL names another place that has HTRU2's archive, such as a mirror.
    Fetch(FetchArgs),
    /// Simulate a survey of pulsar candidates with HTRU2's columns, from physics
    ///
    /// The same rows and seed give the same bits, on any number of threads. What each candidate truly is
    /// goes to a second file.
    Simulate(SimulateArgs),
    /// Make rows of three modes a, b, c whose redundancy, complementarity and conflict are dialled in
    ///
    /// Which modes say the opposite of the truth in which row goes to a second file, and which columns are
    /// which mode to a third, NAME.table.toml, for --table.
    Coupling(CouplingArgs),
    /// Draw points on a curve in the plane, the wave or the circle of the thesis's experiment 1
    Manifold(ManifoldArgs),
    /// Compare two tables with HTRU2's columns: quantiles, distances, and whether a network can tell
    /// them apart
    Compare(CompareArgs),
    /// Say what a table holds: rows, modes, classes, missing values, quantiles
    Describe(DescribeArgs),
    /// Damage a table on purpose, and write down what was done to which mode of which row
    ///
    /// Levels count in standard deviations: a mode is standardized by the mean and the standard deviation that
    /// its columns have in this table, corrupted, and brought back to the table's units. So noise:0.5 adds
    /// half a standard deviation of each column, and clip:2 limits it to two on either side of its mean.
    /// missing, swap, stuck and adversarial_mean need no scale. Values that are not changed keep their bits.
    ///
    /// Several corruptions are done in their order, all to the rows that --rows chooses. A mode that
    /// lacks a value in a row is left as it is there, unless it is taken away by missing.
    ///
    /// The table is held in memory: about 16 bytes a value, and 32 for each mode of a row each
    /// time that it is corrupted. `emma data corruptions` lists the kinds.
    Corrupt(CorruptArgs),
    /// List the kinds of corruption, how they are written and what they do
    Corruptions(CorruptionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// First table
    #[arg(long, value_name = "htru2|simulated|FILE", default_value = "htru2")]
    pub(crate) data: String,
    /// Second table
    #[arg(long, value_name = "htru2|simulated|FILE", default_value = "simulated")]
    pub(crate) with: String,
    /// Folder that holds htru2/HTRU_2.csv [default: $EMMA_DATA_DIR, else data/ in the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Seed of the network that tells them apart
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

/// A table of the user's own.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("layout").args(["table", "mode"]).required(true))]
pub(crate) struct LayoutArgs {
    /// Table (CSV, with or without a header, also gzip or zstd, or Parquet), or - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Layout of the table: a TOML file with label, missing and modes
    #[arg(
        long,
        value_name = "TABLE.toml",
        group = "layout",
        required_unless_present = "mode"
    )]
    pub(crate) table: Option<PathBuf>,
    /// One mode and its columns, in the place of --table; once for each mode
    #[arg(long, value_name = "NAME=COLUMN,...")]
    pub(crate) mode: Vec<ModeColumns>,
    /// Column of the label, 0 or 1, with --mode [default: no label is read]
    #[arg(long, value_name = "COLUMN", conflicts_with = "table")]
    pub(crate) label: Option<String>,
    /// What a missing value is, with --mode: an error, or missing [default: error]
    #[arg(long, value_name = "error|missing", value_parser = missing_values(), conflicts_with = "table")]
    pub(crate) nan: Option<MissingValues>,
}

#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// Print JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CorruptArgs {
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// What is done to which mode, such as ip:noise:0.5 or dm:missing; once for each, in order
    #[arg(long, value_name = "MODE:KIND:LEVEL", required = true)]
    pub(crate) corrupt: Vec<ModeCorruption>,
    /// Which modes of which rows
    #[arg(long, value_enum, default_value_t = RowsArg::All)]
    pub(crate) rows: RowsArg,
    /// Seed of the choice of rows and of the corruption
    #[arg(
        long,
        value_name = "S",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) seed: u64,
    /// Table to write, with a header: the modes' columns, then the label if there is one; Parquet if the
    /// name ends in .parquet, else CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// File for the truth [default: beside the table, as NAME.truth.csv]
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
}

/// Which modes of which rows are corrupted.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RowsArg {
    /// Every mode of every row
    All,
    /// Half of the rows clean, the others with one mode each, shared equally (the thesis's mixture)
    Mixture,
    /// Half of the rows clean, the others with floor((M + 1) / 2) of M modes clean
    Constrained,
}

#[derive(Debug, Args)]
pub(crate) struct CorruptionsArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Number of candidates
    #[arg(long, value_name = "N", default_value_t = 17_898, value_parser = parse_rows, allow_negative_numbers = true)]
    pub(crate) rows: usize,
    /// Seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Table to write, with a header: HTRU2's nine columns
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// File for the truth [default: beside the table, as NAME.truth.csv]
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
    /// File for the curves that the features are moments of: pulse profiles and DM-SNR curves, as bytes
    #[arg(long, value_name = "FILE")]
    pub(crate) curves: Option<PathBuf>,
    /// File for the same candidates as four raw modes: profile, DM-SNR curve, 16 sub-bands and 16
    /// sub-integrations by 32 phase bins; Parquet if the name ends in .parquet, else CSV. Its layout for
    /// --table goes to NAME.table.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) raw: Option<PathBuf>,
    /// Instead of a survey, simulate a pump with three sensors (vibration, temperature, current) and its state by name:
    /// sound, worn or leaking; a table to learn the tools with
    #[arg(long, conflicts_with_all = ["truth", "curves", "raw", "pulsar_fraction"])]
    pub(crate) machine: bool,
    /// Share of pulsars, from 0 to 1 [default: HTRU2's, 0.0916]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) pulsar_fraction: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct CouplingArgs {
    /// Number of rows
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = parse_rows, allow_negative_numbers = true)]
    pub(crate) rows: usize,
    /// Seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Which modes share what
    #[arg(long, value_enum, default_value_t = StructureArg::Chain)]
    pub(crate) structure: StructureArg,
    /// Strength of each shared part: half the distance of the classes in standard deviations, 0 to 100
    /// [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) strength: Option<f64>,
    /// Redundancy: correlation of what two modes see of a shared part, given the class, 0 to 1; at 1 the
    /// second adds nothing [default: 1]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub(crate) redundancy: Option<f64>,
    /// Complementarity: strength of what each mode has for itself, 0 to 100 [default: 0,0,0.5]
    #[arg(long, value_name = "A,B,C", value_parser = parse_triple, allow_hyphen_values = true)]
    pub(crate) complementarity: Option<[f64; 3]>,
    /// Conflict: probability that each mode says the opposite of the truth in a row, 0 to 1 [default: 0,0,0]
    #[arg(long, value_name = "A,B,C", value_parser = parse_triple, allow_hyphen_values = true)]
    pub(crate) conflict: Option<[f64; 3]>,
    /// Probability of class 1, above 0 and below 1 [default: 0.5]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) positive_fraction: Option<f64>,
    /// Table to write, with a header: a_ab, ..., c_own, label; Parquet if the name ends in .parquet, else CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// File for the truth [default: beside the table, as NAME.truth.csv]
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
}

/// Names of coupling structures on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StructureArg {
    /// One part in a and b, another in b and c
    Chain,
    /// One part in all three, another in b and c: b takes over for a, c for b, and not the other way round
    Nested,
    /// One part in all three
    Common,
}

impl From<StructureArg> for CouplingStructure {
    fn from(structure: StructureArg) -> Self {
        match structure {
            StructureArg::Chain => Self::Chain,
            StructureArg::Nested => Self::Nested,
            StructureArg::Common => Self::Common,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ManifoldArgs {
    /// Which curve: wave, (t - pi, sin t), or circle, (3 sin t, 3 cos t), t from 0 to 2 pi
    #[arg(value_parser = manifolds())]
    pub(crate) manifold: Manifold,
    /// Number of points
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = parse_rows, allow_negative_numbers = true)]
    pub(crate) rows: usize,
    /// Standard deviation of Gaussian noise on both coordinates [default: none]
    #[arg(long, value_name = "S", value_parser = parse_noise, allow_negative_numbers = true)]
    pub(crate) noise: Option<NoiseStd>,
    /// Seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Table to write: x, y, with a header; Parquet if the name ends in .parquet, else CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Which data set
    pub(crate) dataset: Dataset,
    /// Folder to keep it in [default: $EMMA_DATA_DIR, else data/ in the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON instead of a sentence
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Dataset {
    /// Pulsar candidates: 17,898 rows, two modes
    Htru2,
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

/// Names of measures on the command line, as in results.json.
fn metrics() -> impl TypedValueParser<Value = Metric> {
    let value = |metric: Metric| PossibleValue::new(metric.name()).help(metric.title());
    PossibleValuesParser::new(Metric::ALL.map(value)).try_map(|name| name.parse::<Metric>())
}

/// What becomes of missing values, on the command line.
fn missing_values() -> impl TypedValueParser<Value = MissingValues> {
    PossibleValuesParser::new(["error", "missing"]).try_map(|text| text.parse::<MissingValues>())
}

/// A share above 0 and at most 1.
fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0. && share <= 1. => Ok(share),
        _ => Err("expected a number above 0 and at most 1".to_owned()),
    }
}

/// A rate above 0 and below 1.
fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0. && rate < 1. => Ok(rate),
        _ => Err("expected a number above 0 and below 1".to_owned()),
    }
}

/// Names of manifolds on the command line.
fn manifolds() -> impl TypedValueParser<Value = Manifold> {
    PossibleValuesParser::new(Manifold::ALL.map(Manifold::name))
        .try_map(|name| name.parse::<Manifold>())
}

/// More threads, seeds or epochs than this are a slip of the finger.
const MOST: usize = 100_000;

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MOST}")),
    }
}

/// Rows of a simulated table, whose number of bytes still fits a disk.
fn parse_rows(text: &str) -> Result<usize, String> {
    const MOST_ROWS: usize = 1_000_000_000;
    match text.parse() {
        Ok(count) if (1..=MOST_ROWS).contains(&count) => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MOST_ROWS}")),
    }
}

/// Enough rows that each part has both classes.
fn parse_study_rows(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (200..=1_000_000).contains(&count) => Ok(count),
        _ => Err("expected a whole number from 200 to 1000000".to_owned()),
    }
}

fn parse_rows_per_alarm(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rows) if (1. ..f64::INFINITY).contains(&rows) => Ok(rows),
        _ => Err(format!("expected a number of rows from 1, got {text:?}")),
    }
}

/// A time that a clock can count.
fn parse_seconds(text: &str) -> Result<f64, String> {
    const MOST: f64 = 1e9;
    match text.parse() {
        Ok(seconds) if (0. ..=MOST).contains(&seconds) => Ok(seconds),
        _ => Err(format!("expected a number of seconds from 0, got {text:?}")),
    }
}

fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0. && f64::is_finite(value) => Ok(value),
        _ => Err("expected a positive number".into()),
    }
}

fn parse_noise(text: &str) -> Result<NoiseStd, String> {
    let level = text.parse().map_err(|_| "expected a number")?;
    NoiseStd::new(level).map_err(|error| error.to_string())
}

/// A number for each of three modes, or one for all.
fn parse_triple(text: &str) -> Result<[f64; 3], String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[all]) => Ok([all; 3]),
        Ok(&[a, b, c]) => Ok([a, b, c]),
        _ => Err("expected three numbers such as 0,0.1,0.2, or one for all".into()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Model file (safetensors)
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// File to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One ONNX graph from features to label, energies and attention
    Onnx,
    /// Tensors (safetensors) named as the parameters of the PyTorch module in docs/emma_torch.py
    Torch,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder to write one page for each command into, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
