//! A real host: the binary, on free ports, with a policy folder of its own. Ended by its pid when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a host may take until it serves, and a test waits for something to come true.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The sample policies.
pub const SAMPLES: [&str; 8] = ["default", "presence", "profile", "queue", "rate-limit", "session", "typing", "unread"];

/// The text of a `DOMAIN.toml` with these lines in place of its settings.
pub fn with_settings(toml: &str, lines: &str) -> String {
    let mut table: toml::Table = toml.parse().unwrap();
    table.insert("settings".into(), toml::Value::Table(lines.parse().unwrap()));
    table.to_string()
}

/// A host that is to be started.
pub struct HostBuilder {
    folder: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    files_max: Option<u32>,
}

impl HostBuilder {
    /// With an empty policy folder.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        Self { folder, args: Vec::new(), env: Vec::new(), files_max: None }
    }

    /// With the sample policies, as they are in `policies/`.
    pub fn samples() -> Self {
        Self::new().all_samples()
    }

    /// With all sample policies.
    pub fn all_samples(self) -> Self {
        SAMPLES.into_iter().fold(self, Self::sample)
    }

    /// With one sample policy, as it is in `policies/`.
    pub fn sample(self, domain: &str) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("policies/{domain}.toml"));
        let text = std::fs::read_to_string(shipped).unwrap();
        // Tests of what a sample promises are not about deadlines, and the machine may be busy.
        let toml = self.policies().join(format!("{domain}.toml"));
        assert!(text.contains("[limits]"), "{domain}.toml shows where limits are set");
        std::fs::write(toml, text.replace("[limits]", "[limits]\nhook_ms = 1000")).unwrap();
        self.policy(domain, &sample(domain))
    }

    /// With other settings of a policy than those in its `DOMAIN.toml`: lines such as `ttl = "1s"`.
    pub fn settings(self, domain: &str, lines: &str) -> Self {
        let path = self.policies().join(format!("{domain}.toml"));
        let text = with_settings(&std::fs::read_to_string(&path).unwrap(), lines);
        std::fs::write(path, text).unwrap();
        self
    }

    /// The policy folder.
    pub fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    /// With a component for a domain.
    pub fn policy(self, domain: &str, component: &Path) -> Self {
        std::fs::copy(component, self.policies().join(format!("{domain}.wasm"))).unwrap();
        self
    }

    /// With a `DOMAIN.toml`.
    pub fn toml(self, domain: &str, text: &str) -> Self {
        std::fs::write(self.policies().join(format!("{domain}.toml")), text).unwrap();
        self
    }

    /// With a file beside the folders of the host: `larder.toml` is read from there.
    pub fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// With one more setting: `--set NAME=VALUE`.
    pub fn set(self, name: &str, value: &str) -> Self {
        self.arg("--set").arg(format!("{name}={value}"))
    }

    /// With one more argument of `larder serve`.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// On a system that lets it open so many files and no more.
    pub fn files_max(mut self, files: u32) -> Self {
        self.files_max = Some(files);
        self
    }

    /// Starts it and waits until it serves.
    pub fn start(self) -> Host {
        match self.try_start() {
            Ok(host) => host,
            Err(output) => panic!("the host did not start:\n{output}"),
        }
    }

    /// Starts it; what it printed if it ended instead of serving.
    pub fn try_start(self) -> Result<Host, String> {
        // The shell becomes the host, whose id is therefore the child's.
        let limit = self.files_max.map_or_else(String::new, |files| format!("ulimit -n {files} && "));
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limit}exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_larder")])
            .args(["serve", "--resp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--policies"])
            .arg(self.policies())
            .arg("--state")
            .arg(self.folder.path().join("state"))
            .args(&self.args)
            .current_dir(self.folder.path())
            .env("LOG_LEVEL", "info")
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = self.folder.path().join("log");
        let mut stderr = child.stderr.take().unwrap();
        let mut file = std::fs::File::create(&log).unwrap();
        let logging = std::thread::spawn(move || std::io::copy(&mut stderr, &mut file));
        let (ready, is_ready) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if line.starts_with("larder ") && line.contains(" ready ") {
                    let _ = ready.send(line);
                }
            }
        });
        let Ok(line) = is_ready.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let status = child.wait().unwrap();
            let _ = logging.join();
            return Err(format!("{status}\n{}", std::fs::read_to_string(&log).unwrap()));
        };
        let address = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap();
            word.parse::<SocketAddr>().unwrap()
        };
        let admin = line.split_whitespace().find_map(|word| word.strip_prefix("admin=")).map(|it| it.parse().unwrap());
        Ok(Host { resp: address("resp="), http: address("http="), admin, child, folder: self.folder, log })
    }
}

/// A host that serves.
pub struct Host {
    pub resp: SocketAddr,
    pub http: SocketAddr,
    pub admin: Option<SocketAddr>,
    child: Child,
    folder: TempDir,
    log: PathBuf,
}

impl Host {
    /// The policy folder.
    pub fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has logged this: another thread than the one that answers writes it.
    pub fn waits_to_log(&self, text: &str) {
        wait_until(&format!("the log says {text:?}"), || self.log().contains(text));
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// A new connection of a real Redis client.
    pub fn client(&self) -> redis::Connection {
        redis::Client::open(format!("redis://{}/?protocol=resp3", self.resp)).unwrap().get_connection().unwrap()
    }

    /// One command through a new connection, in words.
    pub fn ask(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        command(words).query(&mut self.client())
    }

    /// What `LARDER.EXPLAIN` says of a key, by name.
    pub fn explain(&self, key: &str) -> std::collections::BTreeMap<String, String> {
        let redis::Value::Map(fields) = self.ask(&["LARDER.EXPLAIN", key]).unwrap() else { panic!("no map") };
        fields.into_iter().map(|(name, value)| (text(&name), text(&value))).collect()
    }

    /// Writes a file of the policy folder as an author's tool does: beside it, then renamed.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let temporary = self.policies().join(format!(".{name}.tmp"));
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(temporary, self.policies().join(name)).unwrap();
    }

    /// Writes a file beside the folders of the host.
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Asks it to read its settings again, and waits until it has tried.
    pub fn reload(&self) {
        let before = self.metric("larder_config_reloads_total");
        signal(self.pid(), "HUP");
        wait_until("the settings are read again", || self.metric("larder_config_reloads_total") > before);
    }

    /// The sum of all series of a metric; the tests' operator must be allowed to read them.
    pub fn metric(&self, name: &str) -> f64 {
        let headers = format!("authorization: Bearer {OPERATOR}\r\n");
        let (status, _, page) = http(self.admin.unwrap_or(self.http), "GET", "/metrics", &headers, b"");
        assert_eq!(status, 200, "metrics are shown");
        let page = String::from_utf8(page).unwrap();
        let series = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// One HTTP request on a connection of its own: status, head in lower case, body.
    pub fn http(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        http(self.http, method, path, headers, body)
    }

    /// Waits until it has ended; its exit code.
    pub fn code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Asks it to end, as an operator does, and waits. Whether it ended well.
    pub fn stop(mut self) -> bool {
        signal(self.pid(), "TERM");
        self.child.wait().unwrap().success()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token by which hosts of tests know the operator.
pub const OPERATOR: &str = "operator-0123456789abcdef";

/// One HTTP request on a connection of its own: status, head in lower case, body.
pub fn http(addr: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    exchange(&mut stream, method, path, headers, body)
}

/// The same over a stream that is there.
pub fn exchange(
    stream: &mut (impl Read + Write),
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: larder\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), answer[end + 4..].to_vec())
}

/// A command in words.
pub fn command(words: &[&str]) -> redis::Cmd {
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command
}

/// A reply as text, for comparing.
pub fn text(value: &redis::Value) -> String {
    match value {
        redis::Value::Nil => "nil".into(),
        redis::Value::Int(n) => n.to_string(),
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        redis::Value::SimpleString(text) => text.clone(),
        redis::Value::Okay => "OK".into(),
        redis::Value::Boolean(yes) => yes.to_string(),
        redis::Value::Double(n) => n.to_string(),
        redis::Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}

/// Sends a signal to a process that a test started.
pub fn signal(pid: u32, name: &str) {
    let done = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap();
    assert!(done.success());
}

/// Waits until something comes true, and how long that took. Panics with `what` if it does not.
pub fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "it did not come true that {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    start.elapsed()
}

/// A sample policy's component.
pub fn sample(name: &str) -> PathBuf {
    built(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"), name)
}

/// A component of `tests/guests`.
pub fn guest(name: &str) -> PathBuf {
    // Beside the profile's folder in which the host lies, wherever that is.
    let target = Path::new(env!("CARGO_BIN_EXE_larder")).ancestors().nth(2).unwrap().join("guests-out");
    built(&target, name)
}

fn built(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is not built; run `cargo xtask test`", path.display());
    path
}

/// A component that does the same and has another digest: with one more custom section.
pub fn variant(component: &Path, mark: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(component).unwrap();
    // Section id 0, its size, the length of its name, the name, the mark.
    bytes.extend_from_slice(&[0, 9, 4, b't', b'e', b's', b't']);
    bytes.extend_from_slice(&mark.to_le_bytes());
    bytes
}
