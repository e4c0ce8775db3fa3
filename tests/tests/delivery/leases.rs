//! A worker that is lost or late: what its lease holds, and for how long.

use std::sync::Arc;
use std::time::Duration;

use shared::channels::Sent;
use shared::domain::{ErrorCode, Outcome, Status};
use shared::sample::{POLICY, new_notification};
use shared::service::deliver::Delivery;
use shared::service::{OnUnknown, Policy};
use tests::stage::{Says, Stage, plenty};
use tokio::time::Instant;

#[tokio::test]
async fn a_lost_worker_is_taken_over_after_its_lease_and_its_attempt_is_unknown() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    stage.lose_a_worker(n.id).await;
    stage.clock.step(POLICY.lease + POLICY.clock_skew);
    stage.consume().await.unwrap();
    assert_eq!(
        (stage.status(n.id).await, stage.sends()),
        (Status::Processing, 0),
        "the lease may still be held by a slower clock"
    );
    stage.clock.step(Duration::from_millis(1));
    stage.run_redrive().await;
    stage.consume().await.unwrap();
    let sent = stage.read(n.id).await;
    assert_eq!((sent.status, sent.attempt), (Status::Sent, 2));
    assert_eq!((sent.attempts[0].outcome, sent.attempts[0].code), (Outcome::Unknown, Some(ErrorCode::LeaseLost)));
}

#[tokio::test]
async fn a_lost_worker_of_a_provider_that_does_not_drop_repeats_is_given_up_if_so_set() {
    let stage = Stage::with(Policy { on_unknown: OnUnknown::Fail, ..POLICY }, true).await;
    let n = stage.accept(new_notification()).await;
    stage.lose_a_worker(n.id).await;
    stage.clock.step(POLICY.lease + POLICY.clock_skew + Duration::from_millis(1));
    assert_eq!(stage.run_redrive().await.processed, 1);
    let failed = stage.read(n.id).await;
    assert_eq!((failed.status, failed.error_code, stage.sends()), (Status::Failed, Some(ErrorCode::LeaseLost), 0));
}

#[tokio::test]
async fn redrive_leaves_a_live_lease_alone_and_counts_that_it_looked() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    stage.clock.step(POLICY.due_guard);
    stage.lose_a_worker(n.id).await;
    let report = stage.run_redrive().await;
    assert_eq!((report.passed, report.published, report.processed), (1, 0, 0));
    assert_eq!(stage.read(n.id).await.due_at.unwrap().redriven, 1);
}

#[tokio::test]
async fn the_finish_of_a_worker_that_was_taken_over_is_refused() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    let lapse = POLICY.lease + POLICY.clock_skew + Duration::from_millis(1);
    let accepted = Sent::Accepted { provider_message_id: Some("late".to_owned()) };
    stage.says([Says::AfterTurn(Arc::clone(&stage.worker), lapse, Arc::clone(&stage.clock), accepted)]);
    let late = stage.worker.deliver(n.id, n.channel, Instant::now(), &plenty()).await.unwrap();
    assert!(matches!(late, Delivery::Left(_)), "{late:?}");
    let sent = stage.read(n.id).await;
    assert_eq!((sent.status, sent.attempt, sent.provider_message_id), (Status::Sent, 2, None));
    assert_eq!(sent.attempts.iter().map(|a| a.outcome).collect::<Vec<_>>(), [Outcome::Unknown, Outcome::Accepted]);
}

#[tokio::test]
async fn a_finish_past_its_lease_holds_as_long_as_nobody_took_over() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    let accepted = Sent::Accepted { provider_message_id: Some("m-1".to_owned()) };
    stage.says([Says::AfterStep(Arc::clone(&stage.clock), POLICY.lease * 10, accepted)]);
    stage.consume().await.unwrap();
    let sent = stage.read(n.id).await;
    assert_eq!((sent.status, sent.provider_message_id.as_deref()), (Status::Sent, Some("m-1")));
}

#[tokio::test]
async fn a_worker_with_too_little_lease_left_does_not_send() {
    let stage = Stage::with(Policy { lease: Duration::from_secs(9), ..POLICY }, true).await;
    let n = stage.accept(new_notification()).await;
    stage.consume().await.unwrap();
    let after = stage.read(n.id).await;
    assert_eq!((after.status, after.attempts[0].code, stage.sends()), (Status::Retrying, Some(ErrorCode::LeaseTooShort), 0));
}
