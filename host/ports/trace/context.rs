//! Which trace a request belongs to, as it is told between programs: W3C Trace Context, version 00.
//!
//! Invariants: an id is never 0; what is passed on is what was understood, so nothing of a caller's goes into a header unchecked.
//! Deliberately absent: what the vendors' `tracestate` means. It is passed on as it came.

use std::fmt;
use std::sync::Arc;

use crate::limits::TRACE_STATE_BYTES_MAX;

/// The request header that says which trace a request belongs to.
pub const TRACEPARENT: &str = "traceparent";
/// The request header with what vendors add to it.
pub const TRACESTATE: &str = "tracestate";

/// A trace: all that one request of somebody's caused, in every program.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// One span of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A place in a trace, as it is told to another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that asks.
    pub span: SpanId,
    /// Whether who asks records it.
    pub sampled: bool,
    /// What vendors added.
    pub state: Option<Arc<str>>,
}

impl TraceContext {
    /// Understands the two headers. `None`: the first is none, and the second means nothing without it.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.trim_matches([' ', '\t']).split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = TraceId(hex(parts.next()?, 32)?);
        let span = SpanId(u64::try_from(hex(parts.next()?, 16)?).ok()?);
        let flags = hex(parts.next()?, 2)?;
        // A later version may say more behind what this one says.
        if version == 0xff || version == 0 && parts.next().is_some() || trace.0 == 0 || span.0 == 0 {
            return None;
        }
        let state = tracestate.map(str::trim).filter(|state| passes(state)).map(Arc::from);
        Some(Self { trace, span, sampled: flags & 1 == 1, state })
    }

    /// As the header says it.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Exactly so many digits in small letters.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Whether this can be passed on.
fn passes(state: &str) -> bool {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) || byte == b'\t';
    !state.is_empty() && state.len() <= TRACE_STATE_BYTES_MAX && state.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[track_caller]
    fn check(traceparent: &str, expect: &str) {
        let said = TraceContext::parse(traceparent, None).map_or_else(String::new, |context| context.traceparent());
        assert_eq!(said, expect, "{traceparent}");
    }

    #[test]
    fn what_is_understood_is_passed_on() {
        check(HEADER, HEADER);
        check(&format!(" {HEADER}\t"), HEADER);
        check(&HEADER.replace("-01", "-00"), &HEADER.replace("-01", "-00"));
        // Flags of later versions mean nothing here, and a later version may say more.
        check(&HEADER.replace("-01", "-ff"), HEADER);
        check(&format!("{}-more", HEADER.replacen("00", "cc", 1)), HEADER);
        check(&HEADER.replacen("00", "cc", 1), HEADER);
    }

    #[test]
    fn what_is_none_begins_a_trace_of_its_own() {
        for wrong in [
            "",
            "00",
            &format!("{HEADER}-more"),
            &HEADER.to_uppercase(),
            &HEADER.replacen("00", "ff", 1),
            &HEADER.replacen("00", "0", 1),
            &HEADER.replace("-01", "-1"),
            &HEADER.replace("-01", "-+1"),
            &HEADER.replace("-01", ""),
            &HEADER.replace("b7ad6b7169203331", "0000000000000000"),
            &HEADER.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
            &HEADER.replace("0af76519", "0af7651"),
            &HEADER.replace('-', "_"),
        ] {
            check(wrong, "");
        }
    }

    #[test]
    fn a_state_is_passed_on_if_it_can_be() {
        let state = |text: &str| TraceContext::parse(HEADER, Some(text)).and_then(|context| context.state);
        assert_eq!(state("a=1,b=2").as_deref(), Some("a=1,b=2"));
        assert_eq!(state(&"x".repeat(TRACE_STATE_BYTES_MAX)).map(|state| state.len()), Some(TRACE_STATE_BYTES_MAX));
        for dropped in ["", " ", "a=\u{e4}", "a=1\r\nx: y", &"x".repeat(TRACE_STATE_BYTES_MAX + 1)] {
            assert_eq!(state(dropped), None, "{dropped}");
        }
    }
}
