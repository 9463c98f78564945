//! Looking at a data directory that no process has open: what it holds ([`inspect`]) and whether all of it is sound ([`verify`]). Nothing is written.
//!
//! Blocking, over block I/O; the command line prints the reports.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use platform::{BlockIo, CancelFlag, OpenMode};
use types::{ShardId, SstableId};

use crate::directory::IDENTITY_FILE_NAME;
use crate::error::StorageError;
use crate::files::{FileRegistry, Piece, TableFile, parse_table_file_name};
use crate::identity::{Identity, IdentityProblem};
use crate::manifest::ManifestName;
use crate::position::LogAddress;
use crate::recovery::{
    LOG_FILE_NAME, log_extents, read_file, read_records, read_states, survey_log,
};
use crate::scrub::verify_piece;
use crate::version_edit::{FileEntry, ShardState};
use crate::write_batch::WriteBatch;

/// One log as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSummary {
    /// The end found.
    pub end: LogAddress,
    /// Everything below was known durable when some block was written.
    pub claim: LogAddress,
    /// Segments that hold it.
    pub segments: usize,
    /// Records that recovery would read.
    pub records: u64,
    /// Row versions in them.
    pub rows: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
}

/// What a data directory holds.
#[derive(Clone, Debug)]
pub struct DirectoryReport {
    /// The identity file.
    pub identity: Identity,
    /// By shard of the last start.
    pub shards: Vec<ShardState>,
    /// By shard of the last start.
    pub logs: Vec<LogSummary>,
    /// Bytes of the log file.
    pub log_bytes: u64,
    /// Table files that no manifest names: orphans, or files of a bulk write whose record is still in a log.
    pub unnamed_files: Vec<SstableId>,
    /// Files that belong to nothing we know.
    pub unknown_names: Vec<String>,
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Table files read through.
    pub files: u64,
    /// Bytes of their pages.
    pub bytes: u64,
    /// Log records read.
    pub records: u64,
    /// Everything that is wrong.
    pub damage: Vec<StorageError>,
}

fn identity_of(io: &dyn BlockIo, directory: &Path) -> Result<Identity, StorageError> {
    let path = directory.join(IDENTITY_FILE_NAME);
    let bytes = read_file(io, &path)?;
    Identity::read(&bytes).map_err(|problem| match problem {
        IdentityProblem::OtherFormat => StorageError::Foreign {
            path: directory.to_path_buf(),
            what: "it was made by a version of the program with another format",
        },
        IdentityProblem::Unreadable => {
            StorageError::Damage { path, offset: 0, what: "the identity file cannot be read" }
        }
    })
}

fn names_of(io: &dyn BlockIo, directory: &Path) -> Result<Vec<String>, StorageError> {
    Ok(io.list(directory)?.into_iter().map(|entry| entry.name).collect())
}

/// Reads everything but the table files' pages.
///
/// # Errors
/// The first thing that cannot be read: damage as its error names it, or the disk's.
pub fn inspect(io: &dyn BlockIo, directory: &Path) -> Result<DirectoryReport, StorageError> {
    let identity = identity_of(io, directory)?;
    let names = names_of(io, directory)?;
    let (shards, _) = read_states(io, directory, &identity, &names)?;
    let found = survey_log(io, directory, &identity, &names, OpenMode::ReadOnly)?;
    let mut logs = Vec::new();
    for extent in log_extents(&found, directory, &identity, &shards)? {
        let (mut records, mut rows, mut payload_bytes) = (0, 0, 0);
        if let Some(file) = &found.file {
            read_records(io, directory, &identity, file, &extent, &mut |record| {
                records += 1;
                payload_bytes += record.payload.len() as u64;
                if record.kind == crate::RecordKind::WRITES {
                    rows += WriteBatch::parse(record.payload)?.writes().count() as u64;
                }
                Ok(())
            })?;
        }
        logs.push(LogSummary {
            end: LogAddress { log: extent.log, position: extent.end },
            claim: LogAddress { log: extent.log, position: extent.claim },
            segments: extent.segments.len(),
            records,
            rows,
            payload_bytes,
        });
    }
    let named = |file: SstableId| {
        shards.iter().any(|state| state.files.values().any(|entry| entry.file == file))
    };
    let unnamed_files = names
        .iter()
        .filter_map(|name| parse_table_file_name(name))
        .filter(|file| !named(*file))
        .collect();
    let known = [
        IDENTITY_FILE_NAME,
        LOG_FILE_NAME,
        crate::directory::RESERVE_FILE_NAME,
        crate::directory_lock::LOCK_FILE_NAME,
        "lost+found",
    ];
    let unknown_names = names
        .into_iter()
        .filter(|name| {
            !known.contains(&name.as_str())
                && ManifestName::parse(name).is_none()
                && parse_table_file_name(name).is_none()
        })
        .collect();
    Ok(DirectoryReport {
        identity,
        shards,
        logs,
        log_bytes: found.log_bytes,
        unnamed_files,
        unknown_names,
    })
}

/// Reads everything and checks every checksum and invariant; goes on after damage, so that the report is whole.
///
/// # Errors
/// Only if not even the identity file or the directory can be read.
pub fn verify(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    directory: &Path,
) -> Result<VerifyReport, StorageError> {
    let identity = identity_of(io, directory)?;
    let names = names_of(io, directory)?;
    let mut report = VerifyReport::default();
    let shards = match read_states(io, directory, &identity, &names) {
        Ok((shards, _)) => shards,
        Err(error) => {
            report.damage.push(error);
            return Ok(report);
        }
    };
    verify_logs(io, directory, &identity, &names, &shards, &mut report);
    let mut entries: BTreeMap<SstableId, FileEntry> = BTreeMap::new();
    for (shard, state) in shards.iter().enumerate() {
        check_state(directory, &identity, ShardId(shard as u16), state, &mut report);
        entries.extend(state.files.values().map(|entry| (entry.file, *entry)));
    }
    let registry = Arc::new(FileRegistry::new(directory.to_path_buf(), SstableId(0)));
    for entry in entries.values() {
        let verified = TableFile::open(io, &registry, entry).and_then(|file| {
            let piece = Piece { entry: *entry, file: Arc::new(file) };
            check_entry(directory, &piece)?;
            verify_piece(io, cancel, &piece)
        });
        report.files += 1;
        match verified {
            Ok(bytes) => report.bytes += bytes,
            Err(error) => report.damage.push(error),
        }
    }
    Ok(report)
}

fn verify_logs(
    io: &dyn BlockIo,
    directory: &Path,
    identity: &Identity,
    names: &[String],
    shards: &[ShardState],
    report: &mut VerifyReport,
) {
    let read = survey_log(io, directory, identity, names, OpenMode::ReadOnly).and_then(|found| {
        for extent in log_extents(&found, directory, identity, shards)? {
            let Some(file) = &found.file else { break };
            read_records(io, directory, identity, file, &extent, &mut |record| {
                report.records += 1;
                if record.kind == crate::RecordKind::WRITES {
                    WriteBatch::parse(record.payload)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    });
    if let Err(error) = read {
        report.damage.push(error);
    }
}

/// What must hold of a shard's files: every piece lies in slices of the shard, and its table has a layout.
fn check_state(
    directory: &Path,
    identity: &Identity,
    shard: ShardId,
    state: &ShardState,
    report: &mut VerifyReport,
) {
    for entry in state.files.values() {
        let owner = |slice| identity.slices.owner(slice, identity.shard_count);
        let what = if owner(entry.slices.0) != shard || owner(entry.slices.1) != shard {
            "a file's slices are not the shard's"
        } else if !state.layouts.contains_key(&entry.table) {
            "a file's table has no layout"
        } else {
            continue;
        };
        let path = directory.join(crate::files::table_file_name(entry.file));
        report.damage.push(StorageError::Damage { path, offset: 0, what });
    }
}

/// What the manifest says of a file against what the file says of itself.
fn check_entry(directory: &Path, piece: &Piece) -> Result<(), StorageError> {
    let (entry, metadata) = (&piece.entry, &piece.file.metadata);
    let what = if metadata.table_id() != entry.table {
        "the file is of another table than the manifest says"
    } else if metadata.row_count() != entry.row_count {
        "the file has another number of rows than the manifest says"
    } else if metadata.is_sealed() != entry.published_at.is_some() {
        "the manifest and the file disagree on whether it is sealed"
    } else if metadata.lowest_execute_at().is_some_and(|lowest| lowest < entry.lowest)
        || metadata.highest_execute_at().is_some_and(|highest| highest > entry.highest)
    {
        "the file has versions outside of what the manifest says"
    } else {
        return Ok(());
    };
    let path = directory.join(crate::files::table_file_name(entry.file));
    Err(StorageError::Damage { path, offset: 0, what })
}
