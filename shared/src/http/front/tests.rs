use axum::body::Body;
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::access::Caller;
use crate::domain::Status;
use crate::http::access::{Anybody, Refusal};
use crate::telemetry::captured::Captured;

#[derive(Debug)]
struct Sevens;

impl Random for Sevens {
    fn bytes(&self) -> [u8; 16] {
        [7; 16]
    }
}

async fn failing() -> &'static str {
    panic!("on purpose")
}

/// Two routers that share a path, merged as the server merges them, and a route beside the table.
fn app() -> Router {
    let one = Router::new()
        .route(routes::NOTIFICATIONS, post(|| async { "created" }))
        .route(routes::CANCEL, post(|| async { Err::<(), _>(Problem::NotCancellable { status: Status::Sent }) }))
        .route(routes::HEALTH, get(failing));
    let two = Router::new()
        .route(routes::NOTIFICATIONS, get(|| async { "listed" }))
        .route(routes::NOTIFICATION, get(|| async { Err::<(), _>(Problem::NotificationNotFound) }))
        .route("/dev/inbox", get(|| async { "inbox" }));
    complete(one.merge(two), Arc::new(Sevens), Arc::new(Anybody))
}

async fn ask(method: &str, path: &str, request_id: Option<&str>) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(id) = request_id {
        request = request.header("x-request-id", id);
    }
    app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn bytes(response: Response) -> bytes::Bytes {
    axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
}

const FRESH: &str = "07070707-0707-4707-8707-070707070707";

#[tokio::test]
async fn every_answer_carries_the_callers_request_id_if_it_is_one() {
    let longest = "x".repeat(128);
    for id in ["a", "A.b_c-9", longest.as_str()] {
        for path in [routes::NOTIFICATIONS, "/nowhere", routes::HEALTH] {
            assert_eq!(ask("GET", path, Some(id)).await.headers()["x-request-id"], id, "{path}");
        }
    }
    let too_long = "x".repeat(129);
    for id in ["", "a b", "ü", "a/b", too_long.as_str()] {
        assert_eq!(ask("GET", routes::NOTIFICATIONS, Some(id)).await.headers()["x-request-id"], FRESH, "{id}");
    }
    assert_eq!(ask("GET", "/nowhere", None).await.headers()["x-request-id"], FRESH);
}

#[tokio::test]
async fn no_answer_may_be_kept_on_its_way() {
    let paths = [routes::NOTIFICATIONS, "/api/notifications/x", "/nowhere", routes::HEALTH, "/dev/inbox"];
    for (method, path) in
        paths.map(|path| ("GET", path)).into_iter().chain([("POST", routes::NOTIFICATIONS), ("PUT", routes::CANCEL)])
    {
        let answer = ask(method, path, None).await;
        let said: Vec<_> = answer.headers().get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(said, ["no-store"], "{method} {path}");
    }
}

#[tokio::test]
async fn a_problem_is_written_with_the_requests_path_and_id() {
    let response = ask("POST", "/api/notifications/a%20b/cancel?secret=1", Some("r-1")).await;
    assert_eq!(
        (response.status(), &response.headers()[CONTENT_TYPE]),
        (StatusCode::CONFLICT, &"application/problem+json".parse().unwrap())
    );
    let body: Value = serde_json::from_slice(&bytes(response).await).unwrap();
    assert_eq!((&body["instance"], &body["requestId"]), (&"/api/notifications/a%20b/cancel".into(), &"r-1".into()));
}

#[tokio::test]
async fn a_path_that_does_not_exist_is_404_and_a_wrong_method_405_with_allow() {
    for path in ["/", "/api", "/api/notifications/", "/api/notifications/x/y"] {
        let response = ask("GET", path, None).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }
    let cases = [
        // A path of both routers, one of each, one that only the table knows, and one beside the table.
        ("DELETE", routes::NOTIFICATIONS, "POST, GET, HEAD"),
        ("GET", "/api/notifications/x/cancel", "POST"),
        ("BREW", "/api/notifications/x", "GET, HEAD"),
        ("GET", "/api/notifications/x/retry", "POST"),
        ("TRACE", "/health/ready", "GET, HEAD"),
        ("POST", "/dev/inbox", "GET,HEAD"),
    ];
    for (method, path, allow) in cases {
        let response = ask(method, path, None).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(response.headers()[ALLOW], allow, "{method} {path}");
        let body: Value = serde_json::from_slice(&bytes(response).await).unwrap();
        assert_eq!(body["code"], "method-not-allowed");
    }
}

#[tokio::test]
async fn head_answers_as_get_does_without_a_body() {
    for path in [routes::NOTIFICATIONS, "/api/notifications/x", "/nowhere"] {
        let (head, get) = (ask("HEAD", path, None).await, ask("GET", path, None).await);
        assert_eq!((head.status(), head.headers()), (get.status(), get.headers()), "{path}");
        assert!(bytes(head).await.is_empty() && !bytes(get).await.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_problem_and_nothing_more_is_said() {
    let response = ask("GET", routes::HEALTH, None).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let text = String::from_utf8(bytes(response).await.to_vec()).unwrap();
    assert!(text.contains("\"internal\"") && !text.contains("on purpose"), "{text}");
}

#[tokio::test]
async fn a_request_is_one_line_with_its_route_and_nothing_of_the_clients() {
    let captured = Captured::default();
    let guard = captured.start();
    ask("GET", "/api/notifications/canary?userId=canary", Some("r-1")).await;
    ask("CANARY", "/canary", Some("r-2")).await;
    drop(guard);
    let lines = captured.lines();
    assert!(!format!("{lines:?}").to_lowercase().contains("canary"), "{lines:?}");
    let told: Vec<_> = lines
        .iter()
        .map(|line| (&line["fields"], &line["span"]))
        .map(|(f, span)| (&f["http.method"], &f["http.route"], &f["http.status"], &span["request.id"]))
        .collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], (&"GET".into(), &"/api/notifications/{id}".into(), &404.into(), &"r-1".into()));
    assert_eq!(told[1], (&"other".into(), &"none".into(), &404.into(), &"r-2".into()));
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_a_line_too() {
    let captured = Captured::default();
    let guard = captured.start();
    let never = Router::new().route("/never", get(std::future::pending::<()>));
    let app = complete(never, Arc::new(Sevens), Arc::new(Anybody));
    let mut request = Box::pin(app.oneshot(Request::get("/never").body(Body::empty()).unwrap()));
    assert!(futures::poll!(&mut request).is_pending());
    drop(request);
    drop(guard);
    let messages: Vec<Value> = captured.lines().into_iter().map(|line| line["fields"]["message"].clone()).collect();
    assert_eq!(messages, ["the client hung up"]);
}

/// Lets nobody in.
#[derive(Debug)]
struct Nobody;

impl Access for Nobody {
    fn caller(&self, _request: &Request) -> Result<Caller, Problem> {
        Err(Problem::Unauthorized { why: Refusal::Missing })
    }
}

#[tokio::test]
async fn whatever_is_not_open_asks_before_it_answers() {
    let open = Router::new().route(routes::READY, get(|| async { "ready" })).route(routes::OPENAPI, get(|| async { "{}" }));
    let inside = Router::new().route(routes::NOTIFICATIONS, get(failing)).route("/dev/inbox", get(failing));
    let app = complete(open.merge(inside), Arc::new(Sevens), Arc::new(Nobody));
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).header("x-request-id", "r-1").body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    let asked =
        ["/api/notifications", "/dev/inbox", "/", "/nowhere", "/api/", "//health", "/health/", "/health/ready/x", "/Health"];
    for (method, path) in asked.iter().flat_map(|path| [("GET", *path), ("BREW", *path)]) {
        let response = ask(method, path).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        let headers = response.headers();
        assert_eq!(headers["www-authenticate"], r#"Bearer realm="notifications""#);
        assert_eq!(
            (&headers[CONTENT_TYPE], &headers["x-request-id"]),
            (&"application/problem+json".parse().unwrap(), &"r-1".parse().unwrap())
        );
    }
    for (method, path, status) in [("GET", routes::READY, 200), ("HEAD", routes::OPENAPI, 200), ("POST", routes::READY, 405)] {
        assert_eq!(ask(method, path).await.status().as_u16(), status, "{method} {path}");
    }
}
