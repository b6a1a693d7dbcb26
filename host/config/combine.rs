//! Settings that are each right and cannot be together. The error stands where the one to change was set.

use std::net::SocketAddr;

use super::layers::{Layers, Source};
use super::reader::Reader;
use super::{ClientCertificates, Config, ConfigError, StoreChoice};

/// # Errors
/// The first combination that cannot work.
pub(super) fn check(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let wrong = |name, what: &str| Err(Reader { layers, name }.fail(what));
    // Of two, the one that somebody set.
    let set = |name, other| if *layers.get(name).1 == Source::Default { other } else { name };
    let fronts = fronts(config);
    if config.resp_address.is_none() && config.http_address.is_none() {
        return wrong("resp.address", "resp.address and http.address are both off: nobody could be served");
    }
    for (i, (name, address)) in fronts.iter().enumerate() {
        if let Some((other, _)) = fronts[..i].iter().find(|(_, other)| overlap(*other, *address)) {
            let (name, other) = if set(name, other) == *name { (name, other) } else { (other, name) };
            return wrong(name, &format!("{address} is the address of {other} as well"));
        }
        if config.users.is_empty() && !config.auth_open && !address.ip().is_loopback() {
            let what = format!(
                "other machines reach {address}, and nobody would have to say who they are: set auth.password or [[users]], or \
                 auth.open = true (--insecure) if whoever reaches it may do everything"
            );
            return wrong(name, &what);
        }
    }
    if config.auth_open && !config.users.is_empty() {
        return wrong("auth.open", "there are users, or a password, as well; one of the two");
    }
    certificates(config, layers)?;
    if config.store == StoreChoice::Memory && config.value_bytes_max as u64 > config.store_memory_bytes_max {
        let name = set("value.size_max", "store.memory_max");
        return wrong(name, "value.size_max is more than store.memory_max: such a value could never be stored");
    }
    store(layers)
}

/// Users by certificate need somebody to have checked it.
fn certificates(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let checked = config.tls.as_ref().is_some_and(|tls| tls.clients != ClientCertificates::None);
    let users = config.users.iter().filter(|user| user.certificate.is_some());
    for user in users {
        if !checked {
            let text = layers.users().iter().find(|text| text.name() == user.name);
            let source = text.map_or(&Source::Default, |text| text.source());
            let what = format!(
                "the user '{}' has a certificate; set tls.clients to ask or require, and tls.client_ca",
                user.name
            );
            return Err(ConfigError::new(source, &what));
        }
    }
    Ok(())
}

/// What is said of a Redis that is not the one to be used. The first user's variables may be set for other programs too.
fn store(layers: &Layers) -> Result<(), ConfigError> {
    let said = |name| !matches!(layers.get(name).1, Source::Default | Source::Environment(_));
    let in_parts = !layers.get("store.host").0.is_empty() || !layers.get("store.cluster_nodes").0.is_empty();
    for name in ["store.port", "store.password", "store.username", "store.tls", "store.cluster"] {
        if said(name) && !in_parts {
            return Err(
                Reader { layers, name }.fail("it goes with store.host, which is not set; or say it in store.url")
            );
        }
    }
    if said("store.host") && said("store.url") {
        return Err(Reader { layers, name: "store.host" }.fail("store.url is set as well; one of the two"));
    }
    Ok(())
}

fn fronts(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let all = [
        ("resp.address", config.resp_address),
        ("http.address", config.http_address),
        ("admin.address", config.admin_address),
    ];
    all.into_iter().filter_map(|(name, address)| Some((name, address?))).collect()
}

/// Whether both cannot be listened on. Port 0 is any free one.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let hosts = a.ip() == b.ip() || a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified());
    a.port() == b.port() && a.port() != 0 && hosts
}
