//! Spans of a function: at the collector before the answer is, and never in its way for long.

use std::time::Duration;

use serde_json::json;
use shared::traces::otlp::FLUSH;
use tests::collector::{Collector, Seen, SpanKind};
use tests::function_process::PLENTY;
use tests::receiver::{Receiver, Reply};
use tests::secret_store::{Kept, SecretStore};
use tokio::time::Instant;

use super::world::{LATER, World, accepted, batch, tick};

const HEADERS: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:collector-AbCdEf";

fn only<'a>(spans: &'a [Seen], service: &str, kind: SpanKind) -> &'a Seen {
    let found: Vec<&Seen> = spans.iter().filter(|span| span.service == service && span.kind == kind).collect();
    let [one] = found.as_slice() else { panic!("{service}, {kind:?}: {spans:#?}") };
    one
}

#[tokio::test]
async fn what_a_call_did_is_at_the_collector_before_its_answer_is() {
    let (world, receiver, collector) = (World::new().await, Receiver::start().await.unwrap(), Collector::start().await.unwrap());
    let secrets = SecretStore::start(&[(HEADERS, Kept::Text("x-key=canary%20key"))]).await;
    let (endpoint, binding) = (collector.endpoint(), receiver.binding());
    let mut settings = secrets.settings().to_vec();
    settings.extend([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS_ARN", HEADERS),
        ("EMAIL_PROVIDER", &binding),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("KAFKA_PRODUCE_TIMEOUT", "20s"),
    ]);
    let create = world.start("create", &settings).await;
    let process = world.start("process", &settings).await;
    settings.push(LATER);
    let redrive = world.start("redrive", &settings).await;

    let id = accepted(&create).await;
    let spans = collector.spans();
    let request = only(&spans, "notification-create", SpanKind::Server);
    let event = only(&spans, "notification-create", SpanKind::Producer);
    assert_eq!((&event.trace, &event.parent), (&request.trace, &request.id));

    redrive.invoke(&tick(), PLENTY).await.unwrap();
    let spans = collector.spans();
    let again = only(&spans, "notification-redrive", SpanKind::Producer);
    assert_eq!((&again.trace, &again.parent), (&request.trace, &request.id));

    let mut events = batch(&[&id]);
    let headers = events["records"]["notification-events-0"][0]["headers"].as_array_mut().unwrap();
    headers.push(json!({"traceparent": again.traceparent().as_bytes()}));
    process.invoke(&events, PLENTY).await.unwrap();
    let spans = collector.spans();
    let work = only(&spans, "notification-process", SpanKind::Consumer);
    let attempt = only(&spans, "notification-process", SpanKind::Client);
    assert_eq!((&work.trace, &work.parent), (&request.trace, &again.id));
    assert_eq!((&attempt.trace, &attempt.parent), (&request.trace, &work.id));
    let place = ["messaging.destination.name", "messaging.destination.partition.id", "messaging.kafka.offset"];
    assert_eq!(place.map(|name| work.attribute(name)), ["notification-events", "0", "0"]);
    assert_eq!(receiver.requests()[0].header("traceparent"), Some(attempt.traceparent().as_str()));

    assert!(collector.requests().iter().all(|request| request.header("x-key") == Some("canary key")));
    for function in [&create, &process, &redrive] {
        assert!(!function.logs().contains("canary"), "{}", function.logs());
    }
}

#[tokio::test]
async fn an_event_of_another_trace_does_not_move_an_attempt_into_it() {
    let (world, collector) = (World::new().await, Collector::start().await.unwrap());
    let endpoint = collector.endpoint();
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("KAFKA_PRODUCE_TIMEOUT", "20s")];
    let (create, process) = (world.start("create", &settings).await, world.start("process", &settings).await);
    let id = accepted(&create).await;
    process.invoke(&batch(&[&id]), PLENTY).await.unwrap();
    let spans = collector.spans();
    let request = only(&spans, "notification-create", SpanKind::Server);
    let (work, attempt) =
        (only(&spans, "notification-process", SpanKind::Consumer), only(&spans, "notification-process", SpanKind::Client));
    assert_eq!((work.parent.as_str(), &attempt.parent), ("", &request.id), "the event had no traceparent");
    assert_eq!(attempt.trace, request.trace);
    let names = [("trace.id", request.trace.as_str()), ("request.id", "the-request"), ("notification.id", id.as_str())];
    let names = names.map(|(name, value)| format!("\"{name}\":\"{value}\""));
    let by_all_names = process.logs().lines().any(|line| names.iter().all(|name| line.contains(name)));
    assert!(by_all_names, "{names:?}: {}", process.logs());
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_one_answer_and_not_the_next() {
    let (world, collector) = (World::new().await, Collector::start().await.unwrap());
    collector.then(Reply::Silence);
    let endpoint = collector.endpoint();
    let create = world.start("create", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("KAFKA_PRODUCE_TIMEOUT", "20s")]).await;
    let begun = Instant::now();
    accepted(&create).await;
    let first = begun.elapsed();
    // The answer itself takes milliseconds; the rest is for a machine that builds beside.
    assert!((FLUSH..FLUSH + Duration::from_secs(3)).contains(&first), "{first:?}");
    for _ in 0..3 {
        accepted(&create).await;
    }
    assert_eq!(collector.requests().len(), 1, "it is left alone");
    assert_eq!(create.lines_with("the trace collector takes no spans"), 1, "{}", create.logs());
}

#[tokio::test]
async fn faults_of_the_trace_settings_are_told_at_start() {
    let faulty = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "canary"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("EMAIL_PROVIDER", "dev:"),
    ];
    for name in ["create", "process", "redrive"] {
        let output = tests::function_process::run(name, &faulty).await;
        let said = String::from_utf8(output.stderr).unwrap();
        let told: Vec<&str> = said.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert_eq!(told, faulty[..3].iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}
