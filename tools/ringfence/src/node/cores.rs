//! The threads of a node, by whichever driver turns them.

use anyhow::Result;
use platform::{Core, Shutdown};
use runtime::{CpuPlan, Pinning, RuntimeOptions};

use runtime_glommio::{GlommioNode, GlommioOptions};
use shard::ShardMessage;

use crate::config::{NodeSettings, RuntimeKind};

/// Which CPUs serve what.
pub struct CpuShares {
    options: RuntimeOptions,
    plan: CpuPlan,
}

impl CpuShares {
    /// By the settings and the CPUs that this process may use.
    ///
    /// # Errors
    /// When the numbers asked for are impossible.
    pub fn plan(settings: &NodeSettings) -> Result<CpuShares> {
        let options = RuntimeOptions {
            shards: settings.shards,
            background_cores: settings.background_cores,
            pinning: if settings.pin { Pinning::Pinned } else { Pinning::Floating },
            direct_io: runtime::DirectIo::Required,
            data_directory: Some(settings.data.clone()),
        };
        let plan = runtime::plan_cpus(&options)?;
        Ok(CpuShares { options, plan })
    }

    /// Shard cores.
    pub fn shard_count(&self) -> u16 {
        self.plan.shard_cpus.len() as u16
    }

    /// Background cores.
    pub fn background_count(&self) -> usize {
        self.plan.background_cpus.len()
    }

    fn for_glommio(&self) -> GlommioOptions {
        let pinned = self.options.pinning == Pinning::Pinned;
        GlommioOptions {
            shard_cpus: self.plan.shard_cpus.iter().map(|cpu| pinned.then_some(*cpu)).collect(),
            background_threads: self.plan.background_cpus.len(),
            direct_io: runtime_glommio::DirectIo::Required,
        }
    }
}

/// The running threads.
pub enum Cores {
    /// Our own executor on io_uring.
    Uring(runtime::Node),
    /// The second driver.
    Glommio(GlommioNode),
}

impl Cores {
    /// Starts all threads and runs `main` on each shard core.
    ///
    /// # Errors
    /// When this machine cannot run it, with a sentence that says what to change.
    pub fn start<F, Main>(cpus: &CpuShares, settings: &NodeSettings, main: F) -> Result<Cores>
    where
        F: Fn(Core<ShardMessage>) -> Main + Send + Sync + 'static,
        Main: Future<Output = ()> + 'static,
    {
        Ok(match settings.runtime {
            RuntimeKind::Uring => Cores::Uring(runtime::start(&cpus.options, main)?),
            RuntimeKind::Glommio => {
                // Direct I/O and the kernel are tried by the same words as for the first driver.
                runtime::probe(cpus.options.data_directory.as_deref(), cpus.options.direct_io)?;
                Cores::Glommio(runtime_glommio::start(&cpus.for_glommio(), main)?)
            }
        })
    }

    /// What ends the node when requested.
    pub fn shutdown(&self) -> &Shutdown {
        match self {
            Cores::Uring(node) => node.shutdown(),
            Cores::Glommio(node) => node.shutdown(),
        }
    }

    /// Waits until every core's main future has ended, then ends the other threads.
    pub fn join(self) {
        match self {
            Cores::Uring(node) => node.join(),
            Cores::Glommio(node) => node.join(),
        }
    }
}
