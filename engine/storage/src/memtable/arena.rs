//! Chunks: append-only byte arenas, written by one shard core and read by anyone who holds the `Arc`.
//!
//! Safety argument. A chunk's memory is allocated once, zeroed, and freed when the last `Arc` drops. Exactly one [`ChunkWriter`] exists for a chunk (it
//! is made with it and cannot be cloned); only it writes, and only at offsets at or above `published`. It then raises `published` with
//! release ordering. Readers make slices only of bytes below a length that they have loaded from `published` with acquire ordering. So every byte
//! that a reader can see was written before, is never written again, and no `&[u8]` ever overlaps a byte that is written while it lives.
//!
//! ```text
//! entry:  slice (2) | kind (1): 0 row, 1 tombstone | zero (1) | key bytes (4) | row bytes (4) | execute_at (16) | log position (8) | key | row
//! ```
#![expect(unsafe_code, reason = "one writer and many readers share one growing allocation")]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sstable::SortedRun;
use types::{SliceId, TableId, Timestamp};

use crate::position::LogPosition;

/// Bytes of an entry before its key.
pub(crate) const ENTRY_HEADER_BYTES: usize = 36;

/// An append-only arena of row versions of one table.
pub struct Chunk {
    table: TableId,
    bytes: Box<[UnsafeCell<u8>]>,
    published: AtomicUsize,
    /// Entries below `published`; stored by the writer before it.
    row_count: AtomicUsize,
    sealed: AtomicBool,
    /// Filled once, by the first background reader after the chunk was sealed.
    pub(super) run: OnceLock<Arc<SortedRun>>,
}

// SAFETY: see the file's safety argument: the only interior mutation is by the one writer, above `published`, where no reader looks.
unsafe impl Sync for Chunk {}
// SAFETY: the chunk owns its bytes; nothing in it belongs to a thread.
unsafe impl Send for Chunk {}

/// One row version, as it stands in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The slice of the row's token.
    pub slice: SliceId,
    /// Encoded storage key.
    pub key: &'a [u8],
    /// When the version took effect.
    pub execute_at: Timestamp,
    /// Its record in the log of the shard whose memtable this is; [`LogPosition::NONE`] if it came from elsewhere and is durable there.
    pub position: LogPosition,
    /// The row, or nothing for a tombstone.
    pub row: Option<&'a [u8]>,
}

impl Entry<'_> {
    /// Bytes that it takes in a chunk.
    pub fn bytes_needed(&self) -> usize {
        ENTRY_HEADER_BYTES + self.key.len() + self.row.map_or(0, <[u8]>::len)
    }
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chunk(table {}, {} bytes)", self.table, self.published())
    }
}

impl Chunk {
    /// The table whose rows it holds.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that may be read now; they never change.
    pub fn published(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// Bytes that may be read now and the entries in them. Only for the writer's thread: on another the two may be of different moments.
    pub(super) fn published_rows(&self) -> (usize, usize) {
        (self.published(), self.row_count.load(Ordering::Relaxed))
    }

    /// True once nothing is appended any more.
    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// The first `length` bytes.
    ///
    /// # Panics
    /// If they are not published.
    pub fn bytes(&self, length: usize) -> &[u8] {
        assert!(length <= self.published(), "only published bytes are read");
        // SAFETY: `length` is at most `published`, so these bytes are initialised and never written again (file's safety argument). `UnsafeCell<u8>` has
        // the layout of `u8`.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().cast::<u8>(), length) }
    }

    /// The entry that begins at `offset`.
    ///
    /// # Panics
    /// If no published entry begins there.
    pub fn entry(&self, offset: u32) -> Entry<'_> {
        read_entry(self.bytes(self.published()), offset as usize)
    }

    /// Key of the entry at `offset`, for comparisons.
    pub(super) fn key(&self, offset: u32) -> &[u8] {
        let bytes = self.bytes(self.published());
        let at = offset as usize;
        let key_bytes =
            u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes")) as usize;
        &bytes[at + ENTRY_HEADER_BYTES..at + ENTRY_HEADER_BYTES + key_bytes]
    }

    /// Timestamp of the entry at `offset`, for comparisons.
    pub(super) fn execute_at(&self, offset: u32) -> Timestamp {
        let bytes = self.bytes(self.published());
        let at = offset as usize + 12;
        Timestamp(u128::from_le_bytes(bytes[at..at + 16].try_into().expect("sixteen bytes")))
    }

    /// Where the entries of the first `length` bytes begin, in the order they were appended.
    pub fn entry_offsets(&self, length: usize) -> impl Iterator<Item = u32> + '_ {
        let bytes = self.bytes(length);
        let mut at = 0;
        std::iter::from_fn(move || {
            if at >= bytes.len() {
                return None;
            }
            let offset = at as u32;
            at += read_entry(bytes, at).bytes_needed();
            Some(offset)
        })
    }
}

fn read_entry(bytes: &[u8], at: usize) -> Entry<'_> {
    let head = &bytes[at..at + ENTRY_HEADER_BYTES];
    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let key_bytes = word(4) as usize;
    let row_bytes = word(8) as usize;
    let key_start = at + ENTRY_HEADER_BYTES;
    let row_start = key_start + key_bytes;
    Entry {
        slice: SliceId(u16::from_le_bytes([head[0], head[1]])),
        key: &bytes[key_start..row_start],
        execute_at: Timestamp(u128::from_le_bytes(head[12..28].try_into().expect("sixteen bytes"))),
        position: LogPosition::from_raw(u64::from_le_bytes(
            head[28..36].try_into().expect("eight bytes"),
        )),
        row: (head[2] == 0).then(|| &bytes[row_start..row_start + row_bytes]),
    }
}

/// The one writer of a chunk.
pub(crate) struct ChunkWriter {
    chunk: Arc<Chunk>,
    length: usize,
}

impl ChunkWriter {
    /// A chunk of `capacity` bytes and its writer.
    pub(crate) fn new(table: TableId, capacity: usize) -> ChunkWriter {
        assert!(capacity <= u32::MAX as usize, "offsets in a chunk have 32 bits");
        let zeroed = vec![0u8; capacity].into_boxed_slice();
        // SAFETY: `UnsafeCell<u8>` is `repr(transparent)` over `u8`, so the allocation has the same layout and is freed the same way.
        let bytes = unsafe { Box::from_raw(Box::into_raw(zeroed) as *mut [UnsafeCell<u8>]) };
        let chunk = Arc::new(Chunk {
            table,
            bytes,
            published: AtomicUsize::new(0),
            row_count: AtomicUsize::new(0),
            sealed: AtomicBool::new(false),
            run: OnceLock::new(),
        });
        ChunkWriter { chunk, length: 0 }
    }

    /// The chunk.
    pub(crate) fn chunk(&self) -> &Arc<Chunk> {
        &self.chunk
    }

    /// Appends an entry; nothing if it does not fit.
    pub(crate) fn append(&mut self, entry: &Entry<'_>) -> Option<u32> {
        let needed = entry.bytes_needed();
        if self.chunk.capacity() - self.length < needed {
            return None;
        }
        let mut head = [0u8; ENTRY_HEADER_BYTES];
        head[0..2].copy_from_slice(&entry.slice.0.to_le_bytes());
        head[2] = u8::from(entry.row.is_none());
        head[4..8].copy_from_slice(&(entry.key.len() as u32).to_le_bytes());
        head[8..12].copy_from_slice(&(entry.row.map_or(0, <[u8]>::len) as u32).to_le_bytes());
        head[12..28].copy_from_slice(&entry.execute_at.to_bytes());
        head[28..36].copy_from_slice(&entry.position.to_raw().to_le_bytes());
        let offset = self.length;
        let mut at = offset;
        for part in [&head[..], entry.key, entry.row.unwrap_or(&[])] {
            // SAFETY: `at + part.len() <= capacity` was checked above; the range is at or above `published`, where no reader looks, and this is the only
            // writer (`&mut self` of a type that is neither `Clone` nor made twice for a chunk). `part` cannot overlap it: it is a shared slice,
            // and the only shared slices of this allocation end below `published`.
            unsafe {
                let target = UnsafeCell::raw_get(self.chunk.bytes.as_ptr().add(at));
                std::ptr::copy_nonoverlapping(part.as_ptr(), target, part.len());
            }
            at += part.len();
        }
        self.length = at;
        self.chunk.row_count.fetch_add(1, Ordering::Relaxed);
        self.chunk.published.store(at, Ordering::Release);
        Some(offset as u32)
    }

    /// Says that nothing follows.
    pub(crate) fn seal(&self) {
        self.chunk.sealed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(key: &'a [u8], at: u64, row: Option<&'a [u8]>) -> Entry<'a> {
        Entry {
            slice: SliceId(3),
            key,
            execute_at: Timestamp::new(0, at, 1),
            position: LogPosition::new(1, 32),
            row,
        }
    }

    #[test]
    fn entries_read_back_in_order() {
        let mut writer = ChunkWriter::new(TableId(1), 200);
        let first = writer.append(&entry(b"a", 5, Some(b"row"))).expect("fits");
        let second = writer.append(&entry(b"bb", 6, None)).expect("fits");
        assert!(writer.append(&entry(&[0; 200], 7, None)).is_none());
        let chunk = writer.chunk().clone();
        assert_eq!(chunk.entry(first), entry(b"a", 5, Some(b"row")));
        assert_eq!(chunk.entry(second), entry(b"bb", 6, None));
        assert_eq!(chunk.key(second), b"bb");
        assert_eq!(chunk.execute_at(first), Timestamp::new(0, 5, 1));
        let offsets: Vec<u32> = chunk.entry_offsets(chunk.published()).collect();
        assert_eq!(offsets, [first, second]);
    }

    #[test]
    fn a_reader_on_another_thread_sees_whole_entries_only() {
        let rounds = if cfg!(miri) { 40 } else { 20_000 };
        let mut writer = ChunkWriter::new(TableId(1), rounds * 64);
        let chunk = writer.chunk().clone();
        let reader = std::thread::spawn(move || {
            let mut seen = 0;
            while seen < rounds {
                let length = chunk.published();
                seen = chunk.entry_offsets(length).count();
                if let Some(last) = chunk.entry_offsets(length).last() {
                    let entry = chunk.entry(last);
                    assert_eq!(entry.key, (seen as u64).to_be_bytes());
                    assert_eq!(entry.execute_at, Timestamp::new(0, seen as u64, 1));
                }
                if cfg!(miri) {
                    std::thread::yield_now();
                } else {
                    std::thread::park_timeout(std::time::Duration::from_micros(200));
                }
            }
        });
        for round in 1..=rounds as u64 {
            writer.append(&entry(&round.to_be_bytes(), round, Some(b"x"))).expect("fits");
        }
        reader.join().expect("the reader ends");
    }
}
