//! Cutting a table into parts of about equal work, at places that the key indexes know.

use crate::key_schema::{Position, PositionRange};
use crate::metadata::{Metadata, PageId};
use alloc::vec::Vec;

/// Cuts `within` so that each part holds about `target_rows` row versions of all files together, never splitting a key. A part's rows are bounded by the target
/// and one page of each file, so that a merge of one part fits in memory. Parts come in order and cover `within`.
pub fn splits(files: &[&Metadata], within: &PositionRange, target_rows: u64) -> Vec<PositionRange> {
    let mut borders: Vec<(Position, u64)> = Vec::new();
    for file in files {
        // The rows before a border are those of the page before it.
        for page in 1..file.page_count() {
            let rows = file.page_row_count(PageId(page - 1)) as u64;
            let position = file.page_position(PageId(page));
            if within.contains(position.slice, &position.key) {
                borders.push((position, rows));
            }
        }
    }
    borders.sort_unstable();
    let mut parts = Vec::new();
    let mut start = within.start.clone();
    let mut rows = 0;
    for (border, before) in borders {
        rows += before;
        let advances = start.as_ref().is_none_or(|start| *start < border);
        if rows >= target_rows && advances {
            parts.push(PositionRange { start, end: Some(border.clone()) });
            start = Some(border);
            rows = 0;
        }
    }
    parts.push(PositionRange { start, end: within.end.clone() });
    parts
}
