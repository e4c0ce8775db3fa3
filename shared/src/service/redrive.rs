//! Whatever is due gets its event again: retries, scheduled sends, and what a crash left. The `due` index
//! has every notification that is not final, so nothing that was accepted can be forgotten.
//!
//! Order matters: first the re-arm, then the event. A crash between the two loses an event and not the
//! notification, which comes back at its new due time; the other way round, a crash would repeat events
//! without end. Overlapping runs are harmless: of two that see the same due time, one re-arm holds.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::Budget;
use super::deliver::{Delivery, Worker};
use crate::domain::step::Step;
use crate::domain::{Change, DueAt, DueShard, Notification, Timestamp};
use crate::events::outbox::Handed;
use crate::events::{Event, Outbox};
use crate::store::{self, Applied, Due};

/// How many due ones of a shard are read at once, and how many of them are worked on side by side.
const PAGE: u32 = 100;
const SIDE_BY_SIDE: usize = 8;
/// From this redrive of an attempt on, events have not helped: redrive does the work itself.
const BY_ITSELF: u32 = 3;
/// Between two passes that found the same work undone (a lagging index, a store that is away).
const BREATH: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Redrive {
    pub worker: Arc<Worker>,
    pub outbox: Arc<Outbox>,
}

/// What a run did, and what it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Got their event again.
    pub published: u32,
    /// Attempted or ended here.
    pub processed: u32,
    /// A live lease, or another run was first.
    pub passed: u32,
    /// Re-armed, and then not brought on: it comes again after its guard.
    pub put_off: u32,
    /// Due and not done: the store failed, or no time was left.
    pub left: u32,
}

enum Done {
    Published,
    Processed,
    Passed,
    PutOff,
    Left,
}

#[derive(Clone, Copy, Default)]
struct Pass {
    report: Report,
    /// The soonest that is not due yet.
    next: Option<Timestamp>,
    /// Shards that could not be read to their end.
    unread: u32,
}

impl Redrive {
    /// Works until nothing is due or the budget ends; waits for what becomes due before `idle_until`.
    pub async fn run(&self, budget: &Budget, idle_until: Instant) -> Report {
        let mut total = Report::default();
        loop {
            let pass = self.pass(budget).await;
            total = total.plus(pass.report);
            let progress = pass.report.published + pass.report.processed > 0;
            let over = budget.stop.is_cancelled() || !budget.allows_claim(self.worker.policy.send_timeout);
            let next = match pass.next {
                // There may be more already: look again at once.
                _ if progress => Some(Duration::ZERO),
                _ if pass.report.left > 0 => Some(BREATH),
                Some(at) => Some(self.worker.clock.now().until(at)),
                None => None,
            };
            let wake = next.map(|wait| Instant::now() + wait).filter(|wake| *wake < idle_until || progress);
            let last = budget.last_claim(self.worker.policy.send_timeout);
            let Some(wake) = wake.filter(|wake| !over && *wake < last) else {
                // What a later pass took up is not left.
                total.left = pass.report.left;
                log(total);
                return total;
            };
            tokio::select! {
                () = sleep_until(wake) => {}
                () = budget.stop.cancelled() => {}
            }
        }
    }

    /// Every shard once, side by side, from a random one on, so that overlapping runs begin apart.
    async fn pass(&self, budget: &Budget) -> Pass {
        let shards = DueShard::all_from(self.worker.random.byte());
        let passes = stream::iter(shards.map(|shard| self.shard(shard, budget))).buffer_unordered(usize::from(DueShard::COUNT));
        let pass = passes.fold(Pass::default(), |sum, one| async move { sum.plus(one) }).await;
        if pass.unread > 0 {
            tracing::error!(shards = pass.unread, "what is due can't be read: the store is tried again");
        }
        pass
    }

    async fn shard(&self, shard: DueShard, budget: &Budget) -> Pass {
        let mut pass = Pass::default();
        let mut after = None;
        while !budget.stop.is_cancelled() && !budget.remaining().is_zero() {
            let page = match self.worker.store.due(shard, PAGE, after).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(shard = shard.number(), %error, "what is due can't be read");
                    pass.unread = 1;
                    pass.report.left += 1;
                    return pass;
                }
            };
            let now = self.worker.clock.now();
            let (due, later): (Vec<Due>, Vec<Due>) = page.iter().copied().partition(|due| due.due_at.at <= now);
            let done = stream::iter(due).map(|due| self.redrive(due, budget)).buffer_unordered(SIDE_BY_SIDE);
            pass.report = done.fold(pass.report, |report, done| async move { report.and(&done) }).await;
            pass.next = later.first().map(|due| due.due_at.at);
            after = page.last().copied();
            if !later.is_empty() || page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                return pass;
            }
        }
        pass
    }

    async fn redrive(&self, due: Due, budget: &Budget) -> Done {
        // Re-armed and then not begun, it would wait for a guard's time more than it must.
        if !budget.allows_claim(self.worker.policy.send_timeout) {
            return Done::Left;
        }
        let redriven = due.due_at.redriven.saturating_add(1);
        match self.worker.store.apply(due.id, &self.rearm(due.due_at, redriven)).await {
            Ok(Applied::Done(n)) => match self.look(n, redriven, budget).await {
                Ok(done) => done,
                Err(error) => {
                    tracing::error!(notification.id = %due.id, %error, "re-armed, but not brought on: it comes again");
                    Done::PutOff
                }
            },
            // Finished, or another run was first: the index is behind its table.
            Ok(Applied::Refused(_) | Applied::Missing | Applied::Foreign) => Done::Passed,
            Err(error) => {
                tracing::error!(notification.id = %due.id, %error, "not known to be re-armed: it is due now or after its guard");
                Done::Left
            }
        }
    }

    /// Guards of 1, 2, then 10 times `DUE_GUARD`, jittered by up to a fifth more, so that what came due
    /// together does not come due together again.
    fn rearm(&self, seen: DueAt, redriven: u32) -> Change {
        let factor = match redriven {
            0 | 1 => 1,
            2 => 2,
            _ => 10,
        };
        let guard = self.worker.policy.due_guard * factor;
        let jitter = guard.mul_f64(self.worker.random.fraction() / 5.0);
        Change::Rearm { seen, due_at: DueAt { at: self.worker.clock.now().plus(guard + jitter), redriven } }
    }

    async fn look(&self, n: Box<Notification>, redriven: u32, budget: &Budget) -> Result<Done, store::Error> {
        match self.worker.step(&n) {
            Step::Held | Step::Wait | Step::Nothing => return Ok(Done::Passed),
            Step::Claim | Step::TakeOver { .. } => {
                let event = Event::due(&n, self.worker.clock.now());
                if redriven < BY_ITSELF && self.outbox.hand_over(&event).await == Handed::Published {
                    return Ok(Done::Published);
                }
            }
            Step::Expire | Step::GiveUp { .. } => {}
        }
        Ok(match self.worker.advance(n, budget).await? {
            Delivery::Attempted(_) | Delivery::Ended(_) | Delivery::Unfinished(_) => Done::Processed,
            Delivery::Left(_) | Delivery::Missing | Delivery::Foreign => Done::Passed,
            Delivery::NotBegun => Done::PutOff,
        })
    }
}

fn log(report: Report) {
    let Report { published, processed, passed, put_off, left } = report;
    if put_off + left > 0 {
        tracing::warn!(published, processed, passed, put_off, left, "redrive left work undone");
    } else if published + processed > 0 {
        tracing::info!(published, processed, passed, "redrive");
    }
}

impl Report {
    const fn plus(self, other: Self) -> Self {
        Self {
            published: self.published + other.published,
            processed: self.processed + other.processed,
            passed: self.passed + other.passed,
            put_off: self.put_off + other.put_off,
            left: self.left + other.left,
        }
    }

    const fn and(self, done: &Done) -> Self {
        let mut sum = self;
        let count = match done {
            Done::Published => &mut sum.published,
            Done::Processed => &mut sum.processed,
            Done::Passed => &mut sum.passed,
            Done::PutOff => &mut sum.put_off,
            Done::Left => &mut sum.left,
        };
        *count += 1;
        sum
    }
}

impl Pass {
    fn plus(self, other: Self) -> Self {
        let next = [self.next, other.next].into_iter().flatten().min();
        Self { report: self.report.plus(other.report), next, unread: self.unread + other.unread }
    }
}
