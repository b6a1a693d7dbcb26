//! Reading the body of a request within its bounds.
//!
//! Never more than [`HTTP_BODY_BYTES_MAX`] of one body and [`HTTP_BODIES_BYTES_MAX`] of all bodies is held, and what is over is
//! noticed while it streams, not after. A length that a client only announces reserves nothing. What comes out is exactly as
//! large as the value: it may live in L1 for long and must not pin the buffer of a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;

use super::errors::{Problem, ProblemKind};
use crate::error::ErrorKind;
use crate::limits::{HTTP_BODIES_BYTES_MAX, HTTP_BODY_BYTES_MAX, HTTP_STALL_MS_MAX};

/// The first buffer of a body, in bytes; it doubles as bytes come.
const FIRST_BYTES: usize = 64 * 1024;

/// The bytes of all bodies that are being read at the same time.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// A part of the budget; given back on drop.
struct Share<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        self.bytes += bytes;
        if self.budget.0.fetch_add(bytes, Ordering::Relaxed) + bytes > HTTP_BODIES_BYTES_MAX {
            return Err(Problem::new(
                ProblemKind::Error(ErrorKind::Overloaded),
                format!(
                    "the bodies that are being read exceed {HTTP_BODIES_BYTES_MAX} bytes together; send fewer at a time"
                ),
            ));
        }
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The whole body.
///
/// # Errors
/// It is too large, too slow, broken, or there are too many at the same time.
pub(super) async fn read(mut body: Body, budget: &Budget) -> Result<Bytes, Problem> {
    let announced = body.size_hint();
    if announced.lower() > HTTP_BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let mut share = Share { budget, bytes: 0 };
    let mut value = Vec::new();
    while let Some(data) = next(&mut body).await? {
        share.grow(data.len())?;
        if value.len() + data.len() > HTTP_BODY_BYTES_MAX {
            return Err(too_large());
        }
        if value.is_empty() {
            let rest = announced.exact().map_or(0, |exact| usize::try_from(exact).unwrap_or(FIRST_BYTES));
            value.reserve_exact(rest.min(FIRST_BYTES).max(data.len()));
        }
        value.extend_from_slice(&data);
    }
    value.shrink_to_fit();
    Ok(value.into())
}

/// The next bytes; trailers are skipped.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame =
            tokio::time::timeout(Duration::from_millis(HTTP_STALL_MS_MAX), body.frame()).await.map_err(|_| {
                let detail = format!("no more of the body came within {HTTP_STALL_MS_MAX} ms");
                Problem::new(ProblemKind::BodyTimeout, detail)
            })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => {
                return Err(Problem::new(ProblemKind::BodyBroken, format!("the body is broken: {error}")));
            }
        }
    }
}

fn too_large() -> Problem {
    Problem::new(ProblemKind::BodyTooLarge, format!("the longest body is {HTTP_BODY_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    /// A body in pieces that is `hole` after them: as a client that stops sending.
    fn pieces(pieces: Vec<Bytes>, stalls: bool) -> Body {
        use futures_util::StreamExt;
        let sent = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
        if stalls { Body::from_stream(sent.chain(stream::pending())) } else { Body::from_stream(sent) }
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_one_value_of_its_own_size() {
        let budget = Budget::default();
        let parts = vec![Bytes::from_static(b"a"), Bytes::new(), Bytes::from(vec![b'b'; 100_000])];
        let value = read(pieces(parts, false), &budget).await.unwrap();
        assert_eq!(value.len(), 100_001);
        assert_eq!(value.try_into_mut().unwrap().capacity(), 100_001);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_body_over_the_bound_is_noticed_while_it_streams() {
        let budget = Budget::default();
        let piece = Bytes::from(vec![0; HTTP_BODY_BYTES_MAX / 2 + 1]);
        let error = read(pieces(vec![piece.clone(), piece], true), &budget).await.unwrap_err();
        assert_eq!(error.kind, ProblemKind::BodyTooLarge);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_given_up() {
        let budget = Budget::default();
        let error = read(pieces(vec![Bytes::from_static(b"a")], true), &budget).await.unwrap_err();
        assert_eq!(error.kind, ProblemKind::BodyTimeout);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn all_bodies_share_a_budget() {
        let budget = Budget::default();
        budget.0.store(HTTP_BODIES_BYTES_MAX, Ordering::Relaxed);
        let error = read(pieces(vec![Bytes::from_static(b"a")], true), &budget).await.unwrap_err();
        assert_eq!(error.kind, ProblemKind::Error(ErrorKind::Overloaded));
        assert_eq!(budget.0.load(Ordering::Relaxed), HTTP_BODIES_BYTES_MAX);
    }
}
