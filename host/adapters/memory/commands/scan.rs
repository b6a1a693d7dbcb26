//! Walks: `SCAN`, `HSCAN`, `SSCAN` step by step, `KEYS` in one go.
//!
//! Invariant: what is there from a scan's first step to its last is shown at least once, whatever others add and remove in
//! between; how that is done says `dense.rs`. A step looks at [`SCAN_COUNT_MAX`] elements at most. `KEYS` is one moment, as in
//! Redis: it holds every lock until it is through.

use bytes::Bytes;

use super::Outcome;
use super::args::{Arguments, integer, is_word};
use super::replies::bulk;
use crate::adapters::memory::dense::Keyed as _;
use crate::adapters::memory::hash::Hash;
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::set::{Member, Set};
use crate::adapters::memory::view::View;
use crate::limits::SCAN_COUNT_MAX;
use crate::ports::pattern::Pattern;
use crate::ports::store::Reply;

/// What a step of a scan shows.
struct Options {
    count: usize,
    pattern: Option<Pattern>,
    kind: Option<Bytes>,
}

impl Options {
    fn parse(arguments: &[Bytes], may_ask_type: bool) -> Result<Self, Refusal> {
        const COUNT_DEFAULT: usize = 10;
        let mut options = Self { count: COUNT_DEFAULT, pattern: None, kind: None };
        let (pairs, alone) = arguments.as_chunks::<2>();
        for [word, value] in pairs {
            if is_word(word, "count") {
                let count = integer(value)?;
                let count = u64::try_from(count).ok().filter(|&count| count > 0).ok_or(Refusal::SYNTAX)?;
                options.count = usize::try_from(count).unwrap_or(usize::MAX).min(SCAN_COUNT_MAX);
            } else if is_word(word, "match") {
                options.pattern = pattern(value);
            } else if may_ask_type && is_word(word, "type") {
                options.kind = Some(value.clone());
            } else {
                return Err(Refusal::SYNTAX);
            }
        }
        if alone.is_empty() { Ok(options) } else { Err(Refusal::SYNTAX) }
    }

    fn matches(&self, name: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(name))
    }
}

/// `None`: everything matches.
fn pattern(pattern: &[u8]) -> Option<Pattern> {
    (!Pattern::is_everything(pattern)).then(|| Pattern::new(pattern))
}

/// A cursor as C's `strtoul` reads it: nothing is nought, a sign may come first, the text ends at a NUL.
fn cursor(text: &[u8]) -> Result<u64, Refusal> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if text.is_empty() {
        return Ok(0);
    }
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number).and_then(|digits| digits.parse::<u64>().ok());
    let number = number.ok_or(Refusal::CURSOR)?;
    Ok(if is_negative { number.wrapping_neg() } else { number })
}

fn step(next: u64, shown: Vec<Reply>) -> Reply {
    Reply::Array(vec![bulk(itoa::Buffer::new().format(next).as_bytes()), Reply::Array(shown)])
}

/// Where the next step of a scan within a value goes on. Its first one begins at the end, which has no other number than 0.
fn below(cursor: u64) -> usize {
    if cursor == 0 { usize::MAX } else { usize::try_from(cursor).unwrap_or(usize::MAX) }
}

pub(super) fn scan(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let from = cursor(arguments.at(1))?;
    let options = Options::parse(arguments.from(2), true)?;
    let mut shown = Vec::new();
    let next = view.scan(from, options.count, |entry| {
        let fits = options.kind.as_ref().is_none_or(|kind| is_word(kind, entry.value.kind()));
        if fits && options.matches(entry.key()) {
            shown.push(bulk(entry.key()));
        }
    });
    Ok(step(next, shown))
}

pub(super) fn hscan(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let from = cursor(arguments.at(2))?;
    let Some(hash) = view.read::<Hash>(arguments.at(1))? else { return Ok(step(0, Vec::new())) };
    let options = Options::parse(arguments.from(3), false)?;
    let (fields, next) = hash.step(below(from), options.count);
    let fields = fields.iter().filter(|field| options.matches(&field.name));
    Ok(step(next as u64, fields.flat_map(|field| [bulk(&field.name), bulk(&field.value)]).collect()))
}

pub(super) fn sscan(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let from = cursor(arguments.at(2))?;
    let Some(set) = view.read::<Set>(arguments.at(1))? else { return Ok(step(0, Vec::new())) };
    let options = Options::parse(arguments.from(3), false)?;
    let (members, next) = set.step(below(from), options.count);
    let members = members.iter().map(|Member(member)| &**member).filter(|member| options.matches(member));
    Ok(step(next as u64, members.map(bulk).collect()))
}

pub(super) fn keys(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let pattern = pattern(arguments.at(1));
    let alive = view.shards().flatten().filter(|entry| !entry.is_gone(view.now_ms));
    let names = alive.map(|entry| entry.key());
    let matching = names.filter(|name| pattern.as_ref().is_none_or(|pattern| pattern.matches(name)));
    Ok(Reply::Array(matching.map(bulk).collect()))
}
