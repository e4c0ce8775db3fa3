//! What the state machine counts, on a real store with a clock that is stepped: where workers race and are lost.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use shared::channels::Sent;
use shared::domain::{NewNotification, Status};
use shared::metrics::prometheus;
use shared::sample::{POLICY, START, new_notification};
use shared::service::{OnUnknown, Policy};
use simulation::exposition::Exposition;
use tests::stage::{Says, Stage, plenty};
use tokio::time::Instant;

fn shown(stage: &Stage) -> Exposition {
    Exposition::parse(&prometheus::text(&stage.worker.metrics))
}

/// The sums of these, as whole numbers.
fn counts<const N: usize>(stage: &Stage, names: [&str; N]) -> [String; N] {
    let shown = shown(stage);
    names.map(|name| shown.sum(name).to_string())
}

/// A worker that is frozen while it sends, until another one has taken over and sent.
fn frozen(stage: &Stage) -> Says {
    let lapse = POLICY.lease + POLICY.clock_skew + Duration::from_millis(1);
    let accepted = Sent::Accepted { provider_message_id: None };
    Says::AfterTurn(Arc::clone(&stage.worker), lapse, Arc::clone(&stage.clock), accepted)
}

#[tokio::test]
async fn a_worker_that_was_taken_over_counts_no_second_sent() {
    let stage = Stage::new().await;
    let n = stage.accept(new_notification()).await;
    stage.says([frozen(&stage)]);
    stage.worker.deliver(n.id, n.channel, Instant::now(), &plenty()).await.unwrap();
    assert_eq!((stage.sends(), stage.status(n.id).await), (2, Status::Sent));
    assert_eq!(counts(&stage, ["sent_total", "unknown_total", "queue_seconds_count"]), ["1", "1", "1"]);
    let lost = "unknown_total{channel=\"email\",provider=\"none\",code=\"lease-lost\"}";
    assert_eq!(shown(&stage).get(lost).to_string(), "1");
}

#[tokio::test]
async fn a_lost_worker_that_is_given_up_counts_as_unknown_and_failed_once() {
    let stage = Stage::with(Policy { on_unknown: OnUnknown::Fail, ..POLICY }, true).await;
    let n = stage.accept(new_notification()).await;
    stage.lose_a_worker(n.id).await;
    stage.clock.step(POLICY.lease + POLICY.clock_skew + Duration::from_millis(1));
    let (one, other) = tokio::join!(stage.run_redrive(), stage.run_redrive());
    assert!(one.processed + other.processed >= 1);
    assert_eq!(stage.status(n.id).await, Status::Failed);
    assert_eq!(counts(&stage, ["unknown_total", "failed_total", "sent_total"]), ["1", "1", "0"]);
    let failed = "failed_total{channel=\"email\",provider=\"none\",code=\"lease-lost\"}";
    assert_eq!(shown(&stage).get(failed).to_string(), "1");
}

#[tokio::test]
async fn of_many_that_bring_an_event_and_cancel_at_once_each_end_is_counted_once() {
    let stage = Stage::new().await;
    for _ in 0..20 {
        stage.accept(new_notification()).await;
    }
    let events = stage.broker.events.lock().unwrap().clone();
    let tenant = shared::domain::Tenant::default();
    let budget = plenty();
    let bring = join_all(
        events.iter().flat_map(|event| (0..4).map(|_| stage.worker.deliver(event.id, event.channel, Instant::now(), &budget))),
    );
    let cancel = join_all(events.iter().flat_map(|event| (0..4).map(|_| stage.create.cancel(&tenant, event.id))));
    tokio::join!(bring, cancel);
    let (mut sent, mut cancelled) = (0, 0);
    for event in &events {
        match stage.status(event.id).await {
            Status::Sent => sent += 1,
            Status::Cancelled => cancelled += 1,
            other @ (Status::Pending | Status::Processing | Status::Retrying | Status::Failed | Status::Expired) => {
                panic!("{other:?}")
            }
        }
    }
    let counted = counts(&stage, ["sent_total", "cancelled_total", "provider_seconds_count"]);
    assert_eq!(counted, [sent.to_string(), cancelled.to_string(), sent.to_string()]);
}

#[tokio::test]
async fn redrive_says_by_how_much_the_oldest_is_overdue_and_what_it_did() {
    let stage = Stage::new().await;
    assert!(!shown(&stage).0.contains_key("notifications_oldest_due_seconds"), "nobody has looked");
    stage.run_redrive().await;
    assert_eq!(shown(&stage).0["notifications_oldest_due_seconds"].to_string(), "0", "nothing is due");
    let expired = NewNotification { expires_at: Some(START.plus(Duration::from_secs(40))), ..new_notification() };
    stage.accept(expired).await;
    stage.clock.step(Duration::from_secs(10));
    stage.accept(new_notification()).await;
    stage.clock.step(Duration::from_secs(85));
    let report = stage.run_redrive().await;
    assert_eq!((report.published, report.processed), (1, 1));
    let named = ["expired_total", "redrive_left", "sent_total"];
    assert_eq!(counts(&stage, named), ["1", "0", "0"]);
    let after = shown(&stage);
    let (published, processed) = ("redriven_total{outcome=\"published\"}", "redriven_total{outcome=\"processed\"}");
    assert_eq!((after.get(published).to_string(), after.get(processed).to_string()), ("1".to_owned(), "1".to_owned()));
    // Their guard was 30 s; the first was put 95 s ago.
    assert_eq!(after.get("oldest_due_seconds").to_string(), "65");
    stage.run_redrive().await;
    assert_eq!(shown(&stage).get("oldest_due_seconds").to_string(), "0");
}
