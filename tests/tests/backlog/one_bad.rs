//! One item that can't be read, or one shard that is throttled: the others go on.

use std::time::Duration;

use shared::domain::{DueShard, NotificationId, Status};
use tokio::time::{Instant, sleep};

use crate::world::World;

/// A look at its shard, a tick of the schedule, and the way from the re-arm to the provider.
const SOON: Duration = Duration::from_millis(2_500);

fn every_shard() -> impl Iterator<Item = DueShard> {
    DueShard::all_from(0)
}

/// The consumer, always there.
async fn consume_for(world: &World, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        world.consume().await;
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_that_can_not_be_read_stops_nothing_and_is_seldom_asked_again() {
    let world = World::new();
    // The soonest due of each shard, and more than a page of them in one.
    let mut bad: Vec<NotificationId> = every_shard().map(|shard| world.store_overdue(Some(shard)).id).collect();
    bad.extend((0..150).map(|_| world.store_overdue(every_shard().next()).id));
    world.parts.unreadable.lock().unwrap().extend(&bad);
    sleep(Duration::from_millis(1)).await;
    let good: Vec<NotificationId> = (0..1_600).map(|_| world.store_overdue(None).id).collect();
    let begun = Instant::now();
    world.begin_redrive();
    consume_for(&world, Duration::from_mins(1)).await;
    let last = world.all_sent_once(&good);
    assert!(last - begun < Duration::from_secs(10), "the last good one was sent after {:?}", last - begun);

    sleep(Duration::from_hours(1)).await;
    let disturbed = world.parts.disturbed.lock().unwrap();
    for id in &bad {
        // After 30, 60 and then every 300 s, a fifth of jitter at most.
        let times = disturbed.get(id).copied().unwrap_or(0);
        assert!((10..=16).contains(&times), "{times} writes an hour for what can't be read");
        let n = world.read(*id);
        assert!(n.due_at.is_some() && n.status == Status::Pending, "it waits for whoever mends it: {n:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_whose_writes_are_throttled_holds_no_other_up() {
    hold_up(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_whose_reads_are_throttled_too_holds_no_other_up() {
    hold_up(true).await;
}

/// One shard with a thousand due ones is throttled for some minutes, while others come due elsewhere.
async fn hold_up(reads_too: bool) {
    let world = World::new();
    let throttled = every_shard().next().unwrap();
    let held_up: Vec<NotificationId> = (0..1_000).map(|_| world.store_overdue(Some(throttled)).id).collect();
    *world.parts.throttled.lock().unwrap() = Some((throttled, reads_too));
    world.begin_redrive();

    let mut others = Vec::new();
    for _ in 0..600 {
        consume_for(&world, Duration::from_millis(300)).await;
        let shard = every_shard().nth(1 + others.len() % 15).unwrap();
        others.push((world.store_overdue(Some(shard)).id, Instant::now()));
    }
    consume_for(&world, SOON).await;
    let late: Vec<Duration> = others.iter().map(|(id, due)| world.all_sent_once(&[*id]) - *due).collect();
    let latest = late.iter().max().unwrap();
    println!("sent {latest:?} after it was due, at the latest");
    assert!(*latest < SOON, "one was sent {latest:?} after it was due");

    // The throttling is over: nothing of it is lost, and all of it is sent within the longest guard.
    *world.parts.throttled.lock().unwrap() = None;
    let over = Instant::now();
    consume_for(&world, Duration::from_mins(7)).await;
    let last = world.all_sent_once(&held_up);
    println!("all of the throttled shard sent {:?} after its throttling ended", last - over);
}
