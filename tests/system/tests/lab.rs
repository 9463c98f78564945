//! The laboratory does what it says: what is cut is not heard, in the direction that was cut, and heals.
//!
//! The hosts run this very test binary, as a server that answers one byte to each byte, or as a client that asks it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use system_tests::lab::{Lab, pause, resume};

const ROLE: &str = "LAB_ROLE";
const ADDRESS: &str = "LAB_ADDRESS";
const PATIENCE: Duration = Duration::from_millis(700);
const DATAGRAMS: usize = 400;

/// What a host does when this binary is started on it; nothing in an ordinary run of the tests.
#[test]
fn a_role_on_a_host() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let address: SocketAddr =
        std::env::var(ADDRESS).expect("a role has an address").parse().expect("an address");
    match role.as_str() {
        "echo" => echo(address),
        "ask" => std::process::exit(if ask(address) { 0 } else { 3 }),
        "flood" => flood(address),
        "count" => println!("heard {}", count(address)),
        "pull" => println!("pulled {}", pull(address)),
        other => panic!("there is no role {other}"),
    }
}

fn echo(address: SocketAddr) {
    let listener = TcpListener::bind(address).expect("the host's address");
    println!("listening");
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut byte = [0u8; 1];
        while stream.read_exact(&mut byte).is_ok() {
            // `p` asks for a lot.
            let answer = if byte[0] == b'p' { vec![b'x'; 256 << 10] } else { byte.to_vec() };
            if stream.write_all(&answer).is_err() {
                break;
            }
        }
    }
}

fn ask(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut byte = [0u8; 1];
    stream.write_all(b"?").is_ok() && stream.read_exact(&mut byte).is_ok() && byte == *b"?"
}

/// Bytes that came in the time that a token bucket of two megabits needs for a few of them.
fn pull(address: SocketAddr) -> usize {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream.write_all(b"p").expect("asked");
    let (mut all, mut block, started) = (0, [0u8; 4096], Instant::now());
    while started.elapsed() < PATIENCE / 2 && all < 256 << 10 {
        match stream.read(&mut block) {
            Ok(read) if read > 0 => all += read,
            _ => break,
        }
    }
    all
}

/// In small bursts: a receiver that is kept waiting for its core must not lose what the network has carried.
fn flood(address: SocketAddr) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    for sent in 0..DATAGRAMS {
        let _sent = socket.send_to(b"!", address);
        if sent % 20 == 19 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    for _ in 0..20 {
        let _sent = socket.send_to(b".", address);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn count(address: SocketAddr) -> usize {
    let socket = UdpSocket::bind(address).expect("the host's address");
    // Whatever happens to the last of them, it ends.
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    println!("listening");
    let (mut heard, mut byte) = (0, [0u8; 1]);
    while socket.recv(&mut byte).is_ok() && byte != *b"." {
        heard += 1;
    }
    heard
}

fn role(lab: &Lab, host: u8, role: &str, address: &str) -> Command {
    let mut command = lab.command(host, std::env::current_exe().expect("this binary"));
    command
        .args(["--exact", "a_role_on_a_host", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(ADDRESS, address)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _status = self.0.wait();
    }
}

fn serve(lab: &Lab, host: u8, what: &str) -> Serving {
    let address = format!("{}:7000", lab.address(host));
    let child = role(lab, host, what, &address).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut serving = Serving(child);
    wait_for(&mut serving, "listening");
    serving
}

/// Reads what a role prints until a line begins with a word; gives the rest of that line.
fn wait_for(serving: &mut Serving, word: &str) -> String {
    let out = serving.0.stdout.as_mut().expect("piped");
    let (mut line, mut byte) = (String::new(), [0u8; 1]);
    while out.read_exact(&mut byte).is_ok() {
        if byte[0] == b'\n' {
            // The test harness prints the test's name in front of the first line.
            if let Some(at) = line.find(word) {
                return line[at + word.len()..].trim().to_owned();
            }
            line.clear();
        } else {
            line.push(byte[0] as char);
        }
    }
    panic!("the role ended without saying {word:?}");
}

fn hears(lab: &Lab, from: u8, to: u8) -> bool {
    let address = format!("{}:7000", lab.address(to));
    let status = role(lab, from, "ask", &address).stdout(Stdio::null()).status();
    status.expect("it runs").success()
}

#[test]
fn what_is_cut_is_not_heard_and_heals() {
    let Some(lab) = Lab::new(3) else { return };
    let _servers: Vec<Serving> = (0..3).map(|host| serve(&lab, host, "echo")).collect();
    let all = || {
        let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to).map(|(from, to)| hears(&lab, from, to)).collect()
    };
    let everybody: Vec<bool> = all();
    assert_eq!(everybody, [true; 6]);
    // A bridge: 0 and 1 hear 2 and not each other.
    lab.cut(0, 1);
    let bridged: Vec<bool> = all();
    assert_eq!(bridged, [false, true, false, true, true, true]);
    lab.heal();
    lab.isolate(2, 0..3);
    let minority: Vec<bool> = all();
    assert_eq!(minority, [true, false, true, false, false, false]);
    lab.heal();
    assert_eq!(all(), [true; 6]);
}

#[test]
fn a_cut_has_a_direction() {
    let Some(lab) = Lab::new(2) else { return };
    let mut counter = serve(&lab, 1, "count");
    lab.cut_one_way(1, 0);
    // What 0 sends arrives; what 1 answers does not, so no connection comes about.
    let flooded = role(&lab, 0, "flood", &format!("{}:7000", lab.address(1))).status();
    // Without an answer to its question for the neighbour's address a host sends nothing, so the neighbours were introduced before.
    assert!(flooded.expect("it runs").success());
    assert_eq!(wait_for(&mut counter, "heard"), DATAGRAMS.to_string());
    let _echo = serve(&lab, 1, "echo");
    assert!(!hears(&lab, 0, 1));
    lab.heal();
    assert!(hears(&lab, 0, 1));
}

#[test]
fn some_packets_are_lost_and_a_slow_link_is_slow() {
    let Some(lab) = Lab::new(2) else { return };
    let mut counter = serve(&lab, 1, "count");
    lab.lose(0, 1, 30);
    let address = format!("{}:7000", lab.address(1));
    assert!(role(&lab, 0, "flood", &address).status().expect("it runs").success());
    let heard: usize = wait_for(&mut counter, "heard").parse().expect("a number");
    assert!((DATAGRAMS / 2..DATAGRAMS * 9 / 10).contains(&heard), "{heard} of {DATAGRAMS}");
    lab.heal();
    let _echo = serve(&lab, 1, "echo");
    lab.slow(1, 400);
    let mut puller =
        Serving(role(&lab, 0, "pull", &address).stdout(Stdio::piped()).spawn().expect("it starts"));
    let pulled: usize = wait_for(&mut puller, "pulled").parse().expect("a number");
    assert!(pulled < 128 << 10, "{pulled} bytes came through a slow link");
    lab.heal();
}

#[test]
fn a_paused_process_answers_when_it_goes_on() {
    let Some(lab) = Lab::new(2) else { return };
    let echo = serve(&lab, 1, "echo");
    pause(&echo.0);
    assert!(!hears(&lab, 0, 1));
    resume(&echo.0);
    assert!(hears(&lab, 0, 1));
}
