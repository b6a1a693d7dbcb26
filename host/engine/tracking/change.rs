//! What was changed, and who is told: by the key that the store names, by a key that this node writes, by a generation that ended, by the rules
//! that were replaced, by time.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use bytes::Bytes;

use super::super::core::Engine;
use super::super::judge::Wanted;
use super::super::key::KeyRules;
use super::{Rules, State, Tracker, writer};
use crate::ports::coherence::KeyWatcher;
use crate::ports::invalidation::SelectorKind;
use crate::ports::policy::{Operation, Selector};
use crate::ports::table::DEFAULT_DOMAIN;

/// What ends many keys at once: a domain, or a tag of one.
pub(super) fn label(domain: &str, tag: Option<&str>) -> u64 {
    foldhash::fast::FixedState::default().hash_one((domain, tag))
}

/// Which keys a change in the store concerns, in the words of applications.
enum Named {
    /// This one.
    Key(Bytes),
    /// One of this domain; which one nobody can tell.
    OfDomain(Arc<str>),
}

impl Tracker {
    /// A client begins to change a key: it may not want to hear of that.
    pub(in crate::engine) fn writing(&self, name: &[u8]) {
        if !self.is_on() {
            return;
        }
        let Some(client) = writer() else { return };
        let mut state = self.state.lock();
        if state.clients.get(&client).is_some_and(|wish| wish.no_loop) {
            state.table.forget(name, client);
        }
    }

    /// This node has changed a key. `surely`: it knows how that ended.
    pub(in crate::engine) fn written(&self, name: &[u8], surely: bool) {
        if !self.is_on() || self.is_exact() {
            return;
        }
        let writer = writer();
        let mut state = self.state.lock();
        if let Some(row) = state.table.take_name(name) {
            self.tell_row(&state, row, writer);
        }
        // What it keeps of its own change may not be what was stored.
        let in_doubt = writer.filter(|_| !surely).and_then(|client| state.clients.get(&client));
        if let Some(wish) = in_doubt.filter(|wish| wish.no_loop) {
            self.tell(wish, &Bytes::copy_from_slice(name));
        }
        if self.is_by_prefix() {
            self.tell_by_prefix(&state, &Bytes::copy_from_slice(name), writer);
        }
        self.measure(&state);
    }

    /// The store tells that it has changed a key.
    fn changed(&self, key: &[u8], named: Option<Named>) {
        let writer = writer();
        let mut state = self.state.lock();
        if let Some(row) = state.table.take(key) {
            self.tell_row(&state, row, writer);
        }
        match named {
            Some(Named::Key(name)) => self.tell_by_prefix(&state, &name, writer),
            Some(Named::OfDomain(domain)) => self.flush_by_prefix(&state, &domain),
            None => {}
        }
        self.measure(&state);
    }

    fn tell_by_prefix(&self, state: &State, name: &Bytes, writer: Option<u64>) {
        for wish in state.clients.values() {
            let wanted = wish.prefixes.iter().flatten().any(|prefix| name.starts_with(prefix));
            if wanted && !(wish.no_loop && writer == Some(wish.client)) {
                self.tell(wish, name);
            }
        }
    }

    /// Some keys of a domain were changed: who hears of any of them gives up all.
    fn flush_by_prefix(&self, state: &State, domain: &str) {
        let of_domain = |prefix: &Bytes| {
            domain == DEFAULT_DOMAIN || prefix.starts_with(domain.as_bytes()) || domain.as_bytes().starts_with(prefix)
        };
        for wish in state.clients.values() {
            if wish.prefixes.iter().flatten().any(of_domain) {
                self.flush_one(wish);
            }
        }
    }

    /// All entries of a domain, or those with a tag, came to their end.
    pub(in crate::engine) fn ended(&self, domain: &str, tag: Option<&str>) {
        if !self.is_on() {
            return;
        }
        let mut state = self.state.lock();
        while let Some(row) = state.table.take_label(label(domain, tag)) {
            self.tell_row(&state, row, None);
        }
        self.flush_by_prefix(&state, domain);
        self.measure(&state);
    }

    /// This node invalidates more than one key, or has tried to.
    pub(in crate::engine) fn invalidated(&self, domain: &str, selector: &Selector) {
        match selector.kind() {
            // Told of as a change of the key.
            SelectorKind::Key => {}
            SelectorKind::Tag => {
                let Selector::Tag(tag) = selector else { return };
                self.ended(domain, Some(tag));
            }
            SelectorKind::Prefix | SelectorKind::Pattern | SelectorKind::Domain => self.ended(domain, None),
        }
    }
}

impl Engine {
    /// A change in the store: of an entry, or of the record of a generation.
    pub(in crate::engine) fn tell_trackers(&self, key: &[u8]) {
        if !self.tracker.is_on() {
            return;
        }
        if let Some((domain, tag)) = self.keys.generation_of(key) {
            self.tracker.ended(domain, tag);
            return;
        }
        let named = if self.tracker.is_by_prefix() { self.named(key) } else { None };
        self.tracker.changed(key, named);
    }

    /// The key as applications say it. `None`: it is not theirs.
    fn named(&self, key: &[u8]) -> Option<Named> {
        let key = Bytes::copy_from_slice(key);
        if KeyRules::leased(&key).is_some() {
            return None;
        }
        let name = self.keys.shown(&self.policies.table(), &key)?;
        let domain = {
            let place = self.locate(&name, Operation::Read, Wanted::Any).ok();
            match place {
                Some(place) if place.store_key.0 == key => None,
                // The policy chose another name, and only it knows from which.
                Some(place) => Some(Arc::clone(&place.live().domain)),
                None => Some(self.domain_of(&name)),
            }
        };
        Some(domain.map_or(Named::Key(name), Named::OfDomain))
    }

    fn domain_of(&self, name: &[u8]) -> Arc<str> {
        self.resolve(name).map_or_else(|_| DEFAULT_DOMAIN.into(), |(_, key)| Arc::clone(&key.live.domain))
    }

    pub(super) fn rules_of_now(&self) -> Rules {
        // The epoch before the table: see `ports::table`.
        let epoch = self.policies.epoch();
        let rules = self.policies.table().iter().map(|live| (Arc::clone(&live.domain), live.rules_id)).collect();
        (epoch, rules)
    }

    /// Tells clients what time and new rules have ended; to be called now and then. Keys of a domain whose rules were replaced may lie elsewhere now, or
    /// live for another time: what a node keeps is judged anew on its next touch, and what a client keeps it must touch for that.
    pub fn look_after_trackers(&self) {
        if !self.tracker.is_on() {
            return;
        }
        let now_ms = self.now_ms();
        let mut state = self.tracker.state.lock();
        while let Some(row) = state.table.take_ended(now_ms) {
            self.tracker.tell_row(&state, row, None);
        }
        self.tracker.measure(&state);
        if state.rules.as_ref().is_some_and(|(seen, _)| *seen == self.policies.epoch()) {
            return;
        }
        let (epoch, rules) = self.rules_of_now();
        let Some((_, before)) = state.rules.replace((epoch, rules.clone())) else { return };
        drop(state);
        if before.len() != rules.len() || before.keys().any(|domain| !rules.contains_key(domain)) {
            // Keys have changed their domain.
            self.tracker.flush();
            return;
        }
        for (domain, _) in rules.iter().filter(|(domain, rules)| before.get(*domain) != Some(rules)) {
            self.tracker.ended(domain, None);
        }
    }
}

impl KeyWatcher for Engine {
    fn changed(&self, key: &[u8]) {
        self.tell_trackers(key);
    }

    fn changed_all(&self) {
        self.tracker.flush();
    }
}
