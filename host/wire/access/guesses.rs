//! Wrong secrets, by address: who guesses too often has to wait, longer each time.
//!
//! Addresses of IPv6 count by their network, since one client has all of it. What is remembered has a bound; the entry that is oldest
//! makes room.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::limits::{LOGIN_ADDRESSES_MAX, LOGIN_FAILURES_MAX, LOGIN_PAUSE_MS_MAX, LOGIN_PAUSE_MS_MIN, LOGIN_WINDOW_MS};
use crate::wire::places::network;

/// What is known of an address.
#[derive(Clone, Copy, Debug)]
struct Guesser {
    failures: u32,
    last_ms: u64,
    until_ms: u64,
}

/// Who guessed, and until when it is not listened to.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, Guesser>>);

impl Guesses {
    /// How long an address still has to wait; `None`: not at all.
    pub(super) fn wait_ms(&self, peer: IpAddr, now_ms: u64) -> Option<u64> {
        let known = self.0.lock();
        let wait_ms = known.get(&network(peer))?.until_ms.saturating_sub(now_ms);
        (wait_ms > 0).then_some(wait_ms)
    }

    /// One more was wrong. How many that are, if the address has to wait from now on.
    pub(super) fn failed(&self, peer: IpAddr, now_ms: u64) -> Option<u32> {
        let mut known = self.0.lock();
        if known.len() >= LOGIN_ADDRESSES_MAX && !known.contains_key(&network(peer)) {
            make_room(&mut known, now_ms);
        }
        let fresh = Guesser { failures: 0, last_ms: now_ms, until_ms: 0 };
        let guesser = known.entry(network(peer)).or_insert(fresh);
        if now_ms.saturating_sub(guesser.last_ms) > LOGIN_WINDOW_MS {
            *guesser = fresh;
        }
        guesser.failures = guesser.failures.saturating_add(1);
        guesser.last_ms = now_ms;
        let beyond = guesser.failures.checked_sub(LOGIN_FAILURES_MAX)?;
        let pause_ms = LOGIN_PAUSE_MS_MIN.checked_shl(beyond.min(32)).unwrap_or(LOGIN_PAUSE_MS_MAX);
        guesser.until_ms = now_ms + pause_ms.min(LOGIN_PAUSE_MS_MAX);
        Some(guesser.failures)
    }
}

/// Forgets what is over, or else what is oldest.
fn make_room(known: &mut HashMap<IpAddr, Guesser>, now_ms: u64) {
    known.retain(|_, guesser| now_ms.saturating_sub(guesser.last_ms) <= LOGIN_WINDOW_MS);
    if known.len() >= LOGIN_ADDRESSES_MAX {
        let oldest = known.iter().min_by_key(|(_, guesser)| guesser.last_ms).map(|(peer, _)| *peer);
        oldest.and_then(|peer| known.remove(&peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_up_to_its_bound_and_ends() {
        let guesses = Guesses::default();
        let peer = IpAddr::from([10, 0, 0, 1]);
        let mut pauses = Vec::new();
        for _ in 0..LOGIN_FAILURES_MAX + 8 {
            guesses.failed(peer, 0);
            pauses.push(guesses.wait_ms(peer, 0).unwrap_or(0) / 1000);
        }
        assert_eq!(pauses[8..], [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(guesses.wait_ms(peer, 60_000), None);
        guesses.failed(peer, 200_000);
        assert_eq!(guesses.wait_ms(peer, 200_000), None, "the old ones count no more");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let guesses = Guesses::default();
        for n in 0..u32::try_from(LOGIN_ADDRESSES_MAX).unwrap() + 10 {
            guesses.failed(IpAddr::from(n.to_be_bytes()), u64::from(n) / 1000);
        }
        assert_eq!(guesses.0.lock().len(), LOGIN_ADDRESSES_MAX);
        let network = |last: u8| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, u16::from(last)]);
        for last in 0..=u8::try_from(LOGIN_FAILURES_MAX).unwrap() {
            guesses.failed(network(last), 20);
        }
        assert!(guesses.wait_ms(network(99), 20).is_some(), "one network is one guesser");
    }
}
