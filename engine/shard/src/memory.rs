//! The protocol's view of the tree: rows from memory and cached pages at once, records into the log and the memtable in one turn.

use std::borrow::Cow;

use accord::{
    LogPosition, NotLogged, PointRead, RangeQuery, RangeRead, Record, RowVisitor, TokenRange,
};
use storage::memtable::RowVersion;
use storage::{
    LogAddress, Lookup, RangeLookup, StorageError, StorageErrorKind, Tree, WriteBatchBuilder,
};
use types::token::SliceCount;
use types::{LogId, SliceId, TableId, Timestamp, Token};

use crate::attachment::Attachment;
use crate::error::Failure;

/// Bytes that one step of a range read takes at once; a longer range takes several steps.
const RANGE_STEP_BYTES: usize = 1 << 20;

/// One shard's rows and log, as [`accord::Store`].
pub(crate) struct Memory {
    pub(crate) tree: Tree,
    slices: SliceCount,
    log: LogId,
}

/// The part of a range in one slice, as storage reads it.
pub(crate) fn range_of_slice(
    query: &RangeQuery<'_>,
    slice: SliceId,
    rows_max: usize,
) -> storage::RangeRead {
    storage::RangeRead {
        table: query.table,
        slice,
        start: query.low.to_vec(),
        end: query.high.map(<[u8]>::to_vec),
        at: query.at,
        rows_max,
        bytes_max: RANGE_STEP_BYTES,
    }
}

impl Memory {
    pub(crate) fn new(tree: Tree) -> Memory {
        let (slices, log) = (tree.slice_count(), tree.log_id());
        Memory { tree, slices, log }
    }

    /// The slices that a range of this shard's tokens covers.
    pub(crate) fn slices_of(&self, tokens: TokenRange) -> impl Iterator<Item = SliceId> + use<> {
        let first = self.slices.slice_of(tokens.first).0;
        let last = self.slices.slice_of(tokens.last).0;
        (first..=last).map(SliceId)
    }

    fn batch(&self, record: &Record) -> Result<Vec<u8>, StorageError> {
        let mut builder = WriteBatchBuilder::new();
        for layout in &Attachment::decode(&record.attachment)?.layouts {
            builder.define(layout);
        }
        for write in &record.writes {
            let slice = self.slices.slice_of(write.token);
            match &write.row {
                Some(row) => builder.put(write.table, slice, &write.key, row),
                None => builder.delete(write.table, slice, &write.key),
            }
        }
        Ok(builder.encode(record.execute_at))
    }

    /// Visits one slice; `Ok(None)` if rows are missing in memory, else the position observed.
    fn visit_slice(
        &self,
        mut read: storage::RangeRead,
        visit: &mut RowVisitor<'_>,
        rows_left: &mut usize,
    ) -> Result<Option<LogPosition>, StorageError> {
        let mut observed = LogPosition::NONE;
        loop {
            read.rows_max = *rows_left;
            let RangeLookup::Rows(found) = self.tree.read_range(&read)? else { return Ok(None) };
            observed = observed.max(position_of(found.position));
            for (key, version) in &found.rows {
                let row = version.row.as_deref().expect("a range holds rows, not tombstones");
                visit(key, version.execute_at, row);
            }
            *rows_left -= found.rows.len();
            match found.resume {
                Some(resume) if *rows_left > 0 => read.start = resume,
                _ => return Ok(Some(observed)),
            }
        }
    }
}

fn position_of(position: storage::LogPosition) -> LogPosition {
    LogPosition(position.to_raw())
}

fn point_of(version: RowVersion) -> PointRead<'static> {
    let position = position_of(version.position);
    match version.row {
        Some(row) => PointRead::Found {
            execute_at: version.execute_at,
            row: Cow::Owned(row.to_vec()),
            position,
        },
        None => PointRead::Absent { position },
    }
}

impl accord::Store for Memory {
    fn point(&self, table: TableId, token: Token, key: &[u8], at: Timestamp) -> PointRead<'_> {
        let slice = self.slices.slice_of(token);
        match self.tree.get(table, slice, key, at) {
            Ok(Lookup::Version(version)) => point_of(version),
            Ok(Lookup::Absent) => PointRead::Absent { position: LogPosition::NONE },
            // The load that follows meets the same error and reports it.
            Ok(Lookup::NotInMemory) | Err(_) => PointRead::NotLoaded,
        }
    }

    fn range(&self, query: RangeQuery<'_>, visit: &mut RowVisitor<'_>) -> RangeRead {
        let mut observed = LogPosition::NONE;
        let mut rows_left = query.limit as usize;
        for slice in self.slices_of(query.tokens) {
            if rows_left == 0 {
                break;
            }
            let read = range_of_slice(&query, slice, rows_left);
            match self.visit_slice(read, visit, &mut rows_left) {
                Ok(Some(position)) => observed = observed.max(position),
                Ok(None) | Err(_) => return RangeRead::NotLoaded,
            }
        }
        RangeRead::Visited { position: observed }
    }

    fn history_floor(&self, _table: TableId, _tokens: TokenRange) -> Timestamp {
        self.tree.floor()
    }

    fn append(&mut self, record: &Record) -> Result<LogPosition, NotLogged> {
        let refused = |error: StorageError| NotLogged(Failure::from(&error).encode());
        let payload = self.batch(record).map_err(refused)?;
        let position = self.tree.commit(0, &payload).map_err(refused)?;
        Ok(position_of(position))
    }

    fn apply(&mut self, record: &Record, log: LogId, position: LogPosition) {
        if log == self.log {
            // `Tree::commit` has applied it with the append.
            return;
        }
        let payload = self.batch(record).expect("the home core has logged the same batch");
        let address = LogAddress { log, position: storage::LogPosition::from_raw(position.0) };
        let applied = self.tree.apply_foreign(address, &payload);
        applied.expect("the home core has logged the same batch");
    }
}

/// Whether a storage error ends the shard.
pub(crate) fn is_fatal(error: &StorageError) -> bool {
    error.kind() == StorageErrorKind::Fenced
}
