//! A host that speaks RESP over a real socket, and a client small enough to see every byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use larder::ports::clock::VirtualClock;
use larder::ports::metrics::Metrics;
use larder::wire::resp::{RespConfig, RespServer};
use larder::wire::workers::Workers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::engine::World;

/// Nothing in a test takes longer, unless it never ends.
const PATIENCE: Duration = Duration::from_secs(30);

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
        Self::start_with(world, RespConfig::default()).await
    }

    /// The same with other settings.
    pub async fn start_with(world: World, config: RespConfig) -> Self {
        let World { engine, clock, metrics, .. } = world;
        let config = RespConfig { addr: "127.0.0.1:0".parse().unwrap(), ..config };
        let server = RespServer::bind(&config, engine).await.unwrap();
        let addr = server.local_addr();
        let workers = Workers::start(2, |_| {}).unwrap();
        let running = tokio::spawn(server.run(Arc::clone(&workers)));
        Self { addr, clock, metrics, workers, running }
    }

    /// A new connection.
    pub async fn connect(&self) -> Client {
        Client::of(self.addr).await
    }

    /// Ends it; whether everything ended by itself.
    pub async fn stop(self) -> bool {
        let in_time = self.workers.shutdown(PATIENCE).await;
        self.running.await.unwrap();
        in_time
    }
}

/// A connection of a client.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    /// A connection to any server that speaks RESP.
    pub async fn of(addr: impl tokio::net::ToSocketAddrs) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap(), read: Vec::new() }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        tokio::time::timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.expect("the host reads").unwrap();
    }

    /// Sends a command and reads its answer.
    pub async fn call(&mut self, words: &[&str]) -> String {
        self.send(frame(words)).await;
        self.answer().await
    }

    /// Sends a command whose words have no spaces, and reads its answer.
    pub async fn line(&mut self, line: &str) -> String {
        self.call(&line.split(' ').collect::<Vec<_>>()).await
    }

    /// Sends commands in one go, and reads as many answers.
    pub async fn pipeline(&mut self, lines: &[&str]) -> Vec<String> {
        let batch: Vec<u8> = lines.iter().flat_map(|line| frame(&line.split(' ').collect::<Vec<_>>())).collect();
        self.send(batch).await;
        let mut answers = Vec::new();
        for _ in lines {
            answers.push(self.answer().await);
        }
        answers
    }

    /// Says that it will send no more.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next answer as text: `+OK`, `-ERR …`, `:1`, `"bytes"`, `nil` (RESP2), `null` (RESP3), `[…]`, `{…}`, `~[…]`, `>[…]`, `#t`, `,1.5`,
    /// `txt"…"`.
    pub async fn answer(&mut self) -> String {
        loop {
            if let Some((text, len)) = parse(&self.read) {
                self.read.drain(..len);
                return text;
            }
            assert!(self.more().await, "the connection ended in the middle: {:?}", String::from_utf8_lossy(&self.read));
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

/// A command as clients send it.
pub fn frame(words: &[&str]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", words.len());
    for word in words {
        frame.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    frame.into_bytes()
}

/// The first answer in `bytes` as text, and how long it is.
fn parse(bytes: &[u8]) -> Option<(String, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (kind, line) = (bytes[0], String::from_utf8_lossy(&bytes[1..end]).into_owned());
    let head = end + 2;
    let number = || line.parse::<i64>().expect("a number");
    match kind {
        b'+' | b'-' | b':' | b',' | b'#' | b'(' => Some((format!("{}{line}", char::from(kind)), head)),
        b'_' => Some(("null".into(), head)),
        b'$' | b'*' if number() < 0 => Some(("nil".into(), head)),
        b'$' | b'=' => {
            let len = usize::try_from(number()).unwrap();
            let body = bytes.get(head..head + len + 2)?;
            assert_eq!(&body[len..], b"\r\n");
            let text = String::from_utf8_lossy(&body[..len]);
            let text = match text.strip_prefix("txt:") {
                Some(text) if kind == b'=' => format!("txt\"{text}\""),
                _ => format!("\"{text}\""),
            };
            Some((text, head + len + 2))
        }
        b'*' | b'~' | b'%' | b'>' => {
            let items = usize::try_from(number()).unwrap() * if kind == b'%' { 2 } else { 1 };
            let (mut texts, mut at) = (Vec::new(), head);
            for _ in 0..items {
                let (text, len) = parse(&bytes[at..])?;
                texts.push(text);
                at += len;
            }
            let text = match kind {
                b'*' => format!("[{}]", texts.join(", ")),
                b'>' => format!(">[{}]", texts.join(", ")),
                b'~' => format!("~[{}]", texts.join(", ")),
                _ => format!("{{{}}}", texts.chunks(2).map(|pair| pair.join(": ")).collect::<Vec<_>>().join(", ")),
            };
            Some((text, at))
        }
        other => panic!("no answer begins with {:?}", char::from(other)),
    }
}
