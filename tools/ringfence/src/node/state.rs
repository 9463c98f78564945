//! What the cores of a node share: the catalog's newest picture, their addresses, counters. Touched on changes of the schema and at start, never by a
//! statement's data.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use anyhow::{Result, bail};
use net::pg::cancel::CancelRequest;
use plan::catalog::Catalog;
use platform::{ChannelSender, Platform};
use shard::NodeShared;

use crate::config::NodeSettings;

/// Something another core asks of a core, beside data.
#[derive(Clone, Debug)]
pub enum CoreTask {
    /// A cancel request for one of its sessions.
    Cancel {
        /// Which.
        process_id: u32,
        /// The proof.
        secret: Vec<u8>,
    },
}

/// Shared by all cores of a node.
pub struct NodeState {
    /// Settings.
    pub settings: NodeSettings,
    /// The password of a new data directory.
    pub password: Option<String>,
    /// Shard cores.
    pub shard_count: u16,
    /// Background cores.
    pub background_count: usize,
    /// Words that the shards share.
    pub shared: NodeShared,
    /// When the process started.
    pub started: Instant,
    /// Where Postgres clients connect, once bound.
    pub listen: OnceLock<SocketAddr>,
    /// Where metrics are, once bound.
    pub http: OnceLock<SocketAddr>,
    /// Client sessions that there may be.
    pub connections: u32,
    /// Client sessions on all cores.
    pub sessions: Arc<AtomicU32>,
    /// Loads in bulk that are under way.
    pub bulk_loads: Arc<AtomicUsize>,
    catalog: RwLock<Arc<Catalog>>,
    catalog_version: AtomicU64,
    tasks: Mutex<Vec<Option<ChannelSender<CoreTask>>>>,
    ready_cores: AtomicU64,
    failure: Mutex<Option<String>>,
    analytics: Mutex<Option<Arc<olap::Analytics>>>,
    /// Numbers of each core for `/metrics`, refreshed by the core itself.
    pub numbers: Mutex<Vec<super::status::CoreNumbers>>,
}

impl NodeState {
    /// Of a node that is starting.
    pub fn new(
        settings: NodeSettings,
        password: Option<String>,
        connections: u32,
        shard_count: u16,
        background_count: usize,
    ) -> NodeState {
        let count = usize::from(shard_count);
        NodeState {
            settings,
            password,
            shard_count,
            background_count,
            shared: NodeShared::new(shard_count),
            started: Instant::now(),
            listen: OnceLock::new(),
            http: OnceLock::new(),
            connections,
            sessions: Arc::default(),
            bulk_loads: Arc::default(),
            catalog: RwLock::new(Arc::new(Catalog::initial())),
            catalog_version: AtomicU64::new(u64::MAX),
            tasks: Mutex::new((0..count).map(|_| None).collect()),
            ready_cores: AtomicU64::new(0),
            failure: Mutex::new(None),
            analytics: Mutex::new(None),
            numbers: Mutex::new(vec![super::status::CoreNumbers::default(); count]),
        }
    }

    /// Analytics; the first core to ask starts it.
    ///
    /// # Errors
    /// If the system refuses its threads.
    pub fn analytics(&self, platform: &Platform) -> Result<Arc<olap::Analytics>, String> {
        let mut kept = self.analytics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(analytics) = &*kept {
            return Ok(analytics.clone());
        }
        let started = crate::analytics::start(self, platform);
        let started = Arc::new(started.map_err(|error| super::boot::describe(&error))?);
        *kept = Some(started.clone());
        Ok(started)
    }

    /// Version of the newest catalog; cores keep their picture while it stands.
    pub fn catalog_version(&self) -> u64 {
        self.catalog_version.load(Ordering::Acquire)
    }

    /// The newest catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a committed catalog the newest, unless a newer one is known.
    pub fn publish(&self, catalog: Arc<Catalog>) {
        let mut current = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        let unset = self.catalog_version() == u64::MAX;
        if !unset && catalog.version() <= current.version() {
            return;
        }
        self.catalog_version.store(catalog.version().0, Ordering::Release);
        *current = catalog;
    }

    /// Registers where a core takes its tasks.
    pub fn set_tasks(&self, shard: usize, sender: ChannelSender<CoreTask>) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)[shard] = Some(sender);
    }

    /// Asks something of a core. A core that is gone or has more to do than it can take drops it: all tasks are hints.
    pub fn ask(&self, shard: usize, task: CoreTask) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(sender)) = tasks.get(shard)
            && sender.try_send(task).is_err()
        {
            tracing::warn!(shard, "a core did not take a task");
        }
    }

    /// Routes a cancel request to the core of its session.
    pub fn route_cancel(&self, request: &CancelRequest) {
        let task =
            CoreTask::Cancel { process_id: request.process_id, secret: request.secret.clone() };
        self.ask(request.core_index() as usize, task);
    }

    /// A core accepts connections; gives whether it was the last one.
    pub fn core_is_ready(&self) -> bool {
        self.ready_cores.fetch_add(1, Ordering::AcqRel) + 1 == u64::from(self.shard_count)
    }

    /// Whether all cores accept connections.
    pub fn is_ready(&self) -> bool {
        self.ready_cores.load(Ordering::Acquire) >= u64::from(self.shard_count)
    }

    /// Remembers why the node must end.
    pub fn fail(&self, reason: String) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(reason);
    }

    /// How the node ended.
    pub fn outcome(&self) -> Result<()> {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(reason) => bail!("{reason}"),
        }
    }
}
