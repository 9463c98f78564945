//! The dependency graph and its strongly connected components.
//!
//! Nodes are transactions, then *virtual* nodes that stand for "all that come after this moment" and the like, so that the number of edges stays linear. An edge
//! carries one label. A labelled edge leaves a transaction; from a virtual node only `Via` edges leave, and they count for nothing. Adjacency is one array
//! of targets by source (CSR), built by running the same enumeration of edges twice: first to count, then to fill. Cost: 5 bytes an edge, 4 a node; the search
//! for components 8 more a node and a stack.

use crate::mutants;

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Label {
    /// It wrote the version before.
    WriteWrite = 1,
    /// It wrote what the other read.
    WriteRead = 2,
    /// It read the version that the other's write follows.
    ReadWrite = 4,
    /// As [`Label::ReadWrite`], known only by real time between writes of a register.
    ReadWriteByTime = 8,
    /// The same process invoked it earlier.
    Process = 16,
    /// It completed before the other was invoked.
    RealTime = 32,
    /// From a virtual node on.
    Via = 64,
}

impl Label {
    /// As a member of a [`Labels`] set.
    pub fn bit(self) -> Labels {
        self as u8
    }

    /// Whether it says that a read missed a write.
    pub fn is_missed_write(self) -> bool {
        matches!(self, Label::ReadWrite | Label::ReadWriteByTime)
    }
}

/// A set of labels.
pub type Labels = u8;

/// Edges by source.
pub struct Graph {
    starts: Vec<u32>,
    targets: Vec<u32>,
    labels: Vec<Label>,
}

/// Takes edges.
pub type Sink<'a> = &'a mut dyn FnMut(u32, u32, Label);

impl Graph {
    /// Builds it from an enumeration that gives the same edges every time.
    ///
    /// # Panics
    /// If there are 2³² edges, or the enumeration differs.
    pub fn build(nodes: usize, enumerate: impl Fn(Sink<'_>)) -> Graph {
        let mut starts = vec![0u32; nodes + 1];
        let mut edges = 0usize;
        enumerate(&mut |source, _target, _label| {
            starts[source as usize] += 1;
            edges += 1;
        });
        assert!(u32::try_from(edges).is_ok(), "edges are counted in 32 bits");
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut targets = vec![0u32; edges];
        let mut labels = vec![Label::Via; edges];
        enumerate(&mut |source, target, label| {
            let at = &mut starts[source as usize];
            *at -= 1;
            targets[*at as usize] = target;
            labels[*at as usize] = label;
        });
        Graph { starts, targets, labels }
    }

    /// How many nodes.
    pub fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    /// The edges that leave a node.
    pub fn leaving(&self, node: u32) -> impl Iterator<Item = (u32, Label)> + '_ {
        let range = self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize;
        self.targets[range.clone()].iter().copied().zip(self.labels[range].iter().copied())
    }

    /// The part between some nodes; their new number is their place in the slice.
    pub fn part(&self, nodes: &[u32]) -> Graph {
        let mut sorted: Vec<(u32, u32)> =
            nodes.iter().enumerate().map(|(place, node)| (*node, place as u32)).collect();
        sorted.sort_unstable();
        let place = |node: u32| {
            sorted.binary_search_by_key(&node, |(node, _)| *node).ok().map(|at| sorted[at].1)
        };
        Graph::build(nodes.len(), |sink: Sink<'_>| {
            for (source, node) in nodes.iter().enumerate() {
                for (target, label) in self.leaving(*node) {
                    if let Some(target) = place(target) {
                        sink(source as u32, target, label);
                    }
                }
            }
        })
    }

    /// Every strongly connected component of at least two nodes, over the edges of some labels. Tarjan's algorithm (1972), without recursion.
    pub fn components(&self, labels: Labels) -> Vec<Vec<u32>> {
        let mut search = Search {
            graph: self,
            labels,
            order: vec![UNSEEN; self.nodes()],
            low: vec![0; self.nodes()],
            open: Vec::new(),
            path: Vec::new(),
            next: 1,
            found: Vec::new(),
        };
        for root in 0..self.nodes() as u32 {
            if search.order[root as usize] == UNSEEN {
                search.from(root);
            }
        }
        search.found
    }
}

const UNSEEN: u32 = 0;
const CLOSED: u32 = u32::MAX;

struct Search<'a> {
    graph: &'a Graph,
    labels: Labels,
    /// When a node was first seen; [`UNSEEN`] before, [`CLOSED`] when its component is known.
    order: Vec<u32>,
    /// The earliest open node that it reaches.
    low: Vec<u32>,
    open: Vec<u32>,
    /// Nodes being searched, with their next edge.
    path: Vec<(u32, u32)>,
    next: u32,
    found: Vec<Vec<u32>>,
}

impl Search<'_> {
    fn enter(&mut self, node: u32) {
        self.order[node as usize] = self.next;
        self.low[node as usize] = self.next;
        self.next += 1;
        self.open.push(node);
        self.path.push((node, self.graph.starts[node as usize]));
    }

    fn from(&mut self, root: u32) {
        self.enter(root);
        while let Some((node, edge)) = self.path.last_mut() {
            let node = *node;
            if *edge == self.graph.starts[node as usize + 1] {
                self.path.pop();
                self.leave(node);
                continue;
            }
            let at = *edge as usize;
            *edge += 1;
            if self.graph.labels[at].bit() & self.labels == 0 {
                continue;
            }
            let target = self.graph.targets[at];
            match self.order[target as usize] {
                UNSEEN => self.enter(target),
                CLOSED => {}
                order => self.low[node as usize] = self.low[node as usize].min(order),
            }
        }
    }

    fn leave(&mut self, node: u32) {
        let low = self.low[node as usize];
        if let Some((parent, _)) = self.path.last()
            && !mutants::live(mutants::LOW_LINK_NOT_PASSED_UP)
        {
            let parent = *parent as usize;
            self.low[parent] = self.low[parent].min(low);
        }
        if low != self.order[node as usize] {
            return;
        }
        let begin = self
            .open
            .iter()
            .rposition(|open| *open == node)
            .expect("a node stays open until its component is closed");
        for member in &self.open[begin..] {
            self.order[*member as usize] = CLOSED;
        }
        if self.open.len() - begin > 1 {
            self.found.push(self.open[begin..].to_vec());
        }
        self.open.truncate(begin);
    }
}

#[cfg(test)]
mod tests {
    use super::{Graph, Label, Sink};
    use crate::random::Random;

    /// By transitive closure.
    fn naive(nodes: usize, edges: &[(u32, u32)]) -> Vec<Vec<u32>> {
        let mut reach = vec![vec![false; nodes]; nodes];
        for (source, target) in edges {
            reach[*source as usize][*target as usize] = true;
        }
        for middle in 0..nodes {
            for source in 0..nodes {
                for target in 0..nodes {
                    let through = reach[source][middle] && reach[middle][target];
                    reach[source][target] |= through;
                }
            }
        }
        let mut components: Vec<Vec<u32>> = (0..nodes)
            .map(|a| {
                (0..nodes)
                    .filter(|b| a == *b || (reach[a][*b] && reach[*b][a]))
                    .map(|node| node as u32)
                    .collect()
            })
            .collect();
        components.sort();
        components.dedup();
        components.retain(|component| component.len() > 1);
        components
    }

    #[test]
    fn components_are_those_of_the_closure() {
        let mut random = Random::new(1);
        let mut several = 0;
        for _ in 0..3_000 {
            let nodes = 1 + random.below(9);
            let edges: Vec<(u32, u32)> = (0..random.below(16))
                .map(|_| (random.below(nodes) as u32, random.below(nodes) as u32))
                .filter(|(source, target)| source != target)
                .collect();
            let graph = Graph::build(nodes as usize, |sink: Sink<'_>| {
                for (source, target) in &edges {
                    sink(*source, *target, Label::WriteRead);
                    sink(*target, *source, Label::Process);
                }
            });
            let mut found = graph.components(Label::WriteRead.bit());
            found.iter_mut().for_each(|component| component.sort_unstable());
            found.sort();
            several += usize::from(found.len() > 1);
            assert_eq!(found, naive(nodes as usize, &edges), "{edges:?}");
        }
        assert!(several > 50, "{several} graphs had more than one component");
    }
}
