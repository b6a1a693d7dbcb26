//! Redis' error replies, word for word as version 7.0 has them.

use std::borrow::Cow;

use crate::ports::store::Reply;

/// What is repeated of a name that is unknown.
const NAME_BYTES_MAX: usize = 128;

/// Why a command was not carried out: the line that Redis would answer, code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) Cow<'static, str>);

impl Refusal {
    /// The options contradict one another or are unknown.
    pub(super) const SYNTAX: Self = Self::of("ERR syntax error");
    /// A key holds another type than the command is for.
    pub(super) const WRONG_TYPE: Self = Self::of("WRONGTYPE Operation against a key holding the wrong kind of value");
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
    /// A count that is negative, or no number.
    pub(super) const NOT_POSITIVE: Self = Self::of("ERR value is out of range, must be positive");
    /// A count that is the smallest number.
    pub(super) const COUNT_RANGE: Self =
        Self::of("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
    /// A count that is too large.
    pub(super) const OUT_OF_RANGE: Self = Self::of("ERR value is out of range");
    /// A field's value that is no number, or does not fit 64 bits.
    pub(super) const FIELD_NOT_AN_INTEGER: Self = Self::of("ERR hash value is not an integer");
    /// A field's value that is no number, or does not fit the 80-bit format.
    pub(super) const FIELD_NOT_A_FLOAT: Self = Self::of("ERR hash value is not a float");
    /// `HINCRBYFLOAT` by infinity.
    pub(super) const INFINITE: Self = Self::of("ERR value is NaN or Infinity");
    /// A place that a list has not.
    pub(super) const INDEX: Self = Self::of("ERR index out of range");
    /// `LPOS … RANK 0`.
    pub(super) const RANK: Self = Self::of(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
    );
    /// `LPOS … COUNT` of less than nothing.
    pub(super) const COUNT_NEGATIVE: Self = Self::of("ERR COUNT can't be negative");
    /// `LPOS … MAXLEN` of less than nothing.
    pub(super) const MAXLEN_NEGATIVE: Self = Self::of("ERR MAXLEN can't be negative");
    /// `SINTERCARD … LIMIT` of less than nothing.
    pub(super) const LIMIT_NEGATIVE: Self = Self::of("ERR LIMIT can't be negative");
    /// `SINTERCARD` of no keys.
    pub(super) const NUMKEYS: Self = Self::of("ERR numkeys should be greater than 0");
    /// `SINTERCARD` of more keys than there are.
    pub(super) const TOO_FEW_KEYS: Self = Self::of("ERR Number of keys can't be greater than number of args");
    /// A cursor that is no number.
    pub(super) const CURSOR: Self = Self::of("ERR invalid cursor");
    /// `OBJECT FREQ`: nobody counts.
    pub(super) const NO_FREQUENCY: Self = Self::of(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
    );
    /// The key to be renamed or changed is absent.
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

    /// A part of a command that there is not.
    pub(super) fn subcommand(command: &str, name: &[u8]) -> Self {
        let name = printable(&name[..name.len().min(NAME_BYTES_MAX)]);
        Self(format!("ERR unknown subcommand '{name}'. Try {command} HELP.").into())
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
