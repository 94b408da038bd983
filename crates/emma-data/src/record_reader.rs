//! Rows of a comma-separated file as text fields, in bounded memory and with exact line numbers.

use std::io::{self, ErrorKind, Read};

use csv_core::ReadRecordResult;

use crate::typed_columns::append_csv_field;

/// Most bytes of text in one row. Small enough that a row's buffers, while they grow, stay within the
/// bytes already read and 1 MiB more.
pub(crate) const MAX_ROW_BYTES: usize = 512 << 10;
/// Most fields in one row.
pub(crate) const MAX_ROW_FIELDS: usize = 1 << 16;

const BUFFER_BYTES: usize = 64 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why no further record comes.
#[derive(Debug)]
pub(crate) enum RecordError {
    Read(io::Error),
    TooLong,
    UnclosedQuote,
}

/// Splits a byte stream into records of fields.
///
/// `csv_core` decides where fields end; this type owns the buffers. It skips a byte order mark and
/// empty lines, takes LF, CRLF and CR as line ends alike, counts lines by all three, and stops a
/// record at [`MAX_ROW_BYTES`] and [`MAX_ROW_FIELDS`].
pub(crate) struct RecordReader<R> {
    source: R,
    parser: csv_core::Reader,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    at_end: bool,
    /// Line of the next unread byte, from 1.
    line: u64,
    after_carriage_return: bool,
    /// The current record: the text of all fields, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    n_fields: usize,
    record_line: u64,
    /// The current record as it stands in the file, with its line end, if it is kept.
    raw: Option<Vec<u8>>,
}

impl<R: Read> RecordReader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            parser: csv_core::Reader::new(),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            at_end: false,
            line: 1,
            after_carriage_return: false,
            text: vec![0; 1 << 10],
            ends: vec![0; 1 << 5],
            n_fields: 0,
            record_line: 1,
            raw: None,
        }
    }

    /// Keeps records as they stand in the file from now on. The current one is put together from its fields.
    pub(crate) fn keep_raw(&mut self) {
        let mut raw = Vec::new();
        let mut start = 0;
        for (index, &end) in self.ends[..self.n_fields].iter().enumerate() {
            if index > 0 {
                raw.push(b',');
            }
            append_csv_field(&mut raw, &self.text[start..end]);
            start = end;
        }
        self.raw = Some(raw);
    }

    /// The current record as it stands in the file, without its line end; empty if records are not kept.
    pub(crate) fn raw(&self) -> &[u8] {
        let raw = self.raw.as_deref().unwrap_or_default();
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        raw.strip_suffix(b"\r").unwrap_or(raw)
    }

    /// Skips a byte order mark. To be called once, before the first record.
    pub(crate) fn skip_byte_order_mark(&mut self) -> Result<(), RecordError> {
        // A source may give its bytes one at a time.
        while self.end < BYTE_ORDER_MARK.len() && !self.at_end {
            self.read_more()?;
        }
        if self.buffer[..self.end].starts_with(BYTE_ORDER_MARK) {
            self.start = BYTE_ORDER_MARK.len();
        }
        Ok(())
    }

    /// Reads the next record; false at the end of the file.
    pub(crate) fn advance(&mut self) -> Result<bool, RecordError> {
        if !self.skip_line_ends()? {
            return Ok(false);
        }
        self.record_line = self.line;
        if let Some(raw) = &mut self.raw {
            raw.clear();
        }
        let mut text_end = 0;
        self.n_fields = 0;
        loop {
            let at_end = !self.fill()?;
            // At the end of the file a line end is put in: it closes the last record, unless a quote
            // is open, which then takes it in as text.
            let input = if at_end {
                b"\n"
            } else {
                &self.buffer[self.start..self.end]
            };
            let (result, n_read, n_written, n_ended) = self.parser.read_record(
                input,
                &mut self.text[text_end..],
                &mut self.ends[self.n_fields..],
            );
            if !at_end {
                if let Some(raw) = &mut self.raw {
                    raw.extend_from_slice(&self.buffer[self.start..self.start + n_read]);
                }
                self.consume(n_read);
            }
            text_end += n_written;
            self.n_fields += n_ended;
            match result {
                ReadRecordResult::InputEmpty if at_end => return Err(RecordError::UnclosedQuote),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => grow(&mut self.text, MAX_ROW_BYTES)?,
                ReadRecordResult::OutputEndsFull => grow(&mut self.ends, MAX_ROW_FIELDS)?,
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// Number of fields of the current record.
    pub(crate) fn n_fields(&self) -> usize {
        self.n_fields
    }

    /// A field of the current record without the white space around it; empty if there is none.
    pub(crate) fn field(&self, index: usize) -> &[u8] {
        if index >= self.n_fields {
            return b"";
        }
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text[start..self.ends[index]].trim_ascii()
    }

    /// Whether the current record is a line of white space.
    pub(crate) fn is_blank(&self) -> bool {
        // A field without any text comes from a pair of quotes, which somebody meant.
        self.n_fields == 1 && self.ends[0] > 0 && self.field(0).is_empty()
    }

    /// Line where the current record starts, from 1.
    pub(crate) fn record_line(&self) -> u64 {
        self.record_line
    }

    /// Line of the next unread byte, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Makes sure that a byte is in the buffer; false at the end of the file.
    fn fill(&mut self) -> Result<bool, RecordError> {
        if self.start < self.end {
            return Ok(true);
        }
        self.start = 0;
        self.end = 0;
        if !self.at_end {
            self.read_more()?;
        }
        Ok(self.start < self.end)
    }

    /// Appends what one read gives to the buffer.
    fn read_more(&mut self) -> Result<(), RecordError> {
        loop {
            let free = &mut self.buffer[self.end..];
            let n_free = free.len();
            match self.source.read(free) {
                Ok(0) => self.at_end = true,
                // A broken source may claim more than there was room for.
                Ok(n_read) => self.end += n_read.min(n_free),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(RecordError::Read(error)),
            }
            return Ok(());
        }
    }

    /// Skips empty lines and the second half of a CRLF; false at the end of the file.
    fn skip_line_ends(&mut self) -> Result<bool, RecordError> {
        while self.fill()? {
            if !matches!(self.buffer[self.start], b'\n' | b'\r') {
                return Ok(true);
            }
            self.consume(1);
        }
        Ok(false)
    }

    /// Leaves bytes of the buffer behind, counting their line ends.
    fn consume(&mut self, n_bytes: usize) {
        let bytes = &self.buffer[self.start..self.start + n_bytes];
        if !self.after_carriage_return && memchr::memchr(b'\r', bytes).is_none() {
            // Most files end lines with LF alone: they are counted many bytes at a time.
            self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        } else {
            for &byte in bytes {
                let ends_line = byte == b'\r' || (byte == b'\n' && !self.after_carriage_return);
                self.line += u64::from(ends_line);
                self.after_carriage_return = byte == b'\r';
            }
        }
        self.start += n_bytes;
    }
}

/// Doubles a buffer, up to `most`.
fn grow<T: Clone + Default>(buffer: &mut Vec<T>, most: usize) -> Result<(), RecordError> {
    if buffer.len() >= most {
        return Err(RecordError::TooLong);
    }
    buffer.resize((2 * buffer.len()).min(most), T::default());
    Ok(())
}
