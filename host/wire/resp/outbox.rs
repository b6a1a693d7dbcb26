//! What is written and not yet sent to a client, and how long a client may let it wait.
//!
//! Invariant: everything that is in it goes out in order, or the connection ends. The bound on its size is kept by the owner, which
//! stops taking commands.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::Sleep;

use super::buffers;
use crate::limits::{RESP_READ_BYTES, RESP_WRITE_STALL_MS_MAX};

/// Bytes on their way out.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// How many of them are sent.
    sent: usize,
    /// Whether the stream itself may still hold some of what was sent, as TLS does.
    held: bool,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Outbox {
    /// Where answers are written.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = buffers::take_output();
        }
        &mut self.bytes
    }

    /// How many bytes wait.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether everything is sent.
    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0 && !self.held
    }

    /// Sends what the client takes; whether it took any.
    ///
    /// # Errors
    /// The connection is broken, or the client took nothing for too long.
    pub(super) fn poll_send(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut progress = false;
        while self.sent < self.bytes.len() {
            match Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.sent..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.sent += n;
                    self.stalled = None;
                    self.held = true;
                    progress = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.compact();
                    return self.check_stall(cx).map(|()| progress);
                }
            }
        }
        if progress {
            self.sent = 0;
            self.bytes.clear();
            buffers::give_output(std::mem::take(&mut self.bytes));
        }
        if self.held {
            match Pin::new(stream).poll_flush(cx) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.held = false;
                    self.stalled = None;
                }
                Poll::Pending => self.check_stall(cx)?,
            }
        }
        Ok(progress)
    }

    /// Forgets what is sent once it is most of the buffer; else a client that is always a little behind would make it grow for ever.
    fn compact(&mut self) {
        if self.sent > RESP_READ_BYTES && self.sent * 2 > self.bytes.len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    fn check_stall(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let patience = Duration::from_millis(RESP_WRITE_STALL_MS_MAX);
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the client read nothing for {RESP_WRITE_STALL_MS_MAX} ms while answers waited"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io;
    use std::task::Poll;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, duplex};

    use super::{Outbox, RESP_WRITE_STALL_MS_MAX};

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (mut near, mut far) = duplex(4);
        let mut outbox = Outbox::default();
        outbox.buffer().extend_from_slice(b"abcdefgh");
        let mut send = async |outbox: &mut Outbox| poll_fn(|cx| Poll::Ready(outbox.poll_send(&mut near, cx))).await;
        assert!(send(&mut outbox).await.unwrap());
        tokio::time::advance(Duration::from_millis(RESP_WRITE_STALL_MS_MAX - 1)).await;
        assert!(!send(&mut outbox).await.unwrap());
        // It reads, if late: the time begins anew.
        let mut read = [0; 2];
        far.read_exact(&mut read).await.unwrap();
        assert!(send(&mut outbox).await.unwrap());
        assert_eq!(outbox.len(), 2);
        tokio::time::advance(Duration::from_millis(RESP_WRITE_STALL_MS_MAX - 1)).await;
        assert!(!send(&mut outbox).await.unwrap());
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(send(&mut outbox).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_is_sent_is_forgotten() {
        let (mut near, mut far) = duplex(1 << 20);
        let mut outbox = Outbox::default();
        outbox.buffer().extend_from_slice(b"abc");
        assert!(poll_fn(|cx| Poll::Ready(outbox.poll_send(&mut near, cx))).await.unwrap());
        assert!(outbox.is_empty());
        drop(near);
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"abc");
    }
}
