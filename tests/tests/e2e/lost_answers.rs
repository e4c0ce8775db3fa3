//! The store carries a write out and its answer is lost: the repeat fails its own condition, and the writer
//! still knows that the write was its own.

use std::time::Duration;

use serde_json::{Value, json};
use tests::apart::Apart;
use tests::instant::from_now;
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;
use tests::store_proxy::{Fault, StoreProxy};

pub(crate) struct Proxied {
    pub(crate) proxy: StoreProxy,
    pub(crate) server: ServerProcess,
    pub(crate) _apart: Apart,
}

impl Proxied {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let apart = Apart::start().await;
        let proxy = StoreProxy::before(apart.setting("AWS_ENDPOINT_URL_DYNAMODB")).await;
        let endpoint = proxy.endpoint();
        let over = [&[("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str())], settings].concat();
        let server = ServerProcess::start_with(&apart.with(&over)).await;
        Self { proxy, server, _apart: apart }
    }
}

fn body(key: &str) -> Value {
    json!({"userId": "ada", "channel": "push", "template": "t", "idempotencyKey": key})
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_new_and_no_replay_of_itself() {
    for (kafka, created) in [(None, 202), (Some(("KAFKA_BOOTSTRAP_SERVERS", "none")), 201)] {
        let settings: Vec<_> = kafka.into_iter().collect();
        let Proxied { proxy, server, _apart } = Proxied::start(&settings).await;
        proxy.fail_next("PutItem", Fault::LoseAnswer);
        let answer = server.post("/api/notifications", &body("k")).await;
        assert_eq!(answer.status(), created, "{}", server.logs());
        assert!(!answer.headers().contains_key("idempotent-replayed"));
        let n: Value = answer.json().await.unwrap();
        server.wait_for(n["id"].as_str().unwrap(), "Sent").await;
        assert_eq!(server.inbox("ada").await.len(), 1);
        assert_eq!(proxy.faults_left(), 0);
    }
}

#[tokio::test]
async fn a_claim_and_a_finish_whose_answers_are_lost_make_one_delivery() {
    for kafka in [None, Some(("KAFKA_BOOTSTRAP_SERVERS", "none"))] {
        let receiver = Receiver::start().await.unwrap();
        receiver.then(Reply::Held { status: 204 });
        let binding = receiver.binding();
        let webhook = [("PUSH_PROVIDER", binding.as_str()), ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        let settings: Vec<_> = webhook.into_iter().chain(kafka).collect();
        let Proxied { proxy, server, _apart } = Proxied::start(&settings).await;
        proxy.fail_next("UpdateItem", Fault::LoseAnswer);
        let body = body("k");
        let meanwhile = async {
            // The claim is through; what comes now is the finish.
            receiver.wait_for(1).await;
            assert_eq!(proxy.faults_left(), 0);
            proxy.fail_next("UpdateItem", Fault::LoseAnswer);
            receiver.release();
        };
        let (id, ()) = tokio::join!(server.create(&body), meanwhile);
        let sent = server.wait_for(&id, "Sent").await;
        assert_eq!(sent["attempts"].as_array().unwrap().len(), 1, "{sent}");
        assert_eq!(receiver.requests().len(), 1);
        assert_eq!(proxy.faults_left(), 0);
    }
}

#[tokio::test]
async fn a_cancel_and_a_retry_whose_answers_are_lost_tell_their_own_success() {
    let Proxied { proxy, server, _apart } = Proxied::start(&[("KAFKA_BOOTSTRAP_SERVERS", "none")]).await;
    let later = json!({"userId": "ada", "channel": "push", "template": "t", "scheduledAt": from_now(Duration::from_hours(1))});
    let id = server.create(&later).await;
    proxy.fail_next("UpdateItem", Fault::LoseAnswer);
    let answer = server.post(&format!("/api/notifications/{id}/cancel"), &json!({})).await;
    assert_eq!(answer.status(), 200);
    let id = server.create(&json!({"userId": "fail+refused", "channel": "push", "template": "t"})).await;
    server.wait_for(&id, "Failed").await;
    proxy.fail_next("UpdateItem", Fault::LoseAnswer);
    let answer = server.post(&format!("/api/notifications/{id}/retry"), &json!({})).await;
    assert_eq!(answer.status(), 200, "made at once, and refused again");
    let n: Value = answer.json().await.unwrap();
    assert_eq!(n["attempts"].as_array().unwrap().len(), 2, "{n}");
    assert_eq!(proxy.faults_left(), 0);
}
