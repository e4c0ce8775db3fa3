//! A notification's life between create and its final status: schedule, cancel, expiry, manual retry.

use std::time::Duration;

use serde_json::{Value, json};
use tests::instant::from_now;
use tests::server_process::ServerProcess;

const SOON: Duration = Duration::from_secs(4);
const AN_HOUR: Duration = Duration::from_hours(1);
/// So that a worker may send as soon as it is due by its own clock, which is the test's too.
const EXACT: (&str, &str) = ("CLOCK_SKEW", "0s");

#[tokio::test]
async fn without_kafka_the_first_attempt_is_made_at_once() {
    let server = ServerProcess::start(&[("KAFKA_BOOTSTRAP_SERVERS", "none")]).await;
    let created = server.post("/api/notifications", &json!({"userId": "ada", "channel": "sms", "template": "t"})).await;
    assert_eq!(created.status(), 201);
    assert!(created.headers().contains_key("location"));
    let sent: Value = created.json().await.unwrap();
    assert_eq!(sent["status"], "Sent");
    assert_eq!(sent["attempts"][0]["outcome"], "accepted");
    assert_eq!(server.inbox("ada").await.len(), 1);
    let ready = server.json("/health/ready").await;
    assert_eq!(ready["mode"], "sync");
    assert!(ready["reason"].is_string(), "{ready}");
}

#[tokio::test]
async fn a_scheduled_notification_waits_for_its_time_and_is_sent_then() {
    for kafka in [None, Some(("KAFKA_BOOTSTRAP_SERVERS", "none"))] {
        let settings: Vec<_> = [EXACT].into_iter().chain(kafka).collect();
        let server = ServerProcess::start(&settings).await;
        let at = from_now(SOON);
        let asked = json!({"userId": "ada", "channel": "push", "template": "t", "scheduledAt": at});
        let created = server.post("/api/notifications", &asked).await;
        assert_eq!(created.status(), 202);
        let created: Value = created.json().await.unwrap();
        assert_eq!(created["status"], "Pending");
        assert_eq!(created["scheduledAt"], at.as_str());
        assert!(server.inbox("ada").await.is_empty());
        let sent = server.wait_for(created["id"].as_str().unwrap(), "Sent").await;
        assert!(sent["sentAt"].as_str().unwrap() >= at.as_str(), "{sent}");
        assert_eq!(server.inbox("ada").await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_cancelled_is_never_sent_and_what_is_sent_can_not_be_cancelled() {
    let server = ServerProcess::start(&[EXACT]).await;
    let asked = json!({"userId": "ada", "channel": "push", "template": "t", "scheduledAt": from_now(SOON)});
    let id = server.create(&asked).await;
    for _ in 0..2 {
        let answer = server.post(&format!("/api/notifications/{id}/cancel"), &json!({})).await;
        assert_eq!(answer.status(), 200);
        let cancelled: Value = answer.json().await.unwrap();
        assert_eq!(cancelled["status"], "Cancelled");
    }
    // Due at the same moment and made after it: once it is sent, the other's time has come and gone.
    let later = json!({"userId": "bob", "channel": "push", "template": "t", "scheduledAt": from_now(SOON)});
    let later = server.create(&later).await;
    server.wait_for(&later, "Sent").await;
    assert!(server.inbox("ada").await.is_empty());
    assert_eq!(server.notification(&id).await["status"], "Cancelled");

    let answer = server.post(&format!("/api/notifications/{later}/cancel"), &json!({})).await;
    assert_eq!(answer.status(), 409);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "not-cancellable");
    assert_eq!(problem["notificationStatus"], "Sent");
}

#[tokio::test]
async fn no_attempt_starts_after_the_expiry() {
    let server = ServerProcess::start(&[EXACT, ("RETRY_BASE", "1h")]).await;
    let past =
        json!({"userId": "ada", "channel": "push", "template": "t", "expiresAt": "2020-01-01T00:00:00Z", "idempotencyKey": "k"});
    let id = server.create(&past).await;
    server.wait_for(&id, "Expired").await;
    // A repeat of an old request is a replay, never a fault.
    assert_eq!(server.post("/api/notifications", &past).await.status(), 200);

    // It fails, and its retry would come after the expiry.
    let short = json!({"userId": "fail+unavailable", "channel": "push", "template": "t", "expiresAt": from_now(AN_HOUR / 4)});
    let id = server.create(&short).await;
    let expired = server.wait_for(&id, "Expired").await;
    assert_eq!(expired["attempts"].as_array().unwrap().len(), 1, "{expired}");
    assert!(server.inbox("ada").await.is_empty());
}

#[tokio::test]
async fn a_failed_notification_can_be_retried_and_its_attempts_count_on() {
    for kafka in [None, Some(("KAFKA_BOOTSTRAP_SERVERS", "none"))] {
        let settings: Vec<_> = kafka.into_iter().collect();
        let server = ServerProcess::start(&settings).await;
        let id = server.create(&json!({"userId": "fail+refused", "channel": "push", "template": "t"})).await;
        let failed = server.wait_for(&id, "Failed").await;
        assert_eq!(failed["attempts"][0]["outcome"], "refused");
        assert_eq!(failed["errorCode"], "provider-refused");

        let answer = server.post(&format!("/api/notifications/{id}/retry"), &json!({})).await;
        assert_eq!(answer.status(), if kafka.is_none() { 202 } else { 200 });
        let again: Value = answer.json().await.unwrap();
        assert_eq!(again["id"], id.as_str());
        let failed = server.wait_for_attempts(&id, 2).await;
        assert_eq!(failed["status"], "Failed");
        let numbers: Vec<u64> = failed["attempts"].as_array().unwrap().iter().map(|a| a["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(failed["retryCount"], 1);
    }
}

#[tokio::test]
async fn only_a_failed_notification_can_be_retried() {
    let server = ServerProcess::start(&[]).await;
    let id = server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    server.wait_for(&id, "Sent").await;
    let answer = server.post(&format!("/api/notifications/{id}/retry"), &json!({})).await;
    assert_eq!(answer.status(), 409);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "not-retryable");
    assert_eq!(problem["notificationStatus"], "Sent");
    let none = "0190a8f2-0000-7000-8000-000000000000";
    for action in ["cancel", "retry"] {
        let answer = server.post(&format!("/api/notifications/{none}/{action}"), &json!({})).await;
        assert_eq!(answer.status(), 404, "{action}");
    }
}
