//! From a directory to trees: the first core recovers, then hands each core what it needs; the core that owns the system table's slice reads the catalog.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use plan::catalog::Catalog;
use platform::{Completer, Completion, Platform, completion};
use session::system;
use shard::row_ids_layout;
use storage::{DataDirectory, RangeLookup, RangeRead, ShardStart, StorageError, TableLayout, Tree};
use types::{ShardId, TableId, Timestamp, Value};

use super::state::NodeState;

/// What the first core gives to every core.
pub struct Opened {
    /// What the shards share.
    pub directory: Arc<DataDirectory>,
    /// This shard's part.
    pub start: ShardStart,
    /// Clocks start above it.
    pub reservation: Timestamp,
}

/// What one core starts with.
pub struct CoreStart {
    /// The first core's part: whom to give what.
    pub givers: Option<Vec<Completer<Result<Opened, String>>>>,
    /// What this core is given.
    pub opened: Completion<Result<Opened, String>>,
    /// The part of the core that reads the catalog.
    pub catalog_givers: Arc<Mutex<Vec<Completer<Result<Arc<Catalog>, String>>>>>,
    /// The catalog, once it is read.
    pub catalog: Completion<Result<Arc<Catalog>, String>>,
}

/// The starts of all cores, until each has taken its own.
#[derive(Clone)]
pub struct Starts {
    starts: Arc<Mutex<Vec<Option<CoreStart>>>>,
}

fn ended<T>() -> Result<T, String> {
    Err("another core ended while the node was starting".into())
}

impl Starts {
    /// For a node of so many shards.
    pub fn new(shard_count: u16) -> Starts {
        let mut givers = Vec::new();
        let mut catalog_givers = Vec::new();
        let mut starts = Vec::new();
        let shared = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..shard_count {
            let (giver, opened) = completion(ended);
            let (catalog_giver, catalog) = completion(ended);
            givers.push(giver);
            catalog_givers.push(catalog_giver);
            let start = CoreStart { givers: None, opened, catalog_givers: shared.clone(), catalog };
            starts.push(Some(start));
        }
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = catalog_givers;
        if let Some(Some(first)) = starts.first_mut() {
            first.givers = Some(givers);
        }
        Starts { starts: Arc::new(Mutex::new(starts)) }
    }

    /// The start of one core.
    ///
    /// # Panics
    /// If it was taken before.
    pub fn take(&self, shard: ShardId) -> CoreStart {
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        starts[shard.index()].take().expect("each core starts once")
    }
}

/// Opens the data directory and gives every core its part.
pub async fn open_directory(
    platform: &Platform,
    state: &NodeState,
    givers: Vec<Completer<Result<Opened, String>>>,
) {
    let options = state.settings.storage_options(state.shard_count);
    let path = &state.settings.data;
    match storage::directory::open(platform, path, state.shard_count, options).await {
        Ok(opened) => {
            tracing::info!(report = ?opened.report, "recovered");
            for (giver, start) in givers.into_iter().zip(opened.shards) {
                giver.complete(Ok(Opened {
                    directory: opened.directory.clone(),
                    start,
                    reservation: opened.reservation,
                }));
            }
        }
        Err(error) => {
            let reason = describe(&error);
            for giver in givers {
                giver.complete(Err(reason.clone()));
            }
        }
    }
}

/// An error with its causes.
pub fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Layouts of the tables that every data directory has.
pub fn system_layouts() -> [TableLayout; 2] {
    [TableLayout::of_table(&system::system_schema()), row_ids_layout()]
}

/// Every storage table that a node knows: the catalog's and the system's.
pub fn storages(catalog: &Catalog) -> BTreeSet<TableId> {
    let system = system_layouts().map(|layout| layout.table);
    let of_tables = catalog.tables().flat_map(|table| {
        let indexes = table.indexes.iter().map(|index| index.index_id);
        std::iter::once(table.storage_id).chain(indexes)
    });
    system.into_iter().chain(of_tables).collect()
}

/// Reads the catalog from the tree of the core that owns it.
///
/// # Errors
/// Damage, named.
pub async fn read_catalog(tree: &Tree) -> Result<Catalog, String> {
    let table = system::system_rows(tree.slice_count());
    let address = system::system_address(&table, system::Kind::Header, "");
    let mut read = RangeRead {
        table: system::SYSTEM_TABLE,
        slice: address.slice,
        start: Vec::new(),
        end: None,
        at: Timestamp::MAX,
        rows_max: 1_000,
        bytes_max: 4 << 20,
    };
    let mut rows: Vec<Vec<Value>> = Vec::new();
    loop {
        let failed =
            |error: StorageError| format!("the catalog cannot be read: {}", describe(&error));
        let _held = tree.load_range(&read).await.map_err(failed)?;
        let RangeLookup::Rows(found) = tree.read_range(&read).map_err(failed)? else {
            return Err("pages of the catalog do not stay in memory".into());
        };
        for (_, version) in &found.rows {
            let Some(row) = &version.row else { continue };
            rows.push(table.decode(row).map_err(|error| error.to_string())?);
        }
        match found.resume {
            Some(next) => read.start = next,
            None => break,
        }
    }
    system::catalog_of_rows(&rows).map_err(|error| error.to_string())
}
