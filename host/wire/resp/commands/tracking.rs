//! `CLIENT TRACKING` and what belongs to it, and `CLIENT PAUSE`: arguments, and the words of Redis for what is wrong with them.

use std::sync::Arc;

use bytes::Bytes;

use super::{bulk, field, ok};
use crate::engine::tracking::{Inbox, TrackingWish};
use crate::limits::{RESP_PAUSE_MS_MAX, TRACKING_PREFIXES_MAX};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::number::parse_i64;
use crate::wire::resp::pause::Paused;
use crate::wire::resp::session::{Output, Session};
use crate::wire::resp::tracked::{Choice, Tracking};

/// What follows `CLIENT TRACKING ON|OFF`.
#[derive(Default)]
struct Options {
    redirect: Option<(u64, Arc<Inbox>)>,
    by_prefix: bool,
    prefixes: Vec<Bytes>,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
}

pub(super) fn tracking(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let options = options(session, args)?;
    if args.is(2, "OFF") {
        session.untrack();
        return ok();
    }
    if !args.is(2, "ON") {
        return Err(errors::reply(errors::SYNTAX));
    }
    let choice = choice(session.tracking.as_deref(), &options)?;
    let Options { redirect, by_prefix, prefixes, no_loop, .. } = options;
    let prefixes = match session.tracking.as_deref().and_then(|tracking| tracking.prefixes.as_deref()) {
        _ if !by_prefix => None,
        before => Some(with_prefixes(before.unwrap_or_default(), prefixes)?),
    };
    let (client, inbox) = (session.client().id, Arc::clone(&session.client().told));
    let wish = TrackingWish { client, inbox, redirect, prefixes, no_loop };
    session.track(wish, choice).map_err(|error| errors::of(&error))?;
    ok()
}

fn options(session: &Session, args: &Args) -> Result<Options, Reply> {
    let mut options = Options::default();
    let mut at = 3;
    while at < args.len() {
        let has_value = at + 1 < args.len();
        match () {
            () if args.is(at, "REDIRECT") && has_value => {
                at += 1;
                if options.redirect.is_some() {
                    return Err(errors::reply("ERR A client can only redirect to a single other client"));
                }
                let id = parse_i64(&args[at]).ok_or_else(|| errors::reply(errors::NOT_AN_INTEGER))?;
                let found = u64::try_from(id).ok().and_then(|id| session.shared().clients.find(id));
                let found =
                    found.ok_or_else(|| errors::reply("ERR The client ID you want redirect to does not exist"))?;
                options.redirect = Some((found.id, Arc::clone(&found.told)));
            }
            () if args.is(at, "BCAST") => options.by_prefix = true,
            () if args.is(at, "OPTIN") => options.opt_in = true,
            () if args.is(at, "OPTOUT") => options.opt_out = true,
            () if args.is(at, "NOLOOP") => options.no_loop = true,
            () if args.is(at, "PREFIX") && has_value => {
                at += 1;
                options.prefixes.push(args.kept(at));
            }
            () => return Err(errors::reply(errors::SYNTAX)),
        }
        at += 1;
    }
    Ok(options)
}

/// For which reads the client wants to be told, if the options go together, and with what it wanted before.
fn choice(before: Option<&Tracking>, options: &Options) -> Result<Choice, Reply> {
    let &Options { by_prefix, opt_in, opt_out, .. } = options;
    let was = before.map_or(Choice::All, |tracking| tracking.choice);
    let refusal = match () {
        () if !by_prefix && !options.prefixes.is_empty() => "ERR PREFIX option requires BCAST mode to be enabled",
        () if before.is_some_and(|tracking| tracking.prefixes.is_some() != by_prefix) => {
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it \
             with a different mode."
        }
        () if by_prefix && (opt_in || opt_out) => "ERR OPTIN and OPTOUT are not compatible with BCAST",
        () if opt_in && opt_out => "ERR You can't specify both OPTIN mode and OPTOUT mode",
        () if (opt_in && was == Choice::OptOut) || (opt_out && was == Choice::OptIn) => {
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it \
             with a different mode."
        }
        () if opt_in => return Ok(Choice::OptIn),
        () if opt_out => return Ok(Choice::OptOut),
        () => return Ok(Choice::All),
    };
    Err(errors::reply(refusal))
}

/// The prefixes that a client had, and more. None at all means one that every key has.
fn with_prefixes(before: &[Bytes], more: Vec<Bytes>) -> Result<Vec<Bytes>, Reply> {
    let overlaps = |one: &Bytes, other: &Bytes| one.starts_with(other) || other.starts_with(one);
    let shown = |prefix: &Bytes| String::from_utf8_lossy(prefix).into_owned();
    let refusal = |prefix: &Bytes, what: &str, other: &Bytes| {
        errors::reply(format!(
            "ERR Prefix '{}' overlaps with {what} prefix '{}'. Prefixes for a single client must not overlap.",
            shown(prefix),
            shown(other)
        ))
    };
    for (at, prefix) in more.iter().enumerate() {
        if let Some(other) = before.iter().find(|other| overlaps(prefix, other)) {
            return Err(refusal(prefix, "an existing", other));
        }
        if let Some(other) = more[at + 1..].iter().find(|other| overlaps(prefix, other)) {
            return Err(refusal(prefix, "another provided", other));
        }
    }
    let mut all: Vec<Bytes> = before.to_vec();
    all.extend(more);
    if all.is_empty() {
        all.push(Bytes::new());
    }
    if all.len() > TRACKING_PREFIXES_MAX {
        return Err(errors::reply(format!("ERR too many prefixes: {TRACKING_PREFIXES_MAX} are allowed")));
    }
    Ok(all)
}

/// `CLIENT CACHING YES|NO`.
pub(super) fn caching(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let Some(tracking) = &mut session.tracking else {
        return Err(errors::reply(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    if args.is(2, "YES") {
        if tracking.choice != Choice::OptIn {
            let line = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
            return Err(errors::reply(line));
        }
    } else if args.is(2, "NO") {
        if tracking.choice != Choice::OptOut {
            let line = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
            return Err(errors::reply(line));
        }
    } else {
        return Err(errors::reply(errors::SYNTAX));
    }
    tracking.said = true;
    ok()
}

fn redirect(session: &Session) -> i64 {
    let Some(tracking) = &session.tracking else { return -1 };
    tracking.redirect.map_or(0, |id| i64::try_from(id).unwrap_or(i64::MAX))
}

pub(super) fn get_redir(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    Ok(Output::Reply(Reply::Integer(redirect(session))))
}

pub(super) fn tracking_info(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let mut flags = vec![if session.tracking.is_some() { "on" } else { "off" }];
    if let Some(tracking) = &session.tracking {
        let choice = match (tracking.choice, tracking.said) {
            (Choice::All, _) => &[][..],
            (Choice::OptIn, false) => &["optin"],
            (Choice::OptIn, true) => &["optin", "caching-yes"],
            (Choice::OptOut, false) => &["optout"],
            (Choice::OptOut, true) => &["optout", "caching-no"],
        };
        flags.extend(tracking.prefixes.is_some().then_some("bcast"));
        flags.extend(choice);
        flags.extend(tracking.no_loop.then_some("noloop"));
        flags.extend(session.client().told.is_broken().then_some("broken_redirect"));
    }
    let prefixes = session.tracking.as_ref().and_then(|tracking| tracking.prefixes.clone()).unwrap_or_default();
    Ok(Output::Reply(Reply::Map(vec![
        field("flags", Reply::Set(flags.into_iter().map(bulk).collect())),
        field("redirect", Reply::Integer(redirect(session))),
        field("prefixes", Reply::Array(prefixes.into_iter().map(Reply::Bulk).collect())),
    ])))
}

/// `CLIENT PAUSE ms [WRITE|ALL]`.
pub(super) fn pause(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let what = match args.len() {
        3 => Paused::All,
        4 if args.is(3, "WRITE") => Paused::Writes,
        4 if args.is(3, "ALL") => Paused::All,
        4 => return Err(errors::reply("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(errors::unknown_subcommand("client", &args[1])),
    };
    let ms = parse_i64(&args[2]).ok_or_else(|| errors::reply("ERR timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| errors::reply("ERR timeout is negative"))?;
    if ms > RESP_PAUSE_MS_MAX {
        return Err(errors::reply(format!("ERR timeout is out of range: {RESP_PAUSE_MS_MAX} ms are allowed")));
    }
    let until_ns = session.engine().monotonic_ns().saturating_add(ms.saturating_mul(1_000_000));
    session.shared().pauses.begin(what, until_ns);
    ok()
}

/// `CLIENT UNPAUSE`.
pub(super) fn unpause(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    session.shared().pauses.end();
    ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::with_prefixes;
    use crate::ports::store::Reply;

    fn check(before: &[&'static str], more: &[&'static str], expected: &str) {
        let of =
            |words: &[&'static str]| words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect::<Vec<_>>();
        let said = match with_prefixes(&of(before), of(more)) {
            Ok(all) => all.iter().map(|prefix| String::from_utf8_lossy(prefix)).collect::<Vec<_>>().join(" "),
            Err(Reply::Error(line)) => line,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn prefixes_must_not_overlap() {
        check(&[], &[], "");
        check(&["a"], &[], "a");
        check(&["a"], &["b", "c"], "a b c");
        let end = "Prefixes for a single client must not overlap.";
        check(&["ab"], &["a"], &format!("ERR Prefix 'a' overlaps with an existing prefix 'ab'. {end}"));
        check(&[], &["ab", "x", "abc"], &format!("ERR Prefix 'ab' overlaps with another provided prefix 'abc'. {end}"));
    }
}
