//! What a worker may do next with a notification that it has seen: one pure decision, used by whoever
//! lost a claim and by redrive.

use std::time::Duration;

use super::change::GiveUp;
use super::{Notification, Status, Timestamp, Token};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An attempt may begin.
    Claim,
    /// The worker of the last attempt is lost, and a repeat is allowed.
    TakeOver {
        lost: Token,
    },
    GiveUp {
        lost: Token,
        reason: GiveUp,
    },
    Expire,
    /// Someone holds it.
    Held,
    /// It is not due yet.
    Wait,
    /// It is final.
    Nothing,
}

impl Step {
    /// `repeat_allowed`: whether an attempt with an unknown end may be followed by another.
    #[must_use]
    pub fn of(n: &Notification, now: Timestamp, skew: Duration, repeat_allowed: bool) -> Self {
        match n.status {
            Status::Sent | Status::Failed | Status::Cancelled | Status::Expired => Self::Nothing,
            Status::Pending | Status::Retrying => {
                if n.is_expired(now) {
                    Self::Expire
                } else if n.not_before > now.plus(skew) {
                    Self::Wait
                } else {
                    Self::Claim
                }
            }
            Status::Processing => {
                let (Some(lost), Some(lease_until)) = (n.claim_token, n.lease_until) else {
                    // No write leaves an item so; a reader that meets one must not touch it.
                    return Self::Held;
                };
                if lease_until >= now.minus(skew) {
                    Self::Held
                } else if n.is_exhausted() {
                    Self::GiveUp { lost, reason: GiveUp::Exhausted }
                } else if n.is_expired(now) {
                    Self::GiveUp { lost, reason: GiveUp::Expired }
                } else if repeat_allowed {
                    Self::TakeOver { lost }
                } else {
                    Self::GiveUp { lost, reason: GiveUp::RepeatNotAllowed }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
