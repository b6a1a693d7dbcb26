//! What a folder can do to a host: files of any size, files that change while they are read, a hundred policies, a storm of
//! swaps. Clients of this domain and of every other read and write meanwhile, and no request fails.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::host::{Host, HostBuilder, command, guest, sample, text, variant, wait_until};
use crate::support::policies::settings;

const STORM_WRITES: u32 = 500;
const GIBIBYTE: u64 = 1 << 30;

/// Clients that read and write until this is dropped; each panics at its first error.
struct Clients {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Clients {
    /// One client for each domain, with keys of that form.
    fn of(host: &Host, prefixes: &[&str]) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |prefix: &&str| {
            let (mut connection, prefix) = (host.client(), (*prefix).to_owned());
            let (stop, done) = (stop.clone(), done.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let n = done.fetch_add(1, Ordering::Relaxed);
                    let (key, value) = (format!("{prefix}{}", n % 50), n.to_string());
                    let written: redis::Value = command(&["SET", &key, &value]).query(&mut connection).unwrap();
                    assert_eq!(text(&written), "OK");
                    let read: redis::Value = command(&["GET", &key]).query(&mut connection).unwrap();
                    assert_ne!(text(&read), "nil", "{key} was written by nobody else, and it is gone");
                    // What is tried here is not how much two processors can do.
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        };
        let threads = prefixes.iter().map(client).collect();
        Self { stop, done, threads }
    }

    /// Ends them; how much was done. Panics if one saw an error.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client saw an error");
        }
        self.done.load(Ordering::Relaxed)
    }
}

/// The policy of a domain, as `/v1/policies/{domain}` shows it.
fn policy(host: &Host, domain: &str) -> serde_json::Value {
    let (status, _, body) = host.http("GET", &format!("/v1/policies/{domain}"), "", b"");
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

/// The digest of what serves a domain.
fn serving(host: &Host, domain: &str) -> String {
    policy(host, domain)["digest"].as_str().unwrap().to_owned()
}

/// Puts a file that is like none before, as a tool does that knows how; the digest that it serves under.
fn put_and_see(host: &Host, bytes: &[u8]) -> String {
    let before = serving(host, "profile");
    host.put("profile.wasm", bytes);
    wait_until("it serves", || serving(host, "profile") != before);
    serving(host, "profile")
}

fn last_error(host: &Host, domain: &str) -> String {
    policy(host, domain)["last_error"].as_str().unwrap_or_default().to_owned()
}

/// It has no blocks on the disk, and would take all memory that a small host has.
#[test]
fn a_file_of_a_gigabyte_is_refused_unread() {
    let host = HostBuilder::samples().start();
    let clients = Clients::of(&host, &["profile:user:", "free:"]);
    let before = host.rss_kib();
    let aside = host.policies().join(".large.tmp");
    File::create(&aside).unwrap().set_len(GIBIBYTE).unwrap();
    std::fs::rename(aside, host.policies().join("profile.wasm")).unwrap();
    wait_until("it is refused", || last_error(&host, "profile").contains("65536 KiB, the most"));
    let grown_kib = host.rss_kib().saturating_sub(before);
    assert!(u64::from(u32::try_from(grown_kib).unwrap()) < GIBIBYTE / 1024 / 8, "{grown_kib} KiB more");
    assert!(clients.end() > 0);
    host.put("profile.wasm", &std::fs::read(sample("profile")).unwrap());
    wait_until("the good one counts again", || last_error(&host, "profile").is_empty());
}

/// Written in place, in pieces, by somebody who never heard of renaming: what goes live is one file or the other, never a
/// mixture, and in the end the last.
#[test]
fn a_file_that_is_replaced_while_it_is_read_is_taken_whole_or_not() {
    let host = HostBuilder::samples().start();
    let versions = [0, 1].map(|mark| variant(&sample("profile"), mark));
    let whole = [&versions[0], &versions[1]].map(|bytes| put_and_see(&host, bytes));
    let clients = Clients::of(&host, &["profile:user:", "free:"]);
    let path = host.policies().join("profile.wasm");
    for round in 0..60_usize {
        let bytes = &versions[round % 2];
        let file = File::options().write(true).open(&path).unwrap();
        for (n, piece) in bytes.chunks(bytes.len() / 7 + 1).enumerate() {
            let at = n * (bytes.len() / 7 + 1);
            file.write_all_at(piece, at as u64).unwrap();
            let live = serving(&host, "profile");
            assert!(whole.contains(&live), "{live} is none of the files that were ever whole");
        }
    }
    wait_until("the last one serves", || serving(&host, "profile") == whole[1]);
    assert!(clients.end() > 0);
}

#[test]
fn a_storm_of_swaps_loses_no_request_and_the_last_file_serves() {
    let host = HostBuilder::samples().start();
    let component = sample("profile");
    let last = put_and_see(&host, &variant(&component, STORM_WRITES + 1));
    let clients = Clients::of(&host, &["profile:user:", "session:", "free:"]);
    // Many writes make few swaps: a file that changed while it was read is read once more.
    for write in 1..=STORM_WRITES {
        host.put("profile.wasm", &variant(&component, write));
    }
    host.put("profile.wasm", &variant(&component, STORM_WRITES + 1));
    wait_until("the last one serves", || serving(&host, "profile") == last);
    assert_eq!(last_error(&host, "profile"), "");
    assert!(clients.end() > 0);
}

/// A file system tells `Profile.wasm` from `profile.wasm`; a domain has one policy.
#[test]
fn of_two_files_for_one_domain_the_well_named_one_serves() {
    let host = HostBuilder::samples().start();
    let before = serving(&host, "profile");
    for name in ["Profile.wasm", "PROFILE.wasm", "profile .wasm"] {
        host.put(name, &variant(&sample("profile"), 9));
        let stem = name.trim_end_matches(".wasm");
        wait_until("it is told", || {
            let (_, _, body) = host.http("GET", "/v1/policies", "", b"");
            String::from_utf8(body).unwrap().contains(&format!("\"{stem}\""))
        });
        assert_eq!(serving(&host, "profile"), before, "{name} changes nothing");
    }
    host.ask(&["SET", "profile:user:1", "Ada"]).unwrap();
    assert_eq!(text(&host.ask(&["GET", "profile:user:1"]).unwrap()), "Ada");
}

/// A key that is somewhere else each time: its own entries are lost, nothing else is, and what it leaves behind is bounded.
#[test]
fn a_plan_that_is_never_the_same_harms_nobody_else() {
    let host = HostBuilder::samples()
        .policy("fickle", &guest("hostile"))
        .toml("fickle", &settings(&[("mode", "random-plan"), ("only_key", "bad")]))
        .set("l1.size", "8MiB")
        .start();
    let clients = Clients::of(&host, &["profile:user:", "fickle:good"]);
    let value = "x".repeat(10_000);
    let mut client = host.client();
    for _ in 0..2_000 {
        let written: redis::Value = command(&["SET", "fickle:bad", &value, "PX", "60000"]).query(&mut client).unwrap();
        assert_eq!(text(&written), "OK");
        let read: redis::Value = command(&["GET", "fickle:bad"]).query(&mut client).unwrap();
        assert!(["nil", &value].contains(&text(&read).as_str()), "L1 has it, or it was put elsewhere");
    }
    assert!(host.explain("fickle:bad")["storage_key"].contains(":fickle:"), "and still in its own domain");
    let l1_bytes = host.metric("larder_l1_bytes");
    assert!(l1_bytes <= f64::from(8 << 20), "{l1_bytes} bytes in L1");
    assert!(clients.end() > 0);
}

#[test]
fn a_hundred_policies_are_loaded_at_once_and_all_serve() {
    let host = HostBuilder::samples().start();
    let clients = Clients::of(&host, &["profile:user:", "free:"]);
    let names: Vec<String> = (0..100).map(|n| format!("one-of-many-{n}")).collect();
    for (mark, name) in (0..).zip(&names) {
        // Twenty components, five domains each.
        host.put(&format!("{name}.wasm"), &variant(&sample("session"), mark % 20));
    }
    wait_until("all are live", || names.iter().all(|name| host.explain(&format!("{name}:1"))["domain"] == **name));
    let mut client = host.client();
    for name in &names {
        let key = format!("{name}:1");
        let written: redis::Value = command(&["SET", &key, name]).query(&mut client).unwrap();
        assert_eq!(text(&written), "OK");
        let read: redis::Value = command(&["GET", &key]).query(&mut client).unwrap();
        assert_eq!(text(&read), *name);
    }
    assert!(clients.end() > 0);
    println!("{} KiB with 108 policies", host.rss_kib());
}
