//! `OBJECT`: what Redis would tell of how a key is kept.
//!
//! The names of encodings are those that Redis 7.0 would use for the same history with its default settings: programs and people
//! look at them to see what a key costs. Nothing in this store has those forms.

use super::Outcome;
use super::args::{Arguments, is_word};
use super::replies::bulk;
use crate::adapters::memory::hash::Hash;
use crate::adapters::memory::integer;
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::set::Set;
use crate::adapters::memory::shard::{Entry, Form, seconds};
use crate::adapters::memory::value::Kind as _;
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Encoding,
    Freq,
    IdleTime,
    RefCount,
}

impl Question {
    const ALL: [Self; 4] = [Self::Encoding, Self::Freq, Self::IdleTime, Self::RefCount];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Freq => "freq",
            Self::IdleTime => "idletime",
            Self::RefCount => "refcount",
        }
    }
}

pub(super) fn object(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    let name = arguments.at(1);
    let question = Question::ALL.into_iter().find(|question| is_word(name, question.as_str()));
    let question = question.ok_or_else(|| Refusal::subcommand("OBJECT", name))?;
    let [key] = arguments.from(2) else { return Err(Refusal::arity(&format!("object|{}", question.as_str()))) };
    let Some(entry) = view.peek(key) else { return Ok(Reply::Nil) };
    match question {
        Question::Encoding => Ok(bulk(encoding(entry).as_bytes())),
        Question::Freq => Err(Refusal::NO_FREQUENCY),
        Question::IdleTime => Ok(Reply::Integer(seconds(view.now_ms).saturating_sub(entry.used_s).into())),
        Question::RefCount => Ok(Reply::Integer(references(entry))),
    }
}

fn encoding(entry: &Entry) -> &'static str {
    let Ok(text) = entry.value.as_string() else {
        let hash = Hash::of(&entry.value).map(Hash::encoding);
        return hash.or_else(|_| Set::of(&entry.value).map(Set::encoding)).unwrap_or("quicklist");
    };
    const EMBEDDED_BYTES_MAX: usize = 44;
    match entry.form {
        Form::Whole | Form::Copied if integer::parse(text.as_slice()).is_some() => "int",
        Form::Whole | Form::Copied | Form::Sum if text.len() <= EMBEDDED_BYTES_MAX => "embstr",
        Form::Whole | Form::Copied | Form::Sum | Form::Edited => "raw",
    }
}

/// Redis shares small integers among all keys, and says so with the largest count there is.
fn references(entry: &Entry) -> i64 {
    const SHARED: std::ops::Range<i64> = 0..10_000;
    let text = entry.value.as_string().ok().filter(|_| entry.form == Form::Whole);
    let number = text.and_then(|text| integer::parse(text.as_slice()));
    if number.is_some_and(|number| SHARED.contains(&number)) { i32::MAX.into() } else { 1 }
}
