//! The log: one line per event on standard error, for people on a terminal and in JSON for machines.
//!
//! `LOG_LEVEL` is a level, or directives (`info,larder::wire=debug`) as `tracing-subscriber` has them. A bare level above
//! `info` is the house's own: what the libraries below say at `debug` (a compiler, an HTTP parser) would bury it. A word that
//! is no level is refused: it would be read as the name of a module, and silence everything else.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::ports::log::LogControl;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text; in colours on a terminal, unless `NO_COLOR` is set.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The directives make no sense.
    #[error("LOG_LEVEL: '{directive}' is neither a level (error, warn, info, debug, trace, off) nor `module=level`")]
    Directive {
        /// The part that is wrong.
        directive: String,
    },
    /// Somebody else has set a log already.
    #[error("the log is set already")]
    Twice,
}

impl Format {
    /// From the setting's word: `auto`, `text`, `json`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The log that was begun, to change what it holds.
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    directives: Mutex<String>,
}

impl LogControl for Log {
    fn directives(&self) -> String {
        self.directives.lock().clone()
    }

    fn set(&self, directives: &str) -> Result<(), String> {
        let filter = filter(directives).map_err(|error| error.to_string())?;
        let mut current = self.directives.lock();
        self.filter.reload(filter).map_err(|error| error.to_string())?;
        directives.trim().clone_into(&mut current);
        Ok(())
    }
}

/// Begins to log, for the whole process.
///
/// # Errors
/// Wrong directives; a second call.
pub fn init(directives: &str, format: Format) -> Result<Arc<Log>, LoggingError> {
    let terminal = io::stderr().is_terminal();
    let json = format == Format::Json || format == Format::Auto && !terminal;
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (subscriber, log) = subscriber(directives, json, colours, io::stderr)?;
    subscriber.try_init().map_err(|_| LoggingError::Twice)?;
    Ok(Arc::new(log))
}

fn subscriber<W>(
    directives: &str,
    json: bool,
    colours: bool,
    writer: W,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Log), LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(directives)?);
    // It would tell the standard error output that a line could not be written there, and panic.
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.with_ansi(colours).boxed()
    };
    let log = Log { filter: handle, directives: Mutex::new(directives.trim().to_owned()) };
    Ok((Box::new(tracing_subscriber::registry().with(filter).with(lines)), log))
}

fn filter(directives: &str) -> Result<EnvFilter, LoggingError> {
    let directives = directives.trim();
    for directive in directives.split(',').map(str::trim) {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        if level.parse::<LevelFilter>().is_err() || level.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LoggingError::Directive { directive: directive.to_owned() });
        }
    }
    let whole = match directives.parse::<LevelFilter>() {
        Ok(level) if level > LevelFilter::INFO => format!("warn,larder={directives}"),
        _ => directives.to_owned(),
    };
    EnvFilter::builder().parse(whole).map_err(|_| LoggingError::Directive { directive: directives.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(buf);
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(directives: &str, json: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, _log) = subscriber(directives, json, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "larder::wire", "a");
            tracing::info!(target: "larder::engine", domain = "profile", "b");
            tracing::debug!(target: "cranelift_codegen", "c");
            tracing::info!(target: "cranelift_codegen", "d");
            tracing::error!(target: "cranelift_codegen", "e");
        });
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[track_caller]
    fn check(directives: &str, expected: &str) {
        let text = logged(directives, true);
        let message = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].as_str().unwrap().to_owned()
        };
        assert_eq!(text.lines().map(message).collect::<String>(), expected, "{directives}");
    }

    #[test]
    fn a_level_says_what_is_logged() {
        check("error", "e");
        check("warn", "e");
        check("info", "bde");
        check("debug", "abe");
        check("DEBUG", "abe");
        check("info,larder::wire=debug", "abde");
        check("warn,larder=debug,cranelift_codegen=off", "ab");
        check("off", "");
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for wrong in ["", "verbose", "info,", "larder=loud", "info,larder", "3"] {
            assert!(matches!(filter(wrong), Err(LoggingError::Directive { .. })), "{wrong}");
        }
    }

    #[test]
    fn what_is_logged_may_change() {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, log) = subscriber("error", false, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let say = || tracing::debug!(target: "larder::wire", "said");
            say();
            log.set("warn,larder::wire=debug").unwrap();
            say();
            assert!(log.set("loud").unwrap_err().contains("neither a level"));
            assert_eq!(log.directives(), "warn,larder::wire=debug");
            log.set(" info ").unwrap();
            say();
        });
        assert_eq!(log.directives(), "info");
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        assert_eq!(text.matches("said").count(), 1, "{text}");
    }

    #[test]
    fn a_line_of_json_is_flat() {
        let text = logged("info", true);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&line["level"], &line["target"]), (&"INFO".into(), &"larder::engine".into()));
        assert_eq!((&line["message"], &line["domain"]), (&"b".into(), &"profile".into()));
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn a_line_of_text_is_plain_without_a_terminal() {
        let text = logged("info", false);
        assert!(text.contains("INFO larder::engine: b domain=\"profile\""), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
