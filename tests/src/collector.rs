//! A collector of traces on a real socket: what it is sent is read by OTLP's own messages, and it answers as it is told.

use std::collections::BTreeMap;
use std::io;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use tokio::time::{Duration, Instant, sleep};

use crate::receiver::{Receiver, Reply, Request};
use crate::server_process::PATIENCE;

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Collector(Receiver);

/// A span as it came; ids in hex, as a `traceparent` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub service: String,
    pub name: String,
    pub kind: SpanKind,
    pub trace: String,
    pub id: String,
    /// Empty: it has none.
    pub parent: String,
    /// Traces that it points to.
    pub links: Vec<String>,
    pub attributes: BTreeMap<String, String>,
    pub failed: bool,
    pub nanos: u64,
}

impl Seen {
    /// What is caused within it is sent with this.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }

    /// Panics where it has none of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).unwrap_or_else(|| panic!("{name} is not in {self:?}"))
    }
}

impl Collector {
    pub async fn start() -> io::Result<Self> {
        Receiver::start().await.map(Self)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// The next answer that isn't spoken for. Without any, whatever comes is taken.
    pub fn then(&self, reply: Reply) {
        self.0.then(reply);
    }

    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.0.requests()
    }

    /// All that came until now, whatever was answered.
    #[must_use]
    pub fn spans(&self) -> Vec<Seen> {
        self.requests().iter().flat_map(read).collect()
    }

    /// Waits until what came is as wanted; all of it.
    pub async fn wait_for(&self, wanted: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let until = Instant::now() + PATIENCE;
        loop {
            let spans = self.spans();
            if wanted(&spans) {
                return spans;
            }
            assert!(Instant::now() < until, "not as wanted: {spans:#?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn read(request: &Request) -> Vec<Seen> {
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/traces"));
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    let export = ExportTraceServiceRequest::decode(request.body.as_slice()).expect("OTLP");
    let mut seen = Vec::new();
    for of in export.resource_spans {
        let service = texts(&of.resource.expect("a resource").attributes).remove("service.name").expect("a name");
        let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
        seen.extend(spans.map(|span| of_wire(&service, &span)));
    }
    seen
}

fn of_wire(service: &str, span: &Span) -> Seen {
    Seen {
        service: service.to_owned(),
        name: span.name.clone(),
        kind: span.kind(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
        attributes: texts(&span.attributes),
        failed: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        nanos: span.end_time_unix_nano - span.start_time_unix_nano,
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{}: {other:?}", one.key),
    };
    let read: BTreeMap<String, String> = attributes.iter().map(|one| (one.key.clone(), text(one))).collect();
    assert_eq!(read.len(), attributes.len(), "one stands twice: {attributes:?}");
    read
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
