//! What remains of transactions that every replica has applied: when a token was last read and last written by one.
//!
//! Nobody waits for them any more, so they are no dependencies; but two things must still be known of them, exactly:
//!
//! - a new transaction gets a timestamp above those that it conflicts with;
//! - if one executes after the id of an undecided transaction τ that it conflicts with, τ was not decided on the fast path. It is applied here, so
//!   everything that it depends on is decided here; τ is not, so it has not witnessed τ (section 4.4, *not witnessed*). A bound that were only
//!   approximately true would have a decided transaction given up, so tokens are not summed up any further.
//!
//! Entries go when a sync point above them is applied everywhere: then nothing undecided is below.

use alloc::collections::BTreeMap;

use types::{TableId, Timestamp, Token};

use crate::footprint::{Access, Footprint, TokenRange};

#[derive(Clone, Copy, Debug, Default)]
struct LastTouch {
    read_at: Timestamp,
    write_at: Timestamp,
}

impl LastTouch {
    /// The last that conflicts with an access.
    fn conflicting(self, access: Access) -> Timestamp {
        if access.writes() { self.read_at.max(self.write_at) } else { self.write_at }
    }
}

/// By token; of points only, since a range stands for every token that it covers.
#[derive(Clone, Debug, Default)]
pub(super) struct Settled {
    tokens: BTreeMap<(TableId, Token), LastTouch>,
}

impl Settled {
    /// Whether a footprint has a form here.
    pub(super) fn can_hold(footprint: &Footprint) -> bool {
        footprint.ranges().is_empty()
    }

    pub(super) fn insert(
        &mut self,
        footprint: &Footprint,
        owned: TokenRange,
        execute_at: Timestamp,
    ) {
        for point in footprint.points().iter().filter(|point| owned.contains(point.token)) {
            let last = self.tokens.entry((point.table, point.token)).or_default();
            if point.access.reads() {
                last.read_at = last.read_at.max(execute_at);
            }
            if point.access.writes() {
                last.write_at = last.write_at.max(execute_at);
            }
        }
    }

    /// When the last of them that a footprint conflicts with executed.
    pub(super) fn last_conflict(&self, footprint: &Footprint, owned: TokenRange) -> Timestamp {
        let mut last = Timestamp::ZERO;
        if self.tokens.is_empty() {
            return last;
        }
        for point in footprint.points() {
            if let Some(touch) = self.tokens.get(&(point.table, point.token)) {
                last = last.max(touch.conflicting(point.access));
            }
        }
        for range in footprint.ranges() {
            let Some(tokens) = range.tokens.intersection(owned) else { continue };
            let span = (range.table, tokens.first)..=(range.table, tokens.last);
            for (_, touch) in self.tokens.range(span) {
                last = last.max(touch.conflicting(range.access));
            }
        }
        last
    }

    /// Lets go of those that executed below.
    pub(super) fn forget_below(&mut self, bound: Timestamp) {
        self.tokens.retain(|_, last| last.read_at.max(last.write_at) >= bound);
    }

    /// Tokens remembered.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use types::{TableId, Timestamp, Token};

    use super::Settled;
    use crate::footprint::{Access, Footprint, RangeNeed, TokenRange};

    #[test]
    fn only_what_conflicts_counts() {
        let at = |hlc| Timestamp::new(0, hlc, 1);
        let point = |token, access| {
            let mut footprint = Footprint::new();
            footprint.point(TableId(1), Token(token), b"k", access);
            footprint
        };
        let owned = TokenRange { first: Token(0), last: Token(99) };
        let mut settled = Settled::default();
        settled.insert(&point(5, Access::Read), owned, at(30));
        settled.insert(&point(5, Access::Write), owned, at(20));
        settled.insert(&point(500, Access::Write), owned, at(90));
        let last = |settled: &Settled, footprint| settled.last_conflict(&footprint, owned);
        assert_eq!(last(&settled, point(5, Access::Read)), at(20));
        assert_eq!(last(&settled, point(5, Access::Write)), at(30));
        assert_eq!(last(&settled, point(6, Access::Write)), Timestamp::ZERO);
        assert_eq!(last(&settled, point(500, Access::Write)), Timestamp::ZERO, "not owned");
        let mut range = Footprint::new();
        let tokens = TokenRange { first: Token(0), last: Token(9) };
        range.range(TableId(1), tokens, (b"", None), Access::Read, RangeNeed::ChangedAt);
        assert_eq!(last(&settled, range.clone()), at(20));
        assert!(!Settled::can_hold(&range) && Settled::can_hold(&point(1, Access::Read)));
        settled.forget_below(at(30));
        assert_eq!(settled.len(), 1);
        settled.forget_below(at(31));
        assert_eq!(settled.len(), 0);
    }
}
