//! Counting answers by range.

use types::NodeId;
use types::mutants::live;

use super::Answers;
use crate::cluster::topology::{RangeId, Topology};
use crate::mutants;

/// Whether a slow quorum of each of the ranges has answered.
pub(super) fn slow_quorum_everywhere<T>(
    topology: &Topology,
    ranges: &[RangeId],
    answers: &Answers<T>,
) -> bool {
    ranges
        .iter()
        .all(|range| of_range(answers, *range).count() >= topology.range(*range).slow_quorum())
}

/// The answers of one range.
pub(super) fn of_range<T>(
    answers: &Answers<T>,
    range: RangeId,
) -> impl Iterator<Item = (NodeId, &T)> {
    let here = answers.range((range, NodeId(0))..=(range, NodeId(u32::MAX)));
    here.map(|((_, node), answer)| (*node, answer))
}

/// How the electors of a range voted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Votes {
    /// For the id as the timestamp.
    pub(super) accepts: usize,
    /// Otherwise.
    pub(super) rejects: usize,
}

/// Counts the electors' votes of a range.
pub(super) fn votes<T>(
    topology: &Topology,
    range: RangeId,
    answers: &Answers<T>,
    voted: impl Fn(&T) -> bool,
) -> Votes {
    let mut votes = Votes::default();
    for (node, answer) in of_range(answers, range) {
        if topology.range(range).is_elector(node) || live(mutants::NON_ELECTORS_VOTE) {
            if voted(answer) { votes.accepts += 1 } else { votes.rejects += 1 }
        }
    }
    votes
}
