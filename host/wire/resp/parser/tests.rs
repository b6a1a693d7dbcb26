//! What the parser takes and what it refuses, in any pieces.

use proptest::prelude::*;

use super::*;

/// All commands in `input` when it arrives in these pieces, and the error that ended it.
fn parse<'a>(pieces: impl Iterator<Item = &'a [u8]>, guarded: bool) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let (mut parser, mut buffer, mut commands) = (Parser::default(), Vec::new(), Vec::new());
    parser.set_guarded(guarded);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match parser.next(&buffer) {
                Ok(None) => break,
                Err(error) => return (commands, Some(error)),
                Ok(Some(frame)) => {
                    let words: Vec<_> = parser.words(&buffer, frame).iter().map(<[u8]>::to_vec).collect();
                    if !words.is_empty() {
                        commands.push(words);
                    }
                    buffer.drain(..frame.len);
                }
            }
        }
    }
    (commands, None)
}

fn whole(input: &[u8]) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    parse(std::iter::once(input), false)
}

/// The commands as text: words joined by spaces.
#[track_caller]
fn check(input: &[u8], commands: &[&str], error: Option<&str>) {
    let (found, failed) = whole(input);
    let found: Vec<String> = found
        .iter()
        .map(|words| words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(found, commands);
    assert_eq!(failed.map(|error| error.to_string()).as_deref(), error);
    assert_eq!(parse(input.chunks(1), false), whole(input), "byte by byte");
}

#[test]
fn frames() {
    check(b"", &[], None);
    check(b"*1\r\n$4\r\nPING\r\n", &["PING"], None);
    check(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n", &["GET k", "PING"], None);
    check(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", &["GET "], None);
    check(b"*2\r\n$4\r\nECHO\r\n$6\r\na\r\nb\0c\r\n", &["ECHO a\r\nb\0c"], None);
    check(b"*0\r\n*-1\r\n*-100\r\n\r\n\n*1\r\n$4\r\nPING\r\n", &["PING"], None);
    check(b"PING\r\nGET k\n  \r\n\"GE\"T x", &["PING", "GET k"], None);
    check(b"*1\r\n$0000000004\r\nPING\r\n", &[], Some("invalid bulk length"));
    check(b"*2\r\n$3\r\nGET\r\n$1\r\nk", &[], None);
}

#[test]
fn malformed_frames() {
    for input in
        ["*a\r\n", "*\r\n", "* 1\r\n", "*1 \r\n", "*+1\r\n", "*01\r\n", "*1048577\r\n", "*9999999999999999999999\r\n"]
    {
        check(input.as_bytes(), &[], Some("invalid multibulk length"));
    }
    for input in
        ["$a\r\n", "$\r\n", "$-1\r\n", "$+1\r\n", "$00\r\n", "$67108865\r\n", "$99999999999999999999\r\n", "$1x\r\n"]
    {
        check(format!("*1\r\n{input}").as_bytes(), &[], Some("invalid bulk length"));
    }
    check(b"*1\r\nPING\r\n", &[], Some("expected '$', got 'P'"));
    check(b"*2\r\n$4\r\nECHO\r\n:1\r\n", &[], Some("expected '$', got ':'"));
    check(b"PING\r\nGET \"k\r\n", &["PING"], Some("unbalanced quotes in request"));
    check(b"*1\r\n$4\r\nPING\r\n*x\r\n", &["PING"], Some("invalid multibulk length"));
    // What stands where the line end has to be is not looked at, as in Redis; the next frame then shows the fault.
    check(b"*1\r\n$3\r\nPING\r\n", &["PIN"], None);
}

#[test]
fn bounds() {
    let line = |prefix: &str, len: usize| [prefix.as_bytes(), &vec![b'1'; len]].concat();
    let max = RESP_INLINE_BYTES_MAX;
    assert_eq!(whole(&line("", max)), (vec![], None));
    assert_eq!(whole(&line("", max + 1)).1, Some(ProtocolError::EndlessInline));
    assert_eq!(whole(&[line("", max + 1), b"\n".to_vec()].concat()).1, Some(ProtocolError::EndlessInline));
    assert_eq!(whole(&line("*", max + 1)).1, Some(ProtocolError::EndlessCount));
    assert_eq!(whole(&line("*1\r\n$", max + 1)).1, Some(ProtocolError::EndlessLength));

    let guarded = |input: &[u8]| parse(std::iter::once(input), true).1;
    assert_eq!(guarded(b"*10\r\n"), None);
    assert_eq!(guarded(b"*11\r\n"), Some(ProtocolError::UnauthenticatedCount));
    assert_eq!(guarded(b"*1\r\n$16384\r\n"), None);
    assert_eq!(guarded(b"*1\r\n$16385\r\n"), Some(ProtocolError::UnauthenticatedLength));

    let mut large = b"*2\r\n".to_vec();
    large.extend_from_slice(format!("${VALUE_BYTES_MAX}\r\n").as_bytes());
    large.resize(large.len() + VALUE_BYTES_MAX, b'x');
    large.extend_from_slice(format!("\r\n${VALUE_BYTES_MAX}\r\n").as_bytes());
    assert_eq!(whole(&large).1, Some(ProtocolError::TooLarge));
}

#[test]
fn a_claim_takes_no_memory() {
    let mut parser = Parser::default();
    assert_eq!(parser.next(b"*1048576\r\n$67108864\r\n"), Ok(None));
    assert!(parser.spans.capacity() < 16);
}

#[test]
fn a_large_word_is_not_searched_again() {
    let mut parser = Parser::default();
    let mut buffer = b"*2\r\n$3\r\nSET\r\n$1000000\r\n".to_vec();
    assert_eq!(parser.next(&buffer), Ok(None));
    let at = parser.at;
    assert_eq!(at, buffer.len(), "the header is behind");
    while buffer.len() < at + 1_000_001 {
        buffer.resize((buffer.len() + 10_000).min(at + 1_000_001), b'\r');
        assert_eq!(parser.next(&buffer), Ok(None));
        assert_eq!((parser.at, parser.word, parser.scanned), (at, Some(1_000_000), 0));
    }
    buffer.push(b'\n');
    assert_eq!(parser.next(&buffer), Ok(Some(Frame { len: buffer.len(), inline: false })));
}

/// A stream of commands and of what is nearly one.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'$'), Just(b'*'), Just(b'1')], 0..12),
    ];
    let multibulk = proptest::collection::vec(word, 0..5).prop_map(|words| {
        let mut frame = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            frame.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            frame.extend_from_slice(&word);
            frame.extend_from_slice(b"\r\n");
        }
        frame
    });
    let inline = "[a-z \"'\\\\]{0,12}\r?\n".prop_map(String::into_bytes);
    let noise =
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'$'), Just(b'*'), Just(b'2')], 0..6);
    proptest::collection::vec(prop_oneof![8 => multibulk, 3 => inline, 1 => noise], 0..8)
        .prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn where_it_is_cut_makes_no_difference(input in stream(), sizes in proptest::collection::vec(1_usize..9, 1..64)) {
        let expected = whole(&input);
        for split in 0..=input.len() {
            let (a, b) = input.split_at(split);
            prop_assert_eq!(&parse([a, b].into_iter(), false), &expected, "cut at {}", split);
        }
        let (mut pieces, mut rest, mut turn) = (Vec::new(), input.as_slice(), 0);
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
            pieces.push(piece);
            (rest, turn) = (tail, turn + 1);
        }
        prop_assert_eq!(&parse(pieces.into_iter(), false), &expected);
    }

    #[test]
    fn well_formed_commands_come_back(commands in proptest::collection::vec(
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6), 0..6))
    {
        let mut input = Vec::new();
        for words in &commands {
            input.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
            for word in words {
                input.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                input.extend_from_slice(word);
                input.extend_from_slice(b"\r\n");
            }
        }
        prop_assert_eq!(whole(&input), (commands, None));
    }
}
