//! Sockets of shard cores against blocking clients.

mod support;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown as Side, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use platform::{
    Prng, SchedulingClass, Socket, SocketError, SocketErrorKind, accept, connect as dial, recv,
    send, sleep, spawn,
};
use runtime::{Core, Node, start};
use support::options;

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a node that runs `session` for every connection.
fn server<Session>(
    shards: u16,
    session: impl Fn(Core<u64>, Rc<dyn Socket>) -> Session + Clone + Send + Sync + 'static,
) -> (Node, SocketAddr)
where
    Session: Future<Output = ()> + 'static,
{
    let (sender, receiver) = mpsc::channel();
    // Cores share a port, so the first finds a free one and the others follow it.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let node = start::<u64, _, _>(&options(shards, None), move |core| {
        let (sender, session) = (sender.clone(), session.clone());
        async move {
            let listener = core.listener(address).expect("a free port");
            assert_eq!(listener.local_address(), address);
            sender.send(()).expect("the test waits");
            let (platform, shutdown) = (core.platform.clone(), core.shutdown.clone());
            let shared = Rc::new(RefCell::new(Some(core)));
            let accepting = platform.spawner.clone();
            spawn(&*platform.spawner, SchedulingClass::Foreground, "accept", async move {
                loop {
                    let socket = accept(&*listener).await.expect("connections are fine");
                    let own = shared.borrow().as_ref().map(|core| Core {
                        shard: core.shard,
                        platform: core.platform.clone(),
                        mesh: core.mesh.clone(),
                        shutdown: core.shutdown.clone(),
                    });
                    let own = own.expect("set above and never taken");
                    let session = session(own, socket);
                    spawn(&*accepting, SchedulingClass::Foreground, "session", session);
                }
            });
            shutdown.requested().await;
        }
    });
    let node = node.expect("this machine runs the runtime");
    for _ in 0..shards {
        receiver.recv_timeout(PATIENCE).expect("every core listens");
    }
    (node, address)
}

fn end(node: Node) {
    node.shutdown().request();
    node.join();
}

async fn echo(_core: Core<u64>, socket: Rc<dyn Socket>) {
    let mut received = Vec::new();
    loop {
        match recv(&*socket, &mut received).await {
            Ok(0) | Err(_) => return,
            Ok(_) => match send(&*socket, std::mem::take(&mut received)).await {
                Ok(buffer) => received = buffer,
                Err(error) => {
                    assert_eq!(error.kind(), SocketErrorKind::Disconnected);
                    return;
                }
            },
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

#[test]
fn many_connections_get_their_own_bytes_back() {
    let (node, address) = server(2, echo);
    let clients = (0..60_u64).map(|number| {
        std::thread::spawn(move || {
            let mut stream = connect(address);
            let mut prng = Prng::new(number);
            for _ in 0..50 {
                let length = match prng.below(10) {
                    0 => prng.index(200_000) + 1,
                    _ => prng.index(300) + 1,
                };
                let mut request = vec![0; length];
                prng.fill(&mut request);
                let mut writing = stream.try_clone().expect("a second handle");
                let sent = request.clone();
                let writer = std::thread::spawn(move || writing.write_all(&sent));
                let mut answer = vec![0; length];
                stream.read_exact(&mut answer).expect("echoed");
                assert!(answer == request, "bytes of another connection or order lost");
                writer.join().expect("the writer ends").expect("sent");
            }
            stream.shutdown(Side::Write).expect("open until now");
            assert_eq!(stream.read(&mut [0]).expect("closed in order"), 0);
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.join().expect("the client is content");
    }
    end(node);
}

#[test]
fn single_byte_segments_arrive_in_order() {
    let (node, address) = server(1, echo);
    let mut stream = connect(address);
    let mut reading = stream.try_clone().expect("a second handle");
    let reader = std::thread::spawn(move || {
        let mut answer = vec![0; 2000];
        reading.read_exact(&mut answer).map(|()| answer)
    });
    let bytes: Vec<u8> = (0..2000_u32).map(|number| (number % 251) as u8).collect();
    for byte in &bytes {
        stream.write_all(&[*byte]).expect("the server lives");
    }
    assert_eq!(reader.join().expect("the reader ends").expect("echoed"), bytes);
    end(node);
}

#[test]
fn a_session_that_does_not_read_pushes_back_and_then_gets_everything() {
    const BYTES: usize = 32 * 1024 * 1024;
    let (node, address) = server(1, |core, socket| async move {
        sleep(&core.platform.spawner, Duration::from_millis(300)).await;
        let (mut received, mut total, mut largest) = (Vec::new(), 0, 0);
        loop {
            received.clear();
            match recv(&*socket, &mut received).await.expect("the client is polite") {
                0 => break,
                bytes => {
                    largest = largest.max(bytes);
                    for byte in &received {
                        assert_eq!(usize::from(*byte), total % 251);
                        total += 1;
                    }
                }
            }
        }
        assert_eq!(total, BYTES);
        assert!(largest < 1024 * 1024, "a connection held {largest} bytes");
        send(&*socket, b"done".to_vec()).await.expect("the client waits");
    });
    let mut stream = connect(address);
    let bytes: Vec<u8> = (0..BYTES).map(|number| (number % 251) as u8).collect();
    stream.write_all(&bytes).expect("the server lives");
    stream.shutdown(Side::Write).expect("open until now");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert_eq!(answer, "done");
    end(node);
}

#[test]
fn large_answers_leave_whole_through_a_slow_reader() {
    const BYTES: usize = 16 * 1024 * 1024;
    let (node, address) = server(1, |_core, socket| async move {
        let batch: Vec<u8> = (0..BYTES).map(|number| (number % 249) as u8).collect();
        // Dropped right after: the send goes on, then the connection closes.
        socket.start_send(batch);
    });
    let mut stream = connect(address);
    std::thread::sleep(Duration::from_millis(200));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    assert_eq!(answer.len(), BYTES);
    assert!(answer.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 249));
    end(node);
}

#[test]
fn clients_that_vanish_and_sessions_that_stop_leave_a_working_server() {
    let (node, address) = server(1, |core, socket| async move {
        let (shutting, spawner) = (socket.clone(), core.platform.spawner);
        let timers = spawner.clone();
        let stop = async move {
            sleep(&timers, Duration::from_millis(20)).await;
            shutting.shutdown();
        };
        spawn(&*spawner, SchedulingClass::Maintenance, "stop", stop);
        let mut received = Vec::new();
        while let Ok(1..) = recv(&*socket, &mut received).await {
            if send(&*socket, std::mem::take(&mut received)).await.is_err() {
                return;
            }
        }
    });
    for round in 0..100 {
        let mut stream = connect(address);
        stream.write_all(&[1; 100]).expect("sent into the buffer");
        if round % 2 == 0 {
            // Closed with unread bytes: a reset.
            continue;
        }
        let mut answer = Vec::new();
        // Either what was echoed before the stop, or a reset by it.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() <= 100);
    }
    end(node);
}

/// Opens a connection to the address from a shard core, says a word and hears it back.
async fn dial_and_hear(core: Core<u64>, address: SocketAddr) -> Vec<u8> {
    let platform = core.platform;
    let socket = dial(&*platform.network, &platform.spawner, address, PATIENCE).await;
    let socket = socket.expect("somebody listens");
    assert_eq!(socket.peer_address(), address);
    send(&*socket, b"are you there?".to_vec()).await.expect("the other end lives");
    let mut received = Vec::new();
    while received.len() < 14 {
        let bytes = recv(&*socket, &mut received).await.expect("echoed");
        assert!(bytes > 0, "the other end stays");
    }
    received
}

#[test]
fn a_core_dials_a_core() {
    let (node, address) = server(1, echo);
    for round in 0..20 {
        let heard = support::on_one_core(None, move |core| dial_and_hear(core, address));
        assert_eq!(heard, b"are you there?", "round {round}");
    }
    end(node);
}

#[test]
fn nobody_there_is_said_and_silence_is_bounded() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let nobody = free.local_addr().expect("bound");
    drop(free);
    let (mute, mute_address, held) = full_backlog();
    let errors = support::on_one_core(None, move |core| async move {
        let platform = core.platform;
        let (network, spawner) = (&*platform.network, &platform.spawner);
        let refused = dial(network, spawner, nobody, PATIENCE).await.err();
        // Given up by the clock, and by being dropped unpolled and half way.
        let brief = Duration::from_millis(30);
        let late = dial(network, spawner, mute_address, brief).await.err();
        drop(network.start_connect(mute_address).expect("a socket"));
        let mut dropped = network.start_connect(mute_address).expect("a socket");
        std::future::poll_fn(|cx| {
            assert!(dropped.poll_connected(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        sleep(spawner, brief).await;
        drop(dropped);
        sleep(spawner, brief).await;
        (refused, late)
    });
    assert!(
        matches!(errors.0, Some(SocketError::Unreachable { address, .. }) if address == nobody)
    );
    assert!(matches!(errors.1, Some(SocketError::NoAnswer { address }) if address == mute_address));
    drop((mute, held));
}

/// A listener whose queue is full, so that the kernel does not answer those who knock.
fn full_backlog() -> (std::net::TcpListener, SocketAddr, Vec<TcpStream>) {
    let mute = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = mute.local_addr().expect("bound");
    let mut held = Vec::new();
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(stream) => held.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
                return (mute, address, held);
            }
        }
        assert!(held.len() < 10_000, "the queue is bounded");
    }
}
