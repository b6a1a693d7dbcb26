//! TLS, users and socket files: what is wrong is told as what it is, and what is right serves.

use larder::adapters::redis::TlsSettings;

use super::{is_unavailable, recovers};
use crate::support::redis::secured::SecuredRedis;

#[tokio::test]
async fn what_is_not_trusted_is_told() {
    let redis = SecuredRedis::start();
    let larder = "larder:se%3Acret@";
    recovers(&redis.tls_store()).await;
    let unknown = TlsSettings { ca_file: None, ..redis.tls() };
    is_unavailable(&redis.store_with(larder, &unknown), "TLS failed: invalid peer certificate: UnknownIssuer").await;
    let other = TlsSettings { server_name: Some("other.test".into()), ..redis.tls() };
    is_unavailable(
        &redis.store_with(larder, &other),
        "TLS failed: invalid peer certificate: certificate not valid for",
    )
    .await;
    let unnamed = TlsSettings { server_name: None, ..redis.tls() };
    is_unavailable(&redis.store_with(larder, &unnamed), "TLS failed: invalid peer certificate").await;
    let nobody = TlsSettings { certificate_file: None, key_file: None, ..redis.tls() };
    is_unavailable(&redis.store_with(larder, &nobody), "the greeting failed").await;
    is_unavailable(&redis.store_with("larder:wrong@", &redis.tls()), "it refused the greeting: WRONGPASS").await;
    is_unavailable(&redis.store_with("nobody:x@", &redis.tls()), "it refused the greeting: WRONGPASS").await;
}

#[tokio::test]
async fn a_socket_file_serves_and_its_absence_is_told() {
    let mut redis = SecuredRedis::start();
    let store = redis.socket_store();
    recovers(&store).await;
    redis.server.kill();
    super::fails_at_once(&store).await;
    redis.server.restart();
    recovers(&store).await;
}
