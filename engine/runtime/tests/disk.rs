//! Files of a shard core on the real kernel.

mod support;

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use platform::{AlignedBuf, DISK_ALIGNMENT, DiskErrorKind, OpenMode, Prng};
use support::on_one_core;
use tempfile::TempDir;
use types::{ByteCount, ByteOffset};

fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on a real file system")
}

fn filled(byte: u8, blocks: usize) -> AlignedBuf {
    let mut buffer = AlignedBuf::zeroed(blocks * DISK_ALIGNMENT);
    buffer.fill(byte);
    buffer
}

fn block(number: usize) -> ByteOffset {
    ByteOffset((number * DISK_ALIGNMENT) as u64)
}

#[test]
fn what_is_written_and_synced_is_read_back() {
    let directory = directory();
    let path = directory.path().join("log");
    on_one_core(Some(directory.path()), move |core| {
        let path = path.clone();
        async move {
            let disk = core.platform.disk;
            let file = disk.open(&path, OpenMode::CreateNew).await.expect("created");
            disk.sync_directory(path.parent().expect("it has one")).await.expect("synced");
            let bytes = ByteCount(64 * DISK_ALIGNMENT as u64);
            disk.allocate_zeroed(&file, ByteOffset(0), bytes).await.expect("allocated");
            assert_eq!(disk.file_bytes(&file).await.expect("known"), bytes);

            let one = disk.write_and_sync(&file, vec![(block(1), filled(1, 2))]).await;
            assert_eq!(one.expect("written").len(), 1);
            let writes = vec![(block(10), filled(10, 1)), (block(5), filled(5, 3))];
            let many = disk.write_and_sync(&file, writes).await.expect("written");
            assert_eq!((many[0][0], many[1][0]), (10, 5), "buffers come back in order");
            disk.write_at(&file, block(20), filled(20, 1)).await.expect("written");
            disk.sync(&file).await.expect("synced");

            let read = disk.read_at(&file, ByteOffset(0), AlignedBuf::zeroed(64 * 4096)).await;
            let read = read.expect("read");
            assert_eq!(read.bytes_read, 64 * DISK_ALIGNMENT);
            let first_bytes: Vec<u8> =
                read.buffer.chunks(DISK_ALIGNMENT).map(|block| block[0]).collect();
            let mut expected = vec![0; 64];
            expected[1..3].fill(1);
            expected[5..8].fill(5);
            (expected[10], expected[20]) = (10, 20);
            assert_eq!(first_bytes, expected);

            let past = disk.read_at(&file, block(63), filled(9, 4)).await.expect("read");
            assert_eq!((past.bytes_read, past.buffer.len()), (DISK_ALIGNMENT, DISK_ALIGNMENT));
            let beyond = disk.read_at(&file, block(100), filled(9, 1)).await.expect("read");
            assert_eq!(beyond.bytes_read, 0);
        }
    });
}

#[test]
fn names_are_listed_renamed_and_removed() {
    let directory = directory();
    let root = directory.path().to_path_buf();
    on_one_core(None, move |core| {
        let root = root.clone();
        async move {
            let disk = core.platform.disk;
            let nested = root.join("a/b");
            disk.create_directory(&nested).await.expect("made");
            disk.create_directory(&nested).await.expect("made already");
            let missing = disk.open(&nested.join("no"), OpenMode::ReadOnly).await;
            assert_eq!(missing.expect_err("not there").kind(), DiskErrorKind::NotFound);
            let file = disk.open(&nested.join("one"), OpenMode::CreateNew).await.expect("made");
            let again = disk.open(&nested.join("one"), OpenMode::CreateNew).await;
            assert_eq!(again.expect_err("taken").kind(), DiskErrorKind::AlreadyExists);
            disk.write_at(&file, ByteOffset(0), filled(1, 1)).await.expect("written");
            disk.rename(&nested.join("one"), &nested.join("two")).await.expect("renamed");
            disk.sync_directory(&nested).await.expect("synced");
            let listed = disk.list(&root.join("a")).await.expect("listed");
            assert_eq!((listed[0].name.as_str(), listed[0].is_directory), ("b", true));
            let listed = disk.list(&nested).await.expect("listed");
            assert_eq!((listed[0].name.as_str(), listed[0].bytes), ("two", ByteCount(4096)));
            disk.remove(&nested.join("two")).await.expect("removed");
            assert!(disk.list(&nested).await.expect("listed").is_empty());
            let read = disk.read_at(&file, ByteOffset(0), filled(0, 1)).await.expect("still open");
            assert_eq!(read.buffer[0], 1);
        }
    });
}

#[test]
fn a_write_to_a_file_opened_for_reading_fails_and_says_where() {
    let directory = directory();
    let path = directory.path().join("file");
    std::fs::write(&path, vec![3; 8192]).expect("written");
    on_one_core(None, move |core| {
        let path = path.clone();
        async move {
            let disk = core.platform.disk;
            let file = disk.open(&path, OpenMode::ReadOnly).await.expect("opened");
            let failed = disk.write_and_sync(&file, vec![(block(1), filled(1, 1))]).await;
            let error = failed.expect_err("not writable");
            assert_eq!(error.kind(), DiskErrorKind::Device);
            assert!(error.to_string().contains("file"), "{error}");
            assert!(error.to_string().contains("4096"), "{error}");
        }
    });
}

/// Polls a completion once, so that its operation is queued, then drops it.
async fn start_and_drop<T>(operation: impl Future<Output = T>) {
    let mut operation = pin!(operation);
    poll_fn(|cx| {
        let _ = operation.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

async fn drop_while_in_flight(core: runtime::Core<u64>, path: &Path) {
    let disk = core.platform.disk;
    let file = disk.open(path, OpenMode::CreateOrOpen).await.expect("opened");
    let mut prng = Prng::new(5);
    for round in 0..2000_usize {
        let at = prng.index(64);
        match prng.below(3) {
            0 => start_and_drop(disk.read_at(&file, block(at), filled(0, 4))).await,
            1 => start_and_drop(disk.write_at(&file, block(at), filled(7, 4))).await,
            _ => {
                let writes = vec![(block(at), filled(7, 1))];
                start_and_drop(disk.write_and_sync(&file, writes)).await;
            }
        }
        if round % 50 == 0 {
            let read = disk.read_at(&file, block(at), filled(1, 1)).await.expect("read");
            assert!(read.buffer.iter().all(|byte| [0, 7].contains(byte)));
        }
    }
    // Some of it is still in flight when the core ends.
}

#[test]
fn buffers_outlive_the_futures_that_started_them() {
    let directory = directory();
    let path = directory.path().join("file");
    on_one_core(None, move |core| {
        let path = path.clone();
        async move { drop_while_in_flight(core, &path).await }
    });
}

#[test]
fn more_writes_than_the_submission_queue_holds() {
    let directory = directory();
    let path = directory.path().join("file");
    on_one_core(None, move |core| {
        let path = path.clone();
        async move {
            let disk = core.platform.disk;
            let file = disk.open(&path, OpenMode::CreateNew).await.expect("opened");
            let singles: Vec<_> = (0..700)
                .map(|number| {
                    let writes = vec![(block(number), filled(number as u8, 1))];
                    disk.write_and_sync(&file, writes)
                })
                .collect();
            for single in singles {
                single.await.expect("written");
            }
            let buffer = AlignedBuf::zeroed(700 * DISK_ALIGNMENT);
            let read = disk.read_at(&file, ByteOffset(0), buffer).await.expect("read");
            for (number, bytes) in read.buffer.chunks(DISK_ALIGNMENT).enumerate() {
                assert!(bytes.iter().all(|byte| *byte == number as u8));
            }
        }
    });
}

#[test]
fn a_directory_without_direct_io_is_refused_with_a_sentence() {
    let missing = Path::new("/proc/self");
    let error = runtime::probe(Some(missing), runtime::DirectIo::Required);
    let text = error.expect_err("procfs holds no files of ours").to_string();
    assert!(text.contains("/proc/self") && text.contains("ext4"), "{text}");
}
