//! The envelope: an entry as the store holds it.
//!
//! ```text
//! F5 'L' 'D' version:u8   stamp:[u8;8]   header length:u16 le   header (postcard)   value
//! ```
//!
//! The first byte cannot begin UTF-8 text, so other people's values are told apart. The stamp is random and new with every
//! write: the first [`PREFIX_LEN`] bytes identify one version of one entry, which is what conditional replacement compares.
//! Foreign, damaged or future bytes decode to an error, which the engine treats as a miss.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::compress::{Form, Packed};
use super::entry::{Stamps, Terms};
use super::generation::Ids;

/// Bytes that identify one version of one entry.
pub const PREFIX_LEN: usize = 12;
const MAGIC: [u8; 3] = [0xF5, b'L', b'D'];
/// It grows with every change of the header's form: what hosts of other versions wrote is a miss.
const VERSION: u8 = 4;

#[derive(Serialize, Deserialize)]
struct Header<T> {
    born_ms: u64,
    /// Of the last renewal after `born_ms`.
    renewed_after_ms: u64,
    terms: T,
    /// Generations that it was loaded under, little-endian: the domain's, one for each tag, then those of prefixes.
    under: Vec<[u8; 8]>,
    ended: bool,
    /// Of the value.
    form: Form,
}

impl<T> Header<T> {
    fn under(ids: Option<&Arc<Ids>>) -> Vec<[u8; 8]> {
        let Some(ids) = ids else { return Vec::new() };
        let all = std::iter::once(&ids.domain).chain(&ids.tags).chain(&ids.prefixes);
        all.map(|id| id.to_le_bytes()).collect()
    }

    fn ids(&self, tags: usize) -> Option<Arc<Ids>> {
        let mut ids = self.under.iter().map(|id| u64::from_le_bytes(*id));
        let domain = ids.next()?;
        Some(Arc::new(Ids {
            domain,
            tags: ids.by_ref().take(tags).collect(),
            prefixes: ids.collect(),
            ended: self.ended,
        }))
    }
}

/// What an envelope held.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The entry's stamps.
    pub stamps: Stamps,
    /// The value, as it was stored; shares the envelope's memory.
    pub packed: Packed,
}

/// Why bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// They were not written by this host.
    #[error("no envelope: these bytes were not written by this host")]
    Foreign,
    /// An earlier or a later host wrote them.
    #[error("an envelope of version {0}, which this host does not read")]
    Version(u8),
    /// They are cut off or changed.
    #[error("a damaged envelope")]
    Damaged,
}

/// What a header takes unless it has many tags or the headers of an origin.
const HEADER_USUAL_BYTES: usize = 256;

/// Puts a value into an envelope.
///
/// # Errors
/// [`EnvelopeError::Damaged`] if the stamps do not fit into the header: more than 64 KiB of tags and headers.
pub fn seal(stamps: &Stamps, stamp: u64, packed: &Packed) -> Result<Bytes, EnvelopeError> {
    let header = Header {
        born_ms: stamps.born_ms,
        renewed_after_ms: stamps.since_ms.saturating_sub(stamps.born_ms),
        terms: stamps.terms.as_ref(),
        under: Header::<Terms>::under(stamps.under.as_ref()),
        ended: stamps.under.as_ref().is_some_and(|ids| ids.ended),
        form: packed.form,
    };
    // A vector would grow several times under the header's many small fields.
    let mut usual = [0; HEADER_USUAL_BYTES];
    let large;
    let header: &[u8] = match postcard::to_slice(&header, &mut usual) {
        Ok(header) => header,
        Err(_) => {
            large = postcard::to_allocvec(&header).map_err(|_| EnvelopeError::Damaged)?;
            &large
        }
    };
    let value = &packed.bytes[..];
    let header_len = u16::try_from(header.len()).map_err(|_| EnvelopeError::Damaged)?;
    let mut bytes = BytesMut::with_capacity(PREFIX_LEN + 2 + header.len() + value.len());
    bytes.put_slice(&MAGIC);
    bytes.put_u8(VERSION);
    bytes.put_u64_le(stamp);
    bytes.put_u16_le(header_len);
    bytes.put_slice(header);
    bytes.put_slice(value);
    Ok(bytes.freeze())
}

/// Takes a value out of its envelope, without copying it and as it was stored.
///
/// # Errors
/// Bytes that are no envelope.
pub fn open(bytes: &Bytes) -> Result<Opened, EnvelopeError> {
    let Some(rest) = bytes.strip_prefix(&MAGIC) else { return Err(EnvelopeError::Foreign) };
    let (&version, _) = rest.split_first().ok_or(EnvelopeError::Damaged)?;
    if version != VERSION {
        return Err(EnvelopeError::Version(version));
    }
    let header_at = PREFIX_LEN + 2;
    let len: [u8; 2] =
        bytes.get(PREFIX_LEN..header_at).and_then(|len| len.try_into().ok()).ok_or(EnvelopeError::Damaged)?;
    let value_at = header_at + usize::from(u16::from_le_bytes(len));
    let header = bytes.get(header_at..value_at).ok_or(EnvelopeError::Damaged)?;
    let (header, left) = postcard::take_from_bytes::<Header<Terms>>(header).map_err(|_| EnvelopeError::Damaged)?;
    if !left.is_empty() {
        return Err(EnvelopeError::Damaged);
    }
    let under = header.ids(header.terms.tags.len());
    let stamps = Stamps {
        born_ms: header.born_ms,
        since_ms: header.born_ms.saturating_add(header.renewed_after_ms),
        terms: Arc::new(header.terms),
        under,
    };
    Ok(Opened { stamps, packed: Packed { bytes: bytes.slice(value_at..), form: header.form } })
}

/// What identifies this version of an entry; `None` if the bytes are too short for an envelope.
#[must_use]
pub fn prefix(bytes: &Bytes) -> Option<Bytes> {
    (bytes.len() >= PREFIX_LEN).then(|| bytes.slice(..PREFIX_LEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::compress::pack;
    use crate::ports::compression::{Compression, CompressionMethod};

    fn stamps(compression: Compression) -> Stamps {
        let terms = Terms { compression, tags: vec!["red".into()], ..Terms::raw(7, Some(60_000)) };
        let under = Ids { domain: 1, tags: vec![2].into(), ..Ids::default() };
        Stamps { born_ms: 1_000, since_ms: 1_500, terms: Arc::new(terms), under: Some(Arc::new(under)) }
    }

    #[test]
    fn form_and_wish_come_back() {
        let value = Bytes::from(vec![b'a'; 10_000]);
        for wish in [Compression::Automatic, Compression::Never, Compression::Lz4, Compression::Zstd] {
            let all = CompressionMethod::ALL.iter().filter_map(|method| pack(&value, *method, 10));
            for packed in all.chain([Packed::plain(value.clone())]) {
                let sealed = seal(&stamps(wish), 9, &packed).expect("it fits");
                assert_eq!(open(&sealed), Ok(Opened { stamps: stamps(wish), packed }));
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_no_envelope() {
        let packed = pack(&vec![b'a'; 10_000], CompressionMethod::Lz4, 10).expect("it pays");
        let sealed = seal(&stamps(Compression::Lz4), 9, &packed).expect("it fits");
        let header_end = sealed.len() - packed.bytes.len();
        for end in 0..header_end {
            assert!(open(&sealed.slice(..end)).is_err(), "{end}");
        }
    }

    #[test]
    fn what_another_version_of_the_host_wrote_is_not_read() {
        let sealed = seal(&stamps(Compression::Automatic), 9, &Packed::plain("hello".into())).expect("it fits");
        for version in [0, 1, 2, 3, VERSION + 1, u8::MAX] {
            let mut bytes = sealed.to_vec();
            bytes[3] = version;
            assert_eq!(open(&bytes.into()), Err(EnvelopeError::Version(version)));
        }
    }
}
