//! A client of anything that speaks the Postgres wire protocol: PostgreSQL as the control, Ringfence under test.
//!
//! A transaction of one operation is one statement without a block; others are BEGIN, a statement an operation, COMMIT. Text in, text out, so the server's types are the only ones. Lists are rows of
//! `judge_list (id, elements)`, elements one text with a blank before each; registers rows of `judge_register (id, value)`.
//!
//! # Which errors are definite
//! Before COMMIT is sent nothing can take effect, so every error is, and so is a lost connection. After that an error that the server sent is, except those that say that it does not know: class 08, 40003,
//! and 57P01 to 57P05 (it was stopped). A lost connection is not. Source: PostgreSQL 15, appendix A.

use super::{Client, Ended, Site};
use crate::history::Operation;
use postgres::{NoTls, SimpleQueryMessage};

/// The tables, made anew.
pub const TABLES: &str = "DROP TABLE IF EXISTS judge_list; DROP TABLE IF EXISTS judge_register;
    CREATE TABLE judge_list (id bigint PRIMARY KEY, elements text NOT NULL);
    CREATE TABLE judge_register (id bigint PRIMARY KEY, value bigint NOT NULL)";

/// One server, or several that are one database.
pub struct PostgresSite {
    /// Connection settings; a process uses one by its number, or the next that lets it in. With `connect_timeout`, if a node may be stopped.
    pub settings: Vec<String>,
    /// As in `SET default_transaction_isolation`, if it is set at all.
    pub isolation: Option<String>,
}

impl Site for PostgresSite {
    type Client = PostgresClient;
    type Error = postgres::Error;

    fn connect(&self, process: u32) -> Result<PostgresClient, postgres::Error> {
        let first = process as usize % self.settings.len();
        let (before, from) = self.settings.split_at(first);
        let mut opened = postgres::Client::connect(&from[0], NoTls);
        for settings in from[1..].iter().chain(before) {
            if opened.is_ok() {
                break;
            }
            opened = postgres::Client::connect(settings, NoTls);
        }
        let mut client = opened?;
        if let Some(isolation) = &self.isolation {
            client.batch_execute(&format!("SET default_transaction_isolation = '{isolation}'"))?;
        }
        Ok(PostgresClient { client })
    }
}

/// One connection.
pub struct PostgresClient {
    client: postgres::Client,
}

/// Whether the transaction may have taken effect although there was an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// Its end was not asked for.
    Part,
    /// It was.
    Whole,
}

fn ended(error: &postgres::Error, sent: Sent) -> Ended {
    let code = error.code().map(postgres::error::SqlState::code);
    let lost = code.is_none_or(|code| code.starts_with("08") || code.starts_with("57P"));
    let unsure = lost || code == Some("40003");
    match (sent, unsure) {
        (Sent::Whole, true) => Ended::Unknown,
        _ if lost => Ended::FailedAndLost,
        _ => Ended::Failed,
    }
}

fn statement(operation: &Operation) -> String {
    match operation {
        Operation::Append { key, value } => format!(
            "INSERT INTO judge_list VALUES ({key}, ' {value}') ON CONFLICT (id) DO UPDATE SET elements = judge_list.elements || ' {value}'"
        ),
        Operation::List { key, .. } => {
            format!("SELECT elements FROM judge_list WHERE id = {key}")
        }
        Operation::Write { key, value } => format!(
            "INSERT INTO judge_register VALUES ({key}, {value}) ON CONFLICT (id) DO UPDATE SET value = {value}"
        ),
        Operation::Read { key, .. } => format!("SELECT value FROM judge_register WHERE id = {key}"),
        Operation::Delete { key } => format!("DELETE FROM judge_register WHERE id = {key}"),
        Operation::Scan { range, .. } => format!(
            "SELECT id || ' ' || value FROM judge_register WHERE id >= {} AND id < {} ORDER BY id",
            range.start, range.end
        ),
        Operation::Count { range, .. } => format!(
            "SELECT count(*) FROM judge_register WHERE id >= {} AND id < {}",
            range.start, range.end
        ),
    }
}

/// Fills in the answer. A text that is no number cannot come from our writes; it becomes a value that nobody wrote, which the judge reports.
fn answer(operation: &Operation, messages: &[SimpleQueryMessage]) -> Operation {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let texts: Vec<&str> = rows.collect();
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    let mut answered = operation.clone();
    match &mut answered {
        Operation::List { values, .. } => {
            *values = texts.iter().flat_map(|text| text.split_whitespace()).map(number).collect();
        }
        Operation::Read { value, .. } => *value = texts.first().map(|text| number(text)),
        Operation::Scan { rows, .. } => {
            let pair = |text: &&str| {
                let (key, value) = text.split_once(' ').unwrap_or((text, ""));
                (number(key), number(value))
            };
            *rows = texts.iter().map(pair).collect();
        }
        Operation::Count { count, .. } => {
            *count = texts.first().map_or(u64::MAX, |text| number(text));
        }
        Operation::Append { .. } | Operation::Write { .. } | Operation::Delete { .. } => {}
    }
    answered
}

impl PostgresClient {
    fn step(
        &mut self,
        operation: &Operation,
        done: &mut Vec<Operation>,
    ) -> Result<(), postgres::Error> {
        let writes = crate::generate::is_write(operation);
        if writes {
            done.push(operation.clone());
        }
        let messages = self.client.simple_query(&statement(operation))?;
        if !writes {
            done.push(answer(operation, &messages));
        }
        Ok(())
    }

    fn block(
        &mut self,
        planned: &[Operation],
        done: &mut Vec<Operation>,
    ) -> Result<(), postgres::Error> {
        self.client.batch_execute("BEGIN")?;
        planned.iter().try_for_each(|operation| self.step(operation, done))
    }
}

impl Client for PostgresClient {
    fn run(&mut self, planned: &[Operation], done: &mut Vec<Operation>) -> Ended {
        let committed = Ended::Committed { execute_at: None };
        if let [operation] = planned {
            return match self.step(operation, done) {
                Ok(()) => committed,
                Err(error) => ended(&error, Sent::Whole),
            };
        }
        if let Err(error) = self.block(planned, done) {
            let end = ended(&error, Sent::Part);
            let rolled_back = self.client.batch_execute("ROLLBACK").is_ok();
            return if rolled_back { end } else { Ended::FailedAndLost };
        }
        match self.client.batch_execute("COMMIT") {
            Ok(()) => committed,
            Err(error) => ended(&error, Sent::Whole),
        }
    }
}
