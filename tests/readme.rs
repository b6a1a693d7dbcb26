//! The README's tables say what the code's tables say.
//!
//! `UPDATE_EXPECT=1 cargo nextest run -j1 readme::` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use larder::adapters::prometheus::Exporter;
use larder::config::table::{POLICY_VARIABLES, RESERVED_VARIABLES, SETTINGS};
use larder::ports::clock::VirtualClock;
use larder::ports::invalidation::{Mode, SelectorKind};
use larder::ports::lease::{FillOutcome, Lost};
use larder::ports::load::{LoadOutcome, LoadReason, StaleReason};
use larder::ports::lock::LockOutcome;
use larder::ports::metrics::{DomainMetrics, Hook, Metrics, State};
use larder::ports::policy::{Fault, Operation};
use larder::ports::trace::SpanOutcome;
use larder::wire::http;
use larder::wire::resp::commands::{COMMANDS, Run, Spec};

/// The README holds this text between the two marks of this name.
#[track_caller]
fn check(name: &str, expect: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).expect("there is a README");
    let (open, close) = (format!("<!-- {name}: checked by tests/readme.rs -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = readme.split_once(&open).unwrap_or_else(|| panic!("the README has no {open}"));
    let (found, after) = rest.split_once(&close).unwrap_or_else(|| panic!("the README has no {close}"));
    if found == expect {
        return;
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, format!("{before}{open}{expect}{close}{after}")).expect("the README can be written");
        return;
    }
    panic!("the README's {name} differ; run with UPDATE_EXPECT=1, or write:\n{expect}");
}

#[test]
fn settings() {
    let mut table = "| setting | environment | default | SIGHUP | meaning |\n|---|---|---|---|---|\n".to_owned();
    for setting in SETTINGS {
        let env: Vec<String> = setting.env.iter().map(|name| code(name)).collect();
        let reloads = if setting.reloads { "taken up" } else { "" };
        let row =
            [code(setting.name), env.join(", "), code(setting.default), reloads.to_owned(), setting.doc.to_owned()];
        writeln!(table, "| {} |", row.join(" | ")).expect("a string");
    }
    check("settings", &table);
}

#[test]
fn policy_variables() {
    let mut table = "| environment | policy | setting |\n|---|---|---|\n".to_owned();
    for (variable, domain, setting) in POLICY_VARIABLES {
        writeln!(table, "| {} | {} | {} |", code(variable), code(domain), code(setting)).expect("a string");
    }
    let reserved: Vec<String> = RESERVED_VARIABLES.iter().map(|name| code(name)).collect();
    let last = match reserved.as_slice() {
        [] => "Every variable that is known has effect.".to_owned(),
        names => format!("Known, but without effect yet: {}. The log says so where one is set.", names.join(", ")),
    };
    writeln!(table, "\n{last}").expect("a string");
    check("policy variables", &table);
}

#[test]
fn routes() {
    let mut table = "| request | what it does |\n|---|---|\n".to_owned();
    for (method, path, summary) in http::routes() {
        let request = format!("{method} {}", path.replace("{*", "{"));
        writeln!(table, "| {} | {summary} |", code(&request)).expect("a string");
    }
    check("routes", &table);
}

#[test]
fn commands() {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for command in COMMANDS {
        let own = (!matches!(command.run, Run::Container)).then_some(command);
        let others = command.subcommands.iter().filter(|spec| spec.short_name() != "help");
        let served = own.into_iter().chain(others.filter(|spec| spec.summary != "Not supported."));
        groups.entry(command.group.as_str()).or_default().extend(served.map(shown));
    }
    let mut table = "| group | commands |\n|---|---|\n".to_owned();
    for (group, names) in groups {
        writeln!(table, "| {group} | {} |", names.join(" ")).expect("a string");
    }
    check("commands", &table);
}

/// `client|list` is `CLIENT LIST`.
fn shown(spec: &Spec) -> String {
    code(&spec.name.replace('|', " ").to_ascii_uppercase())
}

#[test]
fn metrics() {
    let counted = Arc::new(Metrics::default());
    let exporter = Exporter::new(&counted, Arc::new(VirtualClock::new(0, 1)), Vec::new()).expect("an exporter");
    count_everything(&counted.domain("d"));
    counted.store_latency.observe_ns(1);
    counted.coherence.lag.observe_ns(1);
    counted.lock(LockOutcome::Acquired);
    counted.store_refusals.note("OOM", 1, 1);
    counted.tracing.count(SpanOutcome::Exported, 1);
    counted.breaker("b").not_permitted.increment();
    let mut families: BTreeMap<String, [String; 3]> = BTreeMap::new();
    for line in exporter.page().lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default()[2] = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default()[0] = kind.to_owned();
        } else if let Some((series, labels)) = line.split_once('{') {
            let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end)).unwrap_or(series);
            let names = labels.split(['{', ',']).filter_map(|label| label.split_once('=')).map(|(label, _)| label);
            let names = names.filter(|label| !matches!(*label, "le" | "quantile")).map(code).collect::<Vec<_>>();
            if let Some(family) = families.get_mut(name) {
                family[1] = names.join(", ");
            }
        }
    }
    let mut table = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, columns) in families {
        writeln!(table, "| {} | {} |", code(&name), columns.join(" | ")).expect("a string");
    }
    check("metrics", &table);
}

/// So that every family has a series.
fn count_everything(domain: &DomainMetrics) {
    domain.answered(Operation::Read, State::L1Hit);
    domain.latency[Operation::Read as usize].observe_ns(1);
    domain.policy_calls[Hook::Plan as usize].increment();
    domain.policy_time[Hook::Plan as usize].observe_ns(1);
    domain.policy_faults[Fault::Trap as usize].increment();
    domain.invalidations[SelectorKind::Tag as usize][Mode::Soft as usize].increment();
    domain.invalidations_failed[SelectorKind::Tag as usize].increment();
    domain.found_invalidated[Mode::Soft as usize].increment();
    domain.loads.outcomes[LoadOutcome::Stored as usize].increment();
    domain.loads.begun[LoadReason::Miss as usize].increment();
    domain.loads.stale[StaleReason::Revalidating as usize].increment();
    domain.loads.throttled.increment();
    domain.loads.refreshes_dropped.increment();
    domain.origin.answers[0].increment();
    domain.origin.time.observe_ns(1);
    domain.origin.retries.increment();
    domain.fill_outcomes[FillOutcome::Done as usize].increment();
    domain.fills_lost[Lost::Written as usize].increment();
    domain.fill_wait.observe_ns(1);
}

/// As code; nothing for nothing.
fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}
