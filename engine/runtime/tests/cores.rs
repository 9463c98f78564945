//! The mesh under load, timers, end-of-loop hooks, background jobs: the parts of a node that need
//! its loop.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use platform::{
    AlignedBuf, BlockRead, JobClass, JobError, MeshFull, OpenMode, PublishedSlot, SchedulingClass,
    channel, maybe_yield, run_job, sleep, spawn, spawn_with_result, yield_now,
};
use runtime::{Core, start};
use support::{on_one_core, options};
use types::{ByteCount, ByteOffset, ShardId};

const MESSAGES: u64 = 200_000;

/// Each core sends numbers to the other and checks what comes: order, and that the slot published
/// before a message is visible with it.
async fn exchange(core: Core<u64>, received_total: Arc<AtomicU64>) {
    let other = ShardId(1 - core.shard.0);
    let own = core.shard;
    let sent = Rc::new(Cell::new(0_u64));
    let (slots, publishing) = (core.platform.slots.clone(), sent.clone());
    core.platform.spawner.on_loop_end(Box::new(move || {
        let high = publishing.get();
        slots.publish(own, PublishedSlot { high, low: !high });
    }));
    let mesh = core.mesh.clone();
    let (spawner, counting) = (core.platform.spawner.clone(), sent.clone());
    let sending = async move {
        while counting.get() < MESSAGES {
            match mesh.send(other, counting.get()) {
                Ok(()) => counting.set(counting.get() + 1),
                Err(MeshFull { message, target }) => {
                    assert_eq!((message, target), (counting.get(), other));
                    yield_now().await;
                }
            }
            maybe_yield(&*spawner).await;
        }
    };
    let (_, sending) =
        spawn_with_result(&*core.platform.spawner, SchedulingClass::Foreground, "send", sending);
    for expected in 0..MESSAGES {
        let (source, number) = core.mesh.recv().await;
        assert_eq!((source, number), (other, expected));
        let slot = core.platform.slots.read(other);
        assert!(slot.high > number, "the hook ran before the message left");
        assert_eq!(slot.low, !slot.high);
    }
    received_total.fetch_add(MESSAGES, Ordering::Relaxed);
    assert_eq!(sending.await, Some(()));
}

#[test]
fn two_cores_exchange_in_order_and_sleep_without_losing_a_wake() {
    let total = Arc::new(AtomicU64::new(0));
    let counted = total.clone();
    let node = start::<u64, _, _>(&options(2, None), move |core| exchange(core, counted.clone()));
    node.expect("this machine runs the runtime").join();
    assert_eq!(total.load(Ordering::Relaxed), 2 * MESSAGES);
}

#[test]
fn ping_pong_between_sleeping_cores() {
    let node = start::<u64, _, _>(&options(2, None), |core| async move {
        let other = ShardId(1 - core.shard.0);
        if core.shard == ShardId(0) {
            core.mesh.send(other, 0).expect("an empty ring has room");
        }
        for _ in 0..10_000 {
            let (_, number) = core.mesh.recv().await;
            core.mesh.send(other, number + 1).expect("one message is under way at a time");
        }
    });
    node.expect("this machine runs the runtime").join();
}

#[test]
fn a_core_sends_to_itself() {
    let sum = on_one_core(None, |core| async move {
        let mut sum = 0;
        for number in 0..100 {
            core.mesh.send(core.shard, number).expect("there is room");
            sum += core.mesh.recv().await.1;
        }
        sum
    });
    assert_eq!(sum, 4950);
}

#[test]
fn timers_fire_in_order_and_never_early() {
    on_one_core(None, |core| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let spawner = core.platform.spawner.clone();
        let mut ends = Vec::new();
        for millis in [60_u64, 5, 30, 90, 15] {
            let (spawner, order) = (spawner.clone(), order.clone());
            let timed = async move {
                let duration = Duration::from_millis(millis);
                let due = spawner.now() + duration;
                sleep(&spawner, duration).await;
                assert!(spawner.now() >= due, "fired early");
                order.borrow_mut().push(millis);
            };
            let class = SchedulingClass::Maintenance;
            ends.push(spawn_with_result(&*core.platform.spawner, class, "timed", timed).1);
        }
        // One that is cancelled and one that is never reached do not hold the core.
        let long = sleep(&spawner, Duration::from_secs(3600));
        let cancelled = spawner.clone();
        let key = spawn(&*spawner, SchedulingClass::Foreground, "long", async move {
            sleep(&cancelled, Duration::from_secs(3600)).await;
        });
        yield_now().await;
        spawner.cancel(key);
        for end in ends {
            assert_eq!(end.await, Some(()));
        }
        drop(long);
        assert_eq!(*order.borrow(), [5, 15, 30, 60, 90]);
    });
}

#[test]
fn jobs_answer_panic_and_stop() {
    on_one_core(None, |core| async move {
        let background = core.platform.background;
        let sum = run_job(&*background, JobClass::Scan, |_, _| (0..1000_u64).sum::<u64>());
        assert_eq!(sum.await.expect("it ran"), 499_500);
        let panicked = run_job(&*background, JobClass::Optional, |_, _| -> u32 {
            panic!("a job that panics: expected in this test")
        });
        match panicked.await {
            Err(JobError::Panicked { message }) => assert!(message.contains("expected")),
            other => panic!("{other:?}"),
        }
        let (sender, mut stopped) = channel(1);
        let endless = run_job(&*background, JobClass::Compaction, move |_, cancel| {
            while !cancel.is_cancelled() {
                std::thread::yield_now();
            }
            sender.send_blocking("stopped").expect("the test waits");
        });
        drop(endless);
        assert_eq!(stopped.recv().await, Some("stopped"));
    });
}

#[test]
fn batches_flow_from_a_job_to_a_core_with_back_pressure() {
    let total = on_one_core(None, |core| async move {
        let (sender, mut receiver) = channel::<Vec<u64>>(2);
        let job = run_job(&*core.platform.background, JobClass::Scan, move |_, _| {
            for batch in 0..1000_u64 {
                let batch = (batch * 10..batch * 10 + 10).collect();
                sender.send_blocking(batch).expect("the core receives");
            }
        });
        let mut total = 0;
        while let Some(batch) = receiver.recv().await {
            total += batch.len();
        }
        job.await.expect("it ran");
        total
    });
    assert_eq!(total, 10_000);
}

#[test]
fn a_job_writes_what_a_core_and_another_job_read() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = directory.path().join("table");
    on_one_core(Some(directory.path()), move |core| {
        let path = path.clone();
        async move {
            let background = core.platform.background;
            let written = path.clone();
            let file = run_job(&*background, JobClass::Flush, move |io, _| {
                let file = io.open(&written, OpenMode::CreateNew)?;
                let mut buffer = AlignedBuf::zeroed(3 * 1024 * 1024);
                for (number, bytes) in buffer.chunks_mut(4096).enumerate() {
                    bytes.fill(number as u8);
                }
                io.write_at(&file, ByteOffset(0), &buffer)?;
                io.set_file_bytes(&file, ByteCount(3 * 1024 * 1024 - 100))?;
                io.sync(&file)?;
                io.sync_directory(written.parent().expect("it has one"))?;
                assert!(io.free_bytes(written.parent().expect("it has one"))?.0 > 0);
                Ok::<_, platform::DiskError>(file)
            });
            let file = file.await.expect("it ran").expect("written");
            let disk = core.platform.disk;
            let read = disk.read_at(&file, ByteOffset(4096 * 5), AlignedBuf::zeroed(4096)).await;
            assert_eq!(read.expect("read").buffer[0], 5);

            let reading = file.clone();
            let blocks = run_job(&*background, JobClass::Scan, move |io, _| {
                let read = |offset: u64, bytes| BlockRead {
                    file: reading.clone(),
                    offset: ByteOffset(offset),
                    bytes,
                };
                let mut reads: Vec<_> = (0..300).map(|number| read(number * 4096, 4096)).collect();
                reads.push(read(0, 3 * 1024 * 1024));
                reads.push(read(3 * 1024 * 1024 - 4096, 8192));
                reads.push(read(64 * 1024 * 1024, 4096));
                io.read_many(&reads)
            });
            let blocks = blocks.await.expect("it ran").expect("read");
            for (number, block) in blocks[..300].iter().enumerate() {
                assert!(block.len() == 4096 && block.iter().all(|byte| *byte == number as u8));
            }
            assert_eq!(blocks[300].len(), 3 * 1024 * 1024 - 100);
            for (number, block) in blocks[300].chunks(4096).enumerate() {
                assert!(block.iter().all(|byte| *byte == number as u8));
            }
            assert_eq!((blocks[301].len(), blocks[302].len()), (4096 - 100, 0));
        }
    });
}
