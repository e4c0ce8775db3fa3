//! The use cases. Each takes the ports that it needs and nothing else.

mod counted;
pub mod create;
pub mod deliver;
pub mod get;
pub mod process;
pub mod redrive;
#[cfg(test)]
mod stub;
#[cfg(test)]
mod tests;

use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::domain::Timestamp;
use crate::retry::RetryPolicy;
use crate::store;

/// How long things may take and how often they are tried: the settings of the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub send_timeout: Duration,
    pub lease: Duration,
    pub clock_skew: Duration,
    pub due_guard: Duration,
    pub retention: Duration,
    pub retry: RetryPolicy,
    pub on_unknown: OnUnknown,
}

/// What follows an attempt whose end nobody knows, where the provider does not drop repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    Retry,
    Fail,
}

/// Until when a caller's work may go on, and whether it should begin any more.
#[derive(Clone, Debug)]
pub struct Budget {
    pub deadline: Instant,
    /// Cancelled when the process is told to stop: what is held is finished, nothing more is claimed.
    pub stop: CancellationToken,
}

impl Budget {
    /// What a claim needs besides the time to send: the claim itself, the finish, and their repeats.
    pub const BESIDE_SEND: Duration = Duration::from_secs(5);

    #[must_use]
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, stop: CancellationToken::new() }
    }

    /// The time that Lambda gives a call, less what it takes to say how it went: at its deadline it is killed.
    /// One in the past, as one emulator sends, counts as none: then Lambda's longest time holds.
    #[must_use]
    pub fn of_lambda(deadline: Timestamp, now: Timestamp) -> Self {
        const LONGEST: Duration = Duration::from_mins(15);
        const LAST_WORDS: Duration = Duration::from_millis(500);
        let left = now.until(deadline);
        let time = if left.is_zero() { LONGEST } else { left.min(LONGEST) };
        Self::until(Instant::now() + time.saturating_sub(LAST_WORDS))
    }

    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A call of the store ends with the budget, however patient its own time-out is. Who gives up on a
    /// write so can't know whether it was made: nothing may be concluded from it, as from any lost answer.
    pub async fn bound<T>(&self, call: impl Future<Output = Result<T, store::Error>>) -> Result<T, store::Error> {
        let late = |_elapsed| Err(store::Error::Unavailable { what: "no answer before the call had to end".to_owned() });
        timeout_at(self.deadline, call).await.unwrap_or_else(late)
    }

    /// A claim is begun only while there is time to finish what it begins.
    #[must_use]
    pub fn allows_claim(&self, send_timeout: Duration) -> bool {
        !self.stop.is_cancelled() && Instant::now() <= self.last_claim(send_timeout)
    }

    /// Until when a claim may be begun.
    #[must_use]
    pub fn last_claim(&self, send_timeout: Duration) -> Instant {
        // An instant before the process began can't be written; now is as good as past.
        self.deadline.checked_sub(send_timeout + Self::BESIDE_SEND).unwrap_or_else(Instant::now)
    }
}

/// Why a use case could not be carried out. (What the client did wrong is an arm of its result.)
#[derive(Debug, Error)]
pub enum Error {
    #[error("the store failed")]
    Store(#[source] store::Error),
    /// The item under this id is of a kind or a version that this release does not know.
    #[error("the stored item is of an unknown kind or a newer version")]
    Foreign,
}

impl From<store::Error> for Error {
    fn from(source: store::Error) -> Self {
        Self::Store(source)
    }
}
