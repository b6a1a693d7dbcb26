//! The subcommands of Larder's own commands, as data.

use super::spec::{Group, NO_KEYS, SECOND_KEY, Spec};
use super::{breaker, help, invalidate, lock, own};
use crate::config::users::Role::{Admin, Read, Write};
use crate::wire::access::Of;

/// The release of Larder that has them.
pub(super) const OWN: &str = "0.1.0";

pub(super) const BREAKER: &[Spec] = &[
    Spec::session("larder.breaker|force", 4, breaker::force).admin().needs(Admin, Of::Host).doc(
        Group::Larder,
        OWN,
        "(name OPEN|CLOSED|METRICS-ONLY|AUTO) Lets a breaker do this from now on.",
    ),
    Spec::session("larder.breaker|help", 2, help).doc(Group::Larder, OWN, "This list."),
    Spec::session("larder.breaker|history", 3, breaker::history).admin().needs(Read, Of::Host).doc(
        Group::Larder,
        OWN,
        "(name) The last steps of a breaker, the newest first.",
    ),
    Spec::session("larder.breaker|list", 2, breaker::list).admin().needs(Read, Of::Host).doc(
        Group::Larder,
        OWN,
        "Where the breakers stand.",
    ),
];

pub(super) const LOCK: &[Spec] = &[
    Spec::write("larder.lock|acquire", -3, NO_KEYS, lock::acquire).needs(Write, Of::Lock(2)).doc(
        Group::Larder,
        OWN,
        "(name [TTL ms] [WAIT ms] [OWNER label]) Takes a lock: its token and fence; nil if somebody else holds it.",
    ),
    Spec::write("larder.lock|extend", -4, NO_KEYS, lock::extend).needs(Write, Of::Lock(2)).doc(
        Group::Larder,
        OWN,
        "(name token [TTL ms]) Begins a lock's life anew; 0 if the token does not hold it.",
    ),
    Spec::write("larder.lock|force-release", -3, NO_KEYS, lock::force_release).admin().needs(Admin, Of::Host).doc(
        Group::Larder,
        OWN,
        "(name | PREFIX prefix | OWNER label) Frees locks, whoever holds them.",
    ),
    Spec::session("larder.lock|help", 2, help).doc(Group::Larder, OWN, "This list."),
    Spec::read("larder.lock|info", 3, NO_KEYS, lock::info).needs(Read, Of::Lock(2)).doc(
        Group::Larder,
        OWN,
        "(name) Who holds a lock.",
    ),
    Spec::read("larder.lock|list", -2, NO_KEYS, lock::list).admin().needs(Read, Of::Host).doc(
        Group::Larder,
        OWN,
        "([prefix]) The held locks.",
    ),
    Spec::write("larder.lock|release", 4, NO_KEYS, lock::release).needs(Write, Of::Lock(2)).doc(
        Group::Larder,
        OWN,
        "(name token) Gives a lock back; 0 if the token does not hold it.",
    ),
];

pub(super) const INVALIDATE: &[Spec] = &[
    Spec::write("larder.invalidate|domain", -3, NO_KEYS, invalidate::domain).needs(Admin, Of::Domain(2)).doc(
        Group::Larder,
        OWN,
        "(domain [SOFT]) All keys of a domain.",
    ),
    Spec::session("larder.invalidate|help", 2, help).doc(Group::Larder, OWN, "This list."),
    Spec::write("larder.invalidate|key", -3, SECOND_KEY, invalidate::key).fast().doc(
        Group::Larder,
        OWN,
        "(key [SOFT]) One key, as applications say it.",
    ),
    Spec::write("larder.invalidate|pattern", -4, NO_KEYS, invalidate::pattern).needs(Write, Of::Domain(2)).doc(
        Group::Larder,
        OWN,
        "(domain pattern [SOFT]) Keys that match a glob, by a scan.",
    ),
    Spec::write("larder.invalidate|prefix", -4, NO_KEYS, invalidate::prefix).needs(Write, Of::Domain(2)).doc(
        Group::Larder,
        OWN,
        "(domain prefix [SOFT]) Keys that begin so, after their domain.",
    ),
    Spec::write("larder.invalidate|tag", -4, NO_KEYS, invalidate::tag).fast().needs(Write, Of::Domain(2)).doc(
        Group::Larder,
        OWN,
        "(domain tag [SOFT]) All entries that carry a tag.",
    ),
];

pub(super) const POLICY: &[Spec] = &[
    Spec::session("larder.policy|help", 2, help).doc(Group::Larder, OWN, "This list."),
    Spec::session("larder.policy|list", 2, own::list).admin().needs(Read, Of::Host).doc(
        Group::Larder,
        OWN,
        "All policies and where they stand.",
    ),
    Spec::write("larder.policy|remove", 3, NO_KEYS, own::remove).admin().needs(Admin, Of::Domain(2)).doc(
        Group::Larder,
        OWN,
        "(domain) Takes a policy out of service whose file is gone.",
    ),
    Spec::write("larder.policy|rollback", 3, NO_KEYS, own::rollback).admin().needs(Admin, Of::Domain(2)).doc(
        Group::Larder,
        OWN,
        "(domain) Puts the policy before back into service.",
    ),
    Spec::session("larder.policy|show", 3, own::show).admin().needs(Read, Of::Domain(2)).doc(
        Group::Larder,
        OWN,
        "(domain) One policy, with its history.",
    ),
    Spec::write("larder.policy|unquarantine", 3, NO_KEYS, own::unquarantine).admin().needs(Admin, Of::Domain(2)).doc(
        Group::Larder,
        OWN,
        "(domain) Tries a policy again that failed too often.",
    ),
];
