//! The version-preserving merge of flush and compaction, and the rule of what stays.

use crate::version::{RowContent, RowVersion, VersionSource};
use alloc::vec::Vec;
use core::cmp::Ordering;
use types::mutants::{self, Mutant};
use types::{SliceId, Timestamp};

/// Planted bug: compaction drops a tombstone although an older source may hold its key.
pub const MUTANT_TOMBSTONE_DROPPED_EARLY: Mutant = Mutant(304);

/// Which versions compaction keeps: of each key all above the floor and the newest at or below it.
#[derive(Clone, Copy, Debug, Default)]
pub struct GarbageRule {
    floor: Timestamp,
    below_floor: bool,
}

impl GarbageRule {
    /// No read below `floor` will ever be answered.
    pub const fn new(floor: Timestamp) -> GarbageRule {
        GarbageRule { floor, below_floor: false }
    }

    /// Whether a version stays. Called with every version in order; `same_key` says whether the one before had the same key. `older_may_exist` says whether a
    /// source that does not take part may hold an older version of the key; it is asked only for tombstones at or below the floor.
    pub fn keeps(
        &mut self,
        same_key: bool,
        execute_at: Timestamp,
        tombstone: bool,
        older_may_exist: impl FnOnce() -> bool,
    ) -> bool {
        if !same_key {
            self.below_floor = false;
        }
        if execute_at > self.floor {
            return true;
        }
        let newest_below = !self.below_floor;
        self.below_floor = true;
        newest_below
            && (!tombstone || (!mutants::live(MUTANT_TOMBSTONE_DROPPED_EARLY) && older_may_exist()))
    }
}

/// The version-preserving merge of compaction and flush.
///
/// Sources are given newest first: if two hold the very same version, the first one's is kept.
#[derive(Debug)]
pub struct VersionMerge<S, F> {
    sources: Vec<S>,
    /// Sources that are not at their end, the one with the lowest head first.
    order: Vec<usize>,
    rule: GarbageRule,
    older_may_exist: F,
    last: Option<(SliceId, Vec<u8>, Timestamp)>,
    started: bool,
}

impl<S: VersionSource, F: FnMut(SliceId, &[u8]) -> bool> VersionMerge<S, F> {
    /// Merges `sources`, each at its first version.
    pub fn new(sources: Vec<S>, floor: Timestamp, older_may_exist: F) -> VersionMerge<S, F> {
        let order = (0..sources.len()).filter(|source| sources[*source].head().is_some()).collect();
        let rule = GarbageRule::new(floor);
        let mut merge =
            VersionMerge { sources, order, rule, older_may_exist, last: None, started: false };
        let VersionMerge { order, sources, .. } = &mut merge;
        order.sort_by(|a, b| compare_heads(sources, *a, *b));
        merge
    }

    /// The next version that stays; nothing at the end.
    ///
    /// # Errors
    /// If a source cannot be read.
    pub fn next_version(&mut self) -> Result<Option<RowVersion<'_>>, S::Error> {
        loop {
            if self.started {
                self.step()?;
            }
            self.started = true;
            let Some(source) = self.order.first().copied() else {
                return Ok(None);
            };
            let Some(head) = self.sources[source].head() else {
                return Ok(None);
            };
            let mut same_key = false;
            if let Some((slice, key, at)) = &self.last {
                same_key = *slice == head.slice && key == head.key;
                if same_key && *at == head.execute_at {
                    // The very same version from an older source.
                    continue;
                }
            }
            let tombstone = head.content == RowContent::Tombstone;
            let older = &mut self.older_may_exist;
            let keeps = self
                .rule
                .keeps(same_key, head.execute_at, tombstone, || older(head.slice, head.key));
            match &mut self.last {
                Some((slice, key, at)) => {
                    (*slice, *at) = (head.slice, head.execute_at);
                    if !same_key {
                        key.clear();
                        key.extend_from_slice(head.key);
                    }
                }
                None => self.last = Some((head.slice, head.key.to_vec(), head.execute_at)),
            }
            if keeps {
                break;
            }
        }
        Ok(self.order.first().and_then(|source| self.sources[*source].head()))
    }

    /// Advances the first source and puts it back in order.
    fn step(&mut self) -> Result<(), S::Error> {
        let Some(source) = self.order.first().copied() else {
            return Ok(());
        };
        self.sources[source].advance()?;
        if self.sources[source].head().is_none() {
            self.order.remove(0);
            return Ok(());
        }
        let mut at = 0;
        while at + 1 < self.order.len()
            && compare_heads(&self.sources, self.order[at], self.order[at + 1]).is_gt()
        {
            self.order.swap(at, at + 1);
            at += 1;
        }
        Ok(())
    }
}

fn compare_heads<S: VersionSource>(sources: &[S], a: usize, b: usize) -> Ordering {
    match (sources[a].head(), sources[b].head()) {
        (Some(x), Some(y)) => (x.slice, x.key)
            .cmp(&(y.slice, y.key))
            .then_with(|| y.execute_at.cmp(&x.execute_at))
            .then_with(|| a.cmp(&b)),
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (None, None) => a.cmp(&b),
    }
}
