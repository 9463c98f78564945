//! The protocol's view of the tree: rows from memory and cached pages at once, records into the log and the memtable in one turn.

use std::borrow::Cow;
use std::collections::BTreeMap;

use accord::{
    LogPosition, NotLogged, PointRead, RangeQuery, RangeRead, Record, RowVisitor, TokenRange,
};
use storage::memtable::RowVersion;
use storage::{
    LogAddress, Lookup, Publication, RangeLookup, StorageError, StorageErrorKind, TableLayout,
    Tree, WriteBatchBuilder,
};
use types::token::SliceCount;
use types::{LogId, SliceId, TableId, Timestamp, Token};

use crate::attachment::{Attachment, SealedId};
use crate::bulk::SealedRegister;
use crate::error::Failure;

/// Bytes that one step of a range read takes at once; a longer range takes several steps.
const RANGE_STEP_BYTES: usize = 1 << 20;

/// One shard's rows and log, as [`accord::Store`].
pub(crate) struct Memory {
    tree: Tree,
    slices: SliceCount,
    log: LogId,
    sealed: SealedRegister,
    /// Publications that are logged or received and not installed yet.
    publications: BTreeMap<(LogId, LogPosition), (SealedId, Publication)>,
    /// Storage tables that ended, and when.
    dropped: Vec<(Timestamp, TableId)>,
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
    pub(crate) fn new(tree: Tree, sealed: SealedRegister) -> Memory {
        let (slices, log) = (tree.slice_count(), tree.log_id());
        let (publications, dropped) = (BTreeMap::new(), Vec::new());
        Memory { tree, slices, log, sealed, publications, dropped }
    }

    /// The publication of a record that is to be installed.
    pub(crate) fn take_publication(
        &mut self,
        log: LogId,
        position: LogPosition,
    ) -> (SealedId, Publication) {
        let found = self.publications.remove(&(log, position));
        found.expect("what is to be installed was logged or received")
    }

    /// Takes the storage tables that ended below `floor`: no read can ask for them any more.
    pub(crate) fn take_dropped(&mut self, floor: Timestamp) -> Vec<TableId> {
        let due = self.dropped.extract_if(.., |(ended_at, _)| *ended_at < floor);
        due.map(|(_, table)| table).collect()
    }

    /// The slices that a range of this shard's tokens covers.
    pub(crate) fn slices_of(&self, tokens: TokenRange) -> impl Iterator<Item = SliceId> + use<> {
        let first = self.slices.slice_of(tokens.first).0;
        let last = self.slices.slice_of(tokens.last).0;
        (first..=last).map(SliceId)
    }

    fn batch(&self, record: &Record, layouts: &[TableLayout]) -> Vec<u8> {
        let mut builder = WriteBatchBuilder::new();
        layouts.iter().for_each(|layout| builder.define(layout));
        for write in &record.writes {
            let slice = self.slices.slice_of(write.token);
            match &write.row {
                Some(row) => builder.put(write.table, slice, &write.key, row),
                None => builder.delete(write.table, slice, &write.key),
            }
        }
        builder.encode(record.execute_at)
    }

    fn publication(&self, record: &Record, attachment: &Attachment, id: SealedId) -> Publication {
        let layouts = attachment.layouts.clone();
        let mut publication = self.sealed.get(id).publication(record.execute_at, layouts);
        if !record.writes.is_empty() {
            publication.rows = self.batch(record, &attachment.layouts);
        }
        publication
    }

    fn log_record(&mut self, record: &Record) -> Result<LogPosition, StorageError> {
        let attachment = Attachment::decode(&record.attachment)?;
        let position = match attachment.sealed {
            None => self.tree.commit(0, &self.batch(record, &attachment.layouts))?,
            Some(id) => {
                let publication = self.publication(record, &attachment, id);
                let position = self.tree.log_publication(0, &publication)?;
                let place = (self.log, position_of(position));
                self.publications.insert(place, (id, publication));
                position
            }
        };
        self.note_dropped(record, &attachment);
        Ok(position_of(position))
    }

    fn receive(
        &mut self,
        record: &Record,
        log: LogId,
        position: LogPosition,
    ) -> Result<(), StorageError> {
        let attachment = Attachment::decode(&record.attachment)?;
        let address = LogAddress { log, position: storage::LogPosition::from_raw(position.0) };
        match attachment.sealed {
            None => {
                self.tree.apply_foreign(address, &self.batch(record, &attachment.layouts))?;
            }
            Some(id) => {
                let publication = self.publication(record, &attachment, id);
                self.tree.receive_publication(address, &publication)?;
                self.publications.insert((log, position), (id, publication));
            }
        }
        self.note_dropped(record, &attachment);
        Ok(())
    }

    fn note_dropped(&mut self, record: &Record, attachment: &Attachment) {
        self.dropped.extend(attachment.dropped.iter().map(|table| (record.execute_at, *table)));
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
        self.log_record(record).map_err(|error| NotLogged(Failure::from(&error).encode()))
    }

    fn apply(&mut self, record: &Record, log: LogId, position: LogPosition) {
        // What is on this shard's own log was applied with the append.
        if log != self.log {
            let received = self.receive(record, log, position);
            received.expect("the home core has logged the same record");
        }
    }
}

/// Whether a storage error ends the shard.
pub(crate) fn is_fatal(error: &StorageError) -> bool {
    error.kind() == StorageErrorKind::Fenced
}
