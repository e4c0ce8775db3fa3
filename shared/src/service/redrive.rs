//! Whatever is due gets its event again: retries, scheduled sends, and what a crash left. The `due` index
//! has every notification that is not final, so nothing that was accepted can be forgotten.
//!
//! Order matters: first the re-arm, then the event. A crash between the two loses an event and not the
//! notification, which comes back at its new due time; the other way round, a crash would repeat events
//! without end. Overlapping runs are harmless: of two that see the same due time, one re-arm holds.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use super::Budget;
use super::deliver::{Delivery, Worker};
use crate::domain::step::Step;
use crate::domain::{Change, DueAt, DueShard, Notification, NotificationId, Timestamp};
use crate::events::outbox::Handed;
use crate::events::{Event, Outbox};
use crate::store::{self, Applied, Due};
use crate::telemetry::trail;

/// How many due ones of a shard are read at once.
const PAGE: u32 = 100;
/// How many of a shard are re-armed and published at once, and so lined up again or ended too. Few: a store that is
/// busy with redrive answers no claim, and what is published before it can be claimed must be published again.
const SIDE_BY_SIDE: usize = 2;
/// From this redrive of an attempt on, events have not helped: redrive does the work itself.
const BY_ITSELF: u32 = 3;
/// The guard of that one and all that follow, in times of `DUE_GUARD`.
const LAST_GUARD: u32 = 10;
/// Between two passes that found the same work undone (a lagging index, a store that is away).
const BREATH: Duration = Duration::from_millis(100);
/// How often a shard is looked at while it waits for others to end.
const LOOK: Duration = Duration::from_secs(1);

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
    /// Their provider is left alone or has no room: they come again when it is their turn.
    pub waiting: u32,
    /// Due and not done: the store failed, or no time was left.
    pub left: u32,
}

enum Done {
    Published,
    Processed,
    Passed,
    PutOff,
    /// Until then.
    Waiting(Timestamp),
    Left,
}

/// A due one after its re-arm, which redrive has to bring on itself.
struct Armed {
    notification: Box<Notification>,
    /// As the re-arm left it.
    due_at: DueAt,
    /// How many looks count if it has to wait for its provider: not this one, unless its event may be on its way.
    counted: u32,
}

/// One look at one shard, from its beginning to what is not due yet.
#[derive(Default)]
struct Pass {
    report: Report,
    /// The soonest that is not due yet, those lined up just now among them.
    next: Option<Timestamp>,
    /// By how much its first was overdue; zero if it was not. None: it could not be read.
    overdue: Option<Duration>,
    /// Why it could not be read to its end.
    unread: Option<store::Error>,
}

/// A shard between two passes.
struct Rest {
    shard: DueShard,
    wake: Instant,
    /// The run goes on for it. If not, it is looked at only as long as another shard keeps the run going.
    awaited: bool,
}

impl Redrive {
    /// Works until nothing is due or the budget ends; waits for what becomes due before `idle_until`. Each shard
    /// goes on by itself, and while one of them is at work (throttled, or busy with something slow), the
    /// others look again for what has become due meanwhile: none is held up by another.
    pub async fn run(&self, budget: &Budget, idle_until: Instant) -> Report {
        let last = budget.last_claim(self.worker.policy.send_timeout);
        let pass = |shard| async move { (shard, self.shard(shard, budget).await) };
        // From a random shard on, so that overlapping runs begin apart.
        let mut at_work: FuturesUnordered<_> = DueShard::all_from(self.worker.random.byte()).map(pass).collect();
        let mut at_rest: Vec<Rest> = Vec::new();
        let (mut total, mut left, mut unread) = (Report::default(), BTreeMap::new(), false);
        let mut overdue: BTreeMap<u8, Duration> = BTreeMap::new();
        while !at_work.is_empty() || at_rest.iter().any(|rest| rest.awaited) {
            let wake = at_rest.iter().map(|rest| rest.wake).min();
            tokio::select! {
                biased; // by chance a world of the simulation would not replay
                Some((shard, done)) = at_work.next() => {
                    total = total.plus(done.report);
                    // What a later pass took up is not left.
                    left.insert(shard.number(), done.report.left);
                    if let Some(age) = done.overdue {
                        overdue.entry(shard.number()).and_modify(|oldest| *oldest = age.max(*oldest)).or_insert(age);
                    }
                    if let Some(error) = done.unread.as_ref().filter(|_| !unread) {
                        error.tell("what is due can't be read: the store is tried again");
                        unread = true;
                    }
                    if budget.stop.is_cancelled() || !budget.allows_claim(self.worker.policy.send_timeout) {
                        continue;
                    }
                    if done.progressed() {
                        // There may be more already: look again at once.
                        at_work.push(pass(shard));
                    } else {
                        at_rest.extend(Some(self.rest(shard, &done, idle_until)).filter(|rest| rest.wake < last));
                    }
                }
                () = sleep_until(wake.unwrap_or(last)), if wake.is_some() => {
                    let now = Instant::now();
                    at_work.extend(at_rest.extract_if(.., |rest| rest.wake <= now).map(|rest| pass(rest.shard)));
                }
                () = budget.stop.cancelled(), if wake.is_some() => at_rest.clear(),
            }
        }
        total.left = left.into_values().sum();
        log(total);
        // The oldest of all is known once every shard was read.
        let all_read = overdue.len() == usize::from(DueShard::COUNT);
        self.worker.metrics.redrove(&total, overdue.into_values().max().filter(|_| all_read));
        total
    }

    /// Until when a shard is left alone in which a pass found nothing to do.
    fn rest(&self, shard: DueShard, pass: &Pass, idle_until: Instant) -> Rest {
        let now = Instant::now();
        let next = if pass.report.left > 0 { Some(BREATH) } else { pass.next.map(|at| self.worker.clock.now().until(at)) };
        let next = next.map(|wait| now + wait);
        match next.filter(|next| *next < idle_until) {
            Some(wake) => Rest { shard, wake, awaited: true },
            None => Rest { shard, wake: next.unwrap_or(now + LOOK).min(now + LOOK), awaited: false },
        }
    }

    async fn shard(&self, shard: DueShard, budget: &Budget) -> Pass {
        let (mut pass, slots) = (Pass::default(), Semaphore::new(SIDE_BY_SIDE));
        let mut after = None;
        while !budget.stop.is_cancelled() && !budget.remaining().is_zero() {
            let page = match budget.bound(self.worker.store.due(shard, PAGE, after)).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(shard = shard.number(), %error, "what is due can't be read");
                    pass.unread = Some(error);
                    pass.report.left += 1;
                    return pass;
                }
            };
            let now = self.worker.clock.now();
            pass.overdue.get_or_insert(page.first().map_or(Duration::ZERO, |first| first.due_at.at.until(now)));
            let (due, later): (Vec<Due>, Vec<Due>) = page.iter().copied().partition(|due| due.due_at.at <= now);
            // All of the page side by side, so that no slow provider keeps the rest of it from theirs.
            let bring_on = |due: Due| self.bring_on(due, &slots, budget).instrument(trail::of_background(due.id));
            let mut done: FuturesUnordered<_> = due.into_iter().map(bring_on).collect();
            while let Some(done) = done.next().await {
                pass = pass.and(&done);
            }
            pass.next = pass.next.into_iter().chain(later.first().map(|due| due.due_at.at)).min();
            after = page.last().copied();
            let more = later.is_empty() && page.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
            // Without time for a claim the next page could only be left as well.
            if !more || !budget.allows_claim(self.worker.policy.send_timeout) {
                return pass;
            }
        }
        pass
    }

    async fn bring_on(&self, due: Due, slots: &Semaphore, budget: &Budget) -> Done {
        match self.redrive(due, slots, budget).await {
            Ok(armed) => self.advance(armed, budget).await,
            Err(done) => done,
        }
    }

    async fn redrive(&self, due: Due, slots: &Semaphore, budget: &Budget) -> Result<Armed, Done> {
        let _slot = slots.acquire().await;
        // Re-armed and then not begun, it would cost two writes and be where it was.
        if !budget.allows_claim(self.worker.policy.send_timeout) {
            return Err(Done::Left);
        }
        let redriven_before = due.due_at.redriven;
        let due_at = self.guarded(redriven_before.saturating_add(1));
        crate::crash_point!(BeforeRearm);
        match self.worker.apply(due.id, &Change::Rearm { seen: due.due_at, due_at }).await {
            Ok(Applied::Done(notification)) => {
                trail::goes_back_to(&notification);
                self.look(Armed { notification, due_at, counted: redriven_before }).await
            }
            // Finished, or another run was first: the index is behind its table.
            Ok(Applied::Refused(_) | Applied::Missing | Applied::Foreign) => Err(Done::Passed),
            Err(error) => {
                error.tell("not known to be re-armed: it is due now or after its guard");
                Err(Done::Left)
            }
        }
    }

    /// Guards of 1, 2, then 10 times `DUE_GUARD`, jittered by up to a fifth more, so that what came due
    /// together does not come due together again.
    fn guarded(&self, redriven: u32) -> DueAt {
        let factor = match redriven {
            0 | 1 => 1,
            2 => 2,
            _ => LAST_GUARD,
        };
        let guard = self.worker.policy.due_guard * factor;
        DueAt { at: self.worker.clock.now().plus(guard + self.jitter(guard)), redriven }
    }

    fn jitter(&self, guard: Duration) -> Duration {
        guard.mul_f64(self.worker.random.fraction() / 5.0)
    }

    /// Publishes its event again where that may help.
    async fn look(&self, armed: Armed) -> Result<Armed, Done> {
        crate::crash_point!(AfterRearm);
        let n = &armed.notification;
        match self.worker.step(n) {
            Step::Held | Step::Wait | Step::Nothing => Err(Done::Passed),
            Step::Claim | Step::TakeOver { .. } => {
                let helps = armed.due_at.redriven < BY_ITSELF && self.worker.providers.lane(n.channel).is_open();
                let event = Event::due(n, self.worker.clock.now());
                match if helps { self.outbox.hand_over(&event).await } else { Handed::NotPublished } {
                    Handed::Published => {
                        crate::crash_point!(AfterRepublish);
                        Err(Done::Published)
                    }
                    Handed::Unanswered => Ok(Armed { counted: armed.due_at.redriven, ..armed }),
                    Handed::NotPublished => Ok(armed),
                }
            }
            Step::Expire | Step::GiveUp { .. } => Ok(armed),
        }
    }

    async fn advance(&self, armed: Armed, budget: &Budget) -> Done {
        let Armed { notification, due_at, counted } = armed;
        let (id, channel) = (notification.id, notification.channel);
        // A panic costs its own notification and no other; its lease runs out.
        let Ok(advanced) = AssertUnwindSafe(self.worker.advance(notification, budget)).catch_unwind().await else {
            tracing::error!("the worker panicked: it comes again");
            return Done::PutOff;
        };
        match advanced {
            Ok(Delivery::Attempted(_) | Delivery::Ended(_) | Delivery::Unfinished(_)) => Done::Processed,
            Ok(Delivery::Left(_) | Delivery::Missing | Delivery::Foreign) => Done::Passed,
            // Its event may be on its way.
            Ok(Delivery::NotBegun) if counted == due_at.redriven => Done::PutOff,
            Ok(Delivery::NotBegun) => {
                let now = DueAt { at: self.worker.clock.now(), redriven: counted };
                self.line_up(id, due_at, now, budget).await.err().unwrap_or(Done::Left)
            }
            Ok(Delivery::Full | Delivery::LeftAlone) => {
                let turn = self.worker.providers.lane(channel).later(self.worker.policy.due_guard * LAST_GUARD);
                // Its own moment already: with jitter some would come together, find no room, and lose their turn.
                let at = self.worker.clock.now().plus(turn.saturating_duration_since(Instant::now()));
                let lined_up = self.line_up(id, due_at, DueAt { at, redriven: counted }, budget).await;
                // Instants are finer than due times: cut to the millisecond, its turn may lie just before its moment.
                lined_up.err().unwrap_or_else(|| Done::Waiting(at.max(self.worker.clock.now().plus(BREATH))))
            }
            Err(error) => {
                error.tell("re-armed, but not brought on: it comes again");
                Done::PutOff
            }
        }
    }

    /// Its guard is for an event that may be on its way. It comes again when it is its turn instead, and this look
    /// doesn't count (but for an event that was tried).
    async fn line_up(&self, id: NotificationId, seen: DueAt, due_at: DueAt, budget: &Budget) -> Result<(), Done> {
        match budget.bound(self.worker.apply(id, &Change::Rearm { seen, due_at })).await {
            Ok(Applied::Done(_)) => Ok(()),
            Ok(Applied::Refused(_) | Applied::Missing | Applied::Foreign) => Err(Done::Passed),
            Err(error) => {
                tracing::debug!(%error, "not known to be lined up: it comes again after its guard at the latest");
                Err(Done::PutOff)
            }
        }
    }
}

fn log(report: Report) {
    let Report { published, processed, passed, put_off, waiting, left } = report;
    if put_off + left > 0 {
        tracing::warn!(published, processed, passed, put_off, waiting, left, "redrive left work undone");
    } else if published + processed > 0 {
        tracing::info!(published, processed, passed, waiting, "redrive");
    }
}

impl Report {
    const fn plus(self, other: Self) -> Self {
        Self {
            published: self.published + other.published,
            processed: self.processed + other.processed,
            passed: self.passed + other.passed,
            put_off: self.put_off + other.put_off,
            waiting: self.waiting + other.waiting,
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
            Done::Waiting(_) => &mut sum.waiting,
            Done::Left => &mut sum.left,
        };
        *count += 1;
        sum
    }
}

impl Pass {
    fn and(self, done: &Done) -> Self {
        let again = if let Done::Waiting(until) = done { Some(*until) } else { None };
        Self { report: self.report.and(done), next: self.next.into_iter().chain(again).min(), ..self }
    }

    const fn progressed(&self) -> bool {
        self.report.published + self.report.processed > 0
    }
}

#[cfg(test)]
mod tests;
