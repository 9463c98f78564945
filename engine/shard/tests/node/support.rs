//! Starts a node of shards over a data directory and runs a main future on each core, or on the first.

use std::cell::Cell;
use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use platform::Platform;
use runtime::{Core, DirectIo, Pinning, RuntimeOptions, start};
use shard::{NodeShared, Shard, ShardClient, ShardMessage, ShardOptions};
use storage::{DataDirectory, ShardStart, StorageOptions, Tree};
use types::{SchemaVersion, ShardId, Timestamp};

use crate::accounts::TABLE;

/// What a test's main future gets.
pub struct TestCore {
    pub shard_id: ShardId,
    pub platform: Platform,
    pub shard: Shard,
}

struct Opened {
    directory: Arc<DataDirectory>,
    reservation: Timestamp,
    schema: Option<SchemaVersion>,
    starts: Vec<Option<ShardStart>>,
}

#[derive(Clone)]
struct Rendezvous {
    opened: Arc<Mutex<Option<Opened>>>,
    done: Arc<Mutex<usize>>,
}

/// Runs `main` on every core of a node; the node ends when all have ended.
pub fn on_node<F, Main>(path: &Path, shards: u16, main: F)
where
    F: Fn(TestCore) -> Main + Send + Sync + 'static,
    Main: Future<Output = ()> + 'static,
{
    let options = RuntimeOptions {
        shards: Some(shards),
        background_cores: Some(1),
        pinning: Pinning::Floating,
        direct_io: DirectIo::Required,
        data_directory: Some(path.to_path_buf()),
    };
    let meeting = Rendezvous { opened: Arc::default(), done: Arc::default() };
    let shared = NodeShared::new(shards);
    let path = path.to_path_buf();
    let main = Arc::new(main);
    let node = start::<ShardMessage, _, _>(&options, move |core| {
        let (meeting, shared, path) = (meeting.clone(), shared.clone(), path.clone());
        let main = Arc::clone(&main);
        async move {
            let platform = core.platform.clone();
            let shard = start_shard(&core, &meeting, shared, &path, shards).await;
            let tree = shard.tree().clone();
            main(TestCore { shard_id: core.shard, platform: platform.clone(), shard }).await;
            // Every core serves the others until all are done.
            *meeting.done.lock().expect("no core has failed") += 1;
            while *meeting.done.lock().expect("no core has failed") < usize::from(shards) {
                platform::sleep(&platform.spawner, std::time::Duration::from_millis(1)).await;
            }
            tree.close().await.expect("the log is sound");
        }
    });
    node.expect("this machine runs the runtime").join();
}

/// Runs `main` on the first core of a node.
pub fn on_one_core<F, Main>(path: &Path, shards: u16, main: F)
where
    F: Fn(ShardClient) -> Main + Send + Sync + 'static,
    Main: Future<Output = ()> + 'static,
{
    on_node(path, shards, move |core| {
        let main = (core.shard_id == ShardId(0)).then(|| main(core.shard.client()));
        async move {
            if let Some(main) = main {
                main.await;
            }
        }
    });
}

async fn start_shard(
    core: &Core<ShardMessage>,
    meeting: &Rendezvous,
    shared: NodeShared,
    path: &Path,
    shards: u16,
) -> Shard {
    let platform = &core.platform;
    if core.shard == ShardId(0) {
        let options = StorageOptions {
            segment_blocks: storage::commit_log::segment::SegmentBlocks(64),
            ..StorageOptions::default()
        };
        // The table is made in the first start of each test, and stays at its first version.
        let exists = path.join("identity").exists();
        let opened = storage::directory::open(platform, path, shards, options).await;
        let opened = opened.expect("the directory is sound");
        *meeting.opened.lock().expect("no core has failed") = Some(Opened {
            directory: opened.directory,
            reservation: opened.reservation,
            schema: exists.then_some(SchemaVersion(1)),
            starts: opened.shards.into_iter().map(Some).collect(),
        });
    }
    let found: Cell<Option<(Arc<DataDirectory>, ShardStart, ShardOptions)>> = Cell::new(None);
    let (directory, start, options) = loop {
        if let Some(opened) = &mut *meeting.opened.lock().expect("no core has failed") {
            let start = opened.starts[core.shard.index()].take().expect("each core comes once");
            let mut options = ShardOptions::new(opened.reservation);
            options.schema = opened.schema.iter().map(|version| (TABLE, *version)).collect();
            found.set(Some((Arc::clone(&opened.directory), start, options)));
        }
        match found.take() {
            Some(found) => break found,
            None => {
                let pause = std::time::Duration::from_millis(1);
                platform::sleep(&platform.spawner, pause).await;
            }
        }
    };
    let tree = Tree::start(platform.clone(), directory, start).await.expect("the tree starts");
    Shard::start(platform.clone(), Rc::clone(&core.mesh), tree, shared, options)
}
