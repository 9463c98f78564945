//! One core of a running node: its tree, its shard, its sessions.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use net::pg::auth::Verifier;
use net::pg::cancel::{CancelRegistry, CancelRequest};
use net::pg::listener::{PgListener, PgListenerSettings, SecretSource, SystemSecrets};
use plan::catalog::{Catalog, VirtualTable};
use platform::{Core, Platform, SchedulingClass, channel, sleep, spawn};
use session::node::{BulkRequest, Node, ScanRequest};
use session::{SqlError, system};
use shard::{Attachment, Shard, ShardClient, ShardMessage, ShardOptions};
use storage::{DataDirectory, TableLayout, Tree};
use types::prng::Prng;
use types::{ShardId, TableId, TableSchema, Value};

use super::boot::{self, CoreStart, describe};
use super::state::{CoreTask, NodeState};
use super::{offline, status};
use crate::analytics::CoreAnalytics;
use crate::bulk::{CoreBulk, CoreScan};
use crate::pg_backend::Backend;

/// Seconds from 1970-01-01 to 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Tasks that a core may have waiting.
const TASKS_MAX: usize = 1_024;
/// How long a stopping node waits for sessions to end.
const DRAIN_SECONDS_MAX: u64 = 20;

/// What a core does once its shard runs.
pub enum Duty {
    /// Serves clients until the node stops.
    Serve,
    /// Answers one query, then ends.
    Answer(offline::Query),
}

/// Runs one core until its duty is done.
pub async fn run(core: Core<ShardMessage>, state: Arc<NodeState>, start: CoreStart, duty: Duty) {
    if let Err(reason) = run_to_end(&core, &state, start, duty).await {
        state.fail(reason);
        core.shutdown.request();
    }
}

async fn run_to_end(
    core: &Core<ShardMessage>,
    state: &Arc<NodeState>,
    start: CoreStart,
    duty: Duty,
) -> Result<(), String> {
    let platform = core.platform.clone();
    if let Some(givers) = start.givers {
        boot::open_directory(&platform, state, givers).await;
    }
    let opened = start.opened.await?;
    let tree = Tree::start(platform.clone(), opened.directory.clone(), opened.start).await;
    let tree = tree.map_err(|error| describe(&error))?;
    for layout in boot::system_layouts() {
        tree.define(&layout);
    }
    let owns_catalog = {
        let table = system::system_rows(tree.slice_count());
        tree.owns(system::system_address(&table, system::Kind::Header, "").slice)
    };
    if owns_catalog {
        let read = boot::read_catalog(&tree).await.map(Arc::new);
        let givers = std::mem::take(&mut *start.catalog_givers.lock().map_err(|_| "poisoned")?);
        for giver in givers {
            giver.complete(read.clone());
        }
    }
    let catalog = start.catalog.await?;
    let mut options = ShardOptions::new(opened.reservation);
    options.schema = catalog.tables().map(|table| (table.table_id, table.version)).collect();
    let sequences = catalog.sequences();
    options.schema.extend(sequences.map(|sequence| (sequence.sequence_id, sequence.version)));
    options.schema.push((system::SYSTEM_TABLE, system::system_schema().version));
    let mesh = core.mesh.clone();
    let shard = Shard::start(platform.clone(), mesh, tree.clone(), state.shared.clone(), options);
    let known = boot::storages(&catalog);
    shard.drop_unknown_tables(&known).await.map_err(|error| describe(&error))?;
    state.publish(catalog.clone());
    let analytics = state.analytics(&platform)?;
    let node = Rc::new(CoreNode {
        client: shard.client(),
        state: state.clone(),
        platform: platform.clone(),
        directory: opened.directory,
        analytics: CoreAnalytics::new(shard.client(), analytics),
        catalog: RefCell::new((state.catalog_version(), state.catalog())),
        prng: RefCell::new(Prng::new(random_seed()?)),
    });
    if core.shard == ShardId(0) && catalog.roles().next().is_none() {
        let verifier = state.password.as_deref().map(|password| node.password_verifier(password));
        let attachment = Attachment::new(boot::system_layouts().into(), Vec::new());
        let made = system::make_roles(&node.client, &catalog, verifier, attachment.encode()).await;
        state.publish(Arc::new(made.map_err(|error| describe(&error))?));
    }
    match duty {
        Duty::Serve => serve(core, state, node, &shard).await?,
        Duty::Answer(query) => {
            if let Some(failure) = first(offline::answer(query, node), shard.failed()).await {
                return Err(format!("shard {} failed: {failure}", core.shard));
            }
        }
    }
    tree.close().await.map_err(|error| describe(&error))
}

fn random_seed() -> Result<u64, String> {
    let mut seed = [0u8; 8];
    let filled = SystemSecrets::default().fill(&mut seed);
    filled.map_err(|_| "the system has no random bytes")?;
    Ok(u64::from_le_bytes(seed))
}

/// Listens until the node stops or the shard fails.
async fn serve(
    core: &Core<ShardMessage>,
    state: &Arc<NodeState>,
    node: Rc<CoreNode>,
    shard: &Shard,
) -> Result<(), String> {
    let spawner = core.platform.spawner.clone();
    let registry = CancelRegistry::new(u32::from(core.shard.0));
    let routes = state.clone();
    let route = Box::new(move |request: CancelRequest| routes.route_cancel(&request));
    let backend = Backend::new(node.clone(), route);
    let mut secret = [0u8; 32];
    let secrets = Rc::new(SystemSecrets::default());
    secrets.fill(&mut secret).map_err(|_| "the system has no random bytes")?;
    let settings = PgListenerSettings {
        sessions_max: state.connections,
        sessions: state.sessions.clone(),
        ..PgListenerSettings::new(secret)
    };
    let listener = PgListener::new(backend, settings, spawner.clone(), secrets, registry.clone());
    run_tasks(state, core, registry);
    wait_for_password_rule(state)?;
    let address = listen_address(state, core).await;
    let socket = core
        .listener(address)
        .map_err(|error| format!("cannot listen on {address}: {}", describe(&error)))?;
    if core.shard == ShardId(0) {
        let _ = state.listen.set(socket.local_address());
    }
    let accepting = listener.clone();
    spawn(&*spawner, SchedulingClass::Foreground, "accept", async move {
        accepting.accept_on(socket).await;
    });
    if state.core_is_ready() {
        status::print_ready(state);
    }
    let refresh = status::refresh(state.clone(), core.shard, node.clone(), listener.clone());
    spawn(&*spawner, SchedulingClass::Maintenance, "numbers", refresh);
    let failed = first(core.shutdown.requested(), shard.failed()).await;
    listener.stop();
    if let Some(failure) = failed {
        // Nothing more can become durable: every client learns it, then the process ends.
        return Err(format!("shard {} failed: {failure}", core.shard));
    }
    let seconds = Duration::from_secs(DRAIN_SECONDS_MAX);
    if first(listener.drained(), sleep(&spawner, seconds)).await.is_some() {
        tracing::warn!("sessions that are still at work are cut off");
    }
    Ok(())
}

/// Without a password the node listens on loopback only.
fn wait_for_password_rule(state: &NodeState) -> Result<(), String> {
    let listen = state.settings.listen;
    if listen.ip().is_loopback() {
        return Ok(());
    }
    let catalog = state.catalog();
    let has_password = catalog.roles().any(|role| role.verifier.is_some());
    if has_password || state.password.is_some() {
        return Ok(());
    }
    Err(format!(
        "refusing to listen on {listen} without a password; set RINGFENCE_PASSWORD or --password-file at the \
         first start, or ALTER ROLE ringfence PASSWORD '…' while listening on loopback"
    ))
}

/// The first core binds the address; the others join it, which matters when the port was chosen by the system.
async fn listen_address(state: &NodeState, core: &Core<ShardMessage>) -> std::net::SocketAddr {
    if core.shard == ShardId(0) {
        return state.settings.listen;
    }
    loop {
        if let Some(address) = state.listen.get() {
            return *address;
        }
        if core.shutdown.is_requested() {
            return state.settings.listen;
        }
        sleep(&core.platform.spawner, Duration::from_millis(1)).await;
    }
}

/// Waits for one of two things; gives the second one's value if it came first.
async fn first<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> Option<B> {
    let mut one = std::pin::pin!(one);
    let mut other = std::pin::pin!(other);
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if let Poll::Ready(value) = other.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        one.as_mut().poll(cx).map(|_| None)
    })
    .await
}

fn run_tasks(state: &Arc<NodeState>, core: &Core<ShardMessage>, registry: Rc<CancelRegistry>) {
    let (sender, mut receiver) = channel(TASKS_MAX);
    state.set_tasks(core.shard.index(), sender);
    let state = state.clone();
    spawn(&*core.platform.spawner, SchedulingClass::Maintenance, "tasks", async move {
        while let Some(task) = std::future::poll_fn(|cx| receiver.poll_recv(cx)).await {
            match task {
                CoreTask::Cancel { process_id, secret } => {
                    let now = state.started.elapsed().as_secs();
                    registry.cancel(&CancelRequest { process_id, secret }, now);
                }
            }
        }
    });
}

/// The node, as the sessions of one core see it.
pub struct CoreNode {
    pub(super) client: ShardClient,
    pub(super) state: Arc<NodeState>,
    pub(super) platform: Platform,
    directory: Arc<DataDirectory>,
    analytics: CoreAnalytics,
    /// The catalog as this core saw it last, and its version.
    catalog: RefCell<(u64, Arc<Catalog>)>,
    prng: RefCell<Prng>,
}

impl Node for CoreNode {
    type Engine = ShardClient;
    type Analytics = CoreAnalytics;
    type Bulk = CoreBulk;
    type Scan = CoreScan;

    fn engine(&self) -> &ShardClient {
        &self.client
    }

    fn analytics(&self) -> &CoreAnalytics {
        &self.analytics
    }

    fn catalog(&self) -> Arc<Catalog> {
        let mut kept = self.catalog.borrow_mut();
        let version = self.state.catalog_version();
        if kept.0 != version {
            let catalog = self.state.catalog();
            *kept = (catalog.version().0, catalog);
        }
        kept.1.clone()
    }

    async fn publish_catalog(&self, catalog: Arc<Catalog>) -> Result<(), SqlError> {
        self.state.publish(catalog);
        Ok(())
    }

    fn attachment(&self, tables: &[Arc<TableSchema>], ended: &[TableId]) -> Vec<u8> {
        // The system tables' layouts travel with every change: replay needs them before the rows of this very record.
        let mut layouts: Vec<TableLayout> = boot::system_layouts().into();
        for table in tables {
            layouts.push(TableLayout::of_table(table));
            layouts.extend(table.indexes.iter().map(|index| TableLayout::of_index(table, index)));
        }
        Attachment::new(layouts, ended.to_vec()).encode()
    }

    fn wall_micros(&self) -> i64 {
        self.platform.clock.wall_micros() as i64 - POSTGRES_EPOCH_MICROS
    }

    async fn sleep(&self, milliseconds: u64) {
        sleep(&self.platform.spawner, Duration::from_millis(milliseconds)).await;
    }

    fn random_bits(&self) -> u64 {
        self.prng.borrow_mut().next_u64()
    }

    fn status_rows(&self, table: VirtualTable) -> Vec<Vec<Value>> {
        status::rows(&self.state, table)
    }

    fn password_verifier(&self, password: &str) -> Box<str> {
        let mut salt = [0u8; 16];
        self.prng.borrow_mut().fill(&mut salt);
        Verifier::of_password(password, salt).to_string().into()
    }

    fn start_bulk(&self, request: BulkRequest) -> Result<CoreBulk, SqlError> {
        CoreBulk::start(self, request)
    }

    async fn scan_table(&self, request: ScanRequest<'_, CoreBulk>) -> Result<CoreScan, SqlError> {
        CoreScan::start(self, request).await
    }
}

impl CoreNode {
    /// What the shards share on disk.
    pub fn directory(&self) -> &Arc<DataDirectory> {
        &self.directory
    }

    /// The world outside.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Transactions.
    pub fn client(&self) -> &ShardClient {
        &self.client
    }

    /// What the cores share.
    pub fn state(&self) -> &Arc<NodeState> {
        &self.state
    }
}
