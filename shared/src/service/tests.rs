//! What the use cases do with a store that never answers, or answers with what nobody can read. The ways
//! through a working one are tested on a real store, in the crate `tests`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Budget;
use super::create::{Create, Creation};
use super::deliver::Worker;
use super::process::{Process, Report};
use crate::channels::Providers;
use crate::clock::SystemClock;
use crate::domain::{Change, DueShard, Notification, NotificationId, Tenant, UserId};
use crate::events::{self, Event, Outbox, Publisher};
use crate::random::SystemRandom;
use crate::sample::{POLICY, email_record, new_notification};
use crate::store::{Applied, Created, Due, Error, Page, Position, Store};
use crate::traces::Traces;

const SEND_TIMEOUT: Duration = POLICY.send_timeout;

/// What comes of a call.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Never,
    Unreadable,
    /// A create works, and nothing else is answered.
    CreatedOnly,
}

impl Answer {
    async fn give<T>(self) -> Result<T, Error> {
        match self {
            Self::Never | Self::CreatedOnly => std::future::pending().await,
            Self::Unreadable => Err(Error::Unreadable { what: "status".to_owned() }),
        }
    }
}

#[async_trait]
impl Store for Answer {
    async fn create(&self, _notification: &Notification) -> Result<Created, Error> {
        match self {
            Self::CreatedOnly => Ok(Created::New),
            Self::Never | Self::Unreadable => self.give().await,
        }
    }

    async fn apply(&self, _id: NotificationId, _change: &Change) -> Result<Applied, Error> {
        self.give().await
    }

    async fn get(&self, _tenant: &Tenant, _id: NotificationId) -> Result<Option<Notification>, Error> {
        self.give().await
    }

    async fn list(&self, _: &Tenant, _: &UserId, _limit: u32, _after: Option<Position>) -> Result<Page, Error> {
        self.give().await
    }

    async fn due(&self, _shard: DueShard, _limit: u32, _after: Option<Due>) -> Result<Vec<Due>, Error> {
        self.give().await
    }

    async fn check(&self) -> Result<(), Error> {
        self.give().await
    }
}

#[derive(Debug)]
struct NeverPublishes;

#[async_trait]
impl Publisher for NeverPublishes {
    async fn publish(&self, _event: &Event) -> Result<(), events::Error> {
        std::future::pending().await
    }
}

fn worker(store: Answer) -> Arc<Worker> {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    Arc::new(Worker {
        store: Arc::new(store),
        providers: Arc::new(Providers::default()),
        clock,
        random,
        policy: POLICY,
        metrics: Arc::default(),
        traces: Traces::default(),
    })
}

fn create(store: Answer, publisher: Option<Arc<dyn Publisher>>) -> Create {
    Create { worker: worker(store), outbox: Arc::new(Outbox::new(publisher)) }
}

fn budget() -> Budget {
    Budget::until(Instant::now() + SEND_TIMEOUT + Duration::from_secs(10))
}

fn id() -> NotificationId {
    NotificationId::parse("0190a0b0-0000-7000-8000-000000000001").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_away_when_the_budget_ends() {
    let create = create(Answer::Never, None);
    let begun = Instant::now();
    let created = create.create(new_notification(), &budget()).await;
    assert!(matches!(created, Err(super::Error::Store(Error::Unavailable { .. }))), "{created:?}");
    let retried = create.retry(&Tenant::default(), id(), &budget()).await;
    assert!(matches!(retried, Err(super::Error::Store(Error::Unavailable { .. }))), "{retried:?}");
    assert!(create.readiness(&budget()).await.store.is_err());
    assert!(begun.elapsed() <= 3 * (SEND_TIMEOUT + Duration::from_secs(11)), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_accepted_when_neither_kafka_nor_the_claim_is_answered() {
    let publishers: [Option<Arc<dyn Publisher>>; 2] = [None, Some(Arc::new(NeverPublishes))];
    for publisher in publishers {
        let begun = Instant::now();
        let created = create(Answer::CreatedOnly, publisher).create(new_notification(), &budget()).await;
        assert!(matches!(created, Ok(Creation::Accepted(_))), "{created:?}");
        assert!(begun.elapsed() <= SEND_TIMEOUT + Duration::from_secs(11), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_item_can_not_be_read_does_not_block_its_partition() {
    let record = email_record(id(), "k", 1);
    let report = Process { worker: worker(Answer::Unreadable) }.run(vec![record], &budget()).await.unwrap();
    assert_eq!(report, Report { left: 1, ..Report::default() });
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_which_no_claim_reached_the_store_comes_again() {
    let record = email_record(id(), "k", 1);
    let nothing = Process { worker: worker(Answer::Never) }.run(vec![record], &budget()).await.unwrap_err();
    assert_eq!((nothing.failed, nothing.not_begun), (1, 0));
}
