//! The simulated network keeps the promises of streams, does what it is told to, and replays.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use platform::{AlignedBuf, OpenMode, Platform, SocketError, accept, connect, recv, send, sleep};
use sim::{Cluster, ClusterOptions, Ending, LinkOptions, Survival, host_address};
use types::prng::Prng;
use types::{ByteOffset, NodeId, ShardId};

const CORE: ShardId = ShardId(0);
const PATIENCE: Duration = Duration::from_secs(5);

fn address(node: u32) -> SocketAddr {
    SocketAddr::new(host_address(NodeId(node)), 7000)
}

/// Accepts for ever and gives every connection its own bytes back.
async fn echo(platform: Platform, own: SocketAddr) {
    let listener = platform.network.listen(own).expect("the node's own address");
    loop {
        let socket = accept(&*listener).await.expect("connections are fine");
        let session = async move {
            let mut received = Vec::new();
            while let Ok(1..) = recv(&*socket, &mut received).await {
                match send(&*socket, std::mem::take(&mut received)).await {
                    Ok(buffer) => received = buffer,
                    Err(_) => return,
                }
            }
        };
        let class = platform::SchedulingClass::Foreground;
        platform::spawn(&*platform.spawner, class, "echo", session);
    }
}

fn serve(cluster: &mut Cluster, node: u32) {
    let platform = cluster.world(NodeId(node)).platform(CORE);
    cluster.world(NodeId(node)).spawn(CORE, echo(platform, address(node)));
}

/// Sends drawn bytes in drawn batches and hears them all back.
async fn converse(platform: Platform, to: SocketAddr, seed: u64) -> Result<(), SocketError> {
    let mut prng = Prng::new(seed);
    let socket = connect(&*platform.network, &platform.spawner, to, PATIENCE).await?;
    assert_eq!(socket.peer_address(), to);
    for _ in 0..10 {
        let mut batch = vec![0; 1 + prng.index(3_000)];
        prng.fill(&mut batch);
        // Sent while it is heard: a window smaller than the batch must not stop both.
        socket.start_send(batch.clone());
        let mut heard = Vec::new();
        while heard.len() < batch.len() {
            if recv(&*socket, &mut heard).await? == 0 {
                panic!("the echo ended in the middle");
            }
        }
        assert!(heard == batch, "bytes were lost, changed or out of order");
        std::future::poll_fn(|cx| socket.poll_sent(cx)).await?;
    }
    Ok(())
}

fn conversations(seed: u64) -> (u128, u64) {
    let mut prng = Prng::new(seed);
    let mut options = ClusterOptions::new(seed, 3, 2);
    options.link = LinkOptions { resets_in_million: 0, ..LinkOptions::drawn(&mut prng) };
    let mut cluster = Cluster::new(options);
    let done = Rc::new(Cell::new(0));
    for node in 0..3 {
        serve(&mut cluster, node);
    }
    for node in 0..3 {
        for to in 0..3 {
            let world = cluster.world(NodeId(node));
            let platform = world.platform(ShardId(1));
            let (done, seed) = (done.clone(), prng.next_u64());
            world.spawn(ShardId(1), async move {
                // The listeners are there once every first task has been polled.
                sleep(&platform.spawner, Duration::from_millis(1)).await;
                converse(platform, address(to), seed).await.expect("a healthy network");
                done.set(done.get() + 1);
            });
        }
    }
    cluster.run_until(|| done.get() == 9).expect("nothing freezes");
    (cluster.trace(), cluster.now_nanos())
}

#[test]
fn streams_arrive_whole_and_a_seed_replays() {
    for seed in 0..20 {
        let first = conversations(seed);
        if seed % 10 == 0 {
            assert_eq!(first, conversations(seed), "seed {seed}");
        }
    }
    assert_ne!(conversations(1).0, conversations(2).0);
}

#[test]
fn a_blocked_direction_holds_and_a_window_closes() {
    let mut options = ClusterOptions::new(5, 2, 1);
    options.link.window_bytes = 1_000;
    let mut cluster = Cluster::new(options);
    serve(&mut cluster, 1);
    cluster.pass(Duration::from_millis(1)).expect("alive");
    let platform = cluster.world(NodeId(0)).platform(CORE);
    let (network, spawner) = (platform.network.clone(), platform.spawner.clone());
    let dial = async move { connect(&*network, &spawner, address(1), PATIENCE).await };
    let socket = cluster.run(NodeId(0), CORE, dial).expect("alive").expect("it listens");
    // What the other end takes is not heard of, so only one window leaves.
    cluster.block(NodeId(1), NodeId(0));
    let (sent, heard) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(Vec::new())));
    let (sending, done) = (socket.clone(), sent.clone());
    cluster.world(NodeId(0)).spawn(CORE, async move {
        send(&*sending, vec![7; 5_000]).await.expect("only late");
        done.set(true);
    });
    let hearing = heard.clone();
    cluster.world(NodeId(0)).spawn(CORE, async move {
        let mut received = Vec::new();
        while recv(&*socket, &mut received).await.expect("only late") > 0 {
            hearing.borrow_mut().append(&mut received);
        }
    });
    cluster.pass(Duration::from_secs(3)).expect("alive");
    assert!(!sent.get(), "more than a window left without an acknowledgement");
    assert_eq!(heard.borrow().len(), 0, "the blocked direction let something through");
    cluster.open(NodeId(1), NodeId(0));
    cluster.run_until(|| heard.borrow().len() == 5_000).expect("alive");
    assert!(sent.get());
}

#[test]
fn a_killed_process_resets_a_dead_machine_is_silent_and_disks_survive() {
    for (ending, survival) in [(Ending::Process, Survival::None), (Ending::Machine, Survival::None)]
    {
        let mut cluster = Cluster::new(ClusterOptions::new(11, 2, 1));
        serve(&mut cluster, 1);
        let disk = cluster.world(NodeId(1)).platform(CORE).disk;
        let write = async move {
            let file = disk.open(Path::new("/kept"), OpenMode::CreateNew).await.expect("new");
            let block = AlignedBuf::padded_from(b"kept");
            disk.write_and_sync(&file, vec![(ByteOffset(0), block)]).await.expect("healthy");
            disk.sync_directory(Path::new("/")).await.expect("healthy");
        };
        cluster.run(NodeId(1), CORE, write).expect("alive");
        let platform = cluster.world(NodeId(0)).platform(CORE);
        let (network, spawner) = (platform.network.clone(), platform.spawner.clone());
        let dial = async move { connect(&*network, &spawner, address(1), PATIENCE).await };
        let socket = cluster.run(NodeId(0), CORE, dial).expect("alive").expect("it listens");
        let ended = Rc::new(RefCell::new(None));
        let (noticing, waiting) = (ended.clone(), socket.clone());
        cluster.world(NodeId(0)).spawn(CORE, async move {
            let outcome = recv(&*waiting, &mut Vec::new()).await;
            noticing.borrow_mut().replace(outcome.is_err());
        });
        let image = cluster.crash(NodeId(1), ending, survival);
        cluster.pass(Duration::from_secs(2)).expect("alive");
        let told = ended.borrow().is_some();
        assert_eq!(told, ending == Ending::Process, "{ending:?}");
        let platform = cluster.world(NodeId(0)).platform(CORE);
        let dial = async move {
            connect(&*platform.network, &platform.spawner, address(1), PATIENCE).await.err()
        };
        let error = cluster.run(NodeId(0), CORE, dial).expect("alive").expect("nobody is there");
        match ending {
            Ending::Process => assert!(matches!(error, SocketError::Unreachable { .. })),
            Ending::Machine => assert!(matches!(error, SocketError::NoAnswer { .. })),
        }
        cluster.start(NodeId(1), image);
        let disk = cluster.world(NodeId(1)).platform(CORE).disk;
        let open = async move { disk.open(Path::new("/kept"), OpenMode::ReadOnly).await.is_ok() };
        assert!(cluster.run(NodeId(1), CORE, open).expect("alive"), "{ending:?}");
        // The new kernel does not know the old connection.
        cluster.world(NodeId(0)).spawn(CORE, async move {
            let _ = send(&*socket, vec![1]).await;
        });
        cluster.run_until(|| ended.borrow().is_some()).expect("alive");
        assert_eq!(*ended.borrow(), Some(true));
    }
}

#[test]
fn connections_break_in_the_middle_and_clocks_differ() {
    let mut broken = 0;
    for seed in 0..20 {
        let mut options = ClusterOptions::new(seed, 2, 1);
        options.link.resets_in_million = 5_000;
        options.link.segment_bytes_max = 500;
        let mut cluster = Cluster::new(options);
        serve(&mut cluster, 1);
        cluster.pass(Duration::from_millis(1)).expect("alive");
        let platform = cluster.world(NodeId(0)).platform(CORE);
        let talk = converse(platform, address(1), seed);
        let outcome = cluster.run(NodeId(0), CORE, talk).expect("alive");
        broken += u32::from(outcome.is_err());
        cluster.world(NodeId(0)).set_wall_clock(100, 5_000_000);
        cluster.world(NodeId(1)).set_wall_clock(-100, -5_000_000);
        let before = cluster.now_nanos();
        cluster.pass(Duration::from_secs(100)).expect("alive");
        assert!(cluster.now_nanos() >= before + 100_000_000_000);
        let walls = [0, 1].map(|node| {
            let clock = cluster.world(NodeId(node)).platform(CORE).clock;
            clock.wall_micros() as i64
        });
        let apart = walls[0] - walls[1];
        assert!((9_900_000..10_200_000).contains(&apart), "{apart} µs apart");
    }
    assert!((2..20).contains(&broken), "{broken} of 20 conversations broke");
}
