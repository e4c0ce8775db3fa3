//! Many that are scheduled for one instant, on a store, a broker and a provider that take their time.

use std::time::Duration;

use shared::clock::Clock;
use simulation::setting;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::World;

const AHEAD: Duration = Duration::from_hours(1);
/// Nobody published any before: those of redrive.
const MOST_EVENTS: u32 = 2;
/// What the consumer does for one record after another of other users, less what it reads twice.
const LEAST_A_SECOND: f64 = 1_000.0;

#[tokio::test(start_paused = true)]
async fn what_is_scheduled_for_one_instant_is_sent_once_each_and_as_fast_as_the_consumer_works() {
    let many = setting::number("BACKLOG").unwrap_or(10_000);
    let world = World::new();
    let (at, instant) = (world.clock.now().plus(AHEAD), Instant::now() + AHEAD);
    let ids = world.accept(many, Some(at)).await;
    world.begin_redrive();
    sleep_until(instant).await;
    while world.parts.store.undone() > 0 {
        assert!(instant.elapsed() < AHEAD, "{} are undone", world.parts.store.undone());
        world.consume().await;
        sleep(Duration::from_millis(1)).await;
    }
    let took = world.all_sent_once(&ids) - instant;
    let rate = f64::from(u32::try_from(many).unwrap()) / took.as_secs_f64();
    println!("{many} scheduled for one instant: the last was sent {took:?} after it, {rate:.0} a second");
    assert!(rate >= LEAST_A_SECOND, "{rate:.0} a second");
    let most = world.parts.events.lock().unwrap().values().copied().max();
    assert!(most.is_some_and(|most| most <= MOST_EVENTS), "{most:?} events for one attempt");
}
