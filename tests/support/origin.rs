//! Origins that behave as a test says, on a free port of the loopback: each connection is answered by a script of bytes.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What one request is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes; the connection goes on.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is closed.
    Last(Vec<u8>),
    /// These bytes, then nothing, for as long as the client stays.
    Hang(Vec<u8>),
    /// These bytes, then more and more of the others.
    Endless(Vec<u8>, Vec<u8>),
    /// The connection is reset.
    Reset,
    /// These bytes, but only when the gate is opened once.
    Gated(Vec<u8>),
    /// These bytes, after a while.
    Late(Vec<u8>, Duration),
}

/// An answer of this status with this body.
pub fn answer(status: u16, body: &str) -> Reply {
    with_headers(status, &[], body)
}

/// The same with more headers.
pub fn with_headers(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    Reply::Bytes(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// Answers a request by its number, from 0, and its head.
type Answering = dyn Fn(usize, &str) -> Reply + Send + Sync;

/// What the server was asked, and what it is to answer.
pub struct Script {
    /// Answers a request by its number, from 0, and its head.
    reply: Box<Answering>,
    /// The heads of all requests.
    heads: Mutex<Vec<String>>,
    /// Connections that were accepted.
    connections: AtomicUsize,
    /// Connections that are open.
    open: AtomicUsize,
    gate: Semaphore,
}

/// A running origin. Ended when dropped.
pub struct TestOrigin {
    pub addr: SocketAddr,
    script: Arc<Script>,
    running: JoinHandle<()>,
}

type Wrapped = Pin<Box<dyn Future<Output = Option<Box<dyn Stream>>> + Send>>;

/// A connection, with or without TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Ends it with a reset, where that can be.
    fn reset(&mut self) {}
}

impl Stream for TcpStream {
    fn reset(&mut self) {
        let _ = self.set_zero_linger();
    }
}

impl Stream for tokio_rustls::server::TlsStream<TcpStream> {}

impl TestOrigin {
    /// Answers every request so.
    pub async fn always(reply: Reply) -> Self {
        Self::start(move |_, _| reply.clone()).await
    }

    /// Answers the first requests so, in order; the last answer goes for all that follow.
    pub async fn in_turn(replies: Vec<Reply>) -> Self {
        Self::start(move |n, _| replies[n.min(replies.len() - 1)].clone()).await
    }

    /// Answers requests by their number and head.
    pub async fn start(reply: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::wrapped(reply, |tcp| Box::pin(async move { Some(Box::new(tcp) as Box<dyn Stream>) })).await
    }

    /// The same over TLS.
    pub async fn tls(reply: Reply, config: Arc<rustls::ServerConfig>) -> Self {
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let wrap = move |tcp| -> Wrapped {
            let acceptor = acceptor.clone();
            Box::pin(async move { acceptor.accept(tcp).await.ok().map(|tls| Box::new(tls) as Box<dyn Stream>) })
        };
        Self::wrapped(move |_, _| reply.clone(), wrap).await
    }

    async fn wrapped(
        reply: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> Wrapped + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Script {
            reply: Box::new(reply),
            heads: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        });
        let serving = script.clone();
        let running = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (script, wrapping) = (serving.clone(), wrap(tcp));
                script.connections.fetch_add(1, Ordering::SeqCst);
                script.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Some(stream) = wrapping.await {
                        script.serve(stream).await;
                    }
                    script.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { addr, script, running }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.script.heads.lock().len()
    }

    /// The head of a request.
    pub fn head(&self, n: usize) -> String {
        self.script.heads.lock()[n].clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.script.connections.load(Ordering::SeqCst)
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.script.open.load(Ordering::SeqCst)
    }

    /// Lets so many gated answers out.
    pub fn let_out(&self, answers: usize) {
        self.script.gate.add_permits(answers);
    }
}

impl Drop for TestOrigin {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Script {
    async fn serve(&self, mut stream: Box<dyn Stream>) {
        while let Some(head) = head(&mut stream).await {
            let n = {
                let mut heads = self.heads.lock();
                heads.push(head.clone());
                heads.len() - 1
            };
            if !self.answer(&mut stream, (self.reply)(n, &head)).await {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    async fn answer(&self, stream: &mut Box<dyn Stream>, reply: Reply) -> bool {
        match reply {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await.is_ok(),
            Reply::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                false
            }
            Reply::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // Until the client goes.
                let _ = stream.read(&mut [0]).await;
                false
            }
            Reply::Endless(bytes, more) => {
                let mut left = stream.write_all(&bytes).await;
                while left.is_ok() {
                    left = stream.write_all(&more).await;
                }
                false
            }
            Reply::Reset => {
                stream.reset();
                false
            }
            Reply::Late(bytes, after) => {
                tokio::time::sleep(after).await;
                stream.write_all(&bytes).await.is_ok()
            }
            Reply::Gated(bytes) => {
                let Ok(permit) = self.gate.acquire().await else { return false };
                permit.forget();
                stream.write_all(&bytes).await.is_ok()
            }
        }
    }
}

/// The head of the next request; `None`: the client is gone.
async fn head(stream: &mut Box<dyn Stream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
