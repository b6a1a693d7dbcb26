//! Users, roles, secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{LIMITED, Lines, READER, WRITER, bearer, guarded, users};
use crate::support::host::{Host, OPERATOR, http};
use crate::support::redis::RedisServer;

const NO_COMMAND: &str = "-NOPERM this user has no permissions to run the '";
const NO_KEY: &str = "-NOPERM this user has no permissions to access one of the keys used as arguments";

/// What each user is told: `+` or what it is told instead. Operator, reader, writer, limited.
const COMMANDS: &[(&str, [&str; 4])] = &[
    ("SET profile:user:1 x", ["+OK", NO_KEY, "+OK", "+OK"]),
    ("GET profile:user:1", ["x", "x", "x", "x"]),
    ("SET session:1 x", ["+OK", NO_KEY, "+OK", NO_KEY]),
    ("GET session:1", ["x", "x", "x", NO_KEY]),
    ("MGET profile:user:1 session:1", ["*2", "*2", "*2", NO_KEY]),
    ("MSET profile:user:1 x session:1 y", ["+OK", NO_KEY, "+OK", NO_KEY]),
    ("DEL profile:user:9 session:9", [":0", NO_KEY, ":0", NO_KEY]),
    ("EXISTS profile:user:9 session:9", [":0", ":0", ":0", NO_KEY]),
    ("LARDER.WARM profile KEYS user:1", ["*14", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("LARDER.WARM session KEYS 1", ["*14", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("LARDER.HOTKEYS", ["*"; 4]),
    ("SET plain x", ["+OK", NO_KEY, "+OK", NO_KEY]),
    ("LARDER.EXPLAIN session:1", ["*", "*", "*", NO_KEY]),
    ("LARDER.INVALIDATE TAG profile t", ["+OK", NO_COMMAND, "+OK", "+OK"]),
    ("LARDER.INVALIDATE PREFIX session t", [":0", NO_COMMAND, ":0", NO_COMMAND]),
    ("LARDER.INVALIDATE DOMAIN profile", ["+OK", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("LARDER.CALL queue length 1", [":0", NO_COMMAND, ":0", NO_COMMAND]),
    ("LARDER.EVENT * x {}", [":", NO_COMMAND, ":", NO_COMMAND]),
    ("LARDER.LOCK INFO l", ["$-1", "$-1", "$-1", "$-1"]),
    ("LARDER.LOCK RELEASE l t", [":0", NO_COMMAND, ":0", NO_COMMAND]),
    ("LARDER.LOCK FORCE-RELEASE l", [":0", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("LARDER.POLICY SHOW session", ["*", "*", "*", NO_COMMAND]),
    ("LARDER.POLICY ROLLBACK session", ["-ERR", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("LARDER.BREAKER", ["*", "*", "*", "*"]),
    ("LARDER.BREAKER FORCE store open", ["-ERR", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("LARDER.LOG", ["info", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("CLIENT LIST", ["id=", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("CONFIG GET save", ["*2", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("PING", ["+PONG"; 4]),
    ("CLIENT ID", [":"; 4]),
];

const TOKENS: [(&str, &str); 4] =
    [("operator", OPERATOR), ("reader", READER), ("writer", WRITER), ("limited", LIMITED)];

/// The same of commands that are forwarded to a Redis.
const FORWARDED: &[(&str, [&str; 4])] = &[
    ("ZADD z 1 a", [":", NO_KEY, ":", NO_KEY]),
    ("ZCARD z", [":1"; 4]),
    ("EVAL return(1) 1 z", [":1", NO_KEY, ":1", NO_KEY]),
    ("EVAL return(1) 0", [":1", NO_COMMAND, ":1", NO_COMMAND]),
    ("PUBLISH c m", [":0", NO_COMMAND, ":0", NO_COMMAND]),
    ("SLOWLOG LEN", [":", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
    ("SUBSCRIBE c", ["*3", "*3", "*3", NO_COMMAND]),
];

#[test]
fn roles_hold_of_what_is_forwarded() {
    let redis = RedisServer::start();
    let host =
        guarded().set("store.url", &redis.url()).set("store.timeout", "10s").set("forward.allow", "slowlog").start();
    let mut clients = TOKENS.map(|(name, token)| Lines::login(host.resp, name, token));
    for (command, expected) in FORWARDED {
        for ((client, expect), (name, _)) in clients.iter_mut().zip(expected).zip(TOKENS) {
            let said = client.ask(command);
            assert!(said.starts_with(expect), "{command} by {name}: {said:?}, not {expect:?}");
        }
    }
    for command in ["ZCARD z", "SUBSCRIBE c", "PUBLISH c m"] {
        assert_eq!(Lines::connect(host.resp).ask(command), "-NOAUTH Authentication required.", "{command}");
    }
}

/// The same of another database, where no key belongs to a policy: roles are those in `default`.
const ELSEWHERE: &[(&str, [&str; 4])] = &[
    ("SELECT 1", ["+OK"; 4]),
    ("SET profile:1 x", ["+OK", NO_KEY, "+OK", NO_KEY]),
    ("GET session:1", ["$-1"; 4]),
    ("WATCH session:1", ["+OK"; 4]),
    ("UNWATCH", ["+OK"; 4]),
    ("DBSIZE", [":1"; 4]),
    ("EVAL return(1) 0", [":1", NO_COMMAND, ":1", NO_COMMAND]),
    ("FLUSHDB", ["-ERR FLUSHDB and FLUSHALL are off"; 4]),
    ("SLOWLOG LEN", [":", NO_COMMAND, NO_COMMAND, NO_COMMAND]),
];

#[test]
fn roles_hold_in_other_databases() {
    let redis = RedisServer::start();
    let host =
        guarded().set("store.url", &redis.url()).set("store.timeout", "10s").set("forward.allow", "slowlog").start();
    let mut clients = TOKENS.map(|(name, token)| Lines::login(host.resp, name, token));
    for (command, expected) in ELSEWHERE {
        for ((client, expect), (name, _)) in clients.iter_mut().zip(expected).zip(TOKENS) {
            let said = client.ask(command);
            assert!(said.starts_with(expect), "{command} by {name}: {said:?}, not {expect:?}");
        }
    }
    assert_eq!(Lines::connect(host.resp).ask("SELECT 1"), "-NOAUTH Authentication required.");
}

#[test]
fn roles_hold_over_resp() {
    let host = guarded().start();
    let mut clients = TOKENS.map(|(name, token)| Lines::login(host.resp, name, token));
    for (command, expected) in COMMANDS {
        for ((client, expect), (name, _)) in clients.iter_mut().zip(expected).zip(TOKENS) {
            let said = client.ask(command);
            assert!(said.starts_with(expect), "{command} by {name}: {said:?}, not {expect:?}");
        }
    }
    assert!(host.metric("larder_denials_total") > 20.0);
    let mut stranger = Lines::connect(host.resp);
    for command in ["GET profile:user:1", "PING", "CLIENT ID", "LARDER.HELP"] {
        assert_eq!(stranger.ask(command), "-NOAUTH Authentication required.", "{command}");
    }
    assert_eq!(stranger.ask("QUIT"), "+OK");
}

#[test]
fn roles_hold_over_http() {
    let host = guarded().start();
    let json = |text: &str| text.as_bytes().to_vec();
    let of = |domain: &str| json(&format!("{{\"selectors\":[{{\"domain\":\"{domain}\",\"prefix\":\"t\"}}]}}"));
    for (method, path, body, expected) in [
        ("PUT", "/v1/cache/profile/user:1", json("x"), [204, 403, 204, 204]),
        ("GET", "/v1/cache/profile/user:1", json(""), [200, 200, 200, 200]),
        ("PUT", "/v1/cache/session/1", json("x"), [204, 403, 204, 403]),
        ("GET", "/v1/cache/session/1", json(""), [200, 200, 200, 403]),
        ("GET", "/v1/cache/s%65ssion/1", json(""), [200, 200, 200, 403]),
        ("GET", "/v1/cache/default/session:1", json(""), [200, 200, 200, 403]),
        ("GET", "/v1/explain/session/1", json(""), [200, 200, 200, 403]),
        ("POST", "/v1/cache/profile/batch", json(r#"{"get":["user:1"]}"#), [200, 200, 200, 200]),
        ("POST", "/v1/cache/session/batch", json(r#"{"get":["1"]}"#), [200, 200, 200, 403]),
        ("POST", "/v1/cache/profile/batch", json(r#"{"set":{"user:1":"x"}}"#), [200, 403, 200, 200]),
        ("POST", "/v1/cache/session/batch", json(r#"{"delete":["9"]}"#), [200, 403, 200, 403]),
        ("POST", "/v1/cache/default/batch", json(r#"{"get":["profile:user:1","session:1"]}"#), [200, 200, 200, 403]),
        ("POST", "/v1/warm", json(r#"{"domain":"profile","keys":["user:1"]}"#), [200, 403, 403, 403]),
        ("GET", "/v1/hot-keys", json(""), [200, 200, 200, 200]),
        ("PUT", "/v1/cache/default/plain", json("x"), [204, 403, 204, 403]),
        ("POST", "/v1/invalidate", of("profile"), [200, 403, 200, 200]),
        ("POST", "/v1/invalidate", of("session"), [200, 403, 200, 403]),
        ("POST", "/v1/invalidate", json("{\"selectors\":[{\"domain\":\"profile\"}]}"), [200, 403, 403, 403]),
        ("POST", "/v1/events", json("{\"type\":\"x\"}"), [200, 403, 200, 403]),
        ("POST", "/v1/domains/queue/commands/length", json("{\"arguments\":[1]}"), [200, 403, 200, 403]),
        ("POST", "/v1/locks/a", json("{\"ttl_ms\":1,\"wait_ms\":0}"), [201, 403, 0, 403]),
        ("DELETE", "/v1/locks/a", json("{\"force\":true}"), [0, 403, 403, 403]),
        ("DELETE", "/v1/locks", json("{\"prefix\":\"a\"}"), [200, 403, 403, 403]),
        ("GET", "/v1/policies", json(""), [200, 200, 200, 200]),
        ("GET", "/v1/policies/session", json(""), [200, 200, 200, 403]),
        ("POST", "/v1/policies/session/rollback", json(""), [409, 403, 403, 403]),
        ("GET", "/v1/breakers", json(""), [200, 200, 200, 200]),
        ("PUT", "/v1/log", json("{\"level\":\"info\"}"), [200, 403, 403, 403]),
        ("GET", "/metrics", json(""), [200, 200, 200, 200]),
        ("GET", "/healthz", json(""), [200, 200, 200, 200]),
    ] {
        for (expect, (name, token)) in expected.into_iter().zip(TOKENS) {
            let (status, ..) = host.http(method, path, &bearer(token), &body);
            // 0: whatever became of it, it was allowed.
            let right = if expect == 0 { status != 401 && status != 403 } else { status == expect };
            assert!(right, "{method} {path} by {name}: {status}, not {expect}");
        }
        let (status, head, answer) = host.http(method, path, "", &body);
        if matches!(path, "/healthz") {
            assert_eq!(status, 200, "{path} is for everybody");
        } else {
            assert_eq!(status, 401, "{method} {path} by nobody");
            assert!(head.contains("www-authenticate: bearer"), "{head}");
            assert!(String::from_utf8(answer).unwrap().contains("urn:larder:problem:unauthenticated"));
        }
    }
    for path in ["/readyz", "/openapi.json", "/"] {
        assert_eq!(host.http("GET", path, "", b"").0, 200, "{path}");
    }
}

#[test]
fn nobody_is_shown_hot_keys_of_a_domain_that_it_may_not_read() {
    let host = guarded().start();
    let mut operator = Lines::login(host.resp, "operator", OPERATOR);
    assert_eq!(operator.ask("SET session:secret x"), "+OK");
    for _ in 0..2_000 {
        assert_eq!(operator.ask("GET session:secret"), "x");
    }
    let shown = |token: &str, query: &str| {
        let (status, _, body) = host.http("GET", &format!("/v1/hot-keys{query}"), &bearer(token), b"");
        assert_eq!(status, 200);
        String::from_utf8(body).unwrap().contains("session:secret")
    };
    for query in ["", "?domain=session"] {
        assert_eq!([OPERATOR, READER, LIMITED].map(|token| shown(token, query)), [true, true, false], "{query}");
    }
    let said = |name: &str, token: &str, command: &str| Lines::login(host.resp, name, token).ask(command);
    for command in ["LARDER.HOTKEYS", "LARDER.HOTKEYS session"] {
        assert_eq!(said("reader", READER, command), "*1", "{command}");
        assert_eq!(said("limited", LIMITED, command), "*0", "{command}");
    }
}

#[test]
fn wrong_credentials_are_refused_in_every_form() {
    let host = guarded().start();
    let basic = |text: &str| format!("authorization: Basic {}\r\n", BASE64.encode(text));
    let get = |headers: &str| host.http("GET", "/v1/policies", headers, b"").0;
    assert_eq!(get(&basic(&format!("reader:{READER}"))), 200);
    for headers in [
        &basic(&format!("writer:{READER}")),
        &basic("reader"),
        "authorization: Basic !!!\r\n",
        "authorization: Bearer\r\n",
        "authorization: Digest x\r\n",
        &bearer(""),
        &bearer(&READER[1..]),
        &bearer(&format!("{READER}x")),
    ] {
        assert_eq!(get(headers), 401, "{headers:?}");
    }
    let mut client = Lines::connect(host.resp);
    const WRONG: &str = "-WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(client.ask(&format!("AUTH reader {WRITER}")), WRONG);
    assert_eq!(client.ask(&format!("AUTH {READER}")), WRONG, "there is no user 'default'");
    assert!(client.ask(&format!("HELLO 3 AUTH reader {READER}")).starts_with('%'));
}

#[test]
fn who_guesses_is_refused_for_a_while_and_others_are_not_disturbed() {
    let host = guarded().start();
    let mut known = Lines::login(host.resp, "reader", READER);
    let mut guesser = Lines::connect(host.resp);
    let mut said = String::new();
    for n in 0..30 {
        said = guesser.ask(&format!("AUTH reader guess-{n}"));
        if !said.starts_with("-WRONGPASS") {
            break;
        }
    }
    assert!(said.starts_with("-ERR too many wrong passwords came from your address; try again in "), "{said}");
    assert_eq!(host.http("GET", "/v1/policies", &bearer(READER), b"").0, 429, "the right one is not looked at either");
    assert_eq!(known.ask("GET none"), "$-1", "who was let in stays so");
    host.waits_to_log("too many wrong passwords or tokens from an address");
    // The pause is short at first, and ends by itself.
    crate::support::host::wait_until("the pause is over", || {
        host.http("GET", "/v1/policies", &bearer(READER), b"").0 == 200
    });
    assert!(host.metric("larder_logins_total") > 10.0);
}

/// Everything that was ever said in secret.
fn say_secrets(host: &Host) -> Vec<String> {
    let guess = "guessed-secret-of-somebody";
    let mut client = Lines::connect(host.resp);
    client.ask(&format!("AUTH reader {guess}"));
    client.ask(&format!("AUTH {guess}"));
    client.ask(&format!("AUTH reader {READER} {guess}"));
    client.ask(&format!("NONSENSE {guess}"));
    client.ask(&format!("HELLO 3 AUTH reader {guess}"));
    client.ask(&format!("HELLO 2 AUTH operator {OPERATOR}"));
    client.ask("GET profile:user:1");
    let basic = BASE64.encode(format!("reader:{READER}"));
    for headers in [bearer(guess), bearer(WRITER), format!("authorization: Basic {basic}\r\n")] {
        host.http("GET", "/v1/policies", &headers, b"");
    }
    [guess, READER, WRITER, OPERATOR, &basic, "hunter2-in-the-url", "hunter2-of-default"].map(str::to_owned).into()
}

#[test]
fn no_secret_is_ever_logged() {
    let file = format!("{}[log]\nlevel = 'trace'\n", users());
    let host = guarded()
        .file("larder.toml", &file)
        .env("LOG_LEVEL", "trace")
        .env("LARDER_PASSWORD", "hunter2-of-default")
        .arg("--store")
        .arg("redis://app:hunter2-in-the-url@127.0.0.1:1")
        .start();
    let secrets = say_secrets(&host);
    host.reload();
    host.file(
        "larder.toml",
        &format!("{file}[store]\nurl = 'redis://app:hunter2-in-the-url@127.0.0.1:1'\nnonsense = 1"),
    );
    host.reload();
    let log = host.log();
    assert!(log.contains("DEBUG") && log.contains("answered over HTTP"), "it is a long log");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}

#[test]
fn users_are_taken_up_and_taken_away_while_the_host_runs() {
    let host = guarded().set("l1.size", "1MiB").start();
    let (mut reader, mut writer) =
        (Lines::login(host.resp, "reader", READER), Lines::login(host.resp, "writer", WRITER));
    assert_eq!(writer.ask("SET profile:user:1 x"), "+OK");
    assert_eq!(reader.ask("GET profile:user:1"), "x");
    // One is gone, one may less; something else can only be taken up by a new start.
    let without = users().replace("name = 'reader'", "name = 'somebody'").replace("role = 'write'", "role = 'read'");
    host.file("larder.toml", &format!("{without}[key]\nprefix = 'other'\n[resp]\nconnections_max = 7\n"));
    host.reload();
    assert_eq!(reader.ask("GET profile:user:1"), "-NOAUTH Authentication required.", "even a hit");
    assert_eq!(writer.ask("GET profile:user:1"), "x");
    assert!(writer.ask("SET profile:user:1 y").starts_with("-NOPERM"));
    assert_eq!(reader.ask(&format!("AUTH somebody {READER}")), "+OK");
    host.waits_to_log("wait for the next start");
    host.waits_to_log("key.prefix");
    assert_eq!(host.metric("larder_config_settings_waiting"), 1.0);
    let mut operator = Lines::login(host.resp, "operator", OPERATOR);
    operator.send(b"CONFIG GET maxclients\r\n");
    assert_eq!([operator.line(), operator.line(), operator.line(), operator.line(), operator.line()][4], "7");

    // A file with an error changes nothing.
    host.file("larder.toml", "[resp]\nconnections_max = 0\n");
    host.reload();
    assert!(host.log().contains("larder.toml:2: resp.connections_max"), "{}", host.log());
    assert_eq!(reader.ask("GET profile:user:1"), "x");
}

#[test]
fn operators_may_have_an_address_of_their_own() {
    let host = guarded().arg("--admin").arg("127.0.0.1:0").start();
    let admin = host.admin.unwrap();
    for (method, path, body) in [
        ("PUT", "/v1/log", "{\"level\":\"info\"}"),
        ("GET", "/metrics", ""),
        ("POST", "/v1/policies/session/rollback", ""),
    ] {
        let (status, _, said) = host.http(method, path, &bearer(OPERATOR), body.as_bytes());
        assert_eq!(status, 403, "{path}");
        assert!(String::from_utf8(said).unwrap().contains("admin.address"));
        assert_ne!(http(admin, method, path, &bearer(OPERATOR), body.as_bytes()).0, 403, "{path}");
        assert_eq!(http(admin, method, path, "", body.as_bytes()).0, 401, "{path}");
    }
    assert_eq!(host.http("PUT", "/v1/cache/profile/user:1", &bearer(WRITER), b"x").0, 204);
    assert_eq!(http(admin, "GET", "/v1/cache/profile/user:1", &bearer(READER), b"").0, 200);
    let force = b"{\"force\":true}";
    assert_eq!(host.http("DELETE", "/v1/locks/x", &bearer(OPERATOR), force).0, 403);
    assert_eq!(http(admin, "DELETE", "/v1/locks/x", &bearer(OPERATOR), force).0, 404);
}

#[test]
fn what_is_logged_changes_at_run_time() {
    let host = guarded().start();
    let put = |level: &str| {
        let (status, _, body) =
            host.http("PUT", "/v1/log", &bearer(OPERATOR), format!("{{\"level\":\"{level}\"}}").as_bytes());
        (status, String::from_utf8(body).unwrap())
    };
    let chatty = || host.log().matches("answered over HTTP").count();
    assert_eq!(chatty(), 0);
    assert_eq!(put("info,larder::wire::http=debug"), (200, "{\"level\":\"info,larder::wire::http=debug\"}".to_owned()));
    crate::support::host::wait_until("it is logged", || chatty() > 0);
    let (status, said) = put("loud");
    assert!(status == 400 && said.contains("neither a level"), "{said}");
    let mut operator = Lines::login(host.resp, "operator", OPERATOR);
    assert_eq!(operator.ask("LARDER.LOG"), "info,larder::wire::http=debug");
    assert_eq!(operator.ask("LARDER.LOG warn"), "warn");
    assert!(operator.ask("LARDER.LOG nonsense").starts_with("-ERR LOG_LEVEL: 'nonsense' is neither a level"));
    let (status, _, body) = host.http("GET", "/v1/log", &bearer(READER), b"");
    assert_eq!((status, body), (200, b"{\"level\":\"warn\"}".to_vec()));
    // SIGHUP goes back to what the settings say.
    host.reload();
    assert_eq!(operator.ask("LARDER.LOG"), "info");
}
