//! Who made a write that bears no token. A cancel finds the notification cancelled, and is done: by itself, with
//! its first answer lost, or by another one before it. The time of the write tells them apart, and within one
//! millisecond what was counted last. (Two processes in the same millisecond count twice. A retry whose answer was lost
//! is not counted where the notification has moved on by the time it is asked again: nothing says whose it was.)

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::domain::{Action, Change, Notification, NotificationId, Timestamp};

/// More than can be under way on one notification in a millisecond.
const REMEMBERED: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<(NotificationId, Action, Timestamp)>>);

impl Recent {
    /// Whether `change`, which was to be made at `now`, is what `n` was left by, and was not counted yet.
    pub(super) fn is_first(&self, change: &Change, now: Timestamp, n: &Notification) -> bool {
        if n.updated_at != now {
            return false;
        }
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let this = (n.id, change.action(), now);
        if recent.contains(&this) {
            return false;
        }
        recent.truncate(REMEMBERED - 1);
        recent.push_front(this);
        true
    }
}
