//! An origin that is a script: what it answers to each call, in order, and when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use larder::ports::clock::VirtualClock;
use larder::ports::origin::{Origin, OriginError, OriginRequest, OriginResponse, Patience};
use parking_lot::Mutex;
use tokio::sync::watch;

type Answer = Result<OriginResponse, OriginError>;

/// The script.
pub struct Script {
    clock: Arc<VirtualClock>,
    answers: Mutex<VecDeque<Answer>>,
    last: Mutex<Answer>,
    /// Answers to requests whose path begins so, whatever comes first.
    by_path: Mutex<Vec<(String, Answer)>>,
    asked: Mutex<Vec<OriginRequest>>,
    healthy: AtomicBool,
    running: AtomicUsize,
    /// How long a call takes in the engine's time.
    takes_ms: AtomicUsize,
    open: watch::Sender<bool>,
}

/// An answer of this status with this body and an `etag` of it.
pub fn answer(status: u16, body: &str) -> Answer {
    let headers = vec![("etag".to_owned(), format!("\"{body}\"")), ("x-extra".to_owned(), "1".to_owned())];
    Ok(OriginResponse { status, headers, body: body.to_owned().into() })
}

/// A connection that is refused.
pub fn unreachable() -> Answer {
    Err(OriginError::Unreachable("nobody listens".into()))
}

impl Script {
    /// Answers `one` to the first call and to all others.
    pub fn new(clock: &Arc<VirtualClock>) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            answers: Mutex::default(),
            last: Mutex::new(answer(200, "one")),
            by_path: Mutex::default(),
            asked: Mutex::default(),
            healthy: true.into(),
            running: 0.into(),
            takes_ms: 0.into(),
            open: watch::channel(true).0,
        })
    }

    /// From now on it answers so; the last one again and again.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        if let Some(last) = answers.pop_back() {
            *self.last.lock() = last;
        }
        *self.answers.lock() = answers;
    }

    /// Requests whose path begins so are answered so.
    pub fn answers_to(&self, path: &str, answer: Answer) {
        self.by_path.lock().push((path.to_owned(), answer));
    }

    /// What it was asked for.
    pub fn asked(&self) -> Vec<OriginRequest> {
        self.asked.lock().clone()
    }

    /// How often it was asked.
    pub fn calls(&self) -> usize {
        self.asked.lock().len()
    }

    /// How many calls run.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Calls wait from now on, or go on.
    pub fn hold(&self, held: bool) {
        self.open.send_replace(!held);
    }

    /// What its breaker says.
    pub fn healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::SeqCst);
    }

    /// How long a call takes in the engine's time.
    pub fn takes_ms(&self, ms: usize) {
        self.takes_ms.store(ms, Ordering::SeqCst);
    }
}

/// Counts a call that runs, until it is dropped.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Origin for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::SeqCst)
    }

    fn patience(&self) -> Patience {
        Patience { soft: Duration::from_millis(200), hard: Duration::from_secs(2) }
    }

    async fn load(&self, request: &OriginRequest, deadline: Duration) -> Answer {
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(&self.running);
        self.asked.lock().push(request.clone());
        let mut open = self.open.subscribe();
        if tokio::time::timeout(deadline, open.wait_for(|open| *open)).await.is_err() {
            return Err(OriginError::TimedOut(format!("no answer within {} ms", deadline.as_millis())));
        }
        self.clock.advance_ms(self.takes_ms.load(Ordering::SeqCst) as u64);
        if let Some((_, answer)) = self.by_path.lock().iter().find(|(path, _)| request.path.starts_with(path)) {
            return answer.clone();
        }
        self.answers.lock().pop_front().unwrap_or_else(|| self.last.lock().clone())
    }
}
