//! Which cores serve shards and which the background.
//!
//! Default: background cores are a quarter of the cores this process may use, at least one; shards
//! are the rest; on one core both live together. Either number can be set; if together they need
//! more cores than there are, shards keep a core each as far as cores go and the background shares
//! from the last core down.

use types::limits::SHARDS_MAX;

use crate::error::RuntimeError;

/// Where everything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuPlan {
    /// The CPU of each shard, by shard id.
    pub shard_cpus: Vec<usize>,
    /// The CPUs of the background threads.
    pub background_cpus: Vec<usize>,
    /// Whether some CPU serves both.
    pub sharing: CpuSharing,
}

/// Whether background threads share CPUs with shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuSharing {
    /// Apart: scans run in the batch class.
    Apart,
    /// Shared: scans run only when nothing else wants the CPU.
    Shared,
}

/// Splits the CPUs this process may use.
///
/// # Errors
/// [`RuntimeError::ShardCount`] for zero shards or more than the limit.
pub fn plan(
    cpus: &[usize],
    shards: Option<u16>,
    background: Option<u16>,
) -> Result<CpuPlan, RuntimeError> {
    assert!(!cpus.is_empty(), "a running process has a CPU");
    let count = cpus.len();
    if let Some(asked) = shards
        && !(1..=SHARDS_MAX).contains(&asked)
    {
        return Err(RuntimeError::ShardCount { asked, most: SHARDS_MAX });
    }
    let background_wanted = background.map_or((count / 4).max(1), usize::from).clamp(1, count);
    let default_shards = (count - background_wanted.min(count - 1)).min(usize::from(SHARDS_MAX));
    let shard_count = shards.map_or(default_shards, usize::from);
    let shard_cpus: Vec<usize> = (0..shard_count).map(|shard| cpus[shard % count]).collect();
    let background_cpus: Vec<usize> = cpus[count - background_wanted..].to_vec();
    let shared = shard_cpus.iter().any(|cpu| background_cpus.contains(cpu));
    let sharing = if shared { CpuSharing::Shared } else { CpuSharing::Apart };
    Ok(CpuPlan { shard_cpus, background_cpus, sharing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(count: usize, shards: Option<u16>, background: Option<u16>) -> (usize, usize, bool) {
        let cpus: Vec<usize> = (0..count).map(|cpu| cpu + 10).collect();
        let plan = plan(&cpus, shards, background).expect("a possible plan");
        let shared = plan.sharing == CpuSharing::Shared;
        (plan.shard_cpus.len(), plan.background_cpus.len(), shared)
    }

    #[test]
    fn a_quarter_goes_to_the_background() {
        assert_eq!(split(1, None, None), (1, 1, true));
        assert_eq!(split(2, None, None), (1, 1, false));
        assert_eq!(split(4, None, None), (3, 1, false));
        assert_eq!(split(16, None, None), (12, 4, false));
    }

    #[test]
    fn settings_may_overlap_and_say_so() {
        assert_eq!(split(2, Some(2), None), (2, 1, true));
        assert_eq!(split(2, Some(4), Some(2)), (4, 2, true));
        assert_eq!(split(8, Some(2), Some(6)), (2, 6, false));
        assert_eq!(split(8, None, Some(20)), (1, 8, true));
    }

    #[test]
    fn no_shard_and_too_many_are_refused() {
        assert!(plan(&[0], Some(0), None).is_err());
        assert!(plan(&[0], Some(SHARDS_MAX + 1), None).is_err());
    }
}
