//! Redis' error replies, word for word as version 7.0 has them.

use std::borrow::Cow;

use crate::ports::store::Reply;

/// Why a command was not carried out: the line that Redis would answer, code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) Cow<'static, str>);

impl Refusal {
    /// The options contradict one another or are unknown.
    pub(super) const SYNTAX: Self = Self::of("ERR syntax error");
    /// A number that is none, or does not fit 64 bits.
    pub(super) const NOT_AN_INTEGER: Self = Self::of("ERR value is not an integer or out of range");
    /// A number that is none, or does not fit the 80-bit format.
    pub(super) const NOT_A_FLOAT: Self = Self::of("ERR value is not a valid float");
    /// The sum leaves 64 bits.
    pub(super) const OVERFLOW: Self = Self::of("ERR increment or decrement would overflow");
    /// The negative of the smallest number.
    pub(super) const DECREMENT_OVERFLOW: Self = Self::of("ERR decrement would overflow");
    /// The sum leaves the 80-bit format.
    pub(super) const NOT_FINITE: Self = Self::of("ERR increment would produce NaN or Infinity");
    /// A string would become too long.
    pub(super) const TOO_LONG: Self = Self::of("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    /// A place before the beginning.
    pub(super) const OFFSET: Self = Self::of("ERR offset is out of range");
    /// The key to be renamed is absent.
    pub(super) const NO_SUCH_KEY: Self = Self::of("ERR no such key");
    /// `COPY` onto itself.
    pub(super) const SAME_OBJECT: Self = Self::of("ERR source and destination objects are the same");
    /// A database other than the one there is.
    pub(super) const DATABASE: Self = Self::of("ERR DB index is out of range");
    /// `EXPIRE … NX` with another condition.
    pub(super) const NX_WITH_OTHERS: Self =
        Self::of("ERR NX and XX, GT or LT options at the same time are not compatible");
    /// `EXPIRE … GT LT`.
    pub(super) const GT_WITH_LT: Self = Self::of("ERR GT and LT options at the same time are not compatible");
    /// The bound on memory is reached.
    pub(super) const OUT_OF_MEMORY: Self = Self::of("OOM command not allowed when used memory > 'maxmemory'.");
    /// A command without a name.
    pub(super) const EMPTY: Self = Self::of("ERR empty command");

    const fn of(line: &'static str) -> Self {
        Self(Cow::Borrowed(line))
    }

    /// The number of arguments is not the command's.
    pub(super) fn arity(command: &str) -> Self {
        Self(format!("ERR wrong number of arguments for '{command}' command").into())
    }

    /// An expiry that is not positive or leaves 64 bits.
    pub(super) fn expire_time(command: &str) -> Self {
        Self(format!("ERR invalid expire time in '{command}' command").into())
    }

    /// An option of `EXPIRE` that there is not.
    pub(super) fn option(option: &[u8]) -> Self {
        Self(format!("ERR Unsupported option {}", printable(option)).into())
    }

    /// A command that the memory store does not serve.
    pub(super) fn unknown(name: &[u8]) -> Self {
        const NAME_BYTES_MAX: usize = 128;
        let name = printable(&name[..name.len().min(NAME_BYTES_MAX)]);
        Self(format!("ERR unknown command '{name}': the memory store does not serve it").into())
    }
}

impl From<Refusal> for Reply {
    fn from(Refusal(line): Refusal) -> Self {
        Self::Error(line.into_owned())
    }
}

/// As Redis prints what a caller sent: up to the first NUL, line breaks as spaces.
fn printable(bytes: &[u8]) -> String {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ")
}
