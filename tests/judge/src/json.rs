//! Histories as JSON lines: one transaction a line, read and written by hand since the checker depends on nothing.
//!
//! ```text
//! {"process":0,"invoked":10,"completed":25,"outcome":"committed","at":7,"operations":[["append",1,5],["list",1,[4,5]],["read",2,null]]}
//!
//! process, invoked, completed   unsigned; 32, 64, 64 bits
//! outcome                       "committed" | "failed" | "unknown"
//! at                            unsigned, 128 bits; may be left out: the execution timestamp, for the white box
//! operations                    ["append",key,value]  ["list",key,[value,…]]  ["write",key,value]  ["read",key,value|null]
//!                               ["delete",key]  ["scan",start,end,[[key,value],…]]  ["count",start,end,count]
//! ```
//! Members come in any order, once each; an unknown member is an error, since what is not understood is not judged. Decoding allocates no more than the line has bytes times a constant.

use crate::error::HistoryError;
use crate::history::{KeyRange, Operation, Outcome, Transaction};
use std::fmt::Write;

/// Reads one line.
///
/// # Errors
/// [`HistoryError::Syntax`] at the first byte that does not follow the format.
pub fn parse(line: &str) -> Result<Transaction, HistoryError> {
    let mut reader = Reader { bytes: line.as_bytes(), at: 0 };
    let transaction = reader.transaction()?;
    reader.blanks();
    if reader.at != reader.bytes.len() {
        return Err(reader.expected("the end of the line"));
    }
    Ok(transaction)
}

/// Writes one line, without its end.
pub fn format(transaction: &Transaction) -> String {
    let outcome = match transaction.outcome {
        Outcome::Committed => "committed",
        Outcome::Failed => "failed",
        Outcome::Unknown => "unknown",
    };
    let mut line = format!(
        r#"{{"process":{},"invoked":{},"completed":{},"outcome":"{outcome}","#,
        transaction.process, transaction.invoked, transaction.completed
    );
    if let Some(at) = transaction.execute_at {
        let _infallible = write!(line, r#""at":{at},"#);
    }
    line.push_str(r#""operations":["#);
    for (index, operation) in transaction.operations.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        format_operation(&mut line, operation);
    }
    line.push_str("]}");
    line
}

fn format_operation(line: &mut String, operation: &Operation) {
    let _infallible = match operation {
        Operation::Append { key, value } => write!(line, r#"["append",{key},{value}]"#),
        Operation::List { key, values } => {
            let values: Vec<String> = values.iter().map(u64::to_string).collect();
            write!(line, r#"["list",{key},[{}]]"#, values.join(","))
        }
        Operation::Write { key, value } => write!(line, r#"["write",{key},{value}]"#),
        Operation::Read { key, value: Some(value) } => write!(line, r#"["read",{key},{value}]"#),
        Operation::Read { key, value: None } => write!(line, r#"["read",{key},null]"#),
        Operation::Delete { key } => write!(line, r#"["delete",{key}]"#),
        Operation::Scan { range, rows } => {
            let rows: Vec<String> =
                rows.iter().map(|(key, value)| format!("[{key},{value}]")).collect();
            write!(line, r#"["scan",{},{},[{}]]"#, range.start, range.end, rows.join(","))
        }
        Operation::Count { range, count } => {
            write!(line, r#"["count",{},{},{count}]"#, range.start, range.end)
        }
    };
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

#[derive(Default)]
struct Members {
    process: Option<u32>,
    invoked: Option<u64>,
    completed: Option<u64>,
    outcome: Option<Outcome>,
    execute_at: Option<u128>,
    operations: Option<Vec<Operation>>,
}

impl<'a> Reader<'a> {
    fn expected(&self, expected: &'static str) -> HistoryError {
        HistoryError::Syntax { column: self.at, expected }
    }

    fn blanks(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// Whether this byte comes next; if so it is passed.
    fn takes(&mut self, byte: u8) -> bool {
        self.blanks();
        let here = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(here);
        here
    }

    fn must(&mut self, byte: u8, name: &'static str) -> Result<(), HistoryError> {
        if self.takes(byte) { Ok(()) } else { Err(self.expected(name)) }
    }

    fn number(&mut self) -> Result<u64, HistoryError> {
        self.blanks();
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit - b'0')))
                .ok_or_else(|| self.expected("a number below 2^64"))?;
            self.at += 1;
        }
        if self.at == start { Err(self.expected("an unsigned number")) } else { Ok(value) }
    }

    fn long_number(&mut self) -> Result<u128, HistoryError> {
        self.blanks();
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        std::str::from_utf8(&self.bytes[start..self.at])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.expected("a number below 2^128"))
    }

    fn word(&mut self) -> Result<&'a [u8], HistoryError> {
        self.must(b'"', "a name in quotes")?;
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|byte| byte.is_ascii_lowercase()) {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        self.must(b'"', "the quote after a name")?;
        Ok(word)
    }

    fn transaction(&mut self) -> Result<Transaction, HistoryError> {
        let mut members = Members::default();
        self.must(b'{', "{")?;
        loop {
            self.member(&mut members)?;
            if !self.takes(b',') {
                break;
            }
        }
        self.must(b'}', "} or ,")?;
        let whole = |it: &Self| it.expected("process, invoked, completed, outcome and operations");
        Ok(Transaction {
            process: members.process.ok_or_else(|| whole(self))?,
            invoked: members.invoked.ok_or_else(|| whole(self))?,
            completed: members.completed.ok_or_else(|| whole(self))?,
            outcome: members.outcome.ok_or_else(|| whole(self))?,
            execute_at: members.execute_at,
            operations: members.operations.ok_or_else(|| whole(self))?,
        })
    }

    fn member(&mut self, members: &mut Members) -> Result<(), HistoryError> {
        let name = self.word()?;
        self.must(b':', ":")?;
        let twice = match name {
            b"process" => {
                let number = self.number()?;
                let process = u32::try_from(number)
                    .map_err(|_too_large| self.expected("a process below 2^32"))?;
                members.process.replace(process).is_some()
            }
            b"invoked" => members.invoked.replace(self.number()?).is_some(),
            b"completed" => members.completed.replace(self.number()?).is_some(),
            b"at" => members.execute_at.replace(self.long_number()?).is_some(),
            b"outcome" => members.outcome.replace(self.outcome()?).is_some(),
            b"operations" => {
                let operations = self.list(Self::operation)?;
                members.operations.replace(operations).is_some()
            }
            _ => return Err(self.expected("a member of the format")),
        };
        if twice { Err(self.expected("each member once")) } else { Ok(()) }
    }

    fn outcome(&mut self) -> Result<Outcome, HistoryError> {
        match self.word()? {
            b"committed" => Ok(Outcome::Committed),
            b"failed" => Ok(Outcome::Failed),
            b"unknown" => Ok(Outcome::Unknown),
            _ => Err(self.expected("committed, failed or unknown")),
        }
    }

    fn list<T>(
        &mut self,
        element: fn(&mut Self) -> Result<T, HistoryError>,
    ) -> Result<Vec<T>, HistoryError> {
        let mut list = Vec::new();
        self.must(b'[', "[")?;
        if self.takes(b']') {
            return Ok(list);
        }
        loop {
            list.push(element(self)?);
            if !self.takes(b',') {
                break;
            }
        }
        self.must(b']', "] or ,")?;
        Ok(list)
    }

    fn next_number(&mut self) -> Result<u64, HistoryError> {
        self.must(b',', ",")?;
        self.number()
    }

    fn row(&mut self) -> Result<(u64, u64), HistoryError> {
        self.must(b'[', "[")?;
        let row = (self.number()?, self.next_number()?);
        self.must(b']', "]")?;
        Ok(row)
    }

    fn operation(&mut self) -> Result<Operation, HistoryError> {
        self.must(b'[', "[")?;
        let name = self.word()?;
        let first = self.next_number()?;
        let operation = match name {
            b"append" => Operation::Append { key: first, value: self.next_number()? },
            b"list" => {
                self.must(b',', ",")?;
                Operation::List { key: first, values: self.list(Self::number)? }
            }
            b"write" => Operation::Write { key: first, value: self.next_number()? },
            b"read" => {
                self.must(b',', ",")?;
                Operation::Read { key: first, value: self.number_or_null()? }
            }
            b"delete" => Operation::Delete { key: first },
            b"scan" => {
                let range = KeyRange { start: first, end: self.next_number()? };
                self.must(b',', ",")?;
                Operation::Scan { range, rows: self.list(Self::row)? }
            }
            b"count" => {
                let range = KeyRange { start: first, end: self.next_number()? };
                Operation::Count { range, count: self.next_number()? }
            }
            _ => return Err(self.expected("the name of an operation")),
        };
        self.must(b']', "]")?;
        Ok(operation)
    }

    fn number_or_null(&mut self) -> Result<Option<u64>, HistoryError> {
        self.blanks();
        if self.bytes[self.at..].starts_with(b"null") {
            self.at += 4;
            return Ok(None);
        }
        self.number().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::{format, parse};
    use crate::history::{KeyRange, Operation, Outcome, Transaction};

    fn every_operation() -> Transaction {
        let range = KeyRange { start: 0, end: u64::MAX };
        Transaction {
            process: u32::MAX,
            invoked: 1,
            completed: u64::MAX,
            outcome: Outcome::Unknown,
            execute_at: Some(u128::MAX),
            operations: vec![
                Operation::Append { key: 1, value: 2 },
                Operation::List { key: 1, values: vec![] },
                Operation::List { key: 1, values: vec![2, 3] },
                Operation::Write { key: 9, value: 1 },
                Operation::Read { key: 9, value: None },
                Operation::Read { key: 9, value: Some(1) },
                Operation::Delete { key: 9 },
                Operation::Scan { range, rows: vec![(1, 2), (3, 4)] },
                Operation::Count { range, count: 7 },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut transaction = every_operation();
        assert_eq!(parse(&format(&transaction)), Ok(transaction.clone()));
        transaction.execute_at = None;
        transaction.operations.clear();
        assert_eq!(parse(&format(&transaction)), Ok(transaction));
    }

    #[test]
    fn no_damage_panics_and_no_cut_line_is_whole() {
        let line = format(&every_operation());
        for end in 0..line.len() {
            assert!(parse(&line[..end]).is_err(), "{}", &line[..end]);
        }
        for at in 0..line.len() {
            for byte in [b'0', b'"', b'[', b']', b',', b'{', b'n', b' ', b'-'] {
                let mut bytes = line.clone().into_bytes();
                bytes[at] = byte;
                let _either = parse(std::str::from_utf8(&bytes).expect("ASCII"));
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            r#"{"process":0,"invoked":0,"completed":1,"outcome":"committed","operations":[],"x":1}"#,
            r#"{"process":0,"process":0,"invoked":0,"completed":1,"outcome":"failed","operations":[]}"#,
            r#"{"process":4294967296,"invoked":0,"completed":1,"outcome":"failed","operations":[]}"#,
            r#"{"process":0,"invoked":18446744073709551616,"completed":1,"outcome":"failed","operations":[]}"#,
            r#"{"process":0,"invoked":0,"completed":1,"outcome":"failed","operations":[["cas",1,2]]}"#,
            r#"{"invoked":0,"completed":1,"outcome":"failed","operations":[]}"#,
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
