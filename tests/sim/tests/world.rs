//! The world keeps the promises of `platform`, and a seed replays.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use platform::{
    AlignedBuf, BlockRead, DiskErrorKind, DiskOperation, JobClass, Mesh, OpenMode, Platform,
    SchedulingClass, run_job,
};
use sim::{Fault, FaultKind, Image, Survival, World, WorldOptions};
use types::{ByteCount, ByteOffset, ShardId};

const CORES: u16 = 3;

fn block(fill: u8) -> AlignedBuf {
    let mut buffer = AlignedBuf::zeroed(4096);
    buffer.fill(fill);
    buffer
}

fn path() -> PathBuf {
    PathBuf::from("/data/file")
}

/// Writes, flushes, sleeps, runs a job, and passes numbers around.
async fn work(platform: Platform, mesh: Rc<dyn Mesh<u64>>, heard: Rc<RefCell<Vec<u64>>>) {
    let own = mesh.own_shard();
    let disk = &*platform.disk;
    disk.create_directory(Path::new("/data")).await.expect("made");
    let file = disk.open(&path(), OpenMode::CreateOrOpen).await.expect("opened");
    for round in 0..20u64 {
        let offset = ByteOffset((u64::from(own.0) * 20 + round) * 4096);
        disk.write_and_sync(&file, vec![(offset, block(round as u8))]).await.expect("healthy");
        let target = ShardId((own.0 + 1) % CORES);
        mesh.send(target, round).expect("room");
        let (from, number) = mesh.recv().await;
        heard.borrow_mut().push(number * 10 + u64::from(from.0));
        platform::sleep(&platform.spawner, Duration::from_millis(round % 3)).await;
        platform::maybe_yield(&*platform.spawner).await;
        let read = BlockRead { file: file.clone(), offset, bytes: 4096 };
        let job = run_job(&*platform.background, JobClass::Scan, move |io, _| {
            io.read_many(&[read]).expect("healthy")[0][17]
        });
        assert_eq!(job.await.expect("it ran"), round as u8);
    }
}

fn run_all(seed: u64) -> (u128, u64, Vec<u64>) {
    let mut world = World::new(WorldOptions::new(seed, CORES), Image::default());
    let heard = Rc::new(RefCell::new(Vec::new()));
    let done = Rc::new(RefCell::new(0));
    for core in world.cores::<u64>() {
        let (heard, done) = (heard.clone(), done.clone());
        world.spawn(core.shard, async move {
            work(core.platform, core.mesh, heard).await;
            *done.borrow_mut() += 1;
        });
    }
    world.run_until(|| *done.borrow() == CORES).expect("nothing freezes it");
    (world.trace(), world.now_nanos(), heard.take())
}

#[test]
fn a_seed_replays_and_another_differs() {
    for seed in 0..20 {
        assert_eq!(run_all(seed), run_all(seed), "seed {seed}");
    }
    assert_ne!(run_all(1).0, run_all(2).0);
    assert_ne!(run_all(1).2, run_all(2).2, "the order is drawn");
}

#[test]
fn a_crash_at_any_event_keeps_what_was_acknowledged() {
    let mut crashes = 0;
    loop {
        let mut world = World::new(WorldOptions::new(7, 1), Image::default());
        world.crash_at(crashes);
        let platform = world.platform(ShardId(0));
        let acknowledged = Rc::new(RefCell::new(0u64));
        let counter = acknowledged.clone();
        let ended = world.run(ShardId(0), async move {
            let disk = &*platform.disk;
            disk.create_directory(Path::new("/data")).await?;
            let file = disk.open(&path(), OpenMode::CreateNew).await?;
            disk.allocate_zeroed(&file, ByteOffset(0), ByteCount(64 * 4096)).await?;
            disk.sync_directory(Path::new("/data")).await?;
            disk.sync_directory(Path::new("/")).await?;
            for number in 0..64u64 {
                let writes = vec![(ByteOffset(number * 4096), block(number as u8 + 1))];
                disk.write_and_sync(&file, writes).await?;
                *counter.borrow_mut() = number + 1;
            }
            Ok::<_, platform::DiskError>(())
        });
        let done = ended.is_ok();
        for survival in [Survival::None, Survival::Prefix, Survival::Torn, Survival::All] {
            check_image(world.image(survival), *acknowledged.borrow());
        }
        if done {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 128, "{crashes}");
}

fn check_image(image: Image, acknowledged: u64) {
    let mut world = World::new(WorldOptions::new(9, 1), image);
    let platform = world.platform(ShardId(0));
    let read = world.run(ShardId(0), async move {
        if acknowledged == 0 {
            return;
        }
        let file = platform.disk.open(&path(), OpenMode::ReadOnly).await.expect("its name is safe");
        for number in 0..acknowledged {
            let buffer = AlignedBuf::zeroed(4096);
            let read = platform.disk.read_at(&file, ByteOffset(number * 4096), buffer).await;
            let read = read.expect("healthy");
            assert!(read.buffer.iter().all(|byte| *byte == number as u8 + 1), "block {number}");
        }
    });
    read.expect("nothing freezes it");
}

#[test]
fn a_failed_flush_makes_the_file_system_read_only_for_ever() {
    let mut world = World::new(WorldOptions::new(1, 1), Image::default());
    let platform = world.platform(ShardId(0));
    let opened = platform.clone();
    let file = world.run(ShardId(0), async move {
        opened.disk.create_directory(Path::new("/data")).await.expect("made");
        opened.disk.open(&path(), OpenMode::CreateNew).await.expect("opened")
    });
    let file = file.expect("nothing freezes it");
    world.inject(Fault { operation: DiskOperation::Sync, after: 1, kind: FaultKind::Once });
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let (disk, file) = (platform.disk.clone(), file.clone());
        let written = world.run(ShardId(0), async move {
            disk.write_and_sync(&file, vec![(ByteOffset(0), block(1))]).await
        });
        kinds.push(written.expect("nothing freezes it").map(|_| ()).map_err(|error| error.kind()));
        world.heal();
    }
    // Healing takes the planned fault away before it is met.
    assert_eq!(kinds, [Ok(()), Ok(()), Ok(())]);
    world.inject(Fault { operation: DiskOperation::Sync, after: 0, kind: FaultKind::Once });
    for _ in 0..3 {
        let (disk, file) = (platform.disk.clone(), file.clone());
        let written = world.run(ShardId(0), async move {
            disk.write_and_sync(&file, vec![(ByteOffset(0), block(1))]).await
        });
        let error = written.expect("nothing freezes it").expect_err("the device failed");
        assert_eq!(error.kind(), DiskErrorKind::Device);
        world.heal();
    }
}

#[test]
fn a_full_disk_takes_overwrites_only() {
    let mut world = World::new(WorldOptions::new(1, 1), Image::default());
    let platform = world.platform(ShardId(0));
    world.set_capacity(Some(8192));
    let ran = world.run(ShardId(0), async move {
        let disk = &*platform.disk;
        disk.create_directory(Path::new("/data")).await.expect("made");
        let file = disk.open(&path(), OpenMode::CreateNew).await.expect("opened");
        disk.write_at(&file, ByteOffset(0), block(1)).await.expect("room");
        disk.write_at(&file, ByteOffset(4096), block(2)).await.expect("room");
        let full = disk.write_at(&file, ByteOffset(8192), block(3)).await;
        assert_eq!(full.expect_err("full").kind(), DiskErrorKind::NoSpace);
        disk.write_at(&file, ByteOffset(0), block(4)).await.expect("no room is needed");
        disk.remove(&path()).await.expect("there");
        let other = disk.open(Path::new("/data/other"), OpenMode::CreateNew).await.expect("opened");
        disk.write_at(&other, ByteOffset(0), block(5)).await.expect("there is room again");
    });
    ran.expect("nothing freezes it");
}

#[test]
fn stepped_jobs_end_with_their_world() {
    for seed in 0..10 {
        let options = WorldOptions { stepped_jobs_percent: 100, ..WorldOptions::new(seed, 1) };
        let mut world = World::new(options, Image::default());
        world.crash_at(5 + seed);
        let platform = world.platform(ShardId(0));
        let background = platform.background.clone();
        platform::spawn(&*platform.spawner, SchedulingClass::Foreground, "asker", async move {
            let job = run_job(&*background, JobClass::Flush, |io, _| {
                io.create_directory(Path::new("/data")).expect("before the crash");
                let file = io.open(&path(), OpenMode::CreateNew).expect("before the crash");
                (0u64..).find_map(|number| {
                    io.write_at(&file, ByteOffset(number * 4096), &block(1)).err()
                })
            });
            let ended = job.await;
            assert!(ended.is_err() || ended.is_ok());
        });
        assert!(world.run_until(|| false).is_err());
    }
}
