//! Why a notification is where it is, from its record alone: what happened, what caused it, what comes next
//! and when. `get` answers it; nothing is written and nobody else is asked, so what only the settings or a
//! provider know (whether a repeat is allowed, whether there is room) is not claimed.
//!
//! An [`Explanation`] has no text of a client's in it, and its sentence is made from it alone: no address,
//! no data and no metadata can get in.

mod sentence;

use super::{Attempt, ErrorCode, Notification, Outcome, Status, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub status: Status,
    /// When it came into this status.
    pub since: Timestamp,
    pub cause: Cause,
    /// Attempts begun over the whole life; one that is under way is counted.
    pub attempts_made: u32,
    /// How many of its budget are left; None once it is final.
    pub attempts_left: Option<u32>,
    /// How many of the attempts that are kept have an unknown end: each may have reached the provider.
    pub attempts_unknown: u32,
    /// How many attempts are so long ago that they are not kept any more.
    pub attempts_forgotten: u32,
    /// The last one that ended.
    pub last_attempt: Option<LastAttempt>,
    /// How often redrive has looked after what is to come next, looks at one that a worker held included; None once
    /// it is final.
    pub redriven: Option<u32>,
    /// None exactly for a final status.
    pub next: Option<Next>,
}

/// What brought it into its status. The list is closed for a release and grows from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Pending: a client created it, to be sent at once.
    Created,
    /// Pending: a client created it for a later time.
    Scheduled,
    /// Pending: it had failed, and a client asked for another try.
    RetryAsked,
    /// Processing: a worker began an attempt.
    AttemptBegun,
    /// Processing: a worker began an attempt in the place of one that was lost.
    TakenOver,
    /// Retrying: the last attempt did not go out.
    NotSent,
    /// Retrying: nobody knows how the last attempt ended.
    Unknown,
    /// Sent at the first attempt.
    Accepted,
    /// Sent after attempts that did not go out.
    AcceptedAfterRetries,
    /// Sent after an attempt that may have gone out too.
    AcceptedAfterUnknown,
    /// Failed: it can't be sent, and a repeat would not change that.
    Refused,
    /// Failed: the budget of attempts is spent.
    AttemptsExhausted,
    /// Failed: the budget is spent, and at its end no provider was bound to the channel.
    ChannelOff,
    /// Failed: nobody knows how the last attempt ended, and a repeat is not allowed.
    UnknownNotRepeated,
    /// Cancelled by a client.
    CancelAsked,
    /// Expired, and nothing was sent to the provider.
    ExpiredBeforeAttempt,
    /// Expired before another attempt could be made.
    ExpiredBeforeRetry,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    pub number: u32,
    pub outcome: Outcome,
    pub code: Option<ErrorCode>,
    /// None where the worker that made it was lost before it could say.
    pub provider: Option<String>,
    pub finished_at: Timestamp,
}

/// What comes next, and the instant that belongs to it. One that has passed means: as soon as somebody comes
/// to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    pub what: What,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// An attempt begins at that instant or soon after.
    Attempt,
    /// An attempt is due: a worker may begin it at any moment, and redrive looks after it at that instant.
    Redrive,
    /// The attempt under way ends, by that instant unless its worker is lost or held up.
    Finish,
    /// Its worker's lease ran out. It may still finish; if not, redrive has the attempt recorded as unknown, and another
    /// is made or it ends as `Failed`, as the settings say: from that instant on, at the first look for which the lease
    /// has been over for `CLOCK_SKEW`.
    TakeOver,
    /// As [`What::TakeOver`], but no attempt is left: it ends as `Failed`.
    GiveUp,
    /// `expiresAt` has passed: redrive ends it as `Expired` at that instant; what a worker held, as [`What::TakeOver`].
    Expire,
}

impl Explanation {
    #[must_use]
    pub fn of(n: &Notification, now: Timestamp) -> Self {
        let open = !n.status.is_final();
        let unknown = n.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Unknown).count();
        Self {
            status: n.status,
            // A re-arm, the one write that changes no status, leaves it as it is.
            since: n.updated_at,
            cause: Cause::of(n),
            attempts_made: n.attempt,
            attempts_left: open.then(|| n.attempt_limit.saturating_sub(n.attempt)),
            attempts_unknown: u32::try_from(unknown).unwrap_or(u32::MAX),
            attempts_forgotten: n.attempts.first().map_or(0, |first| first.number.saturating_sub(1)),
            last_attempt: n.attempts.last().map(LastAttempt::from),
            redriven: open.then(|| n.due_at.map_or(0, |due| due.redriven)),
            next: Next::of(n, now),
        }
    }
}

impl Cause {
    pub const ALL: [Self; 17] = [
        Self::Created,
        Self::Scheduled,
        Self::RetryAsked,
        Self::AttemptBegun,
        Self::TakenOver,
        Self::NotSent,
        Self::Unknown,
        Self::Accepted,
        Self::AcceptedAfterRetries,
        Self::AcceptedAfterUnknown,
        Self::Refused,
        Self::AttemptsExhausted,
        Self::ChannelOff,
        Self::UnknownNotRepeated,
        Self::CancelAsked,
        Self::ExpiredBeforeAttempt,
        Self::ExpiredBeforeRetry,
    ];

    fn of(n: &Notification) -> Self {
        let last = n.attempts.last();
        let ended = |outcome| last.is_some_and(|last| last.outcome == outcome);
        let coded = |code| last.is_some_and(|last| last.code == Some(code));
        match n.status {
            // A claim counts an attempt, and only a client's retry leads back to `Pending`.
            Status::Pending if n.attempt > 0 => Self::RetryAsked,
            Status::Pending if n.scheduled_at.is_some_and(|at| at > n.created_at) => Self::Scheduled,
            Status::Pending => Self::Created,
            // The take-over recorded the attempt before, under its own token; one that was given up bears another.
            Status::Processing if coded(ErrorCode::LeaseLost) && last.map(|last| last.token) == n.claim_token => Self::TakenOver,
            Status::Processing => Self::AttemptBegun,
            Status::Retrying if ended(Outcome::Unknown) => Self::Unknown,
            Status::Retrying => Self::NotSent,
            Status::Sent if n.attempts.iter().any(|attempt| attempt.outcome == Outcome::Unknown) => Self::AcceptedAfterUnknown,
            Status::Sent if n.attempt > 1 => Self::AcceptedAfterRetries,
            Status::Sent => Self::Accepted,
            Status::Failed if n.error_code == Some(ErrorCode::AttemptsExhausted) => {
                if coded(ErrorCode::ChannelOff) {
                    Self::ChannelOff
                } else {
                    Self::AttemptsExhausted
                }
            }
            Status::Failed if ended(Outcome::Unknown) => Self::UnknownNotRepeated,
            Status::Failed => Self::Refused,
            Status::Cancelled => Self::CancelAsked,
            // A worker that claims it too late sends nothing.
            Status::Expired if n.attempt == 0 || (n.attempt == 1 && coded(ErrorCode::Expired)) => Self::ExpiredBeforeAttempt,
            Status::Expired => Self::ExpiredBeforeRetry,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Scheduled => "scheduled",
            Self::RetryAsked => "retry-asked",
            Self::AttemptBegun => "attempt-begun",
            Self::TakenOver => "taken-over",
            Self::NotSent => "not-sent",
            Self::Unknown => "unknown",
            Self::Accepted => "accepted",
            Self::AcceptedAfterRetries => "accepted-after-retries",
            Self::AcceptedAfterUnknown => "accepted-after-unknown",
            Self::Refused => "refused",
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::ChannelOff => "channel-off",
            Self::UnknownNotRepeated => "unknown-not-repeated",
            Self::CancelAsked => "cancel-asked",
            Self::ExpiredBeforeAttempt => "expired-before-attempt",
            Self::ExpiredBeforeRetry => "expired-before-retry",
        }
    }
}

impl Next {
    fn of(n: &Notification, now: Timestamp) -> Option<Self> {
        // What is not final has a due time; without one it could only be said from when on it may be worked on.
        let look = n.due_at.map_or(n.not_before, |due| due.at);
        let next = match n.status {
            Status::Sent | Status::Failed | Status::Cancelled | Status::Expired => return None,
            Status::Pending | Status::Retrying if n.is_expired(now) => Self { what: What::Expire, at: look },
            Status::Pending | Status::Retrying if n.not_before > now => Self { what: What::Attempt, at: n.not_before },
            Status::Pending | Status::Retrying => Self { what: What::Redrive, at: look },
            Status::Processing => match n.lease_until {
                Some(until) if until < now => {
                    // In the order of `Step`. Whether a repeat is allowed is not in the record.
                    let what = if n.is_exhausted() {
                        What::GiveUp
                    } else if n.is_expired(now) {
                        What::Expire
                    } else {
                        What::TakeOver
                    };
                    Self { what, at: look }
                }
                lease => Self { what: What::Finish, at: lease.unwrap_or(look) },
            },
        };
        Some(next)
    }
}

impl What {
    pub const ALL: [Self; 6] = [Self::Attempt, Self::Redrive, Self::Finish, Self::TakeOver, Self::GiveUp, Self::Expire];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Redrive => "redrive",
            Self::Finish => "finish",
            Self::TakeOver => "take-over",
            Self::GiveUp => "give-up",
            Self::Expire => "expire",
        }
    }
}

impl From<&Attempt> for LastAttempt {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            outcome: attempt.outcome,
            code: attempt.code,
            provider: attempt.provider.clone(),
            finished_at: attempt.finished_at,
        }
    }
}

#[cfg(test)]
mod tests;
