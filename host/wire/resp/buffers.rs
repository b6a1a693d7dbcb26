//! Read and write buffers, shared by the connections of a thread: only a connection with work in progress holds one.
//!
//! Ten thousand idle connections with a buffer each would hold 640 MiB for nothing. Invariant: what is given back is empty and of
//! an ordinary size; a buffer that grew with a large value is freed.

use std::cell::RefCell;

use bytes::BytesMut;

use crate::limits::{RESP_BUFFERS_KEPT_MAX, RESP_READ_BYTES};

/// A buffer that is larger is freed, not kept.
const CAPACITY_KEPT_MAX: usize = 2 * RESP_READ_BYTES;

#[derive(Default)]
struct Pool {
    inputs: Vec<BytesMut>,
    outputs: Vec<Vec<u8>>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// An empty buffer to read into.
#[must_use]
pub(super) fn take_input() -> BytesMut {
    POOL.with_borrow_mut(|pool| pool.inputs.pop()).unwrap_or_else(|| BytesMut::with_capacity(RESP_READ_BYTES))
}

/// Gives a buffer back that is of no use for now.
pub(super) fn give_input(mut buffer: BytesMut) {
    buffer.clear();
    // What commands took out of the front is gone from its capacity; taking the whole allocation back needs no other owner.
    if !buffer.try_reclaim(RESP_READ_BYTES) || buffer.capacity() > CAPACITY_KEPT_MAX {
        return;
    }
    POOL.with_borrow_mut(|pool| {
        if pool.inputs.len() < RESP_BUFFERS_KEPT_MAX {
            pool.inputs.push(buffer);
        }
    });
}

/// An empty buffer to write to.
#[must_use]
pub(super) fn take_output() -> Vec<u8> {
    POOL.with_borrow_mut(|pool| pool.outputs.pop()).unwrap_or_default()
}

/// Gives a buffer back that has been written.
pub(super) fn give_output(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > CAPACITY_KEPT_MAX {
        return;
    }
    buffer.clear();
    POOL.with_borrow_mut(|pool| {
        if pool.outputs.len() < RESP_BUFFERS_KEPT_MAX {
            pool.outputs.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY_KEPT_MAX, RESP_READ_BYTES, give_input, give_output, take_input, take_output};

    #[test]
    fn buffers_come_back_empty_and_of_ordinary_size() {
        let mut input = take_input();
        input.extend_from_slice(b"abcdef");
        let _front = input.split_to(3);
        let at = input.as_ptr();
        give_input(input);
        assert_ne!(take_input().as_ptr(), at, "one with another owner is not kept");

        let mut input = take_input();
        input.extend_from_slice(b"abc");
        let at = input.as_ptr();
        give_input(input);
        let input = take_input();
        assert_eq!((input.as_ptr(), input.len(), input.capacity() >= RESP_READ_BYTES), (at, 0, true));

        give_output(vec![1; 10]);
        assert!(take_output().is_empty());
        give_output(Vec::with_capacity(CAPACITY_KEPT_MAX + 1));
        assert_eq!(take_output().capacity(), 0);
    }
}
