//! Sessions: commands with the replies that both stores must give, word for word. Redis 7.0 is the reference.
//!
//! A line is `command => reply`, the reply as `text.rs` writes it; sets and maps have no order and are written in order. Beside
//! that, what is expected may be:
//! `~100`, a number from 60 to 100: a busy machine may let a minute's fraction pass;
//! `*[…]`, these elements in any order;
//! `1 of […]`, one of these elements as it is; `2 in […]`, so many of these elements as a list or set, each at most once;
//! `5 from […]`, the same with repetitions.

use larder::ports::store::Reply;

use super::{Bench, text};

/// Carries out each line and compares the reply.
pub(super) async fn check(bench: &Bench, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (words, expect) = line.split_once(" => ").expect("a line is `command => reply`");
        let reply = bench.store.call(text::command(words)).await.expect("it is answered");
        assert!(fits(&reply, expect), "{words}\n  expected {expect}\n  answered {}", text::reply(&reply));
    }
}

fn fits(reply: &Reply, expect: &str) -> bool {
    if let Some(most) = expect.strip_prefix('~').and_then(|most| most.parse::<i64>().ok()) {
        return matches!(reply, Reply::Integer(n) if *n <= most && *n >= most * 6 / 10);
    }
    if let Some(all) = expect.strip_prefix('*') {
        let mut all = words(all);
        all.sort();
        return matches!(reply, Reply::Array(_)) && elements(reply) == all;
    }
    for (kind, may_repeat) in [(" of ", false), (" in ", false), (" from ", true)] {
        let Some((wanted, all)) = expect.split_once(kind) else { continue };
        let Ok(wanted) = wanted.parse::<usize>() else { continue };
        let (all, mut drawn) = (words(all), elements(reply));
        let is_list = matches!(reply, Reply::Array(_) | Reply::Set(_));
        let all_known = drawn.iter().all(|element| all.contains(element));
        let length = drawn.len();
        drawn.dedup();
        return is_list == (kind != " of ") && all_known && length == wanted && (may_repeat || drawn.len() == wanted);
    }
    text::reply(reply) == expect
}

/// The elements of `["a" "b"]`; none of them may have a blank in it, save in brackets of its own.
fn words(list: &str) -> Vec<String> {
    let inside = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).expect("a list stands in brackets");
    let (mut found, mut depth) = (Vec::<String>::new(), 0);
    for word in inside.split(' ').filter(|word| !word.is_empty()) {
        match found.last_mut() {
            Some(last) if depth > 0 => *last += &format!(" {word}"),
            _ => found.push(word.to_owned()),
        }
        depth += word.matches('[').count();
        depth -= word.matches(']').count();
    }
    found
}

/// The elements of a list or set in order of their texts; anything else is one element.
fn elements(reply: &Reply) -> Vec<String> {
    let mut found: Vec<String> = match reply {
        Reply::Array(all) | Reply::Set(all) => all.iter().map(text::reply).collect(),
        other => vec![text::reply(other)],
    };
    found.sort();
    found
}

#[test]
fn what_is_expected_is_told_from_what_is_not() {
    let bulk = |text: &'static str| Reply::Bulk(bytes::Bytes::from_static(text.as_bytes()));
    let array = |texts: &[&'static str]| Reply::Array(texts.iter().map(|text| bulk(text)).collect());
    for (reply, expect, yes) in [
        (Reply::Integer(70), "~100", true),
        (Reply::Integer(50), "~100", false),
        (array(&["b", "a"]), r#"*["a" "b"]"#, true),
        (array(&["b", "a"]), r#"["a" "b"]"#, false),
        (array(&["b", "b"]), r#"*["a" "b"]"#, false),
        (bulk("b"), r#"1 of ["a" "b"]"#, true),
        (bulk("c"), r#"1 of ["a" "b"]"#, false),
        (array(&["b"]), r#"1 of ["a" "b"]"#, false),
        (array(&["b"]), r#"1 in ["a" "b"]"#, true),
        (array(&["b", "b"]), r#"2 in ["a" "b"]"#, false),
        (array(&["b", "b"]), r#"2 from ["a" "b"]"#, true),
        (Reply::Set(vec![bulk("b"), bulk("a")]), r#"~["a" "b"]"#, true),
    ] {
        assert_eq!(fits(&reply, expect), yes, "{} {expect}", text::reply(&reply));
    }
}
