//! One try to send, and what came of it.

use std::time::Duration;

use super::{Channel, Invalid, Notification, Timestamp, Token};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The provider took it.
    Accepted,
    /// The provider will never take it: `Failed`.
    Refused,
    /// It certainly did not go out: it is tried again.
    NotSent,
    /// The request went out and no answer came, or the lease ran out, or the worker panicked: nobody
    /// knows. It is sent again where the provider drops repeats, else as `ON_UNKNOWN` says.
    Unknown,
}

/// The closed list behind `code` and `errorCode`. It grows from release to release; clients accept
/// codes that they don't know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// All attempts of the budget were made.
    AttemptsExhausted,
    /// No provider is bound to the channel where the attempt was made.
    ChannelOff,
    /// No connection: refused, DNS, TLS.
    ConnectionFailed,
    /// The connection broke after the request had gone out.
    ConnectionLost,
    /// `expiresAt` came first.
    Expired,
    /// The worker's lease ran out before its attempt was finished.
    LeaseLost,
    /// Too little of the lease was left to begin to send.
    LeaseTooShort,
    /// The provider did not accept our credentials.
    ProviderCredentials,
    /// The provider failed in a way that leaves open whether it took the message.
    ProviderError,
    /// The provider refused the message for good.
    ProviderRefused,
    /// The provider said that it can't take the message now.
    ProviderUnavailable,
    /// The channel's provider needs an address and there is none.
    RecipientMissing,
    /// No answer within `SEND_TIMEOUT`.
    Timeout,
    /// The worker panicked while it sent.
    WorkerPanicked,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Refused, Self::NotSent, Self::Unknown];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::NotSent => "not-sent",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(Invalid("is no outcome"))
    }
}

impl ErrorCode {
    pub const ALL: [Self; 14] = [
        Self::AttemptsExhausted,
        Self::ChannelOff,
        Self::ConnectionFailed,
        Self::ConnectionLost,
        Self::Expired,
        Self::LeaseLost,
        Self::LeaseTooShort,
        Self::ProviderCredentials,
        Self::ProviderError,
        Self::ProviderRefused,
        Self::ProviderUnavailable,
        Self::RecipientMissing,
        Self::Timeout,
        Self::WorkerPanicked,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::ChannelOff => "channel-off",
            Self::ConnectionFailed => "connection-failed",
            Self::ConnectionLost => "connection-lost",
            Self::Expired => "expired",
            Self::LeaseLost => "lease-lost",
            Self::LeaseTooShort => "lease-too-short",
            Self::ProviderCredentials => "provider-credentials",
            Self::ProviderError => "provider-error",
            Self::ProviderRefused => "provider-refused",
            Self::ProviderUnavailable => "provider-unavailable",
            Self::RecipientMissing => "recipient-missing",
            Self::Timeout => "timeout",
            Self::WorkerPanicked => "worker-panicked",
        }
    }

    /// A sentence for the client. It holds no address.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "all attempts were made and none succeeded",
            Self::ChannelOff => "no provider is bound to the channel",
            Self::ConnectionFailed => "no connection to the provider could be made",
            Self::ConnectionLost => "the connection to the provider broke before it answered",
            Self::Expired => "expiresAt passed before it could be sent",
            Self::LeaseLost => "the worker was lost before it finished the attempt",
            Self::LeaseTooShort => "too little time was left to begin to send",
            Self::ProviderCredentials => "the provider did not accept the credentials",
            Self::ProviderError => "the provider failed while it handled the message",
            Self::ProviderRefused => "the provider refused the message",
            Self::ProviderUnavailable => "the provider could not take the message at that time",
            Self::RecipientMissing => "the channel's provider needs an address and none was given",
            Self::Timeout => "the provider did not answer in time",
            Self::WorkerPanicked => "the worker failed while it sent",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|code| code.as_str() == text).ok_or(Invalid("is no error code"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub number: u32,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub channel: Channel,
    /// None where the worker that made it was lost before it could say.
    pub provider: Option<String>,
    pub outcome: Outcome,
    pub code: Option<ErrorCode>,
    pub detail: Option<Detail>,
    /// The claim of the worker that wrote this record, by which it knows its own success.
    pub token: Token,
}

impl Attempt {
    /// By the clock of its worker.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.started_at.until(self.finished_at)
    }

    /// Not so where it ended before: there was nobody to ask, no address, or no time.
    #[must_use]
    pub const fn provider_was_asked(&self) -> bool {
        match self.code {
            Some(
                ErrorCode::AttemptsExhausted
                | ErrorCode::ChannelOff
                | ErrorCode::Expired
                | ErrorCode::LeaseLost
                | ErrorCode::LeaseTooShort
                | ErrorCode::RecipientMissing,
            ) => false,
            None
            | Some(
                ErrorCode::ConnectionFailed
                | ErrorCode::ConnectionLost
                | ErrorCode::ProviderCredentials
                | ErrorCode::ProviderError
                | ErrorCode::ProviderRefused
                | ErrorCode::ProviderUnavailable
                | ErrorCode::Timeout
                | ErrorCode::WorkerPanicked,
            ) => true,
        }
    }

    /// The record of an attempt whose worker was lost, under the token of the one that found out: the lost
    /// worker, should it come back, must not take the record for its own.
    #[must_use]
    pub const fn lost(seen: &Notification, now: Timestamp, token: Token) -> Self {
        Self {
            number: seen.attempt,
            // Claiming was the last write before the worker was lost.
            started_at: seen.updated_at,
            finished_at: now,
            channel: seen.channel,
            provider: None,
            outcome: Outcome::Unknown,
            code: Some(ErrorCode::LeaseLost),
            detail: None,
            token,
        }
    }
}

/// How many attempts a notification remembers.
pub const REMEMBERED: usize = 20;

/// The attempts so far and one more, the last [`REMEMBERED`] of them.
#[must_use]
pub fn with(attempts: &[Attempt], last: Attempt) -> Vec<Attempt> {
    let skip = (attempts.len() + 1).saturating_sub(REMEMBERED);
    attempts.iter().skip(skip).cloned().chain(std::iter::once(last)).collect()
}

/// At most 256 bytes about an attempt, such as `HTTP 503`. It never holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail(String);

impl Detail {
    pub const MOST_BYTES: usize = 256;

    /// Cut at a character's edge where it is longer.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        Self(cut(text, Self::MOST_BYTES).to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The longest beginning of `text` that has at most `most` bytes.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_detail_is_a_beginning_of_its_text_within_256_bytes(text in "\\PC{0,300}") {
            let detail = Detail::cut(&text);
            prop_assert!(text.starts_with(detail.as_str()));
            prop_assert!(detail.as_str().len() <= Detail::MOST_BYTES);
            prop_assert!(detail.as_str().len() == text.len() || detail.as_str().len() > Detail::MOST_BYTES - 4);
        }
    }

    fn record(number: u32) -> Attempt {
        Attempt {
            number,
            started_at: Timestamp::from_millis(0),
            finished_at: Timestamp::from_millis(0),
            channel: Channel::Email,
            provider: None,
            outcome: Outcome::NotSent,
            code: Some(ErrorCode::ChannelOff),
            detail: None,
            token: Token::from_uuid(uuid::Uuid::from_u128(7)),
        }
    }

    #[test]
    fn a_provider_was_asked_unless_the_attempt_ended_before() {
        use ErrorCode::{AttemptsExhausted, ChannelOff, Expired, LeaseLost, LeaseTooShort, RecipientMissing};
        let before = [AttemptsExhausted, ChannelOff, Expired, LeaseLost, LeaseTooShort, RecipientMissing];
        assert!(Attempt { code: None, ..record(1) }.provider_was_asked());
        for code in ErrorCode::ALL {
            let attempt = Attempt { code: Some(code), ..record(1) };
            assert_eq!(attempt.provider_was_asked(), !before.contains(&code), "{code:?}");
        }
    }

    #[test]
    fn the_last_twenty_are_remembered() {
        let numbers = |attempts: &[Attempt]| attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>();
        let mut attempts = Vec::new();
        for number in 1..=45 {
            attempts = with(&attempts, record(number));
            let first = number.saturating_sub(19).max(1);
            assert_eq!(numbers(&attempts), (first..=number).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_written_forms_read_back() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Ok(code));
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Ok(outcome));
        }
    }
}
