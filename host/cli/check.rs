//! `larder policy check` and `larder policy test`: what a host would say of a policy, without one.
//!
//! The policy is taken up by the host's own loader, with a cache of its own that is empty, so that the times are those of the first
//! load. It names that adapter, and no other.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use larder::adapters::clock::SystemClock;
use larder::adapters::origin::HttpOrigins;
use larder::adapters::wasm::{CaseResult, Checked, Checker};
use larder::config::Config;
use larder::config::layers::Layers;
use larder::ports::clock::Clock;
use larder::ports::policy::{Description, Shape};
use serde_json::{Value, json};

use super::OWN_PROGRAM;
use super::exit::Exit;
use super::out::{remark, say};

/// Prints all that is found of each policy. The answer is no if one of them would not serve.
///
/// # Errors
/// They cannot be looked at.
pub(crate) fn check(files: &[PathBuf], as_json: bool) -> Result<Exit> {
    let checked = take_up(files)?;
    if as_json {
        let all: Vec<Value> = checked.iter().map(document).collect();
        say(&format!("{:#}\n", json!({ "policies": all })))?;
    } else {
        say(&checked.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(verdict(&checked))
}

/// Prints a line for each case of each policy. The answer is no if one failed, or a policy would not serve for another reason.
///
/// # Errors
/// They cannot be looked at.
pub(crate) fn test(files: &[PathBuf], as_json: bool) -> Result<Exit> {
    let checked = take_up(files)?;
    if as_json {
        let of = |policy: &Checked| json!({ "domain": policy.domain, "refused": refused(policy), "cases": policy.report.cases });
        say(&format!("{:#}\n", json!({ "policies": checked.iter().map(of).collect::<Vec<_>>() })))?;
        return Ok(verdict(&checked));
    }
    say(&checked.iter().flat_map(case_lines).collect::<String>())?;
    Ok(verdict(&checked))
}

/// Why a host would not serve the policies in these files, a line for each that it would not.
///
/// # Errors
/// They cannot be looked at.
pub(super) fn doubts(files: &[PathBuf]) -> Result<Vec<String>> {
    let refused = |policy: Checked| policy.refused.map(|(_, message)| format!("{}: {message}", policy.domain));
    Ok(take_up(files)?.into_iter().filter_map(refused).collect())
}

fn case_lines(policy: &Checked) -> Vec<String> {
    let domain = &policy.domain;
    let cases = policy.report.cases.iter();
    let mut lines: Vec<_> = cases.map(|case| format!("{domain}: {}\n", case_line(case))).collect();
    match &policy.refused {
        Some((reason, message)) if *reason != "cases" || policy.report.cases.is_empty() => {
            lines.push(format!("{domain}: REFUSED  {message}\n"));
        }
        None if policy.report.cases.is_empty() => {
            lines.push(format!("{domain}: no cases; they belong into {domain}.cases.toml\n"));
        }
        _ => {}
    }
    lines
}

fn take_up(files: &[PathBuf]) -> Result<Vec<Checked>> {
    let cache = tempfile::tempdir()?;
    // Settings of the environment outrank the files' here as they do in a host.
    let overrides = Config::new(&Layers::defaults(), |name: &str| std::env::var(name).ok())?.policy_overrides;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let origins = Arc::new(HttpOrigins::for_checks(clock.clone())?);
    let checker = Checker::new(cache.path(), overrides, Some(OWN_PROGRAM.into()), origins, clock)?;
    Ok(files.iter().map(|file| checker.check(file)).collect())
}

fn verdict(checked: &[Checked]) -> Exit {
    match checked.iter().filter(|policy| policy.refused.is_some()).count() {
        0 => Exit::Done,
        refused => {
            remark(format_args!("{refused} of {} policies would not serve", checked.len()));
            Exit::No
        }
    }
}

fn refused(policy: &Checked) -> Option<Value> {
    policy.refused.as_ref().map(|(reason, message)| json!({ "reason": reason, "message": message }))
}

fn text(policy: &Checked) -> String {
    let report = &policy.report;
    let verdict = if policy.refused.is_none() { "would serve" } else { "would NOT serve" };
    let mut text = format!("{}: {verdict}\n", policy.domain);
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<10} {value}\n"));
    if let Some((_, message)) = &policy.refused {
        line("refused", message.clone());
    }
    if !policy.digest.is_empty() {
        line("component", format!("{} KiB, sha256 {}", report.size_bytes.div_ceil(1024), policy.digest));
    }
    if !report.exports.is_empty() {
        line("exports", report.exports.join(", "));
        line("imports", words(&report.imports));
        line("grants", format!("needs {}, has {}", words(&report.grants_needed), words(&report.grants)));
    }
    if report.hook_ms > 0 {
        line("limits", format!("{} ms for a decision, {} KiB of memory", report.hook_ms, report.memory_bytes >> 10));
    }
    if let Some(it) = &report.description {
        let shapes = shapes(it).join(", ");
        let encoding = it.encoding.as_str();
        line("describes", format!("version {}, keys {}, {encoding}, serves {shapes}", it.version, it.key_version));
    }
    if let (Some(cold_us), Some(cached_us)) = (report.load_us, policy.cached_us) {
        line("compiled", format!("in {}, from the cache in {}", ms(cold_us), ms(cached_us)));
    }
    if report.description.is_some() {
        let passed = report.cases.iter().filter(|case| case.failure.is_none()).count();
        line("cases", format!("{passed} of {} passed", report.cases.len()));
    }
    for case in &report.cases {
        text.push_str(&format!("    {}\n", case_line(case)));
    }
    text
}

fn case_line(case: &CaseResult) -> String {
    match &case.failure {
        None => format!("passed  {}", case.name),
        Some(failure) => format!("FAILED  {} (line {}): {failure}", case.name, case.line),
    }
}

fn words(list: &[impl AsRef<str>]) -> String {
    match list {
        [] => "none".to_owned(),
        list => list.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "),
    }
}

fn ms(us: u64) -> String {
    format!("{}.{} ms", us / 1_000, us % 1_000 / 100)
}

fn shapes(description: &Description) -> Vec<&'static str> {
    let served = Shape::ALL.into_iter().filter(|shape| description.shapes.contains(*shape));
    served.map(Shape::as_str).collect()
}

fn document(policy: &Checked) -> Value {
    let report = &policy.report;
    json!({
        "domain": policy.domain,
        "serves": policy.refused.is_none(),
        "refused": refused(policy),
        "digest": policy.digest,
        "size_bytes": report.size_bytes,
        "imports": report.imports,
        "exports": report.exports,
        "grants_needed": report.grants_needed,
        "grants": report.grants,
        "hook_ms": report.hook_ms,
        "memory_bytes": report.memory_bytes,
        "description": report.description.as_ref().map(|it| json!({
            "version": it.version,
            "key_version": it.key_version,
            "encoding": it.encoding.as_str(),
            "shapes": shapes(it),
            "wants_bytes": it.wants_bytes,
            "tick_ms": it.tick_ms,
        })),
        "compile_us": report.load_us,
        "cached_us": policy.cached_us,
        "cases": report.cases,
    })
}
