//! Sorted row versions to a durable table file: the format's builder over block I/O. Runs on background threads.
//!
//! A file gets its final name at once: an id is never reused and no manifest names the file before it is synced, so a torn file is an orphan that the next
//! start removes. The caller syncs the directory once for all files of a job.

use std::path::PathBuf;
use std::sync::Arc;

use platform::{AlignedBuf, BlockIo, CancelFlag, DiskError, FileHandle, OpenMode};
use sstable::{ColumnSpec, RowContent, TableBuilder, TableOptions, TableShape, Versioning};
use types::limits::BLOCK_BYTES;
use types::{ByteCount, ByteOffset, SliceId, SstableId, TableId, Timestamp};

use crate::error::StorageError;
use crate::files::{FileRegistry, Piece, TableFile};
use crate::layout::TableLayout;
use crate::options::StorageOptions;
use crate::version_edit::FileEntry;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// The format's sizes from ours.
pub(crate) fn table_options(options: &StorageOptions) -> TableOptions {
    TableOptions {
        page_rows: options.page_rows,
        group_rows: options.row_group_rows,
        ..TableOptions::default()
    }
}

/// Writes one file.
pub(crate) struct TableFileWriter<'a> {
    io: &'a dyn BlockIo,
    cancel: &'a CancelFlag,
    registry: Arc<FileRegistry>,
    id: SstableId,
    table: TableId,
    sealed: bool,
    path: PathBuf,
    handle: FileHandle,
    /// Nothing once the file is finished.
    builder: Option<TableBuilder>,
    buffer: AlignedBuf,
    written: u64,
    slices: Option<(SliceId, SliceId)>,
}

impl<'a> TableFileWriter<'a> {
    /// Creates the file.
    pub(crate) fn create(
        io: &'a dyn BlockIo,
        cancel: &'a CancelFlag,
        registry: &Arc<FileRegistry>,
        layout: &TableLayout,
        versioning: Versioning,
        options: &TableOptions,
    ) -> Result<TableFileWriter<'a>, StorageError> {
        let id = registry.next_file();
        let path = registry.path_of(id);
        let handle = io.open(&path, OpenMode::CreateNew)?;
        let columns = layout
            .columns
            .iter()
            .map(|column| ColumnSpec {
                id: column.id,
                sql_type: column.sql_type,
                missing: column.missing.clone(),
            })
            .collect();
        let shape = TableShape {
            table_id: layout.table,
            salt: id.0,
            columns,
            key: layout.key.clone(),
            versioning,
        };
        Ok(TableFileWriter {
            io,
            cancel,
            registry: registry.clone(),
            id,
            table: layout.table,
            sealed: versioning == Versioning::Sealed,
            path,
            handle,
            builder: Some(TableBuilder::new(*options, shape)),
            buffer: AlignedBuf::with_capacity(BLOCK_BYTES),
            written: 0,
            slices: None,
        })
    }

    /// Bytes of the file so far, roughly.
    pub(crate) fn byte_estimate(&self) -> u64 {
        self.builder.as_ref().map_or(self.written, |builder| {
            builder.bytes_written() + builder.pending_row_bytes() as u64 / 2
        })
    }

    /// Appends a row version, in the format's order.
    pub(crate) fn push(
        &mut self,
        slice: SliceId,
        key: &[u8],
        execute_at: Timestamp,
        row: Option<&[u8]>,
    ) -> Result<(), StorageError> {
        let content = row.map_or(RowContent::Tombstone, RowContent::Row);
        let execute_at = (!self.sealed).then_some(execute_at);
        let builder = self.builder.as_mut().expect("rows come before the end");
        builder
            .push(slice, key, execute_at, content)
            .map_err(|_| StorageError::RowShape { table: self.table })?;
        self.slices = Some((self.slices.map_or(slice, |(first, _)| first), slice));
        if builder.has_bytes() {
            let bytes = builder.take_bytes();
            self.add(&bytes)?;
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if self.cancel.is_cancelled() {
            return Err(DiskError::Cancelled.into());
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES {
            let whole = self.buffer.len() / BLOCK_BYTES * BLOCK_BYTES;
            let rest = self.buffer[whole..].to_vec();
            self.buffer.set_len(whole);
            self.io.write_at(&self.handle, ByteOffset(self.written), &self.buffer)?;
            self.written += whole as u64;
            self.buffer.clear();
            self.buffer.extend_from_slice(&rest);
        }
        Ok(())
    }

    /// Ends the file and makes its bytes durable; its name is durable after the caller has synced the directory.
    /// `level` and, for a sealed file, `published_at` go into the entry. On an error the file is removed.
    pub(crate) fn finish(
        mut self,
        level: u8,
        published_at: Option<Timestamp>,
    ) -> Result<Piece, StorageError> {
        match self.write_end() {
            Ok((metadata, byte_count)) => {
                let sealed_at = published_at.unwrap_or_default();
                let entry = FileEntry {
                    file: self.id,
                    table: self.table,
                    level,
                    slices: self.slices.expect("a file is made for at least one row"),
                    row_count: metadata.row_count(),
                    byte_count,
                    lowest: metadata.lowest_execute_at().unwrap_or(sealed_at),
                    highest: metadata.highest_execute_at().unwrap_or(sealed_at),
                    published_at,
                };
                let file = TableFile::new(self.id, self.handle, metadata, self.registry);
                Ok(Piece { entry, file: Arc::new(file) })
            }
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    fn write_end(&mut self) -> Result<(sstable::Metadata, u64), StorageError> {
        let builder = self.builder.take().expect("a file ends once");
        let finished =
            builder.finish().map_err(|_| StorageError::RowShape { table: self.table })?;
        self.add(&finished.bytes)?;
        let byte_count = self.written + self.buffer.len() as u64;
        self.buffer.pad_to_alignment();
        if !self.buffer.is_empty() {
            self.io.write_at(&self.handle, ByteOffset(self.written), &self.buffer)?;
        }
        self.io.set_file_bytes(&self.handle, ByteCount(byte_count))?;
        self.io.sync(&self.handle)?;
        Ok((finished.metadata, byte_count))
    }

    /// Removes what was written, after an error.
    pub(crate) fn abandon(self) {
        // The file is an orphan if this fails, and the error that brought us here is the one to report.
        let _ = self.io.remove(&self.path);
    }
}

/// Writes sorted versions to as many files as the caller cuts them into.
pub(crate) struct FileSequence<'a> {
    io: &'a dyn BlockIo,
    cancel: &'a CancelFlag,
    registry: &'a Arc<FileRegistry>,
    layout: &'a TableLayout,
    sizes: TableOptions,
    level: u8,
    open: Option<TableFileWriter<'a>>,
    finished: Vec<Piece>,
}

impl<'a> FileSequence<'a> {
    /// No file yet.
    pub(crate) fn new(
        io: &'a dyn BlockIo,
        cancel: &'a CancelFlag,
        registry: &'a Arc<FileRegistry>,
        layout: &'a TableLayout,
        sizes: TableOptions,
        level: u8,
    ) -> FileSequence<'a> {
        FileSequence {
            io,
            cancel,
            registry,
            layout,
            sizes,
            level,
            open: None,
            finished: Vec::new(),
        }
    }

    /// The last slice of the open file; nothing if none is open.
    pub(crate) fn last_slice(&self) -> Option<SliceId> {
        self.open.as_ref().and_then(|writer| writer.slices).map(|(_, last)| last)
    }

    /// Bytes of the open file, roughly.
    pub(crate) fn byte_estimate(&self) -> u64 {
        self.open.as_ref().map_or(0, TableFileWriter::byte_estimate)
    }

    /// Appends a version; the caller calls [`FileSequence::abandon`] after an error.
    pub(crate) fn push(&mut self, version: &sstable::RowVersion<'_>) -> Result<(), StorageError> {
        if self.open.is_none() {
            self.open = Some(TableFileWriter::create(
                self.io,
                self.cancel,
                self.registry,
                self.layout,
                Versioning::PerRow,
                &self.sizes,
            )?);
        }
        let row = match version.content {
            RowContent::Row(row) => Some(row),
            RowContent::Tombstone => None,
        };
        let writer = self.open.as_mut().expect("just opened");
        writer.push(version.slice, version.key, version.execute_at, row)
    }

    /// Ends the open file, if one is open.
    pub(crate) fn end_file(&mut self) -> Result<(), StorageError> {
        if let Some(writer) = self.open.take() {
            self.finished.push(writer.finish(self.level, None)?);
        }
        Ok(())
    }

    /// Removes everything written; hands the error on.
    pub(crate) fn abandon(mut self, error: StorageError) -> StorageError {
        if let Some(writer) = self.open.take() {
            writer.abandon();
        }
        for piece in &self.finished {
            // What cannot be removed is an orphan, which the next start removes.
            let _ = self.io.remove(&self.registry.path_of(piece.entry.file));
        }
        error
    }

    /// Ends the last file and gives all of them. Their names are not durable yet.
    pub(crate) fn finish(mut self) -> Result<Vec<Piece>, StorageError> {
        match self.end_file() {
            Ok(()) => Ok(self.finished),
            Err(error) => Err(self.abandon(error)),
        }
    }
}
