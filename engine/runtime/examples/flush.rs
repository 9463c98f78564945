//! What one durable write costs: a 4 KiB direct write linked with its flush, one after the other,
//! into a preallocated file.
//!
//! `flush [DIRECTORY]`. The figures are the limit of any single client that commits: a server that
//! claims more is lying about durability.

use std::path::PathBuf;
use std::time::Instant;

use platform::{AlignedBuf, DISK_ALIGNMENT, OpenMode};
use runtime::{Core, RuntimeOptions, start};
use types::{ByteCount, ByteOffset};

const BLOCKS: u64 = 4096;
const WRITES: usize = 5000;

fn main() {
    let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let options = RuntimeOptions {
        shards: Some(1),
        data_directory: Some(directory.clone()),
        ..RuntimeOptions::default()
    };
    match start::<(), _, _>(&options, move |core| measure(core, directory.join("flush.log"))) {
        Ok(node) => node.join(),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

async fn measure(core: Core<()>, path: PathBuf) {
    let disk = core.platform.disk;
    let file = disk.open(&path, OpenMode::CreateOrOpen).await.expect("a writable directory");
    let bytes = ByteCount(BLOCKS * DISK_ALIGNMENT as u64);
    disk.allocate_zeroed(&file, ByteOffset(0), bytes).await.expect("16 MiB of space");
    let mut micros = Vec::with_capacity(WRITES);
    let mut buffer = AlignedBuf::zeroed(DISK_ALIGNMENT);
    for number in 0..WRITES as u64 {
        let offset = ByteOffset(number % BLOCKS * DISK_ALIGNMENT as u64);
        let started = Instant::now();
        let written = disk.write_and_sync(&file, vec![(offset, buffer)]).await;
        micros.push(started.elapsed().as_micros());
        buffer = written.expect("a healthy disk").pop().expect("the one buffer given");
    }
    disk.remove(&path).await.expect("our own file");
    micros.sort_unstable();
    let at = |percent: usize| micros[WRITES * percent / 100];
    let total: u128 = micros.iter().sum();
    let per_second = WRITES as f64 / (total as f64 / 1e6);
    println!("{per_second:.0} durable writes/s; p50 {} us, p99 {} us", at(50), at(99));
}
