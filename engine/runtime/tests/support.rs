//! What the integration tests share: a node of a few floating cores and a result out of it.
#![allow(dead_code, reason = "each test program uses a part")]

use std::future::Future;
use std::path::Path;
use std::sync::mpsc;

use runtime::{Core, DirectIo, Pinning, RuntimeOptions, start};

/// Options for a test node: never pinned, since many tests share the machine.
pub fn options(shards: u16, directory: Option<&Path>) -> RuntimeOptions {
    RuntimeOptions {
        shards: Some(shards),
        background_cores: Some(1),
        pinning: Pinning::Floating,
        direct_io: DirectIo::Required,
        data_directory: directory.map(Path::to_path_buf),
    }
}

/// Runs one future on one shard core and gives its result. A panic in it ends the test program, as
/// it would the server.
pub fn on_one_core<T, F, Main>(directory: Option<&Path>, main: F) -> T
where
    T: Send + 'static,
    F: Fn(Core<u64>) -> Main + Send + Sync + 'static,
    Main: Future<Output = T> + 'static,
{
    let (sender, receiver) = mpsc::channel();
    let node = start::<u64, _, _>(&options(1, directory), move |core| {
        let (sender, main) = (sender.clone(), main(core));
        async move { sender.send(main.await).expect("the test waits") }
    })
    .expect("this machine runs the runtime");
    node.join();
    receiver.recv().expect("the main future has sent it")
}
