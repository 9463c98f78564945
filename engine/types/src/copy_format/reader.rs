//! Bytes → records.
//!
//! A line is first found whole (with the state of quotes and escapes kept across pieces, so that no byte is looked at twice for it), then cut into
//! fields. A field without escapes is lent from the input; one with them is decoded into a scratch buffer. Long runs of ordinary bytes are passed
//! eight at a time.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use super::error::CopyFormatError;
use super::options::CopyOptions;
use super::{BINARY_SIGNATURE, CopyFormat, CopyHeader};
use crate::limits::STATEMENT_BYTES_MAX;

/// Longest record in bytes as written, escapes included.
const RECORD_BYTES_MAX: usize = STATEMENT_BYTES_MAX;
/// Bytes of the binary flags and of the length of the header's extension.
const BINARY_FIXED_BYTES: usize = BINARY_SIGNATURE.len() + 8;
/// The binary flag that says that rows carry oids.
const BINARY_FLAG_OIDS: u32 = 1 << 16;

/// Reads the records of one COPY.
#[derive(Clone, Debug)]
pub struct CopyReader {
    options: CopyOptions,
    columns: Vec<String>,
    input: Vec<u8>,
    /// Where the record that is next begins.
    start: usize,
    progress: Progress,
    fields: Vec<Span>,
    decoded: Vec<u8>,
    /// Lines left behind, and the last line of the record at hand; binary rows count as lines.
    lines_done: u64,
    line_number: u64,
    input_is_whole: bool,
}

/// How far into the data we are.
#[derive(Clone, Debug)]
enum Progress {
    /// The first line names the columns.
    Header(Line),
    Lines(Line),
    BinaryHeader,
    BinaryRows,
    /// No more records follow; the text says why bytes that come still are refused, if they are.
    Ended {
        refuses_more: bool,
    },
}

/// What is known of the line that is arriving.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Bytes of it that have been looked at.
    scanned: usize,
    /// Whether they end inside quotes.
    in_quotes: bool,
    ending: Option<Ending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Newline,
    Return,
    ReturnNewline,
}

/// Where a field is.
#[derive(Clone, Debug)]
enum Span {
    Null,
    Input(Range<usize>),
    Decoded(Range<usize>),
}

/// A whole line: its bytes, its bytes with the line end, and whether the data ends with it.
struct FoundLine {
    text: Range<usize>,
    end: usize,
    is_last: bool,
}

/// One record, lent until the reader is used again.
#[derive(Clone, Copy, Debug)]
pub struct CopyRecord<'a> {
    input: &'a [u8],
    decoded: &'a [u8],
    fields: &'a [Span],
}

impl<'a> CopyRecord<'a> {
    /// How many fields there are: always as many as columns.
    pub fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// The field at `index`; `None` is NULL.
    ///
    /// # Panics
    /// When there is no such field.
    pub fn field(&self, index: usize) -> Option<&'a [u8]> {
        match &self.fields[index] {
            Span::Null => None,
            Span::Input(range) => Some(&self.input[range.clone()]),
            Span::Decoded(range) => Some(&self.decoded[range.clone()]),
        }
    }

    /// The fields in order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> + '_ {
        (0..self.fields.len()).map(|index| self.field(index))
    }
}

impl CopyReader {
    /// A reader of records with a field for each of `columns`, which are the names for headers and errors.
    pub fn new(options: CopyOptions, columns: Vec<String>) -> CopyReader {
        let progress = match (options.format, options.header) {
            (CopyFormat::Binary, _) => Progress::BinaryHeader,
            (_, CopyHeader::Absent) => Progress::Lines(Line::default()),
            (_, CopyHeader::Present | CopyHeader::Match) => Progress::Header(Line::default()),
        };
        CopyReader {
            options,
            columns,
            input: Vec::new(),
            start: 0,
            progress,
            fields: Vec::new(),
            decoded: Vec::new(),
            lines_done: 0,
            line_number: 0,
            input_is_whole: false,
        }
    }

    /// Takes in a piece. Read all records out before the next one, so that memory stays bounded by a piece and a record.
    ///
    /// # Errors
    /// [`CopyFormatError::DataAfterEnd`] behind a binary trailer. Behind `\.` more is ignored, as in PostgreSQL.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), CopyFormatError> {
        if let Progress::Ended { refuses_more } = self.progress {
            let is_refused = refuses_more && !piece.is_empty();
            return if is_refused { Err(CopyFormatError::DataAfterEnd) } else { Ok(()) };
        }
        self.input.drain(..self.start);
        self.start = 0;
        self.input.extend_from_slice(piece);
        Ok(())
    }

    /// No more pieces follow: a last line need not have an end.
    pub fn finish(&mut self) {
        self.input_is_whole = true;
    }

    /// The line that ends the record read last, or the one that an error is about, from 1. Binary rows count as lines.
    pub fn line_number(&self) -> u64 {
        self.line_number
    }

    /// The next record; `None` when more input is needed or, after [`CopyReader::finish`], when there are no more.
    ///
    /// # Errors
    /// Any [`CopyFormatError`]; reading cannot go on after it.
    pub fn next_record(&mut self) -> Result<Option<CopyRecord<'_>>, CopyFormatError> {
        let is_there = loop {
            match self.progress {
                Progress::Ended { .. } => break false,
                Progress::BinaryHeader => {
                    if !self.read_binary_header()? {
                        break false;
                    }
                }
                Progress::BinaryRows => break self.read_binary_row()?,
                Progress::Header(line) => match self.find_line(line)? {
                    Some(found) => self.take_header(&found)?,
                    None => break false,
                },
                Progress::Lines(line) => match self.find_line(line)? {
                    Some(found) => {
                        self.cut(found.text.clone())?;
                        self.check_field_count(&found)?;
                        self.pass(&found);
                        break true;
                    }
                    None => break false,
                },
            }
        };
        if !is_there {
            return Ok(None);
        }
        let (input, decoded, fields) = (&*self.input, &*self.decoded, &*self.fields);
        Ok(Some(CopyRecord { input, decoded, fields }))
    }

    /// How many line ends are quoted inside a record.
    fn line_ends_inside(&self, found: &FoundLine, ending: Option<Ending>) -> u64 {
        if !self.options.is_csv() {
            return 0;
        }
        let end = if ending == Some(Ending::Newline) { b'\n' } else { b'\r' };
        self.input[found.text.clone()].iter().filter(|byte| **byte == end).count() as u64
    }

    /// Leaves a line behind.
    fn pass(&mut self, found: &FoundLine) {
        self.start = found.end;
        self.lines_done = self.line_number;
        let ending = match self.progress {
            Progress::Header(line) | Progress::Lines(line) => line.ending,
            _ => unreachable!("lines are read while lines follow"),
        };
        self.progress = if found.is_last {
            Progress::Ended { refuses_more: false }
        } else {
            Progress::Lines(Line { ending, ..Line::default() })
        };
    }

    fn take_header(&mut self, found: &FoundLine) -> Result<(), CopyFormatError> {
        if self.options.header == CopyHeader::Match {
            self.cut(found.text.clone())?;
            let (found_count, expected) = (self.fields.len(), self.columns.len());
            if found_count != expected {
                return Err(CopyFormatError::HeaderFieldCount { found: found_count, expected });
            }
            let (input, decoded, fields) = (&*self.input, &*self.decoded, &*self.fields);
            let record = CopyRecord { input, decoded, fields };
            for (index, name) in self.columns.iter().enumerate() {
                let field = record.field(index);
                if field == Some(name.as_bytes()) {
                    continue;
                }
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
                let found = match field {
                    Some(field) => alloc::format!("\"{}\"", text(field)),
                    None => alloc::format!("null value (\"{}\")", text(&self.options.null)),
                };
                let expected = name.clone();
                return Err(CopyFormatError::HeaderName { number: index + 1, found, expected });
            }
        }
        self.pass(found);
        Ok(())
    }

    fn check_field_count(&self, found: &FoundLine) -> Result<(), CopyFormatError> {
        let (count, expected) = (self.fields.len(), self.columns.len());
        if expected == 0 && found.text.is_empty() {
            return Ok(());
        }
        if count > expected {
            return Err(CopyFormatError::ExtraData);
        }
        match self.columns.get(count) {
            Some(column) => Err(CopyFormatError::MissingData { column: column.clone() }),
            None => Ok(()),
        }
    }

    /// The line at `start`, once it is all there. Remembers how far it looked.
    fn find_line(&mut self, line: Line) -> Result<Option<FoundLine>, CopyFormatError> {
        if self.start == self.input.len() {
            if self.input_is_whole {
                self.progress = Progress::Ended { refuses_more: false };
            }
            return Ok(None);
        }
        self.line_number = self.lines_done + 1;
        let mut line = line;
        let found = match self.options.format {
            CopyFormat::Csv => self.scan_csv(&mut line),
            _ => self.scan_text(&mut line),
        }?;
        if let Progress::Header(known) | Progress::Lines(known) = &mut self.progress {
            *known = line;
        }
        match found {
            Some(found) if found.is_last && found.text.is_empty() => {
                // `\.` alone is no record.
                self.line_number = self.lines_done;
                self.progress = Progress::Ended { refuses_more: false };
                Ok(None)
            }
            Some(found) => {
                self.line_number += self.line_ends_inside(&found, line.ending);
                Ok(Some(found))
            }
            None if self.input.len() - self.start > RECORD_BYTES_MAX => {
                Err(CopyFormatError::RecordTooLong { bytes_max: RECORD_BYTES_MAX })
            }
            None => Ok(None),
        }
    }

    fn scan_text(&self, line: &mut Line) -> Result<Option<FoundLine>, CopyFormatError> {
        let mut at = self.start + line.scanned;
        loop {
            let Some(skipped) = position_of_any(&self.input[at..], [b'\\', b'\n', b'\r']) else {
                return self.wait_or_end(line, self.input.len());
            };
            at += skipped;
            if self.input[at] != b'\\' {
                return self.end_line(line, at);
            }
            match self.input.get(at + 1) {
                None if self.input_is_whole => return self.wait_or_end(line, at),
                None => {
                    line.scanned = at - self.start;
                    return Ok(None);
                }
                Some(b'.') => match self.end_marker(line, at)? {
                    Marker::Found(end) => {
                        let text = self.start..at;
                        return Ok(Some(FoundLine { text, end, is_last: true }));
                    }
                    Marker::NeedsMore => {
                        line.scanned = at - self.start;
                        return Ok(None);
                    }
                    Marker::IsData => return Err(CopyFormatError::EndMarkerCorrupt),
                },
                Some(_) => at += 2,
            }
        }
    }

    fn scan_csv(&self, line: &mut Line) -> Result<Option<FoundLine>, CopyFormatError> {
        let CopyOptions { quote, escape, .. } = self.options;
        let mut at = self.start + line.scanned;
        if line.scanned == 0 && self.input[at] == b'\\' {
            match self.input.get(at + 1) {
                None if !self.input_is_whole => return Ok(None),
                Some(b'.') => match self.end_marker(line, at)? {
                    Marker::Found(end) => {
                        let text = at..at;
                        return Ok(Some(FoundLine { text, end, is_last: true }));
                    }
                    Marker::NeedsMore => return Ok(None),
                    Marker::IsData => {}
                },
                _ => {}
            }
        }
        loop {
            let rest = &self.input[at..];
            let skipped = if line.in_quotes {
                position_of_any(rest, [quote, escape])
            } else {
                position_of_any(rest, [quote, b'\n', b'\r'])
            };
            let Some(skipped) = skipped else {
                return self.wait_or_end(line, self.input.len());
            };
            at += skipped;
            let byte = self.input[at];
            if line.in_quotes && byte == escape && escape != quote {
                // An escape takes a quote or an escape behind it; before anything else it is itself.
                match self.input.get(at + 1) {
                    None if !self.input_is_whole => {
                        line.scanned = at - self.start;
                        return Ok(None);
                    }
                    Some(next) if *next == quote || *next == escape => at += 2,
                    _ => at += 1,
                }
            } else if byte == quote {
                line.in_quotes = !line.in_quotes;
                at += 1;
            } else {
                return self.end_line(line, at);
            }
        }
    }

    /// Nothing more to look at up to `at`: the line goes on in the next piece, or this was all.
    fn wait_or_end(
        &self,
        line: &mut Line,
        at: usize,
    ) -> Result<Option<FoundLine>, CopyFormatError> {
        line.scanned = at - self.start;
        if !self.input_is_whole {
            return Ok(None);
        }
        if line.in_quotes {
            return Err(CopyFormatError::UnterminatedQuote);
        }
        let end = self.input.len();
        Ok(Some(FoundLine { text: self.start..end, end, is_last: true }))
    }

    /// A line end at `at`, if it is one of the kind that lines have.
    fn end_line(&self, line: &mut Line, at: usize) -> Result<Option<FoundLine>, CopyFormatError> {
        let is_csv = self.options.is_csv();
        line.scanned = at - self.start;
        if self.input[at] == b'\n' {
            return match line.ending {
                None | Some(Ending::Newline) => {
                    line.ending = Some(Ending::Newline);
                    Ok(Some(self.line_to(at, at + 1)))
                }
                Some(_) => Err(CopyFormatError::Newline { is_csv }),
            };
        }
        let next = match line.ending {
            Some(Ending::Newline) => return Err(CopyFormatError::CarriageReturn { is_csv }),
            Some(Ending::Return) => return Ok(Some(self.line_to(at, at + 1))),
            None | Some(Ending::ReturnNewline) => self.input.get(at + 1),
        };
        match next {
            None if !self.input_is_whole => Ok(None),
            Some(b'\n') => {
                line.ending = Some(Ending::ReturnNewline);
                Ok(Some(self.line_to(at, at + 2)))
            }
            _ if line.ending.is_some() => Err(CopyFormatError::CarriageReturn { is_csv }),
            _ => {
                line.ending = Some(Ending::Return);
                Ok(Some(self.line_to(at, at + 1)))
            }
        }
    }

    fn line_to(&self, text_end: usize, end: usize) -> FoundLine {
        FoundLine { text: self.start..text_end, end, is_last: false }
    }

    /// What `\.` at `at` is: the end of the data if a line end follows.
    fn end_marker(&self, line: &Line, at: usize) -> Result<Marker, CopyFormatError> {
        let behind = at + 2;
        let Some(first) = self.input.get(behind).copied() else {
            // At the end of the data PostgreSQL still wants a line end behind the marker.
            let is_whole = self.input_is_whole;
            return Ok(if is_whole { Marker::IsData } else { Marker::NeedsMore });
        };
        match (line.ending, first) {
            (Some(Ending::ReturnNewline), b'\r') => match self.input.get(behind + 1) {
                Some(b'\n') => Ok(Marker::Found(behind + 2)),
                None if !self.input_is_whole => Ok(Marker::NeedsMore),
                _ => Ok(Marker::IsData),
            },
            (Some(Ending::ReturnNewline), b'\n') if self.options.is_csv() => Ok(Marker::IsData),
            (None | Some(Ending::Newline), b'\n') | (None | Some(Ending::Return), b'\r') => {
                Ok(Marker::Found(behind + 1))
            }
            (_, b'\n' | b'\r') => Err(CopyFormatError::EndMarkerNewline),
            _ => Ok(Marker::IsData),
        }
    }

    /// Cuts a line into fields.
    fn cut(&mut self, text: Range<usize>) -> Result<(), CopyFormatError> {
        self.fields.clear();
        self.decoded.clear();
        match self.options.format {
            CopyFormat::Csv => self.cut_csv(text),
            _ => {
                self.cut_text(text);
                Ok(())
            }
        }
    }

    fn cut_text(&mut self, text: Range<usize>) {
        let delimiter = self.options.delimiter;
        let mut start = text.start;
        loop {
            let decoded_start = self.decoded.len();
            let mut has_escape = false;
            let mut at = start;
            // Runs without escapes are copied only if the field turns out to have one.
            let mut run = start;
            let end = loop {
                match position_of_any(&self.input[at..text.end], [delimiter, b'\\']) {
                    None => break text.end,
                    Some(skipped) => at += skipped,
                }
                if self.input[at] == delimiter {
                    break at;
                }
                has_escape = true;
                self.decoded.extend_from_slice(&self.input[run..at]);
                at += decode_escape(&self.input[at + 1..text.end], &mut self.decoded) + 1;
                run = at;
            };
            let span = if self.input[start..end] == *self.options.null {
                self.decoded.truncate(decoded_start);
                Span::Null
            } else if has_escape {
                self.decoded.extend_from_slice(&self.input[run..end]);
                Span::Decoded(decoded_start..self.decoded.len())
            } else {
                Span::Input(start..end)
            };
            self.fields.push(span);
            if end == text.end {
                return;
            }
            start = end + 1;
        }
    }

    fn cut_csv(&mut self, text: Range<usize>) -> Result<(), CopyFormatError> {
        let mut start = text.start;
        loop {
            let (span, end) = self.cut_csv_field(start, text.end)?;
            self.fields.push(span);
            if end == text.end {
                return Ok(());
            }
            start = end + 1;
        }
    }

    /// The field at `start`, and where the delimiter behind it is.
    fn cut_csv_field(
        &mut self,
        start: usize,
        line_end: usize,
    ) -> Result<(Span, usize), CopyFormatError> {
        let CopyOptions { delimiter, quote, escape, .. } = self.options;
        let decoded_start = self.decoded.len();
        let mut is_quoted = false;
        let mut at = start;
        let end = loop {
            let rest = &self.input[at..line_end];
            let Some(skipped) = position_of_any(rest, [delimiter, quote]) else {
                break line_end;
            };
            if self.input[at + skipped] == delimiter {
                break at + skipped;
            }
            self.decoded.extend_from_slice(&self.input[at..at + skipped]);
            is_quoted = true;
            at += skipped + 1;
            loop {
                let rest = &self.input[at..line_end];
                let Some(skipped) = position_of_any(rest, [quote, escape]) else {
                    return Err(CopyFormatError::UnterminatedQuote);
                };
                self.decoded.extend_from_slice(&rest[..skipped]);
                at += skipped;
                let (byte, next) = (self.input[at], self.input[..line_end].get(at + 1).copied());
                match next {
                    Some(next) if byte == escape && (next == escape || next == quote) => {
                        self.decoded.push(next);
                        at += 2;
                    }
                    _ if byte == quote => {
                        at += 1;
                        break;
                    }
                    _ => {
                        self.decoded.push(byte);
                        at += 1;
                    }
                }
            }
        };
        let index = self.fields.len();
        let span = if is_quoted {
            self.decoded.extend_from_slice(&self.input[at..end]);
            let is_null = self.options.force_null.contains(index)
                && self.decoded[decoded_start..] == *self.options.null;
            if is_null { Span::Null } else { Span::Decoded(decoded_start..self.decoded.len()) }
        } else {
            let is_null = self.input[start..end] == *self.options.null
                && !self.options.force_not_null.contains(index);
            if is_null { Span::Null } else { Span::Input(start..end) }
        };
        Ok((span, end))
    }

    /// Whether the header was there; false when more input is needed.
    fn read_binary_header(&mut self) -> Result<bool, CopyFormatError> {
        let input = &self.input[self.start..];
        let compared = input.len().min(BINARY_SIGNATURE.len());
        if input[..compared] != BINARY_SIGNATURE[..compared] {
            return Err(CopyFormatError::BinarySignature);
        }
        let Some(fixed) = input.get(BINARY_SIGNATURE.len()..BINARY_FIXED_BYTES) else {
            return self.binary_needs_more();
        };
        let word = |at: usize| {
            let bytes = fixed[at..at + 4].try_into().expect("four bytes were taken");
            u32::from_be_bytes(bytes)
        };
        let (flags, extension) = (word(0), word(4));
        if flags & BINARY_FLAG_OIDS != 0 {
            return Err(CopyFormatError::BinaryOids);
        }
        if flags >> 16 != 0 {
            return Err(CopyFormatError::BinaryFlags);
        }
        let extension = usize::try_from(extension).ok().filter(|bytes| *bytes <= RECORD_BYTES_MAX);
        let extension = extension.ok_or(CopyFormatError::BinaryHeaderLength)?;
        if input.len() < BINARY_FIXED_BYTES + extension {
            return self.binary_needs_more();
        }
        self.start += BINARY_FIXED_BYTES + extension;
        self.progress = Progress::BinaryRows;
        Ok(true)
    }

    fn binary_needs_more(&self) -> Result<bool, CopyFormatError> {
        if self.input_is_whole { Err(CopyFormatError::UnexpectedEnd) } else { Ok(false) }
    }

    /// Whether a row was there.
    fn read_binary_row(&mut self) -> Result<bool, CopyFormatError> {
        let input = &self.input[self.start..];
        let Some((count, mut rest)) = input.split_first_chunk::<2>() else {
            return self.binary_needs_more();
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            if !rest.is_empty() {
                return Err(CopyFormatError::DataAfterEnd);
            }
            self.progress = Progress::Ended { refuses_more: true };
            return Ok(false);
        }
        self.line_number = self.lines_done + 1;
        if usize::try_from(count).ok() != Some(self.columns.len()) {
            let expected = self.columns.len();
            return Err(CopyFormatError::BinaryFieldCount { found: count, expected });
        }
        self.fields.clear();
        for _ in 0..count {
            let Some((length, behind)) = rest.split_first_chunk::<4>() else {
                return self.binary_needs_more();
            };
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                self.fields.push(Span::Null);
                rest = behind;
                continue;
            }
            let bytes = usize::try_from(length).map_err(|_| CopyFormatError::BinaryFieldLength)?;
            if bytes > RECORD_BYTES_MAX || input.len() > RECORD_BYTES_MAX + behind.len() {
                return Err(CopyFormatError::RecordTooLong { bytes_max: RECORD_BYTES_MAX });
            }
            let Some((_, after)) = behind.split_at_checked(bytes) else {
                return self.binary_needs_more();
            };
            let start = self.input.len() - behind.len();
            self.fields.push(Span::Input(start..start + bytes));
            rest = after;
        }
        self.start = self.input.len() - rest.len();
        self.lines_done = self.line_number;
        Ok(true)
    }
}

/// What a `\.` is.
enum Marker {
    /// The end of the data; the next byte behind it.
    Found(usize),
    NeedsMore,
    IsData,
}

/// Decodes what follows a backslash; returns how many bytes of it were used.
fn decode_escape(rest: &[u8], decoded: &mut Vec<u8>) -> usize {
    let Some(letter) = rest.first().copied() else { return 0 };
    let digits_of = |digits: &[u8], radix: u32, most: usize| {
        let values = digits.iter().take(most).map_while(|digit| char::from(*digit).to_digit(radix));
        values.fold((0_u32, 0_usize), |(value, count), digit| (value * radix + digit, count + 1))
    };
    let byte = match letter {
        b'0'..=b'7' => {
            let (value, count) = digits_of(rest, 8, 3);
            decoded.push((value & 0o377) as u8);
            return count;
        }
        b'x' => {
            let (value, count) = digits_of(&rest[1..], 16, 2);
            decoded.push(if count == 0 { b'x' } else { value as u8 });
            return 1 + count;
        }
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        other => other,
    };
    decoded.push(byte);
    1
}

/// The position of the first byte that is one of `wanted`.
#[inline]
fn position_of_any<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let patterns = wanted.map(|byte| u64::from(byte) * ONES);
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let mut hits = 0;
        for pattern in patterns {
            // The lowest set high bit marks the first zero byte of the difference; those above it may be false.
            let difference = word ^ pattern;
            hits |= difference.wrapping_sub(ONES) & !difference & HIGHS;
        }
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    let found = tail.iter().position(|byte| wanted.contains(byte))?;
    Some(words.len() * 8 + found)
}
