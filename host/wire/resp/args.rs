//! The words of one command: borrowed while it lies in the read buffer, owned once it has to outlive it.

use std::ops::{Index, Range};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// Where a word lies: first byte and the one after the last, from the start of the frame.
pub type Span = (u32, u32);

/// Nearly all commands have few words.
type Spans = SmallVec<[Span; 5]>;

/// A command where it was read, at least until the next read.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    source: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Words<'a> {
    /// The words at `spans` of `source`.
    pub(super) const fn new(source: &'a [u8], spans: &'a [Span]) -> Self {
        Self { source, spans }
    }

    /// How many there are, the name included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// One of them; the name is the first.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let &(start, end) = self.spans.get(index)?;
        self.source.get(start as usize..end as usize)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let source = self.source;
        self.spans.iter().filter_map(move |&(start, end)| source.get(start as usize..end as usize))
    }

    /// The words without the first `n`.
    #[must_use]
    pub fn skip(self, n: usize) -> Self {
        Self { source: self.source, spans: self.spans.get(n..).unwrap_or_default() }
    }

    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_args(&self) -> Args {
        Args { bytes: Bytes::copy_from_slice(self.source), spans: self.spans.into() }
    }

    /// Copies them behind others into one buffer.
    #[must_use]
    pub fn lay(&self, buffer: &mut BytesMut) -> Laid {
        let start = buffer.len();
        buffer.extend_from_slice(self.source);
        Laid { lies: start..buffer.len(), spans: self.spans.into() }
    }
}

/// A command whose words lie in a buffer with those of others.
#[derive(Debug)]
pub struct Laid {
    lies: Range<usize>,
    spans: Spans,
}

impl Laid {
    /// The words, which share the buffer's memory.
    #[must_use]
    pub fn args(self, buffer: &Bytes) -> Args {
        Args { bytes: buffer.slice(self.lies), spans: self.spans }
    }
}

/// A command that owns its words. Reading a word that is not there panics: the command table checks how many there are.
#[derive(Clone, Debug)]
pub struct Args {
    bytes: Bytes,
    spans: Spans,
}

impl Args {
    /// Takes a frame of `len` bytes out of the buffer it was read into, without a copy.
    pub(super) fn take(buffer: &mut BytesMut, len: usize, spans: &[Span]) -> Self {
        Self { bytes: buffer.split_to(len).freeze(), spans: spans.into() }
    }

    /// How many there are, the name included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The words as borrowed ones.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        Words { source: &self.bytes, spans: &self.spans }
    }

    /// A word that shares the frame's memory: for the life of the command.
    #[must_use]
    pub fn shared(&self, index: usize) -> Bytes {
        let (start, end) = self.spans[index];
        self.bytes.slice(start as usize..end as usize)
    }

    /// A word for whoever keeps it for long: shares the frame's memory only if it is most of it, so that a small value never
    /// keeps a large frame alive.
    #[must_use]
    pub fn kept(&self, index: usize) -> Bytes {
        let word = &self[index];
        if word.len() * 2 > self.bytes.len() { self.shared(index) } else { Bytes::copy_from_slice(word) }
    }

    /// The words of a line, for tests of what is made of them.
    #[cfg(test)]
    pub(super) fn parse(line: &str) -> Self {
        let (mut text, mut spans) = (Vec::new(), Vec::new());
        super::inline::split(line.as_bytes(), &mut text, &mut spans).unwrap();
        Words::new(&text, &spans).to_args()
    }

    /// All words, which share the frame's memory: for the life of the command.
    #[must_use]
    pub fn all_shared(&self) -> Vec<Bytes> {
        (0..self.len()).map(|index| self.shared(index)).collect()
    }

    /// What the words keep alive, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.spans)
    }

    /// A word as text; foreign bytes are replaced.
    #[must_use]
    pub fn text(&self, index: usize) -> String {
        String::from_utf8_lossy(&self[index]).into_owned()
    }

    /// Whether a word is this one, in any case of letters.
    #[must_use]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self[index].eq_ignore_ascii_case(word.as_bytes())
    }
}

impl Index<usize> for Args {
    type Output = [u8];

    fn index(&self, index: usize) -> &[u8] {
        let (start, end) = self.spans[index];
        &self.bytes[start as usize..end as usize]
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Args, Words};

    #[test]
    fn a_small_word_does_not_keep_a_large_frame() {
        let args = Words::new(b"setk0123456789", &[(0, 3), (3, 4), (4, 14)]).to_args();
        assert_eq!((&args[0], &args[1], &args[2]), (&b"set"[..], &b"k"[..], &b"0123456789"[..]));
        let frame = args.bytes.as_ptr() as usize..args.bytes.as_ptr() as usize + args.bytes.len();
        assert!(!frame.contains(&(args.kept(1).as_ptr() as usize)), "copied");
        assert!(frame.contains(&(args.kept(2).as_ptr() as usize)), "shared");
        assert!(args.is(0, "SET") && !args.is(1, "SET"));
    }

    #[test]
    fn words_lie_in_one_buffer() {
        let mut buffer = BytesMut::new();
        let laid = [Words::new(b"geta", &[(0, 3), (3, 4)]), Words::new(b"getbc", &[(0, 3), (3, 5)])];
        let laid = laid.map(|words| words.lay(&mut buffer));
        let all = buffer.freeze();
        let [a, bc] = laid.map(|laid| laid.args(&all));
        assert_eq!((&a[0], &a[1], &bc[1]), (&b"get"[..], &b"a"[..], &b"bc"[..]));
        assert_eq!((a.len(), bc.weight() - bc.len() * size_of::<super::Span>()), (2, 5));
    }

    #[test]
    fn a_frame_is_taken_without_a_copy() {
        let mut buffer = BytesMut::from(&b"abcdef"[..]);
        let at = buffer.as_ptr();
        let args = Args::take(&mut buffer, 4, &[(1, 3)]);
        assert_eq!((&args[0], &buffer[..], args.bytes.as_ptr()), (&b"bc"[..], &b"ef"[..], at));
    }
}
