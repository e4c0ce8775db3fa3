//! How a batch is counted and told of, record for record. What it does is tested on a real store, in the crate `tests`.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::super::stub::{Always, NOW, StubStore, worker};
use super::*;
use crate::channels::breaker::Endurance;
use crate::channels::{Limits, Message, Provider, Providers, Sent};
use crate::domain::notification::Birth;
use crate::domain::{Change, Channel, ErrorCode, Notification, NotificationId, Status, Token};
use crate::events::batch::Place;
use crate::random::SystemRandom;
use crate::retry::RetryPolicy;
use crate::sample::{email_record, new_notification};
use crate::store::{Applied, Error};
use crate::traces::{Sampler, Traces};

#[derive(Debug)]
struct AlwaysBusy;

#[async_trait]
impl Provider for AlwaysBusy {
    fn name(&self) -> &'static str {
        "busy"
    }
    fn needs_recipient(&self) -> bool {
        false
    }
    fn drops_repeats(&self) -> bool {
        false
    }
    async fn send(&self, _: &Message) -> Sent {
        Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail: None, retry_after: None }
    }
}

/// Left alone after its first failure.
fn providers() -> Providers {
    let pause = RetryPolicy { base: Duration::from_mins(10), cap: Duration::from_mins(10), max_attempts: u32::MAX };
    let limits = Limits { endurance: Endurance { failures: 1, pause }, ..Limits::default() };
    let provider: Arc<dyn Provider> = Arc::new(AlwaysBusy);
    Providers::of([(Channel::Email, provider)], &limits)
}

fn budget() -> Budget {
    Budget::until(Instant::now() + Duration::from_mins(1))
}

fn place(offset: i64) -> Place {
    Place { partition: "notification-events-0".to_owned(), offset: Some(offset) }
}

fn record(number: u8, key: &str) -> Record {
    let id = NotificationId::from_uuid(Uuid::from_u128(number.into()));
    email_record(id, key, number.into())
}

fn notification(id: NotificationId) -> Notification {
    let create_token = Token::from_uuid(Uuid::from_u128(2));
    Notification::create(
        new_notification(),
        Birth { id, create_token, now: NOW, attempt_limit: 30, due_guard: Duration::from_secs(30) },
    )
}

/// By the number of its id.
fn answer(id: NotificationId, change: &Change) -> Result<Applied, Error> {
    match (id.as_uuid().as_u128(), change) {
        (1, _) => Ok(Applied::Missing),
        (2, _) => Ok(Applied::Foreign),
        (3, _) => Err(Error::Unreadable { what: "status".to_owned() }),
        (4, _) => Err(Error::Unavailable { what: "as it was told".to_owned() }),
        (5, _) => Ok(Applied::Refused(Box::new(Notification { status: Status::Sent, ..notification(id) }))),
        (6, _) => panic!("as it was told"),
        (_, Change::Claim { token, lease_until, .. }) => {
            let (status, attempt) = (Status::Processing, 1);
            let claimed = Notification { claim_token: Some(*token), lease_until: Some(*lease_until), ..notification(id) };
            Ok(Applied::Done(Box::new(Notification { status, attempt, ..claimed })))
        }
        _ => Ok(Applied::Done(Box::new(Notification { status: Status::Retrying, ..notification(id) }))),
    }
}

#[tokio::test(start_paused = true)]
async fn each_record_is_counted_and_its_span_says_what_became_of_it() {
    let sampler = Sampler { follows_parent: true, share: 1.0 };
    let (traces, recorder) = Traces::new(sampler, Arc::new(crate::clock::SystemClock), Arc::new(SystemRandom));
    let process = Process { worker: worker(Arc::new(StubStore::new(answer)), providers(), Always(7), traces) };
    let poison = |offset| Record::Poison { place: place(offset), why: "as it was told" };
    let mut records = vec![Record::PassedOver, Record::PassedOver, poison(90), poison(91), poison(92)];
    // The last three are one user's: the first of them has the provider left alone, and the others find it so.
    records.extend((1..=6).map(|number| record(number, &number.to_string())));
    records.extend((7..=9).map(|number| record(number, "one")));
    let report = process.run(records, &budget()).await.unwrap();
    let expected = Report { attempted: 1, left: 5, not_begun: 0, waiting: 2, failed: 1, passed_over: 2, poison: 3 };
    assert_eq!(report, expected);

    let (spans, _) = recorder.take(99);
    let told = spans.iter().filter_map(|span| {
        let said = |name| span.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| format!("{value:?}"));
        Some((said("messaging.kafka.offset")?, said("notification.result"), span.failed))
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    let expected = [
        (1, "missing", true),
        (2, "foreign", true),
        (3, "unreadable", true),
        (4, "not-claimed", true),
        (5, "left", false),
        (6, "panicked", true),
        (7, "attempted", false),
        (8, "left-alone", false),
        (9, "left-alone", false),
    ];
    let expected =
        expected.map(|(offset, result, failed)| (format!("Number({offset})"), Some(format!("Text({result:?})")), failed));
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn what_lies_behind_a_slow_provider_waits_and_is_not_claimed() {
    let store = StubStore::new(|_, change| panic!("nobody asks for {change:?}"));
    let process = Process { worker: worker(Arc::new(store), providers(), Always(7), Traces::default()) };
    let until = Instant::now() + Duration::from_secs(30);
    process.worker.providers.lane(Channel::Email).fall_behind(until);
    let report = process.run(vec![record(1, "a"), record(2, "a"), record(3, "b")], &budget()).await.unwrap();
    assert_eq!(report, Report { waiting: 3, ..Report::default() });
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_which_one_record_was_reached_is_done() {
    let process = Process { worker: worker(Arc::new(StubStore::new(answer)), providers(), Always(7), Traces::default()) };
    let report = process.run(vec![record(1, "a"), record(4, "b")], &budget()).await.unwrap();
    assert_eq!(report, Report { left: 1, failed: 1, ..Report::default() });
    let nothing = process.run(vec![record(4, "a"), record(4, "b")], &budget()).await.unwrap_err();
    assert_eq!((nothing.failed, nothing.not_begun), (2, 0));
}

#[test]
fn what_keys_report_is_summed_up_each_by_itself() {
    let one = Report { attempted: 1, left: 2, not_begun: 3, waiting: 4, failed: 5, passed_over: 6, poison: 7 };
    let other = Report { attempted: 10, left: 20, not_begun: 30, waiting: 40, failed: 50, passed_over: 60, poison: 70 };
    let sum = Report { attempted: 11, left: 22, not_begun: 33, waiting: 44, failed: 55, passed_over: 66, poison: 77 };
    assert_eq!(one.plus(other), sum);
}
