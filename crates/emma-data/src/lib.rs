//! Multi-modal tables, from the file to what a model is trained on.
//!
//! A row of a table describes one thing through several *modes*: groups of columns that come from
//! different sensors or views, each of which may fail on its own. This crate reads such rows, shares
//! them out, puts them on one scale and damages them on purpose, keeping a record of what it did. It
//! knows no model and no tensor library.
//!
//! The tour, in the order of use:
//!
//! 1. [`TableReader`] streams the needed columns of a table in bounded memory, be it comma-separated
//!    text, plain or packed, or Parquet, and says file, place and column of whatever is wrong;
//!    [`TableConfig`] says which columns are which mode; [`Samples::read`] takes in a whole labelled
//!    table. [`htru2`] holds the pulsar candidates that the thesis is evaluated on.
//! 2. [`stratified_split`] shares out the rows between training, validation and test.
//! 3. [`Standardization`] is fitted to the training rows and applied to all.
//! 4. [`CorruptionRecord`] says which mode of which row is to be corrupted, and [`corrupt`] does it
//!    on copies; [`CorruptedModes`] knows all kinds of [`Corruption`], one after another, and which modes are
//!    missing. [`ModeCorruption`] is one as it is written on a command line.
//! 5. An [`Augmentation`] changes each row by a fault of its own, afresh in every epoch
//!    ([`EpochAugmentation`]); [`narrow()`] and [`broad()`] are mixtures to train on.
//!
//! Where there is no table, [`survey`] simulates pulsar candidates with HTRU2's columns, and [`Manifold`]
//! gives the two curves of the thesis's first experiment. [`Machine`] is a pump with three sensors, to try things on. [`Coupling`] makes three modes whose redundancy,
//! complementarity and conflict are dialled in, with the optimum to compare with.
//!
//! Whatever is random draws from a [`generator`]: seeded, and named after its purpose.
//!
//! ```
#![doc = include_str!("../examples/corrupt_a_table.rs")]
//! ```
//!
//! # Invariants
//! - Nothing changes its input; whatever is altered is a copy.
//! - The same bytes and the same seed give the same result, bit for bit.
//! - No input makes the crate panic: what is wrong comes back as an [`Error`] that says what was
//!   expected, what came and where.

#![deny(missing_docs)]

#[cfg(feature = "download")]
mod archive;
mod augmentation;
mod categories;
mod compression;
mod corruption;
mod coupling;
mod empirical;
mod error;
mod feature_reader;
mod hexadecimal;
pub mod htru2;
mod machine;
mod manifolds;
mod missing_values;
mod number_text;
mod packing;
#[cfg(feature = "parquet")]
mod parquet_columns;
#[cfg(feature = "parquet")]
mod parquet_reader;
#[cfg(feature = "parquet")]
mod parquet_writer;
mod place;
mod random;
mod record_reader;
mod samples;
mod split;
mod standardize;
pub mod survey;
mod table;
mod table_config;
mod table_preview;
mod table_reader;
mod table_writer;
mod text_table;
mod typed_columns;

#[cfg(feature = "download")]
pub use archive::Archive;
pub use augmentation::{
    Augmentation, AugmentedModes, BroadShares, CorruptedShare, EpochAugmentation, InOrder,
    ModeDropout, ModeMixture, NoiseRange, Unchanged, augment, broad, narrow,
};
pub use categories::{Categories, read_categories};
pub use corruption::{
    ClipBound, CorruptedMode, CorruptedModes, Corruption, CorruptionKind, CorruptionLevel,
    CorruptionRecord, CorruptionTruth, ModeCorruption, NoiseStd, QuantizationBits, UnitLevel,
    corrupt, noise_to_signal_decibels,
};
pub use coupling::{CoupledRow, Coupling, CouplingConfig, CouplingStructure};
pub use empirical::Empirical;
pub use error::{Error, Result};
pub use feature_reader::{Chunk, FeatureReader, LabelColumn, RowFault};
pub use htru2::{CandidateTable, read_candidates, read_htru2};
pub use machine::{Machine, MachineRow, MachineState};
pub use manifolds::Manifold;
pub use missing_values::MissingValues;
pub use packing::{PackedWriter, Packing};
#[cfg(feature = "parquet")]
pub use parquet_columns::ParquetColumnWriter;
pub use place::Place;
pub use random::{Generator, generator};
pub use samples::{ModeColumns, ModeSamples, Samples};
pub use split::{Split, SplitFractions, stratified_split, stratified_split_of_classes};
pub use standardize::Standardization;
pub use table::Table;
pub use table_config::TableConfig;
pub use table_preview::{ColumnPreview, TablePreview};
pub use table_reader::TableReader;
pub use table_writer::{TableFormat, TableWriter};
pub use typed_columns::{
    ColumnDescription, ColumnKind, ColumnValues, append_csv_field, append_csv_header,
    append_csv_rows,
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_front_page_shows_the_example() {
        let front_page = include_str!("../README.md");
        assert!(front_page.contains(include_str!("../examples/corrupt_a_table.rs").trim_end()));
    }
}
