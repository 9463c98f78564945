//! The conflict index: which registered transactions touch a token of a table.
//!
//! It holds only what is in flight (registered and not yet applied or released), so an idle core pays one emptiness test.
//! What has left needs no entry: this core's clock is above its timestamp and above every read, so the clock is the floor
//! of every token. Ordered maps, so that iteration is a function of the content.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use types::mutants::live;
use types::{TableId, Token};

use crate::footprint::{Access, Footprint, TokenRange};
use crate::mutants;
use crate::txn::TxnId;

#[derive(Clone, Copy, Debug)]
struct Claim {
    txn_id: TxnId,
    access: Access,
}

#[derive(Clone, Copy, Debug)]
struct RangeClaim {
    table: TableId,
    tokens: TokenRange,
    claim: Claim,
}

/// Claims of registered transactions on this shard's tokens.
#[derive(Clone, Debug)]
pub(crate) struct ConflictIndex {
    owned: TokenRange,
    points: BTreeMap<(TableId, Token), Vec<Claim>>,
    ranges: Vec<RangeClaim>,
}

impl ConflictIndex {
    pub(crate) const fn new(owned: TokenRange) -> ConflictIndex {
        ConflictIndex { owned, points: BTreeMap::new(), ranges: Vec::new() }
    }

    /// Whether nothing at all is claimed.
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty()
    }

    pub(crate) fn insert(&mut self, txn_id: TxnId, footprint: &Footprint) {
        for point in footprint.points().iter().filter(|point| self.owned.contains(point.token)) {
            let claims = self.points.entry((point.table, point.token)).or_default();
            claims.push(Claim { txn_id, access: point.access });
        }
        for range in footprint.ranges() {
            if let Some(tokens) = range.tokens.intersection(self.owned) {
                let claim = Claim { txn_id, access: range.access };
                self.ranges.push(RangeClaim { table: range.table, tokens, claim });
            }
        }
    }

    pub(crate) fn remove(&mut self, txn_id: TxnId, footprint: &Footprint) {
        for point in footprint.points() {
            if let Some(claims) = self.points.get_mut(&(point.table, point.token)) {
                claims.retain(|claim| claim.txn_id != txn_id);
                if claims.is_empty() {
                    self.points.remove(&(point.table, point.token));
                }
            }
        }
        self.ranges.retain(|range| range.claim.txn_id != txn_id);
    }

    /// Visits registered transactions that conflict with `footprint` on this shard's tokens, those registered last on a
    /// token first, until `visit` breaks. One transaction may be visited more than once.
    pub(crate) fn visit_conflicts(
        &self,
        footprint: &Footprint,
        treat: Treat,
        visit: &mut dyn FnMut(TxnId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for point in footprint.points() {
            let access = treat.access(point.access);
            if let Some(claims) = self.points.get(&(point.table, point.token)) {
                visit_claims(claims, access, visit)?;
            }
            let tokens = TokenRange::one(point.token);
            self.visit_ranges(point.table, tokens, access, visit)?;
        }
        for range in footprint.ranges() {
            let access = treat.access(range.access);
            let Some(tokens) = range.tokens.intersection(self.owned) else { continue };
            if !live(mutants::RANGE_DOES_NOT_CONFLICT) {
                let span = (range.table, tokens.first)..=(range.table, tokens.last);
                for (_, claims) in self.points.range(span) {
                    visit_claims(claims, access, visit)?;
                }
            }
            self.visit_ranges(range.table, tokens, access, visit)?;
        }
        ControlFlow::Continue(())
    }

    fn visit_ranges(
        &self,
        table: TableId,
        tokens: TokenRange,
        access: Access,
        visit: &mut dyn FnMut(TxnId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for range in self.ranges.iter().rev() {
            let meets = range.table == table
                && range.tokens.intersection(tokens).is_some()
                && range.claim.access.conflicts(access);
            if meets && !live(mutants::RANGE_DOES_NOT_CONFLICT) {
                visit(range.claim.txn_id)?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// As what the entries of an arriving footprint count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treat {
    /// As declared.
    AsDeclared,
    /// As reads: a read at a snapshot.
    AsReads,
}

impl Treat {
    const fn access(self, declared: Access) -> Access {
        match self {
            Treat::AsDeclared => declared,
            Treat::AsReads => Access::Read,
        }
    }
}

fn visit_claims(
    claims: &[Claim],
    access: Access,
    visit: &mut dyn FnMut(TxnId) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for claim in claims.iter().rev().filter(|claim| claim.access.conflicts(access)) {
        visit(claim.txn_id)?;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use core::ops::ControlFlow;

    use types::{TableId, Timestamp, Token};

    use super::{ConflictIndex, Treat};
    use crate::footprint::{Access, Footprint, RangeNeed, TokenRange};
    use crate::txn::TxnId;

    fn txn(number: u128) -> TxnId {
        TxnId(Timestamp(number))
    }

    fn point(token: u64, access: Access) -> Footprint {
        let mut footprint = Footprint::new();
        footprint.point(TableId(1), Token(token), b"k", access);
        footprint
    }

    fn conflicts(index: &ConflictIndex, footprint: &Footprint, treat: Treat) -> Vec<u128> {
        let mut found = Vec::new();
        let _ = index.visit_conflicts(footprint, treat, &mut |txn_id| {
            found.push(txn_id.0.0);
            ControlFlow::Continue(())
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn points_and_ranges_meet_by_token_and_access() {
        let mut index = ConflictIndex::new(TokenRange { first: Token(0), last: Token(99) });
        index.insert(txn(1), &point(5, Access::Read));
        index.insert(txn(2), &point(5, Access::ReadWrite));
        index.insert(txn(3), &point(200, Access::Write));
        let mut table = Footprint::new();
        table.whole_table(TableId(1), Access::Read);
        index.insert(txn(4), &table);
        assert_eq!(conflicts(&index, &point(5, Access::Read), Treat::AsDeclared), [2]);
        assert_eq!(conflicts(&index, &point(5, Access::Write), Treat::AsDeclared), [1, 2, 4]);
        assert_eq!(conflicts(&index, &point(5, Access::Write), Treat::AsReads), [2]);
        assert_eq!(conflicts(&index, &point(6, Access::Write), Treat::AsDeclared), [4]);
        let mut range = Footprint::new();
        let tokens = TokenRange { first: Token(5), last: Token(300) };
        let need = RangeNeed::ChangedAt;
        range.range(TableId(1), tokens, (b"", None), Access::Read, need);
        assert_eq!(conflicts(&index, &range, Treat::AsDeclared), [2], "200 is another shard's");
        index.remove(txn(2), &point(5, Access::ReadWrite));
        assert_eq!(conflicts(&index, &range, Treat::AsDeclared), Vec::<u128>::new());
        index.remove(txn(1), &point(5, Access::Read));
        index.remove(txn(4), &table);
        assert!(index.is_empty());
    }
}
