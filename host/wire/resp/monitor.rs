//! `MONITOR`: what the clients of this host say, told to operators as it is begun.
//!
//! Invariants: nobody waits for who monitors: one that reads too slowly is disconnected; while nobody does, a command costs one look at a
//! number. Lines are cut, and what carries secrets is left out. Deliberately absent: what a script does within Redis, and
//! what other users of the same Redis say.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::args::Words;
use super::connection::Connection;
use crate::limits::{MONITOR_LINE_BYTES_MAX, MONITOR_LINES_MAX, RESP_HEARD_BYTES_MAX};

/// They carry passwords.
const SECRET: [&str; 5] = ["acl", "auth", "config", "hello", "migrate"];

/// Those who monitor.
#[derive(Debug, Default)]
pub struct Monitors {
    count: AtomicUsize,
    all: Mutex<Vec<Sender<Bytes>>>,
}

impl Monitors {
    /// Whether somebody does.
    pub(super) fn are_there(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// One more; it ends with what it hears by.
    pub(super) fn join(&self) -> Receiver<Bytes> {
        let (sender, receiver) = channel(MONITOR_LINES_MAX);
        let mut all = self.all.lock();
        all.push(sender);
        self.count.store(all.len(), Ordering::Relaxed);
        receiver
    }

    /// Tells all of them; who has left or does not keep up is one no more.
    pub(super) fn tell(&self, line: &Bytes) {
        let mut all = self.all.lock();
        all.retain(|one| one.try_send(line.clone()).is_ok());
        self.count.store(all.len(), Ordering::Relaxed);
    }
}

/// The line for a command, as Redis writes it; `None` if it is not told.
pub(super) fn line(now_ms: u64, database: u32, peer: SocketAddr, words: Words<'_>) -> Option<Bytes> {
    let name = words.get(0)?;
    if SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_bytes())) {
        return None;
    }
    let mut line = format!("+{}.{:06} [{database} {peer}]", now_ms / 1000, now_ms % 1000 * 1000);
    for word in words.iter() {
        line.push_str(" \"");
        for &byte in word {
            if line.len() >= MONITOR_LINE_BYTES_MAX {
                line.push_str("...");
                break;
            }
            push(&mut line, byte);
        }
        line.push('"');
        if line.len() >= MONITOR_LINE_BYTES_MAX {
            break;
        }
    }
    line.push_str("\r\n");
    Some(line.into())
}

fn push(line: &mut String, byte: u8) {
    match byte {
        b'\\' | b'"' => line.extend(['\\', char::from(byte)]),
        b'\n' => line.push_str("\\n"),
        b'\r' => line.push_str("\\r"),
        b'\t' => line.push_str("\\t"),
        0x07 => line.push_str("\\a"),
        0x08 => line.push_str("\\b"),
        b' '..=b'~' => line.push(char::from(byte)),
        _ => {
            // Writing to a string does not fail.
            let _written = write!(line, "\\x{byte:02x}");
        }
    }
}

impl Connection {
    /// Writes what those who monitor are told, if this client does.
    ///
    /// # Errors
    /// It reads more slowly than it is told.
    pub(super) fn poll_monitored(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(lines) = &mut self.session.monitored else { return Ok(()) };
        let mut is_behind = false;
        while let Poll::Ready(told) = lines.poll_recv(cx) {
            let Some(line) = told else {
                is_behind = true;
                break;
            };
            self.outbox.buffer().extend_from_slice(&line);
        }
        if is_behind || self.outbox.len() > RESP_HEARD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "who monitors reads more slowly than it is told"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Monitors, line};
    use crate::limits::{MONITOR_LINE_BYTES_MAX, MONITOR_LINES_MAX};
    use crate::wire::resp::args::Words;

    fn told(source: &[u8], ends: &[(u32, u32)]) -> Option<String> {
        let line = line(1_339_518_083_107, 0, "127.0.0.1:60866".parse().unwrap(), Words::new(source, ends))?;
        Some(String::from_utf8(line.to_vec()).unwrap())
    }

    #[test]
    fn a_line_as_redis_writes_it() {
        let expected =
            "+1339518083.107000 [0 127.0.0.1:60866] \"set\" \"a\\\"\\\\\" \"\\n\\r\\t\\a\\b\\x00\\xff b\"\r\n";
        let source = b"seta\"\\\n\r\t\x07\x08\x00\xff b";
        assert_eq!(told(source, &[(0, 3), (3, 6), (6, 15)]).as_deref(), Some(expected));
        assert_eq!(told(b"AUTHsecret", &[(0, 4), (4, 10)]), None);
        let long = vec![0; 10 * MONITOR_LINE_BYTES_MAX];
        let length = u32::try_from(long.len()).unwrap();
        let cut = told(&long, &[(0, length), (0, length)]).unwrap();
        assert!(cut.ends_with("...\"\r\n") && cut.len() < MONITOR_LINE_BYTES_MAX + 20, "{}", cut.len());
    }

    #[test]
    fn who_leaves_or_does_not_keep_up_is_told_no_more() {
        let monitors = Monitors::default();
        assert!(!monitors.are_there());
        let (mut slow, gone) = (monitors.join(), monitors.join());
        drop(gone);
        for _ in 0..=MONITOR_LINES_MAX {
            assert!(monitors.are_there());
            monitors.tell(&"x".into());
        }
        assert!(!monitors.are_there());
        let kept = std::iter::from_fn(|| slow.try_recv().ok()).count();
        assert_eq!(kept, MONITOR_LINES_MAX);
    }
}
