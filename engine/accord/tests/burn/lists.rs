//! The toy data: a list of numbers by key. A transaction reads lists and appends its own number to some of them, or
//! replaces one without reading it, so that every read shows its whole past.

use std::sync::Arc;

use accord::cluster::{Topology, Transaction};
use accord::{
    Access, Commit, Footprint, Outcome, View, Workload, WorkloadCodec, WorkloadDecodeError, Write,
};
use types::codec::{Decoder, Encoder};
use types::prng::Prng;
use types::{TableId, Timestamp, Token};

pub const TABLE: TableId = TableId(1);

/// One transaction's part in one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    Read = 0,
    /// Read and append.
    Append = 1,
    /// Replace, unread, by a list of only its number.
    Replace = 2,
}

#[derive(Clone, Debug)]
pub struct ListTransaction {
    pub number: u32,
    pub touches: Vec<(u16, Touch)>,
    /// Whether it declares the whole table written, and no rows: a definition, or a wide delete.
    pub sweep: bool,
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
        if prng.below(50) == 0 {
            let touches = keys.iter().map(|key| (*key, Touch::Replace)).collect();
            return ListTransaction { number, touches, sweep: true };
        }
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
        ListTransaction { number, touches, sweep: false }
    }

    pub fn transaction(&self, topology: &Topology) -> Arc<Transaction> {
        let mut footprint = Footprint::new();
        if self.sweep {
            footprint.whole_table(TABLE, Access::Write);
        }
        for (key, touch) in self.touches.iter().filter(|_| !self.sweep) {
            let access = match touch {
                Touch::Read => Access::Read,
                Touch::Append => Access::ReadWrite,
                Touch::Replace => Access::Write,
            };
            footprint.point(TABLE, token(*key), &key.to_be_bytes(), access);
        }
        Arc::new(Transaction::new(topology, footprint, Arc::new(self.clone())))
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

    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::after(std::mem::take(out));
        encoder.u8(KIND);
        encoder.u32(self.number);
        encoder.bool(self.sweep);
        encoder.varint(self.touches.len() as u64);
        for (key, touch) in &self.touches {
            encoder.u16(*key);
            encoder.u8(*touch as u8);
        }
        *out = encoder.into_bytes();
    }
}

/// The kind of [`ListTransaction`].
const KIND: u8 = 200;

/// Knows list transactions only.
#[derive(Debug)]
pub struct ListCodec;

impl WorkloadCodec for ListCodec {
    fn decode(&self, bytes: &[u8]) -> Result<Arc<dyn Workload>, WorkloadDecodeError> {
        let decoder = &mut Decoder::new(bytes);
        let kind = decoder.u8()?;
        if kind != KIND {
            return Err(WorkloadDecodeError::UnknownKind { kind });
        }
        let number = decoder.u32()?;
        let sweep = decoder.bool("sweep")?;
        let mut touches = Vec::new();
        for _ in 0..decoder.var_count(3, "touches")? {
            let key = decoder.u16()?;
            let error = decoder.invalid("touch");
            let touch = match decoder.u8()? {
                0 => Touch::Read,
                1 => Touch::Append,
                2 => Touch::Replace,
                _ => return Err(error.into()),
            };
            touches.push((key, touch));
        }
        decoder.finish()?;
        Ok(Arc::new(ListTransaction { number, touches, sweep }))
    }
}

#[test]
fn list_transactions_travel() {
    for seed in 0..200 {
        let mut prng = Prng::new(seed);
        let list = ListTransaction::draw(seed as u32, &[1, 2, 3], &mut prng);
        let mut bytes = Vec::new();
        list.encode(&mut bytes);
        let mut again = Vec::new();
        ListCodec.decode(&bytes).expect("ours").encode(&mut again);
        assert_eq!(again, bytes);
        for end in 1..bytes.len() {
            let refused = ListCodec.decode(&bytes[..end]).map(drop);
            assert!(matches!(refused, Err(WorkloadDecodeError::Malformed(_))), "{refused:?}");
        }
        bytes[0] += 1;
        let refused = ListCodec.decode(&bytes).map(drop);
        assert_eq!(refused, Err(WorkloadDecodeError::UnknownKind { kind: KIND + 1 }));
    }
}
