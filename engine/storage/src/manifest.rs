//! The manifest of one shard of one start: a log of version edits in a file of its own.
//!
//! ```text
//! frame:  magic (4) | number of the edit (8) | payload bytes (4) | start (4) | shard (2) | CRC32C of the 22 bytes before it and the payload (4)
//!         | payload | zeroes to a multiple of 4 KiB
//! file:   frame 0, frame 0 again, frame 1, frame 1 again, …, zeroes
//! ```
//! Frame 0 is the whole state. Each frame stands twice, in one write, so that one bad sector loses no edit. The file is zero-written before use; when it is
//! full, a new one begins with the whole state, and the one before is removed once the new one is durable. An edit is done when its flush is.
//! A frame that cannot be read is a torn tail if no frame with a higher number follows, and damage otherwise.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use platform::{AlignedBuf, Disk, DiskError, DiskErrorKind, FileHandle, OpenMode};
use types::checksum::{checksum, checksum_append};
use types::limits::BLOCK_BYTES;
use types::{ByteCount, ByteOffset, ShardId};

use crate::error::StorageError;
use crate::local_mutex::LocalMutex;
use crate::version_edit::{ShardState, VersionEdit};

const MAGIC: u32 = u32::from_le_bytes(*b"RFMF");
const FRAME_HEADER_BYTES: usize = 26;

/// Which manifest a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestName {
    /// Start of the node.
    pub start: u32,
    /// Shard of that start.
    pub shard: ShardId,
    /// Counts the files of one shard and start.
    pub number: u32,
}

impl ManifestName {
    /// Name of the file in its directory.
    pub fn file_name(self) -> String {
        format!("manifest-{}-{}-{}", self.start, self.shard, self.number)
    }

    /// Inverse of [`ManifestName::file_name`].
    pub fn parse(name: &str) -> Option<ManifestName> {
        let mut parts = name.strip_prefix("manifest-")?.split('-');
        let read = ManifestName {
            start: parts.next()?.parse().ok()?,
            shard: ShardId(parts.next()?.parse().ok()?),
            number: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && read.file_name() == name).then_some(read)
    }
}

fn encode_frame(name: ManifestName, number: u64, payload: &[u8]) -> AlignedBuf {
    let mut head = [0u8; FRAME_HEADER_BYTES];
    head[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    head[4..12].copy_from_slice(&number.to_le_bytes());
    head[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[16..20].copy_from_slice(&name.start.to_le_bytes());
    head[20..22].copy_from_slice(&name.shard.0.to_le_bytes());
    let crc = checksum_append(checksum(&head[..22]), payload);
    head[22..26].copy_from_slice(&crc.to_le_bytes());
    let frame_bytes = (head.len() + payload.len()).next_multiple_of(BLOCK_BYTES);
    let mut buffer = AlignedBuf::zeroed(2 * frame_bytes);
    for copy in [0, frame_bytes] {
        buffer[copy..copy + head.len()].copy_from_slice(&head);
        buffer[copy + head.len()..copy + head.len() + payload.len()].copy_from_slice(payload);
    }
    buffer
}

/// A frame at the start of `bytes`: its number, its payload and its length in whole blocks.
fn read_frame(name: ManifestName, bytes: &[u8]) -> Option<(u64, &[u8], usize)> {
    let head = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let ours =
        word(0) == MAGIC && word(16) == name.start && head[20..22] == name.shard.0.to_le_bytes();
    let payload_bytes = word(12) as usize;
    let payload = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES.checked_add(payload_bytes)?)?;
    if !ours || checksum_append(checksum(&head[..22]), payload) != word(22) {
        return None;
    }
    let number = u64::from(word(4)) | (u64::from(word(8)) << 32);
    let frame_bytes = (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(BLOCK_BYTES);
    Some((number, payload, frame_bytes))
}

/// What a manifest file holds.
#[derive(Clone, Debug)]
pub struct ManifestRead {
    /// The state after its last edit.
    pub state: ShardState,
    /// Edits, the first state included.
    pub edit_count: u64,
    /// Frames of which one copy could not be read.
    pub repaired_frames: u64,
}

/// Reads the bytes of a manifest file. Nothing if not even its first frame is whole: its making was torn.
///
/// # Errors
/// [`StorageError::Damage`] if a frame is missing below another, or an edit does not fit.
pub fn read_manifest(
    path: &Path,
    name: ManifestName,
    bytes: &[u8],
) -> Result<Option<ManifestRead>, StorageError> {
    let damage = |offset: usize, what| StorageError::Damage {
        path: path.into(),
        offset: offset as u64,
        what,
    };
    let mut read = ManifestRead { state: ShardState::default(), edit_count: 0, repaired_frames: 0 };
    let mut at = 0;
    while at < bytes.len() {
        // The first copy, or else the second, which stands at one of the next blocks.
        let found = (at..bytes.len())
            .step_by(BLOCK_BYTES)
            .find_map(|place| Some((place, read_frame(name, &bytes[place..])?)));
        let Some((place, (number, payload, frame_bytes))) = found else { break };
        if number != read.edit_count {
            return Err(damage(at, "a version edit is missing below a later one"));
        }
        let edit = VersionEdit::decode(payload)
            .map_err(|_| damage(place, "a version edit does not decode"))?;
        read.state
            .apply(&edit)
            .map_err(|_| damage(place, "a version edit does not fit the state before it"))?;
        read.edit_count += 1;
        if place == at {
            let second = bytes.get(at + frame_bytes..).and_then(|rest| read_frame(name, rest));
            if second.is_none_or(|(second, _, _)| second != number) {
                read.repaired_frames += 1;
            }
            at += 2 * frame_bytes;
        } else {
            read.repaired_frames += 1;
            at = place + frame_bytes;
        }
    }
    Ok((read.edit_count > 0).then_some(read))
}

struct OpenManifest {
    file: FileHandle,
    name: ManifestName,
    next_offset: u64,
    capacity: u64,
    next_edit: u64,
}

/// Appends edits to a shard's manifest, one at a time.
pub struct ManifestWriter {
    directory: PathBuf,
    bytes_min: u64,
    open: LocalMutex<OpenManifest>,
    state: RefCell<ShardState>,
    fenced: Cell<bool>,
}

async fn create_file(
    disk: &dyn Disk,
    directory: &Path,
    name: ManifestName,
    state: &ShardState,
    bytes_min: u64,
) -> Result<OpenManifest, StorageError> {
    let frame = encode_frame(name, 0, &state.to_edit().encode());
    let capacity = bytes_min.max(8 * frame.len() as u64).next_multiple_of(BLOCK_BYTES as u64);
    let path = directory.join(name.file_name());
    let file = match disk.open(&path, OpenMode::CreateNew).await {
        // Left by an attempt that ran out of space, or that a crash ended.
        Err(error) if error.kind() == DiskErrorKind::AlreadyExists => {
            disk.remove(&path).await?;
            disk.open(&path, OpenMode::CreateNew).await?
        }
        opened => opened?,
    };
    disk.allocate_zeroed(&file, ByteOffset(0), ByteCount(capacity)).await?;
    let next_offset = frame.len() as u64;
    disk.write_and_sync(&file, vec![(ByteOffset(0), frame)]).await?;
    disk.sync_directory(directory).await?;
    Ok(OpenManifest { file, name, next_offset, capacity, next_edit: 1 })
}

impl ManifestWriter {
    /// Makes the first manifest file of a shard and start, durable when this returns.
    ///
    /// # Errors
    /// The disk's.
    pub async fn create(
        disk: &dyn Disk,
        directory: &Path,
        name: ManifestName,
        state: ShardState,
        bytes_min: ByteCount,
    ) -> Result<(), StorageError> {
        create_file(disk, directory, name, &state, bytes_min.0).await?;
        Ok(())
    }

    /// Opens the manifest that [`ManifestWriter::create`] has just made, to append to it.
    ///
    /// # Errors
    /// The disk's.
    pub async fn open(
        disk: &dyn Disk,
        directory: &Path,
        name: ManifestName,
        state: ShardState,
        bytes_min: ByteCount,
    ) -> Result<ManifestWriter, StorageError> {
        let file = disk.open(&directory.join(name.file_name()), OpenMode::ReadWrite).await?;
        let capacity = disk.file_bytes(&file).await?.0;
        let next_offset = encode_frame(name, 0, &state.to_edit().encode()).len() as u64;
        let open = OpenManifest { file, name, next_offset, capacity, next_edit: 1 };
        Ok(ManifestWriter {
            directory: directory.to_path_buf(),
            bytes_min: bytes_min.0,
            open: LocalMutex::new(open),
            state: RefCell::new(state),
            fenced: Cell::new(false),
        })
    }

    /// The state after the last durable edit.
    pub fn state(&self) -> std::cell::Ref<'_, ShardState> {
        self.state.borrow()
    }

    /// Makes an edit durable, then part of [`ManifestWriter::state`]. Edits take effect in the order of their calls.
    ///
    /// # Errors
    /// The disk's. After a device error every later call fails. After "no space" the edit has not happened and may be tried again.
    ///
    /// # Cancel safety
    /// Not safe: whether a dropped edit became durable is unknown. Callers run it in a task of their own.
    pub async fn append(&self, disk: &dyn Disk, edit: &VersionEdit) -> Result<(), StorageError> {
        let mut open = self.open.lock().await;
        if self.fenced.get() {
            return Err(StorageError::Closing);
        }
        let result = self.append_locked(disk, &mut open, edit).await;
        match &result {
            Ok(()) => self
                .state
                .borrow_mut()
                .apply(edit)
                .expect("an edit is made from the state that it changes"),
            Err(StorageError::Disk(error)) if error.kind() == DiskErrorKind::NoSpace => {}
            Err(_) => self.fenced.set(true),
        }
        result
    }

    async fn append_locked(
        &self,
        disk: &dyn Disk,
        open: &mut OpenManifest,
        edit: &VersionEdit,
    ) -> Result<(), StorageError> {
        let frame = encode_frame(open.name, open.next_edit, &edit.encode());
        if open.next_offset + frame.len() as u64 > open.capacity {
            return self.rewrite(disk, open, edit).await;
        }
        let frame_bytes = frame.len() as u64;
        disk.write_and_sync(&open.file, vec![(ByteOffset(open.next_offset), frame)]).await?;
        open.next_offset += frame_bytes;
        open.next_edit += 1;
        Ok(())
    }

    /// Begins a new file with the state after `edit`.
    async fn rewrite(
        &self,
        disk: &dyn Disk,
        open: &mut OpenManifest,
        edit: &VersionEdit,
    ) -> Result<(), StorageError> {
        let mut state = self.state.borrow().clone();
        state.apply(edit).expect("an edit is made from the state that it changes");
        let name = ManifestName { number: open.name.number + 1, ..open.name };
        let made = create_file(disk, &self.directory, name, &state, self.bytes_min).await;
        let next = match made {
            Ok(next) => next,
            Err(error) => {
                if error.kind() == crate::error::StorageErrorKind::NoSpace {
                    // What was made of the file must go: a torn half of it would only waste the space that is missing.
                    let path = self.directory.join(name.file_name());
                    disk.remove(&path).await.or_else(ignore_missing)?;
                }
                return Err(error);
            }
        };
        let before = std::mem::replace(open, next);
        disk.remove(&self.directory.join(before.name.file_name())).await?;
        Ok(())
    }
}

fn ignore_missing(error: DiskError) -> Result<(), DiskError> {
    if error.kind() == DiskErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Timestamp;

    fn file(edits: u64) -> (ManifestName, Vec<u8>) {
        let name = ManifestName { start: 3, shard: ShardId(1), number: 0 };
        let mut bytes = Vec::new();
        for number in 0..edits {
            let edit = VersionEdit {
                floor: Some(Timestamp(u128::from(number) + 1)),
                removed: Vec::new(),
                dropped: (0..number as u32 * 700).map(types::TableId).collect(),
                ..VersionEdit::default()
            };
            bytes.extend_from_slice(&encode_frame(name, number, &edit.encode()));
        }
        bytes.resize(bytes.len() + 8 * BLOCK_BYTES, 0);
        (name, bytes)
    }

    fn read(name: ManifestName, bytes: &[u8]) -> Result<Option<u64>, StorageError> {
        Ok(read_manifest(Path::new("m"), name, bytes)?.map(|read| {
            assert_eq!(read.state.floor, Timestamp(u128::from(read.edit_count)));
            read.edit_count
        }))
    }

    #[test]
    fn one_bad_block_anywhere_loses_no_edit() {
        let (name, bytes) = file(5);
        assert_eq!(read(name, &bytes).expect("sound"), Some(5));
        for block in 0..bytes.len() / BLOCK_BYTES {
            let mut rotten = bytes.clone();
            rotten[block * BLOCK_BYTES + 3] ^= 0x40;
            assert_eq!(read(name, &rotten).expect("repaired"), Some(5), "block {block}");
        }
    }

    #[test]
    fn a_torn_tail_is_cut_and_a_hole_is_damage() {
        let (name, bytes) = file(3);
        let frames = bytes.len() - 8 * BLOCK_BYTES;
        let (_, _, first) = read_frame(name, &bytes).expect("sound");
        let (_, _, second) = read_frame(name, &bytes[2 * first..]).expect("sound");
        let third = 2 * first + 2 * second;
        assert!(third < frames);
        let mut torn = bytes.clone();
        torn[third..].fill(0);
        assert_eq!(read(name, &torn).expect("torn"), Some(2));
        let mut hole = bytes.clone();
        hole[2 * first..third].fill(0);
        assert!(matches!(read(name, &hole), Err(StorageError::Damage { .. })));
        let other = ManifestName { shard: ShardId(2), ..name };
        assert_eq!(read(other, &bytes).expect("nothing of it"), None);
        assert_eq!(ManifestName::parse(&name.file_name()), Some(name));
        assert_eq!(ManifestName::parse("manifest-1-2"), None);
    }
}
