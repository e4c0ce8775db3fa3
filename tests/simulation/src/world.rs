//! What all of a run share: time, chance, the parts, and what was seen of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::domain::{NotificationId, Timestamp};
use shared::sample::START;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::dice::Dice;
use crate::host::Host;
use crate::model_store::{ModelStore, Written};
use crate::oracle;
use crate::plan::Plan;
use crate::sabotage::Sabotage;
use crate::seen::Seen;
use crate::story::{Story, What, Who};

#[derive(Debug)]
pub struct World {
    pub dice: Dice,
    pub plan: Plan,
    pub story: Story,
    pub store: ModelStore,
    pub broker: Broker,
    start: Instant,
    healed: AtomicBool,
    hosts: Mutex<BTreeMap<usize, Arc<Host>>>,
    seen: Mutex<Seen>,
}

impl World {
    #[must_use]
    pub fn new(seed: u64, sabotage: Option<Sabotage>) -> Arc<Self> {
        let dice = Dice::new(seed);
        let plan = Plan::of(&dice, sabotage);
        Self::of(dice, plan)
    }

    #[must_use]
    pub fn of(dice: Dice, plan: Plan) -> Arc<Self> {
        let store = ModelStore::new(plan.sabotage);
        Arc::new(Self {
            dice,
            plan,
            story: Story::default(),
            store,
            broker: Broker::default(),
            start: Instant::now(),
            healed: AtomicBool::new(false),
            hosts: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// True time, which no process knows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        START.plus(self.elapsed())
    }

    pub fn tell(&self, who: Who, what: What) {
        self.story.tell(self.elapsed(), who, what);
    }

    pub fn broken(&self, who: Who, rule: String) {
        self.tell(who, What::Broken(rule));
    }

    /// Whether a fault of this rate strikes now.
    #[must_use]
    pub fn strikes(&self, rate: u64) -> bool {
        !self.is_healed() && self.dice.chance(rate)
    }

    #[must_use]
    pub fn away(&self, outage: Option<(Duration, Duration)>) -> bool {
        let now = self.elapsed();
        !self.is_healed() && outage.is_some_and(|(from, until)| (from..until).contains(&now))
    }

    #[must_use]
    pub fn is_healed(&self) -> bool {
        self.healed.load(Ordering::Relaxed)
    }

    /// From here on nothing fails, and everything must come to its end.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
        self.tell(Who::World, What::Note("---------- healed: nothing fails any more"));
    }

    pub fn hosts(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every write of the store comes by here.
    pub fn written(&self, who: Who, action: &'static str, written: &Written) {
        let Written { before, after } = written;
        self.tell(
            who,
            What::Wrote {
                id: after.id,
                action,
                from: before.as_ref().map(|n| n.status),
                to: after.status,
                attempt: after.attempt,
                due: after.due_at.map(|due| format!("{:+.3}s#{}", self.relative(due.at), due.redriven)),
            },
        );
        self.seen().wrote(who, action, after);
        if action == "retry" && after.attempt_limit != after.attempt + self.plan.policy.retry.max_attempts {
            self.broken(who, "retry: not the budget that a manual retry opens".to_owned());
        }
        for rule in oracle::write::faults(action, before.as_ref(), after) {
            self.broken(who, rule);
        }
    }

    fn relative(&self, at: Timestamp) -> f64 {
        let ahead = self.now().until(at).as_secs_f64();
        if ahead > 0.0 { ahead } else { -at.until(self.now()).as_secs_f64() }
    }

    #[must_use]
    pub fn stored(&self, id: NotificationId) -> Option<shared::domain::Notification> {
        self.store.read(&shared::domain::Tenant::default(), id)
    }
}
