//! Clients that send too slowly, too much, or take nothing: cut off, and meanwhile nobody else notices.

use std::time::Duration;

use serde_json::json;
use tests::raw::{Raw, create, create_head, get};
use tests::server_process::{PATIENCE, ServerProcess};
use tokio::time::{Instant, sleep, timeout};

use super::MACHINE;

const BODY: &str = r#"{"userId":"ada","channel":"email","template":"t"}"#;
/// What a client has for a head, for a body, and to take its answer.
const TIME: Duration = Duration::from_secs(10);

/// One byte a second, after `begin`: when it was cut off, and the answer that came before, if any.
async fn drips(server: &ServerProcess, begin: &str) -> (Duration, Option<u16>) {
    let mut client = Raw::connect(server.address()).await.unwrap();
    client.send(begin).await.unwrap();
    let lasted = timeout(PATIENCE, client.drip("1\r\na\r\n", Duration::from_secs(1))).await.expect("it is cut off");
    (lasted, client.answer().await.ok().map(|answer| answer.status))
}

#[tokio::test]
async fn a_byte_a_second_is_cut_off() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[]).await;
    let chunked = format!("{}transfer-encoding: chunked\r\n\r\n", create_head());
    let announced = format!("{}content-length: 100000\r\n\r\n", create_head());
    let head = "GET /health HTTP/1.1\r\nx-slow: ";
    let (head, chunked, announced) = tokio::join!(drips(&server, head), drips(&server, &chunked), drips(&server, &announced));
    assert_eq!((head.1, chunked.1, announced.1), (None, Some(408), Some(408)));
    for (lasted, _) in [head, chunked, announced] {
        assert!(lasted >= TIME - Duration::from_secs(1) && lasted < TIME * 2, "it lasted {lasted:?}");
    }
    assert_eq!(server.get("/health").await.status(), 200);
}

#[tokio::test]
async fn a_body_that_nobody_looks_at_costs_no_client_its_connection() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[]).await;
    let cancel = "/api/notifications/018f0000-0000-7000-8000-000000000000/cancel";
    for (path, media_type, status) in
        [("/nowhere", "application/json", 404), (cancel, "application/json", 404), ("/api/notifications", "text/plain", 415)]
    {
        let mut client = Raw::connect(server.address()).await.unwrap();
        for _ in 0..2 {
            let head =
                format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {media_type}\r\ncontent-length: 2\r\n\r\n");
            client.send(&head).await.unwrap();
            // Longer than it takes to find out that the body is of no use.
            sleep(Duration::from_millis(100)).await;
            let answer = client.ask("{}").await.unwrap();
            assert_eq!((answer.status, answer.header("connection")), (status, None), "{path}");
        }
    }
}

#[tokio::test]
async fn who_is_refused_while_still_sending_is_told_that_the_connection_ends() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[]).await;
    let mut client = Raw::connect(server.address()).await.unwrap();
    client.send(&format!("{}content-length: 3000000\r\n\r\n", create_head())).await.unwrap();
    client.send(&" ".repeat(200_000)).await.unwrap();
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    client.send(&" ".repeat(200_000)).await.unwrap();
    assert_eq!(client.end().await, std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[]).await;
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let endless = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    };
    let cancel = "/api/notifications/018f0000-0000-7000-8000-000000000000/cancel";
    // One that reads bodies, one that never looks at it, and one that nobody owns.
    for (path, status) in [("/api/notifications", 413), (cancel, 404), ("/nowhere", 404)] {
        let mut client = Raw::connect(server.address()).await.unwrap();
        client.send(&endless(path)).await.unwrap();
        let begun = Instant::now();
        while !client.is_closed() && client.send(&chunk).await.is_ok() {
            assert!(begun.elapsed() < PATIENCE, "{path} is still read");
        }
        client.is_closed();
        assert_eq!(client.answer().await.unwrap().status, status, "{path}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[]).await;
    let long = "a".repeat(20_000);
    let many: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
    for (what, request) in [
        ("one header", format!("GET /health HTTP/1.1\r\nx-long: {long}\r\n\r\n")),
        ("all of them", format!("GET /health HTTP/1.1\r\n{many}\r\n")),
        ("the path", get(&format!("/health?{long}"))),
    ] {
        let mut client = Raw::connect(server.address()).await.unwrap();
        assert_eq!(client.ask(&request).await.unwrap().status, 431, "{what}");
        client.closed().await;
    }
    let mut client = Raw::connect(server.address()).await.unwrap();
    let usual = format!("GET /health HTTP/1.1\r\nhost: localhost\r\ncookie: {}\r\n\r\n", "a".repeat(12_000));
    assert_eq!(client.ask(&usual).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[]).await;
    let mut client = Raw::connect(server.address()).await.unwrap();
    client.send("GET /health HTTP/1.1\r\nx-long: ").await.unwrap();
    let (part, mut sent) = ("a".repeat(4096), 0);
    while !client.is_closed() && client.send(&part).await.is_ok() {
        sent += part.len();
        assert!(sent < 100_000_000, "it is still read");
    }
    assert_eq!(client.answer().await.unwrap().status, 431);
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut_off() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[]).await;
    let body = json!({"userId": "ada", "channel": "email", "template": "t", "data": {"long": "x".repeat(60_000)}});
    let id = server.create(&body).await;
    server.wait_for(&id, "Sent").await;
    let before = server.peak_megabytes();
    let mut client = Raw::connect_with_small_buffer(server.address()).await.unwrap();
    let begun = Instant::now();
    let requests = get(&format!("/api/notifications/{id}")).repeat(100);
    // It asks for far more than all buffers hold, and takes none of it.
    let asking = async { while client.send(&requests).await.is_ok() {} };
    timeout(PATIENCE, asking).await.expect("it is cut off");
    let lasted = begun.elapsed();
    assert!(lasted >= TIME, "it was cut off after {lasted:?}, before its time was up");
    let grown = server.peak_megabytes() - before;
    assert!(grown < 20, "it made the server hold {grown} MB more");
}

#[tokio::test]
async fn a_request_of_which_half_came_does_not_hold_up_a_stop() {
    let _beside_others = MACHINE.read().await;
    let mut server = ServerProcess::start_with(&[]).await;
    let (mut silent, mut half) = (Raw::connect(server.address()).await.unwrap(), Raw::connect(server.address()).await.unwrap());
    half.send("GET /health HTTP/1.1\r\nx-half").await.unwrap();
    let mut client = Raw::connect(server.address()).await.unwrap();
    assert_eq!(client.ask(&create(BODY)).await.unwrap().status, 202);
    let told = Instant::now();
    assert!(server.stop().await.success());
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}", told.elapsed());
    assert!(silent.is_closed() && half.is_closed() && client.is_closed());
}
