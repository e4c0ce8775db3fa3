//! The provider `dev:`: keeps what would have been sent in the [`Inbox`] and sends nothing.
//!
//! It fails on demand, so that every outcome can be seen without a provider: by an e-mail address, a
//! device token or a user id that starts with `fail+refused`, `fail+unavailable` or `fail+timeout`.
//! It does not drop repeats: what is sent twice is in the inbox twice.

use std::sync::Arc;

use async_trait::async_trait;

use super::registry::{BindingError, Given, Opener};
use super::{Inbox, Message, Provider, Sent};
use crate::domain::attempt::Detail;
use crate::domain::{ErrorCode, Recipient};

pub const NAME: &str = "dev";

#[derive(Debug)]
pub struct Dev {
    inbox: Arc<Inbox>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refused,
    Unavailable,
    Timeout,
}

impl Dev {
    #[must_use]
    pub const fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox }
    }
}

/// `dev:` takes nothing behind the colon.
pub(super) fn parse(given: &Given<'_>) -> Result<Opener, BindingError> {
    if !given.rest.is_empty() {
        return Err(BindingError::Malformed { form: "dev:" });
    }
    Ok(Arc::new(|surroundings| Ok(Arc::new(Dev::new(Arc::clone(&surroundings.inbox))))))
}

impl Fault {
    /// The address is asked first, then the user id (the only one that a phone number's message has).
    fn asked_for_by(message: &Message) -> Option<Self> {
        let address = match &message.to {
            Some(Recipient::Email(email)) => Self::named_by(email.as_str()),
            Some(Recipient::Device { token, platform: _ }) => Self::named_by(token.as_str()),
            Some(Recipient::Phone(_)) | None => None,
        };
        address.or_else(|| Self::named_by(message.user_id.as_str()))
    }

    fn named_by(text: &str) -> Option<Self> {
        [("fail+refused", Self::Refused), ("fail+unavailable", Self::Unavailable), ("fail+timeout", Self::Timeout)]
            .into_iter()
            .find_map(|(prefix, fault)| text.starts_with(prefix).then_some(fault))
    }
}

#[async_trait]
impl Provider for Dev {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs_recipient(&self) -> bool {
        false
    }

    fn drops_repeats(&self) -> bool {
        false
    }

    async fn send(&self, message: &Message) -> Sent {
        let detail = Some(Detail::cut("fault on demand"));
        match Fault::asked_for_by(message) {
            None => {
                self.inbox.keep(message);
                Sent::Accepted { provider_message_id: None }
            }
            Some(Fault::Refused) => Sent::Refused { code: ErrorCode::ProviderRefused, detail },
            Some(Fault::Unavailable) => Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail, retry_after: None },
            Some(Fault::Timeout) => {
                // The request went out and only the answer is missing, so the message did arrive; who
                // repeats it sees the repeat. Nobody waits: the answer is what a wait would have ended in.
                self.inbox.keep(message);
                Sent::Unknown { code: ErrorCode::Timeout, detail }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::inbox::Filter;
    use crate::channels::samples::{Stopped, message};
    use crate::domain::attempt::Outcome;
    use crate::domain::recipient::{DeviceToken, Email, Phone};
    use crate::domain::{Channel, Timestamp};

    fn outcome(sent: &Sent) -> Outcome {
        match sent {
            Sent::Accepted { .. } => Outcome::Accepted,
            Sent::Refused { .. } => Outcome::Refused,
            Sent::NotSent { .. } => Outcome::NotSent,
            Sent::Unknown { .. } => Outcome::Unknown,
        }
    }

    async fn send(message: &Message) -> (Outcome, usize) {
        let inbox = Arc::new(Inbox::new(Arc::new(Stopped(Timestamp::from_millis(0)))));
        let sent = Dev::new(Arc::clone(&inbox)).send(message).await;
        (outcome(&sent), inbox.newest_first(&Filter::default()).len())
    }

    #[tokio::test]
    async fn a_message_without_an_address_is_kept_and_accepted() {
        assert_eq!(send(&message(Channel::Sms, "u-1")).await, (Outcome::Accepted, 1));
    }

    #[tokio::test]
    async fn an_address_a_token_or_a_user_asks_for_a_fault() {
        let faults = [
            ("fail+refused", Outcome::Refused, 0),
            ("fail+unavailable", Outcome::NotSent, 0),
            ("fail+timeout", Outcome::Unknown, 1),
        ];
        for (prefix, expected, kept) in faults {
            let email = Recipient::Email(Email::parse(&format!("{prefix}-now@example.com")).unwrap());
            let device = Recipient::Device { token: DeviceToken::parse(&format!("{prefix}:abc")).unwrap(), platform: None };
            let phone = Recipient::Phone(Phone::parse("+43660123456").unwrap());
            let asked = [
                Message { to: Some(email), ..message(Channel::Email, "u") },
                Message { to: Some(device), ..message(Channel::Push, "u") },
                Message { to: Some(phone), ..message(Channel::Sms, prefix) },
                message(Channel::Email, prefix),
            ];
            for message in asked {
                assert_eq!(send(&message).await, (expected, kept), "{prefix}");
            }
        }
    }

    #[tokio::test]
    async fn a_name_that_only_contains_a_fault_asks_for_none() {
        for user in ["x-fail+refused", "fail", "fail+other", "Fail+refused"] {
            assert_eq!(send(&message(Channel::Email, user)).await, (Outcome::Accepted, 1), "{user}");
        }
    }
}
