//! A stream that gives up on a client: bounds on how long one waits for what the client should do.
//!
//! Four waits are told apart, because one bound for all would either cut off honest clients or feed slow ones: idle between
//! requests, a header section that has begun, an answer that the client does not take (all three here), and a body that does
//! not come (`body`). While a request is being served nothing is expected of the client and no bound runs. Hyper's own header
//! timeout is off: it counts idle time too, and makes a timer for every request. Here one timer serves a connection for all
//! its life; it is moved when it is due, not when a request comes, so a hit pays one look at the clock.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::{HTTP_HEADER_MS_MAX, HTTP_IDLE_MS_MAX, HTTP_STALL_MS_MAX};

/// Where a connection stands, as its service tells its stream.
#[derive(Debug, Default)]
pub(super) struct Phase {
    requests: AtomicU64,
    serving: AtomicBool,
}

impl Phase {
    /// A whole header section has come.
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is being served until the guard is dropped.
    #[must_use]
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        self.serving.store(true, Ordering::Relaxed);
        Serving(Arc::clone(self))
    }
}

/// Ends with the answer, or with the request.
#[derive(Debug)]
pub(super) struct Serving(Arc<Phase>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.store(false, Ordering::Relaxed);
    }
}

/// A stream with bounds. All is one task's: the atomics of [`Phase`] only make it `Send`.
pub(super) struct Patient<S> {
    stream: S,
    phase: Arc<Phase>,
    requests_seen: u64,
    /// Whether bytes have come since the last header section.
    head_begun: bool,
    /// Since when one waits for the client to send.
    reading_since: Option<Instant>,
    /// Since when one waits for the client to take what is sent.
    writing_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    /// Bounds for this stream.
    pub(super) fn new(stream: S, phase: Arc<Phase>) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + Duration::from_millis(HTTP_IDLE_MS_MAX)));
        Self { stream, phase, requests_seen: 0, head_begun: false, reading_since: None, writing_since: None, timer }
    }

    /// The stream, without bounds.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn read_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let requests = self.phase.requests.load(Ordering::Relaxed);
        let serving = self.phase.serving.load(Ordering::Relaxed);
        if serving || requests != self.requests_seen {
            self.requests_seen = requests;
            self.head_begun = false;
            self.reading_since = None;
        }
        if serving {
            return Poll::Pending;
        }
        let now = Instant::now();
        let since = *self.reading_since.get_or_insert(now);
        let (ms, what) = if self.head_begun {
            (HTTP_HEADER_MS_MAX, "the header section is not complete in time")
        } else {
            (HTTP_IDLE_MS_MAX, "idle for too long")
        };
        self.wait_until(since + Duration::from_millis(ms), now, what, cx)
    }

    fn write_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let now = Instant::now();
        let since = *self.writing_since.get_or_insert(now);
        self.wait_until(since + Duration::from_millis(HTTP_STALL_MS_MAX), now, "the client takes no answer", cx)
    }

    /// The client did something: what it is waited for begins anew.
    fn written(&mut self) {
        self.writing_since = None;
        if !self.head_begun {
            self.reading_since = None;
        }
    }

    fn wait_until(
        &mut self,
        deadline: Instant,
        now: Instant,
        what: &'static str,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        if now >= deadline {
            return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        // Set later than due: move it. Set earlier (for a wait that is over, or for the other direction): it fires, and then.
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => Poll::Ready(Err(ready!(this.read_pending(cx)))),
            done => {
                if !this.head_begun {
                    this.head_begun = true;
                    this.reading_since = None;
                }
                done
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write(cx, buf) {
            Poll::Pending => Poll::Ready(Err(ready!(this.write_pending(cx)))),
            done => {
                this.written();
                done
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write_vectored(cx, bufs) {
            Poll::Pending => Poll::Ready(Err(ready!(this.write_pending(cx)))),
            done => {
                this.written();
                done
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
