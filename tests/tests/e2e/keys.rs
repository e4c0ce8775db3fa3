//! Idempotency keys: one key, one notification, one delivery, whoever races whom.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tests::server_process::ServerProcess;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const RACERS: usize = 64;

#[tokio::test]
async fn a_repeated_request_gets_the_first_notification_and_sends_nothing() {
    let server = ServerProcess::start(&[]).await;
    let id = server
        .create(&json!({"userId": "ada", "channel": "email", "template": "t", "data": {"a": 1, "b": 2}, "idempotencyKey": "k-1"}))
        .await;
    server.wait_for(&id, "Sent").await;

    // The same request: other order, the alias, another letter case, and the key in the header.
    let again = json!({"data": {"b": 2, "a": 1}, "template": "t", "channel": "EMAIL", "user_id": "ada"});
    let request = server.request(Method::POST, "/api/notifications").header("idempotency-key", "\"k-1\"").json(&again);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["idempotent-replayed"], "true");
    let replay: Value = answer.json().await.unwrap();
    assert_eq!(replay["id"], id.as_str());
    assert_eq!(replay["status"], "Sent");
    assert_eq!(server.inbox("ada").await.len(), 1);

    let found = server.json("/api/notifications?idempotencyKey=k-1").await;
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(found["data"][0]["id"], id.as_str());
    assert_eq!(server.json("/api/notifications?idempotencyKey=k-2").await, json!({"data": []}));
}

#[tokio::test]
async fn a_key_that_comes_back_with_another_request_is_refused() {
    let server = ServerProcess::start(&[]).await;
    let first = json!({"userId": "ada", "channel": "email", "template": "t", "data": {"n": 1.10}, "idempotencyKey": "k"});
    let id = server.create(&first).await;
    server.wait_for(&id, "Sent").await;
    for (field, other) in
        [("userId", json!("bob")), ("template", json!("u")), ("data", json!({"n": 2})), ("channel", json!("sms"))]
    {
        let mut changed = first.clone();
        changed[field] = other;
        let answer = server.post("/api/notifications", &changed).await;
        assert_eq!(answer.status(), 422, "{field}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "idempotency-key-reused", "{field}");
    }
    assert_eq!(server.inbox("ada").await.len(), 1);
    assert!(server.inbox("bob").await.is_empty());
}

#[tokio::test]
async fn a_key_in_body_and_header_that_differ_is_a_fault() {
    let server = ServerProcess::start(&[]).await;
    let body = json!({"userId": "ada", "channel": "email", "template": "t", "idempotencyKey": "one"});
    let request = server.request(Method::POST, "/api/notifications").header("idempotency-key", "other").json(&body);
    assert_eq!(request.send().await.unwrap().status(), 400);
    let request = server.request(Method::POST, "/api/notifications").header("idempotency-key", "one").json(&body);
    assert_eq!(request.send().await.unwrap().status(), 202);
}

#[tokio::test]
async fn sixty_four_requests_that_race_for_one_key_make_one_notification_and_one_delivery() {
    race(&[], 202).await;
}

#[tokio::test]
async fn sixty_four_requests_that_race_without_kafka_make_one_delivery_too() {
    race(&[("KAFKA_BOOTSTRAP_SERVERS", "none")], 201).await;
}

/// Three rounds, so that the connections of the later ones are already made.
async fn race(settings: &[(&str, &str)], created: u16) {
    let server = Arc::new(ServerProcess::start(settings).await);
    for round in 0..3 {
        let (user, key) = (format!("racer-{round}"), format!("key-{round}"));
        let start = Arc::new(Barrier::new(RACERS));
        let mut racers = JoinSet::new();
        for _ in 0..RACERS {
            let (server, start) = (Arc::clone(&server), Arc::clone(&start));
            let body = json!({"userId": user, "channel": "push", "template": "t", "idempotencyKey": key});
            racers.spawn(async move {
                start.wait().await;
                let answer = server.post("/api/notifications", &body).await;
                let replayed = answer.headers().contains_key("idempotent-replayed");
                let status = answer.status().as_u16();
                let n: Value = answer.json().await.unwrap();
                (status, replayed, n["id"].as_str().unwrap().to_owned())
            });
        }
        let answers = racers.join_all().await;
        let id = answers[0].2.clone();
        assert!(answers.iter().all(|(_, _, other)| *other == id), "{answers:?}");
        assert_eq!(answers.iter().filter(|(status, replayed, _)| *status == created && !replayed).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|(status, replayed, _)| *status == 200 && *replayed).count(), RACERS - 1, "{answers:?}");
        let sent = server.wait_for(&id, "Sent").await;
        assert_eq!(sent["attempts"].as_array().unwrap().len(), 1, "{sent}");
        assert_eq!(server.inbox(&user).await.len(), 1);
    }
}
