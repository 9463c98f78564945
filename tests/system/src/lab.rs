//! Hosts in network namespaces of their own, on one bridge, and what goes wrong between them.
//!
//! ```text
//!   host 0 ─┐  each a namespace: lo, eth0 = 10.77.0.(host + 1)
//!   host 1 ─┼─ bridge, in a namespace too: nothing here is seen from outside
//!   host 2 ─┘
//! ```
//!
//! Faults are rules of each host's own packet filter, at its input: what host `to` does not hear from host `from`. So a cut may be one-way, partial (a
//! bridge: two hosts that hear a third and not each other), or whole; loss is drawn a packet. A slow link is a token bucket at the host's end. Processes are
//! paused and killed by their id, which `ip netns exec` keeps.
//!
//! Needs root, `ip`, `nft` and `tc`; where they are missing [`Lab::new`] says so and gives nothing.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static LABS: AtomicU32 = AtomicU32::new(0);

/// Some hosts on a network of their own. Gone, with every process that runs there, when dropped.
pub struct Lab {
    name: String,
    hosts: u8,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", arguments.join(" "), said.trim()))
}

impl Lab {
    /// So many hosts that all hear each other; nothing, and a line that says why, where this machine cannot have them.
    pub fn new(hosts: u8) -> Option<Lab> {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let lab = Lab { name: format!("lab{}-{number}", std::process::id()), hosts };
        match lab.build() {
            Ok(()) => Some(lab),
            Err(reason) => {
                eprintln!("skipped: network namespaces need root, ip, nft and tc ({reason})");
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        let hub = self.hub();
        run("ip", &["netns", "add", &hub])?;
        let in_hub = |arguments: &[&str]| run("ip", &[&["-n", &hub], arguments].concat());
        in_hub(&["link", "add", "bridge", "type", "bridge"])?;
        in_hub(&["link", "set", "bridge", "up"])?;
        for host in 0..self.hosts {
            let space = self.space(host);
            run("ip", &["netns", "add", &space])?;
            let port = format!("port{host}");
            let peer = ["peer", "name", "eth0", "netns", &space];
            in_hub(&[&["link", "add", &port, "type", "veth"], &peer[..]].concat())?;
            in_hub(&["link", "set", &port, "master", "bridge", "up"])?;
            let address = format!("{}/24", self.address(host));
            let inside = |arguments: &[&str]| run("ip", &[&["-n", &space], arguments].concat());
            inside(&["address", "add", &address, "dev", "eth0"])?;
            inside(&["link", "set", "lo", "up"])?;
            inside(&["link", "set", "eth0", "up"])?;
            self.filter(host, &["add", "table", "inet", "faults"])?;
            let chain = "{ type filter hook input priority 0; }";
            self.filter(host, &["add", "chain", "inet", "faults", "input", chain])?;
        }
        Ok(())
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    fn space(&self, host: u8) -> String {
        assert!(host < self.hosts, "the lab has {} hosts", self.hosts);
        format!("{}-{host}", self.name)
    }

    fn filter(&self, host: u8, arguments: &[&str]) -> Result<(), String> {
        let space = self.space(host);
        run("ip", &[&["netns", "exec", &space, "nft"], arguments].concat())
    }

    fn drops(&self, to: u8, rule: &[&str]) {
        let rule = [&["add", "rule", "inet", "faults", "input"], rule, &["drop"]].concat();
        self.filter(to, &rule).expect("the filter takes a rule that it took before");
    }

    /// The address of a host.
    pub fn address(&self, host: u8) -> String {
        format!("10.77.0.{}", host + 1)
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> u8 {
        self.hosts
    }

    /// A command that runs on a host; the process that it starts is the program itself.
    pub fn command(&self, host: u8, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(host)]).arg(program);
        command
    }

    /// `to` does not hear `from` any more; `from` may hear `to`.
    pub fn cut_one_way(&self, from: u8, to: u8) {
        self.drops(to, &["ip", "saddr", &self.address(from)]);
    }

    /// Two hosts do not hear each other.
    pub fn cut(&self, one: u8, other: u8) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// A host hears nobody and is heard by nobody of `others`.
    pub fn isolate(&self, host: u8, others: impl IntoIterator<Item = u8>) {
        others.into_iter().filter(|other| *other != host).for_each(|other| self.cut(host, other));
    }

    /// `to` loses so many of a hundred packets from `from`.
    pub fn lose(&self, from: u8, to: u8, percent: u8) {
        let percent = percent.to_string();
        let source = ["ip", "saddr", &self.address(from)];
        let drawn = ["numgen", "random", "mod", "100", "<", &percent];
        self.drops(to, &[&source[..], &drawn].concat());
    }

    /// What a host sends leaves at so many kilobits a second at most.
    pub fn slow(&self, host: u8, kilobits: u32) {
        let rate = format!("{kilobits}kbit");
        let space = self.space(host);
        let bucket = ["tbf", "rate", &rate, "burst", "32kbit", "latency", "2s"];
        let device = ["-n", &space, "qdisc", "replace", "dev", "eth0", "root"];
        run("tc", &[&device[..], &bucket].concat()).expect("the device takes a token bucket");
    }

    /// Every host hears every other again, at full speed.
    pub fn heal(&self) {
        for host in 0..self.hosts {
            self.filter(host, &["flush", "chain", "inet", "faults", "input"])
                .expect("the filter forgets its rules");
            // There is none where nothing was slow.
            let space = self.space(host);
            let _none = run("tc", &["-n", &space, "qdisc", "del", "dev", "eth0", "root"]);
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in (0..self.hosts).map(|host| self.space(host)).chain([self.hub()]) {
            let listed = Command::new("ip").args(["netns", "pids", &space]).output();
            let listed = listed.map(|output| output.stdout).unwrap_or_default();
            for process in String::from_utf8_lossy(&listed).split_whitespace() {
                let _gone = run("kill", &["-KILL", process]);
            }
            let _gone = run("ip", &["netns", "del", &space]);
        }
    }
}

/// Stops a process where it is, as a frozen machine would.
///
/// # Panics
/// If there is no such process.
pub fn pause(process: &Child) {
    run("kill", &["-STOP", &process.id().to_string()]).expect("it runs");
}

/// Lets a paused process go on.
///
/// # Panics
/// If there is no such process.
pub fn resume(process: &Child) {
    run("kill", &["-CONT", &process.id().to_string()]).expect("it is paused");
}
