//! What a transaction must wait for on one range.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::txn::TxnId;

/// What a dependency says in a later recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Found only while a timestamp was being accepted: it orders execution, and proves nothing about the other's fast path
    /// (section 2.6).
    Unstable,
    /// It was witnessed.
    Stable,
}

/// Conflicting transactions that may execute before, ascending by id. Shared: an agreement is held by its coordinator, by a
/// command, by a log entry and by messages, and there are no two copies of it in one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deps(Option<Arc<Listed>>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    ids: Vec<TxnId>,
    /// Those of the ids that prove nothing; almost always none.
    unstable: Vec<TxnId>,
}

impl Deps {
    /// Sorts what was found; of two opinions of one the stronger stays.
    pub fn of(mut found: Vec<(TxnId, Evidence)>) -> Deps {
        if found.is_empty() {
            return Deps(None);
        }
        found.sort_unstable_by(|one, other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)));
        found.dedup_by_key(|(txn_id, _)| *txn_id);
        let unstable = found.iter().filter(|(_, evidence)| *evidence == Evidence::Unstable);
        let unstable = unstable.map(|(txn_id, _)| *txn_id).collect();
        let ids = found.iter().map(|(txn_id, _)| *txn_id).collect();
        Deps(Some(Arc::new(Listed { ids, unstable })))
    }

    /// All of several.
    pub fn union<'a>(all: impl IntoIterator<Item = &'a Deps>) -> Deps {
        let mut one = Deps(None);
        let mut found: Vec<(TxnId, Evidence)> = Vec::new();
        for deps in all {
            // The replicas of a range mostly say the same.
            if deps.is_empty() || *deps == one {
                continue;
            }
            if one.is_empty() && found.is_empty() {
                one = deps.clone();
                continue;
            }
            if found.is_empty() {
                found.extend(one.iter_with_evidence());
            }
            found.extend(deps.iter_with_evidence());
        }
        if found.is_empty() { one } else { Deps::of(found) }
    }

    /// Whether it is among them at all.
    pub fn contains(&self, txn_id: TxnId) -> bool {
        self.0.as_ref().is_some_and(|listed| listed.ids.binary_search(&txn_id).is_ok())
    }

    /// Whether it was witnessed.
    pub fn witnesses(&self, txn_id: TxnId) -> bool {
        let Some(listed) = &self.0 else { return false };
        listed.ids.binary_search(&txn_id).is_ok() && listed.unstable.binary_search(&txn_id).is_err()
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = TxnId> + '_ {
        self.0.iter().flat_map(|listed| listed.ids.iter().copied())
    }

    /// Ascending, each with what it says.
    pub fn iter_with_evidence(&self) -> impl Iterator<Item = (TxnId, Evidence)> + '_ {
        let unstable = self.0.as_ref().map_or(&[][..], |listed| &listed.unstable[..]);
        self.iter().map(|txn_id| {
            let proves_nothing = unstable.binary_search(&txn_id).is_ok();
            (txn_id, if proves_nothing { Evidence::Unstable } else { Evidence::Stable })
        })
    }

    /// The highest.
    pub fn last(&self) -> Option<TxnId> {
        self.0.as_ref().and_then(|listed| listed.ids.last().copied())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |listed| listed.ids.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::{Deps, Evidence};
    use crate::txn::TxnId;

    fn txn(number: u128) -> TxnId {
        TxnId(Timestamp(number))
    }

    #[test]
    fn of_two_opinions_the_stronger_stays() {
        let weak = Deps::of(vec![(txn(3), Evidence::Unstable), (txn(1), Evidence::Stable)]);
        let strong = Deps::of(vec![(txn(3), Evidence::Stable), (txn(2), Evidence::Unstable)]);
        assert!(weak.contains(txn(3)) && !weak.witnesses(txn(3)));
        let both = Deps::union([&weak, &strong, &Deps::default()]);
        assert_eq!(both, Deps::union([&strong, &weak]));
        assert_eq!(both.iter().collect::<Vec<_>>(), [txn(1), txn(2), txn(3)]);
        assert!(both.witnesses(txn(3)) && both.witnesses(txn(1)) && !both.witnesses(txn(2)));
        assert_eq!(both.last(), Some(txn(3)));
        assert!(Deps::of(vec![]).is_empty() && Deps::union([]).is_empty());
    }
}
