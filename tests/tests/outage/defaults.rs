//! What is promised of the settings as they are: an answer within 16 s, and `Sent` in the end.

use std::time::Duration;

use tests::outage::ledger::Ledger;
use tests::outage::load::Load;

use super::away::ride_out_with;
use super::world::{PATIENCE, Part, Way, World};

/// `SEND_TIMEOUT` + 11 s.
const PROMISED: Duration = Duration::from_secs(16);

/// The longest that an answer can take: its attempt was begun by the request itself, because there is no
/// broker, and once it has failed the store is not there any more to record it.
#[tokio::test]
async fn an_answer_comes_within_16_seconds_though_everything_says_nothing() {
    let world = World::start().await;
    let server = world.server(&[]).await;
    let load = Load::on(&[&server.url], 4);
    load.wait_until(PATIENCE, |answers| answers.iter().any(|answer| answer.created_with(202))).await;
    world.take_away(&[Part::Broker, Part::Provider], Way::SayNothing).await;
    load.wait_until(PATIENCE, |answers| answers.iter().any(|answer| answer.created_with(201))).await;
    world.take_away(&[Part::Store], Way::SayNothing).await;
    let late = Duration::from_secs(14);
    load.wait_until(PATIENCE, |answers| answers.iter().any(|answer| answer.created_with(202) && answer.took > late)).await;
    // The server keeps half a second in hand; the client, on the same two cores, gets one second more.
    let answers = load.stop().await;
    let slowest = answers.iter().map(|answer| answer.took).max().unwrap_or_default();
    println!("the slowest of {} answers took {:.1} s", answers.len(), slowest.as_secs_f64());
    Ledger::of(answers).assert_answers_are_good(PROMISED + Duration::from_secs(1));
}

#[tokio::test]
#[ignore = "takes three minutes, because leases and retries take theirs"]
async fn each_outage_is_ridden_out_with_the_default_settings() {
    let patience = Duration::from_mins(5);
    for parts in [&[Part::Store][..], &[Part::Broker], &[Part::Store, Part::Broker], &[Part::Provider]] {
        for way in [Way::Refuse, Way::SayNothing] {
            ride_out_with(&[], PROMISED, patience, parts, way).await;
        }
    }
}
