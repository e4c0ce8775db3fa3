//! What else may stand in the topic: it is passed over, and stops nobody.

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;
use tests::apart::Apart;
use tests::server_process::{PATIENCE, ServerProcess};

pub(crate) const OURS: Option<&str> = Some("notification.due");

pub(crate) struct Topic {
    producer: FutureProducer,
    topic: String,
}

impl Topic {
    pub(crate) fn of(apart: &Apart) -> Self {
        let producer = ClientConfig::new()
            .set("linger.ms", "0")
            .set("bootstrap.servers", apart.setting("KAFKA_BOOTSTRAP_SERVERS"))
            .create()
            .unwrap();
        Self { producer, topic: apart.setting("KAFKA_TOPIC").to_owned() }
    }

    pub(crate) async fn publish(&self, partition: i32, kind: Option<&str>, value: Option<&str>) {
        let mut record = FutureRecord::<str, str>::to(&self.topic).partition(partition).key("k");
        if let Some(kind) = kind {
            record = record.headers(OwnedHeaders::new().insert(Header { key: "ce_type", value: Some(kind) }));
        }
        if let Some(value) = value {
            record = record.payload(value);
        }
        self.producer.send(record, PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn foreign_and_broken_records_stop_no_good_one_and_poison_is_counted() {
    let apart = Apart::start().await;
    let server = ServerProcess::start_with(&apart.with(&[("REDRIVE_INTERVAL", "1h"), ("LOG_FORMAT", "json")])).await;
    let topic = Topic::of(&apart);
    let unknown = r#"{"v":1,"kind":"notification","id":"0190a8f2-0000-7000-8000-000000000000","channel":"push"}"#;
    let foreign = [
        (Some("com.example.other"), Some(r#"{"v":1}"#)),
        (None, Some("plain text of somebody else")),
        (OURS, None),
        (OURS, Some(unknown)),
        (OURS, Some(r#"{"v":2,"kind":"notification","id":7}"#)),
        (OURS, Some(r#"{"v":1,"kind":"digest","id":"0190a8f2-0000-7000-8000-000000000000","channel":"push"}"#)),
    ];
    let poison =
        [(OURS, Some("{")), (OURS, Some("")), (OURS, Some(r#"{"v":1,"kind":"notification","id":"canary","channel":"push"}"#))];
    // Each before and after good ones, in every partition: redrive is far away, so they come by Kafka or not at all.
    let mut ids = Vec::new();
    for partition in 0..4 {
        for (kind, value) in foreign.iter().chain(&poison) {
            topic.publish(partition, *kind, *value).await;
        }
        for user in 0..8 {
            let user = format!("user-{user}");
            ids.push(server.create(&json!({"userId": user, "channel": "push", "template": "t"})).await);
        }
    }
    for id in &ids {
        let sent = server.wait_for(id, "Sent").await;
        assert_eq!(sent["attempts"].as_array().unwrap().len(), 1, "{sent}");
    }
    // The last poison of each partition stands before good ones that are sent by now, so it was logged.
    let logs = server.logs();
    let poisoned: Vec<&str> = logs.lines().filter(|line| line.contains("poison: passed over")).collect();
    assert_eq!(poisoned.len(), 4 * poison.len(), "{logs}");
    for line in poisoned {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["partition"].as_str().unwrap().starts_with(&topic.topic), "{line}");
        assert!(line["offset"].is_i64(), "{line}");
    }
    assert!(!logs.contains("canary"), "what it holds is not repeated: {logs}");
}

#[tokio::test]
async fn an_event_that_comes_many_times_sends_once() {
    let apart = Apart::start().await;
    let server = ServerProcess::start_with(&apart.with(&[])).await;
    let id = server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    let topic = Topic::of(&apart);
    let value = json!({"v": 1, "kind": "notification", "id": id, "channel": "push"}).to_string();
    for n in 0..20 {
        topic.publish(n % 4, Some("notification.due"), Some(&value)).await;
    }
    server.wait_for(&id, "Sent").await;
    // One more behind the repeats of its partition, of whichever it is.
    let mut last = Vec::new();
    for user in 0..32 {
        last.push(server.create(&json!({"userId": format!("last-{user}"), "channel": "push", "template": "t"})).await);
    }
    for id in last {
        server.wait_for(&id, "Sent").await;
    }
    assert_eq!(server.inbox("ada").await.len(), 1);
    assert_eq!(server.notification(&id).await["attempts"].as_array().unwrap().len(), 1);
}
