//! The state machine on a real store: every way from `Pending` to a final status, step by step.

#[path = "delivery/leases.rs"]
#[cfg(test)]
mod leases;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shared::channels::Sent;
use shared::domain::{Channel, ErrorCode, NewNotification, Outcome, Status, Tenant, UserId};
use shared::sample::{POLICY, START, email_record, new_notification};
use shared::service::create::{Cancellation, Creation, Retrial};
use shared::service::deliver::Delivery;
use shared::service::{Budget, OnUnknown, Policy};
use tests::stage::{Says, Stage, plenty, with_key};
use tokio::time::Instant;

fn not_sent() -> Says {
    Says::This(Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail: None, retry_after: None })
}

fn unknown() -> Says {
    Says::This(Sent::Unknown { code: ErrorCode::Timeout, detail: None })
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test]
async fn an_event_brings_a_pending_notification_to_sent() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    assert_eq!((n.status, stage.sends()), (Status::Pending, 0));
    let report = stage.consume().await.unwrap();
    assert_eq!((report.attempted, stage.sends()), (1, 1));
    let sent = stage.read(n.id).await;
    assert_eq!((sent.status, sent.attempt, sent.attempts.len()), (Status::Sent, 1, 1));
    assert_eq!((sent.due_at, sent.lease_until), (None, None));
    assert_eq!(sent.ttl, Some(START.plus(POLICY.retention)));
    assert_eq!(sent.sent_at, Some(START));
}

#[tokio::test]
async fn an_event_that_comes_again_changes_nothing() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    let event = stage.broker.events.lock().unwrap()[0].clone();
    stage.broker.events.lock().unwrap().extend([event.clone(), event.clone()]);
    stage.consume().await.unwrap();
    stage.broker.events.lock().unwrap().push(event);
    let report = stage.consume().await.unwrap();
    assert_eq!((report.left, stage.sends()), (1, 1));
    assert_eq!(stage.status(n.id).await, Status::Sent);
}

#[tokio::test]
async fn without_kafka_the_first_attempt_is_made_at_once() {
    let stage = Stage::without_kafka().await;
    let made = stage.create.create(new_notification(), &plenty()).await.unwrap();
    assert!(matches!(made, Creation::Attempted(n) if n.status == Status::Sent));
}

#[tokio::test]
async fn with_kafka_away_a_notification_is_processed_at_once() {
    let stage = Stage::new().await;
    stage.broker.away.store(true, Ordering::SeqCst);
    let made = stage.create.create(new_notification(), &plenty()).await.unwrap();
    assert!(matches!(made, Creation::Attempted(n) if n.status == Status::Sent));
    assert_eq!(stage.sends(), 1);
}

#[tokio::test]
async fn a_repeat_is_a_replay_and_another_request_under_its_key_is_refused() {
    let stage = Stage::new().await;
    let first = stage.accept(with_key("k")).await;
    stage.consume().await.unwrap();
    let repeat = stage.create.create(with_key("k"), &plenty()).await.unwrap();
    assert!(matches!(repeat, Creation::Replayed(n) if n.id == first.id && n.status == Status::Sent));
    let other = NewNotification { channel: Channel::Push, ..with_key("k") };
    assert!(matches!(stage.create.create(other, &plenty()).await.unwrap(), Creation::KeyReused));
    assert_eq!(stage.sends(), 1);
}

#[tokio::test]
async fn what_was_not_sent_waits_its_time_and_is_sent_again() {
    let stage = Stage::new().await;
    stage.says([not_sent()]);
    let n = stage.accept(new_notification()).await;
    stage.consume().await.unwrap();
    let waiting = stage.read(n.id).await;
    assert_eq!(waiting.status, Status::Retrying);
    let wait = START.until(waiting.not_before);
    assert!((secs(5)..=secs(10)).contains(&wait), "{wait:?}");
    assert_eq!(waiting.due_at.map(|due| (due.at, due.redriven)), Some((waiting.not_before, 0)));

    stage.clock.step(wait.saturating_sub(Duration::from_millis(1)));
    assert_eq!(stage.run_redrive().await.published, 0, "it is not due yet");
    stage.clock.step(Duration::from_millis(1));
    assert_eq!(stage.run_redrive().await.published, 1);
    stage.consume().await.unwrap();
    let sent = stage.read(n.id).await;
    assert_eq!((sent.status, sent.attempt, stage.sends()), (Status::Sent, 2, 2));
    assert_eq!(
        sent.attempts.iter().map(|a| (a.number, a.outcome)).collect::<Vec<_>>(),
        [(1, Outcome::NotSent), (2, Outcome::Accepted)]
    );
}

#[tokio::test]
async fn the_providers_retry_after_is_kept_if_it_is_longer() {
    let stage = Stage::new().await;
    let retry_after = Some(secs(120));
    stage.says([Says::This(Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail: None, retry_after })]);
    let n = stage.accept(new_notification()).await;
    stage.consume().await.unwrap();
    assert_eq!(stage.read(n.id).await.not_before, START.plus(secs(120)));
}

#[tokio::test]
async fn what_is_refused_has_failed() {
    let stage = Stage::new().await;
    stage.says([Says::This(Sent::Refused { code: ErrorCode::ProviderRefused, detail: None })]);
    let n = stage.accept(new_notification()).await;
    stage.consume().await.unwrap();
    let failed = stage.read(n.id).await;
    assert_eq!((failed.status, failed.error_code), (Status::Failed, Some(ErrorCode::ProviderRefused)));
    assert_eq!((failed.due_at, failed.finished_at), (None, Some(START)));
}

#[tokio::test]
async fn exhausted_attempts_have_failed() {
    let stage = Stage::new().await;
    stage.says([not_sent(), unknown(), not_sent()]);
    let n = stage.accept(new_notification()).await;
    stage.consume().await.unwrap();
    for _ in 1..POLICY.retry.max_attempts {
        stage.clock.step(secs(3600));
        stage.run_redrive().await;
        stage.consume().await.unwrap();
    }
    let failed = stage.read(n.id).await;
    assert_eq!((failed.status, failed.error_code, failed.attempt), (Status::Failed, Some(ErrorCode::AttemptsExhausted), 3));
}

#[tokio::test]
async fn a_manual_retry_opens_a_new_budget_and_attempt_numbers_count_on() {
    let stage = Stage::new().await;
    stage.says([Says::This(Sent::Refused { code: ErrorCode::ProviderRefused, detail: None }), not_sent()]);
    let n = stage.accept(new_notification()).await;
    stage.consume().await.unwrap();
    let retried = stage.create.retry(&Tenant::default(), n.id, &plenty()).await.unwrap();
    assert!(matches!(retried, Retrial::Accepted(n) if n.status == Status::Pending && n.attempt_limit == 4));
    let pending = stage.read(n.id).await;
    assert_eq!((pending.ttl, pending.finished_at, pending.error_code, pending.error_message), (None, None, None, None));
    assert!(pending.due_at.is_some());
    stage.consume().await.unwrap();
    let waiting = stage.read(n.id).await;
    assert_eq!((waiting.status, waiting.attempt), (Status::Retrying, 2));
    assert!(START.until(waiting.not_before) <= secs(10), "the first retry of a new budget");
    assert!(matches!(
        stage.create.retry(&Tenant::default(), n.id, &plenty()).await.unwrap(),
        Retrial::NotRetryable(Status::Retrying)
    ));
}

#[tokio::test]
async fn an_unknown_end_is_repeated_only_where_that_is_allowed() {
    for (on_unknown, drops_repeats, status) in [
        (OnUnknown::Retry, false, Status::Retrying),
        (OnUnknown::Fail, true, Status::Retrying),
        (OnUnknown::Fail, false, Status::Failed),
    ] {
        let stage = Stage::with(Policy { on_unknown, ..POLICY }, true).await;
        stage.provider.drops_repeats.store(drops_repeats, Ordering::SeqCst);
        stage.says([unknown()]);
        let n = stage.accept(new_notification()).await;
        stage.consume().await.unwrap();
        let after = stage.read(n.id).await;
        assert_eq!((after.status, after.attempts[0].outcome), (status, Outcome::Unknown), "{on_unknown:?} {drops_repeats}");
    }
}

#[tokio::test]
async fn a_panic_costs_its_own_record_and_its_end_is_unknown() {
    let stage = Stage::new().await;
    stage.says([Says::Panic]);
    let first = stage.accept(new_notification()).await;
    let second = stage.accept(NewNotification { user_id: UserId::parse("user-2").unwrap(), ..new_notification() }).await;
    let report = stage.consume().await.unwrap();
    assert_eq!(report.attempted, 2);
    let (first, second) = (stage.read(first.id).await, stage.read(second.id).await);
    let codes: Vec<_> = [&first, &second].iter().map(|n| n.attempts[0].code).collect();
    assert!(codes.contains(&Some(ErrorCode::WorkerPanicked)) && codes.contains(&None), "{codes:?}");
}

#[tokio::test]
async fn what_has_expired_is_never_attempted() {
    let stage = Stage::new().await;
    let n = stage.accept(NewNotification { expires_at: Some(START.plus(secs(10))), ..new_notification() }).await;
    stage.clock.step(secs(10));
    stage.consume().await.unwrap();
    let expired = stage.read(n.id).await;
    assert_eq!((expired.status, expired.attempt, stage.sends()), (Status::Expired, 0, 0));
    assert_eq!(expired.due_at, None);
}

#[tokio::test]
async fn what_was_born_expired_ends_as_expired_at_once_without_kafka() {
    let stage = Stage::without_kafka().await;
    let n = stage.accept(NewNotification { expires_at: Some(START), ..new_notification() }).await;
    assert_eq!((n.status, stage.sends()), (Status::Expired, 0));
}

#[tokio::test]
async fn a_retry_that_would_come_too_late_is_expired_at_once() {
    let stage = Stage::new().await;
    stage.says([not_sent()]);
    let n = stage.accept(NewNotification { expires_at: Some(START.plus(secs(5))), ..new_notification() }).await;
    stage.consume().await.unwrap();
    let expired = stage.read(n.id).await;
    assert_eq!((expired.status, expired.attempt), (Status::Expired, 1));
}

#[tokio::test]
async fn a_scheduled_one_gets_its_event_when_it_is_due_and_not_before() {
    let stage = Stage::new().await;
    let at = START.plus(secs(600));
    let n = stage.accept(NewNotification { scheduled_at: Some(at), ..new_notification() }).await;
    assert!(stage.broker.events.lock().unwrap().is_empty());
    stage.clock.step(secs(599));
    assert_eq!(stage.run_redrive().await.published, 0);
    stage.clock.step(secs(1));
    assert_eq!(stage.run_redrive().await.published, 1);
    assert_eq!(stage.run_redrive().await.published, 0, "its guard is running");
    stage.consume().await.unwrap();
    assert_eq!(stage.status(n.id).await, Status::Sent);
}

#[tokio::test]
async fn a_cancelled_one_is_never_attempted_and_cancelling_again_is_no_fault() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    for _ in 0..2 {
        let cancelled = stage.create.cancel(&Tenant::default(), n.id).await.unwrap();
        assert!(matches!(cancelled, Cancellation::Cancelled(n) if n.status == Status::Cancelled));
    }
    stage.consume().await.unwrap();
    assert_eq!((stage.status(n.id).await, stage.sends()), (Status::Cancelled, 0));
    let other = Tenant::parse("other").unwrap();
    assert!(matches!(stage.create.cancel(&other, n.id).await.unwrap(), Cancellation::NotFound));
}

#[tokio::test]
async fn what_is_being_sent_can_not_be_cancelled_and_what_is_sent_neither() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    stage.lose_a_worker(n.id).await;
    assert!(matches!(
        stage.create.cancel(&Tenant::default(), n.id).await.unwrap(),
        Cancellation::NotCancellable(Status::Processing)
    ));
}

#[tokio::test]
async fn a_consumer_that_lags_gets_two_repeats_and_then_redrive_does_the_work() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    let mut published = 0;
    for (guard, expected) in [(1, 1), (2, 1), (10, 0)] {
        stage.clock.step(POLICY.due_guard * 2 * guard);
        let report = stage.run_redrive().await;
        assert_eq!(report.published, expected);
        published += report.published;
    }
    assert_eq!((published, stage.status(n.id).await, stage.sends()), (2, Status::Sent, 1));
    let late = stage.consume().await.unwrap();
    assert_eq!((late.left, stage.sends()), (3, 1), "the events that come late find it sent");
}

#[tokio::test]
async fn who_claimed_within_the_skew_waits_until_it_is_time() {
    let stage = Stage::new().await;
    let at = START.plus(Duration::from_millis(300));
    let n = stage.accept(NewNotification { scheduled_at: Some(at), ..new_notification() }).await;
    let begun = Instant::now();
    assert!(matches!(stage.worker.deliver(n.id, n.channel, Instant::now(), &plenty()).await.unwrap(), Delivery::Attempted(_)));
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_channel_that_is_off_at_the_worker_is_tried_again_later() {
    let stage = Stage::new().await;
    let n = stage.accept(NewNotification { channel: Channel::Sms, ..new_notification() }).await;
    stage.consume().await.unwrap();
    let after = stage.read(n.id).await;
    assert_eq!((after.status, after.attempts[0].code), (Status::Retrying, Some(ErrorCode::ChannelOff)));
}

#[tokio::test]
async fn with_too_little_time_left_nothing_is_claimed_and_the_batch_comes_again() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    let record = email_record(n.id, "k", 0);
    let short = Budget::until(Instant::now() + POLICY.send_timeout + secs(4));
    let failed = stage.process.run(vec![record], &short).await.unwrap_err();
    assert_eq!((failed.failed, failed.not_begun), (0, 1));
    assert_eq!((stage.status(n.id).await, stage.sends()), (Status::Pending, 0));
}

#[tokio::test]
async fn an_event_for_a_notification_that_is_not_there_blocks_nothing() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    let gone = shared::domain::NotificationId::from_uuid(uuid::Uuid::from_u128(1));
    let records = [gone, n.id].map(|id| email_record(id, "same", 0));
    let report = stage.process.run(records.to_vec(), &plenty()).await.unwrap();
    assert_eq!((report.left, report.attempted), (1, 1));
}

#[tokio::test]
async fn one_users_notifications_go_out_in_order() {
    let stage = Stage::new().await;
    let mut made = Vec::new();
    for _ in 0..20 {
        made.push(stage.accept(new_notification()).await.id);
    }
    stage.consume().await.unwrap();
    let sent: Vec<_> = stage.provider.messages.lock().unwrap().iter().map(|message| message.id).collect();
    assert_eq!(sent, made);
}

#[tokio::test]
async fn sixty_four_requests_for_one_key_make_one_notification_and_one_delivery() {
    let stage = Arc::new(Stage::without_kafka().await);
    let racers = (0..64).map(|_| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.create.create(with_key("race"), &plenty()).await.unwrap() })
    });
    let results = futures::future::join_all(racers).await;
    let first = results.iter().filter(|r| matches!(r.as_ref().unwrap(), Creation::Attempted(_))).count();
    let replays = results.iter().filter(|r| matches!(r.as_ref().unwrap(), Creation::Replayed(_))).count();
    assert_eq!((first, replays, stage.sends()), (1, 63, 1));
}
