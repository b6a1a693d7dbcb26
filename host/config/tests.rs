//! Layers, sources, users, and combinations that cannot work.

use super::users::Role;
use super::*;

fn config(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let mut layers = Layers::defaults().file("larder.toml", file)?.environment(environment);
    for (name, value) in flags {
        layers = layers.flag(name, (*value).to_owned())?;
    }
    Config::new(&layers, environment)
}

#[track_caller]
fn check_error(file: &str, env: &[(&str, &str)], expect: &str) {
    match config(file, env, &[]) {
        Ok(_) => panic!("no error for {file:?} {env:?}"),
        Err(error) => assert_eq!(error.to_string(), expect),
    }
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "[key]\nprefix = 'file'\n";
    let env = [("CACHE_KEY_PREFIX", "env")];
    for (file, env, flags, expect) in [
        ("", &[][..], &[][..], "chat"),
        (file, &[], &[], "file"),
        (file, &env, &[], "env"),
        (file, &env, &[("key.prefix", "flag")], "flag"),
    ] {
        let prefix = config(file, env, flags).map(|config| config.key_prefix);
        assert_eq!(prefix.as_deref().ok(), Some(expect));
    }
}

#[test]
fn the_first_users_redis_variables_choose_the_store() {
    let env = [("REDIS_HOST", "cache"), ("REDIS_PORT", "7000"), ("REDIS_PASSWORD", "a b")];
    let store = config("", &env, &[]).map(|config| config.store);
    assert!(store == Ok(StoreChoice::Redis("redis://:a%20b@cache:7000".to_owned())));
    let store = config("[store]\nurl = 'memory'", &env, &[]).map(|config| config.store);
    assert!(store == Ok(StoreChoice::Memory));
}

#[test]
fn errors_name_the_source_and_the_nearest_name() {
    check_error(
        "[key]\nprefx = 'x'",
        &[],
        "larder.toml:2: there is no setting 'key.prefx'; did you mean 'key.prefix'?",
    );
    check_error(
        "\n\n[l1]\nsize = 'big'",
        &[],
        "larder.toml:4: l1.size: 'big' is no size; write 64KiB, 256MiB, 1GiB or a number of bytes",
    );
    check_error(
        "",
        &[("CACHE_KEY_SEPARATOR", "::")],
        "the environment variable CACHE_KEY_SEPARATOR: key.separator: the separator is one punctuation character, and none of { } * ? [ ] \\",
    );
}

#[test]
fn a_value_of_a_kind_that_no_setting_has_is_told_with_its_line() {
    check_error("resp = 5", &[], "larder.toml:1: 'resp' is a group of settings: write resp.NAME, or [resp] above them");
    check_error("\n[nosuch]\n", &[], "larder.toml:2: there is no setting 'nosuch'");
    check_error("[stor]\nurl = 'x'", &[], "larder.toml:1: there is no setting 'stor'; did you mean 'store'?");
    check_error("l1.size = [1]", &[], "larder.toml:1: l1.size is one value: a text, a number, true or false");
    check_error("[key]\nprefix = 'a'\nprefix = 'b'", &[], "larder.toml:3: duplicate key");
    check_error("workers = 1.5", &[], "larder.toml:1: workers: '1.5' is not a whole number from 1 to 1024");
    let error = config("workers = 0x2", &[], &[("nosuch", "1")]).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the command line: there is no setting 'nosuch'");
    assert_eq!(config("workers = 0x2", &[], &[]).map(|config| config.workers), Ok(2));
}

const ALICE: &str = "[[users]]\nname = 'alice'\n";

#[test]
fn users_are_read_with_their_secrets() {
    let secret = Secret::of(b"0123456789abcdef");
    let file = format!(
        "[[users]]\nname = 'alice'\nsecret = ['env:TOKEN', '{}']\nrole = 'read'\ndomains = {{ profile = 'write' }}\nrate_max = 5",
        secret.written()
    );
    let config = config(&file, &[("TOKEN", "0123456789abcdef"), ("LARDER_PASSWORD", "env:TOKEN")], &[]);
    let users = config.map(|config| config.users).unwrap_or_default();
    let alice = User {
        name: "alice".into(),
        secrets: vec![secret, secret],
        certificate: None,
        role: Role::Read,
        domains: [("profile".to_owned(), Role::Write)].into(),
        rate_max: Some(5),
    };
    assert_eq!(users, [alice, User::all_powerful(secret)]);
}

#[test]
fn users_that_cannot_be_are_told_with_their_line() {
    for (lines, line, says) in [
        ("", 1, "the user 'alice' needs a secret or a certificate"),
        ("secret = 'env:T'", 1, "may do nothing"),
        ("secret = 'env:T'\nrole = 'none'\ndomains.x = 'none'", 1, "may do nothing"),
        ("secret = 'env:NOPE'\nrole = 'read'", 1, "the user 'alice': the environment variable NOPE is not set"),
        ("secret = 'hunter2hunter2hunter2'\nrole = 'read'", 3, "a secret is not written in clear; write sha256:HEX"),
        ("secret = []\nrole = 'read'", 3, "up to 4"),
        ("secrt = 'env:T'", 3, "a user has no 'secrt'; did you mean 'secret'?"),
        ("role = 'root'", 3, "'root' is no role; write read, write, admin or none"),
        ("secret = 'env:T'\n[users.domains]\nx = 'boss'", 5, "'boss' is no role"),
        ("domains = 'x'", 3, "domains is a table"),
        ("rate_max = 0", 3, "not a whole number from 1"),
        ("secret = 'env:T'\nrole = 'read'\n[[users]]\nname = 'alice'", 5, "needs a secret"),
        ("certificate = 'a.example'\nrole = 'read'", 1, "set tls.clients to ask or require"),
    ] {
        let error = config(&format!("{ALICE}{lines}"), &[("T", "0123456789abcdef")], &[]).map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("larder.toml:{line}: ")) && text.contains(says), "{lines:?}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    check_error(
        "[[users]]\nname = 'a b'",
        &[],
        "larder.toml:2: a user's name has 1 to 64 letters, digits, '-', '_', '.' or '@'",
    );
    check_error("users = 5", &[], "larder.toml:1: users are written as [[users]] with name, secret and role");
}

#[test]
fn combinations_that_cannot_work_are_errors() {
    let key = |name, value| (name, value);
    for (flags, says) in [
        (&[key("resp.address", "off"), key("http.address", "off")][..], "nobody could be served"),
        (&[key("resp.address", "0.0.0.0:6380")], "other machines reach 0.0.0.0:6380"),
        (&[key("admin.address", "[::]:9000")], "other machines reach [::]:9000"),
        (&[key("http.address", "127.0.0.1:6380")], "is the address of resp.address as well"),
        (&[key("auth.open", "true"), key("auth.password", "x")], "one of the two"),
        (&[key("tls.certificate", "c.pem")], "set tls.key too"),
        (&[key("tls.key", "c.pem")], "set tls.certificate too"),
        (&[key("tls.client_ca", "c.pem")], "set tls.certificate and tls.key too"),
        (&[key("tls.clients", "require")], "set tls.certificate, tls.key and tls.client_ca too"),
        (&[key("resp.tls", "on")], "set tls.certificate and tls.key too"),
        (&[key("store.memory_max", "1MiB")], "such a value could never be stored"),
        (&[key("store.port", "1")], "it goes with store.host"),
        (&[key("store.host", "h"), key("store.url", "memory")], "store.url is set as well"),
    ] {
        let error = config("", &[], flags).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(says), "{flags:?}: {error}");
    }
    for flags in [
        &[key("resp.address", "0.0.0.0:6380"), key("auth.password", "x")][..],
        &[key("resp.address", "0.0.0.0:6380"), key("auth.open", "true")],
        &[key("resp.address", "127.0.0.1:0"), key("http.address", "127.0.0.1:0")],
    ] {
        assert_eq!(config("", &[], flags).map(|_| ()), Ok(()), "{flags:?}");
    }
}

#[test]
fn changes_are_named() {
    let of = |text: &str| Layers::defaults().file("larder.toml", text).unwrap();
    let before = of("[l1]\nsize = '1MiB'");
    assert_eq!(before.changes(&of("[key]\nprefix = 'chat'\n[l1]\nsize = '1MiB'")), [""; 0]);
    let after = of(&format!("[log]\nlevel = 'warn'\n{ALICE}secret = 'env:T'\nrole = 'read'"));
    assert_eq!(before.changes(&after), ["l1.size", "log.level", "users"]);
}

#[test]
fn variables_of_policies_reach_their_domain() {
    let config = config("", &[("CACHE_PROFILE_TTL", "60")], &[]);
    let ttl = config.ok().and_then(|config| config.policy_overrides.get("profile")?.get("ttl").cloned());
    assert_eq!(ttl.as_deref(), Some("60"));
}
