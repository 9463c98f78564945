//! The toy data: a list of numbers by key. A transaction reads lists and appends its own number to some of them, or
//! replaces one without reading it, so that every read shows its whole past.

use std::sync::Arc;

use accord::cluster::message::Transaction;
use accord::{Access, Commit, Footprint, Outcome, View, Workload, Write};
use types::prng::Prng;
use types::{TableId, Timestamp, Token};

pub const TABLE: TableId = TableId(1);

/// One transaction's part in one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    Read,
    /// Read and append.
    Append,
    /// Replace, unread, by a list of only its number.
    Replace,
}

#[derive(Clone, Debug)]
pub struct ListTransaction {
    pub number: u32,
    pub touches: Vec<(u16, Touch)>,
}

pub fn token(key: u16) -> Token {
    Token(u64::from(key) << 48 | 1)
}

pub fn decode(row: &[u8]) -> Vec<u32> {
    row.chunks_exact(4)
        .map(|four| u32::from_le_bytes(four.try_into().expect("four bytes")))
        .collect()
}

pub fn encode(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|number| number.to_le_bytes()).collect()
}

impl ListTransaction {
    pub fn draw(number: u32, keys: &[u16], prng: &mut Prng) -> ListTransaction {
        let mut touches: Vec<(u16, Touch)> = Vec::new();
        for _ in 0..1 + prng.index(3) {
            // Half of all go to the first key.
            let key = if prng.below(2) == 0 { keys[0] } else { keys[prng.index(keys.len())] };
            let touch = match prng.below(10) {
                0..4 => Touch::Read,
                4..8 => Touch::Append,
                _ => Touch::Replace,
            };
            if touches.iter().all(|(known, _)| *known != key) {
                touches.push((key, touch));
            }
        }
        ListTransaction { number, touches }
    }

    pub fn transaction(&self) -> Arc<Transaction> {
        let mut footprint = Footprint::new();
        for (key, touch) in &self.touches {
            let access = match touch {
                Touch::Read => Access::Read,
                Touch::Append => Access::ReadWrite,
                Touch::Replace => Access::Write,
            };
            footprint.point(TABLE, token(*key), &key.to_be_bytes(), access);
        }
        Arc::new(Transaction { footprint, workload: Arc::new(self.clone()) })
    }
}

impl Workload for ListTransaction {
    fn evaluate(&self, _: Timestamp, view: &dyn View) -> Outcome {
        let mut commit = Commit::default();
        for (index, (key, touch)) in self.touches.iter().enumerate() {
            let seen = match touch {
                Touch::Replace => Vec::new(),
                _ => view.point(index).map_or(Vec::new(), |found| decode(&found.row)),
            };
            if *touch != Touch::Replace {
                commit.reply.extend((seen.len() as u32).to_le_bytes());
                commit.reply.extend(encode(&seen));
            }
            if *touch != Touch::Read {
                let mut list = seen;
                list.push(self.number);
                commit.writes.push(Write {
                    table: TABLE,
                    token: token(*key),
                    key: key.to_be_bytes().to_vec(),
                    row: Some(encode(&list)),
                });
            }
        }
        Outcome::Commit(commit)
    }
}
