//! Traces of a real host with a real collector, store and origin: what a request's tree looks like, what is passed on, and that a
//! collector that is gone, slow or unwilling costs spans and nothing else.

mod locks;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::collector::{Collector, Manner, Span};
use crate::support::host::{Host, HostBuilder, command, text, wait_until};
use crate::support::origin::{TestOrigin, answer};
use crate::support::redis::RedisServer;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const PATH: &str = "/v1/cache/profile/user:42";
const KEY: &str = "profile:user:42";

/// What a caller says that records its trace, or not.
fn said(sampled: bool) -> String {
    format!("traceparent: 00-{TRACE}-{CALLER}-0{}\r\ntracestate: a=1,b=2\r\n", u8::from(sampled))
}

/// A host whose profiles come from there. Nothing here is about deadlines.
fn builder(origin: Option<&TestOrigin>, settings: &str) -> HostBuilder {
    let origin = origin.map_or_else(String::new, |origin| format!("origin = \"{}\"\n", origin.url()));
    let limits = "hook_ms = 1000\nload_ms = 30000\nload_soft_ms = 30000";
    let toml = format!("{origin}[settings]\n{settings}\n[grants]\n[limits]\n{limits}\n");
    HostBuilder::new().sample("profile").toml("profile", &toml).env("CACHE_MAX_LATENCY_MS", "10000")
}

fn traced(builder: HostBuilder, collector: &Collector, sampler: &str, ratio: &str) -> HostBuilder {
    let builder = builder.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    builder.env("OTEL_TRACES_SAMPLER", sampler).env("OTEL_TRACES_SAMPLER_ARG", ratio)
}

async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// One HTTP read with these headers; the status.
async fn read(host: &Arc<Host>, headers: String) -> u16 {
    let host = Arc::clone(host);
    beside(move || host.http("GET", PATH, &headers, b"").0).await
}

#[track_caller]
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names = || spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no '{name}' among {:?}", names()))
}

/// How many spans became this.
fn spans(host: &Host, outcome: &str) -> u64 {
    let (_, _, page) = host.http("GET", "/metrics", "", b"");
    let series = format!("larder_spans_total{{outcome=\"{outcome}\"}} ");
    let page = String::from_utf8(page).unwrap();
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_tree_in_its_callers_trace() {
    let (collector, redis) = (Collector::start(Manner::Takes), beside(RedisServer::start).await);
    let origin = TestOrigin::always(answer(200, "one")).await;
    let builder = traced(builder(Some(&origin), ""), &collector, "parentbased_always_off", "0");
    let builder = builder.env("OTEL_SERVICE_NAME", "cache-a").env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret");
    let builder = builder.env("LOG_LEVEL", "info,larder::wire=debug");
    let host = Arc::new(builder.arg("--store").arg(redis.url()).start());
    assert_eq!(read(&host, said(true)).await, 200);
    host.waits_to_log(&format!("\"trace\":\"{TRACE}\""));
    // One that nobody traces leaves none, though it comes to the same host.
    assert_eq!(read(&host, String::new()).await, 200);
    let spans = collector.waits_for("the request's spans", |spans| spans.iter().any(|span| span.parent == CALLER));
    let root = spans.iter().find(|span| span.parent == CALLER).unwrap();
    assert_eq!((root.name.as_str(), root.kind), ("GET /v1/cache/{domain}/{*key}", 2));
    assert_eq!((root.at("http.response.status_code"), root.at("larder.state")), ("200", "loaded"));
    assert_eq!((root.at("larder.domain"), root.service.as_str()), ("profile", "cache-a"));
    assert!(spans.iter().all(|span| span.trace == TRACE && span.state == "a=1,b=2"), "{spans:#?}");
    assert!(spans.iter().all(|span| span.service == "cache-a" && span.status == 0));
    let (plan, get) = (named(&spans, "policy plan"), named(&spans, "store get"));
    assert_eq!((plan.parent.as_str(), plan.at("larder.domain")), (root.id.as_str(), "profile"));
    assert_eq!((get.parent.as_str(), get.kind), (root.id.as_str(), 3));
    let (load, asked) = (named(&spans, "load miss"), named(&spans, "origin GET"));
    assert_eq!((&load.parent, &asked.parent), (&root.id, &load.id));
    assert_eq!((asked.at("http.response.status_code"), asked.kind), ("200", 3));
    assert_eq!(&named(&spans, "store lease-fill").parent, &load.id);
    assert_eq!(&named(&spans, "policy admit").parent, &load.id);
    for span in &spans {
        assert!(span.began_ns >= root.began_ns && span.began_ns <= span.ended_ns, "{span:?} in {root:?}");
        assert!(!span.attributes.values().any(|value| value.contains("42")), "no keys: {span:?}");
    }
    let head = origin.head(0).to_ascii_lowercase();
    assert!(head.contains(&format!("traceparent: 00-{TRACE}-{}-01\r\n", asked.id)), "{head}");
    assert!(head.contains("tracestate: a=1,b=2\r\n"), "{head}");
    let heads = collector.heads();
    assert!(
        heads[0].starts_with("POST /v1/traces ") && heads[0].to_ascii_lowercase().contains("x-key: secret"),
        "{heads:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_recorded_is_passed_on() {
    let collector = Collector::start(Manner::Takes);
    let origin = TestOrigin::always(answer(200, "one")).await;
    let hosts = [
        traced(builder(Some(&origin), ""), &collector, "parentbased_traceidratio", "1.0").start(),
        // One that traces nothing passes on all the same.
        builder(Some(&origin), "").start(),
    ];
    for (at, host) in hosts.into_iter().enumerate() {
        let host = Arc::new(host);
        assert_eq!(read(&host, said(at == 1)).await, 200);
        let head = origin.head(at).to_ascii_lowercase();
        assert!(head.contains(&format!("traceparent: 00-{TRACE}-{CALLER}-0{at}\r\n")), "{head}");
        assert!(head.contains("tracestate: a=1,b=2\r\n"), "{head}");
        assert!(beside(move || Arc::into_inner(host).unwrap().stop()).await);
    }
    assert_eq!(collector.spans().len(), 0);
}

#[test]
fn commands_are_traced_by_their_own_ratio_and_sent_at_the_end() {
    let collector = Collector::start(Manner::Takes);
    let host = traced(builder(None, ""), &collector, "always_on", "").set("tracing.ratio", "0").start();
    let mut client = host.client();
    for words in [&["SET", KEY, "one"][..], &["GET", KEY], &["GET", "profile:user:7"], &["LPUSH", KEY, "a"]] {
        let _: redis::RedisResult<redis::Value> = command(words).query(&mut client);
    }
    drop(client);
    assert!(host.stop(), "what waits is sent at the end");
    let spans = collector.spans();
    let roots: Vec<_> = spans.iter().filter(|span| span.kind == 2).collect();
    let seen =
        |name: &str, state: &str| roots.iter().filter(|it| it.name == name && it.at("larder.state") == state).count();
    assert_eq!((seen("SET", "done"), seen("GET", "l1-hit"), seen("GET", "miss")), (1, 1, 1), "{roots:#?}");
    let push = roots.iter().find(|span| span.name == "LPUSH").expect("a span");
    assert_eq!((push.status, push.at("error.type")), (2, "error-reply"));
    assert!(roots.iter().all(|span| span.parent.is_empty() && span.at("larder.layer") == "resp"));
    let set = named(&spans, "SET");
    assert_eq!((&named(&spans, "store set").trace, &named(&spans, "store set").parent), (&set.trace, &set.id));
    let mut traces: Vec<_> = roots.iter().map(|span| &span.trace).collect();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), roots.len(), "each command is a trace of its own");
}

#[test]
fn a_ratio_of_nothing_traces_nothing() {
    let collector = Collector::start(Manner::Takes);
    let host = traced(builder(None, ""), &collector, "parentbased_traceidratio", "0").start();
    for _ in 0..50 {
        assert_eq!(text(&host.ask(&["SET", KEY, "one"]).unwrap()), "OK");
        assert_eq!(host.http("GET", PATH, "", b"").0, 200);
    }
    assert_eq!(host.metric("larder_spans_total"), 0.0);
    assert!(host.stop());
    assert_eq!(collector.heads().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_below_the_request_that_began_it() {
    let collector = Collector::start(Manner::Takes);
    let origin = TestOrigin::always(answer(200, "one")).await;
    let builder = builder(Some(&origin), "ttl = \"50ms\"\nstale = \"1h\"");
    let host = Arc::new(traced(builder, &collector, "parentbased_always_off", "").start());
    assert_eq!(read(&host, String::new()).await, 200);
    let stale = Arc::clone(&host);
    beside(move || wait_until("it is stale", || stale.explain(KEY)["life"] == "stale")).await;
    assert_eq!(read(&host, said(true)).await, 200);
    let is_there =
        |spans: &[Span]| spans.iter().any(|span| span.name == "load stale") && spans.iter().any(|span| span.kind == 2);
    let spans = collector.waits_for("the refresh", is_there);
    let root = spans.iter().find(|span| span.kind == 2).unwrap();
    let (load, asked) = (named(&spans, "load stale"), named(&spans, "origin GET"));
    assert_eq!((root.at("larder.state"), &load.parent, &asked.parent), ("stale", &root.id, &load.id));
}

/// Many requests are answered while the collector is what it is; what became of the spans.
fn check(url: &str, least: &[(&str, u64)], log: &str) {
    const BATCH: usize = 1_000;
    const BATCHES: usize = 20;
    let builder = builder(None, "").env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_TRACES_SAMPLER", "always_on");
    let host = builder.start();
    let mut client = host.client();
    assert_eq!(text(&command(&["SET", KEY, "one"]).query(&mut client).unwrap()), "OK");
    for _ in 0..BATCHES {
        let mut pipeline = redis::pipe();
        for _ in 0..BATCH {
            pipeline.cmd("GET").arg(KEY);
        }
        let answers: Vec<String> = pipeline.query(&mut client).unwrap();
        assert!(answers.len() == BATCH && answers.iter().all(|answer| answer == "one"));
    }
    for (outcome, at_least) in least {
        wait_until(&format!("{at_least} spans are {outcome}"), || spans(&host, outcome) >= *at_least);
    }
    assert_eq!(spans(&host, "exported"), 0);
    if !log.is_empty() {
        host.waits_to_log(log);
        let lines = host.log().lines().filter(|line| line.contains("spans were dropped")).count();
        assert!(lines <= 40, "one line in a second, not one for each of {BATCHES} batches: {lines}");
    }
    let since = Instant::now();
    assert!(host.stop(), "nor is its end held up");
    assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());
}

#[test]
fn a_collector_that_is_gone_costs_spans_only() {
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    check(&format!("http://{addr}"), &[("export-failed", 5_000)], "\"cause\":\"unreachable\"");
}

#[test]
fn a_collector_that_fails_costs_spans_only() {
    let collector = Collector::start(Manner::Fails);
    check(&collector.url(), &[("export-failed", 5_000)], "it answered 500");
}

#[test]
fn a_collector_that_hangs_costs_spans_only() {
    let collector = Collector::start(Manner::Hangs);
    // 20 000 spans: one batch is being sent, the queue is full, the others are dropped at once.
    check(&collector.url(), &[("queue-full", 2_000), ("export-failed", 500)], "\"cause\":\"timed-out\"");
    assert!(!collector.heads().is_empty());
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for (name, value, words) in [
        ("tracing.otlp_endpoint", "collector:4318", "http://127.0.0.1:4318"),
        ("tracing.otlp_endpoint", "http://u:secret@a", "set tracing.otlp_headers instead"),
        ("tracing.sampler", "sometimes", "'sometimes' is none of always_on"),
        ("tracing.ratio", "1.5", "no number from 0 to 1"),
        ("tracing.otlp_headers", "secret", "write name=value"),
        ("tracing.service_name", " ", "a name has 1 to 255 bytes"),
        ("log.summary", "10ms", "is not within"),
    ] {
        let Err(output) = HostBuilder::new().set(name, value).try_start() else { panic!("{name}={value} was taken") };
        assert!(output.contains(words) && !output.contains("secret"), "{name}={value}: {output}");
    }
}
