//! The threads that carry connections: each runs a single-threaded runtime of its own.
//!
//! One thread per core and no work stealing: a connection stays where it began, so that what it touches stays in that core's
//! cache and the buffers of its thread serve all its connections (measured: `current_thread` beats the shared scheduler on
//! hits). All front ends share one set.
//!
//! Invariants: a future begins and ends on one worker; after [`Workers::shutdown`] no thread and no future of theirs is left.
//! Deliberately absent: accepting, protocols, and how a connection ends when asked; a front end watches [`Workers::closing`].

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};

/// The threads.
#[derive(Debug)]
pub struct Workers {
    handles: Vec<Handle>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next: AtomicUsize,
    closing: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    /// Every future on a worker holds a sender: the channel is closed when the last one ends.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    ended: Mutex<Option<mpsc::Receiver<()>>>,
}

/// Tells when the host is closing. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Whether it is.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when it is. May be dropped and called again.
    pub async fn wait(&mut self) {
        // An error means that the workers are gone, which is the end as well.
        let _gone: bool = self.0.wait_for(|closing| *closing).await.is_err();
    }
}

/// How many workers a machine of this size gets if nobody says: all cores but one, which is left to the store's connections, compilation
/// and the machine itself.
#[must_use]
pub fn default_count() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

impl Workers {
    /// Starts `count` threads, at least one. Each calls `on_thread_start` with its number before anything else.
    ///
    /// # Errors
    /// The system has no thread, or no event queue, to give.
    pub fn start(count: usize, on_thread_start: impl Fn(usize) + Send + Sync + 'static) -> io::Result<Arc<Self>> {
        let (closing, _) = watch::channel(false);
        let (stop, _) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let hook = Arc::new(on_thread_start);
        let mut handles = Vec::with_capacity(count.max(1));
        let mut threads = Vec::with_capacity(count.max(1));
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let (hook, mut stop) = (Arc::clone(&hook), stop.subscribe());
            let thread = std::thread::Builder::new().name(format!("larder-worker-{number}")).spawn(move || {
                hook(number);
                // An error means that the workers were dropped without a shutdown; either way the thread is to end.
                let _gone: bool = runtime.block_on(stop.wait_for(|stop| *stop)).is_err();
            })?;
            threads.push(thread);
        }
        Ok(Arc::new(Self {
            handles,
            threads: Mutex::new(threads),
            next: AtomicUsize::new(0),
            closing,
            stop,
            alive: Mutex::new(Some(alive)),
            ended: Mutex::new(Some(ended)),
        }))
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.handles.len()
    }

    /// Tells futures on the workers when to come to their end.
    #[must_use]
    pub fn closing(&self) -> Closing {
        Closing(self.closing.subscribe())
    }

    /// Runs a future on the next worker in turn. The factory is called there, so that sockets and timers that it makes belong
    /// to that worker. Whether it was taken: after the shutdown began nothing is.
    pub fn spawn_on_next<F, Fut>(&self, factory: F) -> bool
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let Some(alive) = self.alive.lock().clone() else { return false };
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len();
        self.handles[turn].spawn(async move {
            let _alive = alive;
            factory().await;
        });
        true
    }

    /// Ends everything: tells the futures ([`Self::closing`]), waits for them for at most `within`, drops those that are left
    /// and joins the threads. How it went: whether all futures ended by themselves. The second caller gets `true` at once.
    pub async fn shutdown(&self, within: Duration) -> bool {
        self.closing.send_replace(true);
        self.alive.lock().take();
        let ended = self.ended.lock().take();
        let in_time = match ended {
            Some(mut ended) => tokio::time::timeout(within, ended.recv()).await.is_ok(),
            None => true,
        };
        self.stop.send_replace(true);
        let threads = std::mem::take(&mut *self.threads.lock());
        // Joining blocks, though shortly: each thread only drops what is left on it.
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok())).await;
        in_time && joined.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::Workers;

    #[tokio::test]
    async fn futures_go_round_and_end_when_told() {
        let started = Arc::new(Mutex::new(HashSet::new()));
        let hook = Arc::clone(&started);
        let workers = Workers::start(3, move |number| {
            hook.lock().insert(number);
        })
        .unwrap();
        let (send, mut receive) = tokio::sync::mpsc::channel(8);
        for _ in 0..6 {
            let (send, mut closing) = (send.clone(), workers.closing());
            assert!(workers.spawn_on_next(move || async move {
                send.send(std::thread::current().name().map(str::to_owned)).await.unwrap();
                closing.wait().await;
            }));
        }
        let mut names = Vec::new();
        for _ in 0..6 {
            names.push(receive.recv().await.unwrap().unwrap());
        }
        names.sort();
        assert_eq!(names, ["0", "0", "1", "1", "2", "2"].map(|n| format!("larder-worker-{n}")));
        assert_eq!(*started.lock(), HashSet::from([0, 1, 2]));
        assert!(workers.shutdown(Duration::from_secs(30)).await);
        assert!(!workers.spawn_on_next(|| async {}));
        assert!(workers.shutdown(Duration::from_secs(30)).await, "a second shutdown has nothing to do");
    }

    #[tokio::test]
    async fn a_future_that_does_not_listen_is_dropped() {
        struct Guard(tokio::sync::mpsc::Sender<()>);
        let (send, mut receive) = tokio::sync::mpsc::channel(1);
        let guard = Guard(send);
        let workers = Workers::start(1, |_| {}).unwrap();
        workers.spawn_on_next(move || async move {
            let _guard = &guard.0;
            std::future::pending::<()>().await;
        });
        assert!(!workers.shutdown(Duration::from_millis(10)).await);
        assert_eq!(receive.recv().await, None, "what it held was given back");
    }
}
