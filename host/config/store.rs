//! Which store: by its URL where somebody set that, else by the parts that are set one by one, else the default.

use super::layers::{Layers, Source};
use super::reader::Reader;
use super::{ConfigError, value};

/// Where entries live.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// In this process.
    Memory,
    /// In Redis, by this URL; may hold a password.
    Redis(String),
}

/// What else is said of the way to Redis. Empty texts are nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreAccess {
    /// PEM file of the certificates that are trusted.
    pub ca_file: String,
    /// PEM file of this host's certificate.
    pub certificate_file: String,
    /// PEM file of its key.
    pub key_file: String,
    /// The name that the server's certificate must have.
    pub server_name: String,
    /// The account at the sentinels.
    pub sentinel_user: String,
    /// Its password.
    pub sentinel_password: String,
}

/// The forms that the adapter knows.
const SCHEMES: [&str; 15] = [
    "redis",
    "rediss",
    "unix",
    "redis+unix",
    "redis-sentinel",
    "redis+sentinel",
    "rediss-sentinel",
    "rediss+sentinel",
    "redis-cluster",
    "redis+cluster",
    "rediss-cluster",
    "rediss+cluster",
    "valkey",
    "valkeys",
    "valkey+unix",
];

impl StoreAccess {
    /// As the layers say.
    ///
    /// # Errors
    /// A secret that cannot be read.
    pub fn new(layers: &Layers, environment: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name| layers.get(name).0.to_owned();
        let password = Reader { layers, name: "store.sentinel_password" }.secret(environment)?;
        Ok(Self {
            ca_file: text("store.tls_ca_file"),
            certificate_file: text("store.tls_certificate_file"),
            key_file: text("store.tls_key_file"),
            server_name: text("store.tls_server_name"),
            sentinel_user: text("store.sentinel_username"),
            sentinel_password: password.unwrap_or_default(),
        })
    }

    /// Whether anything is said of TLS.
    #[must_use]
    pub const fn names_tls(&self) -> bool {
        !(self.ca_file.is_empty()
            && self.certificate_file.is_empty()
            && self.key_file.is_empty()
            && self.server_name.is_empty())
    }
}

impl StoreChoice {
    /// As the layers say.
    ///
    /// # Errors
    /// A text that is no address; parts that do not make one.
    pub fn new(layers: &Layers, environment: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let (url, source) = layers.get("store.url");
        if *source == Source::Default
            && let Some(url) = of_parts(layers, environment)?
        {
            return Ok(Self::Redis(url));
        }
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        match url {
            "memory" => Ok(Self::Memory),
            url if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => Ok(Self::Redis(url.to_owned())),
            url => {
                let scheme = url.split(':').next().unwrap_or_default();
                let what = format!(
                    "store.url is 'memory' or 'redis://host:port', 'unix://path', 'redis-sentinel://hosts/name', \
                     'redis+cluster://hosts', not '{scheme}…'"
                );
                Err(ConfigError::new(source, &what))
            }
        }
    }
}

/// The URL that the parts make; `None` if none of them says where.
fn of_parts(layers: &Layers, environment: &impl Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
    let flag = |name| {
        let (text, source) = layers.get(name);
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" | "" => Ok(false),
            _ => Err(ConfigError::new(source, &format!("{name}: '{text}' is neither true nor false"))),
        }
    };
    let (host, _) = layers.get("store.host");
    let (port, port_source) = layers.get("store.port");
    let (is_cluster, tls) = (flag("store.cluster")?, if flag("store.tls")? { "s" } else { "" });
    let port = || value::number(port, 1, 65_535).map_err(|what| ConfigError::new(port_source, &what));
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let password = Reader { layers, name: "store.password" }.secret(environment)?.unwrap_or_default();
    let account = match (layers.get("store.username").0, password.as_str()) {
        ("", "") => String::new(),
        (user, password) => format!("{}:{}@", percent_encoded(user), percent_encoded(password)),
    };
    if is_cluster {
        let (nodes, _) = layers.get("store.cluster_nodes");
        let seeds = match (nodes.trim(), host.as_str()) {
            ("", "") => {
                let source = layers.get("store.cluster").1;
                let what = "store.cluster needs store.cluster_nodes (REDIS_CLUSTER_NODES): host:port,host:port";
                return Err(ConfigError::new(source, what));
            }
            ("", host) => format!("{host}:{}", port()?),
            (nodes, _) => {
                let plain = nodes.trim_matches(['[', ']']).replace(['"', '\'', ' '], "");
                plain.split([',', ';']).filter(|node| !node.is_empty()).collect::<Vec<_>>().join(",")
            }
        };
        return Ok(Some(format!("redis{tls}+cluster://{account}{seeds}")));
    }
    if host.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!("redis{tls}://{account}{host}:{}", port()?)))
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<StoreChoice, ConfigError> {
        let environment = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let mut layers = Layers::defaults().environment(environment);
        for (name, value) in flags {
            layers = layers.flag(name, (*value).to_owned())?;
        }
        StoreChoice::new(&layers, &environment)
    }

    #[track_caller]
    fn check(env: &[(&str, &str)], expect: &str) {
        let said = choice(env, &[]).map(|choice| match choice {
            StoreChoice::Memory => "memory".to_owned(),
            StoreChoice::Redis(url) => url,
        });
        assert_eq!(said.unwrap_or_else(|error| error.to_string()), expect, "{env:?}");
    }

    #[test]
    fn the_first_users_variables_choose_the_store() {
        let host = [("REDIS_HOST", "cache"), ("REDIS_PORT", "7000"), ("REDIS_PASSWORD", "a b")];
        check(&[], "memory");
        check(&host, "redis://:a%20b@cache:7000");
        check(&[("REDIS_HOST", "::1"), ("REDIS_USERNAME", "app"), ("REDIS_TLS", "true")], "rediss://app:@[::1]:6379");
        let cluster = ("REDIS_CLUSTER_ENABLED", "true");
        let nodes = ("REDIS_CLUSTER_NODES", "a:7000, b:7001");
        check(&[host[0], host[1], host[2], cluster, nodes], "redis+cluster://:a%20b@a:7000,b:7001");
        check(&[cluster, ("REDIS_CLUSTER_NODES", "[\"a:1\",\"b:2\"]")], "redis+cluster://a:1,b:2");
        check(&[host[0], cluster], "redis+cluster://cache:6379");
        check(&[host[0], ("REDIS_CLUSTER_ENABLED", "false"), nodes], "redis://cache:6379");
        check(
            &[cluster],
            "the environment variable REDIS_CLUSTER_ENABLED: store.cluster needs store.cluster_nodes (REDIS_CLUSTER_NODES): host:port,host:port",
        );
        check(
            &[("REDIS_CLUSTER_ENABLED", "perhaps")],
            "the environment variable REDIS_CLUSTER_ENABLED: store.cluster: 'perhaps' is neither true nor false",
        );
    }

    #[test]
    fn a_url_wins_over_the_parts() {
        let env = [("REDIS_HOST", "cache")];
        assert!(choice(&env, &[("store.url", "memory")]) == Ok(StoreChoice::Memory));
        for url in ["rediss://h", "unix:///s", "redis-sentinel://a,b/m", "redis+cluster://a", "valkey://h"] {
            assert!(choice(&env, &[("store.url", url)]) == Ok(StoreChoice::Redis(url.to_owned())), "{url}");
        }
        assert!(choice(&[], &[("store.url", "http://h")]).is_err());
    }
}
