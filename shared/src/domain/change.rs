//! The transition table as data: each logical write is a [`Change`], which says what must hold
//! ([`Guard`]), what is written ([`Assignment`]), and how the write knows its own success again when its
//! answer was lost. The store only spells this out in its own language.
//!
//! A lost answer is not a lost write: the SDK repeats a call whose answer did not come, and the repeat
//! then fails its own condition. [`Change::is_recorded_in`] is asked about the item that the failed
//! condition brings back.

use std::time::Duration;

use super::attempt::Detail;
use super::{Action, Attempt, Channel, DueAt, ErrorCode, Notification, Status, Timestamp, Token};

#[derive(Clone, Debug)]
pub enum Change {
    /// Begin the next attempt. It allows `skew` for clocks that differ; who claimed early waits. It asks for
    /// the channel on which there is room for it, as an event's word for it may be wrong.
    Claim {
        now: Timestamp,
        skew: Duration,
        token: Token,
        lease_until: Timestamp,
        channel: Channel,
    },
    /// Begin the next attempt in the place of a worker whose lease ran out; `attempts` records the
    /// attempt before as unknown, under the taker's token.
    TakeOver {
        now: Timestamp,
        skew: Duration,
        token: Token,
        lease_until: Timestamp,
        lost: Token,
        attempts: Vec<Attempt>,
    },
    /// Record the attempt that this worker holds, and what comes next.
    Finish {
        now: Timestamp,
        token: Token,
        attempt: u32,
        provider: Option<String>,
        attempts: Vec<Attempt>,
        next: Next,
    },
    /// End what a lost worker left and nobody may take over.
    GiveUp {
        now: Timestamp,
        skew: Duration,
        lost: Token,
        reason: GiveUp,
        attempts: Vec<Attempt>,
        ttl: Timestamp,
    },
    Cancel {
        now: Timestamp,
        ttl: Timestamp,
    },
    Expire {
        now: Timestamp,
        ttl: Timestamp,
    },
    /// Give a failed notification a new budget.
    Retry {
        now: Timestamp,
        attempt: u32,
        attempt_limit: u32,
        due_at: DueAt,
    },
    /// Put off when redrive looks again.
    Rearm {
        seen: DueAt,
        due_at: DueAt,
    },
}

/// What follows a finished attempt.
#[derive(Clone, Debug)]
pub enum Next {
    Sent { provider_message_id: Option<String>, ttl: Timestamp },
    Failed { code: ErrorCode, detail: Option<Detail>, ttl: Timestamp },
    Expired { ttl: Timestamp },
    Retrying { not_before: Timestamp },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    Exhausted,
    Expired,
    /// The attempt is unknown, its provider does not drop repeats, and `ON_UNKNOWN=fail`.
    RepeatNotAllowed,
}

/// A condition on the stored item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    StatusIn(&'static [Status]),
    NotBeforeAtMost(Timestamp),
    BudgetLeft,
    BudgetSpent,
    /// `expiresAt` is absent or later.
    NotExpiredAt(Timestamp),
    ExpiredAt(Timestamp),
    ClaimTokenIs(Token),
    ClaimTokenIsNot(Token),
    LeaseEndedBefore(Timestamp),
    AttemptIs(u32),
    DueAtIs(DueAt),
    ChannelIs(Channel),
}

/// What is written to one attribute.
#[derive(Clone, Debug)]
pub enum Assignment {
    Status(Status),
    UpdatedAt(Timestamp),
    NextAttempt,
    AttemptLimit(u32),
    NotBefore(Timestamp),
    ClaimToken(Token),
    LeaseUntil(Timestamp),
    Attempts(Vec<Attempt>),
    Provider(String),
    ProviderMessageId(String),
    SentAt(Timestamp),
    FinishedAt(Timestamp),
    Error(ErrorCode, String),
    DueAt(DueAt),
    /// The shard is made from the id, so that it can be written again after a final write removed it.
    DueShard,
    Ttl(Timestamp),
    RemoveDue,
    RemoveLease,
    RemoveFinish,
}

impl Change {
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Claim { .. } => Action::Claim,
            Self::TakeOver { .. } => Action::TakeOver,
            Self::Finish { .. } => Action::Finish,
            Self::GiveUp { .. } => Action::GiveUp,
            Self::Cancel { .. } => Action::Cancel,
            Self::Expire { .. } => Action::Expire,
            Self::Retry { .. } => Action::Retry,
            Self::Rearm { .. } => Action::Rearm,
        }
    }

    /// What must hold for the write to happen; the status comes from the table.
    #[must_use]
    pub fn guards(&self) -> Vec<Guard> {
        let mut guards = vec![Guard::StatusIn(self.action().from())];
        match self {
            Self::Claim { now, skew, token, channel, .. } => {
                guards.extend(may_begin(*now, *skew, *token));
                guards.push(Guard::ChannelIs(*channel));
            }
            Self::TakeOver { now, skew, token, lost, .. } => {
                guards.extend(may_begin(*now, *skew, *token));
                guards.extend([Guard::LeaseEndedBefore(now.minus(*skew)), Guard::ClaimTokenIs(*lost)]);
            }
            Self::Finish { token, attempt, .. } => guards.extend([Guard::ClaimTokenIs(*token), Guard::AttemptIs(*attempt)]),
            Self::GiveUp { now, skew, lost, reason, .. } => {
                guards.extend([Guard::LeaseEndedBefore(now.minus(*skew)), Guard::ClaimTokenIs(*lost)]);
                match reason {
                    GiveUp::Exhausted => guards.push(Guard::BudgetSpent),
                    GiveUp::Expired => guards.push(Guard::ExpiredAt(*now)),
                    GiveUp::RepeatNotAllowed => {}
                }
            }
            Self::Cancel { .. } => {}
            Self::Expire { now, .. } => guards.push(Guard::ExpiredAt(*now)),
            Self::Retry { attempt, .. } => guards.push(Guard::AttemptIs(*attempt)),
            Self::Rearm { seen, .. } => guards.push(Guard::DueAtIs(*seen)),
        }
        guards
    }

    #[must_use]
    pub fn assignments(&self) -> Vec<Assignment> {
        match self {
            Self::Claim { now, token, lease_until, .. } => begin(*now, *token, *lease_until),
            Self::TakeOver { now, token, lease_until, attempts, .. } => {
                let mut writes = begin(*now, *token, *lease_until);
                writes.push(Assignment::Attempts(attempts.clone()));
                writes
            }
            Self::Finish { now, provider, attempts, next, .. } => {
                let mut writes = next.assignments(*now);
                writes.push(Assignment::Attempts(attempts.clone()));
                writes.extend(provider.clone().map(Assignment::Provider));
                writes
            }
            Self::GiveUp { now, reason, attempts, ttl, .. } => {
                let (status, code) = match reason {
                    GiveUp::Exhausted => (Status::Failed, ErrorCode::AttemptsExhausted),
                    GiveUp::Expired => (Status::Expired, ErrorCode::Expired),
                    GiveUp::RepeatNotAllowed => (Status::Failed, ErrorCode::LeaseLost),
                };
                let mut writes = end(status, *now, *ttl);
                writes.push(Assignment::Error(code, code.message().to_owned()));
                writes.push(Assignment::Attempts(attempts.clone()));
                writes
            }
            Self::Cancel { now, ttl } => end(Status::Cancelled, *now, *ttl),
            Self::Expire { now, ttl } => expire(*now, *ttl),
            Self::Retry { now, attempt_limit, due_at, .. } => vec![
                Assignment::Status(Status::Pending),
                Assignment::UpdatedAt(*now),
                Assignment::NotBefore(*now),
                Assignment::AttemptLimit(*attempt_limit),
                Assignment::DueShard,
                Assignment::DueAt(*due_at),
                Assignment::RemoveFinish,
            ],
            Self::Rearm { due_at, .. } => vec![Assignment::DueAt(*due_at)],
        }
    }

    /// Whether `stored`, which failed this change's guards, failed them because the change was already
    /// made: each write but the re-arm is known by a mark that no other write can leave.
    #[must_use]
    pub fn is_recorded_in(&self, stored: &Notification) -> bool {
        match self {
            Self::Claim { token, .. } | Self::TakeOver { token, .. } => stored.claim_token == Some(*token),
            // By its attempt's record: a worker that took over writes one for the same attempt, under
            // its own token.
            Self::Finish { token, attempt, .. } => {
                stored.attempts.iter().any(|record| record.number == *attempt && record.token == *token)
            }
            Self::GiveUp { .. } => Action::GiveUp.to().contains(&stored.status),
            Self::Cancel { .. } => stored.status == Status::Cancelled,
            Self::Expire { .. } => stored.status == Status::Expired,
            Self::Retry { attempt, attempt_limit, .. } => stored.attempt >= *attempt && stored.attempt_limit == *attempt_limit,
            // Another worker may have chosen the same instant: the value says nothing of whose it is. Who can't tell
            // leaves it to the next look, or both would publish, and a lagging consumer get a third repeat.
            Self::Rearm { .. } => false,
        }
    }
}

impl Next {
    fn assignments(&self, now: Timestamp) -> Vec<Assignment> {
        match self {
            Self::Sent { provider_message_id, ttl } => {
                let mut writes = end(Status::Sent, now, *ttl);
                writes.push(Assignment::SentAt(now));
                writes.extend(provider_message_id.clone().map(Assignment::ProviderMessageId));
                writes
            }
            Self::Failed { code, detail, ttl } => {
                let mut writes = end(Status::Failed, now, *ttl);
                let message = match detail {
                    Some(detail) => format!("{}: {}", code.message(), detail.as_str()),
                    None => code.message().to_owned(),
                };
                writes.push(Assignment::Error(*code, message));
                writes
            }
            Self::Expired { ttl } => expire(now, *ttl),
            Self::Retrying { not_before } => vec![
                Assignment::Status(Status::Retrying),
                Assignment::UpdatedAt(now),
                Assignment::NotBefore(*not_before),
                Assignment::DueAt(DueAt::first(*not_before)),
                Assignment::RemoveLease,
            ],
        }
    }
}

/// What claim and take-over ask alike.
fn may_begin(now: Timestamp, skew: Duration, token: Token) -> [Guard; 4] {
    [Guard::NotBeforeAtMost(now.plus(skew)), Guard::BudgetLeft, Guard::NotExpiredAt(now), Guard::ClaimTokenIsNot(token)]
}

fn begin(now: Timestamp, token: Token, lease_until: Timestamp) -> Vec<Assignment> {
    vec![
        Assignment::Status(Status::Processing),
        Assignment::UpdatedAt(now),
        Assignment::NextAttempt,
        Assignment::ClaimToken(token),
        Assignment::LeaseUntil(lease_until),
    ]
}

/// Every final write leaves the due index and may be forgotten from `ttl` on.
fn end(status: Status, now: Timestamp, ttl: Timestamp) -> Vec<Assignment> {
    vec![
        Assignment::Status(status),
        Assignment::UpdatedAt(now),
        Assignment::FinishedAt(now),
        Assignment::Ttl(ttl),
        Assignment::RemoveDue,
        Assignment::RemoveLease,
    ]
}

fn expire(now: Timestamp, ttl: Timestamp) -> Vec<Assignment> {
    let mut writes = end(Status::Expired, now, ttl);
    writes.push(Assignment::Error(ErrorCode::Expired, ErrorCode::Expired.message().to_owned()));
    writes
}
