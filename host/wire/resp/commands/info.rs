//! `INFO`: how the server is doing, in the sections and under the names that clients and dashboards read.
//!
//! What Larder cannot know is left out, never made up: `keyspace` is what a Redis behind it says, which counts the host's own records, too.

use std::fmt::{Display, Write};
use std::sync::Arc;

use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::registry::PolicyState;
use crate::ports::store::Reply;
use crate::wire::resp::REDIS_VERSION;
use crate::wire::resp::args::Args;
use crate::wire::resp::pipeline::Work;
use crate::wire::resp::session::{Output, Session};

/// A section: its title and what writes it.
type Section = (&'static str, fn(&mut Lines, &Session));

/// The section that only a Redis can fill.
const KEYSPACE: &str = "# Keyspace\r\n";
const SECTIONS: [Section; 9] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Cluster", cluster),
    ("Keyspace", |_, _| {}),
    ("Larder", larder),
];

/// `name:value` lines.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl Display) {
        // Writing to a string does not fail.
        let _written = write!(self.0, "{name}:{value}\r\n");
    }
}

/// `INFO [section …]`, with what Redis says of its databases.
pub(super) fn with_keyspace(session: &mut Session, args: &Args) -> Result<Work, Reply> {
    let text = sections(session, args);
    let engine = Arc::clone(session.engine());
    let (blocked, paused) = session.shared().clients.waiting();
    Ok(Box::pin(async move {
        let text = match blocked {
            0 => text,
            _ => with_blocked(text, blocked, paused, engine.blocked_at_store().await),
        };
        let Some((before, after)) = text.split_once(KEYSPACE) else { return as_text(text) };
        let mut lines = Lines(before.to_owned() + KEYSPACE);
        for (number, said) in engine.keyspace().await {
            lines.add(&format!("db{number}"), said);
        }
        lines.0.push_str(after);
        as_text(lines.0)
    }))
}

/// Who waits here but not yet at the store may still be overtaken: whoever looks at this before it goes on would take that for done.
fn with_blocked(text: String, blocked: usize, paused: usize, at_store: Option<u64>) -> String {
    let arrived = at_store.and_then(|count| usize::try_from(count).ok()).map_or(blocked, |count| count.min(blocked));
    let line = |count: usize| format!("\r\nblocked_clients:{count}\r\n");
    text.replacen(&line(blocked + paused), &line(arrived + paused), 1)
}

fn as_text(text: String) -> Reply {
    Reply::Verbatim("txt".into(), text.into())
}

/// `INFO [section …]` without that.
pub(super) fn info(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    Ok(Output::Text(sections(session, args)))
}

fn sections(session: &Session, args: &Args) -> String {
    session.engine().report();
    let all = args.len() == 1
        || (1..args.len()).any(|at| ["all", "default", "everything"].iter().any(|word| args.is(at, word)));
    let mut lines = Lines::default();
    for (title, section) in SECTIONS {
        if all || (1..args.len()).any(|at| args.is(at, title)) {
            if !lines.0.is_empty() {
                lines.0.push_str("\r\n");
            }
            lines.0.push_str("# ");
            lines.0.push_str(title);
            lines.0.push_str("\r\n");
            section(&mut lines, session);
        }
    }
    lines.0
}

/// `ROLE`, as a Redis without replicas answers it.
pub(super) fn role(_session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let replicas = Reply::Array(Vec::new());
    Ok(Output::Reply(Reply::Array(vec![super::bulk("master"), Reply::Integer(0), replicas])))
}

fn server(lines: &mut Lines, session: &Session) {
    let uptime_s = session.engine().monotonic_ns().saturating_sub(session.shared().started_ns) / 1_000_000_000;
    lines.add("redis_version", REDIS_VERSION);
    lines.add("redis_mode", "standalone");
    lines.add("larder_version", env!("CARGO_PKG_VERSION"));
    lines.add("os", format_args!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    lines.add("arch_bits", usize::BITS);
    lines.add("process_id", std::process::id());
    lines.add("tcp_port", session.shared().local.port());
    lines.add("server_time_usec", session.engine().now_ms().saturating_mul(1000));
    lines.add("uptime_in_seconds", uptime_s);
    lines.add("uptime_in_days", uptime_s / 86_400);
}

fn clients(lines: &mut Lines, session: &Session) {
    lines.add("connected_clients", session.shared().clients.count());
    lines.add("maxclients", session.shared().clients.max());
    let (blocked, paused) = session.shared().clients.waiting();
    lines.add("blocked_clients", blocked + paused);
    lines.add("tracking_clients", session.engine().tracking_counts().clients);
}

fn memory(lines: &mut Lines, session: &Session) {
    let used = session.engine().metrics().l1_bytes.get();
    lines.add("used_memory", used);
    lines.add("used_memory_human", human(used));
    lines.add("maxmemory", 0);
    lines.add("maxmemory_human", human(0));
    lines.add("maxmemory_policy", "noeviction");
}

fn persistence(lines: &mut Lines, session: &Session) {
    let engine = session.engine();
    let up_ms = engine.monotonic_ns().saturating_sub(session.shared().started_ns) / 1_000_000;
    lines.add("loading", 0);
    // Nothing is kept here that would have to be saved; a Redis that has saved nothing says when it was started.
    lines.add("rdb_changes_since_last_save", 0);
    lines.add("rdb_last_save_time", engine.now_ms().saturating_sub(up_ms) / 1000);
    lines.add("rdb_bgsave_in_progress", 0);
    lines.add("aof_enabled", 0);
}

fn stats(lines: &mut Lines, session: &Session) {
    let metrics = session.engine().metrics();
    let (mut answered, mut hits, mut misses) = (0, 0, 0);
    for (_, domain) in metrics.domains() {
        for operation in Operation::ALL {
            answered += State::ALL.iter().map(|&state| domain.answers(operation, state)).sum::<u64>();
        }
        hits += State::ALL
            .iter()
            .filter(|state| state.is_hit())
            .map(|&state| domain.answers(Operation::Read, state))
            .sum::<u64>();
        misses += State::ALL
            .into_iter()
            .filter(|state| state.is_miss())
            .map(|state| domain.answers(Operation::Read, state))
            .sum::<u64>();
    }
    lines.add("total_connections_received", metrics.resp_connections_total.get());
    lines.add("total_commands_processed", answered);
    lines.add("rejected_connections", metrics.resp_connections_refused.get());
    lines.add("keyspace_hits", hits);
    lines.add("keyspace_misses", misses);
    lines.add("evicted_keys", 0);
    let tracking = session.engine().tracking_counts();
    lines.add("tracking_total_keys", tracking.keys);
    lines.add("tracking_total_items", tracking.items);
    lines.add("tracking_total_prefixes", tracking.prefixes);
}

fn replication(lines: &mut Lines, _session: &Session) {
    lines.add("role", "master");
    lines.add("connected_slaves", 0);
    lines.add("master_repl_offset", 0);
}

fn cluster(lines: &mut Lines, _session: &Session) {
    lines.add("cluster_enabled", 0);
}

fn larder(lines: &mut Lines, session: &Session) {
    let metrics = session.engine().metrics();
    let policies = session.engine().registry().list();
    let serving = policies.iter().filter(|policy| policy.state != PolicyState::Failed).count();
    lines.add("policies", policies.len());
    lines.add("policies_serving", serving);
    lines.add("l1_entries", metrics.l1_entries.get());
    lines.add("l1_bytes", metrics.l1_bytes.get());
    lines.add("store_errors", metrics.store_errors.get());
    lines.add("resp_protocol_errors", metrics.resp_protocol_errors.get());
    for policy in policies {
        lines.add(
            &format!("policy_{}", policy.domain),
            format_args!("state={},generation={},version={}", policy.state.as_str(), policy.generation, policy.version),
        );
    }
}

/// Bytes as people read them, in the form of Redis.
fn human(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];
    let unit = UNITS.into_iter().find(|(_, size)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes}B"),
        |(unit, size)| {
            let hundredths = u128::from(bytes) * 100 / u128::from(size);
            format!("{}.{:02}{unit}", hundredths / 100, hundredths % 100)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_as_people_read_them() {
        assert_eq!(
            [0, 1023, 1024, 1536, 1 << 20, u64::MAX].map(human),
            ["0B", "1023B", "1.00K", "1.50K", "1.00M", "16777215.99T"]
        );
    }
}
