//! `notification.due`: the one event. CloudEvents 1.0 in Kafka's binary mode, and nothing personal in
//! it, because a log can't be erased.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use serde::{Deserialize, Serialize};

use crate::domain::idempotency::{first_16, hash_parts};
use crate::domain::json::object;
use crate::domain::{Channel, Invalid, Notification, NotificationId, Timestamp};

pub const TYPE: &str = "notification.due";
pub const SPEC_VERSION: &str = "1.0";
pub const SOURCE: &str = "/notifications";
pub const VALUE_VERSION: u32 = 1;
pub const KIND: &str = "notification";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: NotificationId,
    pub channel: Channel,
    /// The attempt that it asks for, counted from 1.
    pub attempt: u32,
    pub time: Timestamp,
    pub traceparent: Option<String>,
    /// Hash of tenant and user: one user's notifications share a partition.
    pub key: String,
}

/// The value of the record.
#[derive(Debug, Serialize, Deserialize)]
struct Value {
    v: u32,
    kind: String,
    id: String,
    channel: String,
}

/// What a record's value asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Deliver {
        id: NotificationId,
        channel: Channel,
    },
    /// An unknown kind or a newer version: someone else's.
    Foreign,
}

impl Event {
    #[must_use]
    pub fn due(n: &Notification, now: Timestamp) -> Self {
        let digest = first_16(hash_parts(&[n.tenant.as_str(), n.user_id.as_str()]));
        Self {
            id: n.id,
            channel: n.channel,
            attempt: n.attempt.saturating_add(1),
            time: now,
            traceparent: n.traceparent.clone(),
            key: uuid::Uuid::from_bytes(digest).simple().to_string(),
        }
    }

    /// The headers of the record, in CloudEvents' names.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("ce_specversion", SPEC_VERSION.to_owned()),
            ("ce_type", TYPE.to_owned()),
            ("ce_source", SOURCE.to_owned()),
            ("ce_id", format!("{}-{}", self.id, self.attempt)),
            ("ce_subject", self.id.to_string()),
            ("ce_time", self.time.to_string()),
            ("content-type", "application/json".to_owned()),
        ];
        headers.extend(self.traceparent.clone().map(|parent| ("traceparent", parent)));
        headers
    }

    /// The value of the record, as JSON.
    #[must_use]
    pub fn value(&self) -> String {
        serde_json::json!({"v": VALUE_VERSION, "kind": KIND, "id": self.id.to_string(), "channel": self.channel.as_str()})
            .to_string()
    }
}

/// Reads the value of a record whose type is [`TYPE`].
pub fn read(value: &[u8]) -> Result<Asked, Invalid> {
    #[derive(Deserialize)]
    struct Envelope {
        v: u32,
        kind: String,
    }
    const SHAPE: Invalid = Invalid(r#"the value is not {"v": 1, "kind": "notification", "id", "channel"}"#);
    let envelope: Envelope = object(value).map_err(|_malformed| SHAPE)?;
    if envelope.v != VALUE_VERSION || envelope.kind != KIND {
        return Ok(Asked::Foreign);
    }
    let value: Value = object(value).map_err(|_malformed| SHAPE)?;
    Ok(Asked::Deliver { channel: Channel::parse(&value.channel)?, id: NotificationId::parse(&value.id)? })
}
