//! Larder's own commands: why a key is answered as it is, and the policies. Locks and breakers have files of their own.

use std::sync::Arc;

use super::{bulk, count, field, work};
use crate::engine::Engine;
use crate::engine::api::{Explanation, LoadExplained};
use crate::ports::registry::{PolicyEvent, PolicyStatus, RegistryError};
use crate::ports::store::Reply;
use crate::wire::resp::args::Args;
use crate::wire::resp::errors;
use crate::wire::resp::pipeline::Work;
use crate::wire::resp::session::{Output, Session};

const HELP: &[&str] = &[
    "Larder's own commands. Every other command is Redis'; see COMMAND DOCS.",
    "LARDER.BREAKER [LIST] | HISTORY name | FORCE name OPEN|CLOSED|METRICS-ONLY|AUTO",
    "    Where the circuit breakers stand, what they did, and what they are to do.",
    "LARDER.CALL domain command [argument …]",
    "    Has the policy of a domain carry out one of its own commands.",
    "LARDER.EVENT domain|* type json",
    "    Tells an event to a policy, or to all that take events, and invalidates what they say; how many selectors that were.",
    "LARDER.EXPLAIN key",
    "    Why the key is answered as it is: its domain and policy, where it is stored, its state and what is left of its life.",
    "LARDER.FILL key lease value [PX ms|EX s]",
    "    Stores what was loaded under a lease; nothing, if the key was written, removed or invalidated since.",
    "LARDER.GET key",
    "    The value with its state, age, time to live and how long it was waited for; on a miss the lease to fill it, if nobody has it.",
    "LARDER.HOTKEYS [domain] [COUNT n]",
    "    The keys that are read most just now, by samples: about how often, and their part of all reads.",
    "LARDER.LOG [directives]",
    "    What is logged: a level, or levels of modules as info,larder::wire=debug.",
    "LARDER.LOCK ACQUIRE name [TTL ms] [WAIT ms] [OWNER label]",
    "    Takes a distributed lock: token, fence, ttl_ms; nil if somebody else holds it. Without WAIT as the settings say.",
    "LARDER.LOCK EXTEND name token [TTL ms] | RELEASE name token",
    "    Begins its life anew, or gives it back: 1, or 0 if the token does not hold it.",
    "LARDER.LOCK INFO name | LIST [prefix] | FORCE-RELEASE name | FORCE-RELEASE PREFIX prefix | FORCE-RELEASE OWNER label",
    "    Who holds locks, and freeing them whoever holds them. Locks of policies are `@{domain}/{name}`.",
    "LARDER.INVALIDATE KEY key [SOFT]",
    "    Removes a key, or ends its fresh time.",
    "LARDER.INVALIDATE TAG|PREFIX|PATTERN domain tag|prefix|pattern [SOFT]",
    "    Invalidates all entries of a domain that carry the tag, or whose keys begin so or match.",
    "LARDER.INVALIDATE DOMAIN domain [SOFT]",
    "    Invalidates a whole domain. Answers the number of keys where the host looked at each, else OK.",
    "LARDER.POLICY LIST",
    "    All policies: state, generation, version, digest, why the newest file does not serve.",
    "LARDER.POLICY SHOW domain",
    "    One policy, with its history.",
    "LARDER.POLICY ROLLBACK domain",
    "    Puts the policy before back into service, until its file changes.",
    "LARDER.POLICY REMOVE domain",
    "    Takes a policy out of service whose file is gone.",
    "LARDER.POLICY UNQUARANTINE domain",
    "    Forgets that policies of the domain failed too often; the file in the folder is tried again at once.",
    "LARDER.STATUS",
    "    How the host is, as JSON: counts for each domain, memory, connections.",
    "LARDER.WARM domain [VERSION version pattern] [CURSOR cursor] [COUNT n] [KEYS key …]",
    "    Brings keys in: those that the policy names, those of another key version, or these. Go on with the cursor until it is nil.",
    "LARDER.HELP",
    "    This text.",
];

pub(super) fn help(_session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    Ok(Output::Reply(Reply::Array(HELP.iter().map(|line| Reply::Status((*line).into())).collect())))
}

/// As HTTP's `/v1/status`.
pub(super) fn status(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let status = serde_json::to_string(&session.engine().status());
    status.map(|text| Output::Reply(bulk(text))).map_err(|error| errors::reply(format!("ERR {error}")))
}

pub(super) fn explain(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let engine = Arc::clone(engine);
    Ok(work(async move { engine.explain(&args[1]).await.map(explanation) }))
}

/// `LARDER.EXPLAIN key` while another database than that of the policies is selected.
pub fn explain_elsewhere(session: &Session, args: Args) -> Result<Work, Reply> {
    let Some(database) = session.database().map(Arc::clone) else { return explain(session.engine(), args) };
    let engine = Arc::clone(session.engine());
    Ok(work(async move {
        let explained = engine.explain_in(&database, &args[1]).await?;
        Ok(Reply::Map(vec![
            field("key", bulk(args.text(1))),
            field("database", Reply::Integer(explained.database.into())),
            field("domain", Reply::Nil),
            field("type", explained.kind.map_or(Reply::Nil, bulk)),
            field("store_ttl_ms", explained.ttl_ms.map_or(Reply::Nil, count)),
            field(
                "note",
                bulk("policies and L1 are for database 0; whatever concerns this one goes to the store as it is"),
            ),
        ]))
    }))
}

pub(super) fn list(session: &mut Session, _args: &Args) -> Result<Output, Reply> {
    let policies = session.engine().registry().list();
    Ok(Output::Reply(Reply::Array(policies.into_iter().map(policy).collect())))
}

pub(super) fn show(session: &mut Session, args: &Args) -> Result<Output, Reply> {
    let domain = args.text(2);
    let Some(mut status) = session.engine().registry().status(&domain) else {
        return Err(refused(RegistryError::UnknownDomain(domain)));
    };
    let history = std::mem::take(&mut status.history).into_iter().map(step).collect();
    let mut fields = standing(status);
    fields.push(field("history", Reply::Array(history)));
    Ok(Output::Reply(Reply::Map(fields)))
}

pub(super) fn rollback(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let registry = Arc::clone(engine.registry());
    Ok(Box::pin(async move { registry.rollback(&args.text(2)).await.map_or_else(refused, policy) }))
}

pub(super) fn remove(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let registry = Arc::clone(engine.registry());
    Ok(Box::pin(async move { registry.remove(&args.text(2)).await.map_or_else(refused, |()| Reply::ok()) }))
}

pub(super) fn unquarantine(engine: &Arc<Engine>, args: Args) -> Result<Work, Reply> {
    let registry = Arc::clone(engine.registry());
    Ok(Box::pin(async move { registry.unquarantine(&args.text(2)).await.map_or_else(refused, policy) }))
}

fn refused(error: RegistryError) -> Reply {
    errors::reply(format!("ERR {error}"))
}

fn explanation(explanation: Explanation) -> Reply {
    let number = |number: Option<u64>| number.map_or(Reply::Nil, count);
    Reply::Map(vec![
        field("key", bulk(explanation.key)),
        field("domain", bulk(explanation.domain)),
        field("policy_digest", bulk(explanation.policy_digest)),
        field("policy_version", bulk(explanation.policy_version)),
        field("generation", count(explanation.generation)),
        field("storage_key", bulk(explanation.storage_key)),
        field("encoding", bulk(explanation.encoding)),
        field("on_miss", bulk(explanation.on_miss)),
        field("lease", explanation.lease.map_or(Reply::Nil, bulk)),
        field("lease_ttl_ms", number(explanation.lease_ttl_ms)),
        field("lease_waiting", number(explanation.lease_waiting)),
        field("state", bulk(explanation.state)),
        field("from", bulk(explanation.from)),
        field("type", explanation.kind.map_or(Reply::Nil, bulk)),
        field("size_bytes", number(explanation.size_bytes)),
        field("born_ms", number(explanation.born_ms)),
        field("stored_bytes", number(explanation.stored_bytes)),
        field("compression", explanation.compression.map_or(Reply::Nil, bulk)),
        field("age_ms", number(explanation.age_ms)),
        field("fresh_ms", number(explanation.fresh_ms)),
        field("stale_while_revalidate_ms", number(explanation.stale_while_revalidate_ms)),
        field("stale_if_error_ms", number(explanation.stale_if_error_ms)),
        field("keep_ms", number(explanation.keep_ms)),
        field("max_stale_ms", number(explanation.max_stale_ms)),
        field("life", bulk(explanation.life)),
        field("on_read", bulk(explanation.on_read)),
        field("load", explanation.load.map_or(Reply::Nil, load)),
        field("fresh_left_ms", explanation.fresh_left_ms.map_or(Reply::Nil, Reply::Integer)),
        field("store_ttl_ms", number(explanation.store_ttl_ms)),
        field("rules_stored", explanation.rules_stored.map_or(Reply::Nil, bulk)),
        field("rules_now", bulk(explanation.rules_now)),
        field("rejudged", Reply::Boolean(explanation.rejudged)),
        field("tags", Reply::Array(explanation.tags.into_iter().map(bulk).collect())),
        field("generations", Reply::Array(explanation.generations.into_iter().map(bulk).collect())),
        field("invalidated", explanation.invalidated.map_or(Reply::Nil, bulk)),
        field("invalidated_by", Reply::Array(explanation.invalidated_by.into_iter().map(bulk).collect())),
    ])
}

fn load(load: LoadExplained) -> Reply {
    let number = |number: Option<u64>| number.map_or(Reply::Nil, count);
    Reply::Map(vec![
        field("origin", bulk(load.origin)),
        field("healthy", Reply::Boolean(load.healthy)),
        field("outcome", load.outcome.map_or(Reply::Nil, bulk)),
        field("status", number(load.status.map(u64::from))),
        field("error", load.error.map_or(Reply::Nil, bulk)),
        field("ago_ms", number(load.ago_ms)),
        field("took_ms", number(load.took_ms.map(u64::from))),
        field("throttled_ms", number(load.throttled_ms)),
    ])
}

fn policy(status: PolicyStatus) -> Reply {
    Reply::Map(standing(status))
}

fn standing(status: PolicyStatus) -> Vec<(Reply, Reply)> {
    let digests = status.previous.iter().map(|digest| bulk(digest.as_ref())).collect();
    let quarantined = status.quarantined.iter().map(|it| bulk(it.digest.as_ref())).collect();
    vec![
        field("domain", bulk(status.domain.as_ref())),
        field("state", bulk(status.state.as_str())),
        field("generation", count(status.generation)),
        field("version", bulk(status.version)),
        field("key_version", bulk(status.key_version)),
        field("encoding", bulk(status.encoding)),
        field("digest", bulk(status.digest.as_ref())),
        field("size_bytes", count(status.size_bytes)),
        field("load_ms", count(status.load_ms)),
        field("live_since_ms", count(status.live_since_ms)),
        field("previous", Reply::Array(digests)),
        field("last_error", status.last_error.map_or(Reply::Nil, bulk)),
        field("quarantined", Reply::Array(quarantined)),
    ]
}

fn step(event: PolicyEvent) -> Reply {
    Reply::Map(vec![
        field("at_ms", count(event.at_ms)),
        field("event", bulk(event.event.as_str())),
        field("digest", bulk(event.digest.as_ref())),
        field("detail", bulk(event.detail)),
    ])
}
