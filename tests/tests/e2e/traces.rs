//! Traces of a real server: one for a request and all that it caused, at a collector that is set; and nothing where
//! none is.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared::traces::otlp::{FLUSH, PAUSE, Pace};
use shared::traces::{Sampler, TraceSettings};
use shared::wiring;
use tempfile::NamedTempFile;
use tests::collector::{Collector, Seen, SpanKind};
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;
use tokio::time::Instant;
use tracing_subscriber::util::SubscriberInitExt;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const NO_SPANS: &str = "the trace collector takes no spans";

/// A server that sends e-mail to `receiver`, by Kafka.
async fn server(receiver: &Receiver, over: &[(&str, &str)]) -> ServerProcess {
    let binding = receiver.binding();
    let mut settings = vec![
        ("EMAIL_PROVIDER", binding.as_str()),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("CLOCK_SKEW", "0s"),
        ("RETRY_BASE", "50ms"),
        ("REDRIVE_INTERVAL", "50ms"),
        ("LOG_FORMAT", "json"),
    ];
    settings.extend(over);
    ServerProcess::start(&settings).await
}

fn body() -> Value {
    json!({
        "userId": "canary-user", "channel": "email", "template": "canary-template", "to": {"email": "canary@example.com"},
        "data": {"canary-name": "canary-value"}, "metadata": {"canary": "canary"},
    })
}

/// Creates one, and waits until it was sent; its id.
async fn sent(server: &ServerProcess, traceparents: &[&str]) -> String {
    let mut request = server.request(Method::POST, "/api/notifications").json(&body());
    for traceparent in traceparents {
        request = request.header("traceparent", *traceparent);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.wait_for(&id, "Sent").await;
    id
}

fn about<'a>(spans: &'a [Seen], kind: SpanKind, id: &str) -> Vec<&'a Seen> {
    spans.iter().filter(|span| span.kind == kind && span.attributes.get("notification.id").is_some_and(|of| of == id)).collect()
}

/// The only one of each kind: request, event, work, attempt.
fn chain<'a>(spans: &'a [Seen], id: &str) -> Option<[&'a Seen; 4]> {
    let of = |kind| match about(spans, kind, id).as_slice() {
        [] => None,
        [one] => Some(*one),
        more => panic!("more than one: {more:#?}"),
    };
    Some([of(SpanKind::Server)?, of(SpanKind::Producer)?, of(SpanKind::Consumer)?, of(SpanKind::Client)?])
}

#[tokio::test]
async fn one_trace_leads_from_the_request_over_kafka_to_the_attempt() {
    let (receiver, collector) = (Receiver::start().await.unwrap(), Collector::start().await.unwrap());
    let endpoint = collector.endpoint();
    let mut server = server(&receiver, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let id = sent(&server, &[]).await;
    let spans = collector.wait_for(|spans| chain(spans, &id).is_some()).await;
    let [request, event, work, attempt] = chain(&spans, &id).unwrap();

    assert_eq!(request.parent, "");
    for (child, parent) in [(event, request), (work, event), (attempt, work)] {
        assert_eq!((&child.trace, &child.parent), (&parent.trace, &parent.id), "{child:#?}\n{parent:#?}");
    }
    let topic = event.attribute("messaging.destination.name");
    let names = [request, event, work, attempt].map(|span| span.name.clone());
    assert_eq!(
        names,
        ["POST /api/notifications".to_owned(), format!("send {topic}"), format!("process {topic}"), "attempt email".to_owned()]
    );
    assert!(spans.iter().all(|span| span.service == "notification-server" && !span.failed), "{spans:#?}");
    assert!(request.nanos > 0 && attempt.nanos > 0, "{spans:#?}");
    assert_eq!(receiver.requests()[0].header("traceparent"), Some(attempt.traceparent().as_str()));

    assert!(server.stop().await.success());
    let logs = server.logs();
    let lines: Vec<Value> = logs.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for message in ["answered", "attempt finished"] {
        let found = lines.iter().find(|line| line["message"] == message && line["notification.id"] == id.as_str());
        assert_eq!(found.unwrap_or_else(|| panic!("no {message} in:\n{logs}"))["trace.id"], request.trace.as_str());
    }

    // What a span may tell is on this list, and what it tells of a client is the notification's id.
    let told: BTreeSet<&str> = spans.iter().flat_map(|span| span.attributes.keys().map(String::as_str)).collect();
    let listed = include_str!("../../../docs/traces.md");
    let unlisted: Vec<&&str> = told.iter().filter(|name| !listed.contains(&format!("`{name}`"))).collect();
    assert!(unlisted.is_empty(), "not in docs/traces.md: {unlisted:?}");
    for request in collector.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains("canary"), "{:#?}", collector.spans());
    }
}

#[tokio::test]
async fn the_callers_traceparent_is_the_parent_if_it_is_one_and_decides_whether_it_is_recorded() {
    let (receiver, collector) = (Receiver::start().await.unwrap(), Collector::start().await.unwrap());
    let endpoint = collector.endpoint();
    let mut server = server(&receiver, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let other = TRACE.replace('0', "1");
    let unsampled = format!("00-{other}-b7ad6b7169203331-00");
    let quiet = sent(&server, &[&unsampled]).await;
    let child = sent(&server, &[&parent]).await;
    let upper = sent(&server, &[&parent.to_uppercase()]).await;
    let twice = sent(&server, &[&parent, &parent]).await;
    assert!(server.stop().await.success());

    let spans = collector.spans();
    let [request, ..] = chain(&spans, &child).expect("all are out when it has ended");
    assert_eq!((request.trace.as_str(), request.parent.as_str()), (TRACE, "b7ad6b7169203331"));
    for id in [upper, twice] {
        let [request, .., attempt] = chain(&spans, &id).expect("all are out when it has ended");
        assert_eq!((request.parent.as_str(), &attempt.trace), ("", &request.trace));
        assert_ne!(request.trace, TRACE);
    }
    assert!(!spans.iter().any(|span| span.trace == other), "{spans:#?}");
    let of_quiet = receiver.requests().into_iter().find(|request| request.header("webhook-id") == Some(&quiet)).unwrap();
    let went_on = of_quiet.header("traceparent").unwrap();
    assert!(went_on.starts_with(&format!("00-{other}-")) && went_on.ends_with("-00") && went_on != unsampled, "{went_on}");
}

#[tokio::test]
async fn a_retry_that_redrive_brings_is_in_the_trace_of_the_request_and_one_that_a_client_asks_for_points_to_it() {
    let (receiver, collector) = (Receiver::start().await.unwrap(), Collector::start().await.unwrap());
    receiver.then(Reply::status(503));
    receiver.then(Reply::status(400));
    let endpoint = collector.endpoint();
    let mut server = server(&receiver, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let id = server.create(&body()).await;
    server.wait_for(&id, "Failed").await;
    let retried = server.post(&format!("/api/notifications/{id}/retry"), &json!({})).await;
    assert_eq!(retried.status(), 202);
    server.wait_for(&id, "Sent").await;
    assert!(server.stop().await.success());

    let spans = collector.spans();
    let requests = about(&spans, SpanKind::Server, &id);
    let [request, retry] = requests.as_slice() else { panic!("{requests:#?}") };
    let attempts = about(&spans, SpanKind::Client, &id);
    assert_eq!(attempts.iter().map(|one| one.attribute("notification.attempt")).collect::<Vec<_>>(), ["1", "2", "3"]);
    let told: Vec<_> = attempts.iter().map(|one| (one.attribute("notification.outcome"), one.failed)).collect();
    assert_eq!(told, [("not-sent", true), ("refused", true), ("accepted", false)]);
    assert_eq!(attempts[0].attribute("error.type"), attempts[0].attribute("notification.code"));
    for attempt in attempts {
        let work = spans.iter().find(|span| span.id == attempt.parent).expect("its work");
        let event = spans.iter().find(|span| span.id == work.parent).expect("its event");
        assert_eq!((&attempt.trace, &event.parent), (&request.trace, &request.id));
    }
    assert_eq!(
        (retry.name.as_str(), retry.links.as_slice()),
        ("POST /api/notifications/{id}/retry", [request.trace.clone()].as_slice())
    );
    assert!(retry.trace != request.trace && request.links.is_empty());
}

#[tokio::test]
async fn a_collector_that_is_away_delays_nobody_and_is_told_of_once() {
    // A port where nobody listens.
    let nobody = Receiver::start().await.unwrap().address();
    let (hanging, failing) = (Collector::start().await.unwrap(), Collector::start().await.unwrap());
    for _ in 0..20 {
        hanging.then(Reply::Silence);
        failing.then(Reply::status(500));
    }
    for (endpoint, reason) in [
        (format!("http://{nobody}"), "it can't be reached"),
        (hanging.endpoint(), "no answer in time"),
        (failing.endpoint(), "it answered 500"),
    ] {
        let receiver = Receiver::start().await.unwrap();
        let mut server = server(&receiver, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
        sent(&server, &[]).await;
        server.wait_for_log(NO_SPANS).await;
        for _ in 0..5 {
            sent(&server, &[]).await;
        }
        let begun = Instant::now();
        assert!(server.stop().await.success());
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        let logs = server.logs();
        let told: Vec<&str> = logs.lines().filter(|line| line.contains("collector") || line.contains("spans")).collect();
        assert!(told.len() == 1 && told[0].contains(reason) && told[0].contains("\"WARN\""), "{reason}: {told:#?}");
    }
    assert!(hanging.requests().len() == 1 && failing.requests().len() == 1, "they are left alone");
}

#[tokio::test]
async fn without_a_collector_a_traceparent_passes_through_and_none_is_invented() {
    let receiver = Receiver::start().await.unwrap();
    let mut server = server(&receiver, &[("OTEL_SERVICE_NAME", "a-name")]).await;
    sent(&server, &[]).await;
    let parent = format!("00-{TRACE}-b7ad6b7169203331-03");
    sent(&server, &[&parent]).await;
    let seen: Vec<_> = receiver.requests().iter().map(|request| request.header("traceparent").map(str::to_owned)).collect();
    assert_eq!(seen, [None, Some(parent)]);
    assert!(server.stop().await.success());
}

/// Whatever is logged on this thread, until the guard is dropped.
fn captured() -> (NamedTempFile, impl Drop) {
    let file = NamedTempFile::new().unwrap();
    let log = file.reopen().unwrap();
    let writer = move || log.try_clone().unwrap();
    let guard = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish().set_default();
    (file, guard)
}

#[tokio::test]
async fn after_its_pause_a_collector_is_tried_again_and_what_was_lost_is_told() {
    let collector = Collector::start().await.unwrap();
    let sampler = Sampler { follows_parent: true, share: 1.0 };
    let endpoint = format!("{}/v1/traces", collector.endpoint());
    let settings = TraceSettings { endpoint, headers: Vec::new(), service_name: "x".to_owned(), sampler };
    let (traces, exporter) = wiring::traces(Some(settings), Pace::EachCall).unwrap();
    let (log, _guard) = captured();
    let ended = |count: usize| (0..count).for_each(|_| drop(traces.request("POST", "/x", None)));

    collector.then(Reply::Silence);
    ended(3);
    let begun = Instant::now();
    exporter.flush().await;
    assert!((FLUSH..FLUSH + Duration::from_secs(2)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    // While it is left alone those that end wait for it, as far as there is room.
    ended(2_050);
    exporter.flush().await;
    assert_eq!(collector.requests().len(), 1);

    tokio::time::pause();
    tokio::time::advance(PAUSE).await;
    tokio::time::resume();
    // What there is no time for waits for the next.
    for _ in 0..20 {
        exporter.flush().await;
    }
    assert_eq!(collector.spans().len(), 3 + 2_048);
    ended(1);
    exporter.flush().await;
    let lines = std::fs::read_to_string(log.path()).unwrap();
    let told: Vec<&str> = lines.lines().filter(|line| line.contains("collector")).collect();
    assert_eq!(told.len(), 2, "{lines}");
    assert!(told[0].contains(NO_SPANS) && told[0].contains("lost=3"), "{lines}");
    assert!(told[1].contains("takes spans again") && told[1].contains("lost=2"), "{lines}");
}
