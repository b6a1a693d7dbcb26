//! One HTTP connection, from the accepted stream to its end.
//!
//! Keep-alive and pipelining are hyper's; bounds are set here and in `patience`. After the last answer what the client still
//! sends is read and dropped for a while: a close with unread bytes is a reset, and a reset takes the answer with it (a `413`
//! that nobody sees). nginx calls it lingering close.

use std::future::{Future, poll_fn};
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::app::App;
use super::caller::Peer;
use super::patience::{Patient, Phase};
use super::service::HttpService;
use crate::limits::{HTTP_BUFFER_BYTES_MAX, HTTP_HEADER_BYTES_MAX, HTTP_LINGER_MS_MAX};

/// Serves a connection until the client ends it, breaks the protocol or a bound, or until `shutdown` is ready: then the request
/// in progress is answered and the connection ends. The client counts as one on this machine.
pub async fn serve_connection<S>(stream: S, app: App, shutdown: impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = Peer::new(Ipv4Addr::LOCALHOST.into(), None, app.shared.front.http.rate_max());
    serve(stream, app, peer, shutdown).await;
}

/// The same for a client that is known to come from somewhere.
pub(super) async fn serve<S>(stream: S, app: App, peer: Peer, shutdown: impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let phase = Arc::new(Phase::new());
    let io = TokioIo::new(Patient::new(stream, Arc::clone(&phase)));
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(HTTP_HEADER_BYTES_MAX)
        .max_buf_size(HTTP_BUFFER_BYTES_MAX)
        .serve_connection(io, HttpService::new(app, peer, phase));
    let mut shutdown = pin!(shutdown);
    let mut ending = false;
    let ended = poll_fn(|cx| {
        if !ending && shutdown.as_mut().poll(cx).is_ready() {
            ending = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(%error, cause = std::error::Error::source(&error), "an HTTP connection ended early");
    }
    linger(connection.into_parts().io.into_inner().into_inner()).await;
}

async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let rest = async {
        stream.shutdown().await?;
        let mut dropped = [0; 4096];
        while stream.read(&mut dropped).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether it ended, failed or took too long: the connection is over.
    let _ = tokio::time::timeout(Duration::from_millis(HTTP_LINGER_MS_MAX), rest).await;
}
