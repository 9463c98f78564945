//! A shard's housekeeping: flush, compaction, recycling and growing of log segments, removal of files, the scrubber. Tasks of the maintenance class; the
//! work itself runs on background threads.
//!
//! One loop looks at everything whenever the bell rings or a tick has passed, and starts what is due; each kind of work runs at most once at a time.
//! "No space" ends a job, is noted, and the job is tried again at a later tick; a device error fences the shard.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use platform::{
    AlignedBuf, DiskErrorKind, JobClass, JobError, MonotonicNanos, SchedulingClass, run_job,
};
use types::ByteOffset;
use types::mutants;

use crate::compaction::job::{self, edit_of};
use crate::compaction::picker::{Job, PickerLimits, pick};
use crate::directory::{ReserveState, prepare_reserve};
use crate::error::{StorageError, StorageErrorKind};
use crate::flush::{FlushInput, remove_pieces, with_layouts, write_files};
use crate::memtable::{FrozenTable, Memtable};
use crate::mutants::FLUSH_INSTALLED_BEFORE_DURABLE;
use crate::position::LogAddress;
use crate::scrub;
use crate::stats::add;
use crate::tree::inner::{Installed, TreeInner};
use crate::version_edit::VersionEdit;

/// How often the loop looks even if nothing rings.
const TICK: Duration = Duration::from_millis(100);
/// How long a job rests that found the disk full.
const RETRY_AFTER_NO_SPACE: Duration = Duration::from_secs(1);
/// Bytes of zeroes written at once when the log file grows.
const ZERO_BYTES: usize = 1 << 20;

/// Waits for whichever comes first.
pub(crate) async fn either(first: impl Future<Output = ()>, second: impl Future<Output = ()>) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if first.as_mut().poll(cx).is_ready() || second.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// Which kinds of work run now.
#[derive(Default)]
struct Running {
    flush: Cell<bool>,
    compaction: Cell<bool>,
    growth: Cell<bool>,
    release: Cell<bool>,
    removal: Cell<bool>,
    scrub: Cell<bool>,
    probe: Cell<bool>,
    turn: Cell<u64>,
    retry_at: Cell<MonotonicNanos>,
    scrub_at: Cell<MonotonicNanos>,
}

/// Starts the housekeeping of a tree. It ends when the tree closes or its shard is fenced.
pub(crate) fn spawn(inner: &Rc<TreeInner>) {
    let spawner = inner.platform.spawner.clone();
    platform::spawn(
        &*spawner,
        SchedulingClass::Maintenance,
        "storage housekeeping",
        run(inner.clone()),
    );
}

async fn run(inner: Rc<TreeInner>) {
    let running = Rc::new(Running::default());
    running.scrub_at.set(inner.platform.spawner.now() + scrub::PAUSE_BETWEEN_FILES);
    while inner.check_alive().is_ok() {
        let rung = inner.bell.count();
        look(&inner, &running);
        let tick = platform::sleep(&inner.platform.spawner, TICK);
        either(inner.bell.after(rung), tick).await;
    }
    inner.bell.ring();
}

/// Spawns `work` unless it runs already.
fn start<F: Future<Output = ()> + 'static>(
    inner: &Rc<TreeInner>,
    running: &Rc<Running>,
    which: fn(&Running) -> &Cell<bool>,
    name: &'static str,
    work: F,
) {
    which(running).set(true);
    let (inner, running) = (inner.clone(), running.clone());
    let spawner = inner.platform.spawner.clone();
    platform::spawn(&*spawner, SchedulingClass::Maintenance, name, async move {
        work.await;
        which(&running).set(false);
        inner.bell.ring();
    });
}

fn look(inner: &Rc<TreeInner>, running: &Rc<Running>) {
    let now = inner.platform.spawner.now();
    let progress = &inner.directory.progress;
    let short = inner.log.free_segments() < inner.segments_wanted.get();
    let pressed = short && inner.log.want_release();
    if progress.take_flush_wanted(inner.shard) || pressed {
        inner.memory.borrow_mut().rotate();
    }
    // After "no space" a job is tried again once a second, not at every ring of the bell.
    let full = inner.directory.registry.is_disk_full();
    let try_now = !full || now >= running.retry_at.get();
    if full && try_now {
        running.retry_at.set(now + RETRY_AFTER_NO_SPACE);
    }
    if full && try_now && !running.probe.get() && inner.memory.borrow().frozen.is_empty() {
        start(inner, running, |running| &running.probe, "space probe", probe(inner.clone()));
    }
    if !running.flush.get() && try_now && !inner.memory.borrow().frozen.is_empty() {
        start(inner, running, |running| &running.flush, "flush", flush_all(inner.clone()));
    }
    if !running.release.get() && inner.log.releasable().is_some() {
        let work = release_segments(inner.clone());
        start(inner, running, |running| &running.release, "log segments", work);
    }
    if !running.growth.get() && try_now && wants_growth(inner) {
        start(inner, running, |running| &running.growth, "log growth", grow_log(inner.clone()));
    }
    if !running.compaction.get()
        && try_now
        && let Some(job) = pick_job(inner, running.turn.get())
    {
        running.turn.set(running.turn.get() + 1);
        let work = compact(inner.clone(), job);
        start(inner, running, |running| &running.compaction, "compaction", work);
    }
    if !running.removal.get() {
        let doomed = inner.directory.registry.take_doomed();
        if !doomed.is_empty() {
            let work = remove_files(inner.clone(), doomed);
            start(inner, running, |running| &running.removal, "file removal", work);
        }
    }
    if !running.scrub.get() && now >= running.scrub_at.get() {
        running.scrub_at.set(now + scrub::PAUSE_BETWEEN_FILES);
        let work = scrub::run_step(inner.clone());
        start(inner, running, |running| &running.scrub, "scrub", work);
    }
}

fn wants_growth(inner: &TreeInner) -> bool {
    let options = &inner.directory.options;
    let held = inner.log.held_segments() + inner.log.free_segments();
    inner.log.free_segments() <= inner.segments_wanted.get()
        && (held as u32) < options.segments_per_shard_max
        && inner.directory.progress.segment_count() < segments_max(inner)
}

/// Segments that the log file may have, those of all shards; a start with more shards may have left more than one shard's share each.
fn segments_max(inner: &TreeInner) -> u32 {
    let shards = u32::from(inner.directory.shard_count());
    inner.directory.options.segments_per_shard_max.saturating_mul(shards)
}

fn pick_job(inner: &TreeInner, turn: u64) -> Option<Job> {
    let options = &inner.directory.options;
    let limits = PickerLimits {
        level_zero_files: options.level_zero_files,
        level_one_bytes: options.level_one_bytes.0,
        job_bytes: options.file_bytes.0.saturating_mul(8),
    };
    let version = inner.version.borrow().clone();
    pick(&version, &limits, turn, &|table| inner.is_dropped(table) || inner.layout(table).is_none())
}

/// Flushes frozen memtables, oldest first, until none is left.
async fn flush_all(inner: Rc<TreeInner>) {
    loop {
        let oldest = inner.memory.borrow().frozen.front().cloned();
        let Some(memtable) = oldest else { return };
        if let Err(error) = flush_one(&inner, &memtable).await {
            inner.note_failure(&error);
            let may_pass =
                matches!(error.kind(), StorageErrorKind::NoSpace | StorageErrorKind::Unavailable);
            if !may_pass || matches!(error, StorageError::Job(JobError::Panicked { .. })) {
                // Rows that can never become a file would hold the log and the memory for ever.
                inner.fence(error);
            }
            inner.bell.ring();
            return;
        }
        inner.bell.ring();
    }
}

async fn flush_one(inner: &Rc<TreeInner>, memtable: &Rc<Memtable>) -> Result<(), StorageError> {
    let views = memtable
        .tables()
        .into_iter()
        .map(|table| {
            let mut view = FrozenTable::empty(table);
            memtable.freeze_into(&mut view);
            view
        })
        .collect();
    let tables =
        with_layouts(views, &|table| inner.layout(table), &|table| inner.is_dropped(table))?;
    let pieces = if tables.is_empty() {
        Vec::new()
    } else {
        let registry = inner.directory.registry.clone();
        let options = inner.directory.options.clone();
        let input = FlushInput { tables, cuts: Vec::new() };
        run_job(&*inner.platform.background, JobClass::Flush, move |io, cancel| {
            write_files(io, cancel, &registry, &options, &input)
        })
        .await??
    };
    wait_until_installable(inner, memtable).await?;
    let (kept, garbage): (Vec<_>, Vec<_>) =
        pieces.into_iter().partition(|piece| !inner.is_dropped(piece.entry.table));
    let edit = VersionEdit {
        added: kept.iter().map(|piece| piece.entry).collect(),
        through: memtable
            .through()
            .iter()
            .map(|(log, position)| LogAddress { log: *log, position: *position })
            .collect(),
        layouts: inner.unsaved_layouts(),
        reservation: Some(inner.reservation.get()),
        ..VersionEdit::default()
    };
    let bytes = kept.iter().map(|piece| piece.entry.byte_count).sum();
    let through = edit.through.clone();
    let installed = inner.install(edit, kept).await?;
    assert_eq!(installed, Installed::Done, "a flush removes nothing, so nothing supersedes it");
    inner.memory.borrow_mut().frozen.pop_front();
    for address in through {
        inner.directory.progress.pass(address.log, inner.shard, address.position);
    }
    inner.directory.registry.set_disk_full(false);
    add(&inner.counters.flushes, 1);
    add(&inner.counters.flushed_bytes, bytes);
    if !garbage.is_empty() {
        let registry = inner.directory.registry.clone();
        run_job(&*inner.platform.background, JobClass::Optional, move |io, _| {
            remove_pieces(io, &registry, &garbage);
        })
        .await?;
    }
    Ok(())
}

/// A flush edit may not say that files are complete through a record that a crash could take back, nor through a publication that is not installed.
async fn wait_until_installable(
    inner: &Rc<TreeInner>,
    memtable: &Memtable,
) -> Result<(), StorageError> {
    let own = memtable.through().get(&inner.log.log_id()).copied();
    if let Some(position) = own
        && !mutants::live(FLUSH_INSTALLED_BEFORE_DURABLE)
    {
        inner.log.wait_durable(position).await?;
    }
    loop {
        inner.check_alive()?;
        let rung = inner.bell.count();
        let blocked = inner.publishing.borrow().iter().any(|pending| {
            memtable.through().get(&pending.log).is_some_and(|through| *through >= pending.position)
        });
        if !blocked {
            return Ok(());
        }
        inner.bell.after(rung).await;
    }
}

async fn release_segments(inner: Rc<TreeInner>) {
    let Some(low) = inner.log.releasable() else { return };
    let edit = VersionEdit { low_generation: Some(low), ..VersionEdit::default() };
    match inner.install(edit, Vec::new()).await {
        Ok(_) => inner.log.release(low),
        Err(error) => inner.note_failure(&error),
    }
}

/// Zero-writes one more segment at the end of the log file.
async fn grow_log(inner: Rc<TreeInner>) {
    let directory = &inner.directory;
    let Some(segment) = directory.progress.claim_segment(segments_max(&inner)) else { return };
    let file = directory.log_file.clone();
    let bytes = directory.segment_blocks().bytes();
    let start = u64::from(segment.0) * bytes;
    let grown = run_job(&*inner.platform.background, JobClass::Flush, move |io, _| {
        let mut at = 0;
        while at < bytes {
            let length = (bytes - at).min(ZERO_BYTES as u64);
            io.write_at(&file, ByteOffset(start + at), &AlignedBuf::zeroed(length as usize))?;
            at += length;
        }
        io.sync(&file)
    })
    .await;
    match grown {
        Ok(Ok(())) => inner.log.add_segment(segment),
        Ok(Err(error)) => inner.note_failure(&error.into()),
        Err(error) => inner.note_failure(&error.into()),
    }
}

async fn compact(inner: Rc<TreeInner>, job: Job) {
    inner.counters.compaction_since.set(Some(inner.platform.clock.monotonic()));
    if let Err(error) = compact_one(&inner, job).await {
        add(&inner.counters.compactions_failed, 1);
        inner.note_failure(&error);
        // Damage would be met again at once: what it names is fenced by every read of it, and the next try can wait.
        if error.kind() == StorageErrorKind::Damage {
            platform::sleep(&inner.platform.spawner, Duration::from_secs(10)).await;
        }
    }
    inner.counters.compaction_since.set(None);
}

/// Runs one compaction and installs what it made.
pub(crate) async fn compact_one(inner: &Rc<TreeInner>, job: Job) -> Result<(), StorageError> {
    let table = job.table;
    let layout = inner.layout(table).ok_or(StorageError::UnknownTable { table })?;
    // Only what is durable counts: the floor of a manifest that a crash takes back would let a read be answered that compaction has robbed.
    let floor = if mutants::live(crate::mutants::FLOOR_NOT_DURABLE) {
        inner.floor.get()
    } else {
        inner.manifest.state().floor
    };
    let registry = inner.directory.registry.clone();
    let options = inner.directory.options.clone();
    let (job, compacted) =
        run_job(&*inner.platform.background, JobClass::Compaction, move |io, cancel| {
            let compacted = job::run(io, cancel, &registry, &options, (&job, &layout, floor))?;
            Ok::<_, StorageError>((job, compacted))
        })
        .await??;
    let written: u64 = compacted.pieces.iter().map(|piece| piece.entry.byte_count).sum();
    let (edit, added) = edit_of(&job, &compacted);
    match inner.install(edit, added).await? {
        Installed::Done => {
            add(&inner.counters.compactions, 1);
            add(&inner.counters.compaction_bytes_read, compacted.bytes_read);
            add(&inner.counters.compaction_bytes_written, written);
            inner.directory.registry.set_disk_full(false);
        }
        Installed::Superseded => {
            let registry = inner.directory.registry.clone();
            run_job(&*inner.platform.background, JobClass::Optional, move |io, _| {
                remove_pieces(io, &registry, &compacted.pieces);
            })
            .await?;
        }
    }
    Ok(())
}

/// Finds out whether there is room again when no job would: by making the reserve file anew.
async fn probe(inner: Rc<TreeInner>) {
    let directory = &inner.directory;
    let disk = &*inner.platform.disk;
    match prepare_reserve(disk, &directory.path, &directory.options).await {
        Ok(ReserveState::Whole) => directory.registry.set_disk_full(false),
        Ok(ReserveState::NoSpace) => {}
        Err(error) => inner.note_failure(&error),
    }
}

async fn remove_files(inner: Rc<TreeInner>, doomed: Vec<std::path::PathBuf>) {
    let disk = &*inner.platform.disk;
    for path in doomed {
        match disk.remove(&path).await {
            Ok(()) => add(&inner.counters.files_removed, 1),
            Err(error) if error.kind() == DiskErrorKind::NotFound => {}
            Err(error) => return inner.note_failure(&error.into()),
        }
    }
    let directory = &inner.directory;
    // There may be room again for what was given up when the disk was full.
    if directory.registry.is_disk_full() {
        return;
    }
    if let Err(error) = prepare_reserve(disk, &directory.path, &directory.options).await {
        inner.note_failure(&error);
    }
}
