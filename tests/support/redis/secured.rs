//! A Redis that speaks TLS, knows users, and listens on a socket file, too. Its certificates are made for the test.

use std::path::PathBuf;

use larder::adapters::redis::{RedisAddress, RedisSettings, RedisStore, TlsSettings};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::{RedisServer, STORE_MS, free_port, store};

/// A running server.
pub(crate) struct SecuredRedis {
    pub(crate) server: RedisServer,
    tls_port: u16,
    pub(crate) folder: tempfile::TempDir,
}

impl SecuredRedis {
    /// Starts one that asks clients for a certificate, and whose user `larder` has the password `se:cret`.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: String| std::fs::write(path(name), text).expect("the folder can be written");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, "an authority of this test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write("ca.pem", params.self_signed(&key).expect("a certificate").pem());
        let issuer = Issuer::new(params, key);
        for (name, host) in [("server", "redis.test"), ("client", "larder.test")] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec![host.to_owned()]).expect("parameters");
            write(&format!("{name}.pem"), params.signed_by(&key, &issuer).expect("a certificate").pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        write("users.acl", "user default on nopass ~* &* +@all\nuser larder on >se:cret ~* &* +@all\n".to_owned());
        let tls_port = free_port();
        let text = |name: &str| path(name).display().to_string();
        let arguments = [
            "--tls-port".to_owned(),
            tls_port.to_string(),
            "--tls-cert-file".to_owned(),
            text("server.pem"),
            "--tls-key-file".to_owned(),
            text("server.key"),
            "--tls-ca-cert-file".to_owned(),
            text("ca.pem"),
            "--aclfile".to_owned(),
            text("users.acl"),
            "--unixsocket".to_owned(),
            text("socket"),
        ];
        let server = RedisServer::start_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        Self { server, tls_port, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a host has to trust and to show.
    pub(crate) fn tls(&self) -> TlsSettings {
        TlsSettings {
            ca_file: Some(self.file("ca.pem")),
            certificate_file: Some(self.file("client.pem")),
            key_file: Some(self.file("client.key")),
            server_name: Some("redis.test".to_owned()),
        }
    }

    /// Where it speaks TLS, for this account.
    pub(crate) fn tls_url(&self, account: &str) -> String {
        format!("rediss://{account}127.0.0.1:{}", self.tls_port)
    }

    /// Where its socket file is.
    pub(crate) fn socket_url(&self) -> String {
        format!("unix://larder:se%3Acret@{}", self.file("socket").display())
    }

    /// A store over TLS with these settings.
    pub(crate) fn store_with(&self, account: &str, tls: &TlsSettings) -> RedisStore {
        let address = RedisAddress::parse(&self.tls_url(account)).expect("an address");
        let address = address.with_tls(tls).expect("files that can be used");
        store(RedisSettings { store_ms: STORE_MS, ..RedisSettings::new(address) })
    }

    /// A store over TLS for the user `larder`.
    pub(crate) fn tls_store(&self) -> RedisStore {
        self.store_with("larder:se%3Acret@", &self.tls())
    }

    /// A store over the socket file.
    pub(crate) fn socket_store(&self) -> RedisStore {
        let address = RedisAddress::parse(&self.socket_url()).expect("an address");
        store(RedisSettings { store_ms: STORE_MS, ..RedisSettings::new(address) })
    }
}
