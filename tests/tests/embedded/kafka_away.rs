//! Kafka away, at start and later: notifications are processed at once meanwhile, and nobody waits long.

use std::time::Duration;

use rdkafka::types::RDKafkaRespErr;
use serde_json::{Value, json};
use server::embedded::broker::EmbeddedBroker;
use tests::server_process::{PATIENCE, ServerProcess};
use tokio::time::{Instant, sleep};

/// `SEND_TIMEOUT` + 11 s.
const PROMISED: Duration = Duration::from_secs(16);
const TOPIC: &str = "notification-events";

fn body() -> Value {
    json!({"userId": "ada", "channel": "push", "template": "t"})
}

async fn server_of(broker: &EmbeddedBroker) -> ServerProcess {
    ServerProcess::start_with(&[("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers()), ("KAFKA_PRODUCE_TIMEOUT", "4s")]).await
}

/// While Kafka is skipped, one request in 5 s tries again: it is async once that one got through.
async fn wait_until_async(server: &ServerProcess) {
    let until = Instant::now() + PATIENCE;
    while server.post("/api/notifications", &body()).await.status() != 202 {
        assert!(Instant::now() < until, "still sync:\n{}", server.logs());
        sleep(Duration::from_millis(100)).await;
    }
    let ready = server.json("/health/ready").await;
    assert_eq!(ready["mode"], "async", "{ready}");
}

async fn is_sent_at_once(server: &ServerProcess) {
    let begun = Instant::now();
    let answer = server.post("/api/notifications", &body()).await;
    assert_eq!(answer.status(), 201, "{}", server.logs());
    let n: Value = answer.json().await.unwrap();
    assert_eq!(n["status"], "Sent");
    assert!(begun.elapsed() < PROMISED, "took {:?}", begun.elapsed());
    let ready = server.get("/health/ready").await;
    assert_eq!(ready.status(), 200, "without Kafka it is ready all the same");
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(ready["mode"], "sync", "{ready}");
    assert!(!ready["reason"].as_str().unwrap().is_empty(), "{ready}");
}

#[tokio::test]
async fn a_broker_away_at_start_keeps_nothing_from_being_sent_and_is_used_once_it_is_there() {
    let broker = EmbeddedBroker::start(TOPIC, 4).unwrap();
    broker.go_down().unwrap();
    let server = server_of(&broker).await;
    is_sent_at_once(&server).await;
    // The broker is skipped now: no request waits for it.
    let begun = Instant::now();
    is_sent_at_once(&server).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
    broker.come_up().unwrap();
    wait_until_async(&server).await;
    let id = server.create(&body()).await;
    server.wait_for(&id, "Sent").await;
}

#[tokio::test]
async fn a_broker_that_goes_away_later_is_done_without_until_it_returns() {
    let broker = EmbeddedBroker::start(TOPIC, 4).unwrap();
    let server = server_of(&broker).await;
    let id = server.create(&body()).await;
    server.wait_for(&id, "Sent").await;
    broker.go_down().unwrap();
    is_sent_at_once(&server).await;
    broker.come_up().unwrap();
    wait_until_async(&server).await;
    let id = server.create(&body()).await;
    server.wait_for(&id, "Sent").await;
}

#[tokio::test]
async fn a_broker_that_refuses_is_told_apart_from_one_that_is_away() {
    let broker = EmbeddedBroker::start(TOPIC, 4).unwrap();
    broker.fail_topic(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let server = server_of(&broker).await;
    is_sent_at_once(&server).await;
    let logs = server.logs();
    assert!(logs.contains("kafka refuses events"), "{logs}");
    assert!(!logs.contains("kafka is away"), "{logs}");
}

#[tokio::test]
async fn a_server_starts_with_nobody_where_its_broker_should_be() {
    let unused = tokio::net::TcpSocket::new_v4().unwrap();
    unused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = unused.local_addr().unwrap().to_string();
    let server = ServerProcess::start_with(&[("KAFKA_BOOTSTRAP_SERVERS", &nobody), ("KAFKA_PRODUCE_TIMEOUT", "300ms")]).await;
    is_sent_at_once(&server).await;
    assert!(server.logs().contains("kafka is away"), "{}", server.logs());
}

#[tokio::test]
async fn a_server_stops_in_time_while_its_broker_is_away() {
    let broker = EmbeddedBroker::start(TOPIC, 4).unwrap();
    broker.go_down().unwrap();
    let mut server = server_of(&broker).await;
    is_sent_at_once(&server).await;
    let begun = Instant::now();
    assert!(server.stop().await.success(), "{}", server.logs());
    assert!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
}
