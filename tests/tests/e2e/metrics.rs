//! `/metrics` of a real server: what it says is what happened.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use simulation::exposition::Exposition;
use tests::exposition::{self, scrape};
use tests::instant::from_now;
use tests::load::Load;
use tests::receiver::{Receiver, Reply};
use tests::server_process::{PATIENCE, ServerProcess};
use tests::store_proxy::Fault;
use tokio::time::{Instant, sleep};

use super::events::{OURS, Topic};
use super::lost_answers::Proxied;

const SHOWN: (&str, &str) = ("METRICS_LISTEN_ADDR", "127.0.0.1:0");
const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
/// A retry comes soon, and a second one not at all.
const BRISK: [(&str, &str); 5] = [
    ("CLOCK_SKEW", "0s"),
    ("REDRIVE_INTERVAL", "100ms"),
    ("RETRY_BASE", "100ms"),
    ("RETRY_MAX_ATTEMPTS", "2"),
    ("PROVIDER_FAILURES", "1000"),
];

/// Scrapes until it is as wanted.
async fn until(url: &str, wanted: impl Fn(&Exposition) -> bool) -> Exposition {
    let until = Instant::now() + PATIENCE;
    loop {
        let shown = scrape(url).await;
        if wanted(&shown) {
            return shown;
        }
        assert!(Instant::now() < until, "not as wanted: {shown:#?}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn body(user: &str, more: &Value) -> Value {
    let mut body = json!({"userId": user, "channel": "email", "template": "a-template"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn each_thing_that_happens_is_counted_once() {
    let server = ServerProcess::start(&[&[SHOWN], &BRISK[..]].concat()).await;
    let url = exposition::url(&server).await;
    assert_eq!(server.get("/metrics").await.status(), 404, "they have a port of their own");
    let no_more = json!({});
    for user in ["ada", "bob", "eve"] {
        let id = server.create(&body(user, &no_more)).await;
        server.wait_for(&id, "Sent").await;
    }
    let keyed = json!({"idempotencyKey": "k"});
    let asked = body("ada", &keyed);
    let same = join_all((0..8).map(|_| server.create(&asked))).await;
    server.wait_for(&same[0], "Sent").await;
    assert_eq!(server.post("/api/notifications", &body("bob", &keyed)).await.status(), 422);

    let refused = server.create(&body("fail+refused", &no_more)).await;
    server.wait_for(&refused, "Failed").await;
    assert!(server.post(&format!("/api/notifications/{refused}/retry"), &no_more).await.status().is_success());
    server.wait_for_attempts(&refused, 2).await;
    for user in ["fail+unavailable", "fail+timeout"] {
        let id = server.create(&body(user, &no_more)).await;
        server.wait_for(&id, "Failed").await;
    }

    let later = server.create(&body("ada", &json!({"scheduledAt": from_now(Duration::from_hours(1))}))).await;
    let cancel = format!("/api/notifications/{later}/cancel");
    for answer in join_all((0..8).map(|_| server.post(&cancel, &no_more))).await {
        assert_eq!(answer.status(), 200);
    }
    let expired = server.create(&body("ada", &json!({"expiresAt": "2020-01-01T00:00:00Z"}))).await;
    server.wait_for(&expired, "Expired").await;

    let shown = scrape(&url).await;
    let counted = [
        ("accepted_total{channel=\"email\"}", 9.0),
        ("replayed_total{channel=\"email\"}", 7.0),
        ("reused_total{channel=\"email\"}", 1.0),
        ("sent_total{channel=\"email\",provider=\"dev\"}", 4.0),
        ("failed_total{channel=\"email\",provider=\"dev\",code=\"provider-refused\"}", 2.0),
        ("failed_total{channel=\"email\",provider=\"dev\",code=\"attempts-exhausted\"}", 2.0),
        ("reopened_total{channel=\"email\"}", 1.0),
        ("retried_total{channel=\"email\",provider=\"dev\",code=\"provider-unavailable\"}", 1.0),
        ("retried_total{channel=\"email\",provider=\"dev\",code=\"timeout\"}", 1.0),
        ("unknown_total{channel=\"email\",provider=\"dev\",code=\"timeout\"}", 2.0),
        ("cancelled_total{channel=\"email\"}", 1.0),
        ("expired_total{channel=\"email\"}", 1.0),
        ("create_seconds_count{channel=\"email\"}", 17.0),
        ("queue_seconds_count{channel=\"email\"}", 10.0),
        ("provider_seconds_count{channel=\"email\",provider=\"dev\",outcome=\"accepted\"}", 4.0),
        ("provider_seconds_count{channel=\"email\",provider=\"dev\",outcome=\"refused\"}", 2.0),
        ("provider_seconds_count{channel=\"email\",provider=\"dev\",outcome=\"not-sent\"}", 2.0),
        ("provider_seconds_count{channel=\"email\",provider=\"dev\",outcome=\"unknown\"}", 2.0),
        ("left_alone{channel=\"email\",provider=\"dev\"}", 0.0),
        ("accepted_total{channel=\"sms\"}", 0.0),
        ("poisoned_total", 0.0),
    ];
    for (series, count) in counted {
        assert!(shown.0.contains_key(&format!("notifications_{series}")), "{series} is not shown: {shown:#?}");
        assert!((shown.get(series) - count).abs() < 0.5, "{series} is {}, not {count}: {shown:#?}", shown.get(series));
    }
    let ends = ["sent_total", "failed_total", "expired_total", "cancelled_total"].map(|name| shown.sum(name));
    assert!((shown.sum("accepted_total") + shown.sum("reopened_total") - ends.iter().sum::<f64>()).abs() < 0.5, "{shown:#?}");
    // Two retries came by redrive, which may have found them more than once.
    until(&url, |shown| shown.sum("redriven_total") >= 2.0 && shown.0.contains_key("notifications_oldest_due_seconds")).await;
    let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
    for personal in ["a-template", "ada", "fail+", same[0].as_str()] {
        assert!(!text.contains(personal), "{personal} is shown");
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_counted_once() {
    let Proxied { proxy, server, _apart } = Proxied::start(&[SHOWN, ("KAFKA_BOOTSTRAP_SERVERS", "none")]).await;
    let url = exposition::url(&server).await;
    let receiver = json!({"userId": "ada", "channel": "push", "template": "t", "idempotencyKey": "k"});
    proxy.fail_next("PutItem", Fault::LoseAnswer);
    proxy.fail_next("UpdateItem", Fault::LoseAnswer);
    let id = server.create(&receiver).await;
    server.wait_for(&id, "Sent").await;
    let later = json!({"userId": "ada", "channel": "push", "template": "t", "scheduledAt": from_now(Duration::from_hours(1))});
    let later = server.create(&later).await;
    proxy.fail_next("UpdateItem", Fault::LoseAnswer);
    assert_eq!(server.post(&format!("/api/notifications/{later}/cancel"), &json!({})).await.status(), 200);
    let refused = server.create(&json!({"userId": "fail+refused", "channel": "push", "template": "t"})).await;
    server.wait_for(&refused, "Failed").await;
    proxy.fail_next("UpdateItem", Fault::LoseAnswer);
    assert_eq!(server.post(&format!("/api/notifications/{refused}/retry"), &json!({})).await.status(), 200);
    assert_eq!(proxy.faults_left(), 0);
    let shown = scrape(&url).await;
    let named = [
        "accepted_total",
        "replayed_total",
        "queue_seconds_count",
        "sent_total",
        "cancelled_total",
        "reopened_total",
        "failed_total",
    ];
    let counts = named.map(|name| shown.sum(name).to_string());
    assert_eq!(counts, ["3", "0", "3", "1", "1", "1", "2"], "{named:?}: {shown:#?}");
}

#[tokio::test]
async fn poison_is_counted_by_the_event() {
    let apart = tests::apart::Apart::start().await;
    let server = ServerProcess::start_with(&apart.with(&[SHOWN])).await;
    let url = exposition::url(&server).await;
    let topic = Topic::of(&apart);
    for partition in 0..4 {
        topic.publish(partition, OURS, Some("{")).await;
        topic.publish(partition, None, Some("somebody else's")).await;
    }
    until(&url, |shown| shown.get("poisoned_total") >= 4.0).await;
    let id = server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    server.wait_for(&id, "Sent").await;
    assert!((scrape(&url).await.get("poisoned_total") - 4.0).abs() < 0.5);
}

#[tokio::test]
async fn what_is_under_way_and_a_provider_that_is_left_alone_are_shown_while_they_are() {
    let receiver = Receiver::start().await.unwrap();
    for _ in 0..2 {
        receiver.then(Reply::Held { status: 204 });
    }
    let binding = receiver.binding();
    let settings =
        [("EMAIL_PROVIDER", binding.as_str()), SECRET, SHOWN, ("KAFKA_BOOTSTRAP_SERVERS", "none"), ("PROVIDER_FAILURES", "1")];
    let server = ServerProcess::start(&settings).await;
    let url = exposition::url(&server).await;
    let no_more = json!({});
    let (one, other) = (body("ada", &no_more), body("bob", &no_more));
    let creates = async { tokio::join!(server.create(&one), server.create(&other)) };
    let look = async {
        receiver.wait_for(2).await;
        let shown = scrape(&url).await;
        receiver.release();
        shown
    };
    let (_, shown) = tokio::join!(creates, look);
    let under_way = |shown: &Exposition| {
        (shown.get("attempts_in_flight{channel=\"email\",provider=\"webhook\"}"), shown.get("requests_in_flight"))
    };
    assert_eq!(format!("{:?}", under_way(&shown)), "(2.0, 2.0)");
    until(&url, |shown| format!("{:?}", under_way(shown)) == "(0.0, 0.0)").await;

    receiver.then(Reply::status(503));
    server.create(&body("eve", &no_more)).await;
    let alone = "left_alone{channel=\"email\",provider=\"webhook\"}";
    assert!((scrape(&url).await.get(alone) - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn what_is_shown_under_load_is_whole_and_never_goes_back() {
    let server = ServerProcess::start(&[SHOWN, ("RUST_LOG", "info,shared::http=warn")]).await;
    let url = exposition::url(&server).await;
    let load = Load::on(server.address());
    let mut running = Box::pin(load.closed_loop(32, Duration::from_secs(3)));
    let (mut before, mut scrapes, mut took) = (Exposition::default(), 0, Duration::ZERO);
    let seen = loop {
        let begun = Instant::now();
        tokio::select! {
            seen = &mut running => break seen,
            shown = scrape(&url) => {
                (scrapes, took) = (scrapes + 1, took.max(begun.elapsed()));
                for (series, value) in before.0.iter().filter(|(series, _)| series.contains("_total") || series.contains("_count")) {
                    assert!(shown.0[series] >= *value, "{series} went from {value} to {}", shown.0[series]);
                }
                before = shown;
            }
        }
    };
    assert!(scrapes > 3, "{scrapes} scrapes");
    let after = until(&url, |shown| shown.sum("requests_in_flight") < 0.5).await;
    eprintln!("{} creates, {scrapes} scrapes, the longest {took:?}", seen.good.len());
    // Each client may have had one under way that nobody waited for.
    let (accepted, good) = (after.sum("accepted_total"), u32::try_from(seen.good.len()).unwrap());
    assert!(accepted >= f64::from(good) && accepted <= f64::from(good + 32), "{accepted} accepted, {good} answered");
}
