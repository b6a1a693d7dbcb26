//! Where traces are sent, and of which requests.
//!
//! The words of the standard variables of OpenTelemetry mean what they mean elsewhere. One default differs: a cache answers far more
//! requests than a service, so that one in a hundred is traced where nobody says otherwise, and not each.

use std::path::PathBuf;

use hyper::Uri;

use super::ConfigError;
use super::layers::Layers;
use super::reader::Reader;
use crate::limits::SERVICE_NAME_BYTES_MAX;

/// What is traced, and where it goes.
#[derive(Clone, PartialEq)]
pub struct TracingSettings {
    /// The base URL of the collector, without a slash at its end.
    pub endpoint: String,
    /// Headers of each request to it.
    pub headers: Vec<(String, String)>,
    /// Certificate authorities for it, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The name of this service.
    pub service_name: String,
    /// Which part of the requests is traced, from 0 to 1.
    pub ratio: f64,
    /// Whether the caller decides where it says anything.
    pub follows_caller: bool,
}

impl TracingSettings {
    /// `None`: nothing is traced.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub(super) fn new(
        layers: &Layers,
        environment: &impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let read = |name| Reader { layers, name };
        let (sampler, ratio) = (read("tracing.sampler"), read("tracing.ratio").ratio()?);
        let (follows_caller, own) = match sampler.text().strip_prefix("parentbased_") {
            Some(own) => (true, own),
            None => (false, sampler.text()),
        };
        let ratio = match own {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio,
            _ => {
                let words = "always_on, always_off, traceidratio, or one of them with parentbased_ before it";
                return Err(sampler.fail(&format!("'{}' is none of {words}", sampler.text())));
            }
        };
        let service_name = read("tracing.service_name").text().trim().to_owned();
        if service_name.is_empty() || service_name.len() > SERVICE_NAME_BYTES_MAX {
            let what = format!("a name has 1 to {SERVICE_NAME_BYTES_MAX} bytes");
            return Err(read("tracing.service_name").fail(&what));
        }
        let ca_file = read("tracing.otlp_ca_file").optional().map(PathBuf::from);
        let headers = headers(&read("tracing.otlp_headers"), environment)?;
        let Some(endpoint) = endpoint(&read("tracing.otlp_endpoint"))? else { return Ok(None) };
        Ok(Some(Self { endpoint, headers, ca_file, service_name, ratio, follows_caller }))
    }
}

fn endpoint(setting: &Reader<'_>) -> Result<Option<String>, ConfigError> {
    let Some(text) = setting.optional() else { return Ok(None) };
    let wrong = |what: &str| Err(setting.fail(&format!("{what}; write http://127.0.0.1:4318")));
    let Ok(uri) = text.parse::<Uri>() else { return wrong(&format!("'{text}' is no URL")) };
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return wrong(&format!("'{text}' does not begin with http:// or https:// and a host"));
    };
    if authority.as_str().contains('@') {
        // Not shown: it may be a secret.
        return wrong("it has a user or password in it; set tracing.otlp_headers instead");
    }
    if uri.query().is_some() {
        return wrong(&format!("'{text}' has a query"));
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

fn headers(
    setting: &Reader<'_>,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(text) = setting.secret(environment)? else { return Ok(Vec::new()) };
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim().parse::<hyper::header::HeaderName>().ok()?;
        let value = value.trim();
        hyper::header::HeaderValue::from_str(value).ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    // Its text is not shown: it is a secret.
    pairs.collect::<Option<_>>().ok_or_else(|| setting.fail("write name=value,name=value"))
}
