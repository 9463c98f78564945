//! Server CPU per request of the bare socket path: the floor under every statement.
//!
//! `echo` measures at several numbers of connections, with itself as the client in another process;
//! the server's CPU is that of its shard thread, from the kernel's scheduler statistics. `echo load
//! ADDRESS CONNECTIONS SECONDS` is the client alone: one thread that polls all its connections
//! without sleeping, one request of 64 bytes in flight each. A client that sleeps would put the
//! cost of waking it, which is large on virtual machines, into the server's figure.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use platform::{SchedulingClass, Socket, accept, recv, spawn};
use runtime::{Core, RuntimeOptions, start};

const REQUEST_BYTES: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|mode| mode == "load") {
        let number = |index: usize| -> u64 {
            arguments[index].parse().expect("echo load ADDRESS CONNECTIONS SECONDS")
        };
        let address = arguments[1].parse().expect("an address and a port");
        load(address, number(2), Duration::from_secs(number(3)));
        return;
    }
    let requests = Arc::new(AtomicU64::new(0));
    let (sender, address) = mpsc::channel();
    let counted = requests.clone();
    let options = RuntimeOptions { shards: Some(1), ..RuntimeOptions::default() };
    let node =
        start::<(), _, _>(&options, move |core| serve(core, counted.clone(), sender.clone()));
    let node = match node {
        Ok(node) => node,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let address = address.recv().expect("the core listens");
    let client_cpu = node.cpu_plan().background_cpus[0].to_string();
    for connections in [1, 8, 32, 128] {
        measure(address, connections, &client_cpu, &requests);
    }
    node.shutdown().request();
    node.join();
}

async fn serve(core: Core<()>, requests: Arc<AtomicU64>, address: mpsc::Sender<SocketAddr>) {
    let listener = core.listener(([127, 0, 0, 1], 0).into()).expect("a free port");
    address.send(listener.local_address()).expect("the main thread waits for it");
    let spawner = core.platform.spawner.clone();
    let accepting = spawner.clone();
    spawn(&*spawner, SchedulingClass::Foreground, "accept", async move {
        while let Ok(socket) = accept(&*listener).await {
            let requests = requests.clone();
            let session = echo(socket, requests);
            spawn(&*accepting, SchedulingClass::Foreground, "echo", session);
        }
    });
    core.shutdown.requested().await;
}

async fn echo(socket: Rc<dyn Socket>, requests: Arc<AtomicU64>) {
    let mut received = Vec::new();
    let mut answer = Vec::new();
    let answered = Cell::new(0);
    while let Ok(1..) = recv(&*socket, &mut received).await {
        // What the last round sent has long left; its buffer is used again.
        let Ok(sent) = std::future::poll_fn(|cx| socket.poll_sent(cx)).await else { break };
        if answer.capacity() == 0 {
            answer = sent;
        }
        while received.len() - answered.get() >= REQUEST_BYTES {
            answer.extend_from_slice(&received[answered.get()..answered.get() + REQUEST_BYTES]);
            answered.set(answered.get() + REQUEST_BYTES);
            requests.store(requests.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        received.drain(..answered.replace(0));
        if !answer.is_empty() {
            socket.start_send(std::mem::take(&mut answer));
        }
    }
}

fn measure(address: SocketAddr, connections: u64, client_cpu: &str, requests: &AtomicU64) {
    const SECONDS: u64 = 3;
    let program = std::env::current_exe().expect("this program");
    let mut client = Command::new("taskset")
        .args(["-c", client_cpu])
        .arg(program)
        .args(["load", &address.to_string(), &connections.to_string()])
        .arg((SECONDS + 1).to_string())
        .spawn()
        .expect("taskset of util-linux");
    std::thread::sleep(Duration::from_millis(500));
    let (cpu_before, before) = (shard_cpu_nanos(), requests.load(Ordering::Relaxed));
    let started = Instant::now();
    std::thread::sleep(Duration::from_secs(SECONDS));
    let (cpu, done) = (shard_cpu_nanos() - cpu_before, requests.load(Ordering::Relaxed) - before);
    let seconds = started.elapsed().as_secs_f64();
    client.wait().expect("the client ends");
    println!(
        "{connections:4} connections: {:8.0} requests/s, {:6.2} us server CPU each",
        done as f64 / seconds,
        cpu as f64 / 1000.0 / done.max(1) as f64
    );
}

/// What the kernel says the shard thread has run.
fn shard_cpu_nanos() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("procfs");
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.trim() == "shard-0" {
            let statistics = std::fs::read_to_string(task.path().join("schedstat"));
            let statistics = statistics.expect("scheduler statistics");
            let nanos = statistics.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
            return nanos.expect("the first number of schedstat");
        }
    }
    panic!("the shard thread runs");
}

fn load(address: SocketAddr, connections: u64, duration: Duration) {
    let request = [7; REQUEST_BYTES];
    let connect = |_| {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_nonblocking(true).expect("a TCP socket");
        stream.write_all(&request).expect("an empty socket has room");
        (stream, 0)
    };
    let mut streams: Vec<(TcpStream, usize)> = (0..connections).map(connect).collect();
    let until = Instant::now() + duration;
    let mut answer = [0; REQUEST_BYTES];
    while Instant::now() < until {
        for (stream, received) in &mut streams {
            match stream.read(&mut answer[*received..]) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(bytes) => *received += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            if *received == REQUEST_BYTES {
                *received = 0;
                stream.write_all(&request).expect("one request is in flight");
            }
        }
    }
}
