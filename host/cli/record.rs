//! `larder inspect`: what a host holds under a key, in groups that people think in.
//!
//! All of it comes from the host's explanation; what belongs to which group is one table, for text and JSON.

use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;
use hyper::Method;

use super::InspectArgs;
use super::document::Document;
use super::exit::Exit;
use super::out::say;
use super::remote::{Ask, Remote, encoded};

/// Groups of the record, and the members of the explanation in each.
const GROUPS: [(&str, &[&str]); 5] = [
    ("value", &["type", "size_bytes", "stored_bytes", "compression", "encoding", "storage_key", "from"]),
    (
        "life",
        &[
            "state",
            "life",
            "on_read",
            "born_ms",
            "age_ms",
            "fresh_ms",
            "fresh_left_ms",
            "stale_while_revalidate_ms",
            "stale_if_error_ms",
            "keep_ms",
            "max_stale_ms",
            "store_ttl_ms",
        ],
    ),
    ("invalidation", &["tags", "generations", "invalidated", "invalidated_by"]),
    (
        "policy",
        &[
            "domain",
            "policy_version",
            "policy_digest",
            "generation",
            "rules_stored",
            "rules_now",
            "rejudged",
            "on_miss",
        ],
    ),
    ("load", &["lease", "lease_ttl_ms", "lease_waiting", "load"]),
];

/// Prints the record.
///
/// # Errors
/// No host answers, or it refuses the key.
pub(crate) fn inspect(args: &InspectArgs) -> Result<Exit> {
    let path = format!("/v1/explain/default/{}", encoded(args.key.as_bytes()));
    let explained = Remote::new(&args.host)?.document(Ask::new(Method::GET, path))?;
    let found = explained.text("from") != Some("nowhere");
    let record = record(&explained, found);
    say(&if args.host.json { format!("{}\n", record.json()) } else { lines(&record) })?;
    Ok(if found { Exit::Done } else { Exit::No })
}

fn record(explained: &Document, found: bool) -> Document {
    let mut record = vec![
        ("key".to_owned(), explained.get("key").cloned().unwrap_or(Document::Null)),
        ("found".to_owned(), found.into()),
    ];
    for (group, members) in GROUPS {
        let known = |name: &&str| explained.get(name).map(|value| ((*name).to_owned(), value.clone()));
        record.push((group.to_owned(), Document::Record(members.iter().filter_map(known).collect())));
    }
    Document::Record(record)
}

/// What is unknown is left out, and times and sizes are as people say them.
fn lines(record: &Document) -> String {
    fn tidy(name: &str, value: &Document) -> Option<Document> {
        match value {
            // Of a moment its distance from now says more: `age` stands beside it.
            Document::Number(_) if name == "born_ms" => None,
            Document::Null => None,
            Document::List(items) if items.is_empty() => None,
            Document::Record(members) => {
                let members: Vec<_> =
                    members.iter().filter_map(|(name, it)| Some((short(name), tidy(name, it)?))).collect();
                (!members.is_empty()).then_some(Document::Record(members))
            }
            Document::Number(number) => Some(match number.as_i64() {
                Some(ms) if name.ends_with("_ms") => in_words(ms).into(),
                Some(bytes) if name.ends_with("_bytes") => format!("{bytes} bytes").into(),
                _ => value.clone(),
            }),
            other => Some(other.clone()),
        }
    }
    fn short(name: &str) -> String {
        name.trim_end_matches("_ms").trim_end_matches("_bytes").replace('_', " ")
    }
    tidy("", record).map(|it| it.lines()).unwrap_or_default()
}

/// A time of so many milliseconds, in its two largest units.
fn in_words(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = ms;
    let mut words = Vec::new();
    for (unit, scale) in units {
        if rest >= scale && words.len() < 2 {
            words.push(format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    if words.is_empty() { "0s".to_owned() } else { format!("{sign}{}", words.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_two_units() {
        for (ms, expect) in
            [(0, "0s"), (7, "7ms"), (61_000, "1m 1s"), (86_400_000, "1d"), (90_061_001, "1d 1h"), (-1_500, "-1s 500ms")]
        {
            assert_eq!(in_words(ms), expect);
        }
    }

    #[test]
    fn what_is_unknown_is_left_out_of_the_text_only() {
        let explained = serde_json::from_str(
            r#"{"key":"k","from":"l1","type":"string","size_bytes":3,"fresh_ms":null,"age_ms":2000,"tags":[],"generations":["domain 1f"]}"#,
        );
        let record = record(&explained.unwrap(), true);
        let text = "key: k\nfound: true\nvalue:\n  type: string\n  size: 3 bytes\n  from: l1\nlife:\n  age: 2s\n\
                    invalidation:\n  generations:\n    domain 1f\n";
        assert_eq!(lines(&record), text);
        assert_eq!(record.get("life").and_then(|it| it.get("fresh_ms")), Some(&Document::Null));
    }
}
