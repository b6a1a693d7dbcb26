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

/// Where a connection stands, as its service tells its stream. All is one task's: the atomics only make it `Send`.
#[derive(Debug)]
pub(super) struct Phase {
    start: Instant,
    /// When the last thing happened that begins the idle time anew, in milliseconds from `start`.
    active_ms: AtomicU64,
    serving: AtomicBool,
    /// Whether bytes have come that no request has claimed: the beginning of a header section.
    head_begun: AtomicBool,
}

impl Phase {
    /// The connection begins now.
    #[must_use]
    pub(super) fn new() -> Self {
        let start = Instant::now();
        Self {
            start,
            active_ms: AtomicU64::new(0),
            serving: AtomicBool::new(false),
            head_begun: AtomicBool::new(false),
        }
    }

    /// A whole header section has come.
    pub(super) fn request(&self) {
        self.head_begun.store(false, Ordering::Relaxed);
        self.active(Instant::now());
    }

    /// A request is being served until the guard is dropped.
    #[must_use]
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        self.serving.store(true, Ordering::Relaxed);
        Serving(Arc::clone(self))
    }

    fn active(&self, now: Instant) {
        let passed_ms = now.duration_since(self.start).as_millis();
        self.active_ms.store(u64::try_from(passed_ms).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn idle_since(&self) -> Instant {
        self.start + Duration::from_millis(self.active_ms.load(Ordering::Relaxed))
    }
}

/// Ends with the answer, or with the request.
#[derive(Debug)]
pub(super) struct Serving(Arc<Phase>);

impl Drop for Serving {
    fn drop(&mut self) {
        // What came meanwhile was its body.
        self.0.head_begun.store(false, Ordering::Relaxed);
        self.0.serving.store(false, Ordering::Relaxed);
        self.0.active(Instant::now());
    }
}

/// A stream with bounds.
pub(super) struct Patient<S> {
    stream: S,
    phase: Arc<Phase>,
    /// Since when one waits for the rest of a header section.
    head_since: Option<Instant>,
    /// Since when one waits for the client to take what is sent.
    writing_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    /// Bounds for this stream.
    pub(super) fn new(stream: S, phase: Arc<Phase>) -> Self {
        let timer = Box::pin(sleep_until(phase.start + Duration::from_millis(HTTP_IDLE_MS_MAX)));
        Self { stream, phase, head_since: None, writing_since: None, timer }
    }

    /// The stream, without bounds.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn read_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        const IDLE: Duration = Duration::from_millis(HTTP_IDLE_MS_MAX);
        let now = Instant::now();
        let serving = self.phase.serving.load(Ordering::Relaxed);
        if !serving && self.phase.head_begun.load(Ordering::Relaxed) {
            let since = *self.head_since.get_or_insert(now);
            let deadline = since + Duration::from_millis(HTTP_HEADER_MS_MAX);
            return self.wait_until(deadline, now, "the header section did not come in time", cx);
        }
        self.head_since = None;
        // While a request is served nobody asks for this read again when it ends: the timer must go on running.
        let since = if serving { now } else { self.phase.idle_since() };
        self.wait_until(since + IDLE, now, "idle for too long", cx)
    }

    fn write_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let now = Instant::now();
        let since = *self.writing_since.get_or_insert(now);
        self.wait_until(since + Duration::from_millis(HTTP_STALL_MS_MAX), now, "the client takes no answer", cx)
    }

    fn written(&mut self) {
        if self.writing_since.take().is_some() {
            self.phase.active(Instant::now());
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
        // Set later than due: move it. Set earlier, for a wait that is over or for the other direction: it fires, and is moved then.
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
                this.phase.head_begun.store(true, Ordering::Relaxed);
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
