//! Scans to the end: what stays is shown, whatever comes and goes meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use larder::ports::store::Reply;

use super::{Bench, text};

/// What is scanned.
#[derive(Clone, Copy)]
enum Of {
    Keys,
    Hash,
    Set,
}

impl Of {
    fn step(self, cursor: &str, count: usize) -> String {
        match self {
            Self::Keys => format!("SCAN {cursor} COUNT {count}"),
            Self::Hash => format!("HSCAN h {cursor} COUNT {count}"),
            Self::Set => format!("SSCAN s {cursor} COUNT {count}"),
        }
    }

    fn add(self, name: &str) -> String {
        match self {
            Self::Keys => format!("SET {name} v"),
            Self::Hash => format!("HSET h {name} v"),
            Self::Set => format!("SADD s {name}"),
        }
    }

    fn remove(self, name: &str) -> String {
        match self {
            Self::Keys => format!("DEL {name}"),
            Self::Hash => format!("HDEL h {name}"),
            Self::Set => format!("SREM s {name}"),
        }
    }
}

async fn call(bench: &Bench, words: &str) -> Reply {
    bench.store.call(text::command(words)).await.expect("it is answered")
}

/// One step: where the next one goes on, and what was shown.
async fn step(bench: &Bench, of: Of, cursor: &str, count: usize) -> (String, Vec<String>) {
    let reply = call(bench, &of.step(cursor, count)).await;
    let Reply::Array(parts) = &reply else { panic!("{}", text::reply(&reply)) };
    let [Reply::Bulk(next), Reply::Array(shown)] = &parts[..] else { panic!("{}", text::reply(&reply)) };
    let every = if matches!(of, Of::Hash) { 2 } else { 1 };
    let shown = shown.iter().step_by(every).map(|name| text::reply(name).trim_matches('"').to_owned()).collect();
    (String::from_utf8(next.to_vec()).expect("a number"), shown)
}

/// Scans to the end, with `between` after each step; how often each name was shown.
async fn whole(bench: &Bench, of: Of, count: usize, mut between: impl AsyncFnMut()) -> BTreeMap<String, usize> {
    const STEPS_MAX: usize = 20_000;
    let (mut seen, mut cursor) = (BTreeMap::new(), "0".to_owned());
    for _ in 0..STEPS_MAX {
        let (next, shown) = step(bench, of, &cursor, count).await;
        shown.into_iter().for_each(|name| *seen.entry(name).or_default() += 1);
        if next == "0" {
            return seen;
        }
        cursor = next;
        between().await;
    }
    panic!("a scan ends");
}

pub(super) async fn a_scan_shows_all(bench: &Bench) {
    for of in [Of::Keys, Of::Hash, Of::Set] {
        let names: BTreeSet<String> = (0..1_500).map(|n| format!("name-{n}")).collect();
        for name in &names {
            call(bench, &of.add(name)).await;
        }
        for count in [1, 10, 333, 100_000] {
            let seen = whole(bench, of, count, async || {}).await;
            assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), names);
            assert!(seen.values().all(|times| *times == 1), "nothing changes, so nothing comes twice");
        }
        call(bench, "FLUSHALL").await;
    }
}

pub(super) async fn a_scan_under_writes_misses_nothing_that_stays(bench: &Bench) {
    for of in [Of::Keys, Of::Hash, Of::Set] {
        for stay in 0..700 {
            call(bench, &of.add(&format!("stays-{stay}"))).await;
        }
        // Tables grow, shrink and close gaps while the scan goes on.
        let (mut round, mut rng) = (0_u32, fastrand::Rng::with_seed(3));
        let between = async || {
            round += 1;
            let mut words: Vec<String> = Vec::new();
            for _ in 0..40 {
                let name = format!("comes-{}", rng.u32(..2_000));
                let comes = if round % 60 < 30 { 9 } else { 1 };
                words.push(if rng.u32(..10) < comes { of.add(&name) } else { of.remove(&name) });
            }
            let commands = words.iter().map(|words| text::command(words)).collect();
            bench.store.pipeline(commands).await.expect("they are answered");
        };
        let seen = whole(bench, of, 7, between).await;
        for stay in 0..700 {
            assert!(seen.contains_key(&format!("stays-{stay}")), "stays-{stay}");
        }
        call(bench, "FLUSHALL").await;
    }
}

pub(super) async fn a_scan_finds_by_pattern_and_type(bench: &Bench) {
    for n in 0..300 {
        call(bench, &format!("SET chat:{n} v")).await;
        call(bench, &format!("RPUSH queue:{n} v")).await;
    }
    for (options, prefix) in [("MATCH chat:*", "chat:"), ("TYPE list", "queue:"), ("MATCH q* TYPE list", "queue:")] {
        let (mut seen, mut cursor) = (BTreeSet::new(), "0".to_owned());
        loop {
            let reply = call(bench, &format!("SCAN {cursor} COUNT 25 {options}")).await;
            let Reply::Array(parts) = reply else { panic!("SCAN answers a list") };
            let [Reply::Bulk(next), Reply::Array(shown)] = &parts[..] else { panic!("{parts:?}") };
            seen.extend(shown.iter().map(|name| text::reply(name).trim_matches('"').to_owned()));
            cursor = String::from_utf8(next.to_vec()).expect("a number");
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen, (0..300).map(|n| format!("{prefix}{n}")).collect());
    }
    assert_eq!(
        call(bench, "SCAN 0 MATCH none COUNT 100000").await,
        Reply::Array(vec![Reply::Bulk("0".into()), Reply::Array(Vec::new())])
    );
}
