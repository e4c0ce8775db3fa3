//! Why a notification is where it is, as a client of the real server reads it.

use std::time::Duration;

use serde_json::{Value, json};
use tests::instant::from_now;
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;

const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
const AN_HOUR: Duration = Duration::from_hours(1);

async fn create(server: &ServerProcess, user: &str, more: &Value) -> String {
    let mut asked = json!({
        "userId": user, "channel": "push", "template": "canary-template", "to": {"deviceToken": "canary-device"},
        "data": {"canary": "canary"}, "metadata": {"canary": "canary"},
    });
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.create(&asked).await
}

/// The facts, of an answer that has the shape of all of them.
async fn facts(server: &ServerProcess, id: &str, status: &str) -> Value {
    let answer = server.get(&format!("/api/notifications/{id}/why")).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((answer["id"].as_str(), answer["status"].as_str()), (Some(id), Some(status)), "{answer}");
    let why = answer["why"].as_str().unwrap();
    assert!(why.ends_with('.') && !why.contains(". "), "{why}");
    assert!(!answer.to_string().contains("canary"), "{answer}");
    let over = ["Sent", "Failed", "Cancelled", "Expired"].contains(&status);
    assert_eq!(answer["facts"].get("next").is_none(), over, "{answer}");
    answer["facts"].clone()
}

#[tokio::test]
async fn each_story_is_told_from_its_record() {
    let receiver = Receiver::start().await.unwrap();
    receiver.then(Reply::Cut);
    let binding = receiver.binding();
    // A retry comes an hour later, so that it is seen waiting.
    let server = ServerProcess::start(&[("SMS_PROVIDER", &binding), SECRET, ("RETRY_BASE", "2h"), ("RETRY_CAP", "2h")]).await;

    let at = from_now(AN_HOUR);
    let scheduled = create(&server, "ada", &json!({"scheduledAt": at})).await;
    let told = facts(&server, &scheduled, "Pending").await;
    assert_eq!((&told["cause"], &told["next"]), (&json!("scheduled"), &json!({"what": "attempt", "at": at})), "{told}");
    assert_eq!((&told["attemptsMade"], &told["attemptsLeft"]), (&json!(0), &json!(30)));

    let answer = server.post(&format!("/api/notifications/{scheduled}/cancel"), &json!({})).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(facts(&server, &scheduled, "Cancelled").await["cause"], "cancel-asked");

    let sent = create(&server, "ada", &json!({})).await;
    server.wait_for(&sent, "Sent").await;
    let told = facts(&server, &sent, "Sent").await;
    assert_eq!((&told["cause"], &told["lastAttempt"]["provider"]), (&json!("accepted"), &json!("dev")), "{told}");

    let busy = create(&server, "fail+unavailable", &json!({})).await;
    let seen = server.wait_for(&busy, "Retrying").await;
    let told = facts(&server, &busy, "Retrying").await;
    assert_eq!((&told["cause"], &told["lastAttempt"]["code"]), (&json!("not-sent"), &json!("provider-unavailable")), "{told}");
    assert_eq!(told["next"], json!({"what": "attempt", "at": seen["nextAttemptAt"]}));

    // It went out, and the connection broke.
    let phone = json!({"channel": "sms", "to": {"phone": "+436601234567"}});
    let unknown = create(&server, "ada", &phone).await;
    server.wait_for(&unknown, "Retrying").await;
    let told = facts(&server, &unknown, "Retrying").await;
    assert_eq!((&told["cause"], &told["attemptsUnknown"]), (&json!("unknown"), &json!(1)), "{told}");

    let refused = create(&server, "fail+refused", &json!({})).await;
    server.wait_for(&refused, "Failed").await;
    let told = facts(&server, &refused, "Failed").await;
    assert_eq!((&told["cause"], &told["lastAttempt"]["outcome"]), (&json!("refused"), &json!("refused")), "{told}");

    let late = create(&server, "ada", &json!({"expiresAt": "2020-01-01T00:00:00Z"})).await;
    server.wait_for(&late, "Expired").await;
    assert_eq!(facts(&server, &late, "Expired").await["cause"], "expired-before-attempt");

    let short = create(&server, "fail+unavailable", &json!({"expiresAt": from_now(AN_HOUR / 4)})).await;
    server.wait_for(&short, "Expired").await;
    assert_eq!(facts(&server, &short, "Expired").await["cause"], "expired-before-retry");
}

#[tokio::test]
async fn what_used_up_its_attempts_or_may_not_be_repeated_says_so() {
    let settings = [
        ("RETRY_BASE", "20ms"),
        ("RETRY_MAX_ATTEMPTS", "2"),
        ("CLOCK_SKEW", "0s"),
        ("ON_UNKNOWN", "fail"),
        ("SEND_TIMEOUT", "200ms"),
    ];
    let server = ServerProcess::start(&settings).await;
    let exhausted = create(&server, "fail+unavailable", &json!({})).await;
    server.wait_for(&exhausted, "Failed").await;
    let told = facts(&server, &exhausted, "Failed").await;
    assert_eq!((&told["cause"], &told["attemptsMade"]), (&json!("attempts-exhausted"), &json!(2)), "{told}");

    // The provider `dev:` doesn't drop repeats.
    let unknown = create(&server, "fail+timeout", &json!({})).await;
    server.wait_for(&unknown, "Failed").await;
    assert_eq!(facts(&server, &unknown, "Failed").await["cause"], "unknown-not-repeated");
}

#[tokio::test]
async fn one_that_may_have_gone_out_twice_says_so() {
    let receiver = Receiver::start().await.unwrap();
    receiver.then(Reply::Cut);
    let binding = receiver.binding();
    let server = ServerProcess::start(&[("PUSH_PROVIDER", &binding), SECRET, ("RETRY_BASE", "50ms"), ("CLOCK_SKEW", "0s")]).await;
    let id = create(&server, "ada", &json!({})).await;
    server.wait_for(&id, "Sent").await;
    let told = facts(&server, &id, "Sent").await;
    assert_eq!((&told["cause"], &told["attemptsUnknown"]), (&json!("accepted-after-unknown"), &json!(1)), "{told}");
}

#[tokio::test]
async fn an_unknown_id_is_404_and_a_bad_one_400() {
    let server = ServerProcess::start(&[]).await;
    let cases = [("0190a8f2-0000-7000-8000-000000000000", 404, "notification-not-found"), ("x", 400, "invalid-request")];
    for (id, status, code) in cases {
        let answer = server.get(&format!("/api/notifications/{id}/why")).await;
        assert_eq!(answer.status(), status, "{id}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code);
    }
}
