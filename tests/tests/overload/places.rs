//! `MAX_REQUESTS_IN_FLIGHT`: who holds a place, and what the next one is told.

use std::time::Duration;

use serde_json::{Value, json};
use tests::raw::{Raw, create, create_head, get};
use tests::receiver::{Receiver, Reply};
use tests::server_process::{PATIENCE, ServerProcess};
use tokio::time::{Instant, sleep};

use super::MACHINE;

const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
const BODY: &str = r#"{"userId":"ada","channel":"email","template":"t"}"#;
const NOBODYS: &str = "/api/notifications/018f0000-0000-7000-8000-000000000000";

/// Sync mode: a create holds its place until its provider has answered.
async fn server_with(places: &str, receiver: &Receiver) -> ServerProcess {
    let binding = receiver.binding();
    let settings =
        [("KAFKA_BOOTSTRAP_SERVERS", "none"), ("EMAIL_PROVIDER", binding.as_str()), ("MAX_REQUESTS_IN_FLIGHT", places), SECRET];
    ServerProcess::start_with(&settings).await
}

async fn receiver_that_holds(requests: usize) -> Receiver {
    let receiver = Receiver::start().await.unwrap();
    (0..requests).for_each(|_| receiver.then(Reply::Held { status: 204 }));
    receiver
}

/// A client that has asked for a create and waits.
async fn waiting(server: &ServerProcess) -> Raw {
    let mut client = Raw::connect(server.address()).await.unwrap();
    client.send(&create(BODY)).await.unwrap();
    client
}

#[tokio::test]
async fn when_every_place_is_taken_the_next_is_refused_at_once_and_health_is_answered() {
    let _beside_others = MACHINE.read().await;
    let receiver = receiver_that_holds(2).await;
    let server = server_with("2", &receiver).await;
    let (mut first, mut second) = (waiting(&server).await, waiting(&server).await);
    receiver.wait_for(2).await;

    let mut client = Raw::connect(server.address()).await.unwrap();
    let cancel = format!("POST {NOBODYS}/cancel HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    let retry = cancel.replace("cancel", "retry");
    for request in [create(BODY), get("/api/notifications?userId=ada"), get(NOBODYS), cancel, retry] {
        let asked = Instant::now();
        let answer = client.ask(&request).await.unwrap();
        assert_eq!(answer.status, 503, "{request}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{request}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!((&problem["code"], problem["requestId"].is_string()), (&json!("overloaded"), true), "{problem}");
        assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    }
    for path in ["/health", "/health/ready", "/api/openapi.json"] {
        assert_eq!(client.ask(&get(path)).await.unwrap().status, 200, "{path}");
    }
    assert_eq!(receiver.requests().len(), 2, "what was refused was not begun");

    receiver.release();
    for held in [&mut first, &mut second] {
        assert_eq!(held.answer().await.unwrap().status, 201);
    }
    assert_eq!(client.ask(&create(BODY)).await.unwrap().status, 201);
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_no_place_before_its_work_is_done() {
    let _beside_others = MACHINE.read().await;
    let receiver = receiver_that_holds(1).await;
    let server = server_with("1", &receiver).await;
    let gone = waiting(&server).await;
    receiver.wait_for(1).await;
    drop(gone);
    server.wait_for_log("the client hung up").await;
    let mut client = Raw::connect(server.address()).await.unwrap();
    assert_eq!(client.ask(&create(BODY)).await.unwrap().status, 503);

    receiver.release();
    let until = Instant::now() + PATIENCE;
    while client.ask(&create(BODY)).await.unwrap().status != 201 {
        assert!(Instant::now() < until, "its place was never freed:\n{}", server.logs());
        sleep(Duration::from_millis(10)).await;
    }
    let listed: Value = server.json("/api/notifications?userId=ada").await;
    assert!(listed["data"].as_array().unwrap().iter().all(|n| n["status"] == "Sent"), "{listed}");
}

#[tokio::test]
async fn a_client_that_is_still_sending_holds_no_place() {
    let _beside_others = MACHINE.read().await;
    let server = server_with("1", &Receiver::start().await.unwrap()).await;
    let mut slow = Raw::connect(server.address()).await.unwrap();
    let (begin, rest) = BODY.split_at(10);
    slow.send(&format!("{}content-length: {}\r\n\r\n{begin}", create_head(), BODY.len())).await.unwrap();
    let mut client = Raw::connect(server.address()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.ask(&create(BODY)).await.unwrap().status, 201);
    }
    assert_eq!(slow.ask(rest).await.unwrap().status, 201);
}
