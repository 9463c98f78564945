//! [`platform::BlockIo`]: blocking calls for background threads, deeply queued inside.
//!
//! Each call borrows a ring from a small stock, so any thread may call, and as many rings exist as
//! calls were ever made at one time. A large read is cut into chunks; up to [`QUEUE_DEPTH`] chunks
//! are in flight, each paid for from the [`IoBudget`] before it is submitted. While it waits for
//! the budget, nothing of it is queued at the device.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platform::{
    AlignedBuf, BlockIo, BlockRead, CancelFlag, DISK_ALIGNMENT, DirectoryEntry, DiskError,
    DiskOperation, FileHandle, JobClass, OpenMode, assert_direct,
};
use types::{ByteCount, ByteOffset, KIB};

use super::io_budget::IoBudget;
use crate::files::Files;
use crate::uring::ring::{Finished, Operation, Ring, RingUse, Tag, Wait};

/// The largest request; sequential reads reach the device's rate with it.
const CHUNK_BYTES: usize = 512 * KIB as usize;
/// Requests in flight for one call.
const QUEUE_DEPTH: usize = 32;
/// A wait for the budget is cut, so that a cancelled job ends soon.
const PACE_STEP: Duration = Duration::from_millis(20);

/// The rings and the operations on names that all block I/O of a node shares.
pub(crate) struct BlockRings {
    idle: Mutex<Vec<Ring>>,
    files: Files,
    budget: Arc<IoBudget>,
}

impl BlockRings {
    pub(crate) fn new(files: Files, budget: Arc<IoBudget>) -> BlockRings {
        BlockRings { idle: Mutex::new(Vec::new()), files, budget }
    }

    fn take(&self) -> Result<Ring, DiskError> {
        if let Some(ring) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(ring);
        }
        Ring::new(RingUse::Blocks).map_err(|source| DiskError::Refused {
            operation: DiskOperation::Read,
            path: "io_uring".into(),
            source: Arc::new(source),
        })
    }

    fn put_back(&self, ring: Ring) {
        if ring.in_flight() == 0 {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(ring);
        }
    }
}

/// Block I/O in one class, for one job or one foreign thread.
pub(crate) struct PacedBlockIo {
    pub(crate) rings: Arc<BlockRings>,
    pub(crate) class: JobClass,
    pub(crate) cancel: CancelFlag,
}

/// A chunk of a read: which block, and where in it.
struct Chunk {
    block: usize,
    start: usize,
    bytes: usize,
}

/// What became of one block so far.
struct Block {
    /// Read in one piece: the kernel's buffer is the answer. In several: they are copied here.
    answer: Option<AlignedBuf>,
    pieces: usize,
    bytes_read: usize,
}

fn chunks(reads: &[BlockRead]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (block, read) in reads.iter().enumerate() {
        assert_direct(read.offset, read.bytes);
        for start in (0..read.bytes).step_by(CHUNK_BYTES) {
            chunks.push(Chunk { block, start, bytes: (read.bytes - start).min(CHUNK_BYTES) });
        }
    }
    chunks
}

impl PacedBlockIo {
    fn pace(&self, bytes: usize) -> Result<(), DiskError> {
        if self.class == JobClass::Flush {
            return Ok(());
        }
        let mut wait = self.rings.budget.draw(bytes as u64);
        while !wait.is_zero() {
            if self.cancel.is_cancelled() {
                return Err(DiskError::Cancelled);
            }
            let step = wait.min(PACE_STEP);
            std::thread::sleep(step);
            wait -= step;
        }
        Ok(())
    }

    fn with_ring<T>(
        &self,
        work: impl FnOnce(&mut Ring) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let mut ring = self.rings.take()?;
        let result = work(&mut ring);
        self.rings.put_back(ring);
        result
    }

    fn read_chunks(
        &self,
        ring: &mut Ring,
        reads: &[BlockRead],
        blocks: &mut [Block],
    ) -> Result<(), DiskError> {
        let chunks = chunks(reads);
        let mut next = 0;
        let mut in_flight = 0;
        let mut failure = None;
        let mut finished: Vec<Finished> = Vec::new();
        while in_flight > 0 || (next < chunks.len() && failure.is_none()) {
            while failure.is_none() && next < chunks.len() && in_flight < QUEUE_DEPTH {
                if self.cancel.is_cancelled() {
                    failure = Some(DiskError::Cancelled);
                    break;
                }
                let chunk = &chunks[next];
                if let Err(error) = self.pace(chunk.bytes) {
                    failure = Some(error);
                    break;
                }
                let read = &reads[chunk.block];
                let operation = Operation::Read {
                    file: read.file.clone(),
                    offset: read.offset + ByteCount(chunk.start as u64),
                    buffer: AlignedBuf::zeroed(chunk.bytes),
                    filled: 0,
                };
                ring.start(Tag::Read(next as u32), operation);
                next += 1;
                in_flight += 1;
            }
            if in_flight == 0 {
                break;
            }
            wait(ring, reads[0].file.path())?;
            ring.reap(&mut finished);
            for done in finished.drain(..) {
                let Tag::Read(index) = done.tag else { continue };
                match on_chunk(ring, done, &chunks[index as usize], reads, blocks) {
                    ChunkState::Done => in_flight -= 1,
                    ChunkState::Continued => {}
                    ChunkState::Failed(error) => {
                        in_flight -= 1;
                        failure.get_or_insert(error);
                    }
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

enum ChunkState {
    Done,
    Continued,
    Failed(DiskError),
}

fn is_transient(result: i32) -> bool {
    result == -libc::EINTR || result == -libc::EAGAIN
}

fn wait(ring: &mut Ring, path: &Path) -> Result<(), DiskError> {
    ring.submit(Wait::ForCompletion)
        .map_err(|error| DiskError::from_io(DiskOperation::Read, path, ByteOffset(0), error))
}

fn on_chunk(
    ring: &mut Ring,
    done: Finished,
    chunk: &Chunk,
    reads: &[BlockRead],
    blocks: &mut [Block],
) -> ChunkState {
    let (tag, result, error) = (done.tag, done.result, done.error());
    let Some(Operation::Read { file, offset, mut buffer, mut filled }) = done.operation else {
        unreachable!("a read's only completion gives the read back")
    };
    if let Some(error) = error
        && !is_transient(result)
    {
        let error = DiskError::from_io(DiskOperation::Read, file.path(), offset, error);
        return ChunkState::Failed(error);
    }
    filled += usize::try_from(result).unwrap_or(0);
    let ended = result == 0 || !filled.is_multiple_of(DISK_ALIGNMENT);
    if filled < buffer.len() && !ended {
        ring.start(tag, Operation::Read { file, offset, buffer, filled });
        return ChunkState::Continued;
    }
    buffer.set_len(filled);
    let block = &mut blocks[chunk.block];
    block.bytes_read += filled;
    if block.pieces == 1 {
        block.answer = Some(buffer);
    } else {
        let bytes = reads[chunk.block].bytes;
        let answer = block.answer.get_or_insert_with(|| AlignedBuf::zeroed(bytes));
        answer[chunk.start..chunk.start + filled].copy_from_slice(&buffer);
    }
    ChunkState::Done
}

impl BlockIo for PacedBlockIo {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<FileHandle, DiskError> {
        self.rings.files.open(path, mode)
    }

    fn read_many(&self, reads: &[BlockRead]) -> Result<Vec<AlignedBuf>, DiskError> {
        let block = |read: &BlockRead| Block {
            answer: None,
            pieces: read.bytes.div_ceil(CHUNK_BYTES),
            bytes_read: 0,
        };
        let mut blocks: Vec<Block> = reads.iter().map(block).collect();
        self.with_ring(|ring| self.read_chunks(ring, reads, &mut blocks))?;
        let answers = blocks.into_iter().map(|block| {
            let mut answer = block.answer.unwrap_or_else(|| AlignedBuf::zeroed(0));
            answer.set_len(block.bytes_read);
            answer
        });
        Ok(answers.collect())
    }

    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: &AlignedBuf,
    ) -> Result<(), DiskError> {
        assert_direct(offset, buffer.len());
        let mut start = 0;
        while start < buffer.len() {
            let length = (buffer.len() - start).min(CHUNK_BYTES);
            self.pace(length)?;
            let at = offset.0 + start as u64;
            let raw = crate::files::raw_descriptor(file);
            match crate::sys::write_at(raw, &buffer[start..start + length], at) {
                Ok(0) => {
                    let error = std::io::Error::from(std::io::ErrorKind::WriteZero);
                    let (operation, at) = (DiskOperation::Write, ByteOffset(at));
                    return Err(DiskError::from_io(operation, file.path(), at, error));
                }
                Ok(written) => start += written,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let at = ByteOffset(at);
                    return Err(DiskError::from_io(DiskOperation::Write, file.path(), at, error));
                }
            }
        }
        Ok(())
    }

    fn sync(&self, file: &FileHandle) -> Result<(), DiskError> {
        crate::sys::sync_data(crate::files::raw_descriptor(file)).map_err(|error| {
            DiskError::from_io(DiskOperation::Sync, file.path(), ByteOffset(0), error)
        })
    }

    fn file_bytes(&self, file: &FileHandle) -> Result<ByteCount, DiskError> {
        self.rings.files.file_bytes(file)
    }

    fn set_file_bytes(&self, file: &FileHandle, bytes: ByteCount) -> Result<(), DiskError> {
        self.rings.files.set_file_bytes(file, bytes)
    }

    fn create_directory(&self, path: &Path) -> Result<(), DiskError> {
        self.rings.files.create_directory(path)
    }

    fn rename(&self, source: &Path, target: &Path) -> Result<(), DiskError> {
        self.rings.files.rename(source, target)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.rings.files.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        self.rings.files.sync_directory(directory)
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, DiskError> {
        self.rings.files.list(directory)
    }

    fn free_bytes(&self, directory: &Path) -> Result<ByteCount, DiskError> {
        self.rings.files.free_bytes(directory)
    }
}
