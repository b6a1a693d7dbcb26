//! Events: the policy says what is out of date, and it is.

use super::Bench;

fn tell(bench: &Bench, body: &str) -> (u16, String) {
    let (status, _, body) =
        bench.host.http("POST", "/v1/events", "content-type: application/json\r\n", body.as_bytes());
    (status, String::from_utf8(body).unwrap())
}

#[test]
fn an_event_invalidates_what_its_policy_says() {
    for bench in [Bench::memory("enveloped = true"), Bench::redis("enveloped = true")] {
        bench.check(&[
            ("SET clerk:a 1", "OK"),
            ("SET clerk:b:1 1", "OK"),
            ("SET clerk:b:2 1", "OK"),
            ("SET profile:user:1 1", "OK"),
            ("LARDER.EVENT clerk key \"a\"", "1"),
            ("GET clerk:a", "nil"),
            ("GET clerk:b:1", "1"),
            ("LARDER.EVENT clerk prefix \"b:\"", "1"),
            ("GET clerk:b:1", "nil"),
            ("GET clerk:b:2", "nil"),
            ("SET clerk:c 1", "OK"),
            ("LARDER.EVENT clerk pattern \"?\"", "1"),
            ("GET clerk:c", "nil"),
            ("SET clerk:d 1", "OK"),
            ("LARDER.EVENT * domain {}", "1"),
            ("GET clerk:d", "nil"),
            ("GET profile:user:1", "1"),
            ("LARDER.EVENT clerk nothing {}", "0"),
            ("LARDER.EVENT clerk strange {}", "…domain 'clerk': no event `strange` [refused; blame: caller"),
            ("LARDER.EVENT clerk trap {}", "…a trap in on-event, as asked"),
            ("LARDER.EVENT clerk io {}", "…NotAllowed"),
            ("LARDER.EVENT clerk key {", "…the payload is no JSON"),
            ("LARDER.EVENT profile key 1", "…takes no events"),
            ("LARDER.EVENT none key 1", "…no policy serves the domain 'none'"),
            ("SET clerk:a 2", "OK"),
        ]);
        let (status, body) = tell(&bench, r#"{"domain": "clerk", "type": "key", "data": "a"}"#);
        assert_eq!((status, &*body), (200, r#"{"invalidated":[{"domain":"clerk","keys":1,"selector":"key"}]}"#));
        bench.check(&[("GET clerk:a", "nil")]);
        for (body, expected) in [("{", 400), (r#"{"type": ""}"#, 400), (r#"{"type": "x", "more": 1}"#, 400)] {
            assert_eq!(tell(&bench, body).0, expected, "{body}");
        }
        assert_eq!(tell(&bench, r#"{"domain": "none", "type": "x"}"#).0, 404);
        assert_eq!(tell(&bench, r#"{"domain": "profile", "type": "x"}"#).0, 422);
    }
}

#[test]
fn commands_over_http() {
    let bench = Bench::memory("");
    let call = |command: &str, body: &str| {
        let path = format!("/v1/domains/clerk/commands/{command}");
        let (status, _, body) = bench.host.http("POST", &path, "", body.as_bytes());
        (status, String::from_utf8(body).unwrap())
    };
    let is = |answer: (u16, String), expected: &str| assert_eq!(answer, (200, format!("{{\"reply\":{expected}}}")));
    is(call("nothing", ""), "null");
    is(call("echo", r#"{"arguments": ["a", 1, true]}"#), r#"["a","1","true"]"#);
    is(call("fields", r#"{"arguments": ["a", 1]}"#), r#"{"a":"1"}"#);
    is(call("increment", r#"{"arguments": ["n", 2]}"#), "2");
    for (command, body, expected) in [
        ("no-such", "", 422),
        ("get", "", 400),
        ("get", r#"{"arguments": [[]]}"#, 400),
        ("get", "nonsense", 400),
        ("unavailable", "", 503),
        ("other", "", 422),
    ] {
        assert_eq!(call(command, body).0, expected, "{command} {body}");
    }
}
