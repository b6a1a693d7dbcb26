//! What a policy's author does with the `larder` binary alone, in an empty folder outside of this repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::host::{HostBuilder, SAMPLES, guest, sample, text};
use crate::support::policies::guarded;

/// `larder policy …` in a folder, without a network for Cargo.
fn larder(folder: &Path, words: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_larder"))
        .arg("policy")
        .args(words)
        .current_dir(folder)
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Where guests are compiled, so that their standard library is built once.
fn target() -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("guests");
    target.to_str().unwrap().to_owned()
}

#[test]
fn a_new_policy_builds_and_passes_its_cases_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (done, printed, _) = larder(folder.path(), &["new", "orders"]);
    assert!(done && printed.contains("larder policy build ./orders"), "{printed}");
    let (done, built, said) = larder(folder.path(), &["build", "orders", "--target", &target()]);
    assert!(done && built.contains("orders"), "{built}{said}");
    let mut files: Vec<_> = folder
        .path()
        .join("policies")
        .read_dir()
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["orders.cases.toml", "orders.toml", "orders.wasm"]);
    let (done, printed, said) = larder(folder.path(), &["test", "policies/orders.wasm"]);
    assert!(done && printed.lines().count() == 4 && printed.lines().all(|it| it.contains("passed")), "{printed}{said}");

    // What an operator set stays; the author's cases are those of the crate.
    fs::write(folder.path().join("policies/orders.toml"), "[settings]\nttl = '2h'\n").unwrap();
    fs::write(folder.path().join("policies/orders.cases.toml"), "").unwrap();
    let (done, ..) = larder(folder.path(), &["build", "orders", "--target", &target()]);
    assert!(done);
    assert!(fs::read_to_string(folder.path().join("policies/orders.toml")).unwrap().contains("2h"));
    let host = HostBuilder::new().policy("orders", &folder.path().join("policies/orders.wasm")).start();
    host.ask(&["SET", "orders:42", "pizza"]).unwrap();
    assert_eq!(text(&host.ask(&["GET", "orders:42"]).unwrap()), "pizza");
    assert_eq!(host.explain("orders:42")["fresh_ms"], "3600000");

    let (done, _, said) = larder(folder.path(), &["new", "orders"]);
    assert!(!done && said.contains("exists already"), "{said}");

    // Rules that break their own promises are built, and their author is told what a host will say of them.
    let source = folder.path().join("orders/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("self.ttl", "seconds(7)")).unwrap();
    let (done, printed, said) = larder(folder.path(), &["build", "orders", "--target", &target()]);
    assert!(done && printed.contains("orders.wasm"), "{printed}{said}");
    assert!(
        said.contains("a host would not serve this, and keep what it has: orders: orders.cases.toml, line"),
        "{said}"
    );
}

#[test]
fn a_build_that_fails_shows_the_compilers_words() {
    let folder = tempfile::tempdir().unwrap();
    assert!(larder(folder.path(), &["new", "orders"]).0);
    let source = folder.path().join("orders/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("hours(1)", "\"an hour\"")).unwrap();
    let (done, _, said) = larder(folder.path(), &["build", "orders", "--target", &target()]);
    assert!(!done && said.contains("mismatched types") && said.contains("lib.rs:"), "{said}");
    assert!(!folder.path().join("policies/orders.wasm").exists());
}

#[test]
fn a_check_tells_all_that_loading_finds() {
    let folder = guarded(&["profile", "session"]);
    let (done, printed, said) = larder(folder.path(), &["check", "profile.wasm", "session.wasm"]);
    assert!(done, "{printed}{said}");
    for words in [
        "profile: would serve",
        "session: would serve",
        "larder:policy/rules@0.1.0",
        "needs none, has none",
        "5 ms for a decision, 16384 KiB",
        "version 1.0.0, keys v1, enveloped, serves value",
        "raw, serves value, hash",
        "from the cache in",
        "7 of 7 passed",
        "passed  a shorter lifetime that was asked for wins",
    ] {
        assert!(printed.contains(words), "{words}:\n{printed}");
    }
    println!("{printed}");

    let (done, printed, _) = larder(folder.path(), &["check", "--json", "profile.wasm"]);
    let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let policy = &document["policies"][0];
    assert!(done && policy["serves"] == true && policy["refused"].is_null());
    assert_eq!((&policy["domain"], policy["cases"].as_array().unwrap().len()), (&"profile".into(), 7));
    assert!(policy["compile_us"].as_u64() > policy["cached_us"].as_u64());
}

#[test]
fn each_sample_passes_its_cases() {
    let folder = guarded(&SAMPLES);
    for name in SAMPLES {
        let (done, printed, said) = larder(folder.path(), &["test", &format!("{name}.wasm")]);
        assert!(done && printed.lines().count() >= 3, "{printed}{said}");
        assert!(printed.lines().all(|line| line.starts_with(&format!("{name}: passed"))), "{printed}{said}");
    }
}

#[test]
fn a_check_refuses_what_a_host_would_refuse() {
    let folder = guarded(&["profile"]);
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    put("profile.toml", b"[settings]\nttl = 'soon'\n");
    put("broken.wasm", b"no wasm");
    put("Orders.wasm", b"");
    put("notes.txt", b"");
    let importer = guest("importer");
    let checks: [(&str, &str, &str); 6] = [
        ("profile.wasm", "trial", "profile.wasm will not serve with these settings: the setting `ttl` is `soon`"),
        ("broken.wasm", "not-component", "broken.wasm is not a WebAssembly component"),
        ("Orders.wasm", "name", "rename it to orders.wasm"),
        ("notes.txt", "name", "is not named NAME.wasm"),
        ("none.wasm", "unreadable", "none.wasm is not there"),
        (
            importer.to_str().unwrap(),
            "import",
            "importer.wasm imports larder:policy/redis@0.1.0, which it is not granted",
        ),
    ];
    for (file, reason, words) in checks {
        let (done, printed, said) = larder(folder.path(), &["check", file]);
        assert!(!done && printed.contains("would NOT serve") && printed.contains(words), "{file}: {printed}{said}");
        assert!(said.contains("1 of 1 policies would not serve"), "{said}");
        let (_, printed, _) = larder(folder.path(), &["check", "--json", file]);
        let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(document["policies"][0]["refused"]["reason"], reason, "{file}");
    }
}

#[test]
fn a_test_has_a_line_for_each_case() {
    let folder = guarded(&["session"]);
    fs::write(
        folder.path().join("session.cases.toml"),
        "[[case]]\nname = 'right'\nkey = 'a'\nfresh = '1h'\n[[case]]\nname = 'wrong'\nkey = 'a'\nfresh = '2h'\n",
    )
    .unwrap();
    let (done, printed, said) = larder(folder.path(), &["test", "session.wasm"]);
    assert!(!done, "{said}");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines, ["session: passed  right", "session: FAILED  wrong (line 5): fresh: expected 2h, got 1h"]);
}

#[test]
fn an_inspection_is_wit() {
    let (done, printed, _) = larder(Path::new("."), &["inspect", sample("profile").to_str().unwrap()]);
    assert!(done);
    for words in
        ["export larder:policy/rules@0.1.0;", "package larder:policy@0.1.0", "record lifetime {", "plan: func("]
    {
        assert!(printed.contains(words), "{words}:\n{printed}");
    }
    let none = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let (done, _, said) = larder(Path::new("."), &["inspect", none.to_str().unwrap()]);
    assert!(!done && said.contains("is no component"), "{said}");
}
