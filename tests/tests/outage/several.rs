//! Two and three servers on one store: each sees the same due items, and between them they deliver each
//! once. What one of them had begun when it was killed, another finishes.

use std::time::Duration;

use serde_json::json;
use tests::apart::Apart;
use tests::instant::from_now;
use tests::outage::ledger::{Ledger, accepted, attempts, deliveries, outcomes, sent};
use tests::outage::load::{Answer, Asked, Load};
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;
use tokio::time::Instant;

use super::world::{BRISK, BRISK_PROMISE, PATIENCE, SECRET};

const DUE: usize = 40;
const NO_KAFKA: (&str, &str) = ("KAFKA_BOOTSTRAP_SERVERS", "none");
/// Ample: on a busy machine too, no attempt is given up for its time; and the receiver is never left alone.
const AMPLE: [(&str, &str); 4] = [("SEND_TIMEOUT", "10s"), ("LEASE", "60s"), ("PROVIDER_FAILURES", "1000"), PATIENT_STORE];
const PATIENT_STORE: (&str, &str) = ("STORE_TIMEOUT", "15s");

async fn servers(count: usize, settings: &[(&str, &str)]) -> Vec<ServerProcess> {
    futures::future::join_all((0..count).map(|_| ServerProcess::start_with(settings))).await
}

/// All are due at the same instant, and again at nearly the same for their second attempt. With Kafka every
/// server finds them in the index and in the topic; without, each works on what it finds itself.
async fn the_same_due_items_are_delivered_once_each(count: usize, kafka: bool) {
    let receiver = Receiver::start().await.unwrap();
    for _ in 0..DUE {
        receiver.then(Reply::status(503));
    }
    let (apart, binding) = (Apart::start().await, receiver.binding());
    let own: Vec<_> = [("PUSH_PROVIDER", binding.as_str()), SECRET].into_iter().chain((!kafka).then_some(NO_KAFKA)).collect();
    let servers = servers(count, &apart.with(&[&BRISK[..], &AMPLE, &own].concat())).await;
    // Who joins late would have no part in it.
    for server in servers.iter().filter(|_| kafka) {
        server.wait_for_log("partitions are assigned to us").await;
    }
    let at = from_now(Duration::from_secs(4));
    let until = Instant::now() + PATIENCE;
    let creates = (0..DUE).zip(servers.iter().cycle()).map(|(n, server)| {
        let (user, key) = (format!("user-{n}"), format!("item-{n}"));
        let body = json!({"userId": user, "channel": "push", "template": "t", "idempotencyKey": key, "scheduledAt": at});
        async move { accepted(server, &body, until).await }
    });
    let ids = futures::future::join_all(creates).await;
    for id in &ids {
        let sent = sent(&servers[0], id, until).await;
        assert!(!outcomes(&sent).contains(&"unknown"), "{sent}");
        // One that was held up until its lease was too short didn't go out, and none went out twice.
        let out = attempts(&sent).filter(|attempt| attempt["code"] != "lease-too-short").count();
        assert_eq!(deliveries(&receiver)[id], out, "once for each attempt: {sent}");
    }
    assert_eq!(receiver.requests().len(), 2 * DUE, "each 503 was followed by one more attempt, and by no other");
    for server in &servers {
        assert!(server.logs().contains("attempt finished"), "one of them had no part in it:\n{}", server.logs());
    }
}

#[tokio::test]
async fn two_servers_deliver_the_same_due_items_once_each() {
    the_same_due_items_are_delivered_once_each(2, true).await;
}

#[tokio::test]
async fn three_servers_deliver_the_same_due_items_once_each() {
    the_same_due_items_are_delivered_once_each(3, true).await;
}

#[tokio::test]
async fn three_servers_without_kafka_deliver_the_same_due_items_once_each() {
    the_same_due_items_are_delivered_once_each(3, false).await;
}

#[tokio::test]
async fn one_of_three_that_is_killed_under_load_takes_nothing_with_it() {
    let receiver = Receiver::start().await.unwrap();
    let (apart, binding) = (Apart::start().await, receiver.binding());
    // Refused by many, and not left alone for it: an attempt is under way at any moment.
    let own = [("PUSH_PROVIDER", binding.as_str()), ("PROVIDER_FAILURES", "1000"), SECRET, PATIENT_STORE];
    let settings = apart.with(&[&BRISK[..], &own].concat());
    let mut servers = servers(3, &settings).await;
    for server in &servers {
        server.wait_for_log("partitions are assigned to us").await;
    }
    for _ in 0..60 {
        receiver.then(Reply::status(503));
    }
    let load = Load::on(&servers.iter().map(|server| server.url.as_str()).collect::<Vec<_>>(), 6);
    load.wait_until(PATIENCE, |answers| answers.iter().filter(|answer| answer.created_with(202)).count() >= 30).await;
    servers[0].kill().await;
    let so_far = receiver.requests().len();
    receiver.wait_for(so_far + 30).await;

    let answers = load.stop().await;
    // Whoever creates at the others has nothing to notice. (The clients are shared out: each third is the killed one's.)
    let at_another = |answer: &Answer| matches!(&answer.asked, Asked::Create(key) if !key.starts_with("client-0-") && !key.starts_with("client-3-"));
    let judged = answers.iter().filter(|answer| answer.status.is_some() || at_another(answer)).cloned();
    Ledger::of(judged.collect()).assert_answers_are_good(BRISK_PROMISE);
    let mut ledger = Ledger::of(answers);
    ledger.settle(&servers[1], PATIENCE).await;
    let figures = ledger.wait_until_all_are_sent(&servers[2], &receiver, PATIENCE).await;
    println!("one of three killed: {figures}");
    assert!(figures.unanswered > 0, "{figures}");
}
