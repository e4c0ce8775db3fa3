//! What the four functions are started on here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::apart::Apart;
use tests::function_process::FunctionProcess;
use tests::store_proxy::StoreProxy;

/// For a redrive that is not to come to the same one twice.
pub(crate) const LATER: (&str, &str) = ("DUE_GUARD", "1h");

/// A store with a proxy before it, and a broker.
pub(crate) struct World {
    pub(crate) apart: Apart,
    pub(crate) proxy: StoreProxy,
    endpoint: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let apart = Apart::start().await;
        let proxy = StoreProxy::before(apart.setting("AWS_ENDPOINT_URL_DYNAMODB")).await;
        let endpoint = proxy.endpoint();
        Self { apart, proxy, endpoint }
    }

    pub(crate) fn settings<'a>(&'a self, over: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        // Patient, for a machine that builds beside; due at once, for redrive.
        let mut all =
            self.apart.with(&[("AWS_ENDPOINT_URL_DYNAMODB", &self.endpoint), ("STORE_TIMEOUT", "15s"), ("DUE_GUARD", "1ms")]);
        all.extend(over);
        all
    }

    /// As [`Self::start`], with one of its own settings left out.
    pub(crate) async fn start_without(&self, setting: &str, name: &str, over: &[(&str, &str)]) -> FunctionProcess {
        let kept: Vec<_> = self.settings(over).into_iter().filter(|(known, _)| *known != setting).collect();
        FunctionProcess::start(name, &kept).await
    }

    pub(crate) async fn start(&self, name: &str, over: &[(&str, &str)]) -> FunctionProcess {
        FunctionProcess::start(name, &self.settings(over)).await
    }
}

pub(crate) fn order() -> Value {
    json!({"userId": "ada", "channel": "email", "template": "welcome", "to": {"email": "ada@example.com"}})
}

/// Creates one that only an event or redrive brings on; its id.
pub(crate) async fn accepted(create: &FunctionProcess) -> String {
    let answer = create.http("POST", "/api/notifications", "", Some(&order())).await;
    assert_eq!(answer.status, 202, "{}\n{}", answer.body, create.logs());
    answer.body["id"].as_str().expect("an id").to_owned()
}

pub(crate) async fn read(get: &FunctionProcess, id: &str) -> Value {
    let answer = get.http("GET", &format!("/api/notifications/{id}"), "", None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// A batch of one record for each id, as Lambda's event source hands it over.
pub(crate) fn batch(ids: &[&str]) -> Value {
    let header = |name: &str, value: &str| json!({name: value.as_bytes()});
    let record = |(offset, id): (usize, &&str)| {
        let value = json!({"v": 1, "kind": "notification", "id": id, "channel": "email"}).to_string();
        json!({
            "topic": "notification-events", "partition": 0, "offset": offset, "timestamp": 1_893_456_000_000_u64,
            "timestampType": "CREATE_TIME", "key": STANDARD.encode(id), "value": STANDARD.encode(value),
            "headers": [header("ce_specversion", "1.0"), header("ce_type", "notification.due")],
        })
    };
    let records: Vec<Value> = ids.iter().enumerate().map(record).collect();
    json!({
        "eventSource": "SelfManagedKafka", "bootstrapServers": "kafka.example:9092",
        "records": {"notification-events-0": records},
    })
}

/// What EventBridge hands over by the template's schedule.
pub(crate) fn tick() -> Value {
    json!({})
}
