//! Memory of one 100-byte entry: what the resident memory grows by, divided by the entries, against Redis. And that of a host with the
//! seven sample policies, over restarts that take them from the state folder.

use anyhow::{Context, Result, ensure};

use super::Bench;
use super::client::{Reply, Resp, http_get};
use super::machine::resident_bytes;
use super::server::Server;

/// Commands in flight while the keys are written and read.
const BATCH: usize = 1_000;
/// Larder's own time to live of a profile, so that Redis keeps an expiry for each key too.
const TTL_MS: &str = "86400000";

/// So that L1 holds all of them, and a busy machine is no failure.
const ROOM: &[&str] = &["--set", "l1.size=1GiB", "--set", "store.timeout=10s"];

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    let entries = bench.pick(500_000, 100_000);
    let policies = bench.policies("policies", "profile")?;

    let redis = Server::redis(bench)?;
    let empty = redis_resident(&redis)?;
    write(&mut redis.connect()?, "chat:v1:profile:user:", entries)?;
    let theirs = (redis_resident(&redis)? as f64 - empty as f64) / entries as f64;
    drop(redis);

    let redis = Server::redis(bench)?;
    let store = format!("redis://127.0.0.1:{}", redis.resp);
    let l1 = grown(&Server::larder(bench, &policies, &store, "profile", ROOM)?, entries)?;
    drop(redis);
    let both = grown(&Server::larder(bench, &policies, "memory", "profile", ROOM)?, entries)?;

    Ok([
        format!("### Resident memory per 100-byte entry ({entries} entries, 24 h expiry each)"),
        String::new(),
        "| what | bytes per entry | ÷ Redis | goal |\n|---|---|---|---|".to_owned(),
        format!("| Redis (`used_memory_rss`) | {theirs:.0} | 1 | |"),
        format!("| Larder, L1 (values also in Redis) | {l1:.0} | **{:.2}×** | ≤ 1.25× |", l1 / theirs),
        format!("| Larder, L1 and embedded store together | {both:.0} | {:.2}× | – |", both / theirs),
        String::new(),
        restarts(bench)?,
    ]
    .join("\n"))
}

/// The sample policies, without `default`.
const SEVEN: [&str; 7] = ["presence", "profile", "queue", "rate-limit", "session", "typing", "unread"];
const RESTARTS: usize = 5;

/// A host that has compiled its policies, and its restarts, each after the same use.
fn restarts(bench: &Bench) -> Result<String> {
    let policies = bench.policies_of("seven", &SEVEN)?;
    let state = bench.folder("state")?;
    let start = |_| -> Result<f64> {
        let larder = Server::larder_on(bench, &state, &policies, "memory", "unread", &[])?;
        use_all(&larder)?;
        Ok(resident_bytes(larder.pid)? as f64 / f64::from(1 << 20))
    };
    let values = (0..=RESTARTS).map(start).collect::<Result<Vec<_>>>()?;
    let mib = |values: &[f64]| values.iter().map(|it| format!("{it:.1}")).collect::<Vec<_>>().join(", ");
    let most = values[1..].iter().copied().fold(f64::MIN, f64::max);
    Ok([
        "### Resident memory over restarts with the seven sample policies, each after the same use".to_owned(),
        String::new(),
        "| what | measured | goal |\n|---|---|---|".to_owned(),
        format!("| the first, which compiles them, MiB | {} | |", mib(&values[..1])),
        format!("| its restarts, from the state folder, MiB | {} | |", mib(&values[1..])),
        format!("| the most of these beyond the first | **{:+.1} %** | ≤ +2 % |", (most / values[0] - 1.0) * 100.0),
    ]
    .join("\n"))
}

/// Reads and writes in each domain, over several connections.
fn use_all(larder: &Server) -> Result<()> {
    for _ in 0..8 {
        let mut client = larder.connect()?;
        for n in 0..200 {
            let n = n.to_string();
            for domain in ["presence", "session"] {
                client.queue(&["SET", &format!("{domain}:{n}"), "here"]);
                client.queue(&["GET", &format!("{domain}:{n}")]);
            }
            client.queue(&["SET", &format!("profile:user:{n}"), &"x".repeat(100)]);
            client.queue(&["GET", &format!("profile:user:{n}")]);
            client.queue(&["SET", &format!("typing:c:{n}"), "here"]);
            client.queue(&["LARDER.CALL", "queue", "push", &n, "item"]);
            client.queue(&["LARDER.CALL", "unread", "increment", &n, "c"]);
            client.queue(&["LARDER.CALL", "rate-limit", "check", &n, "1000"]);
            client.flush()?;
            for _ in 0..10 {
                let reply = client.read()?;
                ensure!(!matches!(reply, Reply::Error(_)), "answered {reply:?}");
            }
        }
    }
    Ok(())
}

/// Writes and reads the entries, so that they are in L1; what each of those there costs.
fn grown(larder: &Server, entries: usize) -> Result<f64> {
    let empty = resident_bytes(larder.pid)?;
    let mut client = larder.connect()?;
    write(&mut client, "profile:user:", entries)?;
    read(&mut client, "profile:user:", entries)?;
    let held = l1_entries(larder)?;
    ensure!(
        held * 10 >= entries * 9,
        "L1 holds {held} of {entries} entries: its bound is too low for this measurement"
    );
    Ok((resident_bytes(larder.pid)? as f64 - empty as f64) / held as f64)
}

fn write(client: &mut Resp, prefix: &str, entries: usize) -> Result<()> {
    let value = "x".repeat(100);
    batches(
        client,
        entries,
        |client, i| client.queue(&["SET", &format!("{prefix}{i:07}"), &value, "PX", TTL_MS]),
        |reply| matches!(reply, Reply::Status(_)),
    )
}

fn read(client: &mut Resp, prefix: &str, entries: usize) -> Result<()> {
    batches(
        client,
        entries,
        |client, i| client.queue(&["GET", &format!("{prefix}{i:07}")]),
        |reply| matches!(reply, Reply::Bulk(bytes) if bytes.len() == 100),
    )
}

fn batches(
    client: &mut Resp,
    entries: usize,
    queue: impl Fn(&mut Resp, usize),
    good: impl Fn(&Reply) -> bool,
) -> Result<()> {
    for first in (0..entries).step_by(BATCH) {
        let batch = first..entries.min(first + BATCH);
        batch.clone().for_each(|i| queue(client, i));
        client.flush()?;
        for _ in batch {
            let reply = client.read()?;
            ensure!(good(&reply), "answered {reply:?}");
        }
    }
    Ok(())
}

fn redis_resident(redis: &Server) -> Result<u64> {
    let Reply::Bulk(info) = redis.connect()?.call(&["INFO", "memory"])? else {
        anyhow::bail!("INFO was not answered with text");
    };
    let text = String::from_utf8_lossy(&info).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("used_memory_rss:")).context("used_memory_rss")?;
    Ok(line.trim().parse()?)
}

fn l1_entries(larder: &Server) -> Result<usize> {
    let page = http_get(larder.http, "/metrics")?;
    let line =
        page.body.lines().find_map(|line| line.strip_prefix("larder_l1_entries ")).context("larder_l1_entries")?;
    Ok(line.trim().parse::<f64>()? as usize)
}
