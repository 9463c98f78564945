//! One query over the data directory of a stopped node: recovered and read as `serve` would, by one core, without a listener.

use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use platform::{ChannelReceiver, ChannelSender};
use session::output::{Format, Formats};
use session::{Identity, Session, SqlError};
use storage::directory_lock::DirectoryLock;

use super::boot;
use super::core::{self, CoreNode, Duty};
use super::cores::{Cores, CpuShares};
use super::state::NodeState;
use crate::config::{Given, NodeSettings};
use crate::pg_backend::QueueOutput;

/// Pieces of the answer that wait for their reader.
const PIECES_MAX: usize = 16;

/// What comes of a query.
pub enum Piece {
    /// Messages of the wire: RowDescription first, then rows.
    Messages(Vec<u8>),
    /// Why there is no more.
    Failed(SqlError),
}

/// A query for the one core.
pub struct Query {
    sql: String,
    format: Format,
    pieces: ChannelSender<Piece>,
}

/// A stopped node that answers one query.
pub struct Offline {
    cores: Cores,
    state: Arc<NodeState>,
    pieces: ChannelReceiver<Piece>,
    _lock: DirectoryLock,
}

impl Offline {
    /// Opens the directory and starts the query.
    ///
    /// # Errors
    /// When it is no data directory, or a server holds it.
    pub fn start(data: &Path, sql: String, format: Format) -> Result<Offline> {
        if !data.join("identity").exists() {
            bail!("{} is no data directory of Ringfence", data.display());
        }
        let lock = DirectoryLock::acquire(data, "ringfence scan")?;
        let given = Given { shards: Some(1), ..Given::default() };
        let settings = NodeSettings::resolve(data.to_path_buf(), given)?;
        let cpus = CpuShares::plan(&settings)?;
        let background_count = cpus.background_count();
        let state = Arc::new(NodeState::new(settings, None, 1, 1, background_count));
        let starts = boot::Starts::new(1);
        let (sender, pieces) = platform::channel(PIECES_MAX);
        let query = Mutex::new(Some(Query { sql, format, pieces: sender }));
        let for_cores = state.clone();
        let cores = Cores::start(&cpus, &state.settings, move |core| {
            let (state, start) = (for_cores.clone(), starts.take(core.shard));
            let taken = query.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                if let Some(query) = taken {
                    core::run(core, state, start, Duty::Answer(query)).await;
                }
            }
        })?;
        Ok(Offline { cores, state, pieces, _lock: lock })
    }

    /// The next piece; nothing at the end.
    pub fn next(&mut self) -> Option<Piece> {
        self.pieces.recv_blocking()
    }

    /// Ends the core and says how it went.
    ///
    /// # Errors
    /// Why the directory could not be read.
    pub fn finish(self) -> Result<()> {
        drop(self.pieces);
        self.cores.shutdown().request();
        self.cores.join();
        self.state.outcome()
    }
}

/// Runs the query on its core. It may not change anything.
pub async fn answer(query: Query, node: Rc<CoreNode>) {
    let mut out = QueueOutput::new(query.pieces);
    let outcome = run(&query.sql, query.format, node, &mut out).await;
    out.end(outcome).await;
}

async fn run(
    sql: &str,
    format: Format,
    node: Rc<CoreNode>,
    out: &mut QueueOutput,
) -> Result<(), SqlError> {
    let identity = Identity {
        user: "ringfence".into(),
        database: "ringfence".into(),
        process_id: std::process::id(),
        settings: vec![("default_transaction_read_only".into(), "on".into())],
    };
    let mut session = Session::new(node, identity)?;
    session.parse("", sql, &[])?;
    session.bind("", "", [].into_iter(), Formats(vec![format]))?;
    if let Some((columns, formats)) = session.describe_portal("")? {
        out.describe(&columns, &formats);
    }
    session.execute("", None, true, out).await?;
    session.sync(out).await
}
