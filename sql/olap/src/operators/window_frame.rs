//! Which rows of a partition count for each row: peers and frames.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::SortOptions;
use datafusion::common::Result;
use plan::query::{FrameExclude, FrameUnits};

/// A frame with its offsets known.
#[derive(Clone, Debug)]
pub(crate) struct FrameSpec {
    pub(crate) units: FrameUnits,
    pub(crate) start: Bound,
    pub(crate) end: Bound,
    pub(crate) exclude: FrameExclude,
}

/// A bound of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    UnboundedPreceding,
    /// This many rows or groups before.
    Preceding(usize),
    CurrentRow,
    /// This many rows or groups after.
    Following(usize),
    UnboundedFollowing,
    /// A value of the sort key: two of the columns that the operator reads, the row's key and the bound, in one type.
    Value {
        key: usize,
        bound: usize,
        descending: bool,
    },
}

/// Groups of peers of one partition.
pub(super) struct Peers {
    /// Group of each row.
    pub(super) group: Vec<u32>,
    /// First row of each group, and the number of rows.
    pub(super) starts: Vec<usize>,
}

impl Peers {
    /// Peers are neighbours with equal keys; without keys all rows are.
    pub(super) fn of(keys: &[ArrayRef], row_count: usize) -> Result<Peers> {
        let comparators = keys
            .iter()
            .map(|key| make_comparator(key, key, SortOptions::default()))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let mut peers = Peers { group: Vec::with_capacity(row_count), starts: Vec::new() };
        for row in 0..row_count {
            let same = row > 0 && comparators.iter().all(|compare| compare(row - 1, row).is_eq());
            if !same {
                peers.starts.push(row);
            }
            peers.group.push(peers.starts.len() as u32 - 1);
        }
        peers.starts.push(row_count);
        Ok(peers)
    }

    pub(super) fn groups(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn start(&self, row: usize) -> usize {
        self.starts[self.group[row] as usize]
    }

    pub(super) fn end(&self, row: usize) -> usize {
        self.starts[self.group[row] as usize + 1]
    }
}

/// The frames of one partition.
pub(super) struct Frames<'a> {
    pub(super) spec: &'a FrameSpec,
    pub(super) peers: &'a Peers,
    pub(super) row_count: usize,
    /// All columns that the operator reads, for value bounds.
    pub(super) columns: &'a [ArrayRef],
}

impl Frames<'_> {
    /// First row, and one past the last, for each row. Exclusions are not taken off.
    pub(super) fn ranges(&self) -> Result<Vec<(usize, usize)>> {
        let starts = self.edges(self.spec.start, Edge::Start)?;
        let ends = self.edges(self.spec.end, Edge::End)?;
        Ok(starts.into_iter().zip(ends).map(|(start, end)| (start, end.max(start))).collect())
    }

    fn edges(&self, bound: Bound, edge: Edge) -> Result<Vec<usize>> {
        if let Bound::Value { key, bound, descending } = bound {
            return self.value_edges(&self.columns[key], &self.columns[bound], descending, edge);
        }
        Ok((0..self.row_count).map(|row| self.edge(bound, edge, row)).collect())
    }

    fn edge(&self, bound: Bound, edge: Edge, row: usize) -> usize {
        let n = self.row_count;
        let past = usize::from(edge == Edge::End);
        let rows = self.spec.units == FrameUnits::Rows;
        let group = self.peers.group[row] as usize;
        let groups = self.peers.groups();
        match bound {
            Bound::UnboundedPreceding => 0,
            Bound::UnboundedFollowing => n,
            Bound::CurrentRow if rows => row + past,
            Bound::CurrentRow => match edge {
                Edge::Start => self.peers.start(row),
                Edge::End => self.peers.end(row),
            },
            Bound::Preceding(count) if rows => (row + past).saturating_sub(count),
            Bound::Following(count) if rows => {
                row.saturating_add(count).saturating_add(past).min(n)
            }
            Bound::Preceding(count) => match (group + past).checked_sub(count) {
                Some(group) => self.peers.starts[group],
                None => 0,
            },
            Bound::Following(count) => {
                let group = group.saturating_add(count).saturating_add(past);
                self.peers.starts[group.min(groups)]
            }
            Bound::Value { .. } => panic!("value bounds are compared, not counted"),
        }
    }

    /// Frames of values: rows whose key is not before (or not after) the bound. A NULL key is within reach of its peers only.
    fn value_edges(
        &self,
        keys: &ArrayRef,
        bounds: &ArrayRef,
        descending: bool,
        edge: Edge,
    ) -> Result<Vec<usize>> {
        let compare = make_comparator(keys, bounds, SortOptions::default())?;
        let order = |candidate: usize, row: usize| {
            let order = compare(candidate, row);
            if descending { order.reverse() } else { order }
        };
        // Keys that are NULL stand together at one end.
        let first = (0..self.row_count).find(|row| keys.is_valid(*row)).unwrap_or(0);
        let count = self.row_count - keys.null_count();
        let mut edges = Vec::with_capacity(self.row_count);
        for row in 0..self.row_count {
            if keys.is_null(row) || bounds.is_null(row) {
                edges.push(match edge {
                    Edge::Start => self.peers.start(row),
                    Edge::End => self.peers.end(row),
                });
                continue;
            }
            let before = |candidate: usize| match edge {
                Edge::Start => order(candidate, row) == Ordering::Less,
                Edge::End => order(candidate, row) != Ordering::Greater,
            };
            let (mut low, mut high) = (first, first + count);
            while low < high {
                let middle = low + (high - low) / 2;
                if before(middle) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            edges.push(low);
        }
        Ok(edges)
    }

    /// Whether a row of the frame is left out of it.
    pub(super) fn excludes(&self, current: usize, row: usize) -> bool {
        let peer = self.peers.group[current] == self.peers.group[row];
        match self.spec.exclude {
            FrameExclude::NoOthers => false,
            FrameExclude::CurrentRow => current == row,
            FrameExclude::Group => peer,
            FrameExclude::Ties => peer && current != row,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Start,
    End,
}
