//! Hosts that want to know who asks, over TLS.

use super::{Ran, larder, run};
use crate::support::host::{Host, HostBuilder, OPERATOR};
use crate::support::tls::Authority;
use larder::config::secret::Secret;

const SESSION: &[&str] = &["get", "session:1"];

/// `larder …` of a host by TLS, with these variables.
fn ask(host: &Host, ca: &str, words: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = larder(words);
    command.env("LARDER_HOST", format!("https://localhost:{}", host.http.port())).env("LARDER_CA", ca);
    command.envs(variables.iter().copied());
    run(command)
}

#[test]
fn a_host_that_speaks_tls_only_is_reached_with_a_token() {
    let authority = Authority::new();
    let pair = authority.sign("localhost");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ca, other_ca, token_file) = (path("ca.pem"), path("other.pem"), path("token"));
    std::fs::write(&ca, &authority.pem).unwrap();
    std::fs::write(&other_ca, Authority::new().pem).unwrap();
    std::fs::write(&token_file, format!("{OPERATOR}\n")).unwrap();
    let secret = Secret::of(OPERATOR.as_bytes()).written();
    let file = format!(
        "[[users]]\nname = 'operator'\nsecret = '{secret}'\nrole = 'admin'\n[tls]\ncertificate = 'host.pem'\nkey = 'host.key'\n"
    );
    let host = HostBuilder::samples()
        .file("host.pem", &pair.certificate)
        .file("host.key", &pair.key)
        .file("larder.toml", &file)
        .start();
    let token = ("LARDER_TOKEN", OPERATOR);
    let stored = ask(&host, &ca, &["set", "session:1", "s"], &[token]);
    assert_eq!(stored.code, 0, "{}", stored.text());
    for variables in [
        &[token][..],
        &[("LARDER_TOKEN_FILE", token_file.as_str())],
        &[token, ("LARDER_USER", "operator")],
        &[("LARDER_TOKEN", &format!("operator:{OPERATOR}"))],
    ] {
        let got = ask(&host, &ca, SESSION, variables);
        assert!(got.code == 0 && got.out == b"s", "{variables:?}: {}", got.text());
    }
    let listed = ask(&host, &ca, &["policy", "list", "--json", "--token-file", &token_file], &[]);
    assert_eq!(listed.json()["policies"].as_array().unwrap().len(), 8);
    for (ca, variables, code, says) in [
        (&ca, &[][..], 4, "LARDER_TOKEN, --token-file"),
        (&ca, &[("LARDER_TOKEN", "wrong-0123456789abcdef")], 4, "are wrong"),
        (&other_ca, &[token], 5, "--ca FILE"),
        (&token_file, &[token], 6, "holds no certificate"),
        (&ca, &[token, ("LARDER_TOKEN_FILE", "/nowhere")], 0, ""),
        (&ca, &[("LARDER_TOKEN_FILE", "/nowhere")], 6, "/nowhere"),
    ] {
        let ran = ask(&host, ca, SESSION, variables);
        assert!(ran.code == code && ran.err.contains(says), "{variables:?}: {} {}", ran.code, ran.text());
        assert!(!ran.text().contains(OPERATOR), "a token is never shown");
    }
    let plain = run(larder(&["get", "session:1", "--host", &format!("http://localhost:{}", host.http.port())]));
    assert!(plain.code == 5 && plain.err.contains("write https://"), "{}", plain.err);
}

#[test]
fn a_certificate_says_who_asks() {
    let authority = Authority::new();
    let (pair, own) = (authority.sign("localhost"), authority.sign("operator"));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ca, certificate, key) =
        (path("ca.pem", &authority.pem), path("own.pem", &own.certificate), path("own.key", &own.key));
    let file = "[[users]]\nname = 'operator'\ncertificate = 'operator'\nrole = 'admin'\n[tls]\ncertificate = 'host.pem'\n\
                key = 'host.key'\nclient_ca = 'ca.pem'\nclients = 'require'\n";
    let host = HostBuilder::samples()
        .file("host.pem", &pair.certificate)
        .file("host.key", &pair.key)
        .file("ca.pem", &authority.pem)
        .file("larder.toml", file)
        .start();
    let stored = ask(&host, &ca, &["set", "session:1", "s", "--cert", &certificate, "--key", &key], &[]);
    assert_eq!(stored.code, 0, "{}", stored.text());
    let got = ask(&host, &ca, SESSION, &[("LARDER_CERT", &certificate), ("LARDER_KEY", &key)]);
    assert!(got.code == 0 && got.out == b"s", "{}", got.text());
    let without = ask(&host, &ca, SESSION, &[]);
    assert!(without.code == 5 && without.err.contains("--cert FILE and --key FILE"), "{}", without.text());
    let half = ask(&host, &ca, SESSION, &[("LARDER_CERT", &certificate)]);
    assert!(half.code == 2 && half.err.contains("--key"), "{}", half.text());
}
