//! The least of RESP2 and HTTP/1.1 that a measurement needs: blocking, strict, without dependencies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long an answer may take before it counts as an error.
const DEADLINE: Duration = Duration::from_secs(10);

/// An answer in RESP2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Self>),
}

/// One connection that speaks RESP.
pub(super) struct Resp {
    stream: BufReader<TcpStream>,
    out: Vec<u8>,
}

impl Resp {
    /// Connects on loopback.
    pub(super) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("connect to port {port}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), out: Vec::new() })
    }

    /// One command, one answer.
    pub(super) fn call(&mut self, args: &[&str]) -> Result<Reply> {
        self.queue(args);
        self.flush()?;
        self.read()
    }

    /// Adds a command to what the next [`Self::flush`] sends.
    pub(super) fn queue(&mut self, args: &[&str]) {
        self.out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            self.out.extend_from_slice(format!("${}\r\n{arg}\r\n", arg.len()).as_bytes());
        }
    }

    /// Sends what is queued.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.stream.get_mut().write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// The next answer.
    pub(super) fn read(&mut self) -> Result<Reply> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the connection ended");
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).context("an empty line")?;
        Ok(match kind {
            "+" => Reply::Status(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse()?),
            "$" | "*" if rest == "-1" => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            "*" => Reply::Array((0..rest.parse()?).map(|_| self.read()).collect::<Result<_>>()?),
            _ => bail!("not RESP2: {line}"),
        })
    }
}

/// An answer over HTTP.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Reads a page on a connection of its own.
pub(super) fn http_get(port: u16, path: &str) -> Result<Page> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("connect to port {port}"))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without a header section")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
    Ok(Page { status, body: body.to_owned() })
}
