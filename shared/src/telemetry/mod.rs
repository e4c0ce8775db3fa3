//! Log lines, to stderr. Called once by every `main`, before anything else that could have something to say.
//!
//! Two promises are kept here rather than by everybody's care. Other people's crates never log below WARN,
//! whatever `RUST_LOG` says: at `debug` and `trace` an HTTP client, an SDK or a Kafka client logs headers
//! and bodies, and those are our clients' addresses and words (see [`Levels`]). And a panic is logged by its
//! place, never by its payload (see [`place_of_panics_only`]).

#[cfg(test)]
pub(crate) mod captured;
mod json;
mod levels;
pub mod trail;

use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::Arc;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

pub use levels::Levels;

use crate::clock::{Clock, SystemClock};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    pub levels: Levels,
}

#[derive(Debug, Error)]
pub enum Error {
    #[error("logging is set up already")]
    AlreadySet { source: tracing::subscriber::SetGlobalDefaultError },
}

/// Sets up logging and the panic hook for the whole process.
pub fn init(settings: &LogSettings) -> Result<(), Error> {
    let subscriber = subscriber(settings, std::io::stderr, Arc::new(SystemClock), std::io::stderr().is_terminal());
    tracing::subscriber::set_global_default(subscriber).map_err(|source| Error::AlreadySet { source })?;
    std::panic::set_hook(Box::new(place_of_panics_only));
    Ok(())
}

fn subscriber<W>(settings: &LogSettings, writer: W, clock: Arc<dyn Clock>, colours: bool) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let levels = settings.levels.clone();
    let most = levels.most();
    let filter = filter_fn(move |metadata| levels.allow(metadata.target(), *metadata.level())).with_max_level_hint(most);
    let lines: Box<dyn Layer<_> + Send + Sync> = match settings.format {
        LogFormat::Json => Box::new(json::Lines::new(writer, clock)),
        LogFormat::Text => Box::new(tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours)),
    };
    Box::new(tracing_subscriber::registry().with(lines).with(filter))
}

/// Logs where a panic was, not what it said. The standard hook prints the payload, and a payload is made
/// of whatever was at hand: `expect` adds the `Debug` of an error, slicing a `str` quotes the `str`. The
/// place is what finds the fault; `RUST_BACKTRACE=1` adds the way there, which is names only.
fn place_of_panics_only(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let backtrace = std::backtrace::Backtrace::capture();
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        tracing::error!(panic.place = place, panic.backtrace = %backtrace, "panicked");
    } else {
        tracing::error!(panic.place = place, "panicked");
    }
}

#[cfg(test)]
mod tests;
