//! How much a write waits, as a pure function of what flush and compaction still owe. Smooth: a little more debt is a little more delay; only beyond the
//! bounds does a write wait for something to finish.

use std::time::Duration;

/// What is owed, in the units of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteDebt {
    /// Bytes of all memtables and the write that asks.
    pub memory_bytes: u64,
    /// Where writes wait for a flush.
    pub memory_bytes_max: u64,
    /// Files of level zero of the table that has most.
    pub level_zero_files: usize,
    /// Where compaction begins.
    pub level_zero_files_wanted: usize,
    /// Segments that the log has left.
    pub log_segments_free: usize,
    /// Segments that the write that asks may need.
    pub log_segments_needed: usize,
}

/// Delay of one write at the edge of waiting.
const DELAY_MAX: Duration = Duration::from_millis(20);
/// Level-zero files, as a multiple of where compaction begins, beyond which writes wait.
const LEVEL_ZERO_BOUND: usize = 6;
/// Share of a bound, in hundredths, from which on writes are slowed.
const FREE_SHARE: u64 = 50;

impl WriteDebt {
    /// Whether a write has to wait until something has finished.
    pub fn is_over(&self) -> bool {
        self.memory_bytes > self.memory_bytes_max
            || self.level_zero_files > self.level_zero_files_wanted * LEVEL_ZERO_BOUND
            || self.log_segments_free < self.log_segments_needed
    }
}

/// How long a write waits; nothing while there is little debt.
pub fn delay_for(debt: &WriteDebt) -> Option<Duration> {
    let share = |part: u64, whole: u64| (part * 100 / whole.max(1)).min(100);
    let memory = share(debt.memory_bytes, debt.memory_bytes_max);
    let bound = debt.level_zero_files_wanted * LEVEL_ZERO_BOUND;
    let files = share(debt.level_zero_files as u64, bound as u64);
    let over = memory.max(files).saturating_sub(FREE_SHARE);
    if over == 0 {
        return None;
    }
    // Quadratic, so that the first half of the way to the bound hardly shows.
    let span = 100 - FREE_SHARE;
    let micros = DELAY_MAX.as_micros() as u64 * over * over / (span * span);
    Some(Duration::from_micros(micros.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debt(memory: u64, files: usize) -> WriteDebt {
        WriteDebt {
            memory_bytes: memory,
            memory_bytes_max: 1000,
            level_zero_files: files,
            level_zero_files_wanted: 4,
            log_segments_free: 3,
            log_segments_needed: 1,
        }
    }

    #[test]
    fn more_debt_is_never_less_delay_and_none_is_none() {
        assert_eq!(delay_for(&debt(100, 4)), None);
        let mut last = Duration::ZERO;
        for memory in (500..=1000).step_by(10) {
            let delay = delay_for(&debt(memory, 0)).unwrap_or_default();
            assert!(delay >= last);
            last = delay;
        }
        assert_eq!(last, DELAY_MAX);
        assert!(!debt(1000, 24).is_over());
        assert!(debt(1001, 0).is_over());
        assert!(debt(0, 25).is_over());
        assert!(WriteDebt { log_segments_free: 0, ..debt(0, 0) }.is_over());
    }
}
