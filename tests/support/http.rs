//! A host that speaks HTTP over a real socket, and a client small enough to see every byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use larder::adapters::prometheus::Exporter;
use larder::ports::clock::VirtualClock;
use larder::ports::metrics::Metrics;
use larder::wire::front::Front;
use larder::wire::http::{App, HttpServer, Surface};
use larder::wire::workers::Workers;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::engine::World;

/// Nothing in a test takes longer, unless it never ends. In virtual time: longer than every bound of the host.
const PATIENCE: Duration = Duration::from_secs(300);

/// A front end over this world, with the metrics page that the host has.
pub fn app(world: World) -> App {
    app_behind(world, Arc::default())
}

/// The same behind what a front lets in.
pub fn app_behind(world: World, front: Arc<Front>) -> App {
    let World { engine, clock, metrics, .. } = world;
    let exporter = Exporter::new(&metrics, clock, Vec::new()).unwrap();
    App::new(engine, Arc::new(move || exporter.page()), front, Surface::Whole)
}

/// A running front end.
pub struct Host {
    pub addr: SocketAddr,
    pub clock: Arc<VirtualClock>,
    pub metrics: Arc<Metrics>,
    workers: Arc<Workers>,
    running: JoinHandle<()>,
}

impl Host {
    /// Serves this world on a free port.
    pub async fn start(world: World) -> Self {
        Self::start_with(world, 100).await
    }

    /// The same with another number of connections.
    pub async fn start_with(world: World, connections_max: usize) -> Self {
        let (clock, metrics) = (world.clock.clone(), world.metrics.clone());
        let front = Arc::new(Front::new(Arc::clone(&metrics)));
        front.http.places.set(connections_max, None);
        let app = app_behind(world, front);
        let server = HttpServer::bind("127.0.0.1:0".parse().unwrap(), "--http", false, app).await.unwrap();
        let addr = server.local_addr();
        let workers = Workers::start(2, |_| {}).unwrap();
        let running = tokio::spawn(server.run(Arc::clone(&workers)));
        Self { addr, clock, metrics, workers, running }
    }

    /// A new connection.
    pub async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.addr).await.unwrap())
    }

    /// Ends it; whether everything ended by itself.
    pub async fn stop(self) -> bool {
        let in_time = self.workers.shutdown(Duration::from_secs(30)).await;
        self.running.await.unwrap();
        in_time
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value; empty if it is not there, and a failure if it is there twice.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map_or("", |(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What went wrong: the status and the last part of the problem's type, `404 absent`.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status);
        let kind = document["type"].as_str().unwrap().strip_prefix("urn:larder:problem:").unwrap();
        format!("{} {kind}", self.status)
    }
}

/// A connection of a client.
pub struct Client<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// The same, where the host may have ended the connection already.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        tokio::time::timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.expect("the host reads")
    }

    /// Sends a request and reads its answer. `head`: the method, the path, and header lines: `PUT /v1/cache/d/k|if-match: *`.
    pub async fn call(&mut self, head: &str, body: &str) -> Reply {
        self.send(request(head, body)).await;
        self.answer(head.starts_with("HEAD ")).await
    }

    /// A `GET`.
    pub async fn get(&mut self, path: &str) -> Reply {
        self.call(&format!("GET {path}"), "").await
    }

    /// The next answer; `bare`: to a `HEAD`, which has no body whatever its head says.
    pub async fn answer(&mut self, bare: bool) -> Reply {
        loop {
            if let Some((reply, len)) = parse(&self.read, bare) {
                self.read.drain(..len);
                return reply;
            }
            assert!(self.more().await, "the connection ended in the middle: {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// The next answer, with a pause before each read.
    pub async fn slow_answer(&mut self, pause: Duration) -> Reply {
        loop {
            if let Some((reply, len)) = parse(&self.read, false) {
                self.read.drain(..len);
                return reply;
            }
            tokio::time::sleep(pause).await;
            assert!(self.more().await, "the connection ended in the middle of a slow answer");
        }
    }

    /// Whether the host ends the connection without another byte.
    pub async fn ended(&mut self) -> bool {
        while self.more().await {}
        self.read.is_empty()
    }

    async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        read.expect("the host answers").is_ok_and(|n| n > 0)
    }
}

/// A request as clients send it.
pub fn request(head: &str, body: &str) -> String {
    let mut lines = head.split('|');
    let mut request = format!("{} HTTP/1.1\r\nhost: larder\r\n", lines.next().unwrap());
    for line in lines {
        request.push_str(&format!("{line}\r\n"));
    }
    if !body.is_empty() || head.starts_with("PUT ") {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request + "\r\n" + body
}

/// The first answer in `bytes`, and how long it is.
fn parse(bytes: &[u8], bare: bool) -> Option<(Reply, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII");
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
    let header = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<(String, String)> = lines.map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, length)| length.parse().unwrap());
    let length = if bare || status == 304 { 0 } else { length.unwrap_or(0) };
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    Some((Reply { status, headers, body }, end + 4 + length))
}
