//! What the oracle remembers of a run, besides the store: what went out, what was promised, and to whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use shared::domain::{Change, Notification, NotificationId, Status, Token};

use crate::story::Who;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    pub id: NotificationId,
    pub attempt: u32,
    pub who: Who,
}

/// Failures in a row, as one process meets them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streak {
    pub failures: u32,
    /// When there were so many that it has to leave the provider alone, and what it began since.
    pub since: Option<Duration>,
    pub begun: u32,
}

/// A create that was answered with a promise.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    pub id: NotificationId,
    pub user: usize,
    pub asked: Duration,
    pub answered: Duration,
    pub at_once: bool,
}

#[derive(Debug, Default)]
pub struct Seen {
    /// When each attempt's sending began.
    pub sends: BTreeMap<(NotificationId, u32), (Duration, Who, u32)>,
    pub flights: Vec<Flight>,
    /// When each claim was asked for: its lease begins there.
    claims: HashMap<Token, Duration>,
    /// How the provider answers each process.
    pub streaks: BTreeMap<Who, Streak>,
    /// What the provider has, in its order.
    pub takes: Vec<(NotificationId, u32)>,
    /// How often the event of an attempt was handed to the broker.
    pub events: BTreeMap<(NotificationId, u32), u32>,
    /// How often the wait of a notification began anew: with each, redrive counts from the start.
    pub waits: BTreeMap<NotificationId, u32>,
    /// The wait in which a process re-armed, as its event may come out much later.
    pub rearmed: BTreeMap<(Who, NotificationId), u32>,
    /// Redrive's events in each wait.
    pub redriven: BTreeMap<(NotificationId, u32), u32>,
    pub promises: Vec<Promise>,
    pub ids_of_key: BTreeMap<usize, BTreeSet<NotificationId>>,
    /// How often each write led to each status.
    pub writes: HashMap<(&'static str, Status), u64>,
    pub cancels: BTreeSet<NotificationId>,
    /// Manual retries that were accepted, and after which attempt.
    pub reopened: Vec<(NotificationId, u32)>,
    /// Manual retries that were written, and whose answer was another one.
    pub repeated_retries: u64,
    /// Manual retries that were asked for.
    pub retries: BTreeMap<NotificationId, u32>,
    /// The last status that a client was told, where it was final and can't be left.
    pub ended: BTreeMap<NotificationId, Status>,
}

impl Seen {
    pub fn asked_for(&mut self, change: &Change, at: Duration) {
        if let Change::Claim { token, .. } | Change::TakeOver { token, .. } = change {
            self.claims.entry(*token).or_insert(at);
        }
    }

    /// When the claim was asked for in whose place this change puts something else.
    #[must_use]
    pub fn lost_by(&self, change: &Change) -> Option<Duration> {
        let (Change::TakeOver { lost, .. } | Change::GiveUp { lost, .. }) = change else { return None };
        self.claims.get(lost).copied()
    }

    /// How often by now.
    pub fn published(&mut self, id: NotificationId, attempt: u32) -> u32 {
        let times = self.events.entry((id, attempt)).or_default();
        *times += 1;
        *times
    }

    pub fn wrote(&mut self, who: Who, action: &'static str, after: &Notification) {
        let id = after.id;
        *self.writes.entry((action, after.status)).or_default() += 1;
        match action {
            "create" | "finish" | "retry" => *self.waits.entry(id).or_default() += 1,
            "rearm" => {
                let wait = self.waits.get(&id).copied().unwrap_or(0);
                self.rearmed.insert((who, id), wait);
            }
            _ => {}
        }
    }

    pub fn redriven(&mut self, who: Who, id: NotificationId) {
        let wait = self.rearmed.get(&(who, id)).copied().unwrap_or(0);
        *self.redriven.entry((id, wait)).or_default() += 1;
    }

    /// The provider answered a process, or did not.
    pub fn answered(&mut self, who: Who, alive: bool, most: u32, at: Duration) {
        let streak = self.streaks.entry(who).or_default();
        if alive {
            *streak = Streak::default();
            return;
        }
        streak.failures += 1;
        if streak.failures >= most {
            streak.since.get_or_insert(at);
        }
    }

    /// A client was told this status: one that can't be left is kept.
    pub fn told(&mut self, id: NotificationId, status: Status) {
        if status.is_final() && status != Status::Failed {
            self.ended.entry(id).or_insert(status);
        }
    }
}
