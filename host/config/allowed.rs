//! Which hosts policies may be loaded from: the operator's list, and the addresses that no list allows.
//!
//! ```text
//! origins.allowed = "loopback, users.internal:8080, *.svc.cluster.local, 10.0.0.5"
//! ```
//!
//! Invariants: whoever may write a policy file reaches only what the operator named; the services that a cloud offers at link-local addresses
//! (its credentials among them) are reached by nobody, whatever a name resolves to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The word for this machine itself.
const LOOPBACK: &str = "loopback";

/// Addresses outside the link-local range at which clouds hand out credentials.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The operator's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    what: What,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Any,
    Loopback,
    Address(IpAddr),
    Name(String),
    /// All names that end so; begins with a dot.
    Below(String),
}

impl AllowedOrigins {
    /// Everything that no list can forbid: for who looks at a policy without a host.
    #[must_use]
    pub fn any() -> Self {
        Self(vec![Entry { what: What::Any, port: None }])
    }

    /// Reads a list of names and addresses with commas between them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(Entry::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this host may be asked, by its name or address in a URL.
    #[must_use]
    pub fn permits(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let address = literal(&host);
        self.0.iter().any(|entry| entry.port.is_none_or(|own| own == port) && entry.what.covers(&host, address))
    }

    /// Why a host that is written as an address can be on no list.
    #[must_use]
    pub fn never(host: &str) -> Option<&'static str> {
        literal(host).map(plain).and_then(forbidden)
    }

    /// Whether an address that this host turned out to have may be connected to.
    ///
    /// # Errors
    /// Why not.
    pub fn permits_address(&self, host: &str, address: IpAddr) -> Result<(), String> {
        let address = plain(address);
        if let Some(why) = forbidden(address) {
            return Err(format!("{host} is at {address}, {why}, which no origin may be"));
        }
        if is_local(host) && !address.is_loopback() {
            return Err(format!("{host} is at {address}, which is not this machine"));
        }
        let named = |what: &What| matches!(what, What::Any | What::Loopback) || *what == What::Address(address);
        if address.is_loopback() && !self.0.iter().any(|entry| named(&entry.what)) {
            return Err(format!(
                "{host} is at {address}, this machine itself; add `loopback` to origins.allowed if it may be"
            ));
        }
        Ok(())
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is no host; write loopback, users.internal, *.internal, 10.0.0.5, each with :port if only that one may be asked"
            )
        };
        if let Some(address) = literal(text) {
            return Self::address(text, address, None);
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        if let Some(address) = literal(name) {
            return Self::address(text, address, port);
        }
        let name = name.to_ascii_lowercase();
        let is_name = |name: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            name.len() <= 253 && name.split('.').all(|part| !part.is_empty() && part.bytes().all(plain))
        };
        let what = match name.as_str() {
            "*" => What::Any,
            LOOPBACK => What::Loopback,
            name => match name.strip_prefix('*') {
                Some(below) if below.strip_prefix('.').is_some_and(is_name) => What::Below(below.to_owned()),
                None if is_name(name) => What::Name(name.to_owned()),
                _ => return Err(wrong()),
            },
        };
        Ok(Self { what, port })
    }

    fn address(text: &str, address: IpAddr, port: Option<u16>) -> Result<Self, String> {
        let address = plain(address);
        match forbidden(address) {
            Some(why) => Err(format!("'{text}' is {why}, which no origin may be")),
            None => Ok(Self { what: What::Address(address), port }),
        }
    }
}

impl What {
    fn covers(&self, host: &str, address: Option<IpAddr>) -> bool {
        match (self, address.map(plain)) {
            (Self::Any, address) => address.is_none_or(|address| forbidden(address).is_none()),
            (Self::Loopback, address) => address.map_or_else(|| is_local(host), |address| address.is_loopback()),
            (Self::Address(own), Some(address)) => *own == address,
            (Self::Name(name), None) => name == host,
            (Self::Below(end), None) => host.strip_suffix(end.as_str()).is_some_and(|rest| !rest.is_empty()),
            (Self::Address(_), None) | (Self::Name(_) | Self::Below(_), Some(_)) => false,
        }
    }
}

/// An address as it stands in a URL, with or without brackets.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Names that mean this machine, whoever is asked (RFC 6761).
fn is_local(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// The IPv4 address within an IPv6 one that leads to it: mapped (`::ffff:0:0/96`), or through a translator (`64:ff9b::/96`).
fn plain(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

/// Why no origin may have this address.
fn forbidden(address: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&address) {
        return Some("the metadata service of a cloud");
    }
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
    };
    if link_local {
        return Some("a link-local address");
    }
    let nobody = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    (nobody || address.is_multicast()).then_some("the address of no single machine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, host: &str, port: u16, expect: bool) {
        assert_eq!(
            AllowedOrigins::parse(list).expect("a right list").permits(host, port),
            expect,
            "{list}: {host}:{port}"
        );
    }

    #[test]
    fn a_host_is_asked_only_if_it_is_on_the_list() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "[::1]", "api.localhost", "[::ffff:127.0.0.1]"]
        {
            check("loopback", host, 80, true);
        }
        for host in ["users.internal", "10.0.0.5", "169.254.169.254", "localhost.evil.com", "0.0.0.0", "0x7f.1"] {
            check("loopback", host, 80, false);
        }
        check("", "localhost", 80, false);
        check("users.internal", "users.internal", 8080, true);
        check("users.internal", "xusers.internal", 8080, false);
        check("users.internal:80", "users.internal", 8080, false);
        check("loopback, *.internal:443", "a.b.internal", 443, true);
        check("*.internal", "internal", 443, false);
        check("10.0.0.5:8080, [fd00::1]:90, fd00::2", "10.0.0.5", 8080, true);
        check("10.0.0.5:8080, [fd00::1]:90, fd00::2", "[fd00::1]", 90, true);
        check("10.0.0.5:8080, [fd00::1]:90, fd00::2", "[fd00::2]", 1, true);
        check("10.0.0.5:8080, [fd00::1]:90, fd00::2", "[fd00::1]", 91, false);
        check("*", "anything.example", 1, true);
        check("*", "169.254.169.254", 80, false);
        check("*", "[fe80::1]", 80, false);
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused() {
        for list in [
            "http://a",
            "a b",
            "*.",
            "a..b",
            "*a",
            "a:99999",
            "a:b",
            "169.254.169.254",
            "[fe80::1]:80",
            "0.0.0.0",
            "a/24",
        ] {
            assert!(AllowedOrigins::parse(list).is_err(), "{list}");
        }
    }

    #[test]
    fn no_name_leads_to_the_clouds_own_services() {
        let any = AllowedOrigins::any();
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(any.permits_address("users.internal", address.parse().expect("an address")).is_err(), "{address}");
        }
        for address in ["10.0.0.5", "192.168.1.1", "93.184.216.34", "fd00::1", "127.0.0.1"] {
            assert_eq!(
                any.permits_address("users.internal", address.parse().expect("an address")),
                Ok(()),
                "{address}"
            );
        }
    }

    #[test]
    fn a_name_from_outside_does_not_lead_to_this_machine() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listed = AllowedOrigins::parse("users.internal").expect("a right list");
        assert!(listed.permits_address("users.internal", loopback).is_err());
        let both = AllowedOrigins::parse("users.internal, loopback").expect("a right list");
        assert_eq!(both.permits_address("users.internal", loopback), Ok(()));
        assert!(both.permits_address("localhost", IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))).is_err());
    }
}
