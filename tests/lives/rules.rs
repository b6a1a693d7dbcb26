//! What must hold for every cell of the table.

use larder::engine::transition::{Begins, Event, Life, Reader, step};
use larder::ports::hooks::Revalidation;

const READS: [Event; 5] = [Event::Read, Event::ReadThrottled, Event::ReadUnhealthy, Event::ReadAside, Event::ReadPlain];

#[test]
fn what_is_kept_or_gone_is_never_served() {
    for event in Event::ALL.into_iter().filter(|event| *event != Event::LoadUnchanged) {
        for life in [Life::Kept, Life::Gone] {
            let reader = step(life, event).reader;
            assert!(!matches!(reader, Reader::Value | Reader::Stale), "{} at {}", life.as_str(), event.as_str());
        }
    }
}

#[test]
fn a_stale_value_is_never_held_up() {
    for event in READS {
        assert_eq!(step(Life::Stale, event).reader, Reader::Stale, "{}", event.as_str());
    }
}

#[test]
fn whoever_waits_has_something_to_wait_for_and_ends() {
    for life in Life::ALL {
        let begun = step(life, Event::Read);
        let loads = matches!(begun.begins, Begins::Load | Begins::OwnLoad);
        assert_eq!(begun.reader == Reader::Waits, loads, "{}", life.as_str());
        for event in [Event::LoadStored, Event::LoadAbsent, Event::LoadPassed, Event::LoadFailed] {
            let waits = begun.reader == Reader::Waits;
            let got = step(life, event).reader;
            assert!(!waits || !matches!(got, Reader::Nothing | Reader::Waits), "{}", event.as_str());
        }
    }
}

#[test]
fn nothing_is_begun_where_nobody_loads() {
    for event in [Event::ReadThrottled, Event::ReadUnhealthy, Event::ReadPlain] {
        for life in Life::ALL {
            assert_eq!(step(life, event).begins, Begins::Nothing, "{} at {}", life.as_str(), event.as_str());
        }
    }
}

#[test]
fn a_verdict_changes_only_what_may_be_served() {
    let verdicts = [
        Revalidation::AsStamped,
        Revalidation::ServeAndRefresh,
        Revalidation::Extend(1),
        Revalidation::LoadFirst,
        Revalidation::Drop,
    ];
    for verdict in verdicts {
        for life in [Life::Kept, Life::Gone, Life::Negative, Life::Uncacheable] {
            assert_eq!(life.judged(verdict, false), life);
        }
        assert_ne!(Life::Stale.judged(verdict, true), Life::Fresh, "what was invalidated is not fresh again");
    }
    assert_eq!(Life::StaleIfError.judged(Revalidation::ServeAndRefresh, false), Life::Stale);
    assert_eq!(Life::Stale.judged(Revalidation::LoadFirst, false), Life::StaleIfError);
    assert_eq!(Life::Stale.judged(Revalidation::Extend(1), false), Life::Fresh);
    assert_eq!(Life::Stale.judged(Revalidation::Drop, false), Life::Gone);
    assert_eq!(Life::Stale.judged(Revalidation::AsStamped, false), Life::Stale);
}

#[test]
fn cells_in_words() {
    assert_eq!(step(Life::Stale, Event::Read).in_words(), "the stale value; refresh");
    assert_eq!(step(Life::Gone, Event::Read).in_words(), "waits; load");
    assert_eq!(step(Life::Fresh, Event::SoftTimeout).in_words(), "–");
    assert_eq!(step(Life::Kept, Event::LoadUnchanged).in_words(), "the value; → fresh");
}
