//! Retries over a real receiver of webhooks.

use serde_json::json;
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;

const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

#[tokio::test]
async fn a_receiver_that_is_busy_gets_the_same_message_again() {
    let receiver = Receiver::start().await.unwrap();
    receiver.then(Reply::status(503));
    receiver.then(Reply::json(202, r#"{"id":"theirs-7"}"#));
    let binding = receiver.binding();
    let server =
        ServerProcess::start(&[("EMAIL_PROVIDER", &binding), SECRET, ("RETRY_BASE", "100ms"), ("CLOCK_SKEW", "0s")]).await;
    let id = server.create(&json!({"userId": "ada", "channel": "email", "template": "t", "data": {"total": 1}})).await;
    let sent = server.wait_for(&id, "Sent").await;
    let outcomes: Vec<&str> = sent["attempts"].as_array().unwrap().iter().map(|a| a["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["not-sent", "accepted"]);
    assert_eq!(sent["retryCount"], 1);
    assert_eq!(sent["providerMessageId"], "theirs-7");
    assert!(sent.get("errorCode").is_none(), "{sent}");

    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.header("webhook-id") == Some(&id)), "{requests:?}");
}

#[tokio::test]
async fn an_unknown_outcome_is_sent_again_to_a_receiver_that_drops_repeats() {
    let receiver = Receiver::start().await.unwrap();
    receiver.then(Reply::Cut);
    let binding = receiver.binding();
    // `fail` is for providers that don't drop repeats; this one does.
    let settings =
        [("EMAIL_PROVIDER", binding.as_str()), SECRET, ("RETRY_BASE", "50ms"), ("CLOCK_SKEW", "0s"), ("ON_UNKNOWN", "fail")];
    let server = ServerProcess::start(&settings).await;
    let id = server.create(&json!({"userId": "ada", "channel": "email", "template": "t"})).await;
    let sent = server.wait_for(&id, "Sent").await;
    assert_eq!(sent["attempts"][0]["outcome"], "unknown");
    assert_eq!(sent["attempts"][1]["outcome"], "accepted");
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn attempts_that_are_used_up_end_as_failed() {
    let receiver = Receiver::start().await.unwrap();
    for _ in 0..3 {
        receiver.then(Reply::status(429));
    }
    let binding = receiver.binding();
    let settings =
        [("EMAIL_PROVIDER", binding.as_str()), SECRET, ("RETRY_BASE", "20ms"), ("RETRY_MAX_ATTEMPTS", "3"), ("CLOCK_SKEW", "0s")];
    let server = ServerProcess::start(&settings).await;
    let id = server.create(&json!({"userId": "ada", "channel": "email", "template": "t"})).await;
    let failed = server.wait_for(&id, "Failed").await;
    assert_eq!(failed["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(failed["errorCode"], "attempts-exhausted");
    assert_eq!(receiver.requests().len(), 3);
}
