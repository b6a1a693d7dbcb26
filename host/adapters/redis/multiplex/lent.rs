//! A stream that is lent to the client library for its greeting, and comes back.
//!
//! Invariant: what the library leaves unread is nothing: a server speaks only when it is asked, and the greeting reads every answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One of the two who have the stream.
pub(in super::super) struct Lent<S>(Arc<Mutex<S>>);

impl<S> Lent<S> {
    /// The stream, for its owner and for who gets it for a while.
    pub(in super::super) fn new(stream: S) -> (Self, Self) {
        let shared = Arc::new(Mutex::new(stream));
        (Self(Arc::clone(&shared)), Self(shared))
    }

    /// The stream, once the other is dropped.
    pub(in super::super) fn back(self) -> Option<S> {
        Arc::into_inner(self.0).map(Mutex::into_inner)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(context)
    }
}
