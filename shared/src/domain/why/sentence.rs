//! The explanation in one sentence: what happened, and what comes next.

use super::{Cause, Explanation, Next, What};
use crate::domain::{ErrorCode, Status};

impl Explanation {
    /// One sentence for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        let happened = self.happened();
        match &self.next {
            Some(next) => format!("{happened}{}.", self.to_come(next)),
            None => format!("{happened}{}.", self.doubt()),
        }
    }

    fn happened(&self) -> String {
        let Self { since, attempts_made: made, .. } = self;
        match self.cause {
            Cause::Created => format!("It was accepted at {since}"),
            Cause::Scheduled => format!("It was accepted at {since} for a later time"),
            Cause::RetryAsked => format!("At {since} a client asked for another try after {}", attempts(*made)),
            Cause::AttemptBegun => format!("A worker began attempt {made} at {since}"),
            Cause::TakenOver => {
                format!("A worker began attempt {made} at {since} in the place of a lost one, whose attempt may have gone out")
            }
            Cause::NotSent => format!("Attempt {made} did not go out{}", self.as_it_says()),
            Cause::Unknown => format!("Attempt {made} may have gone out{}", self.as_it_says()),
            Cause::Accepted => format!("The provider took it at {since} at the first attempt"),
            Cause::AcceptedAfterRetries | Cause::AcceptedAfterUnknown => {
                format!("The provider took it at {since} at attempt {made}")
            }
            Cause::Refused => format!("It failed for good at {since} at attempt {made}{}", self.as_it_says()),
            Cause::AttemptsExhausted | Cause::ChannelOff => {
                format!("It failed at {since} after {}, all that it was allowed{}", attempts(*made), self.as_it_says())
            }
            Cause::UnknownNotRepeated => {
                format!(
                    "It failed at {since} at attempt {made}{}, and a repeat, by which it might be sent twice, is not allowed",
                    self.as_it_says()
                )
            }
            Cause::CancelAsked if *made == 0 => format!("A client cancelled it at {since} before any attempt"),
            Cause::CancelAsked => format!("A client cancelled it at {since} after {}", attempts(*made)),
            Cause::ExpiredBeforeAttempt => format!("It expired at {since} before anything was sent"),
            Cause::ExpiredBeforeRetry => {
                format!("It expired at {since} after {}, as expiresAt left no time for another", attempts(*made))
            }
        }
    }

    /// What the last attempt ended with.
    fn as_it_says(&self) -> String {
        let code = self.last_attempt.as_ref().and_then(|last| last.code);
        code.map(|code| format!(", as {}", code.message())).unwrap_or_default()
    }

    /// What nobody can rule out about a final one.
    fn doubt(&self) -> String {
        let unknown = attempts(self.attempts_unknown);
        let doubt = match (self.cause, self.attempts_unknown) {
            (_, 0) => None,
            (Cause::AcceptedAfterUnknown, _) => {
                Some(format!("; it may have gone out more than once, as {unknown} ended unknown"))
            }
            (_, _) => Some(format!("; it may have gone out all the same, as {unknown} ended unknown")),
        };
        let forgotten = match self.attempts_forgotten {
            0 => None,
            1 => Some("; its first attempt is not kept any more".to_owned()),
            n => Some(format!("; its first {n} attempts are not kept any more")),
        };
        [doubt, forgotten].into_iter().flatten().collect()
    }

    fn to_come(&self, next: &Next) -> String {
        let Next { what, at } = next;
        let number = self.attempts_made.saturating_add(1);
        match what {
            What::Attempt if self.may_be_asked_to_wait() => {
                format!(", and attempt {number} begins at {at}, as the back-off or the provider asks")
            }
            What::Attempt => format!(", and attempt {number} begins at {at}"),
            What::Redrive => match self.redriven.unwrap_or(0) {
                0 => format!(", and attempt {number} is due: a worker begins it, or redrive brings it on at {at}"),
                1 => format!(", and attempt {number} is due: redrive has looked after it once, and does again at {at}"),
                n => format!(", and attempt {number} is due: redrive has looked after it {n} times, and does again at {at}"),
            },
            What::Finish => format!(", and holds it until {at} unless it finishes before"),
            // A worker that was only frozen finishes as long as nobody has taken over, and nobody does before clocks
            // that differ leave no doubt that the lease is over: that is for the settings to say.
            What::TakeOver => format!(
                ", and its lease ran out: unless it still finishes, redrive takes over from {at} on, and another attempt \
                 follows if a repeat is allowed"
            ),
            What::GiveUp => format!(
                ", and its lease ran out: unless it still finishes, redrive ends it as Failed from {at} on, as it was the \
                 last attempt"
            ),
            What::Expire if self.status == Status::Processing => format!(
                ", and its lease ran out: unless it still finishes, redrive ends it as Expired from {at} on, as expiresAt \
                 has passed"
            ),
            What::Expire => format!(", and expiresAt has passed: redrive ends it as Expired at {at}"),
        }
    }

    /// With these codes a provider may have said when to come again. The record has only the instant.
    fn may_be_asked_to_wait(&self) -> bool {
        let code = self.last_attempt.as_ref().and_then(|last| last.code);
        self.cause == Cause::NotSent && matches!(code, Some(ErrorCode::ProviderUnavailable | ErrorCode::ProviderCredentials))
    }
}

fn attempts(n: u32) -> String {
    if n == 1 { "1 attempt".to_owned() } else { format!("{n} attempts") }
}
