//! Hidden row ids: numbers within a slice of this core that were never given before, so that inserts into tables without a primary key stay on their core.
//!
//! Blocks of numbers are taken by an ordinary transaction on a system table with one row for each slice: the first number of the next block. So a crash
//! loses the rest of a block, never gives a number twice.

use std::cell::RefCell;
use std::sync::Arc;

use accord::{Access, Commit, Footprint, Outcome, TokenRange, View, Workload, Write};
use storage::{LayoutColumn, TableLayout};
use types::codec::Encoder;
use types::key::{KeyOrder, append_key_column};
use types::row::{decode_row, encode_row};
use types::schema::KeyColumn;
use types::token::SliceCount;
use types::{ColumnId, SliceId, SqlType, TableId, Timestamp, Token, Value};

use crate::attachment::Attachment;
use crate::client::ShardClient;
use crate::error::ShardError;
use crate::workloads;

/// The system's storage table of row-id blocks.
pub const ROW_IDS: TableId = TableId(u32::MAX - 1);

/// Numbers that are taken at once.
const BLOCK: u64 = 65_536;
const TYPES: [SqlType; 2] = [SqlType::Int4, SqlType::Int8];

/// Layout of [`ROW_IDS`]: slice, first number of the next block.
pub fn row_ids_layout() -> TableLayout {
    let column =
        |id: u16, sql_type| LayoutColumn { id: ColumnId(id), sql_type, missing: Value::Null };
    TableLayout {
        table: ROW_IDS,
        columns: vec![column(1, TYPES[0]), column(2, TYPES[1])],
        key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    next: u64,
    end: u64,
}

/// The blocks of one core.
#[derive(Debug)]
pub(crate) struct RowIds {
    slices: SliceCount,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    blocks: Vec<(SliceId, Block)>,
    turn: usize,
}

impl RowIds {
    pub(crate) fn new(owned: TokenRange, slices: SliceCount) -> RowIds {
        let (first, last) = (slices.slice_of(owned.first).0, slices.slice_of(owned.last).0);
        let blocks = (first..=last).map(|slice| (SliceId(slice), Block::default())).collect();
        RowIds { slices, state: RefCell::new(State { blocks, turn: 0 }) }
    }

    /// Takes from the block of the slice whose turn it is; asks for a new one if it does not suffice.
    pub(crate) async fn allocate(
        &self,
        client: &ShardClient,
        count: u64,
    ) -> Result<(SliceId, u64), ShardError> {
        let index = {
            let mut state = self.state.borrow_mut();
            state.turn = (state.turn + 1) % state.blocks.len();
            state.turn
        };
        loop {
            let slice = {
                let mut state = self.state.borrow_mut();
                let (slice, block) = &mut state.blocks[index];
                if block.end - block.next >= count {
                    let first = block.next;
                    block.next += count;
                    return Ok((*slice, first));
                }
                *slice
            };
            let taken = self.take_block(client, slice, count.max(BLOCK)).await?;
            self.state.borrow_mut().blocks[index].1 = taken;
        }
    }

    async fn take_block(
        &self,
        client: &ShardClient,
        slice: SliceId,
        numbers: u64,
    ) -> Result<Block, ShardError> {
        let token = Token::in_slice(self.slices, slice, 0);
        let mut key = Vec::new();
        let of_slice = Value::Int4(i32::from(slice.0));
        append_key_column(&of_slice, KeyOrder::PRIMARY, &mut key);
        let mut footprint = Footprint::new();
        footprint.point(ROW_IDS, token, &key, Access::ReadWrite);
        let workload = Arc::new(TakeBlock { slice, token, key, numbers });
        let committed = client.submit(Arc::new(footprint), workload).await?;
        let bytes = committed.reply.try_into().expect("the workload replies with eight bytes");
        let next = u64::from_le_bytes(bytes);
        Ok(Block { next, end: next + numbers })
    }
}

/// Moves a slice's counter on; replies with where it was.
#[derive(Debug)]
pub(crate) struct TakeBlock {
    pub(crate) slice: SliceId,
    pub(crate) token: Token,
    pub(crate) key: Vec<u8>,
    pub(crate) numbers: u64,
}

impl Workload for TakeBlock {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        let first = match view.point(0) {
            None => 1,
            Some(version) => match decode_row(&TYPES, &version.row, |_| &Value::Null).as_deref() {
                Ok([_, Value::Int8(next)]) => *next as u64,
                other => panic!("a row of row-id blocks holds a slice and a number: {other:?}"),
            },
        };
        let mut row = Vec::new();
        let next = Value::Int8((first + self.numbers) as i64);
        encode_row(&TYPES, &[Value::Int4(i32::from(self.slice.0)), next], &mut row);
        let write =
            Write { table: ROW_IDS, token: self.token, key: self.key.clone(), row: Some(row) };
        Outcome::Commit(Commit {
            writes: vec![write],
            attachment: Attachment::new(vec![row_ids_layout()], Vec::new()).encode(),
            reply: first.to_le_bytes().to_vec(),
            ..Commit::default()
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::after(std::mem::take(out));
        encoder.u8(workloads::TAKE_BLOCK);
        encoder.varint(u64::from(self.slice.0));
        encoder.u64(self.token.0);
        encoder.var_bytes(&self.key);
        encoder.varint(self.numbers);
        *out = encoder.into_bytes();
    }
}
