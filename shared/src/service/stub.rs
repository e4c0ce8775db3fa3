//! What the tests of the use cases share: an instant, chance, and a worker whose store answers as a test says, call for
//! call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;

use super::deliver::Worker;
use crate::channels::Providers;
use crate::clock::Clock;
use crate::domain::{Change, DueShard, Notification, NotificationId, Tenant, Timestamp, UserId};
use crate::random::Random;
use crate::sample::{POLICY, START};
use crate::store::{Applied, Created, Due, Error, Page, Position, Store};
use crate::traces::Traces;

/// What every clock here says.
pub(super) const NOW: Timestamp = START;

type Answers = dyn Fn(NotificationId, &Change) -> Result<Applied, Error> + Send + Sync;

pub(super) struct StubStore {
    pub apply: Box<Answers>,
    /// Of every shard.
    pub due: Vec<Due>,
    /// How often one asked what is due.
    pub looks: AtomicU32,
}

impl fmt::Debug for StubStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StubStore")
    }
}

impl StubStore {
    pub(super) fn new(apply: impl Fn(NotificationId, &Change) -> Result<Applied, Error> + Send + Sync + 'static) -> Self {
        Self { apply: Box::new(apply), due: Vec::new(), looks: AtomicU32::new(0) }
    }
}

#[async_trait]
impl Store for StubStore {
    async fn create(&self, _: &Notification) -> Result<Created, Error> {
        panic!("nobody creates here")
    }

    async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        (self.apply)(id, change)
    }

    async fn get(&self, _: &Tenant, _: NotificationId) -> Result<Option<Notification>, Error> {
        panic!("nobody reads here")
    }

    async fn list(&self, _: &Tenant, _: &UserId, _: u32, _: Option<Position>) -> Result<Page, Error> {
        panic!("nobody reads here")
    }

    async fn due(&self, _: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let behind = after.and_then(|after| self.due.iter().position(|due| *due == after)).map_or(0, |at| at + 1);
        Ok(self.due.iter().skip(behind).take(limit.try_into().unwrap()).copied().collect())
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Debug)]
struct StandsStill;

impl Clock for StandsStill {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// All bytes are this one: a fraction from 0 (0) to 1 (255).
#[derive(Debug)]
pub(super) struct Always(pub u8);

impl Random for Always {
    fn bytes(&self) -> [u8; 16] {
        [self.0; 16]
    }
}

pub(super) fn worker(store: Arc<StubStore>, providers: Providers, random: Always, traces: Traces) -> Arc<Worker> {
    Arc::new(Worker {
        store,
        providers: Arc::new(providers),
        clock: Arc::new(StandsStill),
        random: Arc::new(random),
        policy: POLICY,
        metrics: Arc::default(),
        traces,
    })
}
