//! Finds the commands in what a client sent, wherever the network cut it.
//!
//! The words are found in place: nothing is copied or allocated per command. Between reads the parser remembers how far it came,
//! so that a large word which arrives in a thousand reads is looked at once, not a thousand times.
//!
//! Invariants: the same bytes give the same commands and the same error however they are cut; memory grows with the bytes that came,
//! never with the numbers that they claim. As Redis does it, what stands where a line end has to be after a word is not
//! looked at.

use memchr::memchr;

use super::args::{Span, Words};
use super::frame::{Frame, ProtocolError};
use super::inline;
use super::number::parse_i64;
use crate::limits::{RESP_ARGS_MAX, RESP_COMMAND_BYTES_MAX, RESP_INLINE_BYTES_MAX, VALUE_BYTES_MAX};

/// Words that a client may send before it has said the password; Redis' own bound.
const UNAUTHENTICATED_ARGS_MAX: usize = 10;
/// Length of a word before the password is said, in bytes; Redis' own bound.
const UNAUTHENTICATED_WORD_BYTES_MAX: usize = 16 * 1024;
/// Spans that are kept allocated between commands.
const SPANS_KEPT_MAX: usize = 1024;
/// Bytes of inline words that are kept allocated between commands.
const TEXT_KEPT_MAX: usize = 1024;

/// The state between reads. All positions count from the start of the frame that is being read.
#[derive(Debug, Default)]
pub struct Parser {
    /// Words found so far.
    spans: Vec<Span>,
    /// The words of an inline command.
    text: Vec<u8>,
    /// Words yet to come; 0 at the start of a frame.
    missing: usize,
    /// Where the next item begins.
    at: usize,
    /// Up to where there is no line end.
    scanned: usize,
    /// Length of the word whose bytes are yet to come.
    word: Option<usize>,
    /// Whether the client has yet to say the password.
    guarded: bool,
}

impl Parser {
    /// Sets whether the client has yet to say the password, and therefore must keep its commands short.
    pub const fn set_guarded(&mut self, guarded: bool) {
        self.guarded = guarded;
    }

    /// The first frame in `buffer`, or `None` if it is not there as a whole. `buffer` must begin where the frame before ended, and
    /// between calls that gave `None` it may only grow.
    ///
    /// # Errors
    /// The bytes are no frame; the parser is of no use after that.
    pub fn next(&mut self, buffer: &[u8]) -> Result<Option<Frame>, ProtocolError> {
        if self.missing == 0 {
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => {}
                Some(_) => return self.inline(buffer),
            }
            let Some((count, after)) =
                self.number(buffer, 1, ProtocolError::EndlessCount, ProtocolError::InvalidCount)?
            else {
                return Ok(None);
            };
            self.begin();
            self.missing = self.checked_count(count)?;
            self.at = after;
        }
        while self.missing > 0 {
            let Some(len) = self.word_len(buffer)? else { return Ok(None) };
            let end = self.at + len;
            if buffer.len() < end + 2 {
                return Ok(None);
            }
            self.spans.push((offset(self.at), offset(end)));
            self.at = end + 2;
            self.word = None;
            self.missing -= 1;
        }
        Ok(Some(Frame { len: self.end(), inline: false }))
    }

    /// The words of the frame that [`Self::next`] gave, until it is called again.
    #[must_use]
    pub fn words<'a>(&'a self, buffer: &'a [u8], frame: Frame) -> Words<'a> {
        let source = if frame.inline { self.text.as_slice() } else { buffer.get(..frame.len).unwrap_or_default() };
        Words::new(source, &self.spans)
    }

    /// Where the words of the frame that [`Self::next`] gave lie in it.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    fn begin(&mut self) {
        self.spans.clear();
        self.spans.shrink_to(SPANS_KEPT_MAX);
        self.text.clear();
        self.text.shrink_to(TEXT_KEPT_MAX);
    }

    /// Ends a frame: the next one counts from 0 again.
    const fn end(&mut self) -> usize {
        let len = self.at;
        self.at = 0;
        self.scanned = 0;
        len
    }

    fn checked_count(&self, count: i64) -> Result<usize, ProtocolError> {
        // None and fewer are an empty command for Redis.
        let count = usize::try_from(count).unwrap_or(0);
        if count > RESP_ARGS_MAX {
            return Err(ProtocolError::InvalidCount);
        }
        if self.guarded && count > UNAUTHENTICATED_ARGS_MAX {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        Ok(count)
    }

    /// The length of the next word, once its header is there; the header is then behind.
    fn word_len(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if let Some(len) = self.word {
            return Ok(Some(len));
        }
        match buffer.get(self.at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => return Err(ProtocolError::NoDollar(other)),
        }
        let header = self.number(buffer, self.at + 1, ProtocolError::EndlessLength, ProtocolError::InvalidLength)?;
        let Some((len, after)) = header else { return Ok(None) };
        let len = usize::try_from(len).map_err(|_negative| ProtocolError::InvalidLength)?;
        if len > VALUE_BYTES_MAX {
            return Err(ProtocolError::InvalidLength);
        }
        if self.guarded && len > UNAUTHENTICATED_WORD_BYTES_MAX {
            return Err(ProtocolError::UnauthenticatedLength);
        }
        if after + len + 2 > RESP_COMMAND_BYTES_MAX {
            return Err(ProtocolError::TooLarge);
        }
        self.at = after;
        self.word = Some(len);
        Ok(self.word)
    }

    /// The number on the line from `from`, and where the next line begins.
    fn number(
        &mut self,
        buffer: &[u8],
        from: usize,
        endless: ProtocolError,
        invalid: ProtocolError,
    ) -> Result<Option<(i64, usize)>, ProtocolError> {
        if let Some(short) = short_number(buffer, from) {
            return Ok(Some(short));
        }
        let line_from = self.scanned.max(from);
        let Some(end) = memchr(b'\r', buffer.get(line_from..).unwrap_or_default()).map(|found| line_from + found)
        else {
            self.scanned = buffer.len();
            return if buffer.len().saturating_sub(from) > RESP_INLINE_BYTES_MAX { Err(endless) } else { Ok(None) };
        };
        if end - from > RESP_INLINE_BYTES_MAX {
            return Err(endless);
        }
        if buffer.len() < end + 2 {
            self.scanned = end;
            return Ok(None);
        }
        let number = parse_i64(&buffer[from..end]).ok_or(invalid)?;
        Ok(Some((number, end + 2)))
    }

    fn inline(&mut self, buffer: &[u8]) -> Result<Option<Frame>, ProtocolError> {
        let from = self.scanned.min(buffer.len());
        let Some(end) = memchr(b'\n', &buffer[from..]).map(|found| from + found) else {
            self.scanned = buffer.len();
            return if buffer.len() > RESP_INLINE_BYTES_MAX { Err(ProtocolError::EndlessInline) } else { Ok(None) };
        };
        if end > RESP_INLINE_BYTES_MAX {
            return Err(ProtocolError::EndlessInline);
        }
        self.begin();
        inline::split(&buffer[..end], &mut self.text, &mut self.spans)?;
        self.at = end + 1;
        Ok(Some(Frame { len: self.end(), inline: true }))
    }
}

/// The common case of a header, without a search: a few digits and the line end. `None` says nothing, only that it is not that.
fn short_number(buffer: &[u8], from: usize) -> Option<(i64, usize)> {
    let line = buffer.get(from..)?;
    let mut number = 0;
    for (digits, &byte) in line.iter().take(9).enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + i64::from(byte - b'0'),
            b'\r' if digits > 0 && (line[0] != b'0' || digits == 1) && line.len() > digits + 1 => {
                return Some((number, from + digits + 2));
            }
            _ => return None,
        }
    }
    None
}

/// A command fits a span by the assertion beside [`Frame`].
const fn offset(at: usize) -> u32 {
    at as u32
}

#[cfg(test)]
mod tests;
