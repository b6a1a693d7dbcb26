//! A running host, asked over HTTP or HTTPS; what it answers, and what its problems mean for the exit code.
//!
//! One connection for one command, made anew if it breaks between two questions. Connecting has a bound; an answer has none, since
//! looking through a store may take its time. Deliberately absent: RESP, so that there is one way to ask, and JSON has one form, which is
//! that of the OpenAPI document.

mod address;
mod login;
mod tls;

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use larder::limits::VALUE_BYTES_MAX;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use self::address::Address;
use super::document::Document;
use super::exit::{Exit, Failure};

const CONNECT_MS_MAX: u64 = 5_000;
/// The longest answer: the longest value, or a list of what there is.
const ANSWER_BYTES_MAX: usize = 2 * VALUE_BYTES_MAX;

/// Which running host is asked, and as whom. A token is in LARDER_TOKEN or a file, with LARDER_USER where it is a name's password.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// HTTP address of the host, or of its operators: HOST:PORT, http://HOST:PORT, https://HOST:PORT
    #[arg(
        long,
        value_name = "URL",
        env = "LARDER_HOST",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8380",
        help_heading = HEADING
    )]
    pub host: String,
    /// PEM file of the authorities that may have signed the host's certificate; without it those of this machine
    #[arg(long, value_name = "FILE", env = "LARDER_CA", help_heading = HEADING)]
    pub ca: Option<PathBuf>,
    /// PEM file of a certificate to show to the host
    #[arg(long = "cert", value_name = "FILE", env = "LARDER_CERT", requires = "client_key", help_heading = HEADING)]
    pub client_certificate: Option<PathBuf>,
    /// PEM file of the key to it
    #[arg(long = "key", value_name = "FILE", env = "LARDER_KEY", requires = "client_certificate", help_heading = HEADING)]
    pub client_key: Option<PathBuf>,
    /// File of one line: the token, or NAME:PASSWORD; LARDER_TOKEN holds the same and comes first
    #[arg(long, value_name = "FILE", env = "LARDER_TOKEN_FILE", help_heading = HEADING)]
    pub token_file: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

const HEADING: &str = "Which host";

/// A question.
pub(crate) struct Ask {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Ask {
    /// With this method, of a path whose parts are encoded.
    pub(crate) const fn new(method: Method, path: String) -> Self {
        Self { method, path, headers: Vec::new(), body: Bytes::new() }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With these bytes.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With this as JSON.
    pub(crate) fn json(self, body: &serde_json::Value) -> Self {
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body.to_string())
    }
}

/// An answer that is no problem.
pub(crate) struct Answer {
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
}

/// A host that is asked.
pub(crate) struct Remote {
    runtime: Runtime,
    address: Address,
    tls: Option<Arc<ClientConfig>>,
    authorization: Option<HeaderValue>,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Whether scripts want to read what goes wrong, too.
    json: bool,
}

impl Remote {
    /// The host of these arguments; nothing is sent yet.
    ///
    /// # Errors
    /// The address, a certificate or the token cannot be read.
    pub(crate) fn new(args: &HostArgs) -> Result<Self> {
        let address = Address::parse(&args.host)?;
        let tls = if address.secure { Some(tls::config(args)?) } else { None };
        let environment = |name: &str| std::env::var(name).ok();
        let authorization = login::authorization(environment, args.token_file.as_deref(), address.login.as_deref())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, address, tls, authorization, sender: None, json: args.json })
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// A [`Failure`]: no host answers, or it answers with a problem.
    pub(crate) fn ask(&mut self, ask: Ask) -> Result<Answer> {
        let (status, headers, body) = self.exchange(ask).map_err(|detail| self.unavailable(&detail))?;
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        Err(self.problem(status, &body).into())
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// As [`Self::ask`]; the answer is no JSON.
    pub(crate) fn document(&mut self, ask: Ask) -> Result<Document> {
        let answer = self.ask(ask)?;
        serde_json::from_slice(&answer.body).map_err(|_| {
            Failure::new(Exit::Failed, "the host's answer is no JSON; is it of another version, or no Larder?").into()
        })
    }

    fn exchange(&mut self, ask: Ask) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let mut request = Request::new(Full::new(ask.body));
        *request.method_mut() = ask.method;
        *request.uri_mut() = ask.path.parse().map_err(|_| "the question is no URL".to_owned())?;
        let headers = request.headers_mut();
        let host = HeaderValue::try_from(self.address.authority()).map_err(|error| error.to_string())?;
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("larder-cli/", env!("CARGO_PKG_VERSION"))));
        if let Some(said) = &self.authorization {
            headers.insert(AUTHORIZATION, said.clone());
        }
        headers.extend(ask.headers.into_iter().map(|(name, value)| (Some(name), value)));
        let sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.runtime.block_on(connect(&self.address, self.tls.as_ref()))?,
        };
        let (sender, answer) = self.runtime.block_on(send(sender, request))?;
        self.sender = Some(sender);
        Ok(answer)
    }

    fn unavailable(&self, detail: &str) -> Failure {
        let shown = self.address.shown();
        let hint = if detail.contains("NotValidForName") {
            "; ask it by the name that its certificate is for"
        } else if detail.contains("invalid peer certificate") {
            "; name the authority that signed the host's certificate with --ca FILE"
        } else if detail.contains("CertificateRequired") {
            "; the host wants a certificate of yours: --cert FILE and --key FILE"
        } else if self.tls.is_none() && !detail.contains("refused") {
            "; if it speaks TLS, write https://"
        } else {
            "; is `larder serve` running there? (--host URL, or LARDER_HOST)"
        };
        let message = format!("no host answers at {shown}: {detail}{hint}");
        let document = self.json.then(|| error("unavailable", &message, None, true));
        Failure { document, ..Failure::new(Exit::Unavailable, message) }
    }

    fn problem(&self, status: StatusCode, body: &[u8]) -> Failure {
        let said: Option<Document> = serde_json::from_slice(body).ok();
        let text = |name: &str| said.as_ref().and_then(|it| it.text(name)).map(ToOwned::to_owned);
        let kind = text("type").and_then(|urn| urn.rsplit(':').next().map(ToOwned::to_owned)).unwrap_or_default();
        let retry = said.as_ref().and_then(|it| it.get("retry")) == Some(&Document::Flag(true));
        let exit = exit_of(status, &kind, retry);
        let mut message = text("detail").unwrap_or_else(|| format!("the host answered {status}"));
        if status == StatusCode::UNAUTHORIZED {
            message.push_str(" (LARDER_TOKEN, --token-file, or --cert and --key)");
        }
        let document = self.json.then(|| error(&kind, &message, text("blame").as_deref(), retry));
        Failure { document, kind, ..Failure::new(exit, message) }
    }
}

/// What scripts read of a failure.
fn error(kind: &str, message: &str, blame: Option<&str>, retry: bool) -> Document {
    let of =
        [("kind", kind.into()), ("message", message.into()), ("blame", blame.into()), ("retry", Document::Flag(retry))];
    Document::record([("error", Document::record(of))])
}

/// What a problem of HTTP means for the exit code.
fn exit_of(status: StatusCode, kind: &str, retry: bool) -> Exit {
    match (status.as_u16(), kind) {
        (401 | 403, _) => Exit::Denied,
        // Redis' own errors are told as conflicts.
        (409, "store-reply") => Exit::Refused,
        (404, "unknown-path" | "") => Exit::Failed,
        (404 | 409 | 412, _) => Exit::No,
        (429, _) => Exit::Unavailable,
        (500.., _) if retry => Exit::Unavailable,
        (500.., "policy-failed") | (400..500, _) => Exit::Refused,
        _ => Exit::Failed,
    }
}

async fn connect(address: &Address, tls: Option<&Arc<ClientConfig>>) -> Result<SendRequest<Full<Bytes>>, String> {
    let within = Duration::from_millis(CONNECT_MS_MAX);
    let late = |_| format!("no connection within {CONNECT_MS_MAX} ms");
    let connecting = async {
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|error| error.to_string())?;
        // Without it small requests wait for acknowledgements.
        let _ = tcp.set_nodelay(true);
        let Some(config) = tls else { return shake_hands(tcp).await };
        let name = ServerName::try_from(address.host.clone())
            .map_err(|_| format!("'{}' is no name that a certificate can be for", address.host))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await;
        shake_hands(stream.map_err(|error| format!("TLS failed: {error}"))?).await
    };
    timeout(within, connecting).await.map_err(late)?
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| in_words(&error))?;
    // It ends with the sender; what goes wrong on it is told to whoever waits for the answer.
    tokio::spawn(connection);
    Ok(sender)
}

type Exchanged = (SendRequest<Full<Bytes>>, (StatusCode, HeaderMap, Bytes));

async fn send(mut sender: SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Exchanged, String> {
    let response = sender.send_request(request).await.map_err(|error| in_words(&error))?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
    Ok((sender, (head.status, head.headers, body.to_bytes())))
}

/// With what lies below: the reason of a broken connection is there.
fn in_words(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A part of a path, with everything encoded that is not plain: any byte, a `/` too.
#[must_use]
pub(crate) fn encoded(part: &[u8]) -> String {
    let mut text = String::with_capacity(part.len());
    for &byte in part {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_can_stand_in_a_path() {
        assert_eq!(encoded(b"user:42/\xff ..?%"), "user%3A42%2F%FF%20%2E%2E%3F%25");
    }

    #[test]
    fn problems_have_exit_codes() {
        for (status, kind, retry, expect) in [
            (404, "absent", false, Exit::No),
            (404, "unknown-domain", false, Exit::No),
            (404, "unknown-path", false, Exit::Failed),
            (409, "store-reply", false, Exit::Refused),
            (409, "locked", true, Exit::No),
            (412, "unmet", false, Exit::No),
            (400, "invalid-key", false, Exit::Refused),
            (401, "unauthenticated", false, Exit::Denied),
            (403, "forbidden", false, Exit::Denied),
            (429, "too-many-requests", true, Exit::Unavailable),
            (503, "store-unavailable", true, Exit::Unavailable),
            (500, "policy-failed", false, Exit::Refused),
            (500, "internal", false, Exit::Failed),
            (302, "", false, Exit::Failed),
        ] {
            assert_eq!(exit_of(StatusCode::from_u16(status).unwrap(), kind, retry), expect, "{status} {kind}");
        }
    }
}
