//! The places of one front end's connections: how many are taken, in all and by one address.
//!
//! Invariant: a place is given back when it is dropped, whatever became of the connection.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// How many may come, and how many are there.
#[derive(Debug)]
pub struct Places {
    max: AtomicUsize,
    /// 0: no bound.
    per_address_max: AtomicUsize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    All,
    /// The address has as many as it may.
    Address,
}

impl Full {
    /// The word in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "too many are connected",
            Self::Address => "too many are connected from its address",
        }
    }
}

impl Places {
    /// So many places.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: AtomicUsize::new(max), per_address_max: AtomicUsize::new(0), taken: Mutex::default() })
    }

    /// Another number, from the next connection on; `None`: an address may take all.
    pub fn set(&self, max: usize, per_address_max: Option<u32>) {
        self.max.store(max, Ordering::Relaxed);
        self.per_address_max.store(per_address_max.map_or(0, |max| max as usize), Ordering::Relaxed);
    }

    /// How many there may be.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// A place for a connection from this address.
    ///
    /// # Errors
    /// There is none.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Full> {
        let address = network(peer);
        let per_address_max = self.per_address_max.load(Ordering::Relaxed);
        let mut taken = self.taken.lock();
        if taken.all >= self.max() {
            return Err(Full::All);
        }
        let own = taken.by_address.entry(address).or_default();
        if per_address_max > 0 && *own >= per_address_max {
            return Err(Full::Address);
        }
        *own += 1;
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), address })
    }
}

/// The place of one connection.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        if let Some(own) = taken.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 network of an IPv6 one, all of which one client has.
#[must_use]
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let places = Places::new(3);
        places.set(3, Some(2));
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        let first = places.take(a).unwrap();
        let _second = places.take(mapped).unwrap();
        assert_eq!(places.take(a).err(), Some(Full::Address));
        let _third = places.take(b).unwrap();
        assert_eq!(places.take(b).err(), Some(Full::All));
        drop(first);
        let fourth = places.take(a);
        assert!(fourth.is_ok());
        drop((fourth, _second, _third));
        assert!(places.taken.lock().by_address.is_empty());
    }

    #[test]
    fn a_network_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8::1:2:3:4"), "2001:db8::");
        assert_eq!(of("::ffff:1.2.3.4"), "1.2.3.4");
    }
}
