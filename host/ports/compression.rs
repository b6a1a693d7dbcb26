//! How values are compressed in the store: what a policy may wish, what there is, what is counted.

use serde::{Deserialize, Serialize};

use super::metrics::Counter;

/// When the host compresses a value. The documentation of each item is in `wit/types.wit`. Envelopes keep it by its place in this
/// list.
#[expect(missing_docs, reason = "documented in wit/, under the same names")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    #[default]
    Automatic,
    Never,
    Lz4,
    Zstd,
}

/// How a value is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompressionMethod {
    /// An LZ4 block: fastest.
    Lz4,
    /// A Zstandard frame: smallest.
    Zstd,
}

impl CompressionMethod {
    /// How many there are.
    pub const COUNT: usize = 2;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Lz4, Self::Zstd];

    /// The word in settings, explanations and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// What is counted for one domain and one method.
#[derive(Debug, Default)]
pub struct CompressionMetrics {
    /// Bytes of values before they were compressed.
    pub from_bytes: Counter,
    /// Bytes of the same values after it.
    pub to_bytes: Counter,
    /// Values that were compressed and stored as they were, as it did not pay.
    pub in_vain: Counter,
}
