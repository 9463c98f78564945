//! A data directory: made, opened with any number of shards, and what its shards share.
//!
//! | name | what |
//! |---|---|
//! | `identity` | [`crate::identity`]: format, slices, the start that counts |
//! | `log` | segments of the commit logs of all shards |
//! | `manifest-START-SHARD-NUMBER` | [`crate::manifest`]: version edits |
//! | `table-ID.sst` | table files |
//! | `reserve` | space given up when the disk is full, so that the manifest can be written |
//! | `lock` | [`crate::directory_lock`]: who has the directory open |
//!
//! [`open`] recovers, which ends with new manifests and the identity file naming them: the one moment in which everything changes. From then on nothing of
//! the logs read is needed, every segment is free, and the shards start with equal shares. [`open`] runs once on one core; its [`ShardStart`]s go to theirs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{
    AlignedBuf, BlockIo, Disk, DiskErrorKind, FileHandle, JobClass, OpenMode, Platform, run_job,
};
use types::limits::{BLOCK_BYTES, SHARDS_MAX};
use types::mutants;
use types::token::SliceCount;
use types::{ByteCount, ByteOffset, LogId, ShardId, SstableId, Timestamp};

use crate::commit_log::progress::LogProgress;
use crate::commit_log::segment::{SegmentBlocks, SegmentIndex};
use crate::error::StorageError;
use crate::files::{FileRegistry, TableFile, parse_table_file_name};
use crate::identity::{IDENTITY_BYTES, Identity, IdentityProblem};
use crate::manifest::{ManifestName, ManifestWriter};
use crate::mutants::ORPHANS_REMOVED_BEFORE_REPLAY;
use crate::options::StorageOptions;
use crate::recovery::{LOG_FILE_NAME, OpaqueRecord, Recovered, RecoveryReport, recover};
use crate::version_edit::ShardState;

/// Name of the identity file.
pub const IDENTITY_FILE_NAME: &str = "identity";
/// Name of the reserve file.
pub const RESERVE_FILE_NAME: &str = "reserve";

/// What the shards of an open data directory share. `Send`.
pub struct DataDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// What its identity file says.
    pub identity: Identity,
    /// Settings.
    pub options: StorageOptions,
    /// The log file.
    pub log_file: FileHandle,
    /// How far each shard's files are.
    pub progress: Arc<LogProgress>,
    /// The table files.
    pub registry: Arc<FileRegistry>,
}

impl DataDirectory {
    /// Slices of the directory.
    pub fn slices(&self) -> SliceCount {
        self.identity.slices
    }

    /// Shards of this start.
    pub fn shard_count(&self) -> u16 {
        self.identity.shard_count
    }

    /// Blocks of a log segment.
    pub fn segment_blocks(&self) -> SegmentBlocks {
        self.identity.segment_blocks
    }
}

/// What one shard needs to start its tree. `Send`.
pub struct ShardStart {
    /// The shard.
    pub shard: ShardId,
    pub(crate) state: ShardState,
    pub(crate) files: BTreeMap<SstableId, Arc<TableFile>>,
    pub(crate) segments: Vec<SegmentIndex>,
}

/// An open data directory.
pub struct OpenedDirectory {
    /// What the shards share.
    pub directory: Arc<DataDirectory>,
    /// One for each shard.
    pub shards: Vec<ShardStart>,
    /// Clocks start at or above it: no timestamp above it was given out before.
    pub reservation: Timestamp,
    /// Records of the shard layer that were still in the logs.
    pub opaque: Vec<OpaqueRecord>,
    /// What recovery found.
    pub report: RecoveryReport,
}

/// Opens the data directory at `path`, or makes it, for `shard_count` shards.
///
/// # Errors
/// [`StorageError::Foreign`] if the directory holds something else or another format, damage as its error names it, and the disk's.
///
/// # Panics
/// If the settings are not valid, or there are more shards than slices.
pub async fn open(
    platform: &Platform,
    path: &Path,
    shard_count: u16,
    options: StorageOptions,
) -> Result<OpenedDirectory, StorageError> {
    options.validate().expect("settings are validated where they are read");
    assert!(shard_count >= 1, "a node has at least one shard");
    assert!(shard_count <= SHARDS_MAX, "shards are bounded");
    let disk = &*platform.disk;
    disk.create_directory(path).await?;
    let seed = platform.clock.wall_micros();
    let identity = match read_identity(platform, path).await? {
        Some(identity) => identity,
        None => make_identity(disk, path, seed, &options).await?,
    };
    assert!(shard_count <= identity.slices.get(), "a shard owns at least one slice");
    let recovered = run_recovery(platform, path, identity, shard_count, &options).await?;
    let next = next_identity(&identity, shard_count);
    remove_unfinished_start(disk, path, &identity, &recovered.names).await?;
    write_manifests(disk, path, &next, &recovered.states, &options).await?;
    let (log_file, segments) =
        prepare_log(platform, path, &next, recovered.log_bytes, &options).await?;
    write_identity(disk, path, &next).await?;
    let mut report = recovered.report.clone();
    report.orphans_removed = remove_leftovers(disk, path, &next, &recovered).await?;
    prepare_reserve(disk, path, &options).await?;
    let progress =
        Arc::new(LogProgress::new(next.first_log, shard_count, SegmentIndex(segments as u32)));
    let reservation =
        recovered.states.iter().map(|state| state.reservation).max().unwrap_or_default();
    let shards = shard_starts(recovered.states, &recovered.files, shard_count, segments as u32);
    let directory = Arc::new(DataDirectory {
        path: path.to_path_buf(),
        identity: next,
        options,
        log_file,
        progress,
        registry: recovered.registry,
    });
    Ok(OpenedDirectory { directory, shards, reservation, opaque: recovered.opaque, report })
}

async fn run_recovery(
    platform: &Platform,
    path: &Path,
    identity: Identity,
    shard_count: u16,
    options: &StorageOptions,
) -> Result<Recovered, StorageError> {
    let (path, options) = (path.to_path_buf(), options.clone());
    run_job(&*platform.background, JobClass::Flush, move |io, cancel| {
        if mutants::live(ORPHANS_REMOVED_BEFORE_REPLAY) {
            remove_unnamed_before_replay(io, &path, &identity)?;
        }
        if identity.start == 0 {
            return Ok(nothing_to_recover(io, &path, shard_count));
        }
        recover(io, cancel, &path, &identity, shard_count, &options)
    })
    .await?
}

/// The planted bug: removes what no manifest names before the logs were asked.
fn remove_unnamed_before_replay(
    io: &dyn BlockIo,
    path: &Path,
    identity: &Identity,
) -> Result<(), StorageError> {
    let names: Vec<String> = io.list(path)?.into_iter().map(|entry| entry.name).collect();
    let (states, _) = crate::recovery::read_states(io, path, identity, &names)?;
    for name in &names {
        let Some(file) = parse_table_file_name(name) else { continue };
        let named = |state: &ShardState| state.files.values().any(|entry| entry.file == file);
        if !states.iter().any(named) {
            io.remove(&path.join(name))?;
        }
    }
    Ok(())
}

fn nothing_to_recover(io: &dyn BlockIo, path: &Path, shard_count: u16) -> Recovered {
    let names = io
        .list(path)
        .map(|entries| entries.into_iter().map(|entry| entry.name).collect())
        .unwrap_or_default();
    Recovered {
        states: (0..shard_count).map(|_| ShardState::default()).collect(),
        files: BTreeMap::new(),
        registry: Arc::new(FileRegistry::new(path.to_path_buf(), SstableId(1))),
        opaque: Vec::new(),
        report: RecoveryReport::default(),
        names,
        log_bytes: 0,
    }
}

async fn read_identity(platform: &Platform, path: &Path) -> Result<Option<Identity>, StorageError> {
    let disk = &*platform.disk;
    let names: Vec<String> = disk.list(path).await?.into_iter().map(|entry| entry.name).collect();
    let bytes = if names.iter().any(|name| name == IDENTITY_FILE_NAME) {
        let file = disk.open(&path.join(IDENTITY_FILE_NAME), OpenMode::ReadOnly).await?;
        let buffer = AlignedBuf::zeroed(IDENTITY_BYTES);
        disk.read_at(&file, ByteOffset(0), buffer).await?.buffer.to_vec()
    } else {
        Vec::new()
    };
    let foreign = |what| StorageError::Foreign { path: path.to_path_buf(), what };
    match Identity::read(&bytes) {
        Ok(identity) => Ok(Some(identity)),
        Err(IdentityProblem::OtherFormat) => {
            Err(foreign("it was made by a version of the program with another format"))
        }
        Err(IdentityProblem::Unreadable) => {
            // A crash while the directory was made leaves some of these; anything else is somebody's data.
            let ours = [IDENTITY_FILE_NAME, LOG_FILE_NAME, RESERVE_FILE_NAME, "lock", "lost+found"];
            let strange = names.iter().find(|name| !ours.contains(&name.as_str()));
            match strange {
                None => Ok(None),
                Some(name) if ManifestName::parse(name).is_some() => Err(StorageError::Damage {
                    path: path.join(IDENTITY_FILE_NAME),
                    offset: 0,
                    what: "the identity file cannot be read",
                }),
                Some(_) => Err(foreign("it holds files of something else")),
            }
        }
    }
}

async fn make_identity(
    disk: &dyn Disk,
    path: &Path,
    seed: u64,
    options: &StorageOptions,
) -> Result<Identity, StorageError> {
    let identity = Identity {
        directory_id: seed,
        slices: options.slices,
        segment_blocks: options.segment_blocks,
        sequence: 1,
        start: 0,
        shard_count: 0,
        first_log: LogId(1),
    };
    let file = disk.open(&path.join(IDENTITY_FILE_NAME), OpenMode::CreateOrOpen).await?;
    disk.allocate_zeroed(&file, ByteOffset(0), ByteCount(IDENTITY_BYTES as u64)).await?;
    let slot = AlignedBuf::padded_from(&identity.slot_bytes());
    disk.write_and_sync(&file, vec![(ByteOffset(identity.slot_offset()), slot)]).await?;
    disk.sync_directory(path).await?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk.sync_directory(parent).await?;
    }
    Ok(identity)
}

fn next_identity(identity: &Identity, shard_count: u16) -> Identity {
    Identity {
        sequence: identity.sequence + 1,
        start: identity.start + 1,
        shard_count,
        first_log: LogId(identity.first_log.0 + u32::from(identity.shard_count)),
        ..*identity
    }
}

/// Removes manifests of a start that was never finished, so that nothing of theirs stands behind what is written now.
async fn remove_unfinished_start(
    disk: &dyn Disk,
    path: &Path,
    identity: &Identity,
    names: &[String],
) -> Result<(), StorageError> {
    let unfinished = |name: &&String| {
        ManifestName::parse(name).is_some_and(|manifest| manifest.start > identity.start)
    };
    for name in names.iter().filter(unfinished) {
        disk.remove(&path.join(name)).await?;
    }
    Ok(())
}

async fn write_identity(
    disk: &dyn Disk,
    path: &Path,
    identity: &Identity,
) -> Result<(), StorageError> {
    let file = disk.open(&path.join(IDENTITY_FILE_NAME), OpenMode::ReadWrite).await?;
    let slot = AlignedBuf::padded_from(&identity.slot_bytes());
    disk.write_and_sync(&file, vec![(ByteOffset(identity.slot_offset()), slot)]).await?;
    Ok(())
}

async fn write_manifests(
    disk: &dyn Disk,
    path: &Path,
    identity: &Identity,
    states: &[ShardState],
    options: &StorageOptions,
) -> Result<(), StorageError> {
    for (shard, state) in states.iter().enumerate() {
        let name = ManifestName { start: identity.start, shard: ShardId(shard as u16), number: 0 };
        ManifestWriter::create(disk, path, name, state.clone(), options.manifest_bytes).await?;
    }
    Ok(())
}

/// Makes the log file long enough for every shard's share; gives the number of its segments.
async fn prepare_log(
    platform: &Platform,
    path: &Path,
    identity: &Identity,
    log_bytes: u64,
    options: &StorageOptions,
) -> Result<(FileHandle, u64), StorageError> {
    let disk = &*platform.disk;
    let file = disk.open(&path.join(LOG_FILE_NAME), OpenMode::CreateOrOpen).await?;
    let segment_bytes = identity.segment_blocks.bytes();
    let there = log_bytes / segment_bytes;
    let wanted = u64::from(identity.shard_count) * u64::from(options.segments_per_shard);
    if there < wanted {
        // A part of a segment at the end, left by a crash while the file grew, is written over.
        let offset = ByteOffset(there * segment_bytes);
        let bytes = ByteCount((wanted - there) * segment_bytes);
        disk.allocate_zeroed(&file, offset, bytes).await?;
        disk.sync_directory(path).await?;
    }
    Ok((file, there.max(wanted)))
}

/// Removes what belongs to no start any more: manifests of earlier starts, table files that no manifest names. Only after all logs were replayed.
async fn remove_leftovers(
    disk: &dyn Disk,
    path: &Path,
    identity: &Identity,
    recovered: &Recovered,
) -> Result<u64, StorageError> {
    let mut removed = 0;
    let mut any = false;
    for name in &recovered.names {
        let orphan =
            parse_table_file_name(name).is_some_and(|file| !recovered.files.contains_key(&file));
        let outdated =
            ManifestName::parse(name).is_some_and(|manifest| manifest.start != identity.start);
        if !orphan && !outdated {
            continue;
        }
        match disk.remove(&path.join(name)).await {
            Ok(()) => {}
            Err(error) if error.kind() == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        removed += u64::from(orphan);
        any = true;
    }
    if any {
        disk.sync_directory(path).await?;
    }
    Ok(removed)
}

/// Whether the reserve file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReserveState {
    Whole,
    NoSpace,
}

/// Makes the reserve file if it is missing. A full disk is no reason not to start.
pub(crate) async fn prepare_reserve(
    disk: &dyn Disk,
    path: &Path,
    options: &StorageOptions,
) -> Result<ReserveState, StorageError> {
    let bytes = options.reserve_bytes.0.next_multiple_of(BLOCK_BYTES as u64);
    if bytes == 0 {
        return Ok(ReserveState::Whole);
    }
    let name = path.join(RESERVE_FILE_NAME);
    let file = disk.open(&name, OpenMode::CreateOrOpen).await?;
    if disk.file_bytes(&file).await?.0 >= bytes {
        return Ok(ReserveState::Whole);
    }
    match disk.allocate_zeroed(&file, ByteOffset(0), ByteCount(bytes)).await {
        Ok(()) => Ok(ReserveState::Whole),
        Err(error) if error.kind() == DiskErrorKind::NoSpace => {
            disk.remove(&name).await?;
            Ok(ReserveState::NoSpace)
        }
        Err(error) => Err(error.into()),
    }
}

fn shard_starts(
    states: Vec<ShardState>,
    files: &BTreeMap<SstableId, Arc<TableFile>>,
    shard_count: u16,
    segments: u32,
) -> Vec<ShardStart> {
    let shards = u32::from(shard_count);
    states
        .into_iter()
        .enumerate()
        .map(|(shard, state)| {
            let named: BTreeMap<SstableId, Arc<TableFile>> = state
                .files
                .values()
                .map(|entry| {
                    let file = files.get(&entry.file).expect("recovery opened every named file");
                    file.name_piece();
                    (entry.file, file.clone())
                })
                .collect();
            let own = (0..segments).filter(|segment| segment % shards == shard as u32);
            ShardStart {
                shard: ShardId(shard as u16),
                state,
                files: named,
                segments: own.map(SegmentIndex).collect(),
            }
        })
        .collect()
}
