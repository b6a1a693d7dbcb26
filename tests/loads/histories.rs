//! A checker of histories from outside: two real hosts over one Redis, an origin whose answers are old when they arrive, clients of both
//! protocols, and faults: connections of the store cut, the store paused, keys evicted, loads that fail. A read that begins after an
//! invalidation was acknowledged gets nothing that was loaded before it: on the host that acknowledged it at once, on the other
//! one when the bound has passed.
//!
//! `LARDER_CHECK_SECONDS` says for how long (60 before a release). That such a checker can fail is shown in `fill/checker.rs`, whose
//! fence can be taken away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::hosts::beside;
use crate::support::host::{Host, HostBuilder, command, text};
use crate::support::origin::{Reply, TestOrigin, answer};
use crate::support::redis::RedisServer;

const KEYS: usize = 6;
const READERS_PER_HOST: usize = 3;
const SECONDS: u64 = 12;
/// How long the other host may go on: the bound *B* (`l1.trust`), and something for the clocks of threads that wait for a processor.
const BOUND: Duration = Duration::from_millis(1_000 + 150);

/// An invalidation of a key that was acknowledged: nothing before this version is to be seen.
struct Floor {
    host: usize,
    /// How it was invalidated.
    how: String,
    acknowledged: Instant,
    version: u64,
}

/// What is true, and what was promised.
struct World {
    hosts: Vec<Host>,
    redis: RedisServer,
    /// The newest version of each key, as the origin knows it.
    truth: std::sync::Arc<[AtomicU64; KEYS]>,
    floors: Mutex<HashMap<usize, Vec<Floor>>>,
    breaches: Mutex<Vec<String>>,
    reads: AtomicU64,
    invalidations: AtomicU64,
    stop: AtomicBool,
}

impl World {
    /// The oldest version of a key that a read may give which begins now on this host.
    fn floor(&self, key: usize, host: usize) -> (u64, String) {
        let now = Instant::now();
        let floors = self.floors.lock();
        let holds = |floor: &&Floor| floor.host == host || now.duration_since(floor.acknowledged) > BOUND;
        let highest = floors.get(&key).into_iter().flatten().filter(holds).max_by_key(|floor| floor.version);
        highest.map_or_else(Default::default, |floor| {
            let ago = now.duration_since(floor.acknowledged);
            (floor.version, format!("{} by host {}, {ago:?} before the read", floor.how, floor.host))
        })
    }

    fn read(&self, host: usize, over_http: bool, mut client: redis::Connection) {
        while !self.stop.load(Ordering::Relaxed) {
            let key = fastrand::usize(..KEYS);
            let (floor, why) = self.floor(key, host);
            let begun = Instant::now();
            let value = if over_http {
                let (status, _, body) = self.hosts[host].http("GET", &format!("/v1/cache/profile/user:{key}"), "", b"");
                (status == 200).then(|| String::from_utf8(body).unwrap())
            } else {
                let value: redis::RedisResult<redis::Value> =
                    command(&["GET", &format!("profile:user:{key}")]).query(&mut client);
                value.ok().map(|value| text(&value))
            };
            let Some(version) = value.and_then(|value| value.parse::<u64>().ok()) else { continue };
            self.reads.fetch_add(1, Ordering::Relaxed);
            if version < floor {
                let how = if over_http { "HTTP" } else { "RESP" };
                let took = begun.elapsed();
                let breach =
                    format!("{how}, host {host}, key {key}: {version} after {floor} ({why}, which took {took:?})");
                self.breaches.lock().push(breach);
            }
            std::thread::sleep(Duration::from_millis(fastrand::u64(..3)));
        }
    }

    /// Changes keys at the origin, then invalidates them, as an application does, until that is acknowledged.
    fn change(&self, host: usize) {
        let mut client = self.hosts[host].client();
        while !self.stop.load(Ordering::Relaxed) {
            let key = fastrand::usize(..KEYS);
            let (words, all): (Vec<String>, bool) = match fastrand::u8(..10) {
                0..4 => (vec!["KEY".into(), format!("profile:user:{key}")], false),
                4..6 => (vec!["TAG".into(), "profile".into(), format!("user:{key}")], false),
                6 => (vec!["PATTERN".into(), "profile".into(), format!("*:{key}")], false),
                7 => (vec!["PATTERN".into(), "profile".into(), "user:*".into()], true),
                8 => (vec!["PREFIX".into(), "profile".into(), "user".into()], true),
                _ => (vec!["DOMAIN".into(), "profile".into()], true),
            };
            let keys = if all { (0..KEYS).collect() } else { vec![key] };
            let changed: Vec<(usize, u64)> =
                keys.into_iter().map(|key| (key, self.truth[key].fetch_add(1, Ordering::SeqCst) + 1)).collect();
            let words: Vec<&str> = ["LARDER.INVALIDATE"].into_iter().chain(words.iter().map(String::as_str)).collect();
            let done: redis::RedisResult<redis::Value> = command(&words).query(&mut client);
            if done.is_ok() {
                self.invalidations.fetch_add(1, Ordering::Relaxed);
                let acknowledged = Instant::now();
                let mut floors = self.floors.lock();
                for (key, version) in changed {
                    let how = words[1..].join(" ");
                    floors.entry(key).or_default().push(Floor { host, how, acknowledged, version });
                }
            }
            std::thread::sleep(Duration::from_millis(fastrand::u64(..60)));
        }
    }

    /// Does to the store what happens to stores.
    fn harm(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            match fastrand::u8(..4) {
                0 => drop(self.redis.cli(&["CLIENT", "KILL", "TYPE", "normal"])),
                1 => {
                    self.redis.pause();
                    std::thread::sleep(Duration::from_millis(fastrand::u64(..80)));
                    self.redis.resume();
                }
                _ => {
                    // A record of generations, too, would leave older values stale on a host that never heard of the invalidation:
                    // `invalidate/store.rs` has that.
                    let key = self.redis.cli(&["RANDOMKEY"]);
                    if !key.contains("generation") {
                        self.redis.cli(&["DEL", key.trim()]);
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(fastrand::u64(50..400)));
        }
    }
}

/// The version of a key when the request came; told some time later, or not at all.
fn told(truth: &[AtomicU64; KEYS], head: &str) -> Reply {
    let key = head.split_whitespace().nth(1).and_then(|path| path.chars().last()?.to_digit(10));
    let Some(key) = key else { return answer(400, "") };
    let version = truth[key as usize].load(Ordering::SeqCst);
    match fastrand::u8(..20) {
        0 => answer(500, ""),
        1 => Reply::Reset,
        2 => answer(404, ""),
        _ => {
            let Reply::Bytes(bytes) = answer(200, &version.to_string()) else { unreachable!("an answer is bytes") };
            Reply::Late(bytes, Duration::from_millis(fastrand::u64(..30)))
        }
    }
}

fn host(origin: &TestOrigin, redis: &RedisServer) -> Host {
    let settings = "ttl = \"2s\"\nstale = \"1h\"\nstale_if_error = \"1h\"\nabsent_ttl = \"100ms\"\ntag_user = true";
    let limits = "hook_ms = 1000\nload_ms = 30000\nload_soft_ms = 100";
    let toml = format!("origin = \"{}\"\n[settings]\n{settings}\n[grants]\n[limits]\n{limits}\n", origin.url());
    let builder = HostBuilder::new().sample("profile").toml("profile", &toml);
    builder.env("CACHE_MAX_LATENCY_MS", "10000").arg("--store").arg(redis.url()).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_serve_nothing_from_before_an_invalidation() {
    let seconds = std::env::var("LARDER_CHECK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let truth: std::sync::Arc<[AtomicU64; KEYS]> = std::sync::Arc::new(std::array::from_fn(|_| AtomicU64::new(1)));
    let redis = beside(RedisServer::start).await;
    let known = truth.clone();
    let origin = TestOrigin::start(move |_, head| told(&known, head)).await;
    let hosts = vec![host(&origin, &redis), host(&origin, &redis)];
    let world = World {
        hosts,
        redis,
        truth,
        floors: Mutex::default(),
        breaches: Mutex::default(),
        reads: AtomicU64::new(0),
        invalidations: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let world = beside(move || {
        std::thread::scope(|scope| {
            for host in 0..world.hosts.len() {
                for n in 0..READERS_PER_HOST {
                    let client = world.hosts[host].client();
                    let world = &world;
                    scope.spawn(move || world.read(host, n == 0, client));
                }
                let world = &world;
                scope.spawn(move || world.change(host));
            }
            scope.spawn(|| world.harm());
            std::thread::sleep(Duration::from_secs(seconds));
            world.stop.store(true, Ordering::Relaxed);
        });
        world
    })
    .await;
    let (reads, invalidations) = (world.reads.into_inner(), world.invalidations.into_inner());
    println!("{reads} reads, {invalidations} invalidations, {} loads in {seconds} s", origin.requests());
    let breaches = world.breaches.into_inner();
    assert!(breaches.is_empty(), "{} of {reads} reads: {:#?}", breaches.len(), &breaches[..breaches.len().min(20)]);
    assert!(reads > 100 * seconds / 10 && invalidations > seconds, "{reads} reads, {invalidations} invalidations");
}
