//! `larder warm`: a domain's values brought in before anybody asks, a step at a time, with progress.

use anyhow::{Context as _, Result};
use hyper::Method;
use larder::limits::WARM_STEP_KEYS_MAX;
use serde_json::{Value, json};

use super::WarmArgs;
use super::document::Document;
use super::exit::Exit;
use super::out::say;
use super::progress;
use super::remote::{Ask, Remote};

/// What a step counts.
const COUNTED: [&str; 5] = ["held", "stored", "loaded", "absent", "failed"];

/// Steps, until there are no more.
///
/// # Errors
/// A step fails; where it was broken off is said.
pub(crate) fn warm(args: &WarmArgs) -> Result<Exit> {
    let keys: Option<Vec<String>> = args.file.as_deref().map(keys_of).transpose()?;
    let listed = keys.as_ref().map(|keys| keys.len() as u64);
    let (remote, bar) = (Remote::new(&args.host)?, progress::steps());
    let mut steps = Steps { remote, bar, listed, sums: [0; COUNTED.len()] };
    if let Some(keys) = &keys {
        for chunk in keys.chunks(WARM_STEP_KEYS_MAX) {
            steps.take(&json!({ "domain": args.domain, "keys": chunk }))?;
        }
    } else {
        let mut cursor = args.cursor.clone();
        loop {
            let mut step = json!({ "domain": args.domain });
            if let Some(version) = &args.version {
                step["version"] = json!(version);
                step["pattern"] = json!(args.pattern);
            }
            if let Some(cursor) = &cursor {
                step["cursor"] = json!(cursor);
            }
            cursor = steps.take(&step).with_context(|| match &cursor {
                Some(cursor) => format!("go on with --cursor {cursor}"),
                None => "nothing was warmed".to_owned(),
            })?;
            if cursor.is_none() {
                break;
            }
        }
    }
    let Steps { bar, sums, .. } = steps;
    drop(bar);
    let sums = COUNTED.iter().zip(sums).map(|(name, sum)| ((*name).to_owned(), sum.into())).collect();
    let sums = Document::Record(sums);
    say(&if args.host.json { format!("{}\n", sums.json()) } else { sums.lines() })
}

fn keys_of(file: &std::path::Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// What was done until now.
struct Steps {
    remote: Remote,
    bar: progress::Steps,
    /// How many keys there are, where they come from a file.
    listed: Option<u64>,
    sums: [u64; COUNTED.len()],
}

impl Steps {
    /// One step; the cursor of the next.
    fn take(&mut self, step: &Value) -> Result<Option<String>> {
        let answer = self.remote.document(Ask::new(Method::POST, "/v1/warm".to_owned()).json(step))?;
        let number = |name: &str| answer.integer(name).and_then(|n| u64::try_from(n).ok());
        for (name, sum) in COUNTED.iter().zip(&mut self.sums) {
            *sum += number(name).unwrap_or(0);
        }
        let cursor = answer.text("cursor").map(str::to_owned);
        let at = cursor.as_ref().map_or_else(String::new, |cursor| format!("cursor {cursor}"));
        self.bar.reach(self.sums.iter().sum(), self.listed.or_else(|| number("total")), at);
        Ok(cursor)
    }
}
