//! Writes what the code of today writes, once for each form that is released: a real server takes each request, gets
//! as far as it is wanted, and what then lies in its table is frozen.
//!
//! `RELEASE=v2 cargo test --workspace --test formats -- --ignored freeze` makes `tests/fixtures/formats/v2.json`. It
//! refuses to write a file that is there.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{NotificationId, Tenant};
use shared::events::Event;
use shared::store::Store;
use shared::store::dynamodb::DynamoDb;
use tests::instant::from_now;
use tests::receiver::{Receiver, Reply};

use super::frozen::{Place, folder};

struct Shape {
    name: &'static str,
    /// `{soon}` stands for an instant that is past when somebody reads the file, `{n}` for a number of its own.
    request: &'static str,
    settings: &'static [(&'static str, &'static str)],
    replies: Vec<Reply>,
    status: &'static str,
    /// What a client does then.
    then: Option<&'static str>,
    end: &'static str,
}

const FULL: &str = r#"{"userId": "ada#{n}", "channel": "email", "template": "orders/shipped", "to": {"email": "ada@example.com"},
 "data": {"total": 19.90, "lines": [{"b": 1e2, "a": true}, null, "ä€😀"]}, "metadata": {"team": "shop"},
 "idempotencyKey": "order {n} shipped", "expiresAt": "2126-01-01T00:00:00+01:00"}"#;
const SMS: &str = r#"{"user_id": "grace {n}", "channel": "SMS", "template": "code", "to": {"phone": "+436601234567"}, "idempotencyKey": "sms-{n}"}"#;
const PUSH: &str = r#"{"userId": "linus-{n}", "channel": "push", "template": "ping", "to": {"deviceToken": "token-1", "platform": "fcm"}, "data": {}}"#;
const MINIMAL: &str = r#"{"userId": "u", "channel": "push", "template": "t"}"#;
const SCHEDULED: &str =
    r#"{"userId": "later-{n}", "channel": "push", "template": "t", "scheduledAt": "{soon}", "idempotencyKey": "later-{n}"}"#;
const EXPIRING: &str = r#"{"userId": "brief", "channel": "push", "template": "t", "expiresAt": "{soon}"}"#;
const GONE: &str =
    r#"{"userId": "gone", "channel": "push", "template": "t", "expiresAt": "2026-01-01T00:00:00Z", "idempotencyKey": "gone-1"}"#;
/// So that a retry is some seconds away.
const FAR: (&str, &str) = ("RETRY_BASE", "30s");
const SYNC: (&str, &str) = ("KAFKA_BOOTSTRAP_SERVERS", "none");
/// One attempt at a time, and another notification's never ends: what is created meanwhile stays as it is.
const FULL_HOUSE: &[(&str, &str)] = &[("EMAIL_CONCURRENCY", "1"), ("SMS_CONCURRENCY", "1"), ("PUSH_CONCURRENCY", "1")];

fn shapes() -> Vec<Shape> {
    let shape = |name, request, status, end| Shape { name, request, settings: &[], replies: Vec::new(), status, then: None, end };
    let accepted = || Reply::json(200, r#"{"id": "message-1"}"#);
    vec![
        Shape { settings: FULL_HOUSE, ..shape("pending, minimal", MINIMAL, "Pending", "Sent") },
        Shape { settings: FULL_HOUSE, ..shape("pending, with everything", FULL, "Pending", "Sent") },
        Shape { settings: FULL_HOUSE, ..shape("pending, sms", SMS, "Pending", "Sent") },
        Shape { settings: FULL_HOUSE, ..shape("pending, to expire", EXPIRING, "Pending", "Expired") },
        Shape { settings: &[("REDRIVE_INTERVAL", "1h")], ..shape("scheduled", SCHEDULED, "Pending", "Sent") },
        Shape { replies: vec![Reply::Silence], ..shape("processing", FULL, "Processing", "Sent") },
        Shape { replies: vec![Reply::Silence], ..shape("processing, redriven once", SCHEDULED, "Processing", "Sent") },
        Shape { replies: vec![Reply::status(503)], settings: &[FAR], ..shape("retrying, not sent", PUSH, "Retrying", "Sent") },
        Shape { replies: vec![Reply::status(500)], settings: &[FAR], ..shape("retrying, unknown", FULL, "Retrying", "Sent") },
        Shape { replies: vec![accepted()], ..shape("sent", FULL, "Sent", "Sent") },
        Shape {
            replies: vec![Reply::status(500), accepted()],
            settings: &[("RETRY_BASE", "200ms")],
            ..shape("sent after an unknown attempt", SMS, "Sent", "Sent")
        },
        Shape { replies: vec![Reply::status(400)], ..shape("failed, refused", FULL, "Failed", "Failed") },
        Shape {
            replies: vec![Reply::status(429)],
            settings: &[("RETRY_MAX_ATTEMPTS", "1")],
            ..shape("failed, exhausted", PUSH, "Failed", "Failed")
        },
        Shape {
            replies: vec![Reply::status(400), Reply::Silence],
            then: Some("retry"),
            ..shape("retried by hand, processing", FULL, "Failed", "Sent")
        },
        Shape { settings: FULL_HOUSE, then: Some("cancel"), ..shape("cancelled", SMS, "Pending", "Cancelled") },
        Shape { settings: &[SYNC], ..shape("expired", GONE, "Expired", "Expired") },
    ]
}

#[tokio::test]
#[ignore = "writes a fixture, once for each form that is released"]
async fn the_formats_of_this_release() {
    #[expect(clippy::disallowed_methods, reason = "the command's only argument")]
    let release = std::env::var("RELEASE").expect("RELEASE=v2");
    let file = folder().join(format!("{release}.json"));
    assert!(!file.exists(), "{} is frozen", file.display());
    let mut records = Vec::new();
    for (n, shape) in shapes().into_iter().enumerate() {
        records.push(freeze(n, shape).await);
    }
    std::fs::write(file, serde_json::to_string_pretty(&records).unwrap() + "\n").unwrap();
}

async fn freeze(n: usize, shape: Shape) -> Value {
    let place = Place::new().await;
    let receiver = Receiver::start().await.unwrap();
    shape.replies.into_iter().for_each(|reply| receiver.then(reply));
    let binding = receiver.binding();
    let mut settings = vec![
        ("EMAIL_PROVIDER", binding.as_str()),
        ("SMS_PROVIDER", &binding),
        ("PUSH_PROVIDER", &binding),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        // What ends by itself would be swept out of the file's table one day.
        ("RETENTION", "3650d"),
    ];
    settings.extend(shape.settings);
    let server = place.server(&settings).await;
    if shape.settings == FULL_HOUSE {
        for channel in ["email", "sms", "push"] {
            receiver.then(Reply::Silence);
            server.create(&json!({"userId": channel, "channel": channel, "template": "t"})).await;
        }
        receiver.wait_for(3).await;
    }
    let request = shape.request.replace("{n}", &n.to_string()).replace("{soon}", &from_now(Duration::from_secs(3)));
    let create = server.request(Method::POST, "/api/notifications").header("content-type", "application/json");
    let create = create.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let created: Value = create.body(request.clone()).send().await.unwrap().json().await.unwrap();
    let id = created["id"].as_str().unwrap();
    server.wait_for(id, shape.status).await;
    if let Some(then) = shape.then {
        let done = server.request(Method::POST, &format!("/api/notifications/{id}/{then}")).send().await.unwrap();
        assert!(done.status().is_success(), "{}", shape.name);
        server.wait_for(id, if then == "retry" { "Processing" } else { "Cancelled" }).await;
    }
    let store = DynamoDb::at(place.setting("AWS_ENDPOINT_URL_DYNAMODB"), place.table(), Duration::from_secs(15));
    let stored = store.get(&Tenant::default(), NotificationId::parse(id).unwrap()).await.unwrap().unwrap();
    let event = Event::due(&stored, stored.updated_at);
    json!({
        "name": shape.name,
        "request": request,
        "view": server.notification(id).await,
        "item": place.get(id).await,
        "event": {"key": event.key, "headers": event.headers(), "value": event.value()},
        "end": shape.end,
    })
}
