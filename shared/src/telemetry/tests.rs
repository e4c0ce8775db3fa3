use std::cell::Cell;
use std::sync::Once;

use super::captured::Captured;
use super::*;
use crate::domain::Timestamp;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_123)
    }
}

/// What is logged by `logs` under this RUST_LOG.
fn captured(format: LogFormat, rust_log: &str, logs: impl FnOnce()) -> Captured {
    let captured = Captured::default();
    let writer = captured.clone();
    let settings = LogSettings { format, levels: Levels::parse(rust_log).unwrap() };
    let subscriber = subscriber(&settings, move || writer.clone(), Arc::new(Fixed), false);
    tracing::subscriber::with_default(subscriber, logs);
    captured
}

/// Does what panics, under our hook. The hook is the whole process's: all other panics, this test's own
/// later ones included, go on to the hook that was there.
fn panics(work: impl FnOnce()) {
    thread_local!(static OURS: Cell<bool> = const { Cell::new(false) });
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| if OURS.get() { place_of_panics_only(info) } else { others(info) }));
    });
    OURS.set(true);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    OURS.set(false);
    assert!(outcome.is_err(), "it was to panic");
}

fn chatter() {
    let foreign = tracing::info_span!(target: "hyper::client", "request", body = "canary-info-span");
    let _entered = foreign.enter();
    let deeper =
        tracing::debug_span!(target: "aws_smithy_runtime", "call", header = "canary-debug-span", late = tracing::field::Empty);
    let _deeper = deeper.enter();
    deeper.record("late", "canary-recorded");
    tracing::info!(target: "reqwest::connect", body = "canary-info");
    tracing::debug!(target: "hyper::proto", body = "canary-debug");
    tracing::trace!(target: "rdkafka", body = "canary-trace");
    tracing::trace!(target: "getrandom", body = "canary-of-a-name-that-begins-like-ours");
    tracing::warn!(target: "hyper::proto", "a foreign warning");
    tracing::trace!(target: "get::router", "our own whisper");
}

#[test]
fn other_peoples_crates_say_nothing_below_warn_whatever_rust_log_says() {
    for rust_log in ["trace", "info", "trace,hyper=trace,reqwest=trace,rdkafka=trace,aws_smithy_runtime=trace,getrandom=trace"] {
        for format in [LogFormat::Json, LogFormat::Text] {
            let text = captured(format, rust_log, chatter).text();
            assert!(!text.contains("canary"), "{rust_log}: {text}");
            assert!(text.contains("a foreign warning"), "{rust_log}: {text}");
            assert_eq!(text.contains("our own whisper"), rust_log.starts_with("trace"), "{rust_log}: {text}");
        }
    }
}

#[test]
fn a_json_line_has_the_events_fields_and_its_spans_at_the_top() {
    let lines = captured(LogFormat::Json, "info", || {
        let request = tracing::info_span!("request", request.id = "r-1", notification.id = tracing::field::Empty, level = "mine");
        let _request = request.enter();
        request.record("notification.id", "n-1");
        let _attempt = tracing::info_span!("attempt", attempt.number = 1_u32, provider = "outer").entered();
        let took_ms = std::time::Duration::from_millis(1_500).as_millis();
        tracing::info!(attempt.number = 2_u32, ok = true, share = 0.5, took_ms, "sent");
    })
    .lines();
    let expected = serde_json::json!({
        "timestamp": "2023-11-14T22:13:20.123Z", "level": "INFO", "target": "shared::telemetry::tests", "message": "sent",
        "request.id": "r-1", "notification.id": "n-1", "attempt.number": 2, "provider": "outer", "ok": true, "share": 0.5,
        "took_ms": 1500,
    });
    assert_eq!(lines, [expected]);
}

#[test]
fn a_line_break_in_a_value_starts_no_new_line() {
    let captured = captured(LogFormat::Json, "info", || tracing::warn!(name = "a\n{\"level\":\"ERROR\"}", "one"));
    assert_eq!(captured.lines().len(), 1);
}

#[test]
fn an_error_is_written_with_its_sources() {
    let error = crate::service::Error::Store(crate::store::Error::Unavailable { what: "no answer".to_owned() });
    let value: &(dyn std::error::Error + 'static) = &error;
    let lines = captured(LogFormat::Json, "info", || tracing::error!(error = value, "failed")).lines();
    assert_eq!(lines[0]["error"], "the store failed: the store is not available: no answer");
}

#[test]
fn a_panic_is_logged_by_its_place_and_not_by_its_payload() {
    let logged = captured(LogFormat::Json, "info", || {
        let _request = tracing::info_span!("request", request.id = "r-1").entered();
        panics(|| panic!("canary-payload"));
        panics(|| assert_eq!("canary-left", "canary-right"));
    });
    let lines = logged.lines();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!((line["message"].as_str(), line["request.id"].as_str()), (Some("panicked"), Some("r-1")));
        assert!(line["panic.place"].as_str().unwrap().starts_with(file!()), "{line}");
    }
    assert!(!logged.text().contains("canary"), "{}", logged.text());
}

#[test]
fn a_value_that_panics_while_it_is_written_blocks_nothing() {
    struct Broken;
    impl std::fmt::Debug for Broken {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("broken")
        }
    }
    let lines = captured(LogFormat::Json, "info", || {
        let span = tracing::info_span!("request", request.id = "r-1", value = tracing::field::Empty);
        let _request = span.enter();
        panics(|| assert!(!span.record("value", tracing::field::debug(Broken)).is_disabled()));
        tracing::info!("goes on");
    })
    .lines();
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["panicked", "goes on"]);
}

fn created_with(request_id: &str, traceparent: &str) -> crate::domain::Notification {
    use crate::domain::{NewNotification, Notification, NotificationId, Token, notification};
    use crate::sample::new_notification;
    let (request_id, traceparent) = (Some(request_id.to_owned()), Some(traceparent.to_owned()));
    let new = NewNotification { request_id, traceparent, ..new_notification() };
    let id = NotificationId::from_uuid(uuid::Uuid::from_u128(7));
    let (create_token, due_guard) = (Token::from_uuid(uuid::Uuid::from_u128(9)), std::time::Duration::from_secs(30));
    let birth = notification::Birth { id, create_token, now: Timestamp::from_millis(0), attempt_limit: 1, due_guard };
    Notification::create(new, birth)
}

#[test]
fn a_line_has_the_names_of_its_request_or_of_the_one_that_created_whatever_rust_log_leaves() {
    let n = created_with("creating", "00-11111111111111111111111111111111-2222222222222222-01");
    let lines = captured(LogFormat::Json, "error", || {
        trail::of_background(n.id).in_scope(|| {
            tracing::error!("not seen yet");
            trail::goes_back_to(&n);
            tracing::error!("seen");
        });
        trail::of_request(
            "asking-later",
            crate::traces::Context::parse("00-33333333333333333333333333333333-4444444444444444-01"),
        )
        .in_scope(|| {
            trail::is_about(n.id);
            trail::goes_back_to(&n);
            tracing::error!("asked");
        });
    })
    .lines();
    let told = lines.iter().map(|line| ["message", "request.id", "trace.id", "notification.id"].map(|name| line[name].as_str()));
    let id = n.id.to_string();
    let expected = [
        [Some("not seen yet"), None, None, Some(id.as_str())],
        [Some("seen"), Some("creating"), Some("11111111111111111111111111111111"), Some(&id)],
        [Some("asked"), Some("asking-later"), Some("33333333333333333333333333333333"), Some(&id)],
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
