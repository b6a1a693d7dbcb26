//! Invalidating a tag that 1, 1,000 or 1,000,000 keys carry: what the call takes, and what the first reads after it take, which find out.
//!
//! The policy is one of this section's own, whose keys `{label}:{n}` carry the tag `{label}`: made and built as anybody's is. The tags take
//! turns; what counts is the median. That the keys of the tag are gone, and no others, is checked each time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::Bench;
use super::client::{Reply, Resp};
use super::report::median;
use super::server::Server;

/// The keys that a tag is on.
const KEYS: [usize; 3] = [1, 1_000, 1_000_000];
/// In a quick run there are that many times fewer of the most.
const QUICK_PART: usize = 10;
/// Reads that are measured after an invalidation; as many keys as there are are read in turn.
const READS: usize = 1_000;
/// Commands in flight while keys are written.
const BATCH: usize = 1_000;
const ROOM: &[&str] = &["--set", "l1.size=1GiB", "--set", "store.timeout=10s"];

const LIB: &str = r#"use larder_policy::*;

struct Labels;

impl Rules for Labels {
    fn describe(_: &mut Settings) -> Result<(Self, Description), String> {
        Ok((Self, Description::new("1").enveloped()))
    }

    fn plan(&self, _: &Request) -> Result<Plan, Refusal> {
        Ok(Plan::verbatim())
    }

    fn admit(&self, request: &Request, _: &Candidate) -> Admission {
        match parts(&request.key) {
            Some([label, _]) => Lifetime::fresh(hours(24)).tag(label).into(),
            _ => Admission::Refuse(Refusal::InvalidKey("{label}:{n}".into())),
        }
    }
}

export!(Labels);
"#;

/// The section's table.
pub(super) fn run(bench: &Bench) -> Result<String> {
    let policies = labels(bench)?;
    let mut lines = vec![
        "### Invalidation of a tag, by the number of keys that carry it (100-byte values, all in L1 and in the store)".to_owned(),
        String::new(),
        "| store | keys | invalidation, median (the first) | ÷ 1 key | goal | the first read after it | each read after that | … before it |\n\
         |---|---|---|---|---|---|---|---|"
            .to_owned(),
    ];
    let redis = Server::redis(bench)?;
    for (name, store) in [("embedded", "memory".to_owned()), ("Redis", format!("redis://127.0.0.1:{}", redis.resp))] {
        let larder = Server::larder(bench, &policies, &store, "labels", ROOM)?;
        lines.extend(rows(bench, name, &larder)?);
    }
    Ok(lines.join("\n"))
}

/// Makes and builds the policy; its folder.
fn labels(bench: &Bench) -> Result<PathBuf> {
    let (work, out) = (bench.folder("labels")?, bench.folder("policies")?);
    let larder = |args: &[&str]| -> Result<()> {
        let output = Command::new(&bench.larder).args(args).current_dir(&work).output()?;
        ensure!(output.status.success(), "{args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    larder(&["policy", "new", "labels"])?;
    fs::write(work.join("labels/lib.rs"), LIB)?;
    // Those of the template.
    fs::write(work.join("labels/labels.toml"), "[settings]\n")?;
    fs::remove_file(work.join("labels/labels.cases.toml"))?;
    let target = work.join("target").display().to_string();
    larder(&["policy", "build", "labels", "--out", &out.display().to_string(), "--target", &target])?;
    Ok(out)
}

/// What one tag took, in microseconds.
struct Tag {
    name: String,
    keys: usize,
    /// Of each invalidation.
    purges_us: Vec<f64>,
    read_before_us: f64,
    first_read_us: f64,
    read_after_us: f64,
}

fn rows(bench: &Bench, store: &str, larder: &Server) -> Result<Vec<String>> {
    let mut client = larder.connect()?;
    let most = KEYS[KEYS.len() - 1] / bench.pick(1, QUICK_PART);
    let mut tags = Vec::new();
    for keys in KEYS.map(|keys| keys.min(most)) {
        let name = format!("of{keys}");
        write(&mut client, &name, keys)?;
        tags.push(Tag {
            name,
            keys,
            purges_us: Vec::new(),
            read_before_us: 0.0,
            first_read_us: 0.0,
            read_after_us: 0.0,
        });
    }
    write(&mut client, "other", READS)?;
    for tag in &mut tags {
        let reads: Vec<String> = (0..READS).map(|n| key(&tag.name, n * (tag.keys / READS).max(1) % tag.keys)).collect();
        // Copies, their domain and the tag are known by then.
        read(&mut client, &reads, true)?;
        tag.read_before_us = read(&mut client, &reads, true)? / READS as f64;
        tag.purges_us.push(purge(&mut client, &tag.name)?);
        tag.first_read_us = read(&mut client, &reads[..1], false)?;
        tag.read_after_us = read(&mut client, &reads, false)? / READS as f64;
    }
    // One that is gone already takes what it took: nobody looks at what carries the tag.
    for _ in 0..bench.pick(51, 11) {
        for tag in &mut tags {
            tag.purges_us.push(purge(&mut client, &tag.name)?);
        }
    }
    read(&mut client, &(0..READS).map(|n| key("other", n)).collect::<Vec<_>>(), true)?;
    let of_one = median(tags[0].purges_us.clone());
    Ok(tags.iter().map(|tag| row(store, tag, of_one)).collect())
}

fn row(store: &str, tag: &Tag, of_one: f64) -> String {
    let middle = median(tag.purges_us.clone());
    format!(
        "| {store} | {} | {middle:.0} µs ({:.0}) | **{:.2}×** | flat | {:.0} µs | {:.0} µs | {:.0} µs |",
        tag.keys,
        tag.purges_us[0],
        middle / of_one,
        tag.first_read_us,
        tag.read_after_us,
        tag.read_before_us,
    )
}

fn key(label: &str, n: usize) -> String {
    format!("labels:{label}:{n:07}")
}

fn write(client: &mut Resp, label: &str, keys: usize) -> Result<()> {
    let value = "x".repeat(100);
    for first in (0..keys).step_by(BATCH) {
        let batch = first..keys.min(first + BATCH);
        batch.clone().for_each(|n| client.queue(&["SET", &key(label, n), &value]));
        client.flush()?;
        for _ in batch {
            let reply = client.read()?;
            ensure!(matches!(reply, Reply::Status(_)), "answered {reply:?}");
        }
    }
    Ok(())
}

/// Reads these one after the other, which are there or not; how long all of it took, in microseconds.
fn read(client: &mut Resp, keys: &[String], there: bool) -> Result<f64> {
    let began = Instant::now();
    for key in keys {
        let reply = client.call(&["GET", key])?;
        let good = if there { matches!(&reply, Reply::Bulk(value) if value.len() == 100) } else { reply == Reply::Nil };
        ensure!(good, "{key} is answered {reply:?}");
    }
    Ok(began.elapsed().as_secs_f64() * 1e6)
}

/// How long an invalidation of this tag takes, in microseconds.
fn purge(client: &mut Resp, tag: &str) -> Result<f64> {
    let began = Instant::now();
    let reply = client.call(&["LARDER.INVALIDATE", "TAG", "labels", tag])?;
    let took_us = began.elapsed().as_secs_f64() * 1e6;
    ensure!(!matches!(reply, Reply::Error(_)), "answered {reply:?}");
    Ok(took_us)
}
