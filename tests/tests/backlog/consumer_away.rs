//! The consumer is away for an hour, and comes back to a log full of what redrive has done meanwhile.

use std::sync::atomic::Ordering;
use std::time::Duration;

use shared::domain::Status;
use simulation::setting;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::World;

const AWAY: Duration = Duration::from_hours(1);
/// Guards of 30, 30 and 60 s, a fifth of jitter each, and the work itself.
const TAKEN_OVER_WITHIN: Duration = Duration::from_mins(4);
/// Each event, and two repeats of it.
const MOST_EVENTS: u32 = 3;
const SAMPLE: u64 = 5_000;

fn per_second(events: u64, time: Duration) -> f64 {
    f64::from(u32::try_from(events).unwrap()) / time.as_secs_f64()
}

/// So many are created and then read by the consumer: events a second, in virtual and in real time.
async fn rate(world: &World) -> (f64, f64) {
    let ids = world.accept(SAMPLE, None).await;
    let (virtually, really) = (Instant::now(), real_now());
    let read = world.consume().await;
    assert_eq!(read, SAMPLE);
    world.all_sent_once(&ids);
    (per_second(read, virtually.elapsed()), per_second(read, really.elapsed()))
}

#[expect(clippy::disallowed_methods, reason = "tokio's clock is the virtual one here")]
fn real_now() -> std::time::Instant {
    std::time::Instant::now()
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_consumer_that_is_away_is_sent_once_with_two_repeats_at_most() {
    let waiting = setting::number("BACKLOG").unwrap_or(10_000);
    let world = World::new();
    let (before, really_before) = rate(&world).await;

    world.begin_redrive();
    let begun = Instant::now();
    let ids = world.accept(waiting, None).await;
    let accepted = Instant::now();
    sleep_until(begun + AWAY).await;

    let last = world.all_sent_once(&ids);
    assert!(last - accepted < TAKEN_OVER_WITHIN, "the last was sent after {:?}", last - accepted);
    assert!(ids.iter().all(|id| world.read(*id).status == Status::Sent), "sent, and recorded as that");
    assert_eq!(world.parts.store.undone(), 0);
    let most = world.parts.events.lock().unwrap().values().copied().max();
    assert_eq!(most, Some(MOST_EVENTS), "two repeats, and not less: else nothing was shown");

    // The log holds every event and its repeats: all of them are done for, and none is sent.
    let (virtually, really) = (Instant::now(), real_now());
    let stale = world.consume().await;
    let (through, really_through) = (per_second(stale, virtually.elapsed()), per_second(stale, really.elapsed()));
    assert_eq!(stale, waiting * u64::from(MOST_EVENTS));
    world.all_sent_once(&ids);
    assert!(through >= before, "{through} stale events a second, {before} before");

    let (after, really_after) = rate(&world).await;
    assert!(after >= 0.99 * before, "{after} a second after it, {before} before");
    println!(
        "{waiting} waiting: all sent {:?} after the last was accepted; the consumer in events a second, virtual (real): \
         before {before:.0} ({really_before:.0}), stale {through:.0} ({really_through:.0}), after {after:.0} ({really_after:.0})",
        last - accepted
    );
}

/// New ones come in all the while, and the consumer returns: none waits for what is long done.
#[tokio::test(start_paused = true)]
async fn what_comes_in_while_the_consumer_works_off_the_log_is_sent_as_soon_as_redrive_would() {
    let world = World::new();
    world.begin_redrive();
    world.accept(5_000, None).await;
    sleep(Duration::from_mins(10)).await;
    let begun = Instant::now();
    let new = world.accept(100, None).await;
    world.consume().await;
    let last = world.all_sent_once(&new);
    assert!(last - begun < Duration::from_secs(30), "the last was sent after {:?}", last - begun);
}

/// A store that redrive drowns answers no claim either, and what it answers too late is asked again.
#[tokio::test(start_paused = true)]
async fn what_redrive_asks_of_the_store_is_bounded_however_much_waits_for_the_provider() {
    const ROOM: u32 = 4;
    /// Two re-arms of each of 16 shards, and two that are lined up again.
    const MOST_WRITES: u32 = 16 * (2 + 2) + ROOM;
    let world = World::with_room(ROOM);
    let ids: Vec<_> = (0..3_000).map(|_| world.store_overdue(None).id).collect();
    world.begin_redrive();
    sleep(Duration::from_mins(10)).await;
    world.all_sent_once(&ids);
    let asked = world.parts.most_under_way.load(Ordering::Relaxed);
    assert!(asked <= MOST_WRITES, "{asked} changes were asked for at once");
}
