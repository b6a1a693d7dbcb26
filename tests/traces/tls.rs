//! A collector that speaks TLS: whom the host believes, and what it says of whom it does not.

use super::{KEY, builder, spans};
use crate::support::collector::Collector;
use crate::support::host::{Host, HostBuilder, text, wait_until};
use crate::support::tls::Authority;

/// A host that sends there all that it is asked, and believes this authority besides the machine's.
fn sending(url: &str, authority: &Authority) -> HostBuilder {
    let builder = builder(None, "").file("ca.pem", &authority.pem).set("tracing.otlp_ca_file", "ca.pem");
    builder.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_TRACES_SAMPLER", "always_on")
}

fn asked(host: &Host) {
    for _ in 0..50 {
        assert_eq!(text(&host.ask(&["SET", KEY, "one"]).unwrap()), "OK");
    }
}

#[test]
fn an_authority_of_ones_own_is_believed() {
    let authority = Authority::new();
    let collector = Collector::tls(Authority::server(&authority.sign("localhost")));
    let url = format!("https://localhost:{}", collector.addr.port());
    // By the setting, and by the standard variable.
    let by_variable = builder(None, "").file("ca.pem", &authority.pem).env("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem");
    let by_variable = by_variable.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url).env("OTEL_TRACES_SAMPLER", "always_on");
    for host in [sending(&url, &authority), by_variable] {
        collector.forget();
        let host = host.start();
        asked(&host);
        collector.waits_for("spans", |spans| spans.iter().filter(|span| span.name == "SET").count() >= 50);
        wait_until("they are counted", || spans(&host, "exported") >= 50);
        assert_eq!(spans(&host, "export-failed"), 0);
        assert!(host.stop());
    }
}

/// Requests are answered, spans are lost and counted, nothing is said to the stranger, and the log says what to do.
#[track_caller]
fn check(collector: &Collector, name: &str, believed: &Authority, says: &str) {
    let host = sending(&format!("https://{name}:{}", collector.addr.port()), believed).start();
    asked(&host);
    wait_until("spans are lost", || spans(&host, "export-failed") >= 50);
    asked(&host);
    assert_eq!((spans(&host, "exported"), collector.heads().len()), (0, 0));
    host.waits_to_log("\"cause\":\"tls\"");
    assert!(host.log().contains(says), "{says}:\n{}", host.log());
    assert!(host.stop(), "nor is its end held up");
}

#[test]
fn a_stranger_gets_no_spans() {
    let authority = Authority::new();
    let good = || Collector::tls(Authority::server(&authority.sign("localhost")));
    check(&good(), "localhost", &Authority::new(), "name the authority in tracing.otlp_ca_file");
    check(&good(), "127.0.0.1", &authority, "tracing.otlp_endpoint must name it as its certificate does");
    let old = Collector::tls(Authority::server(&authority.sign_until("localhost", 2020)));
    check(&old, "localhost", &authority, "the collector needs a new certificate");
}

#[test]
fn a_file_without_authorities_is_an_error_at_the_start() {
    for (file, says) in [("ca.pem", "holds no certificate"), ("none.pem", "cannot read tracing.otlp_ca_file none.pem")]
    {
        let builder = builder(None, "").file("ca.pem", "").set("tracing.otlp_ca_file", file);
        let started = builder.env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1").try_start();
        let Err(output) = started else { panic!("{file} was taken") };
        assert!(output.contains(says), "{output}");
    }
}
