//! Who may do what, over which line, how much of it, and how a host begins and ends: from outside, on the binary.

mod lifecycle;
mod limits;
mod tls;
mod users;

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use larder::config::secret::Secret;

use crate::support::host::{HostBuilder, OPERATOR, PATIENCE};

const READER: &str = "reader-0123456789abcdef";
const WRITER: &str = "writer-0123456789abcdef";
const LIMITED: &str = "limited-0123456789abcdef";

/// A `larder.toml` with an operator, a reader, a writer, and one who may write profiles and read everything but sessions.
fn users() -> String {
    users_with("")
}

/// The same, with these more lines for the reader.
fn users_with(of_reader: &str) -> String {
    let user = |name: &str, token: &str, more: &str| {
        let secret = Secret::of(token.as_bytes()).written();
        format!("[[users]]\nname = '{name}'\nsecret = '{secret}'\n{more}\n")
    };
    [
        user("operator", OPERATOR, "role = 'admin'"),
        user("reader", READER, &format!("role = 'read'\n{of_reader}")),
        user("writer", WRITER, "role = 'write'"),
        user("limited", LIMITED, "role = 'read'\ndomains = { profile = 'write', session = 'none' }"),
    ]
    .concat()
}

/// A host with these users.
fn guarded() -> HostBuilder {
    HostBuilder::samples().file("larder.toml", &users())
}

/// A client that speaks RESP in lines, over whatever stream, and reads only simple answers.
struct Lines<S> {
    stream: BufReader<S>,
}

impl Lines<TcpStream> {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::new(stream)
    }

    /// Let in with this token.
    fn login(addr: SocketAddr, name: &str, token: &str) -> Self {
        let mut client = Self::connect(addr);
        assert_eq!(client.ask(&format!("AUTH {name} {token}")), "+OK");
        client
    }
}

impl<S: Read + Write> Lines<S> {
    fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    /// The first line of the answer; of bytes the bytes.
    fn ask(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let mut frame = format!("*{}\r\n", words.len());
        for word in words {
            frame += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.send(frame.as_bytes());
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = self.line();
        match line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => {
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes).unwrap();
                bytes.truncate(length);
                String::from_utf8(bytes).unwrap()
            }
            None => {
                // Of a list only its length: the rest is read away.
                let items = line.strip_prefix('*').and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
                for _ in 0..items {
                    self.answer();
                }
                line.truncate(200);
                line
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Whether the host ends the connection.
    fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest);
        read.is_ok() || read.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    }
}

/// `Authorization` with a bearer token.
fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}
