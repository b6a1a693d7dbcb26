//! A real Redis for tests: on a free port of the loopback, without persistence, ended with its test. Its other forms are
//! in [`cluster`], [`sentinels`] and [`secured`].

pub(crate) mod cluster;
pub(crate) mod secured;
pub(crate) mod sentinels;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::adapters::clock::SystemClock;
use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore};
use larder::ports::metrics::Metrics;

use super::host::guest;

/// How long a server may take to answer its first PING, on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(20);
/// How often another free port is tried if somebody was quicker.
const PORTS_MAX: usize = 5;
/// Deadline of calls in tests that are not about deadlines.
const STORE_MS: u64 = 10_000;

/// A running server.
pub(crate) struct RedisServer {
    child: Child,
    program: PathBuf,
    port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// Starts one.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more settings: `["--requirepass", "secret"]`.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let tried = (0..PORTS_MAX).find_map(|_| Self::start_on(free_port(), arguments));
        tried.expect("redis-server starts on a free port")
    }

    /// Starts a Valkey; `None` if there is none for this machine, which `cargo xtask test` says, too.
    pub(crate) fn valkey() -> Option<Self> {
        let target = guest("hostile").parent()?.parent()?.to_owned();
        let own = target.join("languages/valkey/usr/bin/valkey-server");
        let starts = |program: &PathBuf| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
        let program = ["valkey-server".into(), own].into_iter().find(starts)?;
        let tried = (0..PORTS_MAX).find_map(|_| Self::start_program(&program, free_port(), &[]));
        Some(tried.expect("valkey-server starts on a free port"))
    }

    /// Starts one on this port; `None` if it ended at once, as it does when the port is taken.
    pub(crate) fn start_on(port: u16, arguments: &[&str]) -> Option<Self> {
        Self::start_program(Path::new("redis-server"), port, arguments)
    }

    fn start_program(program: &Path, port: u16, arguments: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = spawn(program, port, &arguments, folder.path());
        let mut server = Self { child, program: program.to_owned(), port, arguments, folder };
        server.is_ready().then_some(server)
    }

    /// Removes everything that it holds.
    pub(crate) fn flush(&self) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).expect("an address");
        let mut connection = client.get_connection().expect("it accepts");
        redis::cmd("FLUSHALL").exec(&mut connection).expect("it empties");
    }

    /// Where it is.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, for `--store`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` prints.
    #[track_caller]
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        redis_cli(self.port, words)
    }

    /// A store on it, with a generous deadline.
    pub(crate) fn store(&self) -> RedisStore {
        self.store_within(STORE_MS)
    }

    /// A store on it with this deadline.
    pub(crate) fn store_within(&self, store_ms: u64) -> RedisStore {
        store(RedisSettings { store_ms, ..RedisSettings::new(address(self.port)) })
    }

    /// Ends it as a crash would: SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child of ours can be ended");
        self.child.wait().expect("a child of ours can be waited for");
    }

    /// Starts it anew on the same port, with nothing in it.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.program, self.port, &self.arguments, self.folder.path());
        assert!(self.is_ready(), "redis-server starts again on port {}", self.port);
    }

    /// Lets it answer nothing; it still accepts connections, as a machine that swaps does.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a kill command").success(), "{signal} is sent");
    }

    /// Waits until it answers; `false` if it ended instead.
    fn is_ready(&mut self) -> bool {
        let started = Instant::now();
        while self.child.try_wait().expect("a child of ours can be asked").is_none() {
            if answers_ping(self.port).unwrap_or(false) {
                return true;
            }
            assert!(started.elapsed() < START_WITHIN, "redis-server on port {} answers PING", self.port);
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A stopped process dies of SIGKILL as well. If it is gone already there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `redis-cli` prints when it is connected to this port of the loopback.
#[track_caller]
pub(crate) fn redis_cli(port: u16, words: &[&str]) -> String {
    redis_cli_if_served(port, words).unwrap_or_else(|errors| panic!("{words:?} at {port}: {errors}"))
}

/// The same, or why not: a server that becomes something else ends its connections.
pub(crate) fn redis_cli_if_served(port: u16, words: &[&str]) -> Result<String, String> {
    let output =
        Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output().expect("redis-cli runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim_end().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The address of a server on this port of the loopback.
pub(crate) fn address(port: u16) -> RedisAddress {
    RedisAddress::from_parts("127.0.0.1", port, None)
}

/// A store with the system's clock and metrics of its own.
pub(crate) fn store(settings: RedisSettings) -> RedisStore {
    RedisStore::new(settings, Arc::new(SystemClock::default()), Arc::new(Metrics::default()))
}

/// A port on which nobody listens now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has free ports");
    listener.local_addr().expect("it is bound").port()
}

fn spawn(program: &Path, port: u16, arguments: &[String], folder: &Path) -> Child {
    Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("redis-server does not start ({error}): run cargo xtask test, which says what is missing")
        })
}

fn answers_ping(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), START_WITHIN)?;
    stream.set_read_timeout(Some(START_WITHIN))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(matches!(&answer, b"+PONG" | b"-NOAU"))
}
