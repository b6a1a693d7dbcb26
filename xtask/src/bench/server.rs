//! Servers under measurement: real processes on free loopback ports that end with this one.
//!
//! Each runs below a shell that waits for the end of its standard input, which only this process holds open. However this
//! process ends (return, panic, Ctrl-C, kill), the pipe closes, and the shell ends the server by its process id.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Bench;
use super::client::{Reply, Resp, http_get};
use crate::process::starts;

/// How long a server may take to answer after its start.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end before it is killed.
const STOP: Duration = Duration::from_secs(10);
/// Between two looks at something that has a deadline.
const STEP: Duration = Duration::from_millis(5);

/// `$1` is the file for its output, the rest is its command line.
const SUPERVISOR: &str = r#"trap '' INT
log=$1; shift
"$@" >"$log" 2>&1 </dev/null &
echo $!
read -r _
kill -TERM $! 2>/dev/null
wait $!
"#;

/// A running server. Dropping it ends it.
pub(super) struct Server {
    supervisor: Child,
    log: PathBuf,
    /// Its process id.
    pub(super) pid: u32,
    /// Where it speaks RESP; 0: it does not.
    pub(super) resp: u16,
    /// Where it speaks HTTP; 0: it does not.
    pub(super) http: u16,
}

impl Server {
    fn start(log: PathBuf, command: &[String], resp: u16, http: u16) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SUPERVISOR, "sh"]).arg(&log).args(command);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CACHE_", "REDIS_", "LARDER_", "LOG_LEVEL"].iter().any(|prefix| text.starts_with(prefix)) {
                shell.env_remove(&name);
            }
        }
        let mut supervisor = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start sh")?;
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().context("piped")?).read_line(&mut line)?;
        let pid = line.trim().parse().with_context(|| format!("start {}", command.join(" ")))?;
        Ok(Self { supervisor, log, pid, resp, http })
    }

    /// Waits until `ready` answers yes.
    fn wait(self, ready: impl Fn(&Self) -> Result<bool>) -> Result<Self> {
        let deadline = Instant::now() + START;
        loop {
            let why = match ready(&self) {
                Ok(true) => return Ok(self),
                Ok(false) => "it says that it is not".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() > deadline || !alive(self.pid) {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("the server is not ready: {why}\n{log}");
            }
            sleep(STEP);
        }
    }

    /// A connection of one's own.
    pub(super) fn connect(&self) -> Result<Resp> {
        Resp::connect(self.resp)
    }

    /// An empty Redis that saves nothing to disk.
    pub(super) fn redis(bench: &Bench) -> Result<Self> {
        let port = free_port()?;
        let folder = bench.folder("redis")?;
        let text = format!("redis-server --bind 127.0.0.1 --port {port} --appendonly no --dir {}", folder.display());
        let mut command: Vec<String> = text.split(' ').map(str::to_owned).collect();
        command.extend(["--save".to_owned(), String::new()]);
        Self::start(bench.scratch.join("redis.log"), &command, port, 0)?.wait(pings)
    }

    /// twemproxy before a Redis: what a proxy without rules costs on this machine. `None`: it is not installed.
    pub(super) fn twemproxy(bench: &Bench, redis: &Self) -> Result<Option<Self>> {
        if !starts("nutcracker") {
            return Ok(None);
        }
        let (resp, stats) = (free_port()?, free_port()?);
        let config = bench.folder("twemproxy")?.join("nutcracker.yml");
        let servers = format!("  servers:\n   - 127.0.0.1:{}:1\n", redis.resp);
        fs::write(&config, format!("bench:\n  listen: 127.0.0.1:{resp}\n  redis: true\n{servers}"))?;
        let text = format!("nutcracker -c {} -a 127.0.0.1 -s {stats}", config.display());
        let command: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Self::start(bench.scratch.join("twemproxy.log"), &command, resp, 0)?.wait(pings).map(Some)
    }

    /// Larder over these policies and this store, with its policy `domain` live.
    pub(super) fn larder(bench: &Bench, policies: &Path, store: &str, domain: &str, more: &[&str]) -> Result<Self> {
        Self::larder_on(bench, &bench.folder("state")?, policies, store, domain, more)
    }

    /// The same on a state folder that may be another host's before.
    pub(super) fn larder_on(
        bench: &Bench,
        state: &Path,
        policies: &Path,
        store: &str,
        domain: &str,
        more: &[&str],
    ) -> Result<Self> {
        let (resp, http) = (free_port()?, free_port()?);
        let mut command = vec![bench.larder.display().to_string(), "serve".to_owned()];
        for (flag, value) in [
            ("--policies", policies.display().to_string()),
            ("--state", state.display().to_string()),
            ("--resp", format!("127.0.0.1:{resp}")),
            ("--http", format!("127.0.0.1:{http}")),
            ("--store", store.to_owned()),
        ] {
            command.extend([flag.to_owned(), value]);
        }
        command.extend(more.iter().map(|&flag| flag.to_owned()));
        let server = Self::start(bench.scratch.join("larder.log"), &command, resp, http)?;
        server.wait(|server| Ok(pings(server)? && generation(server.http, domain)? > 0))
    }

    /// nginx with this configuration, which listens for HTTP on this port.
    pub(super) fn nginx(bench: &Bench, folder: &Path, config: &Path, http: u16) -> Result<Self> {
        let text = format!("nginx -p {} -c {} -e stderr", folder.display(), config.display());
        let command: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let server = Self::start(bench.scratch.join("nginx.log"), &command, 0, http)?;
        server.wait(|server| Ok(http_get(server.http, "/")?.status == 200))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let deadline = Instant::now() + STOP;
        while matches!(self.supervisor.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // It did not end when it was asked to; the supervisor is still waiting for it, so the id is still its own.
                let killed = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
                eprintln!("bench: killed process {} ({killed:?})", self.pid);
                let _ = self.supervisor.wait();
                return;
            }
            sleep(STEP);
        }
    }
}

/// The generation of a live policy, as the HTTP API tells; 0: none is live.
pub(super) fn generation(http: u16, domain: &str) -> Result<u64> {
    let answer = http_get(http, &format!("/v1/policies/{domain}"))?;
    let after = answer.body.split("\"generation\":").nth(1).unwrap_or_default().trim_start();
    let digits = after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    Ok(digits.parse().unwrap_or(0))
}

/// A loopback port that was free a moment ago.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn pings(server: &Server) -> Result<bool> {
    Ok(matches!(server.connect()?.call(&["PING"])?, Reply::Status(_)))
}

/// Whether the process exists and is no zombie.
fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_server_ends_with_its_guard() -> Result<()> {
    let command = ["sleep", "1000"].map(str::to_owned);
    let server = Server::start("/dev/null".into(), &command, 0, 0)?;
    let pid = server.pid;
    assert!(alive(pid));
    drop(server);
    assert!(!alive(pid));
    Ok(())
}
