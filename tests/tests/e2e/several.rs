//! Several servers on one store and one topic: they share the work, and each does what another left.

use std::collections::BTreeSet;

use serde_json::json;
use tests::apart::Apart;
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;

#[tokio::test]
async fn two_servers_deliver_each_notification_once_between_them() {
    let receiver = Receiver::start().await.unwrap();
    let (apart, binding) = (Apart::start().await, receiver.binding());
    let settings = [("PUSH_PROVIDER", binding.as_str()), ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    let settings = apart.with(&settings);
    let (one, other) = tokio::join!(ServerProcess::start_with(&settings), ServerProcess::start_with(&settings));
    let mut ids = Vec::new();
    for n in 0..40 {
        let server = if n % 2 == 0 { &one } else { &other };
        ids.push(server.create(&json!({"userId": format!("user-{n}"), "channel": "push", "template": "t"})).await);
    }
    for id in &ids {
        let sent = one.wait_for(id, "Sent").await;
        assert_eq!(sent["attempts"].as_array().unwrap().len(), 1, "{sent}");
    }
    let delivered: Vec<String> = receiver.requests().iter().map(|r| r.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(delivered.len(), ids.len());
    assert_eq!(BTreeSet::from_iter(delivered), BTreeSet::from_iter(ids));
}

#[tokio::test]
async fn what_a_killed_server_had_begun_is_finished_by_another_with_the_same_webhook_id() {
    let receiver = Receiver::start().await.unwrap();
    // The first server's attempt is under way for as long as it lives.
    receiver.then(Reply::Silence);
    let (apart, binding) = (Apart::start().await, receiver.binding());
    let settings = [
        ("PUSH_PROVIDER", binding.as_str()),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("SEND_TIMEOUT", "1s"),
        ("CLOCK_SKEW", "50ms"),
        ("LEASE", "5s"),
        ("DUE_GUARD", "400ms"),
        ("REDRIVE_INTERVAL", "200ms"),
    ];
    let settings = apart.with(&settings);
    let mut first = ServerProcess::start_with(&settings).await;
    let id = first.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    receiver.wait_for(1).await;
    first.kill().await;

    let second = ServerProcess::start_with(&settings).await;
    let sent = second.wait_for(&id, "Sent").await;
    let outcomes: Vec<&str> = sent["attempts"].as_array().unwrap().iter().map(|a| a["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["unknown", "accepted"]);
    assert_eq!(sent["attempts"][0]["code"], "lease-lost");
    assert!(receiver.requests().iter().all(|r| r.header("webhook-id") == Some(&id)), "{:?}", receiver.requests());
}
