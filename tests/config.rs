//! Settings from outside: the command line, and more bad files than anybody would write by hand.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use larder::config::Config;
use larder::config::layers::Layers;
use larder::config::table::SETTINGS;
use proptest::prelude::*;
use tempfile::TempDir;

/// `larder config …` in a folder with this `larder.toml`.
fn larder(folder: &TempDir, file: &str, words: &[&str]) -> (bool, String) {
    std::fs::write(folder.path().join("larder.toml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    let Output { status, stdout, stderr } =
        command.arg("config").args(words).current_dir(folder.path()).env("CACHE_KEY_PREFX", "x").output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// What a file and an environment of nothing but `TOKEN` make.
fn read(text: &str) -> Result<Config, String> {
    let environment = |name: &str| (name == "TOKEN").then(|| "0123456789abcdef".to_owned());
    let layers = Layers::defaults().file("larder.toml", text).map_err(|error| error.to_string())?;
    Config::new(&layers, environment).map_err(|error| error.to_string())
}

/// An error names a line that is there.
#[track_caller]
fn check_told(text: &str, error: &str) {
    let line = error.strip_prefix("larder.toml:").and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
    let lines = text.lines().count().max(1);
    assert!(line.is_some_and(|line| (1..=lines + 1).contains(&line)), "{error:?} of {text:?}");
}

#[test]
fn a_thousand_bad_values_are_told_and_nothing_panics() {
    const BAD: &[&str] = &[
        "''",
        "'\\u0000'",
        "-1",
        "1e400",
        "nan",
        "18446744073709551616",
        "'18446744073709551616'",
        "'-5s'",
        "'5 parsecs'",
        "'99999999999999999999h'",
        "[]",
        "[1, 2]",
        "{}",
        "{ a = 1 }",
        "1979-05-27",
        "'\u{1F600}'",
        "'{}*?[]'",
        "'redis://'",
        "'rediss://h'",
        "'http://x'",
        "'256.256.256.256:1'",
        "'localhost:99999'",
        "'file:/nowhere/at/all'",
        "'env:NOT_SET'",
        "0x",
        "tru",
        "'''\n",
        "\"\\q\"",
    ];
    let (mut cases, mut refused) = (0, 0);
    for setting in SETTINGS {
        for value in BAD {
            let text = format!("# a comment\n{} = {value}\n", setting.name);
            cases += 1;
            if let Err(error) = read(&text) {
                refused += 1;
                check_told(&text, &error);
            }
        }
    }
    // Some settings take nearly any text: a folder, a password.
    assert!(cases >= 1_000 && refused * 10 > cases * 8, "{refused} of {cases}");
}

/// Lines that are nearly right.
fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => proptest::sample::select(SETTINGS).prop_map(|setting| setting.name.to_owned()),
        1 => "[a-z0-9_.]{0,12}",
        1 => proptest::sample::select(&["name", "secret", "role", "domains", "certificate", "users"][..]).prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        3 => "'[ -&(-~]{0,12}'",
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => "[\\[\\]{}\"'=,.#a-z0-9 ]{0,16}",
        1 => Just("'env:TOKEN'".to_owned()),
    ];
    let head =
        proptest::sample::select(&["[[users]]", "[resp]", "[users]", "[users.domains]", "[[resp]]", "[", "[]"][..]);
    prop_oneof![
        6 => (name, value).prop_map(|(name, value)| format!("{name} = {value}")),
        2 => head.prop_map(str::to_owned),
        1 => ".{0,24}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn no_text_panics(lines in proptest::collection::vec(line(), 0..8)) {
        let text = lines.join("\n");
        if let Err(error) = read(&text) {
            check_told(&text, &error);
        }
    }
}

#[test]
fn the_command_line_checks_and_shows() {
    let folder = TempDir::new().unwrap();
    let (good, said) = larder(&folder, "[l1]\nsize = '1MiB'", &["check"]);
    assert!(good && said.contains("the settings are good"), "{said}");
    assert!(
        said.contains("CACHE_KEY_PREFX is set, and there is no such variable; did you mean CACHE_KEY_PREFIX?"),
        "{said}"
    );
    let (good, said) = larder(&folder, "[l1]\nsise = '1MiB'", &["check"]);
    assert!(!good && said.contains("larder.toml:2: there is no setting 'l1.sise'; did you mean 'l1.size'?"), "{said}");
    let (good, said) = larder(&folder, "[l1]\nsise = '1MiB'", &["check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert!(!good && json["ok"] == false && json["error"].as_str().unwrap().contains("l1.sise"), "{said}");

    let file = "[auth]\npassword = 'hunter2'\n[store]\nurl = 'redis://app:hunter2@h:1'\n[key]\nprefix = 'p'";
    let (good, said) = larder(&folder, file, &["show", "--set", "l1.size=2MiB"]);
    let line = |name: &str| said.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(good && !said.contains("hunter2"), "{said}");
    assert!(line("key.prefix ").contains(" p ") && line("key.prefix ").ends_with("larder.toml:6"), "{said}");
    assert!(line("l1.size ").ends_with("the command line") && line("l1.trust ").ends_with("the default"), "{said}");
    assert!(line("store.url ").contains("redis://app:***@h:1") && line("auth.password ").contains("***"), "{said}");
    assert!(line("users.default ").contains("admin"), "{said}");
    let (_, said) = larder(&folder, file, &["show", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let found = json.as_array().unwrap().iter().find(|it| it["name"] == "key.prefix").unwrap();
    assert_eq!((&found["value"], &found["source"]), (&"p".into(), &"larder.toml:6".into()));
}

#[test]
fn a_secret_is_hashed() {
    let hash = |secret: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        let pipes =
            command.args(["config", "hash"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    };
    let (good, said) = hash("0123456789abcdef\n");
    assert!(
        good && read(&format!("[[users]]\nname = 'a'\nrole = 'read'\nsecret = '{}'", said.trim())).is_ok(),
        "{said}"
    );
    let (good, said) = hash("short\n");
    assert!(!good && said.contains("16 to 1024"), "{said}");
}
