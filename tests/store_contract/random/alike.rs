//! When two replies are as good as the same.

use larder::ports::store::Reply;

use super::text;

/// Commands that answer a list without an order.
const UNORDERED: &[&str] = &["KEYS", "HKEYS", "HVALS"];
/// Commands that answer a cursor and a list without an order, of so many elements that belong together.
const SCANS: &[(&str, usize)] = &[("SCAN", 1), ("SSCAN", 1), ("HSCAN", 2)];

fn name(words: &str) -> &str {
    words.split(' ').next().unwrap_or_default()
}

/// Whether two replies are the same, or both what is left of lives that began at nearly the same time.
pub(crate) fn alike(words: &str, memory: &Reply, redis: &Reply) -> bool {
    const SECONDS: i64 = 60;
    let tolerance = match name(words) {
        "TTL" | "EXPIRETIME" => SECONDS,
        "PTTL" | "PEXPIRETIME" => SECONDS * 1000,
        _ if words.starts_with("OBJECT IDLETIME") => SECONDS,
        _ => 0,
    };
    match (memory, redis) {
        (Reply::Integer(a), Reply::Integer(b)) if *a >= 0 && *b >= 0 => a.abs_diff(*b) <= tolerance.unsigned_abs(),
        _ => normal(words, memory) == normal(words, redis) || are_forms_of_a_set(words, memory, redis),
    }
}

/// The form of a difference that was stored depends on the way that Redis found it.
fn are_forms_of_a_set(words: &str, memory: &Reply, redis: &Reply) -> bool {
    let is_form = |reply: &Reply| matches!(reply, Reply::Bulk(form) if form == "intset" || form == "hashtable");
    words.starts_with("OBJECT ENCODING") && is_form(memory) && is_form(redis)
}

/// A reply as text, in order where it has none.
fn normal(words: &str, reply: &Reply) -> String {
    match reply {
        Reply::Array(all) if UNORDERED.contains(&name(words)) => format!("[{}]", sorted(all, 1)),
        Reply::Array(parts) => match (SCANS.iter().find(|(scan, _)| *scan == name(words)), &parts[..]) {
            (Some((_, size)), [cursor, Reply::Array(all)]) => format!("{} {}", text::reply(cursor), sorted(all, *size)),
            _ => text::reply(reply),
        },
        _ => text::reply(reply),
    }
}

fn sorted(all: &[Reply], size: usize) -> String {
    let mut groups: Vec<String> =
        all.chunks(size).map(|group| group.iter().map(text::reply).collect::<Vec<_>>().join(" ")).collect();
    groups.sort();
    groups.join(", ")
}

/// A command whose answer chance picks.
pub(crate) struct Chance<'a> {
    name: &'a str,
    key: &'a str,
    may_repeat: bool,
}

impl<'a> Chance<'a> {
    pub(crate) fn of(words: &'a str) -> Option<Self> {
        let mut rest = words.split_whitespace();
        let name = rest.next().filter(|name| ["SPOP", "SRANDMEMBER", "HRANDFIELD", "RANDOMKEY"].contains(name))?;
        let key = rest.next().unwrap_or_default();
        Some(Self { name, key, may_repeat: rest.next().is_some_and(|count| count.starts_with('-')) })
    }

    /// What answers all that may be picked.
    pub(crate) fn question(&self) -> String {
        match self.name {
            "RANDOMKEY" => "KEYS *".to_owned(),
            "HRANDFIELD" => format!("HGETALL {}", self.key),
            _ => format!("SMEMBERS {}", self.key),
        }
    }

    /// The key from which something was taken.
    pub(crate) fn taken_from(&self) -> Option<&str> {
        (self.name == "SPOP").then_some(self.key)
    }

    /// Whether both answers have one form, and nothing in them that is not there.
    pub(crate) fn fits(&self, there: &Reply, memory: &Reply, redis: &Reply) -> bool {
        match (memory, redis) {
            (Reply::Array(a), Reply::Array(b)) | (Reply::Set(a), Reply::Set(b)) => {
                a.len() == b.len() && self.are_there(there, a) && self.are_there(there, b)
            }
            (Reply::Bulk(_), Reply::Bulk(_)) => is_there(there, memory) && is_there(there, redis),
            _ => memory == redis,
        }
    }

    fn are_there(&self, there: &Reply, drawn: &[Reply]) -> bool {
        let mut texts: Vec<String> = drawn.iter().map(text::reply).collect();
        texts.sort();
        texts.dedup();
        drawn.iter().all(|element| is_there(there, element)) && (self.may_repeat || texts.len() == drawn.len())
    }
}

/// Whether an element, or a field with its value, is among what is there.
fn is_there(there: &Reply, element: &Reply) -> bool {
    match (there, element) {
        (Reply::Array(all) | Reply::Set(all), _) => all.contains(element),
        (Reply::Map(all), Reply::Array(pair)) => {
            all.iter().any(|(name, value)| pair[..] == [name.clone(), value.clone()])
        }
        (Reply::Map(all), _) => all.iter().any(|(name, _)| name == element),
        _ => false,
    }
}
