//! `larder invalidate`: what has the host look through the store is done in steps, as a warming is, with progress. Whoever breaks it off has
//! ended it: the host takes no step by itself.

use anyhow::{Context as _, Result};
use hyper::Method;
use larder::limits::SCAN_STEP_KEYS;
use serde_json::{Value, json};

use super::ask::print;
use super::document::Document;
use super::exit::Exit;
use super::out::say;
use super::remote::{Ask, Remote};
use super::{HowArgs, InvalidateCommand, progress};

/// About how many keys of the store a step looks at: some twenty calls of it, so that the bar moves and Ctrl-C is heard.
const STEP_KEYS: usize = 20 * SCAN_STEP_KEYS;

/// `larder invalidate`.
///
/// # Errors
/// A step fails; where it was broken off is said.
pub(crate) fn run(command: &InvalidateCommand) -> Result<Exit> {
    use InvalidateCommand::{Domain, Key, Pattern, Prefix, Tag};
    match command {
        Key { key, how } => at_once(&json!({ "key": key }), how),
        Tag { domain, tag, how } => at_once(&json!({ "domain": domain, "tag": tag }), how),
        Prefix { domain, prefix, cursor, how } => {
            in_steps(&json!({ "domain": domain, "prefix": prefix }), cursor.as_deref(), how)
        }
        Pattern { domain, pattern, cursor, how } => {
            in_steps(&json!({ "domain": domain, "pattern": pattern }), cursor.as_deref(), how)
        }
        Domain { domain, cursor, how } => in_steps(&json!({ "domain": domain }), cursor.as_deref(), how),
    }
}

fn at_once(selector: &Value, how: &HowArgs) -> Result<Exit> {
    let answer = step(&mut Remote::new(&how.host)?, &json!({ "selectors": [selector], "mode": mode(how) }))?;
    told(how, &answer)
}

fn in_steps(selector: &Value, cursor: Option<&str>, how: &HowArgs) -> Result<Exit> {
    let mut remote = Remote::new(&how.host)?;
    let mut cursor = cursor.map(str::to_owned);
    let bar = progress::steps();
    let answer = loop {
        let mut asked = json!({ "selectors": [selector], "mode": mode(how), "count": STEP_KEYS });
        if let Some(cursor) = &cursor {
            asked["cursor"] = json!(cursor);
        }
        let answer = step(&mut remote, &asked).with_context(|| match &cursor {
            Some(cursor) => format!("go on with --cursor {cursor}"),
            None => "nothing was looked through".to_owned(),
        })?;
        let number = |name: &str| answer.integer(name).and_then(|n| u64::try_from(n).ok());
        cursor = answer.text("cursor").map(str::to_owned);
        let Some(at) = &cursor else { break answer };
        let keys = keys(&answer).unwrap_or(0);
        bar.reach(number("seen").unwrap_or(0), number("total"), format!("{keys} invalidated; cursor {at}"));
    };
    drop(bar);
    told(how, &answer)
}

const fn mode(how: &HowArgs) -> &'static str {
    if how.soft { "soft" } else { "hard" }
}

fn step(remote: &mut Remote, asked: &Value) -> Result<Document> {
    remote.document(Ask::new(Method::POST, "/v1/invalidate".to_owned()).json(asked))
}

/// How many keys were invalidated, where the host looked at each.
fn keys(answer: &Document) -> Option<i64> {
    answer.items("invalidated").first().and_then(|done| done.integer("keys"))
}

fn told(how: &HowArgs, answer: &Document) -> Result<Exit> {
    if how.host.json {
        return print(&how.host, answer);
    }
    let of = match keys(answer) {
        Some(1) => "1 key".to_owned(),
        Some(keys) => format!("{keys} keys"),
        None => "all that was cached until now".to_owned(),
    };
    say(&format!("invalidated ({}): {of}\n", mode(how)))
}
