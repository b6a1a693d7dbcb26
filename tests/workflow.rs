//! What a policy's workflow may do, through a real host, on both stores: commands, host functions, confinement, deadlines.

mod events;
mod host_functions;
mod ticks;

use crate::support::host::{Host, HostBuilder, guest, text};
use crate::support::redis::RedisServer;

const GRANTS: &str = "[grants]\ninterfaces = [\"redis\", \"lock\", \"breaker\"]\n";

/// A reply on one line, lists and maps in brackets.
fn shown(value: &redis::Value) -> String {
    let all = |values: &[redis::Value]| values.iter().map(shown).collect::<Vec<_>>().join(", ");
    match value {
        redis::Value::Array(items) => format!("[{}]", all(items)),
        redis::Value::Map(pairs) => {
            let pairs: Vec<_> =
                pairs.iter().map(|(name, value)| format!("{}: {}", shown(name), shown(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        plain => text(plain),
    }
}

/// A host whose domain `clerk` hands every host function through, and the Redis behind it, if there is one.
struct Bench {
    host: Host,
    _server: Option<RedisServer>,
}

impl Bench {
    fn new(server: Option<RedisServer>, settings: &str) -> Self {
        Self::granted(server, settings, "")
    }

    /// The same with more grants: lines such as `keys = ["unread"]`.
    fn granted(server: Option<RedisServer>, settings: &str, grants: &str) -> Self {
        let mut builder = HostBuilder::samples()
            .policy("clerk", &guest("clerk"))
            .toml("clerk", &format!("[settings]\n{settings}\n{GRANTS}{grants}\n"));
        if let Some(server) = &server {
            // These tests are not about deadlines, and the machine may be busy.
            builder = builder
                .arg(format!("--store=redis://127.0.0.1:{}", server.port()))
                .env("CACHE_MAX_LATENCY_MS", "10000");
        }
        Self { host: builder.start(), _server: server }
    }

    fn memory(settings: &str) -> Self {
        Self::new(None, settings)
    }

    fn redis(settings: &str) -> Self {
        Self::new(Some(RedisServer::start()), settings)
    }

    /// Answers a line of words, `LARDER.CALL clerk …` unless it says otherwise, in one line of text.
    fn line(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let words = if words[0].chars().all(|c| c.is_ascii_uppercase() || c == '.') {
            words
        } else {
            [&["LARDER.CALL", "clerk"], &words[..]].concat()
        };
        match self.host.ask(&words) {
            Ok(value) => shown(&value),
            Err(error) => format!("error: {error}"),
        }
    }

    /// Each line gets its answer; one that begins with `…` is what the answer has to hold, one with `~` what it is nearly.
    #[track_caller]
    fn check(&self, script: &[(&str, &str)]) {
        for (line, expected) in script {
            let answer = self.line(line);
            if let Some(words) = expected.strip_prefix('…') {
                assert!(answer.contains(words), "{line}: {answer}");
            } else if let Some(about) = expected.strip_prefix('~') {
                let (about, answer): (i64, i64) = (about.parse().unwrap(), answer.parse().unwrap());
                assert!((about - 20_000..=about).contains(&answer), "{line}: {answer}");
            } else {
                assert_eq!(answer, *expected, "{line}");
            }
        }
    }
}
