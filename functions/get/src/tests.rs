//! What needs no store: requests that are refused at the edge, the document, and a store that is away.

use async_trait::async_trait;
use axum::body::Body;
use http::Request;
use serde_json::Value;
use shared::clock::SystemClock;
use shared::domain::{Change, DueShard, Notification, NotificationId, Tenant, UserId};
use shared::http::access::Anybody;
use shared::http::front;
use shared::random::SystemRandom;
use shared::store::{Applied, Created, Due, Error, Position, Store};
use tower::ServiceExt;

use super::*;

/// A store that is away.
#[derive(Debug)]
struct Away;

fn away() -> Error {
    Error::Unavailable { what: "canary".to_owned() }
}

#[async_trait]
impl Store for Away {
    async fn create(&self, _notification: &Notification) -> Result<Created, Error> {
        Err(away())
    }
    async fn apply(&self, _id: NotificationId, _change: &Change) -> Result<Applied, Error> {
        Err(away())
    }
    async fn get(&self, _tenant: &Tenant, _id: NotificationId) -> Result<Option<Notification>, Error> {
        Err(away())
    }
    async fn list(&self, _tenant: &Tenant, _user: &UserId, _limit: u32, _after: Option<Position>) -> Result<Page, Error> {
        Err(away())
    }
    async fn due(&self, _shard: DueShard, _limit: u32, _after: Option<Due>) -> Result<Vec<Due>, Error> {
        Err(away())
    }
    async fn check(&self) -> Result<(), Error> {
        Err(away())
    }
}

async fn ask(method: &str, path: &str) -> (u16, Value) {
    let reads = AppState::new(Get { store: Arc::new(Away), clock: Arc::new(SystemClock) });
    let app = front::complete(router(reads), Arc::new(SystemRandom), Arc::new(Anybody));
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

fn parameters(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|fault| fault["parameter"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_bad_read_is_refused_with_its_parameters() {
    let cases = [
        ("/api/notifications/x", vec!["id"]),
        ("/api/notifications/00000000-0000-0000-0000-00000000000%30?verbose=1", vec!["verbose"]),
        ("/api/notifications/x/why?verbose=1", vec!["id", "verbose"]),
        ("/api/notifications", vec!["userId"]),
        ("/api/notifications?userId=u&cursor=x&limit=0", vec!["limit", "cursor"]),
        ("/api/notifications?userId=u&idempotencyKey=k", vec!["idempotencyKey"]),
    ];
    for (path, expected) in cases {
        let (status, problem) = ask("GET", path).await;
        assert_eq!((status, parameters(&problem)), (400, expected), "{path}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_says_nothing_internal() {
    let id = "/api/notifications/00000000-0000-0000-0000-00000000000%30";
    let why = &format!("{id}/why");
    for path in [id, why, "/api/notifications?userId=u", "/api/notifications?idempotencyKey=k"] {
        let (status, problem) = ask("GET", path).await;
        assert_eq!((status, &problem["code"]), (503, &"store-unavailable".into()), "{path}");
        assert!(!problem.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let (status, document) = ask("GET", "/api/openapi.json").await;
    assert_eq!((status, document["openapi"].as_str()), (200, Some("3.1.0")));
}

#[tokio::test]
async fn what_nobody_owns_is_answered_here() {
    assert_eq!(ask("GET", "/api/nothing").await.0, 404);
    assert_eq!(ask("PUT", "/api/notifications/x/cancel").await.0, 405);
    // The other function's own: it was sent to the wrong one.
    assert_eq!(ask("POST", "/api/notifications").await.0, 404);
}

#[tokio::test]
async fn every_route_of_get_in_the_table_is_served() {
    for route in routes::ROUTES.iter().filter(|route| route.owner == routes::Owner::Get) {
        let (status, _) = ask(route.method, &route.template.replace("{id}", "x")).await;
        assert!(![404, 405].contains(&status), "{} {}", route.method, route.template);
    }
}
