//! Finds the smallest cycles of a dependency graph and names them.
//!
//! Every cycle lies in a strongly connected component. A component is cut out and searched alone: for every promise from the weakest, and for every kind of cycle from the
//! worst, from every edge that such a cycle must have, breadth first over the edges it may have, so the first way back is the shortest. Virtual nodes cost nothing: the
//! length of a cycle is the number of its transactions. Whether a promise is broken is decided by the components of the edges it allows and is exact; the search for the
//! smallest and worst cycle has a budget, after which any cycle must do and the verdict says so.

use crate::anomaly::{Kind, Level};
use crate::graph::{Graph, Label, Labels};
use std::collections::VecDeque;

/// Edges looked at for one kind in one component.
const BUDGET: usize = 4_000_000;
/// Ways back compared before the shortest so far is taken.
const COMPARED: usize = 64;
/// Components searched for the smallest cycles; of others one cycle is shown.
const SEARCHED: usize = 16;

/// A cycle of transactions, each with the label of the edge to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// In order; the last leads to the first.
    pub steps: Vec<(u32, Label)>,
}

impl Cycle {
    /// The worst name that its edges allow, and the promise that it breaks.
    pub fn class(&self) -> (Kind, Level) {
        let missed: Vec<bool> =
            self.steps.iter().map(|(_, label)| label.is_missed_write()).collect();
        let has = |wanted: Label| self.steps.iter().any(|(_, label)| *label == wanted);
        let adjacent = (0..missed.len()).any(|at| missed[at] && missed[(at + 1) % missed.len()]);
        let kind = match missed.iter().filter(|missed| **missed).count() {
            0 if has(Label::WriteRead) => Kind::G1c,
            0 => Kind::G0,
            1 => Kind::GSingle,
            _ if adjacent => Kind::G2,
            _ => Kind::GNonadjacent,
        };
        let level = if has(Label::RealTime) || has(Label::ReadWriteByTime) {
            Level::RealTime
        } else if has(Label::Process) {
            Level::Process
        } else {
            Level::Serializable
        };
        (kind, level)
    }
}

const WRITE_WRITE: Labels = Label::WriteWrite as u8;
const WRITE_READ: Labels = Label::WriteRead as u8;
const MISSED: Labels = Label::ReadWrite as u8 | Label::ReadWriteByTime as u8;
const ALL_CONFLICTS: Labels = WRITE_WRITE | WRITE_READ | MISSED;
const VIA: Labels = Label::Via as u8;

/// What a promise adds to the conflicts, and what it does not know.
const LEVELS: [Labels; 3] = [
    ALL_CONFLICTS & !(Label::ReadWriteByTime as u8) | VIA,
    ALL_CONFLICTS & !(Label::ReadWriteByTime as u8) | VIA | Label::Process as u8,
    ALL_CONFLICTS | VIA | Label::Process as u8 | Label::RealTime as u8,
];

/// One kind of cycle: an edge it must have, edges the rest may have.
struct Search {
    kind: Kind,
    first: Labels,
    rest_without: Labels,
    adjacent: Adjacent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Adjacent {
    Allowed,
    Forbidden,
}

const SEARCHES: [Search; 5] = [
    Search {
        kind: Kind::G0,
        first: WRITE_WRITE,
        rest_without: WRITE_READ | MISSED,
        adjacent: Adjacent::Allowed,
    },
    Search {
        kind: Kind::G1c,
        first: WRITE_READ,
        rest_without: MISSED,
        adjacent: Adjacent::Allowed,
    },
    Search {
        kind: Kind::GSingle,
        first: MISSED,
        rest_without: MISSED,
        adjacent: Adjacent::Allowed,
    },
    Search {
        kind: Kind::GNonadjacent,
        first: MISSED,
        rest_without: 0,
        adjacent: Adjacent::Forbidden,
    },
    Search { kind: Kind::G2, first: MISSED, rest_without: 0, adjacent: Adjacent::Allowed },
];

/// The cycles worth showing, and whether the search was cut short.
pub fn find(graph: &Graph, is_transaction: impl Fn(u32) -> bool) -> (Vec<Cycle>, bool) {
    let mut components = graph.components(LEVELS[2]);
    components.sort_by_key(Vec::len);
    let mut cycles = Vec::new();
    let mut cut_short = components.len() > SEARCHED;
    for (index, nodes) in components.iter().enumerate() {
        let part = graph.part(nodes);
        let budget = if index < SEARCHED { BUDGET } else { 0 };
        let mut finder = Finder::new(&part, budget);
        for mut cycle in finder.cycles() {
            cycle.steps.iter_mut().for_each(|(node, _)| *node = nodes[*node as usize]);
            assert!(
                cycle.steps.iter().all(|(node, _)| is_transaction(*node)),
                "labelled edges leave transactions only"
            );
            cycles.push(cycle);
        }
        cut_short |= finder.cut_short;
    }
    (cycles, cut_short)
}

/// Searches one component.
struct Finder<'a> {
    graph: &'a Graph,
    budget: usize,
    left: usize,
    cut_short: bool,
    /// By node, twice: not after a missed write, and after one.
    distance: Vec<u32>,
    came_from: Vec<(u32, Label)>,
    reached: Vec<u32>,
}

const FAR: u32 = u32::MAX;

impl<'a> Finder<'a> {
    fn new(graph: &'a Graph, budget: usize) -> Finder<'a> {
        let states = graph.nodes() * 2;
        Finder {
            graph,
            budget,
            left: 0,
            cut_short: false,
            distance: vec![FAR; states],
            came_from: vec![(0, Label::Via); states],
            reached: Vec::new(),
        }
    }

    fn cycles(&mut self) -> Vec<Cycle> {
        let mut found: Vec<Cycle> = Vec::new();
        let mut worst = None;
        for labels in LEVELS {
            let parts = self.graph.components(labels);
            if parts.is_empty() {
                continue;
            }
            let mut cycle = None;
            for search in &SEARCHES {
                if worst.is_some_and(|worst| search.kind >= worst) || cycle.is_some() {
                    break;
                }
                cycle = self.smallest(labels, search);
            }
            if cycle.is_none() && worst.is_none() {
                cycle = self.any(labels, &parts[0]);
            }
            if let Some(cycle) = cycle {
                worst = Some(cycle.class().0);
                found.push(cycle);
            }
        }
        found
    }

    fn smallest(&mut self, labels: Labels, search: &Search) -> Option<Cycle> {
        self.left = self.budget;
        let rest = labels & !search.rest_without;
        // The whole cycle lies within one component of the edges that it may have.
        let mut within = vec![FAR; self.graph.nodes()];
        let parts = self.graph.components(rest | (labels & search.first));
        for (number, nodes) in parts.iter().enumerate() {
            nodes.iter().for_each(|node| within[*node as usize] = number as u32);
        }
        let mut best: Option<Cycle> = None;
        let mut compared = 0;
        for source in parts.iter().flatten().copied() {
            for (target, label) in self.graph.leaving(source) {
                let joins = within[source as usize] == within[target as usize];
                if label.bit() & labels & search.first == 0 || !joins {
                    continue;
                }
                let Some(cycle) = self.way_back((source, target, label), rest, search.adjacent)
                else {
                    continue;
                };
                compared += 1;
                if best.as_ref().is_none_or(|best| cycle.steps.len() < best.steps.len()) {
                    best = Some(cycle);
                }
                let shortest = best.as_ref().is_some_and(|best| best.steps.len() == 2);
                if shortest || compared == COMPARED {
                    self.cut_short |= !shortest;
                    return best;
                }
            }
        }
        best
    }

    /// Some cycle of a component, whatever it costs: every edge inside it lies on one.
    fn any(&mut self, labels: Labels, part: &[u32]) -> Option<Cycle> {
        self.cut_short = true;
        self.left = usize::MAX;
        let inside: std::collections::BTreeSet<u32> = part.iter().copied().collect();
        let edge = part.iter().find_map(|source| {
            let mut leaving = self.graph.leaving(*source);
            let stays = |(target, label): &(u32, Label)| {
                label.bit() & labels & !VIA != 0 && inside.contains(target)
            };
            leaving.find(stays).map(|(target, label)| (*source, target, label))
        })?;
        self.way_back(edge, labels, Adjacent::Allowed)
    }

    /// The shortest way from an edge's end to its beginning.
    fn way_back(
        &mut self,
        edge: (u32, u32, Label),
        rest: Labels,
        adjacent: Adjacent,
    ) -> Option<Cycle> {
        let (source, target, label) = edge;
        let forbids = adjacent == Adjacent::Forbidden;
        let state = |node: u32, missed: bool| node * 2 + u32::from(forbids && missed);
        let begin = state(target, label.is_missed_write());
        let goal = state(source, false);
        for reached in self.reached.drain(..) {
            self.distance[reached as usize] = FAR;
        }
        let mut waiting = VecDeque::from([(begin, 0)]);
        self.reach(begin, 0, (begin, label));
        while let Some((from, distance)) = waiting.pop_front() {
            if distance > self.distance[from as usize] {
                continue;
            }
            if from == goal {
                return Some(self.trace(begin, goal, (source, label)));
            }
            for (next, by) in self.graph.leaving(from / 2) {
                if self.left == 0 {
                    self.cut_short = true;
                    return None;
                }
                self.left -= 1;
                let after_missed = from % 2 == 1;
                if by.bit() & rest == 0 || (after_missed && by.is_missed_write()) {
                    continue;
                }
                let via = by == Label::Via;
                let to = state(next, if via { after_missed } else { by.is_missed_write() });
                let further = distance + u32::from(!via);
                if further < self.distance[to as usize] {
                    self.reach(to, further, (from, by));
                    if via {
                        waiting.push_front((to, further));
                    } else {
                        waiting.push_back((to, further));
                    }
                }
            }
        }
        None
    }

    fn reach(&mut self, state: u32, distance: u32, from: (u32, Label)) {
        self.distance[state as usize] = distance;
        self.came_from[state as usize] = from;
        self.reached.push(state);
    }

    fn trace(&self, begin: u32, goal: u32, first: (u32, Label)) -> Cycle {
        let mut steps = Vec::new();
        let mut at = goal;
        while at != begin {
            let (from, label) = self.came_from[at as usize];
            if label != Label::Via {
                steps.push((from / 2, label));
            }
            at = from;
        }
        steps.push(first);
        steps.reverse();
        Cycle { steps }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cycle, find};
    use crate::anomaly::{Kind, Level};
    use crate::graph::{Graph, Label, Sink};

    fn cycles(nodes: usize, edges: &[(u32, u32, Label)]) -> Vec<Cycle> {
        let graph = Graph::build(nodes, |sink: Sink<'_>| {
            edges.iter().for_each(|(source, target, label)| sink(*source, *target, *label));
        });
        find(&graph, |node| node < 100).0
    }

    #[test]
    fn the_shortest_with_the_worst_name() {
        use Label::{ReadWrite as Rw, WriteRead as Wr, WriteWrite as Ww};
        let edges = [(0, 1, Ww), (1, 2, Wr), (2, 3, Ww), (3, 0, Ww), (2, 0, Wr), (1, 0, Rw)];
        let found = cycles(4, &edges);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].class(), (Kind::G1c, Level::Serializable));
        assert_eq!(found[0].steps.len(), 3, "{found:?}");
    }

    #[test]
    fn missed_writes_apart_are_not_write_skew() {
        use Label::{ReadWrite as Rw, WriteRead as Wr};
        let apart = cycles(4, &[(0, 1, Rw), (1, 2, Wr), (2, 3, Rw), (3, 0, Wr)]);
        assert_eq!(apart[0].class(), (Kind::GNonadjacent, Level::Serializable));
        let skew = cycles(3, &[(0, 1, Rw), (1, 2, Rw), (2, 0, Wr)]);
        assert_eq!(skew[0].class(), (Kind::G2, Level::Serializable));
        let single = cycles(3, &[(0, 1, Rw), (1, 2, Wr), (2, 0, Wr)]);
        assert_eq!(single[0].class(), (Kind::GSingle, Level::Serializable));
    }

    #[test]
    fn virtual_nodes_are_passed_and_not_named() {
        use Label::{ReadWrite, RealTime, Via};
        let edges = [(0, 2, RealTime), (2, 3, Via), (3, 1, Via), (1, 0, ReadWrite)];
        let found = cycles(4, &edges);
        assert_eq!(found[0].steps.len(), 2);
        assert_eq!(found[0].class(), (Kind::GSingle, Level::RealTime));
    }
}
