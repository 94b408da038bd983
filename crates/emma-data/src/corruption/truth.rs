//! Which mode of which row was corrupted how, on disk.

use std::io::{self, Read, Write};

use super::{Corruption, CorruptionRecord};
use crate::error::{Error, Result};
use crate::feature_reader::{advance, excerpt, parse, record_error};
use crate::record_reader::RecordReader;
use crate::samples::{check_mode_name, first_repeated};

/// Columns of the table.
const COLUMNS: [&str; 3] = ["row", "mode", "corruption"];

/// One mode of one row, and what was done to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CorruptedMode {
    /// The row, from 0.
    pub row: usize,
    /// Index of the mode.
    pub mode_index: usize,
    /// What was done.
    pub corruption: Corruption,
}

/// The truth about damaged samples, hidden from a model: which mode of which row was corrupted how.
///
/// On disk a table with the header `row,mode,corruption` and one line for each corrupted mode of each
/// row, such as `17,subbands,noise:0.5`; rows count from 0, untouched modes have no line. A mode that was
/// corrupted more than once has a line for each time, in that order.
///
/// ```
/// use emma_data::{CorruptionRecord, CorruptionTruth};
///
/// let record = CorruptionRecord::all_rows(2, 2, 1)?;
/// let mut truth = CorruptionTruth::new(2, ["profile", "dm_curve"])?;
/// truth.push(&record, &"noise:0.5".parse()?)?;
/// let mut table = Vec::new();
/// truth.write(&mut table).expect("memory takes everything");
/// assert_eq!(table, b"row,mode,corruption\n0,dm_curve,noise:0.5\n1,dm_curve,noise:0.5\n");
/// let again = CorruptionTruth::read(&*table, "truth.csv", 2, ["profile", "dm_curve"])?;
/// assert_eq!(again.record()?, record);
/// # Ok::<(), emma_data::Error>(())
/// ```
///
/// # Source
/// This implementation.
#[derive(Debug, Clone, PartialEq)]
pub struct CorruptionTruth {
    n_rows: usize,
    modes: Vec<String>,
    corrupted: Vec<CorruptedMode>,
}

impl CorruptionTruth {
    /// Nothing is corrupted in `n_rows` rows of these modes.
    ///
    /// # Errors
    /// [`Error::NoModes`], [`Error::ModeName`] and [`Error::DuplicateMode`].
    pub fn new<S: Into<String>>(n_rows: usize, modes: impl IntoIterator<Item = S>) -> Result<Self> {
        let modes: Vec<String> = modes.into_iter().map(Into::into).collect();
        if modes.is_empty() {
            return Err(Error::NoModes);
        }
        for mode in &modes {
            check_mode_name(mode)?;
        }
        if let Some(mode) = first_repeated(&modes) {
            return Err(Error::DuplicateMode {
                mode: mode.to_owned(),
            });
        }
        Ok(Self {
            n_rows,
            modes,
            corrupted: Vec::new(),
        })
    }

    /// Adds that what `record` marks was corrupted by `corruption`, after what was added before.
    ///
    /// # Errors
    /// [`Error::RecordModes`] and [`Error::RecordRows`] if the record was made for other samples.
    pub fn push(&mut self, record: &CorruptionRecord, corruption: &Corruption) -> Result<()> {
        if record.n_modes() != self.modes.len() {
            return Err(Error::RecordModes {
                expected: record.n_modes(),
                found: self.modes.len(),
            });
        }
        if record.n_rows() != self.n_rows {
            return Err(Error::RecordRows {
                mode_index: 0,
                expected: record.n_rows(),
                found: self.n_rows,
            });
        }
        let flags = record.flags();
        let marked = flags.indexed_iter().filter(|(_, corrupted)| **corrupted);
        self.corrupted
            .extend(marked.map(|((row, mode_index), _)| CorruptedMode {
                row,
                mode_index,
                corruption: *corruption,
            }));
        Ok(())
    }

    /// Number of rows, corrupted or not.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Names of the modes.
    pub fn modes(&self) -> &[String] {
        &self.modes
    }

    /// What was corrupted, in the order in which it was added.
    pub fn corrupted(&self) -> &[CorruptedMode] {
        &self.corrupted
    }

    /// Which mode of which row was corrupted at all.
    ///
    /// # Errors
    /// [`Error::RecordTooLarge`] if memory cannot hold the record.
    pub fn record(&self) -> Result<CorruptionRecord> {
        let clean = CorruptionRecord::clean(self.n_rows, self.modes.len())?;
        let mut flags = clean.flags().to_owned();
        for corrupted in &self.corrupted {
            flags[[corrupted.row, corrupted.mode_index]] = true;
        }
        Ok(CorruptionRecord::from_flags(flags))
    }

    /// Writes the table, with LF line ends.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, mut table: impl Write) -> io::Result<()> {
        writeln!(table, "{}", COLUMNS.join(","))?;
        for corrupted in &self.corrupted {
            writeln!(
                table,
                "{},{},{}",
                corrupted.row, self.modes[corrupted.mode_index], corrupted.corruption
            )?;
        }
        Ok(())
    }

    /// Reads a table that was written for `n_rows` rows of `modes`; `file` is its name in errors.
    ///
    /// Fields may be quoted; white space around them and blank lines are skipped. A table without any
    /// line under its header says that nothing is corrupted.
    ///
    /// # Errors
    /// Those of [`CorruptionTruth::new`]; [`Error::EmptyFile`], [`Error::TruthHeader`],
    /// [`Error::TruthFields`], [`Error::TruthRow`], [`Error::TruthMode`] and [`Error::TruthCorruption`],
    /// which name the line; [`Error::Read`], [`Error::RowTooLong`] and [`Error::UnclosedQuote`].
    pub fn read<R: Read, S: Into<String>>(
        table: R,
        file: &str,
        n_rows: usize,
        modes: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let mut truth = Self::new(n_rows, modes)?;
        let mut records = RecordReader::new(table);
        records
            .skip_byte_order_mark()
            .map_err(|error| record_error(file, &records, error))?;
        if !advance(&mut records, file)? {
            return Err(Error::EmptyFile {
                file: file.to_owned(),
                expected: COLUMNS.map(str::to_owned).to_vec(),
            });
        }
        let is_header = records.n_fields() == COLUMNS.len()
            && (0..COLUMNS.len()).all(|index| records.field(index) == COLUMNS[index].as_bytes());
        if !is_header {
            let fields: Vec<&[u8]> = (0..records.n_fields().min(4))
                .map(|index| records.field(index))
                .collect();
            return Err(Error::TruthHeader {
                file: file.to_owned(),
                line: records.record_line(),
                found: excerpt(&fields.join(&b","[..])),
            });
        }
        while advance(&mut records, file)? {
            let corrupted = truth.parse(&records, file)?;
            truth.corrupted.push(corrupted);
        }
        Ok(truth)
    }

    fn parse<R: Read>(&self, records: &RecordReader<R>, file: &str) -> Result<CorruptedMode> {
        let (file, line) = (file.to_owned(), records.record_line());
        if records.n_fields() != COLUMNS.len() {
            return Err(Error::TruthFields {
                file,
                line,
                found: records.n_fields(),
            });
        }
        let [row, mode, corruption] = [0, 1, 2].map(|index| records.field(index));
        let Some(row) = parse(row).filter(|&row: &usize| row < self.n_rows) else {
            return Err(Error::TruthRow {
                file,
                line,
                n_rows: self.n_rows,
                found: excerpt(row),
            });
        };
        let same = |name: &String| name.as_bytes() == mode;
        let Some(mode_index) = self.modes.iter().position(same) else {
            return Err(Error::TruthMode {
                file,
                line,
                modes: self.modes.clone(),
                found: excerpt(mode),
            });
        };
        match String::from_utf8_lossy(corruption).parse() {
            Ok(corruption) => Ok(CorruptedMode {
                row,
                mode_index,
                corruption,
            }),
            Err(reason) => Err(Error::TruthCorruption {
                file,
                line,
                reason: Box::new(reason),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::CorruptionTruth;
    use crate::{Corruption, CorruptionRecord, generator};

    const MODES: [&str; 3] = ["profile", "dm_curve", "subbands"];

    fn read(table: &str, n_rows: usize) -> Result<CorruptionTruth, String> {
        CorruptionTruth::read(table.as_bytes(), "t.csv", n_rows, MODES)
            .map_err(|error| error.to_string())
    }

    fn written(truth: &CorruptionTruth) -> String {
        let mut table = Vec::new();
        truth.write(&mut table).unwrap();
        String::from_utf8(table).unwrap()
    }

    #[test]
    fn corruptions_of_one_mode_keep_their_order() {
        let mut truth = CorruptionTruth::new(2, MODES).unwrap();
        let record = CorruptionRecord::all_rows(2, 3, 2).unwrap();
        for corruption in ["scale:-2", "noise:0.5"] {
            truth.push(&record, &corruption.parse().unwrap()).unwrap();
        }
        assert_eq!(
            written(&truth),
            "row,mode,corruption\n0,subbands,scale:-2\n1,subbands,scale:-2\n\
             0,subbands,noise:0.5\n1,subbands,noise:0.5\n"
        );
        assert_eq!(read(&written(&truth), 2).unwrap(), truth);
        assert_eq!(truth.record().unwrap(), record);
    }

    #[test]
    fn tables_that_make_no_sense_are_refused_with_their_line() {
        let error = |table: &str| read(table, 3).unwrap_err();
        assert_eq!(
            error("\n"),
            r#"t.csv: expected a table with the columns "row", "mode", "corruption", found an empty file"#
        );
        assert_eq!(
            error("row,mode\n"),
            r#"t.csv: line 1: expected the header row,mode,corruption, found "row,mode""#
        );
        let under_header = |line: &str| error(&format!("row,mode,corruption\n\n{line}\n"));
        assert_eq!(
            under_header("1,profile"),
            "t.csv: line 3: expected a row, a mode and a corruption, found 2 fields"
        );
        for row in ["3", "-1", "1.0", "x", ""] {
            assert_eq!(
                under_header(&format!("{row},profile,noise:1")),
                format!("t.csv: line 3: expected a row below 3, found {row:?}")
            );
        }
        assert_eq!(
            under_header("0,Profile,noise:1"),
            "t.csv: line 3: expected one of the modes \"profile\", \"dm_curve\", \"subbands\", \
             found \"Profile\""
        );
        assert_eq!(
            under_header("0,profile,noise:x"),
            "t.csv: line 3: expected a number after noise:, such as noise:0.5, found \"noise:x\""
        );
        assert_eq!(
            under_header("\"0"),
            "t.csv: line 3: expected every quote of this row to be closed, found the end of the file"
        );
        assert!(CorruptionTruth::new(1, ["a", "a"]).is_err());
        assert!(CorruptionTruth::new(1, ["A"]).is_err());
        assert!(CorruptionTruth::new(1, [""; 0]).is_err());
    }

    #[test]
    fn records_of_other_samples_are_refused() {
        let mut truth = CorruptionTruth::new(2, MODES).unwrap();
        let noise: Corruption = "noise:1".parse().unwrap();
        let push = |truth: &mut CorruptionTruth, n_rows, n_modes| {
            let record = CorruptionRecord::clean(n_rows, n_modes).unwrap();
            truth.push(&record, &noise).unwrap_err().to_string()
        };
        assert_eq!(
            push(&mut truth, 2, 4),
            "expected 4 modes, as in the corruption record, found 3"
        );
        assert_eq!(
            push(&mut truth, 3, 3),
            "mode 0: expected 3 rows, as in the corruption record, found 2"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            n_rows in 0..40_usize,
            level in prop_oneof![0.0..1e6_f64, Just(1e-300)],
            probability in 0.0..=1.0_f64,
            seed: u64,
        ) {
            let mut truth = CorruptionTruth::new(n_rows, MODES).unwrap();
            let rng = &mut generator(seed, "corruption");
            let mixture = CorruptionRecord::mixture(n_rows, 3, rng).unwrap();
            truth.push(&mixture, &format!("student_t:{level}").parse().unwrap()).unwrap();
            prop_assert_eq!(&truth.record().unwrap(), &mixture);
            let all = CorruptionRecord::all_rows(n_rows, 3, 1).unwrap();
            truth.push(&all, &format!("drop:{probability}").parse().unwrap()).unwrap();
            let table = written(&truth);
            prop_assert_eq!(table.lines().count(), 1 + n_rows / 2 + n_rows);
            prop_assert_eq!(read(&table, n_rows).unwrap(), truth.clone());
            prop_assert_eq!(read(&table.replace('\n', "\r\n"), n_rows).unwrap(), truth);
        }
    }
}
