//! What a client may ask for: a new notification, a stop, another try. Whatever is answered as accepted
//! is in the store with a due time, and reaches a final status without any further call.
//!
//! Crash windows of a create: before the put, nothing happened; between put and event, `due` brings the
//! notification to redrive after its guard; after the event, the event does.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::deliver::{Delivery, Worker};
use super::{Budget, Error};
use crate::channels::lane::Condition;
use crate::domain::notification::Birth;
use crate::domain::{Change, Channel, DueAt, NewNotification, Notification, NotificationId, Status, Tenant, Timestamp};
use crate::events::outbox::Handed;
use crate::events::{Event, Mode, Outbox};
use crate::store::{Applied, Created};
use crate::telemetry::trail;

#[derive(Debug)]
pub struct Create {
    pub worker: Arc<Worker>,
    pub outbox: Arc<Outbox>,
}

#[derive(Clone, Debug)]
pub enum Creation {
    /// Stored; it will be processed in the background.
    Accepted(Box<Notification>),
    /// Stored, and its first attempt was made at once: as that left it.
    Attempted(Box<Notification>),
    /// The same request was here before: the notification as it stands now.
    Replayed(Box<Notification>),
    /// Another request was here before under the same key.
    KeyReused,
}

#[derive(Clone, Debug)]
pub enum Cancellation {
    /// No attempt starts any more.
    Cancelled(Box<Notification>),
    NotCancellable(Status),
    NotFound,
}

#[derive(Clone, Debug)]
pub enum Retrial {
    Accepted(Box<Notification>),
    Attempted(Box<Notification>),
    NotRetryable(Status),
    NotFound,
}

#[derive(Clone, Debug)]
pub struct Readiness {
    pub mode: Mode,
    /// Why this process may not read the events that it publishes.
    pub unread: Option<String>,
    /// Why the store can't be used.
    pub store: Result<(), String>,
    /// Of the channels that are on, as this process finds their providers.
    pub lanes: Vec<LaneReadiness>,
    pub now: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneReadiness {
    pub channel: Channel,
    pub provider: &'static str,
    pub condition: Condition,
}

impl Create {
    pub async fn create(&self, new: NewNotification, budget: &Budget) -> Result<Creation, Error> {
        let (channel, begun) = (new.channel, Instant::now());
        let creation = self.create_within(new, budget).await;
        self.worker.metrics.create_took(channel, begun.elapsed());
        creation
    }

    async fn create_within(&self, new: NewNotification, budget: &Budget) -> Result<Creation, Error> {
        let notification = self.born(new);
        trail::is_about(notification.id);
        crate::crash_point!(BeforePut);
        match budget.bound(self.worker.put(&notification)).await? {
            Created::Existing(first) if first.fingerprint == notification.fingerprint => Ok(Creation::Replayed(first)),
            Created::Existing(_) => Ok(Creation::KeyReused),
            Created::Foreign => Err(Error::Foreign),
            Created::New => Ok(match self.set_off(Box::new(notification), budget).await? {
                SetOff::InBackground(n) => Creation::Accepted(n),
                SetOff::AtOnce(n) => Creation::Attempted(n),
            }),
        }
    }

    pub async fn cancel(&self, tenant: &Tenant, id: NotificationId) -> Result<Cancellation, Error> {
        if self.worker.store.get(tenant, id).await?.is_none() {
            return Ok(Cancellation::NotFound);
        }
        let now = self.worker.clock.now();
        let change = Change::Cancel { now, ttl: now.plus(self.worker.policy.retention) };
        match self.worker.apply(id, &change).await? {
            Applied::Done(n) => Ok(Cancellation::Cancelled(n)),
            Applied::Refused(n) => Ok(Cancellation::NotCancellable(n.status)),
            Applied::Missing => Ok(Cancellation::NotFound),
            Applied::Foreign => Err(Error::Foreign),
        }
    }

    pub async fn retry(&self, tenant: &Tenant, id: NotificationId, budget: &Budget) -> Result<Retrial, Error> {
        let Some(n) = budget.bound(self.worker.store.get(tenant, id)).await? else { return Ok(Retrial::NotFound) };
        if n.status != Status::Failed {
            return Ok(Retrial::NotRetryable(n.status));
        }
        let now = self.worker.clock.now();
        let policy = &self.worker.policy;
        let change = Change::Retry {
            now,
            attempt: n.attempt,
            attempt_limit: n.attempt.saturating_add(policy.retry.max_attempts),
            due_at: DueAt::first(now.plus(policy.due_guard)),
        };
        match budget.bound(self.worker.apply(id, &change)).await? {
            Applied::Done(n) => Ok(match self.set_off(n, budget).await? {
                SetOff::InBackground(n) => Retrial::Accepted(n),
                SetOff::AtOnce(n) => Retrial::Attempted(n),
            }),
            Applied::Refused(n) => Ok(Retrial::NotRetryable(n.status)),
            Applied::Missing => Ok(Retrial::NotFound),
            Applied::Foreign => Err(Error::Foreign),
        }
    }

    pub async fn readiness(&self, budget: &Budget) -> Readiness {
        let store = budget.bound(self.worker.store.check()).await.map_err(|error| error.to_string());
        let lanes = self.worker.providers.lanes().iter().filter_map(|lane| {
            Some(LaneReadiness { channel: lane.channel(), provider: lane.name()?, condition: lane.condition() })
        });
        let (mode, unread) = (self.outbox.mode(), self.outbox.reading.refusal());
        Readiness { mode, unread, store, lanes: lanes.collect(), now: self.worker.clock.now() }
    }

    fn born(&self, new: NewNotification) -> Notification {
        let Worker { clock, random, policy, .. } = &*self.worker;
        let now = clock.now();
        let id = match &new.idempotency_key {
            Some(key) => key.notification_id(&new.tenant),
            None => random.notification_id(now),
        };
        let birth = Birth {
            id,
            create_token: random.token(),
            now,
            attempt_limit: policy.retry.max_attempts,
            due_guard: policy.due_guard,
        };
        Notification::create(new, birth)
    }

    /// Brings a stored notification to its worker: by Kafka, or here and now where Kafka does not take it.
    /// The promise is given already: whatever fails from here on, `due` has it.
    async fn set_off(&self, n: Box<Notification>, budget: &Budget) -> Result<SetOff, Error> {
        crate::crash_point!(AfterPut);
        let now = self.worker.clock.now();
        // What was due when it was written is due: a clock that was set back since must not leave it to redrive.
        if n.status.is_final() || n.not_before > now.max(n.updated_at) {
            return Ok(SetOff::InBackground(n));
        }
        // Without an answer in all that time the event may be on its way: then nothing is claimed here either.
        let handed = timeout_at(budget.deadline, self.outbox.hand_over(&Event::due(&n, now))).await;
        match handed.unwrap_or(Handed::Unanswered) {
            Handed::Published => Ok(SetOff::InBackground(n)),
            // A client doesn't wait for other clients' attempts: without room at once it is left to `due`.
            Handed::Unanswered | Handed::NotPublished => match self.worker.deliver(n.id, n.channel, Instant::now(), budget).await
            {
                Ok(Delivery::Attempted(after) | Delivery::Ended(after)) => Ok(SetOff::AtOnce(after)),
                Ok(Delivery::Left(now) | Delivery::Unfinished(now)) => Ok(SetOff::InBackground(now)),
                Ok(Delivery::NotBegun | Delivery::Full | Delivery::LeftAlone) => Ok(SetOff::InBackground(n)),
                Ok(Delivery::Missing | Delivery::Foreign) => Err(Error::Foreign),
                Err(error) => {
                    tracing::warn!(%error, "stored, but not claimed: redrive will bring it");
                    Ok(SetOff::InBackground(n))
                }
            },
        }
    }
}

enum SetOff {
    InBackground(Box<Notification>),
    AtOnce(Box<Notification>),
}
