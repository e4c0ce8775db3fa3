//! A broker, from its publisher to who reads the topic as a member of the group.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use shared::domain::{Channel, NotificationId, Timestamp};
use shared::events::batch::{Deliver, Record};
use shared::events::{Event, Publisher};
use shared::random::{Random, SystemRandom};
use tokio::time::{Instant, sleep, timeout};

/// For what is expected to happen.
const SOON: Duration = Duration::from_secs(60);
/// How much longer than `PRODUCE_TIMEOUT` an answer may take.
const SLACK: Duration = Duration::from_secs(5);

#[async_trait]
pub trait Log: Send {
    fn publisher(&self) -> &dyn Publisher;
    fn produce_timeout(&self) -> Duration;
    /// The next batch of whoever reads.
    async fn read(&mut self) -> Vec<Record>;
    /// The batch that was read last is done.
    async fn commit(&mut self);
    /// Who reads is lost with the batch that it read last, and another one takes its place.
    async fn lose_reader(&mut self);
    async fn go_away(&mut self);
    async fn come_back(&mut self);
}

/// An event of a user, who is known by this key.
fn event(key: &str) -> Event {
    let random: &dyn Random = &SystemRandom;
    let id = NotificationId::from_uuid(random.uuid());
    Event { id, channel: Channel::Sms, attempt: 1, time: Timestamp::from_millis(0), traceparent: None, key: key.to_owned() }
}

/// Without a second try, which could be a second event.
async fn publish(log: &dyn Log, event: &Event) {
    timeout(SOON, log.publisher().publish(event)).await.expect("an answer").expect("it is published");
}

/// As often as it takes, and so perhaps more than once.
async fn publish_at_last(log: &dyn Log, event: &Event) {
    let published = async { while log.publisher().publish(event).await.is_err() {} };
    timeout(SOON, published).await.expect("it is published");
}

/// The notification, and what says which records are one user's: the key, in whichever form.
async fn read(log: &mut dyn Log) -> Vec<(NotificationId, String)> {
    let records = timeout(SOON, log.read()).await.expect("there is something to read");
    let told = records.into_iter().map(|record| match record {
        Record::Deliver(Deliver { id, channel: Channel::Sms, key, .. }) => (id, key),
        other @ (Record::Deliver(_) | Record::PassedOver | Record::Poison { .. }) => panic!("{other:?}"),
    });
    told.collect()
}

/// Each once, those of one user in their order, and what was committed never again.
pub async fn what_was_published_is_read_in_order_and_once_it_is_committed_not_again(log: &mut dyn Log) {
    let events: Vec<Event> = (0..40).map(|n| event(&format!("user-{}", n % 4))).collect();
    for event in &events {
        publish(log, event).await;
    }
    let mut seen = Vec::new();
    while seen.len() < events.len() {
        seen.extend(read(log).await);
        log.commit().await;
    }
    let ids = |of: &Event| of.id;
    let mut by_key: BTreeMap<String, Vec<NotificationId>> = BTreeMap::new();
    for (id, key) in seen {
        by_key.entry(key).or_default().push(id);
    }
    let mut users: Vec<_> = by_key.into_values().collect();
    let of_user = |user: usize| -> Vec<NotificationId> { events.iter().skip(user).step_by(4).map(ids).collect() };
    let mut expected: Vec<_> = (0..4).map(of_user).collect();
    users.sort();
    expected.sort();
    assert_eq!(users, expected);

    log.lose_reader().await;
    let marker = event("user-0");
    publish(log, &marker).await;
    let next: Vec<_> = read(log).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(next, [marker.id]);
    log.commit().await;
}

pub async fn what_was_read_and_not_committed_is_read_again(log: &mut dyn Log) {
    let events: Vec<Event> = (0..3).map(|_| event("user-0")).collect();
    for event in &events {
        publish(log, event).await;
    }
    let expected: Vec<_> = events.iter().map(|event| event.id).collect();
    let ids = |read: Vec<(NotificationId, String)>| -> Vec<_> { read.into_iter().map(|(id, _)| id).collect() };
    for _ in 0..2 {
        // They may come in more than one batch, of which none is done.
        let first = ids(read(log).await);
        assert_eq!(first, expected[..first.len()]);
        log.lose_reader().await;
    }
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.extend(ids(read(log).await));
        log.commit().await;
    }
    assert_eq!(seen, expected);
}

pub async fn a_broker_that_is_away_says_so_in_time_and_takes_events_again_when_it_is_back(log: &mut dyn Log) {
    publish_at_last(log, &event("user-0")).await;
    read(log).await;
    log.commit().await;
    log.go_away().await;
    for _ in 0..3 {
        let begun = Instant::now();
        // It may still come.
        log.publisher().publish(&event("user-0")).await.expect_err("the broker is away");
        assert!(begun.elapsed() < log.produce_timeout() + SLACK, "{:?}", begun.elapsed());
    }
    log.come_back().await;
    // What the client still holds may go out first.
    sleep(log.produce_timeout()).await;
    let after = event("user-0");
    publish_at_last(log, &after).await;
    let mut seen = Vec::new();
    while !seen.contains(&after.id) {
        seen.extend(read(log).await.into_iter().map(|(id, _)| id));
        log.commit().await;
    }
}
