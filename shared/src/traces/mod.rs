//! Spans: what a request caused, over processes and hours, in one trace. The use cases begin them here
//! ([`Traces::request`], [`Traces::publish`], [`Traces::work`], [`Traces::attempt`]); `otlp` exports them, where a
//! collector is set.
//!
//! Where none is set a [`Span`] is nothing, and a caller's `traceparent` passes through as it came.
//!
//! A trace goes on through what is stored: the notification keeps the context of the request that created it, so a
//! retry hours later is in the same trace. The event's header adds the nearest span, and never another trace.
//!
//! Attributes come from the code or count something; the one name of a client's is the notification's id. An address,
//! a user, `data`, a template or a key is in none of them, because none of the functions here takes one.
//!
//! What was not exported when a process died is lost with it: traces are for looking, the truth is in the records.

mod context;
#[cfg(feature = "otlp")]
pub mod otlp;
mod recorder;
mod sampler;
mod span;
mod spans;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use context::Context;
pub use sampler::Sampler;
pub use span::{Kind, Span};

use self::recorder::Recorder;
use self::span::Record;
use crate::clock::Clock;
use crate::config::Secret;
use crate::random::Random;

/// Where the spans go, and of which traces.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The whole URL.
    pub endpoint: String,
    /// Sent along with each export; names and values are those of HTTP.
    pub headers: Vec<(String, Secret)>,
    pub service_name: String,
    pub sampler: Sampler,
}

/// By default there are none.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Tracer>>);

#[derive(Debug)]
struct Tracer {
    random: Arc<dyn Random>,
    sampler: Sampler,
    recorder: Arc<Recorder>,
}

impl Traces {
    /// What ends is left with the recorder.
    #[must_use]
    pub fn new(sampler: Sampler, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> (Self, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::new(clock));
        (Self(Some(Arc::new(Tracer { random, sampler, recorder: Arc::clone(&recorder) }))), recorder)
    }

    #[must_use]
    pub const fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Named for what is done and to what. Without a parent it begins a trace.
    fn begin(&self, kind: Kind, done: &str, to: &str, parent: Option<Context>) -> Span {
        let Some(tracer) = &self.0 else { return Span::default() };
        let trace = parent.map_or_else(|| u128::from_be_bytes(tracer.random.bytes()), |parent| parent.trace);
        let [span @ .., _, _, _, _, _, _, _, _] = tracer.random.bytes();
        let sampled = tracer.sampler.takes(trace, parent);
        let context = Context::new(trace, u64::from_be_bytes(span), sampled);
        if !sampled {
            return Span::unrecorded(context);
        }
        let begun = tracer.recorder.clock.nanos();
        let name = format!("{done} {to}");
        let record =
            Record { name, kind, context, parent, link: None, begun, ended: begun, attributes: Vec::new(), failed: false };
        Span::recorded(record, Arc::clone(&tracer.recorder))
    }
}
