//! What needs no store: requests that are refused at the edge.

use axum::body::Body;
use serde_json::Value;
use shared::clock::SystemClock;
use shared::domain::Channel;
use shared::events::Outbox;
use shared::http::access::Anybody;
use shared::http::front;
use shared::random::SystemRandom;
use shared::retry::RetryPolicy;
use shared::service::OnUnknown;
use shared::service::deliver::Worker;
use shared::store::dynamodb::DynamoDb;
use shared::traces::Traces;
use tower::ServiceExt;

use super::*;

#[derive(Debug)]
struct OnlyEmail;

impl Channels for OnlyEmail {
    fn needs_recipient(&self, channel: Channel) -> Option<bool> {
        (channel == Channel::Email).then_some(true)
    }
}

fn app() -> Router {
    let policy = Policy {
        send_timeout: Duration::from_secs(5),
        lease: Duration::from_secs(60),
        clock_skew: Duration::from_secs(5),
        due_guard: Duration::from_secs(30),
        retention: Duration::from_secs(90 * 86_400),
        retry: RetryPolicy { base: Duration::from_secs(10), cap: Duration::from_secs(3600), max_attempts: 30 },
        on_unknown: OnUnknown::Retry,
    };
    // Nothing listens there: what gets past the edge finds its store away.
    let worker = Worker {
        store: Arc::new(DynamoDb::at("http://127.0.0.1:1", "notifications", Duration::from_secs(1))),
        providers: Arc::new(Providers::default()),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        policy,
        metrics: Arc::default(),
        traces: Traces::default(),
    };
    let create = Create { worker: Arc::new(worker), outbox: Arc::new(Outbox::new(None)) };
    let state = AppState { channels: Arc::new(OnlyEmail), ..AppState::new(create) };
    front::complete(router(state), Arc::new(SystemRandom), Arc::new(Anybody))
}

async fn ask(method: &str, path: &str, media_type: &str, body: &str) -> (u16, Value) {
    let request =
        Request::builder().method(method).uri(path).header("content-type", media_type).body(Body::from(body.to_owned())).unwrap();
    let response = app().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn create(media_type: &str, body: &str) -> (u16, Value) {
    ask("POST", "/api/notifications", media_type, body).await
}

const JSON: &str = "application/json";

#[tokio::test]
async fn a_bad_create_is_refused_with_its_code() {
    let too_large = format!("{{\"userId\":\"{}\"}}", "u".repeat(131_072));
    let cases = [
        (JSON, "{}", 400, "invalid-request"),
        (JSON, "[]", 400, "malformed-json"),
        ("text/plain", "{}", 415, "unsupported-media-type"),
        (JSON, too_large.as_str(), 413, "body-too-large"),
        (JSON, r#"{"userId":"u","channel":"sms","template":"t"}"#, 400, "channel-off"),
    ];
    for (media_type, body, status, code) in cases {
        let (answered, problem) = create(media_type, body).await;
        assert_eq!((answered, problem["code"].as_str()), (status, Some(code)));
    }
}

#[tokio::test]
async fn the_faults_of_a_create_come_all_at_once() {
    let (_, problem) = create(JSON, r#"{"userId":"","channel":"email","template":"t","x":1}"#).await;
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].clone()).collect();
    assert_eq!(pointers, ["#/x", "#/userId", "#/to"]);
}

#[tokio::test]
async fn an_id_that_is_no_uuid_is_a_fault_of_the_path() {
    for path in ["/api/notifications/x/cancel", "/api/notifications/%ff/retry", "/api/notifications/a%2Fb/cancel"] {
        let (status, problem) = ask("POST", path, JSON, "").await;
        assert_eq!((status, problem["errors"][0]["parameter"].as_str()), (400, Some("id")), "{path}");
    }
}

#[tokio::test]
async fn liveness_asks_nobody() {
    assert_eq!(ask("GET", "/health", JSON, "").await, (200, serde_json::json!({"status": "ok"})));
}

#[tokio::test]
async fn every_route_of_create_in_the_table_is_served() {
    for route in routes::ROUTES.iter().filter(|route| route.owner == routes::Owner::Create) {
        let (status, _) = ask(route.method, &route.template.replace("{id}", "x"), JSON, "").await;
        assert!(![404, 405].contains(&status), "{} {}", route.method, route.template);
    }
}
