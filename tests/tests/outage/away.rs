//! The store, the broker, both, the provider: each refuses, or takes connections and says nothing, while
//! clients go on asking. During it every answer is good or 503 with `Retry-After`, in time; after it
//! everything is `Sent`.

use std::time::Duration;

use tests::outage::ledger::{Figures, Ledger};
use tests::outage::load::{Answer, Load};
use tests::server_process::ServerProcess;
use tokio::time::{Instant, sleep};

use super::world::{BRISK, BRISK_PROMISE, PATIENCE, Part, Way, World};

const CLIENTS: usize = 4;

async fn ride_out(parts: &[Part], way: Way) -> Figures {
    ride_out_with(&BRISK, BRISK_PROMISE, PATIENCE, parts, way).await
}

/// Load, an outage that is felt, its end, and what became of all that was asked for.
pub(crate) async fn ride_out_with(
    settings: &[(&str, &str)],
    promised: Duration,
    patience: Duration,
    parts: &[Part],
    way: Way,
) -> Figures {
    let world = World::start().await;
    let server = world.server(settings).await;
    let load = Load::on(&[&server.url], CLIENTS);
    load.wait_until(patience, |answers| answers.iter().filter(|answer| answer.created_with(202)).count() >= 10).await;

    world.take_away(parts, way).await;
    let from = Instant::now();
    is_felt(parts, &load, &server, from, patience).await;
    let away = from.elapsed();
    world.bring_back(parts).await;

    let ready = server.wait_until_ready_says(|status, body| status == 200 && body["mode"] == "async").await;
    assert!(ready.get("reason").is_none(), "{ready}");
    let well = Instant::now();
    let good = |answer: &Answer| answer.begun > well && answer.created_with(202);
    load.wait_until(patience, |answers| answers.iter().filter(|answer| good(answer)).count() >= 10).await;

    let mut ledger = Ledger::of(load.stop().await);
    ledger.assert_answers_are_good(promised);
    ledger.settle(&server, patience).await;
    let figures = ledger.wait_until_all_are_sent(&server, &world.receiver, patience).await;
    println!("{parts:?} {way:?} for {away:.1?}: {figures}");
    figures
}

/// What clients and operators see of it, often enough to mean something.
async fn is_felt(parts: &[Part], load: &Load, server: &ServerProcess, from: Instant, patience: Duration) {
    let since = |answers: &[Answer], status| {
        let such = answers.iter().filter(|answer| answer.begun > from && answer.created_with(status));
        such.count()
    };
    let (store, broker) = (parts.contains(&Part::Store), parts.contains(&Part::Broker));
    if store {
        let ready = server.wait_until_ready_says(|status, _| status == 503).await;
        assert_eq!(ready["checks"]["store"]["status"], "down", "{ready}");
        load.wait_until(patience, |answers| since(answers, 503) >= 8).await;
    } else if broker {
        let ready = server.wait_until_ready_says(|status, body| status == 200 && body["mode"] == "sync").await;
        assert!(!ready["reason"].as_str().unwrap().is_empty(), "{ready}");
        load.wait_until(patience, |answers| since(answers, 201) >= 30).await;
    }
    // While the store is away, no attempt begins.
    if parts.contains(&Part::Provider) && !store {
        failed_attempts(server, 10, patience).await;
    }
}

/// Waits until so many attempts did not reach the provider, or had no answer.
async fn failed_attempts(server: &ServerProcess, least: usize, patience: Duration) {
    let failed = |line: &&str| line.contains("attempt finished") && line.contains(r#""status":"Retrying""#);
    let until = Instant::now() + patience;
    while server.logs().lines().filter(failed).count() < least {
        assert!(Instant::now() < until, "too few attempts have failed:\n{}", server.logs());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_store_that_refuses() {
    let figures = ride_out(&[Part::Store], Way::Refuse).await;
    assert!(figures.turned_away > 0, "{figures}");
}

#[tokio::test]
async fn a_store_that_says_nothing() {
    let figures = ride_out(&[Part::Store], Way::SayNothing).await;
    assert!(figures.turned_away > 0, "{figures}");
}

#[tokio::test]
async fn a_broker_that_refuses() {
    let figures = ride_out(&[Part::Broker], Way::Refuse).await;
    assert_eq!(figures.turned_away, 0, "nobody is turned away for want of a broker: {figures}");
}

#[tokio::test]
async fn a_broker_that_says_nothing() {
    let figures = ride_out(&[Part::Broker], Way::SayNothing).await;
    assert_eq!(figures.turned_away, 0, "nobody is turned away for want of a broker: {figures}");
}

#[tokio::test]
async fn store_and_broker_that_refuse() {
    ride_out(&[Part::Store, Part::Broker], Way::Refuse).await;
}

#[tokio::test]
async fn store_and_broker_that_say_nothing() {
    ride_out(&[Part::Store, Part::Broker], Way::SayNothing).await;
}

#[tokio::test]
async fn a_provider_that_refuses() {
    let figures = ride_out(&[Part::Provider], Way::Refuse).await;
    assert_eq!(figures.turned_away, 0, "a client need not know that the provider is away: {figures}");
}

#[tokio::test]
async fn a_provider_that_says_nothing() {
    let figures = ride_out(&[Part::Provider], Way::SayNothing).await;
    assert!(figures.turned_away == 0 && figures.unknown > 0, "{figures}");
}

#[tokio::test]
async fn all_of_them_that_say_nothing() {
    ride_out(&[Part::Provider, Part::Broker, Part::Store], Way::SayNothing).await;
}
