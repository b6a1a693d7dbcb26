//! What the sample policies promise, each by itself, through the real host and on both stores.

mod presence;
mod profile;
mod queue;
mod rate_limit;
mod session;
mod settings;
mod typing;
mod unread;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::host::{Host, HostBuilder, text, wait_until};
use crate::support::redis::RedisServer;

/// A host with sample policies, and the Redis behind it if its store is not its own memory.
struct World {
    host: Host,
    redis: Option<RedisServer>,
}

/// Runs a check on a host with this sample policy and these settings, once for each store.
fn on_each_store(domain: &str, settings: &str, check: impl Fn(&World)) {
    on_each_store_with(|builder| builder.sample(domain).settings(domain, settings), check);
}

fn on_each_store_with(prepare: impl Fn(HostBuilder) -> HostBuilder, check: impl Fn(&World)) {
    for redis in [None, Some(RedisServer::start())] {
        let store = redis.as_ref().map_or_else(|| "memory".to_owned(), RedisServer::url);
        println!("on {store}");
        // Nothing here is about deadlines, and the machine may be busy.
        let host = prepare(HostBuilder::new()).env("CACHE_MAX_LATENCY_MS", "10000").arg("--store").arg(store).start();
        check(&World { host, redis });
    }
}

impl World {
    /// The answer to a command, as text.
    #[track_caller]
    fn ask(&self, words: &[&str]) -> String {
        text(&self.host.ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}")))
    }

    /// Why a command is refused.
    #[track_caller]
    fn refused(&self, words: &[&str]) -> String {
        match self.host.ask(words) {
            Err(error) => error.to_string(),
            Ok(answer) => panic!("{words:?} is answered: {answer:?}"),
        }
    }

    /// The names and values that a command answers.
    #[track_caller]
    fn fields(&self, words: &[&str]) -> BTreeMap<String, String> {
        match self.host.ask(words) {
            Ok(redis::Value::Map(fields)) => fields.iter().map(|(name, value)| (text(name), text(value))).collect(),
            other => panic!("{words:?}: {other:?}"),
        }
    }

    /// What is left of a key's life, in milliseconds; -1: it never expires, -2: there is none.
    fn left_ms(&self, key: &str) -> i64 {
        self.ask(&["PTTL", key]).parse().unwrap()
    }

    /// The life that is left to a key is within a second below this.
    #[track_caller]
    fn check_left(&self, key: &str, life: Duration) {
        let (left_ms, life_ms) = (self.left_ms(key), i64::try_from(life.as_millis()).unwrap());
        assert!((life_ms - 10_000..=life_ms).contains(&left_ms), "{key}: {left_ms} ms of {life_ms} ms are left");
    }

    /// All that Redis holds is these keys, and the host's own in braces. Nothing is checked where there is no Redis.
    #[track_caller]
    fn check_keys(&self, keys: &[&str]) {
        if let Some(redis) = &self.redis {
            let answer = redis.cli(&["KEYS", "*"]);
            let mut held: Vec<&str> = answer.lines().filter(|key| !key.is_empty() && !key.starts_with('{')).collect();
            held.sort_unstable();
            assert_eq!(held, keys);
        }
    }

    /// What Redis itself answers. Nothing is checked where there is no Redis.
    #[track_caller]
    fn check_redis(&self, words: &[&str], expect: &str) {
        if let Some(redis) = &self.redis {
            assert_eq!(redis.cli(words), expect, "{words:?}");
        }
    }

    /// A key that is written so lives for `life` and is then gone by itself: not before, and without anybody's doing.
    #[track_caller]
    fn check_expires(&self, write: &[&str], key: &str, life: Duration) {
        let before = Instant::now();
        self.ask(write);
        wait_until(&format!("{key} is gone"), || {
            let there = self.ask(&["EXISTS", key]) == "1";
            assert!(there || before.elapsed() >= life, "{key} is gone after {:?}", before.elapsed());
            !there
        });
        assert_eq!((self.ask(&["GET", key]).as_str(), self.left_ms(key)), ("nil", -2));
        self.check_keys(&[]);
    }
}
