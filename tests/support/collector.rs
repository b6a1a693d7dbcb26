//! A collector of traces: OTLP over HTTP on a free port of the loopback, decoded by the schema of `opentelemetry/proto/trace/v1`. It takes
//! what it is sent, says no to it, or says nothing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::host::wait_until;

/// What a collector does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Takes,
    /// Answers 500.
    Fails,
    /// Reads it, and answers nothing.
    Hangs,
}

/// A span as it came.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub state: String,
    pub name: String,
    pub kind: u64,
    pub began_ns: u64,
    pub ended_ns: u64,
    pub attributes: BTreeMap<String, String>,
    /// Code 2 is an error.
    pub status: u64,
    /// The service that it is of.
    pub service: String,
}

impl Span {
    /// An attribute, or nothing.
    pub fn at(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Held {
    spans: Vec<Span>,
    heads: Vec<String>,
}

/// A running collector. Its threads end with the test's process.
pub struct Collector {
    pub addr: SocketAddr,
    held: Arc<Mutex<Held>>,
}

impl Collector {
    pub fn start(manner: Manner) -> Self {
        Self::with(move |stream, held| serve(stream, manner, held))
    }

    /// One that speaks TLS only, and takes what it is sent.
    pub fn tls(config: Arc<ServerConfig>) -> Self {
        Self::with(move |stream, held| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(StreamOwned::new(connection, stream), Manner::Takes, held);
        })
    }

    fn with(serve: impl Fn(TcpStream, &Mutex<Held>) + Send + Sync + 'static) -> Self {
        let serve = Arc::new(serve);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let held = Arc::new(Mutex::new(Held::default()));
        let holding = Arc::clone(&held);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (held, serve) = (Arc::clone(&holding), Arc::clone(&serve));
                std::thread::spawn(move || serve(stream, &held));
            }
        });
        Self { addr, held }
    }

    /// Where it is, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.held.lock().spans.clone()
    }

    /// Forgets what came until now.
    pub fn forget(&self) {
        *self.held.lock() = Held::default();
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.held.lock().heads.clone()
    }

    /// Waits for spans of which this is true, and gives all.
    pub fn waits_for(&self, what: &str, is_there: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        wait_until(what, || is_there(&self.held.lock().spans));
        self.spans()
    }
}

fn serve(stream: impl Read + Write, manner: Manner, held: &Mutex<Held>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.expect("a body with a length")];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let spans = request(&body);
        let mut held = held.lock();
        held.heads.push(head);
        if manner == Manner::Takes {
            held.spans.extend(spans);
        }
        drop(held);
        let answer = match manner {
            Manner::Takes => "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
            Manner::Fails => "HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno",
            Manner::Hangs => continue,
        };
        let stream = reader.get_mut();
        if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

/// One field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message, in order: their numbers and what they hold.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes);
                Field::Bytes(take(&mut bytes, usize::try_from(length).unwrap()))
            }
            5 => Field::Number(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into()),
            wire => panic!("no such wire type: {wire}"),
        };
        found.push((tag >> 3, field));
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
    }
    panic!("a number without an end")
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(n);
    *bytes = rest;
    taken
}

/// The messages in the field of this number.
fn inside(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter_map(move |(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    })
}

/// An `ExportTraceServiceRequest`.
fn request(body: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in inside(body, 1) {
        let resource: BTreeMap<_, _> = inside(resource_spans, 1).flat_map(|it| attributes(it, 1)).collect();
        for scope_spans in inside(resource_spans, 2) {
            let service = resource.get("service.name").cloned().unwrap_or_default();
            spans.extend(inside(scope_spans, 2).map(|bytes| Span { service: service.clone(), ..span(bytes) }));
        }
    }
    spans
}

fn span(bytes: &[u8]) -> Span {
    let mut span = Span { attributes: attributes(bytes, 9), ..Span::default() };
    for (number, field) in fields(bytes) {
        match (number, field) {
            (1, Field::Bytes(id)) => span.trace = hex(id),
            (2, Field::Bytes(id)) => span.id = hex(id),
            (3, Field::Bytes(state)) => span.state = text(state),
            (4, Field::Bytes(id)) => span.parent = hex(id),
            (5, Field::Bytes(name)) => span.name = text(name),
            (6, Field::Number(kind)) => span.kind = kind,
            (7, Field::Number(ns)) => span.began_ns = ns,
            (8, Field::Number(ns)) => span.ended_ns = ns,
            (15, Field::Bytes(status)) => {
                let code = |(number, field)| matches!((number, &field), (3, Field::Number(2)));
                span.status = if fields(status).into_iter().any(code) { 2 } else { 0 };
            }
            _ => {}
        }
    }
    span
}

/// The `KeyValue`s in the field of this number.
fn attributes(message: &[u8], number: u64) -> BTreeMap<String, String> {
    let pair = |bytes: &[u8]| {
        let key = inside(bytes, 1).next().map(text).unwrap_or_default();
        let value = inside(bytes, 2).next().map(value).unwrap_or_default();
        (key, value)
    };
    inside(message, number).map(pair).collect()
}

/// An `AnyValue`, in words.
fn value(bytes: &[u8]) -> String {
    match fields(bytes).into_iter().next() {
        Some((1, Field::Bytes(string))) => text(string),
        Some((3, Field::Number(number))) => number.to_string(),
        _ => String::new(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
