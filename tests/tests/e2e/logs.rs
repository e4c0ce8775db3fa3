//! Nothing personal and no secret is ever logged: strings that nobody else would write go in by every way
//! there is, and the whole log is searched for them at its most talkative.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tests::collector::Collector;
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;

/// In whatever case, and whatever was cut from it.
const CANARY: &str = "canary";

#[tokio::test]
async fn the_log_names_notifications_and_nothing_that_is_in_them_as_json() {
    nothing_leaks("json").await;
}

#[tokio::test]
async fn the_log_names_notifications_and_nothing_that_is_in_them_as_text() {
    nothing_leaks("text").await;
}

async fn nothing_leaks(format: &str) {
    let receiver = Receiver::start().await.unwrap();
    let secret = format!("whsec_{}", STANDARD.encode("canary-secret-canary-secret-cana"));
    let encoded = secret.trim_start_matches("whsec_").to_owned();
    let mail = format!("{}/canary-mail?token=canary-token", receiver.binding());
    let collector = Collector::start().await.unwrap();
    let endpoint = collector.endpoint();
    let settings = [
        ("LOG_FORMAT", format),
        ("RUST_LOG", "trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary-collector"),
        ("EMAIL_PROVIDER", mail.as_str()),
        // Nobody listens there.
        ("SMS_PROVIDER", "webhook+http://127.0.0.1:1/canary-sms"),
        ("WEBHOOK_SECRET", secret.as_str()),
        ("RETRY_MAX_ATTEMPTS", "2"),
        ("RETRY_BASE", "50ms"),
        ("CLOCK_SKEW", "0s"),
    ];
    let mut server = ServerProcess::start(&settings).await;
    let full = |channel: &str, to: serde_json::Value, key: &str| {
        json!({
            "userId": "canary-user", "channel": channel, "template": "t", "to": to, "data": {"canary-name": "canary-value"},
            "metadata": {"canary-meta": "canary-meta"}, "idempotencyKey": key,
        })
    };

    // Success, replay, reuse.
    let mut ids = Vec::new();
    let push = full("push", json!({"deviceToken": "canary-device"}), "canary-key-1");
    ids.push(server.create(&push).await);
    server.wait_for(&ids[0], "Sent").await;
    assert_eq!(server.post("/api/notifications", &push).await.status(), 200);
    let other = full("push", json!({"deviceToken": "canary-other"}), "canary-key-1");
    assert_eq!(server.post("/api/notifications", &other).await.status(), 422);
    assert_eq!(server.get("/api/notifications?idempotencyKey=canary-key-1").await.status(), 200);

    // Failures: an answer that tells too much, a broken connection, nobody there, a refusal by the dev provider.
    receiver.then(Reply::json(500, r#"{"error":"canary@example.com is unknown: canary-answer"}"#));
    receiver.then(Reply::Cut);
    ids.push(server.create(&full("email", json!({"email": "canary@example.com"}), "canary-key-2")).await);
    server.wait_for(&ids[1], "Failed").await;
    receiver.then(Reply::with_header(302, "location", "http://127.0.0.1:1/canary-elsewhere"));
    ids.push(server.create(&full("email", json!({"email": "canary@example.com"}), "canary-key-3")).await);
    server.wait_for(&ids[2], "Failed").await;
    ids.push(server.create(&full("sms", json!({"phone": "+436601234567"}), "canary-key-4")).await);
    server.wait_for(&ids[3], "Failed").await;
    ids.push(server.create(&full("push", json!({"deviceToken": "fail+refused-canary"}), "canary-key-5")).await);
    server.wait_for(&ids[4], "Failed").await;

    // Bad input, and what is no input at all.
    let mut bad = full("email", json!({"email": "canary at example.com"}), "canary-kéy");
    bad["canary-field"] = json!("canary");
    assert_eq!(server.post("/api/notifications", &bad).await.status(), 400);
    for body in ["{\"userId\": \"canary", "[\"canary\"]", "{\"data\": {\"canary\": 1, \"canary\": 2}}"] {
        let request = server.request(Method::POST, "/api/notifications").header(CONTENT_TYPE, "application/json");
        assert_eq!(request.body(body).send().await.unwrap().status(), 400, "{body}");
    }
    let request = server.request(Method::POST, "/api/notifications").header("idempotency-key", "\"canary").json(&push);
    assert_eq!(request.send().await.unwrap().status(), 400);
    for path in ["/api/notifications?idempotencyKey=canary-k%00ey", "/api/notifications?userId=canary-user&cursor=canary"] {
        assert_eq!(server.get(path).await.status(), 400, "{path}");
    }
    let request = server.request(Method::GET, "/health").header("authorization", "Bearer canary-bearer");
    assert_eq!(request.send().await.unwrap().status(), 200);

    assert!(server.stop().await.success());
    let logs = server.logs();
    for id in &ids {
        assert!(logs.contains(id), "{id} is not named in:\n{logs}");
    }
    for forbidden in [CANARY, "+436601234567", "436601234567", &encoded, "example.com"] {
        let found = logs.lines().find(|line| line.to_lowercase().contains(&forbidden.to_lowercase()));
        assert_eq!(found, None, "{forbidden} is in the log");
    }
    let exports = collector.requests();
    assert!(collector.spans().len() > 20, "it told too little to prove anything");
    for export in &exports {
        assert_eq!(export.header("authorization"), Some("Bearer canary-collector"));
        let told = String::from_utf8_lossy(&export.body).to_lowercase();
        for forbidden in [CANARY, "436601234567", &encoded.to_lowercase(), "example.com"] {
            assert!(!told.contains(forbidden), "{forbidden} is in what was exported: {:#?}", collector.spans());
        }
    }
    assert!(logs.lines().count() > 20, "it said too little to prove anything:\n{logs}");
}

#[tokio::test]
async fn the_log_never_holds_an_api_key_good_or_bad() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-keys");
    // sha256sum of nk_canary-key
    let digest = "626a1979a0d979f5c8af888b9291a9d916aa38b61f6df395947d8ea3bc211c49";
    std::fs::write(&path, format!("shop acme {digest}\n")).unwrap();
    let settings = [("API_KEYS_FILE", path.to_str().unwrap()), ("RUST_LOG", "trace"), ("LOG_FORMAT", "json")];
    let mut server = ServerProcess::start(&settings).await;
    for (header, value, status) in [
        ("authorization", "Bearer nk_canary-key", 200),
        ("x-api-key", "nk_canary-key", 200),
        ("authorization", "Bearer nk_canary-wrong", 401),
        ("authorization", "Basic Y2FuYXJ5OmNhbmFyeQ==", 401),
        ("x-api-key", "canary", 401),
    ] {
        let request = server.request(Method::GET, "/api/notifications?userId=ada").header(header, value);
        assert_eq!(request.send().await.unwrap().status(), status, "{header}: {value}");
    }
    // The key where its digest should be.
    std::fs::write(&path, format!("shop acme {digest}\ncanary acme nk_canary-key\n")).unwrap();
    server.wait_for_log("the API keys stay as they are").await;
    assert!(server.stop().await.success());
    let logs = server.logs();
    for forbidden in [CANARY, "y2fuyxj5", digest] {
        let found = logs.lines().find(|line| line.to_lowercase().contains(forbidden));
        assert_eq!(found, None, "{forbidden} is in the log");
    }
    assert!(logs.matches("\"http.status\":401").count() == 3, "{logs}");
}

/// The first line that has all of these.
fn line(logs: &str, wanted: &[(&str, &str)]) -> Value {
    let lines = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let fits = |line: &Value| wanted.iter().all(|(name, value)| line[*name] == *value);
    lines.into_iter().find(fits).unwrap_or_else(|| panic!("no line with {wanted:?} in:\n{logs}"))
}

#[tokio::test]
async fn every_line_about_a_notification_is_found_by_its_request_and_its_trace() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let receiver = Receiver::start().await.unwrap();
    receiver.then(Reply::status(503));
    let binding = receiver.binding();
    let settings = [
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "info"),
        ("EMAIL_PROVIDER", binding.as_str()),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("RETRY_BASE", "50ms"),
        ("RETRY_MAX_ATTEMPTS", "2"),
        ("CLOCK_SKEW", "0s"),
    ];
    let mut server = ServerProcess::start(&settings).await;
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let request =
        server.request(Method::POST, "/api/notifications").header("x-request-id", "asked").header("traceparent", traceparent);
    let created = request.json(&json!({"userId": "ada", "channel": "email", "template": "t"})).send().await.unwrap();
    let id = created.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.wait_for(&id, "Sent").await;
    let request = server.request(Method::POST, &format!("/api/notifications/{id}/cancel")).header("x-request-id", "too-late");
    assert_eq!(request.json(&json!({})).send().await.unwrap().status(), 409);
    assert!(server.stop().await.success());

    let logs = server.logs();
    // In the request, in the worker that an event called, and in the one that redrive called.
    for wanted in [
        [("message", "answered"), ("request.id", "asked")],
        [("message", "attempt finished"), ("outcome", "not-sent")],
        [("message", "attempt finished"), ("outcome", "accepted")],
    ] {
        let found = line(&logs, &wanted);
        let names = (&found["request.id"], &found["trace.id"], &found["notification.id"]);
        assert_eq!(names, (&json!("asked"), &json!(TRACE), &json!(id)), "{found}");
    }
    // No trace of the create's: this request had none.
    let found = line(&logs, &[("message", "answered"), ("request.id", "too-late")]);
    assert_eq!((&found["notification.id"], found.get("trace.id")), (&json!(id), None), "{found}");
}
