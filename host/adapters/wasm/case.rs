//! `NAME.cases.toml` beside `NAME.wasm`: what a policy must answer before it may serve.
//!
//! ```toml
//! [settings]                    # for all cases, over those that serve
//! ttl = "24h"
//!
//! [[case]]
//! name = "a user is kept under its own key"
//! key = "user:42"               # without the domain
//! suffix = "user:42"
//! miss = "load"
//!
//! [[case]]
//! name = "a shorter lifetime that was asked for wins"
//! key = "user:42"
//! value = "Ada"                 # or `size_bytes`: it is written, so `admit` is asked too
//! asked_ttl = "1h"
//! fresh = "1h"
//! stale = "5m"
//!
//! [[case]]
//! name = "other keys are refused"
//! key = "nobody"
//! refused = "invalid-key"
//!
//! [[case]]
//! name = "an update makes the user out of date"
//! event = { kind = "user.updated", payload = '{"id":42}' }
//! invalidates = ["key:user:42"]   # or tag:…, prefix:…, pattern:…, domain
//! ```
//!
//! A case is one request, as the host makes it: `plan` is asked for the key, and `admit` for the value if the case has one; or it is one
//! event.
//! Invariants: only what a case states is compared, and a case that states nothing is an error; times and words are compared in
//! one spelling, so that `"60s"` is `"1m"`.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{At, Reader};
use super::refused::{Reason, Refused};
use super::told::{self, Of};
use crate::limits;
use crate::ports::hooks::Event;
use crate::ports::policy::{Candidate, Cause, Operation, Request, Shape};

/// One case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Case {
    /// What it shows, in the author's words.
    pub(super) name: String,
    /// Where it begins.
    pub(super) line: usize,
    /// Settings that are laid over those that serve.
    pub(super) settings: BTreeMap<String, String>,
    /// What is asked.
    pub(super) question: Question,
    /// What must be answered: names of [`told::ANSWERS`] and values as [`told`] spells them.
    pub(super) expected: Vec<(&'static str, String)>,
}

/// What a policy is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    key: String,
    operation: Option<Operation>,
    shape: Option<Shape>,
    offered: Option<Offered>,
    event: Option<Happened>,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Happened {
    kind: String,
    payload: String,
}

/// A value that is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offered {
    cause: Option<Cause>,
    value: Option<String>,
    size_bytes: u32,
    asked_ttl_ms: Option<u64>,
    origin_status: Option<u16>,
    origin_headers: Vec<(String, String)>,
    load_ms: u32,
}

/// What every case may say.
const OF_CASE: [&str; 3] = ["name", "settings", "event"];
/// What a case may say of the request.
const OF_REQUEST: [&str; 3] = ["key", "operation", "shape"];
/// What it may say of the value.
const OF_VALUE: [&str; 7] =
    ["cause", "value", "size_bytes", "asked_ttl", "origin_status", "origin_headers", "load_time"];

impl Question {
    /// The event, if that is what is asked about.
    pub(super) fn event(&self) -> Option<Event<'_>> {
        self.event.as_ref().map(|it| Event { kind: &it.kind, payload: &it.payload })
    }

    /// The request; unless the case says so, values are written and keys are read.
    pub(super) fn request(&self) -> Request<'_> {
        let implied = match self.offered.as_ref().map(|it| it.cause) {
            None => Operation::Read,
            Some(None | Some(Cause::Write)) => Operation::Write,
            Some(Some(Cause::Fill)) => Operation::Fill,
            Some(Some(Cause::Load)) => Operation::Load,
            Some(Some(Cause::Refresh)) => Operation::Refresh,
        };
        Request {
            key: &self.key,
            operation: self.operation.unwrap_or(implied),
            shape: self.shape.unwrap_or(Shape::Value),
        }
    }

    /// The value that is offered, and whether its bytes are known; `None`: only the plan is asked for.
    pub(super) fn candidate(&self) -> Option<(Candidate<'_>, bool)> {
        let offered = self.offered.as_ref()?;
        let implied = match self.operation {
            Some(Operation::Fill) => Cause::Fill,
            Some(Operation::Load | Operation::Warm) => Cause::Load,
            Some(Operation::Refresh) => Cause::Refresh,
            _ => Cause::Write,
        };
        let bytes = offered.value.as_deref().unwrap_or_default().as_bytes();
        let candidate = Candidate {
            cause: offered.cause.unwrap_or(implied),
            size_bytes: offered.size_bytes,
            asked_ttl_ms: offered.asked_ttl_ms,
            origin_status: offered.origin_status,
            origin_headers: &offered.origin_headers,
            load_ms: offered.load_ms,
            bytes,
        };
        Some((candidate, offered.value.is_some()))
    }
}

/// Reads the text of `{domain}.cases.toml`.
///
/// # Errors
/// It is no TOML, says something that is not understood, or has too many cases.
pub(super) fn parse(domain: &str, text: &str) -> Result<Vec<Case>, Refused> {
    let file = format!("{domain}.cases.toml");
    let reader = Reader::new(&file, text, Reason::Cases);
    let document = reader.document()?;
    let mut settings = BTreeMap::new();
    let mut cases = Vec::new();
    for (key, value) in &document {
        match key.get_ref().as_ref() {
            "settings" => reader.settings("", reader.table("settings", value)?, &mut settings)?,
            "case" => cases = all(reader, value)?,
            unknown => return Err(reader.unknown(key.span(), unknown, &["case", "settings"])),
        }
    }
    for case in &mut cases {
        let own = std::mem::replace(&mut case.settings, settings.clone());
        case.settings.extend(own);
    }
    Ok(cases)
}

fn all(reader: Reader<'_>, value: At<'_>) -> Result<Vec<Case>, Refused> {
    let list = value.get_ref().as_array();
    let list = list.ok_or_else(|| reader.error(value.span(), "a case begins with `[[case]]`"))?;
    if list.len() > limits::CASES_MAX {
        let words = format!("{} cases; at most {} are allowed", list.len(), limits::CASES_MAX);
        return Err(reader.error(value.span(), words));
    }
    let mut names = BTreeSet::new();
    let mut cases = Vec::with_capacity(list.len());
    for item in list.iter() {
        let case = one(reader, item)?;
        if !names.insert(case.name.clone()) {
            return Err(reader.error(item.span(), format_args!("there is another case named \"{}\"", case.name)));
        }
        cases.push(case);
    }
    Ok(cases)
}

fn one(reader: Reader<'_>, item: &Spanned<DeValue<'_>>) -> Result<Case, Refused> {
    let table = item.get_ref().as_table();
    let table = table.ok_or_else(|| reader.error(item.span(), "a case begins with `[[case]]`"))?;
    let mut case = Case { line: reader.line(&item.span()), ..Case::default() };
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if input(reader, &mut case, name, value)? {
            continue;
        }
        let Some(answer) = told::ANSWERS.iter().find(|answer| answer.name == name) else {
            let inputs = OF_CASE.into_iter().chain(OF_REQUEST).chain(OF_VALUE);
            let known: Vec<&str> = inputs.chain(told::ANSWERS.iter().map(|answer| answer.name)).collect();
            return Err(reader.unknown(key.span(), name, &known));
        };
        if answer.of == Of::Admission {
            case.question.offered.get_or_insert_default();
        }
        case.expected.push((answer.name, answer.kind.spelled(reader, answer.name, value)?));
    }
    complete(table, &case).map_err(|words| reader.error(item.span(), words))?;
    Ok(case)
}

/// What a case must not lack.
fn complete(table: &DeTable<'_>, case: &Case) -> Result<(), String> {
    let has = |name: &str| table.iter().any(|(key, _)| key.get_ref() == name);
    if case.name.is_empty() {
        return Err("a case has a `name`".to_owned());
    }
    let names = || table.iter().map(|(key, _)| key.get_ref().as_ref());
    let of = |name: &str| told::ANSWERS.iter().find(|answer| answer.name == name).map(|answer| answer.of);
    if case.question.event.is_some() {
        let of_request = |name: &&str| {
            let input = OF_REQUEST.contains(name) || OF_VALUE.contains(name);
            input || matches!(of(name), Some(Of::Plan | Of::Admission))
        };
        if let Some(name) = names().find(of_request) {
            return Err(format!("the case \"{}\" is about an event, which has no `{name}`", case.name));
        }
    } else if let Some(name) = names().find(|name| of(name) == Some(Of::Event)) {
        return Err(format!("the case \"{}\" is about a key, which has no `{name}`", case.name));
    } else if !has("key") {
        return Err(format!("the case \"{}\" has no `key`", case.name));
    }
    if has("value") && has("size_bytes") {
        return Err(format!(
            "the case \"{}\" has a `value`, which has its own size: leave out `size_bytes`",
            case.name
        ));
    }
    if case.expected.is_empty() {
        let known: Vec<&str> = told::ANSWERS.iter().map(|answer| answer.name).collect();
        return Err(format!("the case \"{}\" states no answer; there are {}", case.name, known.join(", ")));
    }
    Ok(())
}

/// Takes what is no answer. Whether it was.
fn input(reader: Reader<'_>, case: &mut Case, name: &str, value: At<'_>) -> Result<bool, Refused> {
    let question = &mut case.question;
    match name {
        "name" => case.name = reader.text(name, value)?.to_owned(),
        "settings" => reader.settings("", reader.table(name, value)?, &mut case.settings)?,
        "key" => question.key = reader.text(name, value)?.to_owned(),
        "operation" => {
            let words = Operation::ALL.map(|it| (it.as_str(), it));
            question.operation = Some(reader.word(name, value, &words)?);
        }
        "shape" => question.shape = Some(reader.word(name, value, &Shape::ALL.map(|it| (it.as_str(), it)))?),
        "event" => question.event = Some(happened(reader, reader.table(name, value)?)?),
        _ => return offered(reader, question, name, value),
    }
    Ok(true)
}

fn happened(reader: Reader<'_>, table: &DeTable<'_>) -> Result<Happened, Refused> {
    let mut event = Happened::default();
    for (key, value) in table {
        match key.get_ref().as_ref() {
            name @ "kind" => reader.text(name, value)?.clone_into(&mut event.kind),
            name @ "payload" => reader.text(name, value)?.clone_into(&mut event.payload),
            unknown => return Err(reader.unknown(key.span(), unknown, &["kind", "payload"])),
        }
    }
    Ok(event)
}

fn offered(reader: Reader<'_>, question: &mut Question, name: &str, value: At<'_>) -> Result<bool, Refused> {
    if !OF_VALUE.contains(&name) {
        return Ok(false);
    }
    let offered = question.offered.get_or_insert_default();
    let bounded = |bounds| reader.number(name, value, bounds);
    match name {
        "cause" => offered.cause = Some(reader.word(name, value, &Cause::ALL.map(|it| (it.as_str(), it)))?),
        "value" => {
            let text = reader.text(name, value)?.to_owned();
            offered.size_bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
            offered.value = Some(text);
        }
        "size_bytes" => {
            offered.size_bytes = u32::try_from(bounded(0..limits::VALUE_BYTES_MAX as u64 + 1)?).unwrap_or(u32::MAX);
        }
        "asked_ttl" => offered.asked_ttl_ms = Some(reader.duration_ms(name, value)?),
        "origin_status" => offered.origin_status = u16::try_from(bounded(100..600)?).ok(),
        "origin_headers" => {
            let mut headers = BTreeMap::new();
            reader.settings("", reader.table(name, value)?, &mut headers)?;
            offered.origin_headers = headers.into_iter().collect();
        }
        _ => offered.load_ms = u32::try_from(reader.duration_ms(name, value)?).unwrap_or(u32::MAX),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(text: &str, words: &str) {
        let refused = parse("profile", text).expect_err("this is wrong");
        assert_eq!(refused.reason, Reason::Cases);
        assert!(refused.message.contains(words), "{refused}");
    }

    fn case(text: &str) -> Case {
        parse("profile", &format!("[[case]]\nname = 'n'\nkey = 'k'\n{text}")).expect("it is right").remove(0)
    }

    #[test]
    fn a_case_is_a_request_as_the_host_makes_it() {
        let operation = |text: &str| case(text).question.request().operation;
        assert_eq!(operation("miss = 'load'"), Operation::Read);
        assert_eq!(operation("fresh = '1h'"), Operation::Write);
        assert_eq!(operation("value = 'v'\nrefused = 'invalid-key'"), Operation::Write);
        assert_eq!(operation("cause = 'load'\nfresh = 1"), Operation::Load);
        assert_eq!(operation("cause = 'load'\noperation = 'warm'\nfresh = 1"), Operation::Warm);
        let cause = |text: &str| case(text).question.candidate().map(|(it, _)| it.cause);
        assert_eq!(cause("miss = 'load'"), None);
        assert_eq!(cause("operation = 'delete'\nsuffix = 'k'"), None);
        assert_eq!(cause("fresh = 1"), Some(Cause::Write));
        assert_eq!(cause("operation = 'refresh'\nfresh = 1"), Some(Cause::Refresh));
    }

    #[test]
    fn a_value_is_told_whole_or_by_its_size() {
        let told = |text: &str| {
            let case = case(text);
            let (candidate, known) = case.question.candidate().expect("a value");
            (candidate.size_bytes, candidate.bytes.to_vec(), known)
        };
        assert_eq!(told("value = 'Ada'\nfresh = 1"), (3, b"Ada".to_vec(), true));
        assert_eq!(told("size_bytes = 1000\nfresh = 1"), (1000, Vec::new(), false));
        assert_eq!(told("fresh = 1"), (0, Vec::new(), false));
    }

    #[test]
    fn answers_and_settings_have_one_spelling() {
        let expected = case("fresh = 86400\nstale = '60s'\nl1 = 'forever'\ntags = ['b', 'a']\nsliding = true").expected;
        let words: Vec<_> = expected.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(words, ["fresh=24h", "l1=forever", "sliding=true", "stale=1m", "tags=[\"a\", \"b\"]"]);
        let text = "[settings]\na = 1\nb.c = 2\n[[case]]\nname = 'n'\nkey = 'k'\nmiss = 'load'\nsettings = { a = 3 }";
        let settings: Vec<_> = parse("d", text).expect("right").remove(0).settings.into_iter().collect();
        assert_eq!(settings, [("a".into(), "3".into()), ("b.c".into(), "2".into())]);
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        refuses("[[cases]]", "profile.cases.toml, line 1: there is no `cases` here; is `case` meant?");
        refuses("[[case]]\nnome = 'n'", "line 2: there is no `nome` here; is `name` meant?");
        refuses("[[case]]\nname = 'n'\nkey = 'k'\nmiss = 'lod'", "line 4: there is no `lod` here; is `load` meant?");
        refuses("[[case]]\nname = 'n'\nkey = 'k'\nfresh = 'soon'", "line 4: `fresh` is a time");
        refuses("[[case]]\nname = 'n'\nkey = 'k'\ntags = 'a'", "`tags` is a list");
        refuses("[[case]]\nname = 'n'\nkey = 'k'\nvalue = 1", "`value` is a text");
        refuses("[[case]]\nname = 'n'\nkey = 'k'\norigin_status = 700", "from 100 to 599");
        refuses("[[case]]\nkey = 'k'\nmiss = 'load'", "a case has a `name`");
        refuses("\n[[case]]\nname = 'n'\nmiss = 'load'", "line 2: the case \"n\" has no `key`");
        refuses("[[case]]\nname = 'n'\nkey = 'k'", "states no answer");
        refuses("[[case]]\nname = 'n'\nkey = 'k'\nvalue = 'v'\nsize_bytes = 1\nfresh = 1", "leave out `size_bytes`");
        let twice = "[[case]]\nname = 'n'\nkey = 'k'\nmiss = 'load'\n";
        refuses(&format!("{twice}{twice}"), "line 5: there is another case named \"n\"");
        refuses(&twice.repeat(limits::CASES_MAX + 1), "at most 256");
        refuses("[[case]]\nname = 'n'\nevent = { kin = 'x' }", "line 3: there is no `kin` here; is `kind` meant?");
        refuses("[[case]]\nname = 'n'\nevent = { kind = 'x' }\nfresh = 1", "is about an event, which has no `fresh`");
        refuses("[[case]]\nname = 'n'\nevent = { kind = 'x' }\nkey = 'k'\nsays = 'x'", "which has no `key`");
        refuses("[[case]]\nname = 'n'\nkey = 'k'\ninvalidates = []", "is about a key, which has no `invalidates`");
        refuses("case = 1", "begins with `[[case]]`");
    }
}
