//! Records → bytes.

use alloc::vec::Vec;

use super::options::CopyOptions;
use super::{BINARY_SIGNATURE, CopyFormat};

/// Writes records of one COPY. Lines end in `\n`.
#[derive(Clone, Debug)]
pub struct CopyWriter {
    options: CopyOptions,
    column_count: usize,
}

impl CopyWriter {
    /// A writer of records of `column_count` fields.
    pub fn new(options: CopyOptions, column_count: usize) -> CopyWriter {
        CopyWriter { options, column_count }
    }

    /// What comes before the first record: in binary the file header, else nothing.
    pub fn begin(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            out.extend_from_slice(BINARY_SIGNATURE);
            // No flags, no extension.
            out.extend_from_slice(&[0; 8]);
        }
    }

    /// The line of column names; for the caller to write when the options say so.
    ///
    /// # Panics
    /// In binary, which has none.
    pub fn header<'n>(&self, names: impl IntoIterator<Item = &'n str>, out: &mut Vec<u8>) {
        assert!(self.options.format != CopyFormat::Binary, "binary data has no header line");
        for (index, name) in names.into_iter().enumerate() {
            if index > 0 {
                out.push(self.options.delimiter);
            }
            match self.options.format {
                CopyFormat::Csv => self.csv_field(name.as_bytes(), false, out),
                _ => self.text_field(name.as_bytes(), out),
            }
        }
        out.push(b'\n');
    }

    /// Begins a record; give it each field, then end it.
    pub fn row<'a>(&'a self, out: &'a mut Vec<u8>) -> CopyRow<'a> {
        if self.options.format == CopyFormat::Binary {
            let count = i16::try_from(self.column_count).expect("columns are bounded far lower");
            out.extend_from_slice(&count.to_be_bytes());
        }
        CopyRow { writer: self, out, index: 0 }
    }

    /// What comes after the last record: in binary the trailer, else nothing.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            out.extend_from_slice(&(-1_i16).to_be_bytes());
        }
    }

    fn text_field(&self, value: &[u8], out: &mut Vec<u8>) {
        for byte in value {
            let letter = match byte {
                8 => b'b',
                12 => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                11 => b'v',
                b'\\' => b'\\',
                byte if *byte == self.options.delimiter => *byte,
                byte => {
                    out.push(*byte);
                    continue;
                }
            };
            out.extend_from_slice(&[b'\\', letter]);
        }
    }

    fn csv_field(&self, value: &[u8], is_forced: bool, out: &mut Vec<u8>) {
        let CopyOptions { quote, escape, delimiter, .. } = self.options;
        let special = |byte: &u8| [quote, delimiter, b'\n', b'\r'].contains(byte);
        // A lone `\.` would be taken for the end of the data.
        let is_marker = self.column_count == 1 && value == b"\\.";
        let is_null_text = value == self.options.null;
        if !(is_forced || is_null_text || is_marker || value.iter().any(special)) {
            out.extend_from_slice(value);
            return;
        }
        out.push(quote);
        for byte in value {
            if *byte == quote || *byte == escape {
                out.push(escape);
            }
            out.push(*byte);
        }
        out.push(quote);
    }
}

/// One record being written.
#[derive(Debug)]
pub struct CopyRow<'a> {
    writer: &'a CopyWriter,
    out: &'a mut Vec<u8>,
    index: usize,
}

impl CopyRow<'_> {
    /// The next field: the value as the format wants it (PostgreSQL's text, or its binary form), or NULL.
    pub fn field(&mut self, value: Option<&[u8]>) {
        let options = &self.writer.options;
        let index = self.index;
        self.index += 1;
        if options.format == CopyFormat::Binary {
            match value {
                None => self.out.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(value) => {
                    let bytes = i32::try_from(value.len()).expect("values are bounded far lower");
                    self.out.extend_from_slice(&bytes.to_be_bytes());
                    self.out.extend_from_slice(value);
                }
            }
            return;
        }
        if index > 0 {
            self.out.push(options.delimiter);
        }
        match value {
            None => self.out.extend_from_slice(&options.null),
            Some(value) if options.is_csv() => {
                self.writer.csv_field(value, options.force_quote.contains(index), self.out);
            }
            Some(value) => self.writer.text_field(value, self.out),
        }
    }

    /// Ends the record.
    ///
    /// # Panics
    /// When the number of fields is not the number of columns.
    pub fn end(self) {
        assert_eq!(self.index, self.writer.column_count, "a record has a field a column");
        if self.writer.options.format != CopyFormat::Binary {
            self.out.push(b'\n');
        }
    }
}
