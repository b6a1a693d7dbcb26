//! The life of a policy in the watched folder: only a good file goes live, at once and as a whole; everything else is told and
//! changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder::ports::metrics::Metrics;
use larder::ports::policy::{Admission, Candidate};
use larder::ports::registry::{PolicyState, Registry, RegistryError};
use larder::ports::table::Policies;

use crate::support::host::{guest, sample, variant, wait_until};
use crate::support::policies::{Folder, patched, plan, read, settings};

const REDIS_GRANTED: &str = "[grants]\ninterfaces = [\"redis\"]\n";

/// A domain `d` with the hostile guest, well behaved, whose version is 1.
fn serving() -> Folder {
    Folder::serving("d", &guest("hostile"), &settings(&[("version", "1")]))
}

/// What serves `d`: its version and generation.
fn serves(folder: &Folder) -> Option<(String, u64)> {
    folder.live("d").map(|live| (live.description.version.clone(), live.generation))
}

/// Gives the hostile guest another version, and so other rules; waits until it is live.
fn release(folder: &Folder, version: &str) {
    folder.put("d.toml", settings(&[("version", version)]).as_bytes());
    wait_until("the new version is live", || serves(folder).is_some_and(|(live, _)| live == version));
}

#[test]
fn a_bad_component_never_replaces_a_good_one() {
    let whole = std::fs::read(guest("hostile")).unwrap();
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("empty", Vec::new(), "is empty"),
        ("random bytes", b"\x93\x01not wasm at all".to_vec(), "is not a WebAssembly component"),
        ("a core module", b"\0asm\x01\0\0\0".to_vec(), "core WebAssembly module"),
        ("cut off", whole[..whole.len() / 2].to_vec(), "is cut off after"),
        ("damaged", damaged(&whole), "not a valid component"),
        ("no policy", b"\0asm\x0d\0\x01\0".to_vec(), "does not export larder:policy/rules@0.1.0"),
        (
            "another version",
            patched(&guest("hostile"), "larder:policy/rules@0.1.0", "larder:policy/rules@0.2.0"),
            "exports larder:policy/rules@0.2.0, but this host serves larder:policy/rules@0.1.0",
        ),
        (
            "beyond the contract",
            patched(&guest("mover"), "larder:policy/migration@0.1.0", "larder:policy/foresight@0.1.0"),
            "exports larder:policy/foresight@0.1.0, which the contract does not know",
        ),
        (
            "beyond the grant",
            std::fs::read(guest("importer")).unwrap(),
            "`interfaces = [\"redis\"]` under [grants] in d.toml",
        ),
    ];
    let folder = serving();
    for (n, (what, bytes, words)) in (1..).zip(cases) {
        folder.put("d.wasm", &bytes);
        wait_until(what, || folder.state("d").1.contains(words));
        assert!(folder.state("d").1.starts_with("d.wasm "), "the file is named");
        assert_eq!(folder.state("d").0, Some(PolicyState::Refused), "{what}");
        assert_eq!(serves(&folder), Some(("1".into(), 1)), "{what}");
        assert_eq!(folder.metrics("d").rejections.get(), n, "{what}: each file is refused once");
        plan(&*folder.policy("d"), "k").expect("the good one goes on");
    }
    folder.put("d.wasm", &whole);
    folder.wait_for("d", PolicyState::Live);
    assert_eq!(serves(&folder), Some(("1".into(), 1)), "the same rules are no swap");
}

#[test]
fn a_grant_lets_the_import_pass() {
    let folder = Folder::serving("d", &guest("hostile"), REDIS_GRANTED);
    folder.put("d.wasm", &std::fs::read(guest("importer")).unwrap());
    folder.wait_for_generation("d", 2);
}

#[test]
fn bad_settings_never_replace_good_ones() {
    let cases = [
        (settings(&[("mode", "trap-describe")]), "a trap in describe, as asked"),
        (settings(&[("mode", "error-describe")]), "an error in describe, as asked"),
        (settings(&[("mode", "loop-describe")]), "longer than 1000 ms"),
        (settings(&[("fresch", "1m")]), "there is no setting `fresch`; is `fresh` meant?"),
        (settings(&[("fresh", "soon")]), "fresh"),
        (settings(&[("version", "1 beta")]), "its version is '1 beta'"),
        ("[setings]".to_owned(), "d.toml, line 1: there is no `setings` here; is `settings` meant?"),
        ("[limits]\nmemory = \"1GiB\"".to_owned(), "d.toml, line 2:"),
        ("[limits]\nmemory = \"64KiB\"".to_owned(), "memory"),
        ("origin = \"http://169.254.169.254\"".to_owned(), "which no origin may be"),
        ("= no toml".to_owned(), "d.toml, line 1:"),
    ];
    let folder = serving();
    for (toml, words) in cases {
        folder.put("d.toml", toml.as_bytes());
        wait_until(words, || folder.state("d").1.contains(words));
        assert_eq!(folder.state("d").0, Some(PolicyState::Refused), "{words}");
        assert_eq!(serves(&folder), Some(("1".into(), 1)), "{words}");
    }
    folder.delete("d.toml");
    folder.wait_for("d", PolicyState::Live);
    assert_eq!((serves(&folder).unwrap().1, folder.state("d").1), (2, String::new()), "the defaults rule");
}

#[test]
fn a_bad_first_file_serves_nothing_until_it_is_mended() {
    let mut folder = Folder::new();
    folder.put("d.wasm", b"\0asm");
    folder.start();
    assert_eq!(folder.state("d").0, Some(PolicyState::Failed));
    assert!(folder.live("d").is_none());
    folder.copy("d", &guest("hostile"));
    folder.wait_for("d", PolicyState::Live);
    assert_eq!(folder.status("d").history.iter().map(|it| it.event.as_str()).collect::<Vec<_>>(), ["live", "refused"]);
    folder.put("e.wasm", b"");
    folder.wait_for("e", PolicyState::Failed);
    folder.delete("e.wasm");
    wait_until("what never served is forgotten with its file", || folder.registry().status("e").is_none());
}

#[test]
fn a_swap_is_seen_whole_and_loses_no_call() {
    let folder = serving();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let live = folder.live("d").unwrap();
                    let suffix = plan(&*live.policy, "k").expect("no call is lost").suffix;
                    let before = if live.description.version == "1" {
                        None
                    } else {
                        Some(format!("{}:k", live.description.version))
                    };
                    assert_eq!(suffix, before, "description and rules are of one generation");
                }
            });
        }
        for version in 2..20 {
            let version = version.to_string();
            folder.put("d.toml", settings(&[("version", &version), ("before", &format!("{version}:"))]).as_bytes());
            wait_until("the swap", || serves(&folder).is_some_and(|(live, _)| live == version));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(folder.metrics("d").swaps.get(), 19);
    assert_eq!(folder.metrics("d").generation.get(), 19);
}

#[tokio::test]
async fn a_deleted_file_leaves_its_policy_until_it_is_removed() {
    let folder = serving();
    let registry = folder.registry().clone();
    assert!(matches!(registry.remove("d").await, Err(RegistryError::FileExists(file)) if file.ends_with("d.wasm")));
    folder.delete("d.wasm");
    folder.wait_for("d", PolicyState::Orphaned);
    plan(&*folder.policy("d"), "k").expect("it goes on");

    folder.copy("d", &guest("hostile"));
    folder.wait_for("d", PolicyState::Live);
    assert_eq!(serves(&folder), Some(("1".into(), 1)), "the same rules are no swap");

    folder.delete("d.wasm");
    folder.wait_for("d", PolicyState::Orphaned);
    registry.remove("d").await.unwrap();
    assert!(folder.live("d").is_none());
    assert_eq!(folder.state("d"), (Some(PolicyState::Failed), "removed by command; a new file brings it back".into()));
    assert_eq!(folder.metrics("d").generation.get(), 0);
    assert_eq!(registry.remove("d").await, Err(RegistryError::UnknownDomain("d".into())));
    assert_eq!(registry.remove("nobody").await, Err(RegistryError::UnknownDomain("nobody".into())));

    folder.copy("d", &guest("hostile"));
    folder.wait_for("d", PolicyState::Live);
    assert_eq!(serves(&folder), Some(("1".into(), 2)));
}

#[tokio::test]
async fn what_is_rolled_back_stays_so_until_its_file_changes() {
    let mut folder = serving();
    let registry = folder.registry().clone();
    assert_eq!(registry.rollback("d").await.unwrap_err(), RegistryError::NoPrevious("d".into()));
    assert_eq!(registry.rollback("nobody").await.unwrap_err(), RegistryError::UnknownDomain("nobody".into()));
    release(&folder, "2");
    release(&folder, "3");
    let status = registry.rollback("d").await.unwrap();
    assert_eq!((status.state, status.version.as_str(), status.generation), (PolicyState::RolledBack, "2", 4));
    assert_eq!(serves(&folder), Some(("2".into(), 4)));
    assert_eq!(folder.status("d").history[0].detail, "from version 3 to 2");

    // The same bytes again are no change. What is seen after them shows that they were.
    folder.put("d.toml", settings(&[("version", "3")]).as_bytes());
    folder.copy("e", &sample("session"));
    folder.wait_for_generation("e", 1);
    assert_eq!(folder.state("d").0, Some(PolicyState::RolledBack));

    drop(registry);
    folder.start();
    assert_eq!(serves(&folder), Some(("2".into(), 1)), "also after a restart");
    assert_eq!(folder.state("d").0, Some(PolicyState::RolledBack));

    release(&folder, "4");
    folder.wait_for("d", PolicyState::Live);
    let registry = folder.registry().clone();
    for version in ["2", "1"] {
        assert_eq!(registry.rollback("d").await.unwrap().version, version, "what was kept before the restart, too");
    }
    assert_eq!(registry.rollback("d").await.unwrap_err(), RegistryError::NoPrevious("d".into()));
}

#[tokio::test]
async fn three_earlier_policies_are_kept() {
    let folder = serving();
    for version in ["2", "3", "4", "5", "6"] {
        release(&folder, version);
    }
    let registry = folder.registry();
    for version in ["5", "4", "3"] {
        assert_eq!(registry.rollback("d").await.unwrap().version, version);
    }
    assert_eq!(registry.rollback("d").await.unwrap_err(), RegistryError::NoPrevious("d".into()));
}

#[test]
fn the_last_good_policy_serves_after_a_restart_if_the_newest_file_is_broken() {
    let mut folder = serving();
    release(&folder, "2");
    let rules_id = folder.live("d").unwrap().rules_id;
    folder.put("d.wasm", b"\0asm");
    folder.wait_for("d", PolicyState::Refused);
    folder.start();
    assert_eq!(serves(&folder), Some(("2".into(), 1)));
    assert_eq!(folder.live("d").unwrap().rules_id, rules_id, "the same rules have the same id after a restart");
    assert_eq!(folder.state("d").0, Some(PolicyState::Refused));

    folder.delete("d.wasm");
    folder.wait_for("d", PolicyState::Orphaned);
    folder.start();
    assert!(folder.live("d").is_none(), "a deleted file stays deleted");
}

#[test]
fn settings_of_the_environment_outrank_the_file() {
    let toml = settings(&[("fresh", "1m"), ("version", "1")]);
    let mut folder = Folder::new().overriding("d", "fresh", "42s");
    folder.put("d.toml", toml.as_bytes());
    folder.copy("d", &guest("hostile"));
    folder.copy("e", &guest("hostile"));
    folder.start();
    let candidate = Candidate::written(b"v");
    let fresh_ms = |domain| match folder.policy(domain).admit(&read("k"), &candidate) {
        Ok(Admission::Store(lifetime)) => lifetime.fresh_ms,
        other => panic!("{other:?}"),
    };
    assert_eq!((fresh_ms("d"), fresh_ms("e")), (Some(42_000), Some(60_000)));
}

#[test]
fn many_files_at_once_all_go_live() {
    let folder = serving();
    let names: Vec<String> = (0..30).map(|n| format!("many-{n}")).collect();
    for name in &names {
        folder.copy(name, &sample("session"));
    }
    for name in &names {
        folder.wait_for_generation(name, 1);
    }
    assert_eq!(folder.registry().list().len(), 31);
}

#[test]
fn files_that_are_no_policies_are_told_or_passed_over() {
    let mut folder = Folder::new();
    for name in ["Profile.wasm", "a_b.wasm", ".d.wasm.swp", "d.wasm~", "#d.wasm#", "d.wasm.tmp", "README.md", "x.toml"]
    {
        folder.put(name, b"x");
    }
    std::fs::create_dir(folder.path().join("dir.wasm")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("link.wasm")).unwrap();
    std::os::unix::fs::symlink(guest("hostile"), folder.path().join("linked.wasm")).unwrap();
    folder.start();
    let list = folder.registry().list();
    let told: Vec<_> =
        list.iter().map(|it| (&*it.domain, it.state, it.last_error.clone().unwrap_or_default())).collect();
    let [profile, a_b, dir, link, linked] = &told[..] else { panic!("{told:?}") };
    assert!(profile.0 == "Profile" && profile.2.ends_with("rename it to profile.wasm"), "{profile:?}");
    assert!(a_b.0 == "a_b" && a_b.2.ends_with("rename it to a-b.wasm"), "{a_b:?}");
    assert!(dir.0 == "dir" && dir.2 == "dir.wasm is not a file", "{dir:?}");
    assert!(link.0 == "link" && link.2 == "link.wasm is a link that leads nowhere", "{link:?}");
    assert_eq!((linked.0, linked.1), ("linked", PolicyState::Live));
    folder.delete("Profile.wasm");
    wait_until("it is told no more", || folder.registry().status("Profile").is_none());
}

#[test]
fn a_file_that_grows_while_it_is_watched_is_not_refused() {
    let folder = serving();
    let whole = variant(&guest("hostile"), 7);
    let path = folder.path().join("d.wasm");
    for end in [0, 100, whole.len() / 2, whole.len()] {
        std::fs::write(&path, &whole[..end]).unwrap();
    }
    folder.wait_for_generation("d", 2);
    assert_eq!(folder.metrics("d").rejections.get(), 0);
}

#[test]
fn a_folder_that_cannot_be_read_stops_the_start_and_nothing_later() {
    let mut folder = Folder::new();
    std::fs::remove_dir(folder.path()).unwrap();
    let error = format!("{:#}", folder.try_start().unwrap_err());
    assert!(error.contains("the policy folder") && error.contains("cannot be read"), "{error}");

    let folder = serving();
    let aside = folder.path().with_extension("aside");
    std::fs::rename(folder.path(), &aside).unwrap();
    std::fs::create_dir(folder.path()).unwrap();
    folder.wait_for("d", PolicyState::Orphaned);
    plan(&*folder.policy("d"), "k").expect("it goes on");
    folder.put("d.toml", settings(&[("version", "2")]).as_bytes());
    folder.copy("d", &guest("hostile"));
    folder.wait_for_generation("d", 2);
}

#[test]
fn the_second_start_compiles_nothing() {
    let mut folder = serving();
    let compiled = |folder: &Folder| {
        let files = std::fs::read_dir(folder.state_path().join("cache")).unwrap().flatten();
        let files = files.map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap()));
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    };
    let first = compiled(&folder);
    assert_eq!(first.len(), 2, "code and its digest");
    folder.start();
    assert_eq!(compiled(&folder), first);
    assert_eq!(serves(&folder), Some(("1".into(), 1)));
}

#[test]
fn a_process_of_its_own_compiles_the_same() {
    let mut folder = Folder::new().compiling_with(env!("CARGO_BIN_EXE_larder"));
    folder.copy("d", &guest("hostile"));
    folder.put("e.wasm", &damaged(&std::fs::read(guest("hostile")).unwrap()));
    folder.start();
    plan(&*folder.policy("d"), "k").expect("it serves");
    assert_eq!(folder.state("e").0, Some(PolicyState::Failed));
    assert!(folder.state("e").1.starts_with("e.wasm is not a valid component: "), "{}", folder.state("e").1);

    let mut folder = Folder::new().compiling_with("/nowhere/larder");
    folder.copy("d", &guest("hostile"));
    folder.start();
    assert!(folder.state("d").1.starts_with("the compiler does not run: /nowhere/larder"), "{}", folder.state("d").1);
}

/// The same bytes with nonsense in the middle.
fn damaged(whole: &[u8]) -> Vec<u8> {
    let middle = whole.len() / 2;
    whole.iter().enumerate().map(|(i, byte)| if i > middle && i < middle + 50 { 0xff } else { *byte }).collect()
}

#[test]
fn dropping_the_registry_ends_the_care_and_not_the_service() {
    let (policies, metrics) = (Arc::new(Policies::default()), Arc::new(Metrics::default()));
    let mut folder = Folder::new();
    (folder.policies, folder.metrics) = (policies, metrics);
    folder.copy("d", &guest("hostile"));
    folder.start();
    let policy = folder.policy("d");
    drop(folder);
    plan(&*policy, "k").expect("what was handed out still works");
}
