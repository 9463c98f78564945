//! What a disk holds: files by block, what a crash may take back, names; and what is left after one.
//!
//! Every block keeps what it held before each write that no flush has covered; names keep the changes that no directory flush has covered. A crash
//! chooses among these, 512 bytes at a time, and name by name. Contents are shared by reference count, so a copy of a disk costs a count a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use types::limits::BLOCK_BYTES;
use types::prng::Prng;

/// The unit that a device writes whole.
const SECTOR_BYTES: usize = 512;

pub(crate) type Block = [u8; BLOCK_BYTES];

pub(crate) fn zero_block() -> Arc<Block> {
    static ZERO: OnceLock<Arc<Block>> = OnceLock::new();
    ZERO.get_or_init(|| Arc::new([0; BLOCK_BYTES])).clone()
}

/// Numbers the changes of a disk, in the order in which they were submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChangeId(pub(crate) u64);

/// Which changes a flush makes durable: those linked before it, and those completed before it was submitted.
pub(crate) struct Coverage {
    pub(crate) below: ChangeId,
    pub(crate) in_flight: BTreeSet<ChangeId>,
    pub(crate) linked: Vec<ChangeId>,
}

impl Coverage {
    fn covers(&self, change: ChangeId) -> bool {
        let completed = change < self.below && !self.in_flight.contains(&change);
        completed || self.linked.contains(&change)
    }
}

/// Drops everything through the newest change that is covered: what stood before it is gone.
fn settle<T>(pending: &mut Vec<(ChangeId, T)>, coverage: &Coverage) {
    if let Some(newest) = pending.iter().rposition(|(change, _)| coverage.covers(*change)) {
        pending.drain(..=newest);
    }
}

#[derive(Clone, Default)]
pub(crate) struct FileState {
    /// What reads see.
    blocks: Vec<Arc<Block>>,
    pub(crate) bytes: u64,
    /// By block: what it held before each change that no flush covers, oldest first.
    pending: BTreeMap<usize, Vec<(ChangeId, Arc<Block>)>>,
    /// Lengths before each change of the length that no flush covers.
    pending_bytes: Vec<(ChangeId, u64)>,
}

impl FileState {
    fn set_block(&mut self, number: usize, block: Arc<Block>, change: ChangeId) {
        if self.blocks.len() <= number {
            self.blocks.resize_with(number + 1, zero_block);
        }
        let before = std::mem::replace(&mut self.blocks[number], block);
        self.pending.entry(number).or_default().push((change, before));
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8], change: ChangeId) {
        let first = offset as usize / BLOCK_BYTES;
        for (index, chunk) in bytes.chunks_exact(BLOCK_BYTES).enumerate() {
            let block = Arc::new(Block::try_from(chunk).expect("chunks are whole blocks"));
            self.set_block(first + index, block, change);
        }
        self.grow_to(offset + bytes.len() as u64, change);
    }

    pub(crate) fn write_zeroes(&mut self, offset: u64, bytes: u64, change: ChangeId) {
        let first = offset as usize / BLOCK_BYTES;
        for number in first..first + bytes as usize / BLOCK_BYTES {
            self.set_block(number, zero_block(), change);
        }
        self.grow_to(offset + bytes, change);
    }

    fn grow_to(&mut self, end: u64, change: ChangeId) {
        if end > self.bytes {
            self.pending_bytes.push((change, self.bytes));
            self.bytes = end;
        }
    }

    pub(crate) fn set_bytes(&mut self, bytes: u64, change: ChangeId) {
        let blocks = bytes.div_ceil(BLOCK_BYTES as u64) as usize;
        if bytes < self.bytes {
            for number in blocks..self.blocks.len() {
                self.set_block(number, zero_block(), change);
            }
            let used = bytes as usize % BLOCK_BYTES;
            if used > 0 {
                let mut block = *self.blocks[blocks - 1];
                block[used..].fill(0);
                self.set_block(blocks - 1, Arc::new(block), change);
            }
        } else {
            self.blocks.resize_with(blocks, zero_block);
        }
        if bytes != self.bytes {
            self.pending_bytes.push((change, self.bytes));
            self.bytes = bytes;
        }
    }

    /// Fills `target` from `offset`; gives how many bytes there were.
    pub(crate) fn read(&self, offset: u64, target: &mut [u8]) -> usize {
        let available = self.bytes.saturating_sub(offset).min(target.len() as u64) as usize;
        for (index, chunk) in target[..available].chunks_mut(BLOCK_BYTES).enumerate() {
            let number = offset as usize / BLOCK_BYTES + index;
            match self.blocks.get(number) {
                Some(block) => chunk.copy_from_slice(&block[..chunk.len()]),
                None => chunk.fill(0),
            }
        }
        available
    }

    pub(crate) fn sync(&mut self, coverage: &Coverage) {
        self.pending.retain(|_, pending| {
            settle(pending, coverage);
            !pending.is_empty()
        });
        settle(&mut self.pending_bytes, coverage);
    }

    fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.pending_bytes.is_empty()
    }

    /// What the file holds after a crash.
    fn survive(&self, survival: Survival, draw: &mut Draw<'_>) -> FileState {
        let mut blocks = self.blocks.clone();
        for (number, pending) in &self.pending {
            blocks[*number] = survive_block(&self.blocks[*number], pending, survival, draw);
        }
        let lengths = &self.pending_bytes;
        let kept = draw.version(lengths, survival);
        let bytes = lengths.get(kept).map_or(self.bytes, |(_, before)| *before);
        blocks.truncate(bytes.div_ceil(BLOCK_BYTES as u64) as usize);
        let used = bytes as usize % BLOCK_BYTES;
        let short = blocks.len() * BLOCK_BYTES > bytes as usize;
        if let Some(last) = blocks.last_mut().filter(|_| short) {
            let mut block = **last;
            block[used..].fill(0);
            *last = Arc::new(block);
        }
        FileState { blocks, bytes, ..FileState::default() }
    }
}

fn survive_block(
    now: &Arc<Block>,
    pending: &[(ChangeId, Arc<Block>)],
    survival: Survival,
    draw: &mut Draw<'_>,
) -> Arc<Block> {
    let version = |kept: usize| pending.get(kept).map_or(now, |(_, before)| before);
    if survival != Survival::Torn {
        return version(draw.version(pending, survival)).clone();
    }
    let mut block = **now;
    for sector in 0..BLOCK_BYTES / SECTOR_BYTES {
        let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
        let kept = draw.version(pending, survival);
        block[range.clone()].copy_from_slice(&version(kept)[range]);
    }
    Arc::new(block)
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    File(u64),
    Directory,
}

/// A change of names that no directory flush covers.
#[derive(Clone, Debug)]
pub(crate) enum NameChange {
    Set { path: PathBuf, node: Node },
    Remove { path: PathBuf },
    Rename { source: PathBuf, target: PathBuf, node: Node },
}

impl NameChange {
    fn is_in(&self, directory: &Path) -> bool {
        let path = match self {
            NameChange::Set { path, .. } | NameChange::Remove { path } => path,
            NameChange::Rename { target, .. } => target,
        };
        path.parent() == Some(directory)
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            NameChange::Set { path, node } => {
                names.insert(path.clone(), *node);
            }
            NameChange::Remove { path } => {
                names.remove(path);
            }
            NameChange::Rename { source, target, node } => {
                names.remove(source);
                names.insert(target.clone(), *node);
            }
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct DiskState {
    files: BTreeMap<u64, Arc<FileState>>,
    pub(crate) names: Arc<BTreeMap<PathBuf, Node>>,
    durable_names: Arc<BTreeMap<PathBuf, Node>>,
    pending_names: Vec<(ChangeId, NameChange)>,
    next_file: u64,
}

impl DiskState {
    pub(crate) fn file(&self, file: u64) -> &FileState {
        self.files.get(&file).expect("an open file is there")
    }

    pub(crate) fn file_mut(&mut self, file: u64) -> &mut FileState {
        Arc::make_mut(self.files.get_mut(&file).expect("an open file is there"))
    }

    pub(crate) fn change_names(&mut self, change: ChangeId, how: NameChange) {
        how.apply(Arc::make_mut(&mut self.names));
        self.pending_names.push((change, how));
    }

    /// Makes a file, and gives its number.
    pub(crate) fn create(&mut self, change: ChangeId, path: PathBuf) -> u64 {
        self.next_file += 1;
        self.files.insert(self.next_file, Arc::default());
        let node = Node::File(self.next_file);
        self.change_names(change, NameChange::Set { path, node });
        self.next_file
    }

    pub(crate) fn sync_directory(&mut self, directory: &Path, coverage: &Coverage) {
        let durable = Arc::make_mut(&mut self.durable_names);
        self.pending_names.retain(|(change, how)| {
            let covered = how.is_in(directory) && coverage.covers(*change);
            if covered {
                how.apply(durable);
            }
            !covered
        });
    }

    /// Bytes of all files that have a name.
    pub(crate) fn byte_count(&self) -> u64 {
        self.named_files().map(|(_, file)| self.file(file).bytes).sum()
    }

    fn named_files(&self) -> impl Iterator<Item = (&PathBuf, u64)> {
        self.names.iter().filter_map(|(path, node)| match node {
            Node::File(file) => Some((path, *file)),
            Node::Directory => None,
        })
    }

    /// Forgets files that neither a name nor an open handle leads to.
    pub(crate) fn collect(&mut self, is_open: &dyn Fn(u64) -> bool) {
        let mut reachable: BTreeSet<u64> = BTreeSet::new();
        let changed = self.pending_names.iter().filter_map(|(_, how)| match how {
            NameChange::Set { node, .. } | NameChange::Rename { node, .. } => Some(node),
            NameChange::Remove { .. } => None,
        });
        for node in self.names.values().chain(self.durable_names.values()).chain(changed) {
            if let Node::File(file) = node {
                reachable.insert(*file);
            }
        }
        self.files.retain(|file, _| reachable.contains(file) || is_open(*file));
    }

    /// What is left after a crash.
    fn survive(&self, survival: Survival, prng: &mut Prng) -> DiskState {
        let draw = &mut Draw::new(self, survival, prng);
        let mut names = (*self.durable_names).clone();
        for (change, how) in &self.pending_names {
            if draw.keeps(*change, survival) {
                how.apply(&mut names);
            }
        }
        // What was in a directory that is gone is gone with it.
        let all = names.clone();
        names.retain(|path, _| {
            let mut parents = path.ancestors().skip(1).filter(|parent| parent.parent().is_some());
            parents.all(|parent| all.contains_key(parent))
        });
        let mut files = BTreeMap::new();
        for node in names.values() {
            let Node::File(file) = node else { continue };
            let state = &self.files[file];
            let state = match state.is_settled() {
                true => state.clone(),
                false => Arc::new(state.survive(survival, draw)),
            };
            files.insert(*file, state);
        }
        let names = Arc::new(names);
        let next_file = self.next_file;
        DiskState {
            files,
            durable_names: names.clone(),
            names,
            pending_names: Vec::new(),
            next_file,
        }
    }
}

/// What of the changes that no flush covers is there after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// All: the process was killed, the machine lives.
    All,
    /// None.
    None,
    /// Those submitted before some moment.
    Prefix,
    /// Any, sector by sector: some lost, some in part, some as they were in between.
    Torn,
}

/// How the choices of one crash are drawn.
struct Draw<'a> {
    prng: &'a mut Prng,
    /// For [`Survival::Prefix`]: changes below are kept.
    limit: ChangeId,
}

impl<'a> Draw<'a> {
    fn new(disk: &DiskState, survival: Survival, prng: &'a mut Prng) -> Draw<'a> {
        let mut changes: Vec<ChangeId> = Vec::new();
        if survival == Survival::Prefix {
            changes.extend(disk.pending_names.iter().map(|(change, _)| *change));
            for file in disk.files.values() {
                changes.extend(file.pending_bytes.iter().map(|(change, _)| *change));
                let blocks = file.pending.values().flatten();
                changes.extend(blocks.map(|(change, _)| *change));
            }
            changes.sort_unstable();
            changes.dedup();
        }
        let drawn = prng.index(changes.len() + 1);
        let limit = changes.get(drawn).copied().unwrap_or(ChangeId(u64::MAX));
        Draw { prng, limit }
    }

    fn keeps(&mut self, change: ChangeId, survival: Survival) -> bool {
        match survival {
            Survival::All => true,
            Survival::None => false,
            Survival::Prefix => change < self.limit,
            Survival::Torn => self.prng.below(2) == 0,
        }
    }

    /// Which version survives: the one before the change at the index given, or the present one if there is no such change.
    fn version<T>(&mut self, pending: &[(ChangeId, T)], survival: Survival) -> usize {
        match survival {
            Survival::All => pending.len(),
            Survival::None => 0,
            Survival::Prefix => pending
                .iter()
                .position(|(change, _)| *change >= self.limit)
                .unwrap_or(pending.len()),
            Survival::Torn => self.prng.index(pending.len() + 1),
        }
    }
}

/// What a disk could hold at one moment of a run.
#[derive(Clone)]
pub struct CrashPoint {
    /// Number of the disk event that comes next.
    pub event: u64,
    pub(crate) disk: DiskState,
}

impl CrashPoint {
    /// The disk after a crash at that moment.
    pub fn image(&self, survival: Survival, prng: &mut Prng) -> Image {
        Image { disk: self.disk.survive(survival, prng) }
    }

    /// True if a crash leaves no choice.
    pub fn is_settled(&self) -> bool {
        self.disk.pending_names.is_empty() && self.disk.files.values().all(|file| file.is_settled())
    }
}

/// The disk of a machine that does not run. Cheap to clone.
#[derive(Clone, Default)]
pub struct Image {
    pub(crate) disk: DiskState,
}

impl Image {
    /// Names and lengths of all files.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let bytes = |file| self.disk.file(file).bytes;
        self.disk.named_files().map(|(path, file)| (path.clone(), bytes(file))).collect()
    }

    /// Flips one bit of a file.
    ///
    /// # Panics
    /// If there is no such file or byte.
    pub fn flip(&mut self, path: &Path, byte: u64, bit: u8) {
        let Some(Node::File(file)) = self.disk.names.get(path) else {
            panic!("no file {}", path.display())
        };
        let file = self.disk.file_mut(*file);
        assert!(byte < file.bytes, "the file ends at {}", file.bytes);
        let block = Arc::make_mut(&mut file.blocks[byte as usize / BLOCK_BYTES]);
        block[byte as usize % BLOCK_BYTES] ^= 1 << bit;
    }
}

#[cfg(test)]
mod tests;
