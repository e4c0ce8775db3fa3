//! The frozen files, and a table and a topic to put their records and events into, beneath everything of ours.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tests::apart::Apart;
use tests::server_process::{PATIENCE, ServerProcess};
use tests::store_proxy::StoreProxy;
use tokio::time::{Instant, sleep};

/// A record that a release has written.
pub(super) struct Frozen {
    pub name: String,
    /// The body by which a client asked for it.
    pub request: String,
    /// As it read then.
    pub view: Value,
    /// As it lay in the table, in DynamoDB's own JSON.
    pub item: Value,
    /// As it lay in the topic: key, headers, value.
    pub event: Value,
    /// The status that it has to reach.
    pub end: String,
}

impl Frozen {
    /// A text of its view.
    pub(super) fn text(&self, field: &str) -> &str {
        self.view[field].as_str().unwrap()
    }

    pub(super) fn id(&self) -> &str {
        self.text("id")
    }

    pub(super) fn is_final(&self) -> bool {
        ["Sent", "Failed", "Cancelled", "Expired"].contains(&self.text("status"))
    }
}

pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats")
}

/// All records of all releases.
pub(super) fn frozen() -> Vec<Frozen> {
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "nothing is frozen");
    let read = |file: &PathBuf| -> Vec<Value> { serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap() };
    let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    let release = |file: &PathBuf| file.file_stem().unwrap().to_string_lossy().into_owned();
    let records = files.iter().flat_map(|file| read(file).into_iter().map(move |one| (release(file), one)));
    let frozen = records.map(|(release, one)| Frozen {
        name: format!("{release}: {}", text(&one, "name")),
        request: text(&one, "request"),
        view: one["view"].clone(),
        item: one["item"].clone(),
        event: one["event"].clone(),
        end: text(&one, "end"),
    });
    frozen.collect()
}

/// Clients accept fields that they don't know, so there may be more of them than there were; none may be gone or other.
pub(super) fn has_all_of(now: &Value, then: &Value, name: &str) {
    match then {
        Value::Object(fields) => {
            for (field, value) in fields {
                has_all_of(&now[field], value, &format!("{name}: {field}"));
            }
        }
        Value::Array(entries) => {
            assert_eq!(now.as_array().map(Vec::len), Some(entries.len()), "{name}");
            for (n, entry) in entries.iter().enumerate() {
                has_all_of(&now[n], entry, &format!("{name}: {n}"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => assert_eq!(now, then, "{name}"),
    }
}

/// Store and broker apart, each reachable without our own code.
pub(super) struct Place {
    apart: Apart,
    proxy: StoreProxy,
}

impl Place {
    pub(super) async fn new() -> Self {
        let apart = Apart::start().await;
        let proxy = StoreProxy::before(apart.setting("AWS_ENDPOINT_URL_DYNAMODB")).await;
        Self { apart, proxy }
    }

    pub(super) fn setting(&self, name: &str) -> &str {
        self.apart.setting(name)
    }

    pub(super) fn table(&self) -> &str {
        let named = self.apart.settings.iter().find(|(name, _)| name == "TABLE_NAME");
        named.map_or("notifications", |(_, table)| table)
    }

    /// Whatever a machine does beside: what is sent is sent once.
    pub(super) async fn server(&self, over: &[(&str, &str)]) -> ServerProcess {
        let endpoint = self.proxy.endpoint();
        let mut settings =
            vec![("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str()), ("STORE_TIMEOUT", "15s"), ("SEND_TIMEOUT", "20s")];
        settings.extend(over);
        ServerProcess::start_with(&self.apart.with(&settings)).await
    }

    /// A server whose redrive has looked once, before there was anything, and sleeps.
    pub(super) async fn server_that_waits(&self) -> ServerProcess {
        let server = self.server(&[("REDRIVE_INTERVAL", "1h")]).await;
        let until = Instant::now() + PATIENCE;
        while self.proxy.meter().calls.get("Query").is_none_or(|made| *made < 16) {
            assert!(Instant::now() < until, "redrive has not looked\n{}", server.logs());
            sleep(Duration::from_millis(5)).await;
        }
        server
    }

    pub(super) async fn put(&self, old: &Frozen) {
        self.dynamodb("PutItem", json!({"Item": old.item})).await;
    }

    pub(super) async fn get(&self, id: &str) -> Value {
        self.dynamodb("GetItem", json!({"Key": {"id": {"S": id}}, "ConsistentRead": true})).await["Item"].take()
    }

    /// One call without the SDK.
    async fn dynamodb(&self, operation: &str, mut call: Value) -> Value {
        call["TableName"] = self.table().into();
        let request = Client::new()
            .post(self.setting("AWS_ENDPOINT_URL_DYNAMODB"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=local/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
            )
            .body(call.to_string());
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{operation}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }
}
