//! One attempt: room → claim → send → finish. Used by `process` for an event, by `create` and `retry` where
//! there is no Kafka, and by redrive where Kafka did not help.
//!
//! Room at the provider comes first ([`crate::channels::lane`]): what waits for it is unclaimed, counts no
//! attempt, and is brought back by `due`.
//!
//! What may happen twice, and where a crash may fall:
//! - before the claim: nothing happened; `due` brings the notification back.
//! - between claim and send: the lease runs out, the attempt counts as unknown, and it is taken over or
//!   given up.
//! - between send and finish: the same, but the provider may have it. That is why an attempt with an
//!   unknown end is repeated only where the provider drops repeats or `ON_UNKNOWN` allows it.
//!
//! Two workers never send the same attempt: whoever holds the claim token sends, and only while enough
//! of the lease is left by a clock that was started before the claim.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Budget, OnUnknown, Policy};
use crate::channels::lane::{Permit, Turn};
use crate::channels::registry::Providers;
use crate::channels::{Message, Sent};
use crate::clock::Clock;
use crate::domain::attempt::{self, Detail};
use crate::domain::change::GiveUp;
use crate::domain::step::Step;
use crate::domain::{Attempt, Change, Channel, ErrorCode, Next, Notification, NotificationId, Outcome, Timestamp, Token};
use crate::metrics::Metrics;
use crate::random::Random;
use crate::store::{self, Applied, Store};
use crate::telemetry::trail;
use crate::traces::{Context, Traces};

#[derive(Debug)]
pub struct Worker {
    pub store: Arc<dyn Store>,
    pub providers: Arc<Providers>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub policy: Policy,
    pub metrics: Arc<Metrics>,
    pub traces: Traces,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// An attempt was made and recorded; the notification after it.
    Attempted(Box<Notification>),
    /// It ended without another attempt: expired, or given up.
    Ended(Box<Notification>),
    /// Someone holds it, it is not due, or it is final: as it stands.
    Left(Box<Notification>),
    /// An attempt was made and could not be recorded in time: the lease will run out.
    Unfinished(Box<Notification>),
    /// Too little time was left, or the process is stopping.
    NotBegun,
    /// As many attempts are under way on its channel as may be: not claimed.
    Full,
    /// Its provider is left alone for a while: not claimed.
    LeftAlone,
    Missing,
    Foreign,
}

/// A claimed notification. It is moved into the attempt, so that one claim can't be sent twice.
struct Held {
    notification: Box<Notification>,
    token: Token,
    /// Kept until the attempt is recorded.
    permit: Permit,
    /// Started before the claim was asked for, so that it never says more lease than there is.
    since: Instant,
    /// The span of the work that this is part of.
    within: Option<Context>,
}

impl Worker {
    /// Claims and attempts; what can't be claimed is taken over, expired or given up where that is due. For
    /// room it waits until `patience` at most. An error means that the first write did not reach the store.
    pub async fn deliver(
        &self,
        id: NotificationId,
        channel: Channel,
        patience: Instant,
        budget: &Budget,
    ) -> Result<Delivery, store::Error> {
        self.deliver_within(None, id, channel, patience, budget).await
    }

    /// As [`Self::deliver`], as a part of the work whose span this is.
    pub async fn deliver_within(
        &self,
        within: Option<Context>,
        id: NotificationId,
        mut channel: Channel,
        patience: Instant,
        budget: &Budget,
    ) -> Result<Delivery, store::Error> {
        loop {
            let permit = match self.room(channel, patience, budget).await {
                Ok(permit) => permit,
                Err(not_begun) => return Ok(not_begun),
            };
            crate::crash_point!(BeforeClaim);
            let since = Instant::now();
            let now = self.clock.now();
            let (token, lease_until) = (self.random.token(), now.plus(self.policy.lease));
            let claim = Change::Claim { now, skew: self.policy.clock_skew, token, lease_until, channel };
            return match budget.bound(self.apply(id, &claim)).await? {
                Applied::Done(notification) => {
                    Ok(self.attempt(Held { notification, token, permit, since, within }, budget).await)
                }
                Applied::Refused(seen) if seen.channel != channel => {
                    // An event said so. The notification's own word never changes: this happens once.
                    channel = seen.channel;
                    continue;
                }
                Applied::Refused(seen) => self.resolve(seen, Some(permit), within, patience, budget).await,
                Applied::Missing => Ok(Delivery::Missing),
                Applied::Foreign => Ok(Delivery::Foreign),
            };
        }
    }

    /// As [`Self::deliver`], for a notification that was seen just now; it waits for nothing.
    pub async fn advance(&self, seen: Box<Notification>, budget: &Budget) -> Result<Delivery, store::Error> {
        match self.step(&seen) {
            Step::Claim => self.deliver(seen.id, seen.channel, Instant::now(), budget).await,
            Step::TakeOver { .. } | Step::GiveUp { .. } | Step::Expire | Step::Held | Step::Wait | Step::Nothing => {
                self.resolve(seen, None, None, Instant::now(), budget).await
            }
        }
    }

    /// Room for an attempt, or why none may begin.
    async fn room(&self, channel: Channel, patience: Instant, budget: &Budget) -> Result<Permit, Delivery> {
        let send_timeout = self.policy.send_timeout;
        if !budget.allows_claim(send_timeout) {
            return Err(Delivery::NotBegun);
        }
        let turn = tokio::select! {
            biased;
            turn = self.providers.lane(channel).enter(patience.min(budget.last_claim(send_timeout))) => turn,
            () = budget.stop.cancelled() => return Err(Delivery::NotBegun),
        };
        match turn {
            Turn::Go(permit) if budget.allows_claim(send_timeout) => Ok(permit),
            Turn::Go(_too_late) => Err(Delivery::NotBegun),
            Turn::Full => Err(Delivery::Full),
            Turn::LeftAlone => Err(Delivery::LeftAlone),
        }
    }

    #[must_use]
    pub fn step(&self, seen: &Notification) -> Step {
        Step::of(seen, self.clock.now(), self.policy.clock_skew, self.repeat_allowed(seen.channel))
    }

    /// What can be done for a notification that can't simply be claimed.
    async fn resolve(
        &self,
        seen: Box<Notification>,
        permit: Option<Permit>,
        within: Option<Context>,
        patience: Instant,
        budget: &Budget,
    ) -> Result<Delivery, store::Error> {
        trail::goes_back_to(&seen);
        match self.step(&seen) {
            // A claim was refused just now and could be made now: somebody else is at it.
            Step::Claim | Step::Held | Step::Wait | Step::Nothing => Ok(Delivery::Left(seen)),
            Step::TakeOver { lost } => {
                let room = match permit {
                    Some(permit) => Ok(permit),
                    None => self.room(seen.channel, patience, budget).await,
                };
                match room {
                    Ok(permit) => self.take_over(seen, lost, permit, within, budget).await,
                    Err(not_begun) => Ok(not_begun),
                }
            }
            Step::GiveUp { lost, reason } => self.give_up(&seen, lost, reason, budget).await,
            Step::Expire => {
                let now = self.clock.now();
                self.end(seen.id, &Change::Expire { now, ttl: now.plus(self.policy.retention) }, budget).await
            }
        }
    }

    async fn take_over(
        &self,
        seen: Box<Notification>,
        lost: Token,
        permit: Permit,
        within: Option<Context>,
        budget: &Budget,
    ) -> Result<Delivery, store::Error> {
        if !budget.allows_claim(self.policy.send_timeout) {
            return Ok(Delivery::NotBegun);
        }
        let since = Instant::now();
        let now = self.clock.now();
        let token = self.random.token();
        let change = Change::TakeOver {
            now,
            skew: self.policy.clock_skew,
            token,
            lease_until: now.plus(self.policy.lease),
            lost,
            attempts: attempt::with(&seen.attempts, Attempt::lost(&seen, now, token)),
        };
        match budget.bound(self.apply(seen.id, &change)).await? {
            Applied::Done(notification) => {
                crate::crash_point!(AfterTakeOver);
                tracing::warn!(attempt.number = seen.attempt, "took over from a lost worker");
                Ok(self.attempt(Held { notification, token, permit, since, within }, budget).await)
            }
            Applied::Refused(seen) => Ok(Delivery::Left(seen)),
            Applied::Missing => Ok(Delivery::Missing),
            Applied::Foreign => Ok(Delivery::Foreign),
        }
    }

    async fn give_up(&self, seen: &Notification, lost: Token, reason: GiveUp, budget: &Budget) -> Result<Delivery, store::Error> {
        let now = self.clock.now();
        let attempts = attempt::with(&seen.attempts, Attempt::lost(seen, now, self.random.token()));
        let ttl = now.plus(self.policy.retention);
        tracing::warn!(attempt.number = seen.attempt, ?reason, "gave up after a lost worker");
        let change = Change::GiveUp { now, skew: self.policy.clock_skew, lost, reason, attempts, ttl };
        self.end(seen.id, &change, budget).await
    }

    async fn end(&self, id: NotificationId, change: &Change, budget: &Budget) -> Result<Delivery, store::Error> {
        Ok(match budget.bound(self.apply(id, change)).await? {
            Applied::Done(ended) => Delivery::Ended(ended),
            Applied::Refused(seen) => Delivery::Left(seen),
            Applied::Missing => Delivery::Missing,
            Applied::Foreign => Delivery::Foreign,
        })
    }

    async fn attempt(&self, held: Held, budget: &Budget) -> Delivery {
        crate::crash_point!(AfterClaim);
        trail::goes_back_to(&held.notification);
        // Who claimed within the skew waits: nothing is sent before its time. The claim allowed for no more
        // than the skew, so a clock that was set back since must not make the wait any longer.
        let wait = self.clock.now().until(held.notification.not_before).min(self.policy.clock_skew);
        let most = budget.remaining().saturating_sub(Budget::BESIDE_SEND);
        let cut_short = tokio::select! {
            biased;
            () = sleep(wait.min(most)) => wait > most,
            () = budget.stop.cancelled(), if !wait.is_zero() => true,
        };
        let started_at = self.clock.now();
        let provider = self.providers.get(held.notification.channel).map(|provider| provider.name().to_owned());
        let sent = if cut_short {
            Sent::NotSent { code: ErrorCode::LeaseTooShort, detail: None, retry_after: None }
        } else {
            self.send(&held, started_at, budget).await
        };
        crate::crash_point!(AfterSend);
        let finish = self.finish_of(&held, started_at, provider, sent);
        self.finish(held, &finish, budget).await
    }

    async fn send(&self, held: &Held, started_at: Timestamp, budget: &Budget) -> Sent {
        let n = &held.notification;
        let not_sent = |code| Sent::NotSent { code, detail: None, retry_after: None };
        let Some(provider) = self.providers.get(n.channel) else { return not_sent(ErrorCode::ChannelOff) };
        if n.to.is_none() && provider.needs_recipient() {
            return Sent::Refused { code: ErrorCode::RecipientMissing, detail: None };
        }
        if n.is_expired(started_at) {
            return not_sent(ErrorCode::Expired);
        }
        let needed = self.policy.send_timeout + self.policy.clock_skew;
        if held.since.elapsed() + needed > self.policy.lease || budget.remaining() < self.policy.send_timeout {
            return not_sent(ErrorCode::LeaseTooShort);
        }
        let mut span = self.traces.attempt(n, provider.name(), held.within);
        let traceparent = span.context().map(|context| context.to_string()).or_else(|| n.traceparent.clone());
        let message = Message::of(n, started_at, traceparent);
        let sending = AssertUnwindSafe(provider.send(&message)).catch_unwind();
        let sent = match timeout(self.policy.send_timeout, sending).await {
            Ok(Ok(sent)) => sent,
            // The request may have gone out before the panic.
            Ok(Err(_panic)) => Sent::Unknown { code: ErrorCode::WorkerPanicked, detail: None },
            Err(_elapsed) => Sent::Unknown { code: ErrorCode::Timeout, detail: None },
        };
        span.sent(&sent);
        held.permit.answered(&sent, &*self.random);
        sent
    }

    fn finish_of(&self, held: &Held, started_at: Timestamp, provider: Option<String>, sent: Sent) -> Change {
        let n = &held.notification;
        let now = self.clock.now();
        let ttl = now.plus(self.policy.retention);
        let (outcome, code, detail, next) = match sent {
            Sent::Accepted { provider_message_id } => (Outcome::Accepted, None, None, Next::Sent { provider_message_id, ttl }),
            Sent::Refused { code, detail } => (Outcome::Refused, Some(code), detail.clone(), Next::Failed { code, detail, ttl }),
            Sent::NotSent { code, detail, retry_after } => {
                (Outcome::NotSent, Some(code), detail, self.again(n, code, now, retry_after))
            }
            Sent::Unknown { code, detail } => {
                let next = if self.repeat_allowed(n.channel) {
                    self.again(n, code, now, None)
                } else {
                    Next::Failed { code, detail: detail.clone(), ttl }
                };
                (Outcome::Unknown, Some(code), detail, next)
            }
        };
        let record = Attempt {
            number: n.attempt,
            started_at,
            finished_at: now,
            channel: n.channel,
            provider: provider.clone(),
            outcome,
            code,
            detail,
            token: held.token,
        };
        let attempts = attempt::with(&n.attempts, record);
        Change::Finish { now, token: held.token, attempt: n.attempt, provider, attempts, next }
    }

    /// Exhausted attempts are `Failed` first; a retry that would come too late is `Expired` at once.
    fn again(&self, n: &Notification, last: ErrorCode, now: Timestamp, retry_after: Option<Duration>) -> Next {
        let ttl = now.plus(self.policy.retention);
        if n.is_exhausted() {
            let detail = Some(Detail::cut(last.message()));
            return Next::Failed { code: ErrorCode::AttemptsExhausted, detail, ttl };
        }
        let retry = self.policy.retry.retry_after_attempt(n.attempt, n.attempt_limit);
        let not_before = now.plus(self.policy.retry.delay(retry, self.random.fraction(), retry_after));
        if n.is_expired(not_before) { Next::Expired { ttl } } else { Next::Retrying { not_before } }
    }

    /// Repeats until it is answered or time is up, past the lease too: the finish holds as long as nobody
    /// took over, and is refused if someone did. Who was frozen past all time still tries: what it knows
    /// would else become an unknown, and be sent again.
    async fn finish(&self, held: Held, finish: &Change, budget: &Budget) -> Delivery {
        let (id, number) = (held.notification.id, held.notification.attempt);
        let mut pause = Duration::from_millis(50);
        let deadline = if budget.remaining().is_zero() { Instant::now() + Budget::BESIDE_SEND } else { budget.deadline };
        loop {
            match timeout_at(deadline, self.apply(id, finish)).await {
                Ok(Ok(Applied::Done(finished))) => {
                    crate::crash_point!(AfterFinish);
                    log_attempt(&finished);
                    return Delivery::Attempted(finished);
                }
                Ok(Ok(Applied::Refused(taken))) => {
                    tracing::warn!(attempt.number = number, "the attempt ended after another worker had taken over");
                    return Delivery::Left(taken);
                }
                Ok(Ok(Applied::Missing)) => return Delivery::Missing,
                Ok(Ok(Applied::Foreign)) => return Delivery::Foreign,
                Ok(Err(error)) if budget.remaining() > pause => {
                    tracing::warn!(%error, "the attempt could not be recorded yet");
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!(attempt.number = number, "the attempt could not be recorded: its lease will run out");
                    return Delivery::Unfinished(held.notification);
                }
            }
        }
    }

    fn repeat_allowed(&self, channel: Channel) -> bool {
        match self.policy.on_unknown {
            OnUnknown::Retry => true,
            OnUnknown::Fail => self.providers.get(channel).is_some_and(|provider| provider.drops_repeats()),
        }
    }
}

fn log_attempt(n: &Notification) {
    let Some(last) = n.attempts.last() else { return };
    tracing::info!(
        attempt.number = last.number,
        channel = last.channel.as_str(),
        provider = last.provider.as_deref(),
        outcome = last.outcome.as_str(),
        code = last.code.map(ErrorCode::as_str),
        status = n.status.as_str(),
        duration_ms = last.took().as_millis(),
        "attempt finished"
    );
}

#[cfg(test)]
mod tests;
