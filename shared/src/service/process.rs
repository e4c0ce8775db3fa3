//! A batch of events: each claim → send → finish. No record ever blocks its partition: what failed, was
//! not begun in time, or is poison is done for Kafka, because `due` has the truth. So is what its provider has
//! no room for, or is left alone with: a slow provider costs a batch `SEND_TIMEOUT` of waiting and what it
//! has begun by then, and is then left to redrive for a while, so that others are not held up again. So is one that
//! is slow and has room, once the log has stood behind it for nearly a batch's budget.
//!
//! The same event may come any number of times: the claim decides.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use serde::Serialize;
use thiserror::Error;
use tokio::time::Instant;
use tracing::Instrument;

use super::Budget;
use super::deliver::{Delivery, Worker};
use crate::channels::lane::Slow;
use crate::events::batch::{Deliver, Record};
use crate::store;
use crate::telemetry::trail;
use crate::traces::Span;

/// How many keys are looked at side by side: more than a usual batch has, as those that wait for one provider
/// must not keep others from theirs. How many are *attempted* at once is for the lanes to say.
const SIDE_BY_SIDE: usize = 1_000;
/// A provider that takes this part of `SEND_TIMEOUT` for an answer, a fifth, is slow.
const SLOW_SHARE: u32 = 5;

#[derive(Debug)]
pub struct Process {
    pub worker: Arc<Worker>,
}

/// What a batch bears of a slow provider.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until when its records wait for room.
    room_until: Instant,
    /// For how long a record may have waited in the log behind a slow one: what stands behind it has waited as long.
    log_for: Duration,
}

/// What became of the records of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// An attempt was made, or the notification was brought to its end.
    pub attempted: u32,
    /// Held by someone, not due, final, gone, of an unknown kind, or not readable.
    pub left: u32,
    /// No time was left to begin, or the process is stopping.
    pub not_begun: u32,
    /// Their provider is left alone, or too slow for all of them: not claimed.
    pub waiting: u32,
    /// The claim did not reach the store.
    pub failed: u32,
    pub passed_over: u32,
    pub poison: u32,
}

/// No claim of the batch reached the store: let all of it come again.
#[derive(Debug, Error)]
#[error("no claim of the batch reached the store ({failed} failed, {not_begun} were not begun)")]
pub struct NothingReached {
    pub failed: u32,
    pub not_begun: u32,
}

impl Process {
    pub async fn run(&self, records: Vec<Record>, budget: &Budget) -> Result<Report, NothingReached> {
        let mut report = Report::default();
        let mut by_key: BTreeMap<String, Vec<Deliver>> = BTreeMap::new();
        let send_timeout = self.worker.policy.send_timeout;
        let patience = Patience {
            // Long enough for an attempt that was there before to end, and no longer: a batch holds up the next one.
            room_until: Instant::now() + send_timeout,
            // With the wait for room and all of the attempt after it no more than a batch's budget.
            log_for: budget.remaining().saturating_sub(2 * send_timeout + Budget::BESIDE_SEND).max(send_timeout),
        };
        for record in records {
            match record {
                Record::Deliver(deliver) => by_key.entry(deliver.key.clone()).or_default().push(deliver),
                Record::PassedOver => report.passed_over += 1,
                Record::Poison { place, why } => {
                    tracing::error!(partition = place.partition, offset = place.offset, why, "poison: passed over");
                    self.worker.metrics.poisoned();
                    report.poison += 1;
                }
            }
        }
        let in_order = |(key, asked)| self.in_order(key, asked, patience, budget);
        let counts = stream::iter(by_key).map(in_order).buffer_unordered(SIDE_BY_SIDE);
        let report = counts.fold(report, |sum, one| async move { sum.plus(one) }).await;
        let reached = report.attempted + report.left;
        if reached == 0 && report.failed > 0 {
            // Whoever found no room waited for claims that the store let hang, and not for a provider.
            self.worker.providers.lanes().iter().for_each(|lane| lane.catch_up());
        }
        if reached == 0 && report.failed + report.not_begun > 0 {
            return Err(NothingReached { failed: report.failed, not_begun: report.not_begun });
        }
        Ok(report)
    }

    async fn in_order(&self, key: String, asked: Vec<Deliver>, patience: Patience, budget: &Budget) -> Report {
        let mut report = Report::default();
        let slow_from = self.worker.policy.send_timeout / SLOW_SHARE;
        // By then `due` has brought on whatever is left undone here.
        let caught_up = || Instant::now() + self.worker.policy.due_guard;
        for Deliver { id, channel, place, written_at, parent, .. } in asked {
            let lane = self.worker.providers.lane(channel);
            if written_at.is_some_and(|at| at.until(self.worker.clock.now()) >= patience.log_for) {
                match lane.slow_within(patience.log_for) {
                    Slow::ForNobody => {}
                    // It waited for its own user's: others' may be quick.
                    Slow::ForOne(_) | Slow::ForSeveral if report.attempted > 0 => {
                        lane.user_falls_behind(key.clone(), caught_up());
                    }
                    Slow::ForOne(user) => lane.user_falls_behind(user, caught_up()),
                    Slow::ForSeveral => lane.fall_behind(caught_up()),
                }
            }
            if lane.is_behind_for(&key) {
                report.waiting += 1;
                continue;
            }
            // A panic costs its own record and no other; its lease runs out.
            let span = trail::of_background(id);
            let mut traced = self.worker.traces.work(id, channel, &place, parent);
            let delivery = self.worker.deliver_within(traced.context(), id, channel, patience.room_until, budget);
            let delivery = AssertUnwindSafe(delivery).catch_unwind().instrument(span.clone()).await;
            tell(&mut traced, &delivery);
            drop(traced);
            span.in_scope(|| match delivery {
                Ok(Ok(Delivery::Attempted(n))) => {
                    if let Some(attempt) = n.attempts.last().filter(|attempt| attempt.provider_was_asked()) {
                        self.worker.providers.lane(n.channel).was_slow(attempt.took() >= slow_from, &key);
                    }
                    report.attempted += 1;
                }
                Ok(Ok(Delivery::Ended(_) | Delivery::Unfinished(_))) => report.attempted += 1,
                Ok(Ok(Delivery::Left(_))) => report.left += 1,
                Ok(Ok(Delivery::NotBegun)) => {
                    // The time went by with this user's own attempts: the next batch is for others.
                    if report.attempted > 0 {
                        lane.user_falls_behind(key.clone(), caught_up());
                    }
                    report.not_begun += 1;
                }
                Ok(Ok(Delivery::Full)) => {
                    lane.fall_behind(caught_up());
                    report.waiting += 1;
                }
                Ok(Ok(Delivery::LeftAlone)) => report.waiting += 1,
                Ok(Ok(Delivery::Missing)) => {
                    tracing::warn!("an event names a notification that is not there");
                    report.left += 1;
                }
                Ok(Ok(Delivery::Foreign)) => {
                    tracing::warn!("left alone: of an unknown kind or a newer version");
                    report.left += 1;
                }
                // The store was reached, and what lies there would be no more readable when it comes again.
                Ok(Err(error @ store::Error::Unreadable { .. })) => {
                    tracing::error!(%error, "left alone: it can't be read");
                    report.left += 1;
                }
                Ok(Err(error)) => {
                    error.tell("not claimed: redrive will bring it");
                    report.failed += 1;
                }
                Err(_panic) => {
                    tracing::error!("the worker panicked: redrive will bring it");
                    report.left += 1;
                }
            });
        }
        report
    }
}

/// What became of one record, for its span.
fn tell<P>(span: &mut Span, delivery: &Result<Result<Delivery, store::Error>, P>) {
    match delivery {
        Ok(Ok(Delivery::Attempted(_))) => span.worked("attempted"),
        Ok(Ok(Delivery::Ended(_))) => span.worked("ended"),
        Ok(Ok(Delivery::Left(_))) => span.worked("left"),
        Ok(Ok(Delivery::Unfinished(_))) => span.not_worked("unfinished"),
        Ok(Ok(Delivery::NotBegun)) => span.worked("not-begun"),
        Ok(Ok(Delivery::Full)) => span.worked("full"),
        Ok(Ok(Delivery::LeftAlone)) => span.worked("left-alone"),
        Ok(Ok(Delivery::Missing)) => span.not_worked("missing"),
        Ok(Ok(Delivery::Foreign)) => span.not_worked("foreign"),
        Ok(Err(store::Error::Unreadable { .. })) => span.not_worked("unreadable"),
        Ok(Err(_)) => span.not_worked("not-claimed"),
        Err(_panic) => span.not_worked("panicked"),
    }
}

impl Report {
    const fn plus(self, other: Self) -> Self {
        Self {
            attempted: self.attempted + other.attempted,
            left: self.left + other.left,
            not_begun: self.not_begun + other.not_begun,
            waiting: self.waiting + other.waiting,
            failed: self.failed + other.failed,
            passed_over: self.passed_over + other.passed_over,
            poison: self.poison + other.poison,
        }
    }
}

#[cfg(test)]
mod tests;
