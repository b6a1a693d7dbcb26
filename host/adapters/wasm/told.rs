//! What a policy answered, in the words of its cases: the names that a case may state, and how their values are spelled.
//!
//! Expected and told values are spelled by the same functions, so that comparing texts compares meanings.

use std::collections::BTreeMap;

use super::reader::{At, Reader, plain};
use super::refused::Refused;
use crate::ports::policy::{Admission, Compression, Lifetime, Miss, Plan, PolicyError, Refusal, Selector};

/// One thing that a case may state of the answer.
pub(super) struct Answer {
    /// Its name.
    pub(super) name: &'static str,
    /// How its value is written.
    pub(super) kind: Kind,
    /// Which hook answers it.
    pub(super) of: Of,
}

/// Which hook gives an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// `plan`.
    Plan,
    /// `admit`: a value is offered.
    Admission,
    /// `on-event`.
    Event,
    /// Whichever is asked first and refuses.
    Any,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A time.
    Time,
    /// A time, or `forever`.
    Life,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// Texts in any order.
    Texts,
    /// One of these words.
    Word(&'static [&'static str]),
}

const fn of_plan(name: &'static str, kind: Kind) -> Answer {
    Answer { name, kind, of: Of::Plan }
}

const fn of_admission(name: &'static str, kind: Kind) -> Answer {
    Answer { name, kind, of: Of::Admission }
}

/// All of them.
pub(super) const ANSWERS: [Answer; 21] = [
    of_plan("suffix", Kind::Text),
    of_plan("miss", Kind::Word(&["answer", "lease", "load"])),
    of_plan("collapse_wait", Kind::Time),
    Answer { name: "refused", kind: Kind::Word(&REFUSALS), of: Of::Any },
    Answer { name: "says", kind: Kind::Text, of: Of::Any },
    Answer { name: "invalidates", kind: Kind::Texts, of: Of::Event },
    of_admission("fresh", Kind::Life),
    of_admission("stale", Kind::Time),
    of_admission("stale_if_error", Kind::Time),
    of_admission("keep", Kind::Time),
    of_admission("max_stale", Kind::Life),
    of_admission("early_refresh_percent", Kind::Number),
    of_admission("jitter_percent", Kind::Number),
    of_admission("l1", Kind::Life),
    of_admission("sliding", Kind::Flag),
    of_admission("list_max", Kind::Number),
    of_admission("compression", Kind::Word(&["automatic", "never", "lz4", "zstd"])),
    of_admission("weight_percent", Kind::Number),
    of_admission("tags", Kind::Texts),
    of_admission("absent", Kind::Time),
    of_admission("pass", Kind::Time),
];

/// Why a policy refuses: a request in four ways, an event in one.
const REFUSALS: [&str; 5] = ["invalid-key", "unsupported", "invalid-value", "other", OF_EVENT];
const OF_EVENT: &str = "event";
const FOREVER: &str = "forever";

impl Kind {
    /// The value in its one spelling.
    ///
    /// # Errors
    /// It is of another kind.
    pub(super) fn spelled(self, reader: Reader<'_>, name: &str, value: At<'_>) -> Result<String, Refused> {
        match self {
            Self::Text => reader.text(name, value).map(str::to_owned),
            Self::Life if plain(value.get_ref()).as_deref() == Some(FOREVER) => Ok(FOREVER.to_owned()),
            Self::Time | Self::Life => reader.duration_ms(name, value).map(time),
            Self::Number => reader.number(name, value, 0..u64::from(u32::MAX)).map(|number| number.to_string()),
            Self::Flag => reader.flag(name, value).map(|flag| flag.to_string()),
            Self::Texts => reader.texts(name, value).map(texts),
            Self::Word(words) => {
                let words: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
                reader.word(name, value, &words).map(str::to_owned)
            }
        }
    }
}

/// What a policy answered to one question.
#[derive(Debug, Default)]
pub(super) struct Told {
    values: BTreeMap<&'static str, String>,
    /// The answer in a few words, for what it has no value of.
    summary: String,
    /// It gave no answer: no case expects that.
    failed: bool,
}

impl Told {
    /// A plan.
    pub(super) fn plan(mut self, plan: Plan, key: &str) -> Self {
        let miss = match plan.miss {
            Miss::Answer => "answer",
            Miss::Lease => "lease",
            Miss::Load => "load",
        };
        self.values.extend([
            ("suffix", plan.suffix.unwrap_or_else(|| key.to_owned())),
            ("miss", miss.to_owned()),
            ("collapse_wait", time(plan.collapse_wait_ms.into())),
        ]);
        "it takes the key".clone_into(&mut self.summary);
        self
    }

    /// An admission.
    pub(super) fn admission(mut self, admission: Admission) -> Self {
        match admission {
            Admission::Store(it) => {
                self.summary = format!("it stores the value, fresh for {}", life(it.fresh_ms));
                self.values.extend(lifetime(it));
            }
            Admission::Absent(absence) => {
                self.summary = format!("it remembers for {} that there is no value", time(absence.fresh_ms));
                self.values.extend([("absent", time(absence.fresh_ms)), ("tags", texts(absence.tags))]);
            }
            Admission::Pass(ms) => {
                "it passes the value on".clone_into(&mut self.summary);
                self.values.insert("pass", time(ms.into()));
            }
            Admission::Refuse(refusal) => return self.refusal(refusal),
        }
        self
    }

    /// What an event makes out of date, or why the policy will not have it.
    pub(super) fn event(mut self, said: Result<Vec<Selector>, String>) -> Self {
        match said {
            Ok(selectors) => {
                let words: Vec<String> = selectors.into_iter().map(selector).collect();
                self.summary = format!("it takes the event, {} things are out of date", words.len());
                self.values.insert("invalidates", texts(words));
            }
            Err(text) => {
                self.summary = format!("it refuses the event: {text}");
                self.values.extend([("refused", OF_EVENT.to_owned()), ("says", text)]);
            }
        }
        self
    }

    /// A refusal, or a failure.
    pub(super) fn error(self, error: PolicyError) -> Self {
        match error {
            PolicyError::Refused(refusal) => self.refusal(refusal),
            failed @ PolicyError::Failed { .. } => Self { summary: failed.to_string(), failed: true, ..self },
        }
    }

    fn refusal(mut self, refusal: Refusal) -> Self {
        let (word, text) = match refusal {
            Refusal::InvalidKey(text) => ("invalid-key", text),
            Refusal::Unsupported(text) => ("unsupported", text),
            Refusal::InvalidValue(text) => ("invalid-value", text),
            Refusal::Other(text) => ("other", text),
        };
        self.summary = format!("it refuses ({word}): {text}");
        self.values.extend([("refused", word.to_owned()), ("says", text)]);
        self
    }

    /// What is not as expected, in words; `None`: all is.
    pub(super) fn differs(&self, expected: &[(&'static str, String)]) -> Option<String> {
        let refusal_is_expected = expected.iter().any(|(name, _)| matches!(*name, "refused" | "says"));
        if self.failed || (!refusal_is_expected && self.values.contains_key("refused")) {
            return Some(self.summary.clone());
        }
        let differences: Vec<String> =
            expected.iter().filter_map(|(name, value)| self.differs_in(name, value)).collect();
        (!differences.is_empty()).then(|| differences.join("; "))
    }

    fn differs_in(&self, name: &str, expected: &str) -> Option<String> {
        match self.values.get(name) {
            Some(told) if told == expected => None,
            Some(told) if name == "says" && told.contains(expected) => None,
            Some(told) => Some(format!("{name}: expected {expected}, got {told}")),
            None => Some(format!("{name}: expected {expected}, got none: {}", self.summary)),
        }
    }
}

fn lifetime(it: Lifetime) -> Vec<(&'static str, String)> {
    let compression = match it.compression {
        Compression::Automatic => "automatic",
        Compression::Never => "never",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    let mut values = vec![
        ("fresh", life(it.fresh_ms)),
        ("stale", time(it.stale_while_revalidate_ms)),
        ("stale_if_error", time(it.stale_if_error_ms)),
        ("keep", time(it.keep_ms)),
        ("max_stale", life(it.max_stale_ms)),
        ("early_refresh_percent", format!("{:.0}", f64::from(it.early_refresh_beta) * 100.0)),
        ("jitter_percent", it.jitter_percent.to_string()),
        ("l1", life(it.l1_ms)),
        ("sliding", it.sliding.to_string()),
        ("compression", compression.to_owned()),
        ("weight_percent", it.weight_percent.to_string()),
        ("tags", texts(it.tags)),
    ];
    values.extend(it.list_max.map(|max| ("list_max", max.to_string())));
    values
}

fn selector(selector: Selector) -> String {
    match selector {
        Selector::Key(key) => format!("key:{key}"),
        Selector::Tag(tag) => format!("tag:{tag}"),
        Selector::Prefix(prefix) => format!("prefix:{prefix}"),
        Selector::Pattern(pattern) => format!("pattern:{pattern}"),
        Selector::Domain => "domain".to_owned(),
    }
}

/// A time in the largest unit that says it in a whole number; days only from two on, since people say 24h.
fn time(ms: u64) -> String {
    const UNITS: [(&str, u64, u64); 4] = [("d", 86_400_000, 2), ("h", 3_600_000, 1), ("m", 60_000, 1), ("s", 1_000, 0)];
    let whole = UNITS.into_iter().find(|&(_, unit, least)| ms.is_multiple_of(unit) && ms / unit >= least);
    let (name, unit) = whole.map_or(("ms", 1), |(name, unit, _)| (name, unit));
    format!("{}{name}", ms / unit)
}

fn life(ms: Option<u64>) -> String {
    ms.map_or_else(|| FOREVER.to_owned(), time)
}

fn texts(mut texts: Vec<String>) -> String {
    texts.sort_unstable();
    format!("{texts:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::policy::Fault;

    fn expected(name: &'static str, value: &str) -> [(&'static str, String); 1] {
        [(name, value.to_owned())]
    }

    #[test]
    fn a_time_has_one_spelling() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (86_400_000, "24h"),
            (604_800_000, "7d"),
            (90_000_000, "25h"),
        ] {
            assert_eq!(time(ms), text);
        }
    }

    #[test]
    fn only_what_is_stated_is_compared() {
        let told = Told::default().admission(Admission::Store(Lifetime::fresh(Some(60_000))));
        assert_eq!(told.differs(&expected("fresh", "1m")), None);
        assert_eq!(told.differs(&expected("stale", "5m")), Some("stale: expected 5m, got 0s".into()));
        let absent = told.differs(&expected("absent", "1m")).expect("it is stored");
        assert_eq!(absent, "absent: expected 1m, got none: it stores the value, fresh for 1m");
    }

    #[test]
    fn what_an_event_invalidates_has_no_order() {
        let said = vec![Selector::Tag("a".into()), Selector::Domain, Selector::Key("b:1".into())];
        let told = Told::default().event(Ok(said));
        assert_eq!(told.differs(&expected("invalidates", r#"["domain", "key:b:1", "tag:a"]"#)), None);
    }

    #[test]
    fn a_refusal_counts_unless_it_is_expected() {
        let told = || Told::default().error(PolicyError::Refused(Refusal::InvalidKey("it must be `a`".into())));
        assert_eq!(told().differs(&expected("refused", "invalid-key")), None);
        assert_eq!(told().differs(&expected("says", "must be")), None);
        assert_eq!(told().differs(&expected("fresh", "1m")), Some("it refuses (invalid-key): it must be `a`".into()));
        let wrong = told().differs(&expected("refused", "other"));
        assert_eq!(wrong, Some("refused: expected other, got invalid-key".into()));
        let event = Told::default().event(Err("there is no event `x`".into()));
        assert_eq!(event.differs(&[("refused", "event".into()), ("says", "no event".into())]), None);
        assert!(event.differs(&expected("invalidates", "[]")).is_some());
        let failed = PolicyError::Failed { fault: Fault::Trap, message: "boom".into() };
        let failed = Told::default().error(failed).differs(&expected("refused", "other")).expect("it failed");
        assert!(failed.ends_with("the policy failed (trap): boom"), "{failed}");
    }
}
