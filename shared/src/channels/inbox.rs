//! What the provider `dev:` would have sent: the last messages, in memory, for a developer's eyes.
//!
//! Written by [`super::dev::Dev`], read by the server's `GET /dev/inbox`. A message that was sent twice is
//! here twice, each with its attempt's number: nothing is dropped but the oldest.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::Message;
use crate::clock::Clock;
use crate::domain::{Channel, NotificationId, Recipient, Template, Tenant, Timestamp, UserId};

/// Holds at most [`Inbox::MOST_MESSAGES`] messages of at most [`Inbox::MOST_BYTES`] in sum.
#[derive(Debug)]
pub struct Inbox {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Oldest first.
    messages: VecDeque<Arc<Received>>,
    bytes: usize,
}

/// One message as it would have gone out. Its data is kept as text only: the parsed tree of a 64 KiB
/// array can be thirty times as large, and the bound on the sum would be a lie.
#[derive(Clone)]
pub struct Received {
    pub notification_id: NotificationId,
    pub tenant: Tenant,
    pub user_id: UserId,
    pub channel: Channel,
    pub template: Template,
    pub data: Option<Box<RawValue>>,
    pub to: Option<Recipient>,
    pub attempt: u32,
    pub received_at: Timestamp,
}

/// Which messages are asked for: all of one tenant, or fewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub tenant: Tenant,
    pub user_id: Option<UserId>,
    pub channel: Option<Channel>,
}

impl Inbox {
    pub const MOST_MESSAGES: usize = 1000;
    pub const MOST_BYTES: usize = 8 * 1024 * 1024;

    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    pub fn keep(&self, message: &Message) {
        let received = Arc::new(Received {
            notification_id: message.id,
            tenant: message.tenant.clone(),
            user_id: message.user_id.clone(),
            channel: message.channel,
            template: message.template.clone(),
            // What `JsonObject` writes is JSON, so nothing is lost here.
            data: message.data.as_ref().and_then(|data| data.to_raw().ok()),
            to: message.to.clone(),
            attempt: message.attempt,
            received_at: self.clock.now(),
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += received.bytes();
        kept.messages.push_back(received);
        while kept.messages.len() > Self::MOST_MESSAGES || kept.bytes > Self::MOST_BYTES {
            let Some(oldest) = kept.messages.pop_front() else { break };
            kept.bytes = kept.bytes.saturating_sub(oldest.bytes());
        }
    }

    #[must_use]
    pub fn newest_first(&self, filter: &Filter) -> Vec<Arc<Received>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.messages.iter().rev().filter(|received| filter.admits(received)).map(Arc::clone).collect()
    }
}

impl Filter {
    fn admits(&self, received: &Received) -> bool {
        self.tenant == received.tenant
            && self.user_id.as_ref().is_none_or(|user_id| *user_id == received.user_id)
            && self.channel.is_none_or(|channel| channel == received.channel)
    }
}

impl Received {
    /// What it takes in memory, about: its texts, and a flat sum for what holds them.
    fn bytes(&self) -> usize {
        const FRAME: usize = 256;
        let data = self.data.as_ref().map_or(0, |data| data.get().len());
        let to = self.to.as_ref().map_or(0, |to| to.entries().map(|(_, text)| text.len()).sum());
        FRAME + self.tenant.as_str().len() + self.user_id.as_str().len() + self.template.as_str().len() + data + to
    }
}

/// As `GET /dev/inbox` shows it. Absent means absent, not null.
impl Serialize for Received {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown<'a> {
            notification_id: String,
            user_id: &'a str,
            channel: &'static str,
            template: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a RawValue>,
            #[serde(skip_serializing_if = "Option::is_none")]
            to: Option<BTreeMap<&'static str, &'a str>>,
            attempt: u32,
            received_at: String,
        }
        Shown {
            notification_id: self.notification_id.to_string(),
            user_id: self.user_id.as_str(),
            channel: self.channel.as_str(),
            template: self.template.as_str(),
            data: self.data.as_deref(),
            to: self.to.as_ref().map(|to| to.entries().collect()),
            attempt: self.attempt,
            received_at: self.received_at.to_string(),
        }
        .serialize(serializer)
    }
}

/// Its address and data are personal: a debug print names the notification only.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({}, attempt {})", self.notification_id, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples::{Stopped, message, with_data};

    fn inbox() -> Inbox {
        Inbox::new(Arc::new(Stopped(Timestamp::from_millis(1_000))))
    }

    #[test]
    fn the_newest_comes_first_and_a_repeat_is_shown_twice() {
        let inbox = inbox();
        inbox.keep(&message(Channel::Email, "one"));
        inbox.keep(&Message { attempt: 2, ..message(Channel::Email, "one") });
        let attempts: Vec<u32> = inbox.newest_first(&Filter::default()).iter().map(|received| received.attempt).collect();
        assert_eq!(attempts, [2, 1]);
    }

    #[test]
    fn a_filter_admits_one_user_one_channel_or_both() {
        let inbox = inbox();
        for (channel, user) in [(Channel::Email, "a"), (Channel::Sms, "a"), (Channel::Sms, "b")] {
            inbox.keep(&message(channel, user));
        }
        let count = |user: Option<&str>, channel| {
            let user_id = user.map(|user| UserId::parse(user).unwrap());
            inbox.newest_first(&Filter { user_id, channel, ..Filter::default() }).len()
        };
        assert_eq!(count(None, None), 3);
        assert_eq!(count(Some("a"), None), 2);
        assert_eq!(count(None, Some(Channel::Sms)), 2);
        assert_eq!(count(Some("a"), Some(Channel::Sms)), 1);
        assert_eq!(count(Some("c"), None), 0);
    }

    #[test]
    fn a_tenant_sees_its_own_messages_and_no_others() {
        let (inbox, other) = (inbox(), Tenant::parse("other").unwrap());
        inbox.keep(&message(Channel::Email, "a"));
        inbox.keep(&Message { tenant: other.clone(), attempt: 2, ..message(Channel::Email, "a") });
        let seen = |filter: &Filter| inbox.newest_first(filter).iter().map(|received| received.attempt).collect::<Vec<_>>();
        assert_eq!(seen(&Filter::default()), [1]);
        assert_eq!(seen(&Filter { tenant: other, ..Filter::default() }), [2]);
    }

    #[test]
    fn the_oldest_goes_when_there_are_more_than_a_thousand() {
        let inbox = inbox();
        for attempt in 1..=1003 {
            inbox.keep(&Message { attempt, ..message(Channel::Push, "u") });
        }
        let kept = inbox.newest_first(&Filter::default());
        assert_eq!(kept.len(), Inbox::MOST_MESSAGES);
        assert_eq!(kept.last().map(|received| received.attempt), Some(4));
    }

    #[test]
    fn the_oldest_goes_when_the_sum_passes_eight_mebibytes() {
        let inbox = inbox();
        let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(60_000));
        for attempt in 1..=200 {
            inbox.keep(&Message { attempt, ..with_data(&large) });
        }
        let kept = inbox.newest_first(&Filter::default());
        let sum: usize = kept.iter().map(|received| received.bytes()).sum();
        assert!(sum <= Inbox::MOST_BYTES, "{sum}");
        // As many as fit, not fewer.
        assert!(sum + 61_000 > Inbox::MOST_BYTES, "{sum}");
        assert_eq!(kept.first().map(|received| received.attempt), Some(200));
        assert_eq!(inbox.kept.lock().unwrap().bytes, sum);
    }

    #[test]
    fn what_is_shown_has_the_data_digit_for_digit_and_nothing_that_is_absent() {
        let inbox = inbox();
        inbox.keep(&with_data(r#"{"b":1.10,"a":12345678901234567890123}"#));
        let shown = serde_json::to_string(&*inbox.newest_first(&Filter::default())[0]).unwrap();
        assert!(shown.contains(r#""data":{"b":1.10,"a":12345678901234567890123}"#), "{shown}");
        assert!(shown.contains(r#""receivedAt":"1970-01-01T00:00:01.000Z""#), "{shown}");
        assert!(!shown.contains(r#""to""#), "{shown}");
    }

    #[test]
    fn a_debug_print_shows_neither_address_nor_data() {
        let inbox = inbox();
        inbox.keep(&with_data(r#"{"canary":"bird"}"#));
        assert!(!format!("{inbox:?}").contains("canary"));
    }
}
