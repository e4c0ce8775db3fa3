//! One provider that is slow, or that fails again and again: whom it holds up, and for how long. The real use
//! cases with a consumer and a redrive of their own, on a store in memory and on virtual time.

#[path = "bounds/hanging.rs"]
#[cfg(test)]
mod hanging;
#[path = "bounds/house.rs"]
#[cfg(test)]
mod house;

use std::time::Duration;

use house::{House, LIMITS};
use shared::channels::breaker::Endurance;
use shared::channels::lane::Condition;
use shared::channels::{Limits, Sent};
use shared::domain::{Channel, ErrorCode, Status};
use shared::retry::RetryPolicy;
use shared::sample::POLICY;
use shared::service::Budget;
use shared::service::create::Creation;
use tokio::time::{Instant, sleep};

/// Nearly all that an attempt may take, and then it is taken all the same.
const SLOW: Duration = Duration::from_millis(4_900);
/// What the server gives a batch.
const BATCH: Duration = Duration::from_mins(1);

const fn room(email: u32) -> Limits {
    Limits { email, endurance: Endurance { failures: u32::MAX, ..LIMITS.endurance }, ..LIMITS }
}

fn unavailable() -> Sent {
    Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail: None, retry_after: None }
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_holds_up_no_other_channel_of_its_batch() {
    let house = House::new(room(4), POLICY);
    house.email.takes(SLOW);
    for n in 0..90 {
        house.accept(Channel::Email, &format!("user-{n}")).await;
    }
    // The slow channel's users, on the other one.
    for n in 0..10 {
        house.accept(Channel::Sms, &format!("user-{}", 100 + n)).await;
    }
    let begun = Instant::now();
    let report = house.process.run(house.records(100), &Budget::until(begun + BATCH)).await.unwrap();
    let late = house.sms.begun().into_iter().filter(|at| *at > begun).count();
    assert_eq!((house.sms.begun().len(), late), (10, 0), "each as soon as the batch begins");
    assert!(begun.elapsed() <= 2 * POLICY.send_timeout, "the batch took {:?}", begun.elapsed());
    assert_eq!((report.attempted, report.waiting, report.not_begun), (18, 82, 0));
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_a_slow_provider_holds_up_others_for_one_batch_and_then_no_more() {
    let house = House::new(room(4), POLICY);
    house.email.takes(SLOW);
    for n in 0..2_000 {
        house.accept(Channel::Email, &format!("user-{n}")).await;
    }
    let behind = house.accept(Channel::Sms, "ada").await;
    let begun = Instant::now();
    house.live();
    house.until(Status::Sent, &[behind]).await;
    assert!(begun.elapsed() <= 2 * POLICY.send_timeout + Duration::from_secs(1), "it waited {:?}", begun.elapsed());
}

/// With room for most of a batch it is never full for long, and with room for more than a batch never at all: each
/// batch is held up, and none of its records has to wait for redrive.
#[tokio::test(start_paused = true)]
async fn a_backlog_of_a_slow_provider_that_has_room_holds_up_others_for_one_batchs_budget() {
    for (places, takes) in [(64, SLOW), (64, Duration::from_secs(2)), (200, SLOW)] {
        let house = House::new(room(places), POLICY);
        house.email.takes(takes);
        for n in 0..4_000 {
            house.accept(Channel::Email, &format!("user-{n}")).await;
        }
        let behind = house.accept(Channel::Sms, "ada").await;
        let begun = Instant::now();
        house.live();
        house.until(Status::Sent, &[behind]).await;
        let waited = begun.elapsed();
        assert!(waited <= BATCH, "{places} places, {takes:?} each: it waited {waited:?}");
        let all: Vec<_> = house.all().iter().map(|n| n.id).collect();
        house.until(Status::Sent, &all).await;
        println!("{places} places, {takes:?} each: the SMS after {waited:.1?}, all after {:.1?}", begun.elapsed());
        assert_eq!(house.email.begun().len(), 4_000, "each once");
    }
}

/// Slow is not behind: nobody has to wait for redrive as long as the log is short.
#[tokio::test(start_paused = true)]
async fn a_slow_provider_that_keeps_up_is_not_left_to_redrive() {
    let house = House::new(room(64), POLICY);
    house.email.takes(Duration::from_secs(2));
    house.live();
    let mut made = Vec::new();
    for n in 0..1_200 {
        made.push(house.accept(Channel::Email, &format!("user-{n}")).await);
        sleep(Duration::from_millis(100)).await;
    }
    house.until(Status::Sent, &made).await;
    let latest = house.all().iter().map(|n| n.created_at.until(n.finished_at.unwrap())).max().unwrap();
    assert!(latest < POLICY.due_guard / 3, "one of them waited {latest:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_provider_had_no_room_for_goes_out_as_fast_as_it_can() {
    let house = House::new(room(10), POLICY);
    house.email.takes(SLOW);
    let mut made = Vec::new();
    for n in 0..300 {
        made.push(house.accept(Channel::Email, &format!("user-{n}")).await);
    }
    let begun = Instant::now();
    house.live();
    house.until(Status::Sent, &made).await;
    // 300 of 4.9 s, ten at a time, are 147 s; and redrive looks at what was left over after the guard.
    let least = SLOW * 30;
    assert!(begun.elapsed() < least + 2 * POLICY.due_guard, "{:?}, and {least:?} at the least", begun.elapsed());
    assert_eq!(house.email.begun().len(), made.len(), "each once");
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_own_are_slow_holds_up_another_by_one_batch_and_no_more() {
    let house = House::new(room(64), POLICY);
    house.email.takes(SLOW);
    for _ in 0..500 {
        house.accept(Channel::Email, "ada").await;
    }
    let mut others = vec![house.accept(Channel::Sms, "bob").await];
    house.email.quick_for("bob");
    others.push(house.accept(Channel::Email, "bob").await);
    let begun = Instant::now();
    house.live();
    house.until(Status::Sent, &others).await;
    assert!(begun.elapsed() <= BATCH, "they waited {:?}", begun.elapsed());
}

/// One of hers in each batch, and all others quick: it is she who is left to redrive, and nobody else.
#[tokio::test(start_paused = true)]
async fn one_user_whose_own_is_slow_in_each_batch_takes_nobody_along() {
    let house = House::new(room(64), POLICY);
    house.email.takes(SLOW);
    let mut quick = Vec::new();
    for n in 0..3_000 {
        if n % 100 == 99 {
            house.accept(Channel::Email, "ada").await;
        } else {
            let user = format!("user-{n}");
            house.email.quick_for(&user);
            quick.push(house.accept(Channel::Email, &user).await);
        }
    }
    let begun = Instant::now();
    house.live();
    house.until(Status::Sent, &quick).await;
    assert!(begun.elapsed() <= BATCH, "they waited {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_before_there_is_room_for_it() {
    let house = House::new(room(4), POLICY);
    house.email.hangs();
    for n in 0..200 {
        house.accept(Channel::Email, &format!("user-{n}")).await;
    }
    house.live();
    let mut most = 0;
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        most = most.max(house.in_status(Status::Processing));
    }
    assert_eq!((most, house.email.most_at_once()), (4, 4));
    let untouched = house.all().iter().filter(|n| n.status == Status::Pending).count();
    assert!(untouched > 100, "{untouched}");
    assert!(house.all().iter().filter(|n| n.status == Status::Pending).all(|n| n.attempt == 0 && n.attempts.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_again_and_again_is_left_alone_and_tried_by_one_at_a_time() {
    let house = House::new(LIMITS, POLICY);
    house.email.says(unavailable);
    house.email.takes(Duration::from_secs(1));
    let mut made = Vec::new();
    for n in 0..200 {
        made.push(house.accept(Channel::Email, &format!("user-{n}")).await);
    }
    let other = house.accept(Channel::Sms, "ada").await;
    house.live();
    house.until(Status::Sent, &[other]).await;
    sleep(Duration::from_mins(20)).await;

    // All that had room when it failed; since then one for each pause, of which the later ones are 30 s at least.
    let (room, pauses) = (usize::try_from(LIMITS.email).unwrap(), 20 * 60 / 30);
    let asked = house.email.begun();
    assert!(asked.len() <= room + pauses, "{} attempts", asked.len());
    assert!(asked.len() > room + 10, "it is tried: {} attempts", asked.len());
    let tries = asked.iter().skip(room).zip(asked.iter().skip(room + 1));
    assert!(tries.clone().all(|(one, next)| *next - *one >= LIMITS.endurance.pause.base / 2), "one for each pause");
    let counted: u32 = house.all().iter().map(|n| n.attempt).sum();
    assert_eq!(usize::try_from(counted).unwrap(), asked.len() + 1, "no other attempt is counted");
    assert!(house.all().iter().all(|n| n.channel == Channel::Sms || !n.status.is_final()));
    assert!(house.in_status(Status::Processing) <= 1, "the one by which it is tried, where that is under way just now");
    assert!(house.all().iter().filter(|n| n.status == Status::Pending).count() > 100);
    let lanes = house.create.readiness(&house.budget()).await.lanes;
    assert!(matches!(lanes.as_slice(), [email, sms]
        if email.channel == Channel::Email && matches!(email.condition, Condition::LeftAlone { .. }) && sms.condition == Condition::Clear));

    let healed = Instant::now();
    house.email.accepts();
    house.until(Status::Sent, &made).await;
    let longest = LIMITS.endurance.pause.cap + 2 * POLICY.due_guard;
    assert!(healed.elapsed() <= longest, "all of them are sent {:?} after it was well again", healed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_is_accepted_while_its_provider_is_full_or_left_alone() {
    let house = House::without_kafka(Limits { email: 1, ..LIMITS }, POLICY);
    house.email.takes(SLOW);
    let first = tokio::spawn({
        let house = house.clone();
        async move { house.create(Channel::Email, "ada").await }
    });
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    let Creation::Accepted(second) = house.create(Channel::Email, "bob").await else { panic!("it was attempted") };
    assert_eq!((second.status, second.attempt, begun.elapsed()), (Status::Pending, 0, Duration::ZERO));
    assert!(matches!(first.await.unwrap(), Creation::Attempted(n) if n.status == Status::Sent));

    house.email.says(unavailable);
    house.email.takes(Duration::ZERO);
    for _ in 0..LIMITS.endurance.failures {
        let made = house.create(Channel::Email, "ada").await;
        assert!(matches!(made, Creation::Attempted(n) if n.status == Status::Retrying));
    }
    let Creation::Accepted(waiting) = house.create(Channel::Email, "ada").await else { panic!("it was attempted") };
    assert_eq!((waiting.status, waiting.attempt), (Status::Pending, 0));
    house.email.accepts();
    house.live();
    house.until(Status::Sent, &[second.id, waiting.id]).await;
}

/// Claims that hang keep their places, and whoever finds none would take the provider for slow: the batch would
/// be left to redrive, and be done for Kafka when it comes again.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_taken_for_a_slow_provider() {
    let house = House::new(room(4), POLICY);
    for n in 0..100 {
        house.accept(Channel::Email, &format!("user-{n}")).await;
    }
    let batch = house.records(100);
    house.store_hangs(true);
    house.process.run(batch.clone(), &house.budget()).await.expect_err("no claim reached the store");
    house.store_hangs(false);
    let report = house.process.run(batch, &house.budget()).await.unwrap();
    assert_eq!((report.attempted, report.waiting, house.email.begun().len()), (100, 0, 100));
}

#[tokio::test(start_paused = true)]
async fn one_run_of_redrive_brings_on_what_it_has_lined_up_itself() {
    let house = House::without_kafka(room(1), POLICY);
    house.email.takes(SLOW);
    let busy_with = |user| tokio::spawn(house.clone().make(Channel::Email, user));
    busy_with("ada");
    sleep(Duration::from_secs(1)).await;
    let mut waiting = Vec::new();
    for user in ["bob", "cy", "di"] {
        waiting.push(house.accept(Channel::Email, user).await);
    }
    sleep(POLICY.due_guard * 2).await;
    // So that none of them finds room at first.
    busy_with("eve");
    sleep(Duration::from_secs(1)).await;
    house.redrive_once(SLOW * 4).await;
    let sent = waiting.iter().filter(|id| house.read(**id).status == Status::Sent).count();
    assert_eq!(sent, waiting.len());
}

/// Its lease is over, and an attempt in its place would be one more at a provider that is left alone.
#[tokio::test(start_paused = true)]
async fn what_a_lost_worker_held_is_not_taken_over_while_its_provider_is_left_alone() {
    let half_an_hour = Duration::from_mins(30);
    let pause = RetryPolicy { base: half_an_hour, cap: half_an_hour, max_attempts: u32::MAX };
    let house = House::new(Limits { endurance: Endurance { pause, ..LIMITS.endurance }, ..LIMITS }, POLICY);
    let lost = house.accept(Channel::Email, "ada").await;
    house.lose_a_worker(lost).await;
    house.email.says(unavailable);
    for n in 0..LIMITS.endurance.failures {
        house.accept(Channel::Email, &format!("user-{n}")).await;
    }
    house.live();
    sleep(half_an_hour / 3).await;
    let waiting = house.read(lost);
    assert_eq!((waiting.status, waiting.attempt, house.email.begun().len()), (Status::Processing, 1, 5));
    house.email.accepts();
    house.until(Status::Sent, &[lost]).await;
}

/// The event's word for the channel is by which room is found; what is sent goes by the notification's own.
#[tokio::test(start_paused = true)]
async fn an_event_that_names_the_wrong_channel_takes_no_other_channels_room() {
    let house = House::new(room(1), POLICY);
    house.sms.hangs();
    let id = house.accept(Channel::Email, "ada").await;
    house.misname(Channel::Sms);
    house.process.run(house.records(1), &house.budget()).await.unwrap();
    assert_eq!((house.email.begun().len(), house.sms.begun().len()), (1, 0));
    assert_eq!(house.read(id).status, Status::Sent);

    // And where its own has none, it waits for that.
    house.email.hangs();
    house.accept(Channel::Email, "bob").await;
    let busy = house.records(1);
    let id = house.accept(Channel::Email, "cy").await;
    house.misname(Channel::Sms);
    let (other, budget) = (house.clone(), house.budget());
    tokio::spawn(async move { other.process.run(busy, &budget).await });
    sleep(Duration::from_secs(1)).await;
    let report = house.process.run(house.records(1), &Budget::until(Instant::now() + POLICY.send_timeout * 2)).await.unwrap();
    assert_eq!((report.waiting, house.read(id).attempt), (1, 0));
}
