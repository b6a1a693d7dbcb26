//! What may happen to bytes on their way: a proxy before a server that holds them back, or cuts the connection in the middle.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of the server's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// They arrive.
    Fair,
    /// Neither they nor new questions go any further, and nobody is told.
    Parted,
    /// So many bytes of the next answers arrive, then the connection is gone. New ones are cut in the same way.
    CutAfter(usize),
}

/// A proxy, until it is dropped.
pub struct Proxy {
    pub port: u16,
    weather: Arc<watch::Sender<Weather>>,
    task: tokio::task::AbortHandle,
}

impl Proxy {
    /// Before this port of the loopback.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let weather = Arc::new(watch::channel(Weather::Fair).0);
        let sky = Arc::clone(&weather);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, port, sky.subscribe()));
            }
        });
        Self { port: own, weather, task: task.abort_handle() }
    }

    /// Changes what happens from now on.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, port: u16, mut weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut parted = weather.clone();
    let questions = async move {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
            if parted.wait_for(|now| *now != Weather::Parted).await.is_err() {
                return;
            }
            if to_server.write_all(&bytes[..n]).await.is_err() {
                return;
            }
        }
    };
    let answers = async move {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = from_server.read(&mut bytes).await {
            let Ok(now) = weather.wait_for(|now| *now != Weather::Parted).await.map(|now| *now) else { return };
            match now {
                Weather::CutAfter(some) if some < n => {
                    let _ = to_client.write_all(&bytes[..some]).await;
                    return;
                }
                _ if to_client.write_all(&bytes[..n]).await.is_err() => return,
                _ => {}
            }
        }
    };
    tokio::select! {
        () = questions => {}
        () = answers => {}
    }
}
