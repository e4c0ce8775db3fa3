//! The export: OTLP over HTTP, in protobuf (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! Whatever the collector does, no notification is the worse for it. One that refuses, hangs or answers with an error
//! costs one export's time, and is then left alone for [`PAUSE`]; what it did not take is lost, and counted in
//! the one line when that begins and the one when it ends. A batch whose answer was lost is not sent again, and one that is
//! answered with success counts as taken, though the answer may say that some spans of it were not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as wire, ResourceSpans, ScopeSpans, Status};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, redirect, retry};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use super::recorder::Recorder;
use super::span::{Record, Value};
use super::{Context, Kind, TraceSettings, Traces};
use crate::clock::Clock;
use crate::random::Random;

/// How long an answer may be held up for the export of its spans: a collector that is near takes milliseconds. Less
/// than the half second that an answer has for its way back and a call for its last words
/// ([`crate::service::Budget::of_lambda`]), so that no promise and no deadline of Lambda's is missed for a span.
pub const FLUSH: Duration = Duration::from_millis(400);
/// In the background nobody waits: time enough for a connection over the internet.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the server exports; as long a span may be unseen.
const EVERY: Duration = Duration::from_secs(1);
/// How long a collector that failed is left alone.
pub const PAUSE: Duration = Duration::from_secs(30);
/// In one request: well below the 4 MiB that a collector takes by default.
const BATCH: usize = 512;
/// As the webhook's, and for the same reasons: a connection that is older may be dead, after a freeze certainly.
const IDLE: Duration = Duration::from_secs(4);

/// When spans are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Before each answer ([`Exporter::flush`]), as between two calls a function does not run. In the middle of a call only
    /// where there are many.
    EachCall,
    /// In the background.
    Steady,
}

#[derive(Debug, Error)]
pub enum OpenError {
    #[error("the client of the trace collector can't be made")]
    Client {
        #[source]
        source: reqwest::Error,
    },
    #[error("a header for the trace collector is none: {name:?}")]
    Header { name: String },
}

/// By default there is nothing to export.
#[derive(Clone, Debug, Default)]
pub struct Exporter(Option<Arc<Export>>);

struct Export {
    recorder: Arc<Recorder>,
    client: Client,
    endpoint: String,
    resource: Resource,
    patience: Duration,
    /// One at a time, so that whoever flushes knows that all before it is out.
    collector: Mutex<Collector>,
}

#[derive(Debug, Default)]
struct Collector {
    left_alone_until: Option<Instant>,
    lost: u64,
    /// When it was last said that spans were lost though the collector takes them.
    told: Option<Instant>,
}

/// None: traces are off. Runs in the background until the runtime ends.
pub fn open(
    settings: Option<TraceSettings>,
    pace: Pace,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<(Traces, Exporter), OpenError> {
    let Some(settings) = settings else { return Ok((Traces::default(), Exporter::default())) };
    let (traces, recorder) = Traces::new(settings.sampler, clock, random);
    let patience = match pace {
        Pace::EachCall => FLUSH,
        Pace::Steady => PATIENCE,
    };
    let client = client(&settings)?;
    let resource = resource(settings.service_name);
    let export =
        Arc::new(Export { recorder, client, endpoint: settings.endpoint, resource, patience, collector: Mutex::default() });
    tokio::spawn(Arc::clone(&export).run(pace));
    Ok((traces, Exporter(Some(export))))
}

impl Exporter {
    /// Exports what has ended until now, and waits for it [`FLUSH`] at most.
    pub async fn flush(&self) {
        if let Some(export) = &self.0 {
            export.all(FLUSH).await;
        }
    }
}

impl Export {
    async fn run(self: Arc<Self>, pace: Pace) {
        loop {
            match pace {
                Pace::EachCall => self.recorder.half_full().await,
                Pace::Steady => tokio::select! {
                    () = self.recorder.half_full() => {}
                    () = sleep(EVERY) => {}
                },
            }
            self.all(self.patience).await;
        }
    }

    /// Exports what has ended until now, for `time` at most. What ends meanwhile is the next export's: under steady load
    /// there would be no end to it.
    async fn all(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let Ok(mut collector) = timeout_at(deadline, self.collector.lock()).await else { return };
        if collector.left_alone_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        // A collector is not judged by the little time that was left to it: what waits then waits for the next export.
        while deadline.saturating_duration_since(Instant::now()) >= time / 2 {
            let (records, lost) = self.recorder.take(BATCH);
            collector.lost += lost;
            if records.is_empty() {
                return;
            }
            let (is_last, count) = (records.len() < BATCH, u64::try_from(records.len()).unwrap_or(u64::MAX));
            let sent = timeout_at(deadline, self.send(records)).await.unwrap_or(Err(Failure::Late));
            match sent {
                Ok(()) => collector.took(),
                Err(failure) => return collector.failed(&failure, count),
            }
            if is_last {
                return;
            }
        }
    }

    async fn send(&self, records: Vec<Record>) -> Result<(), Failure> {
        let scope = InstrumentationScope {
            name: "notifications".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let spans = records.into_iter().map(span).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
        let of_us = ResourceSpans { resource: Some(self.resource.clone()), scope_spans, schema_url: String::new() };
        let body = ExportTraceServiceRequest { resource_spans: vec![of_us] }.encode_to_vec();
        let answer = self.client.post(&self.endpoint).body(body).send().await?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(Failure::Answered(status.as_u16())) }
    }
}

/// Why an export failed, in words that hold neither the URL nor a header.
#[derive(Debug)]
enum Failure {
    Late,
    NotReached,
    Broken,
    Answered(u16),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Late
        } else if error.is_connect() {
            Self::NotReached
        } else {
            Self::Broken
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("no answer in time"),
            Self::NotReached => f.write_str("it can't be reached"),
            Self::Broken => f.write_str("the connection broke off"),
            Self::Answered(status) => write!(f, "it answered {status}"),
        }
    }
}

impl Collector {
    fn took(&mut self) {
        let was_left_alone = self.left_alone_until.take().is_some();
        let now = Instant::now();
        let is_news = self.lost > 0 && self.told.is_none_or(|told| told + PAUSE <= now);
        if was_left_alone {
            tracing::warn!(lost = std::mem::take(&mut self.lost), "the trace collector takes spans again");
        } else if is_news {
            self.told = Some(now);
            tracing::warn!(lost = std::mem::take(&mut self.lost), "more spans ended than could be exported");
        }
    }

    fn failed(&mut self, failure: &Failure, spans: u64) {
        self.lost += spans;
        // Only the first failure is news; what is lost from here on is told at the end.
        if self.left_alone_until.replace(Instant::now() + PAUSE).is_none() {
            let (reason, lost, pause_ms) = (failure.to_string(), std::mem::take(&mut self.lost), PAUSE.as_millis());
            tracing::warn!(reason, lost, pause_ms, "the trace collector takes no spans: it is left alone for a while");
        }
    }
}

fn client(settings: &TraceSettings) -> Result<Client, OpenError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let no_header = || OpenError::Header { name: name.clone() };
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_invalid| no_header())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| no_header())?, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let builder = Client::builder()
        .user_agent(concat!("notifications/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .http1_only()
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        // The environment is the settings' home, and a proxy is not among them.
        .no_proxy()
        .referer(false)
        .pool_idle_timeout(IDLE);
    // No TLS, no certificates to look for: a machine without any can still use plain HTTP.
    let builder = if settings.endpoint.starts_with("http://") { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|source| OpenError::Client { source: source.without_url() })
}

fn resource(service_name: String) -> Resource {
    let attributes = vec![
        attribute("service.name", Any::StringValue(service_name)),
        attribute("service.version", Any::StringValue(env!("CARGO_PKG_VERSION").to_owned())),
    ];
    Resource { attributes, ..Resource::default() }
}

fn attribute(name: &str, value: Any) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn span(record: Record) -> wire::Span {
    let Record { name, kind, context, parent, link, begun, ended, attributes, failed } = record;
    let kind = match kind {
        Kind::Server => SpanKind::Server,
        Kind::Producer => SpanKind::Producer,
        Kind::Consumer => SpanKind::Consumer,
        Kind::Client => SpanKind::Client,
    };
    let attributes = attributes.into_iter().map(|(name, value)| match value {
        Value::Text(text) => attribute(name, Any::StringValue(text.into_owned())),
        Value::Number(number) => attribute(name, Any::IntValue(number)),
    });
    let (trace_id, span_id) = ids(context);
    wire::Span {
        trace_id,
        span_id,
        parent_span_id: parent.map(|parent| ids(parent).1).unwrap_or_default(),
        name,
        kind: kind.into(),
        start_time_unix_nano: begun,
        end_time_unix_nano: ended,
        attributes: attributes.collect(),
        links: link.into_iter().map(linked).collect(),
        status: failed.then(|| Status { code: StatusCode::Error.into(), message: String::new() }),
        flags: u32::from(context.is_sampled()),
        ..wire::Span::default()
    }
}

fn linked(to: Context) -> Link {
    let (trace_id, span_id) = ids(to);
    Link { trace_id, span_id, ..Link::default() }
}

fn ids(context: Context) -> (Vec<u8>, Vec<u8>) {
    (context.trace.to_be_bytes().to_vec(), context.span.to_be_bytes().to_vec())
}

/// Its headers may hold a secret.
impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Export(…)")
    }
}

#[cfg(test)]
mod tests;
