//! The key space as a whole: `DBSIZE`, `FLUSHDB`, `FLUSHALL`; and `TIME`.

use super::Outcome;
use super::args::{Arguments, is_word};
use super::replies::{bulk, count};
use crate::adapters::memory::refusal::Refusal;
use crate::adapters::memory::view::View;
use crate::ports::store::Reply;

/// As in Redis, keys past their expiry count until somebody comes across them.
pub(super) fn dbsize(view: &mut View<'_>, _arguments: Arguments<'_>) -> Outcome {
    Ok(count(view.shards().map(<[_]>::len).sum()))
}

/// There is one database: both commands empty it. Either way the memory is freed when the locks have been given back.
pub(super) fn flush(view: &mut View<'_>, arguments: Arguments<'_>) -> Outcome {
    match arguments.from(1) {
        [] => {}
        [word] if is_word(word, "async") || is_word(word, "sync") => {}
        _ => return Err(Refusal::SYNTAX),
    }
    view.clear();
    Ok(Reply::ok())
}

/// Seconds and microseconds; the clock of the host counts milliseconds.
pub(super) fn time(view: &mut View<'_>, _arguments: Arguments<'_>) -> Outcome {
    let (seconds, micros) = (view.now_ms / 1000, view.now_ms % 1000 * 1000);
    let text = |number: u64| bulk(itoa::Buffer::new().format(number).as_bytes());
    Ok(Reply::Array(vec![text(seconds), text(micros)]))
}
