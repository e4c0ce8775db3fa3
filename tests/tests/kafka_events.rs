//! Lambda's two kinds of Kafka event, as files, against the reader and `process`.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use aws_lambda_events::event::kafka::KafkaEvent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::domain::{Status, Timestamp};
use shared::events::batch::{Record, read};
use shared::sample::new_notification;
use shared::service::Budget;
use shared::service::process::Process;
use tests::stage::{Stage, plenty};

const MSK: &str = include_str!("../fixtures/kafka-msk.json");
const SELF_MANAGED: &str = include_str!("../fixtures/kafka-self-managed.json");

#[test]
fn both_kinds_are_read_to_the_same_records() {
    for fixture in [MSK, SELF_MANAGED] {
        // The shape is AWS's: their own types read it.
        let known: KafkaEvent = serde_json::from_str(fixture).unwrap();
        assert_eq!(known.records.len(), 2);

        let records = read(fixture.as_bytes()).unwrap();
        let told: Vec<String> = records.iter().map(tell).collect();
        assert_eq!(
            told,
            [
                "deliver 019d1f0a-6c3b-7d42-9c1e-3b5a7f2e8d10",
                "passed over",
                "deliver 019d1f0a-6c58-7a05-8f63-c4d21e9b7042",
                "passed over",
                "poison at notification-events-1 7",
                "deliver 5f2c8e14-9b7d-8a36-b0e5-7d41c96f3a28",
                "passed over",
            ]
        );
        let keys: Vec<&str> = records.iter().filter_map(key).collect();
        assert_eq!(keys[0], keys[1], "one user's records share a key");
        assert_ne!(keys[0], keys[2]);
    }
}

fn tell(record: &Record) -> String {
    match record {
        Record::Deliver(deliver) => format!("deliver {}", deliver.id),
        Record::PassedOver => "passed over".to_owned(),
        Record::Poison { place, .. } => format!("poison at {} {}", place.partition, place.offset.unwrap()),
    }
}

fn key(record: &Record) -> Option<&str> {
    match record {
        Record::Deliver(deliver) => Some(&deliver.key),
        Record::PassedOver | Record::Poison { .. } => None,
    }
}

#[test]
fn a_record_says_when_it_was_written_and_is_no_worse_where_it_does_not() {
    let good: Value = serde_json::from_str::<Value>(MSK).unwrap()["records"]["notification-events-0"][0].clone();
    let written_at = |timestamp: Value| {
        let mut record = good.clone();
        record["timestamp"] = timestamp;
        match read(json!({"records": {"t-0": [record]}}).to_string().as_bytes()).unwrap().remove(0) {
            Record::Deliver(deliver) => deliver.written_at,
            other @ (Record::PassedOver | Record::Poison { .. }) => panic!("{other:?}"),
        }
    };
    assert_eq!(written_at(json!(1_700_000_000_123_i64)), Some(Timestamp::from_millis(1_700_000_000_123)));
    assert_eq!(written_at(json!(0)), Some(Timestamp::from_millis(0)));
    // Kafka's own word for none, and what no broker says.
    for none in [json!(-1), json!(1e300), json!("soon"), Value::Null] {
        assert_eq!(written_at(none.clone()), None, "{none}");
    }
}

#[tokio::test]
async fn poison_and_strangers_are_counted_and_the_good_ones_go_out() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    let mut event: Value = serde_json::from_str(MSK).unwrap();
    let value = json!({"v": 1, "kind": "notification", "id": n.id.to_string(), "channel": "email"}).to_string();
    event["records"]["notification-events-1"][1]["value"] = STANDARD.encode(value).into();
    let process = Process { worker: stage.worker.clone() };
    let answer = process::handle(&process, event.to_string().as_bytes(), &plenty()).await.unwrap();
    let counts = (answer.attempted, answer.left, answer.passed_over, answer.poison, answer.failed);
    assert_eq!(counts, (1, 2, 3, 1, 0), "{answer:?}");
    assert_eq!(stage.status(n.id).await, Status::Sent);
}

#[tokio::test]
async fn what_is_no_kafka_event_is_an_error() {
    let stage = Stage::new().await;
    let process = Process { worker: stage.worker.clone() };
    for payload in ["", "{}", "[]", r#"{"records": 1}"#, r#"{"records": {"t-0": 1}}"#] {
        assert!(process::handle(&process, payload.as_bytes(), &plenty()).await.is_err(), "{payload}");
    }
}

#[tokio::test]
async fn a_deadline_in_the_past_counts_as_none() {
    let now = Timestamp::from_millis(1_900_000_000_000);
    let emulator = Budget::of_lambda(Timestamp::from_millis(1), now);
    assert!(emulator.allows_claim(std::time::Duration::from_secs(5)));
    let short = Budget::of_lambda(now.plus(std::time::Duration::from_secs(9)), now);
    assert!(!short.allows_claim(std::time::Duration::from_secs(5)));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[A-Za-z0-9+/=]{0,12}|\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("headers|value|key|offset|[a-z]{1,4}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_bad_record_spoils_nothing_but_itself(bad in any_json(), at in 0..3_usize) {
        let good: Value = serde_json::from_str::<Value>(MSK).unwrap()["records"]["notification-events-0"][0].clone();
        let mut records = vec![good.clone(), good];
        records.insert(at.min(2), bad);
        let read = read(json!({"records": {"t-0": records}}).to_string().as_bytes()).unwrap();
        prop_assert_eq!(read.len(), 3);
        let delivered = read.iter().filter(|record| matches!(record, Record::Deliver(_))).count();
        prop_assert!(delivered >= 2);
    }
}
