//! A connection that shows every byte, and the two servers that are compared.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::adapters::clock::SystemClock;
use larder::adapters::memory::{MemorySettings, MemoryStore};
use larder::ports::clock::{Clock as _, VirtualClock};
use larder::ports::store::{Reply, Store};
use tokio::runtime::Runtime;

use crate::store_contract::text;
use crate::support::engine::World;
use crate::support::redis::RedisServer;
use crate::support::resp::Host;

/// Nothing takes longer, unless it never ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The store behind Larder.
#[derive(Clone, Copy, Debug)]
pub enum Behind {
    Memory,
    Redis,
}

/// Larder and a Redis to compare it with.
pub struct Pair {
    runtime: Option<Runtime>,
    host: Option<Host>,
    pub redis: RedisServer,
    /// What is behind Larder.
    pub store: Option<RedisServer>,
}

impl Pair {
    pub fn start(behind: Behind) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Time stands still, so that nothing expires by itself.
        let clock = Arc::new(VirtualClock::new(SystemClock::default().wall_ms(), 1));
        let server = matches!(behind, Behind::Redis).then(RedisServer::start);
        let store: Arc<dyn Store> = match &server {
            Some(server) => Arc::new(server.store()),
            None => Arc::new(MemoryStore::new(MemorySettings::default(), clock.clone())),
        };
        let world = World::sized(store, clock, "chat", 64 << 20);
        world.default_domain();
        let host = runtime.block_on(Host::start(world));
        Self { runtime: Some(runtime), host: Some(host), redis: RedisServer::start(), store: server }
    }

    /// A connection to Larder and one to Redis.
    pub fn connect(&self, protocol: u8) -> (Peer, Peer) {
        let redis = SocketAddr::from((Ipv4Addr::LOCALHOST, self.redis.port()));
        (Peer::connect(self.host.as_ref().unwrap().addr, protocol), Peer::connect(redis, protocol))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let (Some(runtime), Some(host)) = (self.runtime.take(), self.host.take()) {
            runtime.block_on(host.stop());
        }
    }
}

/// A connection.
pub struct Peer {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Peer {
    pub fn connect(address: SocketAddr, protocol: u8) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut peer = Self { stream, read: Vec::new() };
        if protocol == 3 {
            peer.ask("HELLO 3");
        }
        peer
    }

    /// Sends words as [`text::command`] reads them.
    pub fn send(&mut self, words: &str) {
        self.send_args(&text::command(words).args);
    }

    pub fn send_args(&mut self, args: &[Bytes]) {
        let mut frame = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            frame.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            frame.extend_from_slice(arg);
            frame.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&frame).unwrap();
    }

    /// The next answer, as it came.
    pub fn answer(&mut self) -> Reply {
        loop {
            if let Some((reply, len)) = parse(&self.read) {
                self.read.drain(..len);
                return reply;
            }
            let mut more = [0; 65536];
            let n = self.stream.read(&mut more).expect("an answer comes");
            assert!(n > 0, "the connection ended");
            self.read.extend_from_slice(&more[..n]);
        }
    }

    pub fn ask(&mut self, words: &str) -> Reply {
        self.send(words);
        self.answer()
    }

    /// The answer as text.
    pub fn say(&mut self, words: &str) -> String {
        text::reply(&self.ask(words))
    }
}

/// The first answer in `bytes`, and how long it is. Every type has a form of its own here.
fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8_lossy(bytes.get(1..end)?).into_owned();
    let head = end + 2;
    let number = || line.parse::<i64>().expect("a number");
    let reply = match bytes[0] {
        b'+' => Reply::Status(line.into()),
        b'-' => Reply::Error(line),
        b':' => Reply::Integer(number()),
        b',' => Reply::Double(line.parse().unwrap()),
        b'#' => Reply::Boolean(line == "t"),
        b'_' => Reply::Nil,
        b'$' if number() < 0 => Reply::Nil,
        b'*' if number() < 0 => Reply::NilArray,
        b'$' | b'=' => {
            let len = usize::try_from(number()).unwrap();
            let body = bytes.get(head..head + len + 2)?;
            return Some((Reply::Bulk(Bytes::copy_from_slice(&body[..len])), head + len + 2));
        }
        kind @ (b'*' | b'~' | b'%') => {
            let count = usize::try_from(number()).unwrap() * if kind == b'%' { 2 } else { 1 };
            let (mut items, mut at) = (Vec::new(), head);
            for _ in 0..count {
                let (item, len) = parse(&bytes[at..])?;
                items.push(item);
                at += len;
            }
            let reply = match kind {
                b'*' => Reply::Array(items),
                b'~' => Reply::Set(items),
                _ => Reply::Map(items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()),
            };
            return Some((reply, at));
        }
        other => panic!("no answer begins with {:?}", char::from(other)),
    };
    Some((reply, head))
}
