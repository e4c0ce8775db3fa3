//! What a release has written, the next one goes on with: records as they lie in tables, and events as they
//! lie in topics, frozen in `tests/fixtures/formats`, against the servers of today. The files are never written
//! again: a release that writes another form gets a file of its own (`formats/freeze.rs`), and this reads them all.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

#[path = "formats/freeze.rs"]
#[cfg(test)]
mod freeze;
#[path = "formats/frozen.rs"]
#[cfg(test)]
mod frozen;

use frozen::{Frozen, Place, frozen, has_all_of};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tests::server_process::{PATIENCE, ServerProcess};

async fn ask(server: &ServerProcess, method: Method, path: &str) -> (StatusCode, Value) {
    let answer = server.request(method, path).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn create(server: &ServerProcess, body: String) -> (StatusCode, Value) {
    let request = server.request(Method::POST, "/api/notifications").header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn in_query(text: &str) -> String {
    text.replace(' ', "%20").replace('#', "%23")
}

#[tokio::test]
async fn a_record_of_each_release_reads_and_replays_as_it_did_then() {
    let place = Place::new().await;
    let server = place.server_that_waits().await;
    for old in frozen() {
        place.put(&old).await;
        let (name, id) = (&old.name, old.id());
        let (_, one) = ask(&server, Method::GET, &format!("/api/notifications/{id}")).await;
        has_all_of(&one, &old.view, name);

        let (_, list) = ask(&server, Method::GET, &format!("/api/notifications?userId={}", in_query(old.text("userId")))).await;
        assert_eq!(list["data"][0]["id"], id, "{name}");

        let Some(key) = old.view["idempotencyKey"].as_str() else { continue };
        let (_, found) = ask(&server, Method::GET, &format!("/api/notifications?idempotencyKey={}", in_query(key))).await;
        assert_eq!(found["data"][0]["id"], id, "{name}");
        let (status, replay) = create(&server, old.request.clone()).await;
        assert_eq!((status, replay["id"].as_str()), (StatusCode::OK, Some(id)), "{name}: {replay}");
        let other = old.request.replacen("\"template\": \"", "\"template\": \"other/", 1);
        let (status, reused) = create(&server, other).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {reused}");
    }
}

#[tokio::test]
async fn a_record_of_each_release_is_cancelled_and_retried_where_it_may_be() {
    let place = Place::new().await;
    let server = place.server_that_waits().await;
    for old in frozen() {
        place.put(&old).await;
        let (name, id, status) = (&old.name, old.id(), old.text("status"));
        let retried = ask(&server, Method::POST, &format!("/api/notifications/{id}/retry")).await;
        if status == "Failed" {
            assert_eq!(retried.0, StatusCode::ACCEPTED, "{name}: {}", retried.1);
            let sent = server.wait_for(id, "Sent").await;
            let before = old.view["attempts"].as_array().unwrap().len();
            let numbers: Vec<_> = sent["attempts"].as_array().unwrap().iter().map(|attempt| attempt["number"].as_u64()).collect();
            assert_eq!(numbers, (1..).take(before + 1).map(Some).collect::<Vec<_>>(), "{name}");
            continue;
        }
        assert_eq!((retried.0, &retried.1["notificationStatus"]), (StatusCode::CONFLICT, &Value::from(status)), "{name}");
        let cancelled = ask(&server, Method::POST, &format!("/api/notifications/{id}/cancel")).await;
        if ["Pending", "Retrying", "Cancelled"].contains(&status) {
            assert_eq!((cancelled.0, &cancelled.1["status"]), (StatusCode::OK, &Value::from("Cancelled")), "{name}");
        } else {
            assert_eq!((cancelled.0, &cancelled.1["notificationStatus"]), (StatusCode::CONFLICT, &Value::from(status)), "{name}");
        }
    }
}

/// Nobody hands over an event: what is found by its due time alone comes to its end, and what is final stays as it is.
#[tokio::test]
async fn a_record_of_each_release_is_brought_to_its_end() {
    let place = Place::new().await;
    for old in frozen() {
        place.put(&old).await;
    }
    let server = place.server(&[("KAFKA_BOOTSTRAP_SERVERS", "none")]).await;
    for old in frozen() {
        let end = server.wait_for(old.id(), &old.end).await;
        if old.is_final() {
            has_all_of(&end, &old.view, &old.name);
        } else if old.end == "Sent" {
            let sent = server.inbox(&in_query(old.text("userId"))).await;
            assert_eq!(sent.len(), 1, "{}", old.name);
            for field in ["to", "data", "template"] {
                assert_eq!(sent[0][field], old.view[field], "{}", old.name);
            }
        }
    }
}

/// Redrive sleeps: it is the event that brings them on.
#[tokio::test]
async fn an_event_of_each_release_brings_its_notification_to_its_end() {
    let place = Place::new().await;
    let server = place.server_that_waits().await;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", place.setting("KAFKA_BOOTSTRAP_SERVERS")).create().unwrap();
    let unfinished: Vec<Frozen> = frozen().into_iter().filter(|old| !old.is_final()).collect();
    for old in &unfinished {
        place.put(old).await;
        publish(&producer, place.setting("KAFKA_TOPIC"), &old.event).await;
    }
    for old in &unfinished {
        server.wait_for(old.id(), &old.end).await;
    }
}

async fn publish(producer: &FutureProducer, topic: &str, event: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = event["headers"].as_array().unwrap().iter().fold(OwnedHeaders::new(), |headers, header| {
        headers.insert(Header { key: header[0].as_str().unwrap(), value: header[1].as_str() })
    });
    let (key, value) = (text(&event["key"]), text(&event["value"]));
    let record = FutureRecord::to(topic).key(&key).payload(&value).headers(headers);
    producer.send(record, PATIENCE).await.unwrap();
}

/// What is frozen is of all kinds, so that nobody thins it out.
#[test]
fn every_status_and_every_outcome_is_among_what_is_frozen() {
    let all: Vec<Frozen> = frozen();
    for status in ["Pending", "Processing", "Retrying", "Sent", "Failed", "Cancelled", "Expired"] {
        assert!(all.iter().any(|old| old.text("status") == status), "{status}");
    }
    for outcome in ["accepted", "refused", "not-sent", "unknown"] {
        let made = |old: &Frozen| old.view["attempts"].as_array().unwrap().iter().any(|attempt| attempt["outcome"] == outcome);
        assert!(all.iter().any(made), "{outcome}");
    }
}
