//! Who replicates which tokens, and how many answers decide.
//!
//! Quorums (Accord paper, section 3; `f` failures of `rf` replicas are survived, `E` is the electorate of the fast path):
//!
//! ```text
//! f = (rf - 1) / 2      slow = recovery = rf - f      fast = max(ceil((E + f + 1) / 2), rf / 2 + 1)
//! ```
//!
//! The fast quorum is so large that of any two conflicting transactions of which neither saw the other, at most one can
//! have been decided by it, whatever the members that a recovery does not reach have answered.

use alloc::vec::Vec;

use types::{NodeId, Token};

use crate::footprint::{Footprint, TokenRange};

/// Index of a replicated range in its topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeId(pub u16);

/// Tokens and the nodes that hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicatedRange {
    tokens: TokenRange,
    replicas: Vec<NodeId>,
    electorate: Vec<NodeId>,
}

impl ReplicatedRange {
    /// Replicas and the members of the electorate, which are replicas, ascending.
    ///
    /// # Panics
    /// If there is no replica, or the electorate is no subset of them or smaller than a recovery quorum.
    pub fn new(
        tokens: TokenRange,
        mut replicas: Vec<NodeId>,
        mut electorate: Vec<NodeId>,
    ) -> ReplicatedRange {
        replicas.sort_unstable();
        electorate.sort_unstable();
        let range = ReplicatedRange { tokens, replicas, electorate };
        assert!(!range.replicas.is_empty(), "a range has a replica");
        let subset = range.electorate.iter().all(|node| range.replicas.contains(node));
        assert!(subset, "electors are replicas");
        assert!(
            range.electorate.len() >= range.slow_quorum(),
            "an electorate meets every recovery"
        );
        range
    }

    /// Its tokens.
    pub const fn tokens(&self) -> TokenRange {
        self.tokens
    }

    /// Its replicas, ascending.
    pub fn replicas(&self) -> &[NodeId] {
        &self.replicas
    }

    /// Whether a node votes on the fast path.
    pub fn is_elector(&self, node: NodeId) -> bool {
        self.electorate.contains(&node)
    }

    /// Failures that are survived.
    pub fn failures(&self) -> usize {
        (self.replicas.len() - 1) / 2
    }

    /// Answers that decide on the slow path, and that a recovery needs.
    pub fn slow_quorum(&self) -> usize {
        self.replicas.len() - self.failures()
    }

    /// Votes for the initial timestamp that decide at once.
    pub fn fast_quorum(&self) -> usize {
        let (electors, failures) = (self.electorate.len(), self.failures());
        (electors + failures + 1).div_ceil(2).max(self.replicas.len() / 2 + 1)
    }

    /// Whether so many electors that did not vote for the initial timestamp exclude the fast path.
    pub fn rejects_fast(&self, rejects: usize) -> bool {
        rejects > self.electorate.len() - self.fast_quorum()
    }
}

/// One epoch's placement of all tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    epoch: u32,
    ranges: Vec<ReplicatedRange>,
}

impl Topology {
    /// Ranges that cover the ring, ascending.
    ///
    /// # Panics
    /// If they leave a token out or name one twice.
    pub fn new(epoch: u32, ranges: Vec<ReplicatedRange>) -> Topology {
        let mut next = Some(Token(0));
        for range in &ranges {
            assert_eq!(Some(range.tokens.first), next, "ranges follow each other");
            next = range.tokens.last.0.checked_add(1).map(Token);
        }
        assert!(next.is_none(), "ranges cover the ring");
        Topology { epoch, ranges }
    }

    /// Its number.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A range by its index.
    pub fn range(&self, range: RangeId) -> &ReplicatedRange {
        &self.ranges[usize::from(range.0)]
    }

    /// All ranges, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = (RangeId, &ReplicatedRange)> {
        self.ranges.iter().enumerate().map(|(index, range)| (RangeId(index as u16), range))
    }

    /// The rank of a node among the replicas of a range, if it is one.
    pub fn rank(&self, range: RangeId, node: NodeId) -> Option<usize> {
        self.range(range).replicas().iter().position(|replica| *replica == node)
    }

    /// Every node that replicates something, ascending.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> =
            self.ranges.iter().flat_map(|range| range.replicas.iter().copied()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// The ranges that a footprint touches, ascending.
    pub fn participants(&self, footprint: &Footprint) -> Vec<RangeId> {
        let touches = |tokens: TokenRange| {
            footprint.points().iter().any(|point| tokens.contains(point.token))
                || footprint
                    .ranges()
                    .iter()
                    .any(|range| range.tokens.intersection(tokens).is_some())
        };
        self.ranges().filter(|(_, range)| touches(range.tokens)).map(|(range, _)| range).collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use types::NodeId;

    use super::ReplicatedRange;
    use crate::footprint::TokenRange;

    fn quorums(replicas: u32, electors: u32) -> (usize, usize) {
        let nodes = |count| (0..count).map(NodeId).collect::<Vec<_>>();
        let range = ReplicatedRange::new(TokenRange::ALL, nodes(replicas), nodes(electors));
        (range.slow_quorum(), range.fast_quorum())
    }

    #[test]
    fn quorums_are_the_specification_s() {
        let expected = [
            ((1, 1), (1, 1)),
            ((2, 2), (2, 2)),
            ((3, 3), (2, 3)),
            ((3, 2), (2, 2)),
            ((4, 4), (3, 3)),
            ((5, 5), (3, 4)),
            ((5, 4), (3, 4)),
            ((5, 3), (3, 3)),
            ((7, 7), (4, 6)),
            ((7, 6), (4, 5)),
            ((7, 5), (4, 5)),
            ((7, 4), (4, 4)),
            ((9, 9), (5, 7)),
        ];
        for ((replicas, electors), quorum) in expected {
            assert_eq!(quorums(replicas, electors), quorum, "rf {replicas}, E {electors}");
        }
    }

    /// Two transactions that did not see each other cannot both have a fast quorum, even if a recovery misses `f` replicas.
    #[test]
    fn fast_quorums_meet_in_what_a_recovery_sees() {
        for replicas in 1..=9usize {
            for electors in (replicas - (replicas - 1) / 2)..=replicas {
                let (slow, fast) = quorums(replicas as u32, electors as u32);
                let failures = replicas - slow;
                assert!(electors - (fast - failures.min(fast)) < fast + 1);
                assert!(fast + slow > replicas, "a fast quorum meets every slow one");
                assert!(2 * fast > electors + failures, "section 1.7 of the specification");
            }
        }
    }
}
