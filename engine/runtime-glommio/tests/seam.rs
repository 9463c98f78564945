//! The seam on glommio: what a shard core and a session ask of it, on the real kernel.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Shutdown as Side, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use platform::{
    AlignedBuf, BlockRead, Core, JobClass, JobError, OpenMode, PublishedSlot, SchedulingClass,
    accept, recv, run_job, send, sleep, spawn, spawn_with_result, yield_now,
};
use runtime_glommio::{DirectIo, GlommioNode, GlommioOptions, start};
use types::{ByteCount, ByteOffset, ShardId};

fn node<Main>(
    shards: usize,
    main: impl Fn(Core<u64>) -> Main + Send + Sync + 'static,
) -> GlommioNode
where
    Main: Future<Output = ()> + 'static,
{
    let options = GlommioOptions {
        shard_cpus: vec![None; shards],
        background_threads: 1,
        direct_io: DirectIo::Required,
    };
    start::<u64, _, _>(&options, main).expect("this machine runs glommio")
}

#[test]
fn files_jobs_and_timers() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = directory.path().join("log");
    let running = node(1, move |core| {
        let path = path.clone();
        async move {
            let disk = core.platform.disk.clone();
            let file = disk.open(&path, OpenMode::CreateNew).await.expect("created");
            let bytes = ByteCount(8 * 4096);
            disk.allocate_zeroed(&file, ByteOffset(0), bytes).await.expect("allocated");
            let mut buffer = AlignedBuf::zeroed(4096);
            buffer.fill(7);
            disk.write_and_sync(&file, vec![(ByteOffset(4096), buffer)]).await.expect("written");
            let read = disk.read_at(&file, ByteOffset(0), AlignedBuf::zeroed(16 * 4096)).await;
            let read = read.expect("read");
            assert_eq!((read.bytes_read, read.buffer[4095], read.buffer[4096]), (8 * 4096, 0, 7));

            let background = core.platform.background.clone();
            let reading = file.clone();
            let job = run_job(&*background, JobClass::Scan, move |io, _| {
                io.read_many(&[BlockRead { file: reading, offset: ByteOffset(4096), bytes: 4096 }])
            });
            assert_eq!(job.await.expect("it ran").expect("read")[0][0], 7);
            let panics = run_job(&*background, JobClass::Flush, |_, _| panic!("expected"));
            assert!(matches!(panics.await, Err::<(), _>(JobError::Panicked { .. })));

            let spawner = core.platform.spawner.clone();
            let due = spawner.now() + Duration::from_millis(20);
            sleep(&spawner, Duration::from_millis(20)).await;
            assert!(spawner.now() >= due);
            let cancelled = spawn(&*spawner, SchedulingClass::Maintenance, "never", async {
                std::future::pending::<()>().await;
            });
            yield_now().await;
            spawner.cancel(cancelled);
        }
    });
    running.join();
}

#[test]
fn two_cores_exchange_with_slots_published_first() {
    const MESSAGES: u64 = 20_000;
    let running = node(2, |core| async move {
        let other = ShardId(1 - core.shard.0);
        let (own, slots) = (core.shard, core.platform.slots.clone());
        let sent = Rc::new(Cell::new(0_u64));
        let publishing = sent.clone();
        core.platform.spawner.on_loop_end(Box::new(move || {
            let high = publishing.get();
            slots.publish(own, PublishedSlot { high, low: !high });
        }));
        let (mesh, counting) = (core.mesh.clone(), sent.clone());
        let sending = async move {
            while counting.get() < MESSAGES {
                if mesh.send(other, counting.get()).is_ok() {
                    counting.set(counting.get() + 1);
                } else {
                    yield_now().await;
                }
            }
        };
        let class = SchedulingClass::Foreground;
        let (_, sending) = spawn_with_result(&*core.platform.spawner, class, "send", sending);
        for expected in 0..MESSAGES {
            assert_eq!(core.mesh.recv().await, (other, expected));
            let slot = core.platform.slots.read(other);
            assert!(slot.high > expected && slot.low == !slot.high);
        }
        assert_eq!(sending.await, Some(()));
    });
    running.join();
}

#[test]
fn connections_get_their_own_bytes_back() {
    let (sender, address) = mpsc::channel();
    let running = node(1, move |core| {
        let sender = sender.clone();
        async move {
            let listener = core.listener(([127, 0, 0, 1], 0).into()).expect("a free port");
            sender.send(listener.local_address()).expect("the test waits");
            let spawner = core.platform.spawner.clone();
            let accepting = spawner.clone();
            spawn(&*spawner, SchedulingClass::Foreground, "accept", async move {
                loop {
                    let socket = accept(&*listener).await.expect("connections are fine");
                    let echo = async move {
                        let mut received = Vec::new();
                        while let Ok(1..) = recv(&*socket, &mut received).await {
                            match send(&*socket, std::mem::take(&mut received)).await {
                                Ok(buffer) => received = buffer,
                                Err(_) => return,
                            }
                        }
                    };
                    spawn(&*accepting, SchedulingClass::Foreground, "echo", echo);
                }
            });
            core.shutdown.requested().await;
        }
    });
    let address = address.recv().expect("the core listens");
    let clients = (0..20_u8).map(|number| {
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("the server listens");
            for length in [1, 100, 30_000, 7] {
                let request = vec![number; length];
                stream.write_all(&request).expect("sent");
                let mut answer = vec![0; length];
                stream.read_exact(&mut answer).expect("echoed");
                assert_eq!(answer, request);
            }
            stream.shutdown(Side::Write).expect("open until now");
            assert_eq!(stream.read(&mut [0]).expect("closed in order"), 0);
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.join().expect("the client is content");
    }
    running.shutdown().request();
    running.join();
}
