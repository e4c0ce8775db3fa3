//! Messages and a clock for the tests of this module.

use crate::clock::Clock;
use crate::domain::{Channel, JsonObject, NotificationId, Template, Tenant, Timestamp, UserId};

use super::Message;

/// A clock that stands still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped(pub(crate) Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub(crate) fn message(channel: Channel, user: &str) -> Message {
    Message {
        id: NotificationId::parse("0190a0b0-0000-7000-8000-000000000001").unwrap(),
        tenant: Tenant::default(),
        user_id: UserId::parse(user).unwrap(),
        channel,
        template: Template::parse("welcome").unwrap(),
        data: None,
        to: None,
        attempt: 1,
        at: Timestamp::from_millis(1_700_000_000_123),
        traceparent: None,
    }
}

pub(crate) fn with_data(json: &str) -> Message {
    let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
    Message { data: Some(JsonObject::parse(&raw).unwrap()), ..message(Channel::Email, "u-1") }
}
