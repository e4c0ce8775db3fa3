//! Ways to break the product, so that the oracle can prove that it sees each. They sit in the models and
//! in the wrappers of the ports: the product itself is never touched.

use std::time::Duration;

use shared::channels::Limits;
use shared::channels::breaker::Endurance;
use shared::domain::change::Guard;
use shared::domain::idempotency::{Fields, Fingerprint};
use shared::domain::{Change, Channel, Notification, Timestamp, Token};
use shared::sample::{POLICY, new_notification};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A finish asks for the status only: not whose claim it is.
    FinishUnfenced,
    /// A finish is written whatever stands there.
    FinishUnconditional,
    /// Nobody allows for clocks that differ.
    NoSkew,
    /// Who takes over, gives up or sends does not allow for clocks that differ; who claims does.
    NoSkewOfLease,
    /// One claim token for all that a process does.
    TokenPerProcess,
    /// A manual retry leaves the time of deletion standing.
    TtlLeftAtRetry,
    /// A new notification's event goes out before it is stored.
    PublishBeforePut,
    /// Redrive puts off the due time only after the event went out.
    RearmAfterPublish,
    /// A re-arm doesn't ask for the due time that was seen.
    RearmUnconditional,
    /// A client that hangs up takes the use case along.
    HandlerDropped,
    /// An attempt counts when it ends, not when it begins.
    CountedAtFinish,
    /// A write whose answer was lost doesn't know itself again.
    LostAnswerIsRefusal,
    /// What waits for its retry is in no index.
    RetryIsNotDue,
    /// A cancel doesn't ask for the status.
    CancelAnything,
    /// A create doesn't ask whether there is one.
    CreateOverwrites,
    /// The store's lease is shorter than the worker believes.
    ShortLease,
    /// A claim doesn't ask for the status.
    ClaimAnything,
    /// No provider is ever left alone.
    NeverLeftAlone,
    /// Any number of attempts go at once.
    Unbounded,
    /// An idempotency key is nobody's.
    KeyIgnored,
    /// Whatever comes under a key that was there is a replay.
    AnythingIsAReplay,
    /// Whatever comes under a key that was there is another request.
    NothingIsAReplay,
    /// A user's events go to any partition.
    AnyPartition,
    /// A claim neither asks for nor knows the time before which nothing may go out.
    TimeForgotten,
    /// A claim neither asks for nor knows the time after which nothing may go out.
    ExpiryForgotten,
    /// Redrive doesn't count how often it looked.
    NeverCountsLooks,
    /// An unknown end fails the notification, though it may be repeated.
    GivesUpOnUnknown,
    /// A manual retry opens a budget of one attempt.
    BudgetCut,
    /// A cancel is written for whoever reads.
    ReadsCancel,
}

impl Sabotage {
    pub const ALL: [Self; 29] = [
        Self::FinishUnfenced,
        Self::FinishUnconditional,
        Self::NoSkew,
        Self::NoSkewOfLease,
        Self::TokenPerProcess,
        Self::TtlLeftAtRetry,
        Self::PublishBeforePut,
        Self::RearmAfterPublish,
        Self::RearmUnconditional,
        Self::HandlerDropped,
        Self::CountedAtFinish,
        Self::LostAnswerIsRefusal,
        Self::RetryIsNotDue,
        Self::CancelAnything,
        Self::CreateOverwrites,
        Self::ShortLease,
        Self::ClaimAnything,
        Self::NeverLeftAlone,
        Self::Unbounded,
        Self::KeyIgnored,
        Self::AnythingIsAReplay,
        Self::NothingIsAReplay,
        Self::AnyPartition,
        Self::TimeForgotten,
        Self::ExpiryForgotten,
        Self::NeverCountsLooks,
        Self::GivesUpOnUnknown,
        Self::BudgetCut,
        Self::ReadsCancel,
    ];

    pub(super) fn limits(this: Option<Self>, planned: Limits) -> Limits {
        match this {
            Some(Self::NeverLeftAlone) => Limits { endurance: Endurance { failures: u32::MAX, ..planned.endurance }, ..planned },
            Some(Self::Unbounded) => Limits { email: 1_000, ..planned },
            _ => planned,
        }
    }

    pub(super) fn drops(self, change: &Change, guard: &Guard) -> bool {
        match self {
            Self::FinishUnfenced => {
                matches!(change, Change::Finish { .. }) && matches!(guard, Guard::ClaimTokenIs(_) | Guard::AttemptIs(_))
            }
            Self::FinishUnconditional => matches!(change, Change::Finish { .. }),
            Self::RearmUnconditional => matches!(guard, Guard::DueAtIs(_)),
            Self::CancelAnything => matches!(change, Change::Cancel { .. }),
            Self::ClaimAnything => matches!(change, Change::Claim { .. }) && matches!(guard, Guard::StatusIn(_)),
            Self::TimeForgotten => matches!(change, Change::Claim { .. }) && matches!(guard, Guard::NotBeforeAtMost(_)),
            Self::ExpiryForgotten => matches!(change, Change::Claim { .. }) && matches!(guard, Guard::NotExpiredAt(_)),
            Self::NoSkew
            | Self::NoSkewOfLease
            | Self::TokenPerProcess
            | Self::TtlLeftAtRetry
            | Self::PublishBeforePut
            | Self::RearmAfterPublish
            | Self::HandlerDropped
            | Self::CountedAtFinish
            | Self::LostAnswerIsRefusal
            | Self::RetryIsNotDue
            | Self::CreateOverwrites
            | Self::ShortLease
            | Self::NeverLeftAlone
            | Self::Unbounded
            | Self::KeyIgnored
            | Self::AnythingIsAReplay
            | Self::NothingIsAReplay
            | Self::AnyPartition
            | Self::NeverCountsLooks
            | Self::GivesUpOnUnknown
            | Self::BudgetCut
            | Self::ReadsCancel => false,
        }
    }

    /// The change as a broken product would ask for it; `of_process` is one token for all its claims.
    pub(super) fn change(self, change: &Change, of_process: Token) -> Change {
        let mut broken = change.clone();
        match (self, &mut broken) {
            (Self::TokenPerProcess, Change::Claim { token, .. }) => *token = of_process,
            (Self::TokenPerProcess, Change::TakeOver { token, attempts, .. } | Change::Finish { token, attempts, .. }) => {
                *token = of_process;
                if let Some(last) = attempts.last_mut() {
                    last.token = of_process;
                }
            }
            (Self::ShortLease, Change::Claim { now, lease_until, .. } | Change::TakeOver { now, lease_until, .. }) => {
                *lease_until = shortened(*now);
            }
            (Self::NoSkewOfLease, Change::Claim { skew, .. }) => *skew = POLICY.clock_skew,
            (Self::NeverCountsLooks, Change::Rearm { due_at, .. }) => due_at.redriven = due_at.redriven.min(1),
            (Self::BudgetCut, Change::Retry { attempt, attempt_limit, .. }) => *attempt_limit = *attempt + 1,
            _ => {}
        }
        broken
    }

    /// What a broken product knows of what it has claimed.
    pub(super) fn known(self, change: &Change, claimed: &mut Notification) {
        match (self, change) {
            (Self::TimeForgotten, Change::Claim { .. }) => claimed.not_before = claimed.created_at,
            (Self::ExpiryForgotten, Change::Claim { .. }) => claimed.expires_at = None,
            _ => {}
        }
    }

    /// What a broken product finds under a key.
    pub(super) fn found(self, new: &Notification, first: &mut Notification) {
        if self == Self::AnythingIsAReplay {
            first.fingerprint = new.fingerprint;
        } else if self == Self::NothingIsAReplay {
            first.fingerprint = nobodys();
        }
    }
}

/// Of no request that any client makes.
fn nobodys() -> Fingerprint {
    let new = new_notification();
    Fingerprint::of(&Fields {
        user_id: &new.user_id,
        channel: Channel::Sms,
        template: &new.template,
        to: None,
        data: None,
        metadata: None,
        scheduled_at: None,
        expires_at: None,
    })
}

fn shortened(now: Timestamp) -> Timestamp {
    now.plus(Duration::from_secs(20))
}
