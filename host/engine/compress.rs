//! Compression of values in the store. L1 holds them plain: a hit must cost nothing.
//!
//! A value is compressed when it is written, as its lifetime says, and kept so only if that pays. It is read back whatever the
//! settings or the policy say by then; an entry that is only stamped anew (renewed, ended, judged again) keeps the form that it has.
//!
//! Invariants: what comes out is exactly what went in, or nothing (length and checksum of the plain value are in the header); no
//! bytes of the store, however made, cost more memory than the largest value. Large values are worked on beside the workers'
//! threads, a few at a time. Deliberately absent: dictionaries, streams.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use zstd::bulk;

use super::core::Engine;
use super::entry::Terms;
use super::judge::Place;
use crate::limits::{COMPRESS_INLINE_BYTES_MAX, COMPRESSIONS_MAX, VALUE_BYTES_MAX, ZSTD_LEVEL};
use crate::ports::compression::{Compression, CompressionMethod};

/// LZ4 makes no more of one byte than this.
const LZ4_RATIO_MAX: usize = 255;

/// When values are compressed.
#[derive(Clone, Copy, Debug)]
pub struct CompressSettings {
    /// How, where the policy leaves it to the host; `None`: not at all.
    pub automatic: Option<CompressionMethod>,
    /// Smallest value, in bytes, that is compressed where the policy leaves it to the host.
    pub threshold_bytes: usize,
    /// How much smaller a value must become to be stored compressed, in percent.
    pub saving_percent: usize,
}

impl Default for CompressSettings {
    fn default() -> Self {
        Self { automatic: Some(CompressionMethod::Zstd), threshold_bytes: 4096, saving_percent: 10 }
    }
}

impl CompressSettings {
    /// How a value of this size is to be compressed, if it is.
    fn method(&self, asked: Compression, len: usize) -> Option<CompressionMethod> {
        match asked {
            Compression::Never => None,
            Compression::Lz4 => Some(CompressionMethod::Lz4),
            Compression::Zstd => Some(CompressionMethod::Zstd),
            Compression::Automatic => self.automatic.filter(|_| len >= self.threshold_bytes),
        }
    }
}

/// What a compressed value was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    len: u32,
    /// Half of its XXH3.
    check: u32,
}

impl Plain {
    fn of(value: &[u8]) -> Option<Self> {
        Some(Self { len: u32::try_from(value.len()).ok()?, check: check(value) })
    }
}

/// The form of a value in an envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// As it is.
    #[default]
    Plain,
    /// An LZ4 block.
    Lz4(Plain),
    /// A Zstandard frame.
    Zstd(Plain),
}

impl Form {
    /// The word in explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Lz4(_) => CompressionMethod::Lz4.as_str(),
            Self::Zstd(_) => CompressionMethod::Zstd.as_str(),
        }
    }
}

/// A value as an envelope carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// The bytes.
    pub bytes: Bytes,
    /// What they are.
    pub form: Form,
}

impl Packed {
    /// A value as it is.
    #[must_use]
    pub const fn plain(bytes: Bytes) -> Self {
        Self { bytes, form: Form::Plain }
    }

    /// Size of the value that it holds, in bytes, as it says itself.
    #[must_use]
    pub fn plain_len(&self) -> usize {
        match self.form {
            Form::Plain => self.bytes.len(),
            Form::Lz4(plain) | Form::Zstd(plain) => plain.len as usize,
        }
    }

    /// The value; `None`: these bytes are damaged, or claim to be more than any value is.
    #[must_use]
    pub fn unpack(&self) -> Option<Bytes> {
        let (plain, value) = match self.form {
            Form::Plain => return Some(self.bytes.clone()),
            Form::Lz4(plain) => (plain, unpack_lz4(&self.bytes, plain.len as usize)?),
            Form::Zstd(plain) => (plain, unpack_zstd(&self.bytes, plain.len as usize)?),
        };
        (value.len() == plain.len as usize && check(&value) == plain.check).then(|| value.into())
    }
}

/// Compresses a value; `None`: it does not pay.
#[must_use]
pub fn pack(value: &[u8], method: CompressionMethod, saving_percent: usize) -> Option<Packed> {
    let plain = Plain::of(value)?;
    let bytes = match method {
        CompressionMethod::Lz4 => lz4_flex::block::compress(value),
        CompressionMethod::Zstd => pack_zstd(value)?,
    };
    let pays = bytes.len().saturating_mul(100) <= value.len().saturating_mul(100 - saving_percent.min(100));
    let form = match method {
        CompressionMethod::Lz4 => Form::Lz4(plain),
        CompressionMethod::Zstd => Form::Zstd(plain),
    };
    (pays && bytes.len() < value.len()).then(|| Packed { bytes: bytes.into(), form })
}

fn check(value: &[u8]) -> u32 {
    let [a, b, c, d, ..] = xxhash_rust::xxh3::xxh3_64(value).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn unpack_lz4(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > VALUE_BYTES_MAX || len > bytes.len().saturating_mul(LZ4_RATIO_MAX) {
        return None;
    }
    lz4_flex::block::decompress(bytes, len).ok()
}

fn unpack_zstd(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    thread_local! {
        static CONTEXT: RefCell<Option<bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    if len > VALUE_BYTES_MAX {
        return None;
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(bulk::Decompressor::new().ok()?),
        };
        context.decompress(bytes, len).ok()
    })
}

fn pack_zstd(value: &[u8]) -> Option<Vec<u8>> {
    // A context is half a megabyte and worth keeping: making one costs more than a small value does.
    thread_local! {
        static CONTEXT: RefCell<Option<bulk::Compressor<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(bulk::Compressor::new(ZSTD_LEVEL).ok()?),
        };
        let mut bytes = context.compress(value).ok()?;
        bytes.shrink_to_fit();
        Some(bytes)
    })
}

/// Compresses and decompresses for the engine.
pub(super) struct Compressor {
    settings: CompressSettings,
    beside: Arc<Semaphore>,
}

impl Compressor {
    pub(super) fn new(settings: CompressSettings) -> Self {
        Self { settings, beside: Arc::new(Semaphore::new(COMPRESSIONS_MAX)) }
    }

    /// Does work on so many bytes here if they are few, else beside the workers' threads. `None`: the host is ending.
    async fn run<T: Send + 'static>(&self, len: usize, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if len <= COMPRESS_INLINE_BYTES_MAX {
            return Some(work());
        }
        Box::pin(self.run_beside(work)).await
    }

    async fn run_beside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        // The permit goes along: a caller that is dropped leaves the work running.
        let turn = Arc::clone(&self.beside).acquire_owned().await.ok()?;
        let work = move || {
            let _turn = turn;
            work()
        };
        spawn_blocking(work).await.ok()
    }
}

impl Engine {
    /// A value as it is to be stored: compressed if its lifetime and the settings say so, and if it pays. Counted.
    pub(super) async fn pack(&self, place: &Place<'_>, terms: &Terms, value: &Bytes) -> Packed {
        let settings = self.compressor.settings;
        let method = settings.method(terms.compression, value.len()).filter(|_| place.enveloped());
        let Some(method) = method else { return Packed::plain(value.clone()) };
        let plain = value.clone();
        let packed = self.compressor.run(value.len(), move || pack(&plain, method, settings.saving_percent)).await;
        let metrics = &place.live().metrics.compression[method as usize];
        match packed.flatten() {
            Some(packed) => {
                metrics.from_bytes.add(value.len() as u64);
                metrics.to_bytes.add(packed.bytes.len() as u64);
                packed
            }
            None => {
                metrics.in_vain.increment();
                Packed::plain(value.clone())
            }
        }
    }

    /// The value of an envelope; `None`: its bytes are damaged.
    pub(super) async fn unpack(&self, packed: Packed) -> Option<Bytes> {
        match packed.form {
            Form::Plain => Some(packed.bytes),
            Form::Lz4(_) | Form::Zstd(_) => {
                self.compressor.run(packed.plain_len(), move || packed.unpack()).await.flatten()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|i| b"{\"id\": 12345, \"name\": \"somebody\"}, "[i % 35]).collect()
    }

    #[test]
    fn what_pays_is_packed_and_comes_back() {
        for method in CompressionMethod::ALL {
            for len in [64, 1_000, 100_000, 3_000_000] {
                let value = text(len);
                let packed = pack(&value, method, 10).expect("it repeats itself");
                assert!(packed.bytes.len() < len * 9 / 10, "{method:?} {len}: {}", packed.bytes.len());
                assert_eq!((packed.plain_len(), packed.form.as_str()), (len, method.as_str()));
                assert_eq!(packed.unpack().as_deref(), Some(&value[..]));
            }
        }
    }

    #[test]
    fn what_does_not_pay_is_not_packed() {
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(10_000).collect();
        let half: Vec<u8> = noise[..8_000].iter().copied().chain(std::iter::repeat_n(0, 2_000)).collect();
        for method in CompressionMethod::ALL {
            assert_eq!(pack(&noise, method, 0), None);
            assert_eq!(pack(b"", method, 10), None);
            assert!(pack(&half, method, 10).is_some());
            assert_eq!(pack(&half, method, 30), None);
        }
    }

    #[test]
    fn a_bomb_is_damage() {
        let zeros = vec![0; 1_000_000];
        for method in CompressionMethod::ALL {
            let packed = pack(&zeros, method, 10).expect("zeros");
            let says = |len: usize| {
                let plain = Plain { len: len as u32, check: check(&zeros) };
                let form = match method {
                    CompressionMethod::Lz4 => Form::Lz4(plain),
                    CompressionMethod::Zstd => Form::Zstd(plain),
                };
                Packed { form, ..packed.clone() }.unpack()
            };
            assert!(says(zeros.len()).is_some());
            for lie in [0, 1_000, zeros.len() - 1, zeros.len() + 1, VALUE_BYTES_MAX + 1, u32::MAX as usize] {
                assert_eq!(says(lie), None, "{method:?} {lie}");
            }
        }
    }

    #[test]
    fn the_host_compresses_above_its_threshold_and_a_policy_whatever_it_likes() {
        use CompressionMethod::{Lz4, Zstd};
        let settings = CompressSettings { automatic: Some(Lz4), threshold_bytes: 100, saving_percent: 10 };
        let off = CompressSettings { automatic: None, ..settings };
        for (settings, asked, len, expect) in [
            (settings, Compression::Automatic, 99, None),
            (settings, Compression::Automatic, 100, Some(Lz4)),
            (settings, Compression::Never, 1_000, None),
            (settings, Compression::Zstd, 10, Some(Zstd)),
            (off, Compression::Automatic, 1_000, None),
            (off, Compression::Lz4, 10, Some(Lz4)),
        ] {
            assert_eq!(settings.method(asked, len), expect, "{asked:?} {len}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_become_another_value(flip in 0_usize..2_000, bit in 0_u8..8, cut in 0_usize..2_000) {
            let value = text(20_000);
            for method in CompressionMethod::ALL {
                let packed = pack(&value, method, 10).expect("it repeats itself");
                let mut bytes = packed.bytes.to_vec();
                let at = flip % bytes.len();
                bytes[at] ^= 1 << bit;
                let flipped = Packed { bytes: bytes.into(), ..packed.clone() }.unpack();
                prop_assert!(flipped.is_none_or(|got| got == value));
                let short = packed.bytes.slice(..cut % packed.bytes.len());
                prop_assert_eq!(Packed { bytes: short, ..packed.clone() }.unpack(), None);
            }
        }
    }
}
