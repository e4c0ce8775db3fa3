//! The store away, at start and later: a clear answer in time, and nothing to do once it is back.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::apart::Apart;
use tests::gate::Gate;
use tests::server_process::{ServerProcess, run};
use tokio::time::{Instant, timeout};

/// `SEND_TIMEOUT` + 11 s.
const PROMISED: Duration = Duration::from_secs(16);
const SOME: &str = "/api/notifications/0190a8f2-0000-7000-8000-000000000000";

struct Gated {
    apart: Apart,
    gate: Gate,
    endpoint: String,
}

impl Gated {
    async fn closed() -> Self {
        let apart = Apart::start().await;
        let gate = Gate::before(apart.store_address());
        let endpoint = format!("http://{}", gate.address());
        Self { apart, gate, endpoint }
    }

    async fn server(&self, settings: &[(&str, &str)]) -> ServerProcess {
        let over = [&[("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint.as_str())], settings].concat();
        ServerProcess::start_with(&self.apart.with(&over)).await
    }
}

fn body() -> Value {
    json!({"userId": "ada", "channel": "push", "template": "t"})
}

/// Everything that needs the store, side by side: each answer is a 503 in time.
async fn says_that_its_store_is_away(server: &ServerProcess) {
    let begun = Instant::now();
    let requests = [
        (Method::POST, "/api/notifications".to_owned()),
        (Method::GET, SOME.to_owned()),
        (Method::GET, "/api/notifications?userId=ada".to_owned()),
        (Method::GET, "/api/notifications?idempotencyKey=k".to_owned()),
        (Method::POST, format!("{SOME}/cancel")),
        (Method::POST, format!("{SOME}/retry")),
    ];
    let asked = requests.into_iter().map(|(method, path)| async move {
        let request = server.request(method.clone(), &path);
        let request = if path == "/api/notifications" { request.json(&body()) } else { request };
        let answer = timeout(PROMISED, request.send()).await.expect("an answer in time").unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
        assert!(answer.headers().contains_key("retry-after"), "{method} {path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "store-unavailable", "{method} {path}");
        let text = problem.to_string();
        assert!(!text.contains("127.0.0.1") && !text.to_lowercase().contains("dynamo"), "{text}");
    });
    futures::future::join_all(asked).await;
    let ready = server.get("/health/ready").await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.get("/health").await.status(), StatusCode::OK);
    assert!(begun.elapsed() < PROMISED);
}

/// ERROR is for what somebody has to mend, and an outage ends by itself.
fn woke_nobody(server: &ServerProcess) {
    let logs = server.logs();
    assert!(!logs.contains("ERROR"), "{logs}");
}

async fn works_again(server: &ServerProcess) {
    server.wait_until_ready_says(|status, _| status == 200).await;
    let id = server.create(&body()).await;
    server.wait_for(&id, "Sent").await;
}

#[tokio::test]
async fn a_store_away_at_start_makes_it_answer_503_until_it_is_there() {
    let store = Gated::closed().await;
    let server = store.server(&[]).await;
    says_that_its_store_is_away(&server).await;
    store.gate.open().await;
    works_again(&server).await;
    woke_nobody(&server);
}

#[tokio::test]
async fn a_store_that_goes_away_later_makes_it_answer_503_until_it_is_back() {
    let store = Gated::closed().await;
    store.gate.open().await;
    let server = store.server(&[]).await;
    works_again(&server).await;
    store.gate.close().await;
    says_that_its_store_is_away(&server).await;
    store.gate.open().await;
    works_again(&server).await;
    woke_nobody(&server);
}

#[tokio::test]
async fn a_store_that_never_answers_is_not_waited_for_longer_than_promised() {
    let store = Gated::closed().await;
    store.gate.open().await;
    let server = store.server(&[]).await;
    works_again(&server).await;
    store.gate.stall().await;
    says_that_its_store_is_away(&server).await;
    store.gate.open().await;
    works_again(&server).await;
    woke_nobody(&server);
}

#[tokio::test]
async fn what_is_in_kafka_while_the_store_is_away_is_sent_once_it_is_back() {
    let store = Gated::closed().await;
    store.gate.open().await;
    let server = store.server(&[]).await;
    works_again(&server).await;
    // Due while the store is away.
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(server.create(&body()).await);
    }
    store.gate.close().await;
    server.wait_until_ready_says(|status, _| status == 503).await;
    store.gate.open().await;
    for id in ids {
        server.wait_for(&id, "Sent").await;
    }
    woke_nobody(&server);
}

#[tokio::test]
async fn a_missing_table_is_an_error_at_start_that_names_the_command() {
    let apart = Apart::without_table().await;
    let output = run(&[], &apart.with(&[("TABLE_NAME", "not-made")])).await;
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the table not-made does not exist") && said.contains("server create-table"), "{said}");
}
