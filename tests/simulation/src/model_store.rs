//! The store as a map: each guard and each assignment read a second time, at the level of the domain. It
//! passes the same contract suite as the real stores. It has no faults of its own; [`super::store`]
//! brings them. [`Sabotage`] makes it forget one of its duties, to prove that the oracle would see that.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use shared::domain::change::{Assignment, Guard};
use shared::domain::{Change, DueAt, DueShard, Notification, NotificationId, Status, Tenant, Timestamp, UserId};
use shared::store::{Applied, Created, Due, Error, Page, Position, Store};
use uuid::Uuid;

use crate::sabotage::Sabotage;

#[derive(Debug, Default)]
pub struct ModelStore {
    state: Mutex<State>,
    sabotage: Option<Sabotage>,
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<NotificationId, Notification>,
    due: BTreeSet<(u8, DueAt, NotificationId)>,
}

/// A write that took place, for whoever watches.
#[derive(Debug)]
pub struct Written {
    pub before: Option<Notification>,
    pub after: Notification,
}

impl State {
    fn put(&mut self, n: Notification) {
        let shard = DueShard::of(n.id).number();
        if let Some(due_at) = self.items.get(&n.id).and_then(|before| before.due_at) {
            self.due.remove(&(shard, due_at, n.id));
        }
        if let Some(due_at) = n.due_at {
            self.due.insert((shard, due_at, n.id));
        }
        self.items.insert(n.id, n);
    }
}

impl ModelStore {
    #[must_use]
    pub fn new(sabotage: Option<Sabotage>) -> Self {
        Self { state: Mutex::default(), sabotage }
    }

    #[must_use]
    pub fn put(&self, n: &Notification) -> (Created, Option<Written>) {
        let mut state = self.lock();
        match state.items.get(&n.id) {
            Some(first) if self.sabotage != Some(Sabotage::CreateOverwrites) => {
                let own = first.create_token == n.create_token && self.sabotage != Some(Sabotage::LostAnswerIsRefusal);
                (if own { Created::New } else { Created::Existing(Box::new(first.clone())) }, None)
            }
            first => {
                let before = first.cloned();
                state.put(n.clone());
                (Created::New, Some(Written { before, after: n.clone() }))
            }
        }
    }

    #[must_use]
    pub fn update(&self, id: NotificationId, change: &Change) -> (Applied, Option<Written>) {
        let mut state = self.lock();
        let Some(before) = state.items.get(&id).cloned() else { return (Applied::Missing, None) };
        let guards = change.guards();
        if guards.iter().filter(|guard| self.asks(change, guard)).all(|guard| holds(guard, &before)) {
            let mut after = before.clone();
            for assignment in change.assignments() {
                self.assign(&mut after, assignment);
            }
            self.twist(change, &mut after);
            state.put(after.clone());
            return (Applied::Done(Box::new(after.clone())), Some(Written { before: Some(before), after }));
        }
        let recorded = self.sabotage != Some(Sabotage::LostAnswerIsRefusal) && change.is_recorded_in(&before);
        (if recorded { Applied::Done(Box::new(before)) } else { Applied::Refused(Box::new(before)) }, None)
    }

    #[must_use]
    pub fn read(&self, tenant: &Tenant, id: NotificationId) -> Option<Notification> {
        self.lock().items.get(&id).filter(|n| n.tenant == *tenant).cloned()
    }

    #[must_use]
    pub fn all(&self) -> Vec<Notification> {
        self.lock().items.values().cloned().collect()
    }

    #[must_use]
    pub fn undone(&self) -> usize {
        self.lock().items.values().filter(|n| !n.status.is_final()).count()
    }

    #[must_use]
    pub fn due_in(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Vec<Due> {
        let state = self.lock();
        let first = (shard.number(), DueAt::first(Timestamp::from_millis(i64::MIN)), NotificationId::from_uuid(Uuid::nil()));
        let from = after.map_or(Bound::Included(first), |due| Bound::Excluded((shard.number(), due.due_at, due.id)));
        let in_shard = state.due.range((from, Bound::Unbounded)).take_while(|key| key.0 == shard.number());
        in_shard.take(usize::try_from(limit).unwrap()).map(|(_, due_at, id)| Due { id: *id, due_at: *due_at }).collect()
    }

    fn asks(&self, change: &Change, guard: &Guard) -> bool {
        !self.sabotage.is_some_and(|sabotage| sabotage.drops(change, guard))
    }

    /// What a sabotaged store writes besides or leaves out.
    fn twist(&self, change: &Change, after: &mut Notification) {
        match self.sabotage {
            Some(Sabotage::CountedAtFinish) if matches!(change, Change::Claim { .. } | Change::TakeOver { .. }) => {
                after.attempt -= 1;
            }
            Some(Sabotage::CountedAtFinish) if matches!(change, Change::Finish { .. }) => after.attempt += 1,
            Some(Sabotage::RetryIsNotDue) if after.status == Status::Retrying => after.due_at = None,
            _ => {}
        }
    }

    fn assign(&self, n: &mut Notification, assignment: Assignment) {
        match assignment {
            Assignment::Status(status) => n.status = status,
            Assignment::UpdatedAt(at) => n.updated_at = at,
            Assignment::NextAttempt => n.attempt += 1,
            Assignment::AttemptLimit(limit) => n.attempt_limit = limit,
            Assignment::NotBefore(at) => n.not_before = at,
            Assignment::ClaimToken(token) => n.claim_token = Some(token),
            Assignment::LeaseUntil(at) => n.lease_until = Some(at),
            Assignment::Attempts(attempts) => n.attempts = attempts,
            Assignment::Provider(provider) => n.provider = Some(provider),
            Assignment::ProviderMessageId(id) => n.provider_message_id = Some(id),
            Assignment::SentAt(at) => n.sent_at = Some(at),
            Assignment::FinishedAt(at) => n.finished_at = Some(at),
            Assignment::Error(code, message) => (n.error_code, n.error_message) = (Some(code), Some(message)),
            Assignment::DueAt(due_at) => n.due_at = Some(due_at),
            // Here the shard is made from the id whenever the index is written.
            Assignment::DueShard => {}
            Assignment::Ttl(at) => n.ttl = Some(at),
            Assignment::RemoveDue => n.due_at = None,
            Assignment::RemoveLease => n.lease_until = None,
            Assignment::RemoveFinish => {
                (n.finished_at, n.error_code, n.error_message) = (None, None, None);
                if self.sabotage != Some(Sabotage::TtlLeftAtRetry) {
                    n.ttl = None;
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn holds(guard: &Guard, n: &Notification) -> bool {
    match guard {
        Guard::StatusIn(allowed) => allowed.contains(&n.status),
        Guard::NotBeforeAtMost(at) => n.not_before <= *at,
        Guard::BudgetLeft => n.attempt < n.attempt_limit,
        Guard::BudgetSpent => n.attempt >= n.attempt_limit,
        Guard::NotExpiredAt(at) => n.expires_at.is_none_or(|expires| expires > *at),
        Guard::ExpiredAt(at) => n.expires_at.is_some_and(|expires| expires <= *at),
        Guard::ClaimTokenIs(token) => n.claim_token == Some(*token),
        Guard::ClaimTokenIsNot(token) => n.claim_token != Some(*token),
        Guard::LeaseEndedBefore(at) => n.lease_until.is_some_and(|until| until < *at),
        Guard::AttemptIs(number) => n.attempt == *number,
        Guard::DueAtIs(due_at) => n.due_at == Some(*due_at),
        Guard::ChannelIs(channel) => n.channel == *channel,
    }
}

#[async_trait]
impl Store for ModelStore {
    async fn create(&self, notification: &Notification) -> Result<Created, Error> {
        Ok(self.put(notification).0)
    }

    async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        Ok(self.update(id, change).0)
    }

    async fn get(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Notification>, Error> {
        Ok(self.read(tenant, id))
    }

    async fn list(&self, tenant: &Tenant, user: &UserId, limit: u32, after: Option<Position>) -> Result<Page, Error> {
        let mut newest_first: Vec<Notification> = self.all();
        newest_first.retain(|n| {
            let older = after.is_none_or(|after| (n.created_at, n.id) < (after.created_at, after.id));
            n.tenant == *tenant && n.user_id == *user && older
        });
        newest_first.sort_by_key(|n| std::cmp::Reverse((n.created_at, n.id)));
        let limit = usize::try_from(limit).unwrap();
        let more = newest_first.len() > limit;
        newest_first.truncate(limit);
        let next = newest_first.last().filter(|_last| more).map(|n| Position { created_at: n.created_at, id: n.id });
        Ok(Page { notifications: newest_first, next })
    }

    async fn due(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error> {
        Ok(self.due_in(shard, limit, after))
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}
