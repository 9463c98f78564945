//! Which of some rows are meant: all, or a list in ascending order.

use alloc::vec::Vec;

/// Rows of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of so many.
    All(usize),
    /// These, ascending.
    Rows(Vec<u32>),
}

impl Selection {
    /// Number of rows selected.
    pub fn len(&self) -> usize {
        match self {
            Selection::All(count) => *count,
            Selection::Rows(rows) => rows.len(),
        }
    }

    /// Whether no row is selected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows as a list.
    pub fn to_rows(&self) -> Vec<u32> {
        match self {
            Selection::All(count) => (0..*count as u32).collect(),
            Selection::Rows(rows) => rows.clone(),
        }
    }

    /// The rows of `first .. end` that `keep` accepts, as `All` of `total` where that is every one.
    pub(crate) fn of(
        total: usize,
        first: usize,
        end: usize,
        mut keep: impl FnMut(usize) -> bool,
    ) -> Selection {
        let rows: Vec<u32> = (first..end).filter(|row| keep(*row)).map(|row| row as u32).collect();
        if rows.len() == total { Selection::All(total) } else { Selection::Rows(rows) }
    }

    /// The selected among the selected: `inner` speaks of positions in this selection.
    pub fn narrow(&self, inner: &Selection) -> Selection {
        match (self, inner) {
            (outer, Selection::All(_)) => outer.clone(),
            (Selection::All(_), inner) => inner.clone(),
            (Selection::Rows(rows), Selection::Rows(inner)) => {
                Selection::Rows(inner.iter().map(|at| rows[*at as usize]).collect())
            }
        }
    }
}
