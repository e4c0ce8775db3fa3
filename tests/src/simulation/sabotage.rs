//! Ways to break the product, so that the oracle can prove that it sees each. They sit in the models and
//! in the wrappers of the ports: the product itself is never touched.

use std::time::Duration;

use shared::channels::Limits;
use shared::channels::breaker::Endurance;
use shared::domain::change::Guard;
use shared::domain::{Change, Timestamp, Token};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A finish asks for the status only: not whose claim it is.
    FinishUnfenced,
    /// A finish is written whatever stands there.
    FinishUnconditional,
    /// Nobody allows for clocks that differ.
    NoSkew,
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
}

impl Sabotage {
    pub const ALL: [Self; 18] = [
        Self::FinishUnfenced,
        Self::FinishUnconditional,
        Self::NoSkew,
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
            Self::NoSkew
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
            | Self::Unbounded => false,
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
            _ => {}
        }
        broken
    }
}

fn shortened(now: Timestamp) -> Timestamp {
    now.plus(Duration::from_secs(20))
}
