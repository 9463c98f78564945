//! The servers under test: started in a fresh directory, measured, killed, started again, stopped. None outlives the harness.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use postgres::{NoTls, SimpleQueryMessage};
use tempfile::TempDir;

use crate::measure::{self, Counters};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const COPY_ROWS: u64 = 5_000;
/// Given to both sides: our `--memory`, PostgreSQL's `shared_buffers` (which has the page cache besides).
const MEMORY: &str = "1GB";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ringfence serve`.
    Ringfence,
    /// PostgreSQL 15 as it comes, read committed.
    Postgres,
    /// PostgreSQL 15 with `default_transaction_isolation = serializable`, our own level.
    PostgresSerializable,
    /// The `pg_echo` example.
    Echo,
}

impl Kind {
    /// The name in reports and of `--peer`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ringfence => "ringfence",
            Kind::Postgres => "postgres",
            Kind::PostgresSerializable => "postgres-serializable",
            Kind::Echo => "pg_echo",
        }
    }

    fn is_postgres(self) -> bool {
        matches!(self, Kind::Postgres | Kind::PostgresSerializable)
    }
}

/// The binary under test: `RINGFENCE_BINARY`, else the release build of this workspace.
pub fn ringfence_binary() -> Result<PathBuf> {
    let path = match std::env::var_os("RINGFENCE_BINARY") {
        Some(path) => PathBuf::from(path),
        None => beside_us("ringfence")?,
    };
    ensure!(
        path.is_file(),
        "{} is missing: build it with `cargo build --release -p ringfence`, or name one in RINGFENCE_BINARY",
        path.display()
    );
    Ok(path)
}

fn beside_us(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding our own path")?;
    Ok(own.parent().context("our own binary has a directory")?.join(name))
}

fn postgres_bin() -> Result<PathBuf> {
    let directory = std::env::var_os("POSTGRES_BIN")
        .map_or_else(|| PathBuf::from("/usr/lib/postgresql/15/bin"), PathBuf::from);
    ensure!(
        directory.join("initdb").is_file(),
        "PostgreSQL is missing in {}: apt-get install postgresql-15, or name its bin directory in POSTGRES_BIN",
        directory.display()
    );
    Ok(directory)
}

/// A running server in a directory of its own.
pub struct Server {
    kind: Kind,
    port: u16,
    directory: TempDir,
    /// Our own child; PostgreSQL's postmaster detaches and is known by its number.
    child: Option<Child>,
    process: u32,
}

impl Server {
    /// Starts one in a fresh directory.
    pub fn start(kind: Kind) -> Result<Server> {
        let directory = tempfile::Builder::new()
            .prefix("ringfence-bench-")
            .tempdir()
            .context("making a directory")?;
        let port = free_port()?;
        let mut server = Server { kind, port, directory, child: None, process: 0 };
        if kind.is_postgres() {
            server.init_postgres()?;
        }
        server.launch().with_context(|| format!("starting {}", kind.name()))?;
        if kind.is_postgres() {
            server.connect_to("postgres")?.batch_execute("CREATE DATABASE ringfence")?;
        }
        Ok(server)
    }

    /// Which one it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a client connects.
    pub fn url(&self) -> String {
        format!("postgresql://ringfence@127.0.0.1:{}/ringfence", self.port)
    }

    /// A directory for scripts of the run, gone with the server.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What the kernel counted for it so far.
    pub fn counters(&self) -> Result<Counters> {
        measure::counters(self.process)
    }

    /// Bytes of its files.
    pub fn disk_bytes(&self) -> u64 {
        measure::disk_bytes(&self.data())
    }

    /// A connection.
    pub fn connect(&self) -> Result<postgres::Client> {
        self.connect_to("ringfence")
    }

    fn connect_to(&self, database: &str) -> Result<postgres::Client> {
        let url = format!("postgresql://ringfence@127.0.0.1:{}/{database}", self.port);
        postgres::Client::connect(&url, NoTls)
            .with_context(|| format!("connecting to {}", self.kind.name()))
    }

    /// The rows of a statement, as text.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        rows(&mut self.connect()?, sql)
    }

    /// Copies lines `from..to` into a table, in blocks below the megabyte that a COPY may hold on a server without bulk loading.
    pub fn fill(
        &self,
        table: &str,
        from: u64,
        to: u64,
        line: impl Fn(u64) -> String,
    ) -> Result<()> {
        let mut client = self.connect()?;
        let mut next = from;
        while next < to {
            let end = (next + COPY_ROWS).min(to);
            let block: String = (next..end).map(|row| line(row) + "\n").collect();
            let mut copy = client.copy_in(&format!("COPY {table} FROM STDIN"))?;
            copy.write_all(block.as_bytes())?;
            copy.finish().with_context(|| format!("filling {table}"))?;
            next = end;
        }
        Ok(())
    }

    /// Does before a measurement what PostgreSQL's autovacuum and checkpointer would do beside it.
    pub fn settle(&self) -> Result<()> {
        if self.kind.is_postgres() {
            let mut client = self.connect()?;
            // Alone, each: VACUUM refuses the transaction that several statements share.
            client.batch_execute("VACUUM ANALYZE")?;
            client.batch_execute("CHECKPOINT")?;
        }
        Ok(())
    }

    /// Ends it without notice, as a crash would, and starts it on the same files.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.kill();
        self.launch().with_context(|| format!("starting {} after a crash", self.kind.name()))
    }

    /// Stops it as an operator would.
    pub fn stop(mut self) -> Result<()> {
        if self.kind.is_postgres() {
            self.pg_ctl(&["stop", "-m", "fast", "-w"])?;
            self.process = 0;
            return Ok(());
        }
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        ensure!(sent.context("running kill")?.success(), "the server was gone before its stop");
        let status = child.wait()?;
        // The example has no handler and ends by the signal itself.
        ensure!(
            self.kind == Kind::Echo || status.success(),
            "{} ended with {status}",
            self.kind.name()
        );
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it is gone already, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        } else if self.process != 0 {
            // `immediate` has every process quit without a checkpoint: recovery from the log follows.
            let _ = self.pg_ctl(&["stop", "-m", "immediate", "-w"]);
        }
        self.process = 0;
    }

    fn launch(&mut self) -> Result<()> {
        match self.kind {
            Kind::Ringfence => self.launch_ringfence(),
            Kind::Echo => self.launch_echo(),
            Kind::Postgres | Kind::PostgresSerializable => self.launch_postgres(),
        }
    }

    fn launch_ringfence(&mut self) -> Result<()> {
        let log = fs::File::create(self.directory.path().join("ringfence.log"))?;
        let mut child = Command::new(ringfence_binary()?)
            .arg("serve")
            .arg("--data")
            .arg(self.data())
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--http", &format!("127.0.0.1:{}", free_port()?), "--memory", "1GiB"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        self.process = child.id();
        let mut stdout =
            BufReader::new(child.stdout.take().context("its standard output is a pipe")?);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        // The pipe stays open as long as the child, which may have more to say.
        child.stdout = Some(stdout.into_inner());
        self.child = Some(child);
        read?;
        if !line.starts_with("ready ") {
            let log = fs::read_to_string(self.directory.path().join("ringfence.log"))?;
            bail!("it did not become ready: {}", log.lines().last().unwrap_or("no message"));
        }
        Ok(())
    }

    fn launch_echo(&mut self) -> Result<()> {
        let binary = beside_us("examples/pg_echo")?;
        ensure!(
            binary.is_file(),
            "{} is missing: cargo build --release -p bench --example pg_echo",
            binary.display()
        );
        let child = Command::new(binary).arg(format!("127.0.0.1:{}", self.port)).spawn()?;
        self.process = child.id();
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            ensure!(started.elapsed() < START_TIMEOUT, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn init_postgres(&self) -> Result<()> {
        // PostgreSQL refuses to run as root; its own user must reach and own the directory.
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o755))?;
        if is_root()? {
            run(Command::new("chown").arg("postgres").arg(self.directory.path()))?;
        }
        let mut initdb = self.postgres_tool("initdb")?;
        initdb.args(["-U", "ringfence", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"]);
        run(initdb.arg(self.data()))?;
        let isolation = match self.kind {
            Kind::PostgresSerializable => "serializable",
            _ => "read committed",
        };
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nfsync = on\n\
             synchronous_commit = on\nshared_buffers = {MEMORY}\nmax_connections = 200\n\
             default_transaction_isolation = '{isolation}'\n",
            self.port
        );
        let path = self.data().join("postgresql.conf");
        fs::OpenOptions::new().append(true).open(path)?.write_all(settings.as_bytes())?;
        Ok(())
    }

    fn launch_postgres(&mut self) -> Result<()> {
        let log = self.directory.path().join("postgres.log");
        let log = log.to_str().context("the directory's name is text")?;
        self.pg_ctl(&["start", "-w", "-l", log])?;
        let file = fs::read_to_string(self.data().join("postmaster.pid"))?;
        self.process = file.lines().next().unwrap_or_default().trim().parse()?;
        Ok(())
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<()> {
        run(self.postgres_tool("pg_ctl")?.args(arguments).arg("-D").arg(self.data()))
    }

    fn postgres_tool(&self, name: &str) -> Result<Command> {
        let tool = postgres_bin()?.join(name);
        let mut command;
        if is_root()? {
            command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(tool);
        } else {
            command = Command::new(tool);
        }
        command.current_dir(self.directory.path());
        Ok(command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The rows of a statement on a connection, as text.
pub fn rows(client: &mut postgres::Client, sql: &str) -> Result<Vec<Vec<String>>> {
    let messages = client.simple_query(sql).with_context(|| sql.to_owned())?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|column| row.get(column).unwrap_or_default().to_owned())
                    .collect(),
            ),
            _ => None,
        })
        .collect())
}

fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self").context("reading /proc/self")?.uid() == 0)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("finding a free port")?.local_addr()?.port())
}

fn run(command: &mut Command) -> Result<()> {
    // No pipes: a server that detaches would hold them open for ever.
    let name = command.get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("starting {name}"))?;
    ensure!(status.success(), "`{name} {}` ended with {status}", arguments.join(" "));
    Ok(())
}
