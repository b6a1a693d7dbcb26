//! Rust source as rules need it: without comments and literals, and the paths that it names.
//!
//! A scanner, not a parser: it knows comments, literals, lifetimes and `use` trees, and nothing else. Line breaks stay where
//! they are, so that a finding has its line. Deliberately absent: macros' insides are read as any other code.

/// A path as written, with the line it begins on: `crate::ports::{store, clock}` is two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// From 1.
    pub line: usize,
    /// `["crate", "ports", "store"]`.
    pub segments: Vec<String>,
}

/// The text with comments and the insides of literals blanked out.
pub fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment or literal that begins here ends; `at` itself if none begins here.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => find(chars, at, |rest| rest[0] == '\n', 0),
        '/' if next == Some('*') => block_comment_end(chars, at),
        '"' => quoted_end(chars, at + 1, '"'),
        '\'' if next == Some('\\') || chars.get(at + 2) == Some(&'\'') => quoted_end(chars, at + 1, '\''),
        'r' if at == 0 || !is_ident(chars[at - 1]) || "bc".contains(chars[at - 1]) => raw_string_end(chars, at),
        _ => at,
    }
}

/// The first place from `at` where `stop` holds, plus `more`; the end of the text if there is none.
fn find(chars: &[char], at: usize, stop: impl Fn(&[char]) -> bool, more: usize) -> usize {
    (at..chars.len()).find(|&i| stop(&chars[i..])).map_or(chars.len(), |i| i + more)
}

fn quoted_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    find(chars, at + 2 + hashes, |rest| rest.starts_with(&close), close.len())
}

fn block_comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < chars.len() {
        if chars[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if chars[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

const fn is_ident(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// An identifier, `::`, or any other single character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    line: usize,
    text: &'a str,
}

impl Token<'_> {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_ident(first) {
                rest.find(|c| !is_ident(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { line, text: &rest[..length] });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Every path of two segments or more in code from [`code_of`], `use` trees expanded.
pub fn paths_of(code: &str) -> Vec<Path> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = if tokens[at].is_name() { read_path(&tokens, at, &[], &mut found) } else { at + 1 };
    }
    found.retain(|path| path.segments.len() > 1);
    found
}

/// Reads one path, or one branch of a `use` tree below `prefix`; answers where it stopped.
fn read_path(tokens: &[Token<'_>], mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens[at].line;
    while at < tokens.len() && tokens[at].is_name() {
        segments.push(tokens[at].text.to_owned());
        at += 1;
        if tokens.get(at).is_none_or(|token| token.text != "::") {
            break;
        }
        at += 1;
        if tokens.get(at).is_some_and(|token| token.text == "{") {
            return read_group(tokens, at + 1, &segments, found);
        }
    }
    found.push(Path { line, segments });
    at
}

fn read_group(tokens: &[Token<'_>], mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    while at < tokens.len() && tokens[at].text != "}" {
        at = if tokens[at].is_name() { read_path(tokens, at, prefix, found) } else { at + 1 };
        if tokens.get(at).is_some_and(|token| token.text == "as") {
            at += 2;
        }
    }
    at + 1
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let found: Vec<String> = paths_of(&code_of(text)).iter().map(|path| path.segments.join("::")).collect();
    assert_eq!(found, expect, "in {text:?}");
}

#[test]
fn paths_are_found_where_they_are_code() {
    check("use crate::ports::store;", &["crate::ports::store"]);
    check(
        "use crate::{ports::{store::Store as S, clock}, error};",
        &["crate::ports::store::Store", "crate::ports::clock", "crate::error"],
    );
    check("use super::super::adapters::*;", &["super::super::adapters"]);
    check("fn f() -> crate::error::Result<()> { larder::run() }", &["crate::error::Result", "larder::run"]);
    check("let x: ::redis::Client;", &["redis::Client"]);
    check("let v = Vec::<crate::a::B>::new();", &["crate::a::B"]);
}

#[test]
fn comments_and_literals_are_not_code() {
    check("// crate::adapters\n/* crate::a /* crate::b */ crate::c */ //! crate::d", &[]);
    check(r##"let s = "crate::a \" crate::b"; let r = r#"crate::c " crate::d"#; let b = br"crate::e";"##, &[]);
    check(
        "fn f<'a>(x: &'a str) { let q = '\"'; crate::a::b(); let e = '\\''; crate::c::d(); }",
        &["crate::a::b", "crate::c::d"],
    );
}
