//! The Provider port: who takes a message off our hands, and what can come of it.

pub mod breaker;
pub mod dev;
pub mod inbox;
pub mod lane;
pub mod registry;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(feature = "webhook")]
pub mod webhook;

use std::time::Duration;

use async_trait::async_trait;

pub use inbox::Inbox;
pub use lane::{Lane, Limits};
pub use registry::{Binding, BindingError, OpenError, Providers, Surroundings};

use crate::domain::attempt::Detail;
use crate::domain::{
    Channel, ErrorCode, JsonObject, Notification, NotificationId, Recipient, Template, Tenant, Timestamp, UserId,
};

/// What a provider is given. Metadata is not part of it: that is the client's own.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: NotificationId,
    pub tenant: Tenant,
    pub user_id: UserId,
    pub channel: Channel,
    pub template: Template,
    pub data: Option<JsonObject>,
    pub to: Option<Recipient>,
    pub attempt: u32,
    /// When the attempt began.
    pub at: Timestamp,
    pub traceparent: Option<String>,
}

impl Message {
    /// For the attempt that begins now.
    #[must_use]
    pub fn of(n: &Notification, at: Timestamp, traceparent: Option<String>) -> Self {
        Self {
            id: n.id,
            tenant: n.tenant.clone(),
            user_id: n.user_id.clone(),
            channel: n.channel,
            template: n.template.clone(),
            data: n.data.clone(),
            to: n.to.clone(),
            attempt: n.attempt,
            at,
            traceparent,
        }
    }
}

/// What came of a send. Whether it is tried again follows from the arm and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    Accepted {
        provider_message_id: Option<String>,
    },
    Refused {
        code: ErrorCode,
        detail: Option<Detail>,
    },
    /// `retry_after`: the provider's own word, if it gave one.
    NotSent {
        code: ErrorCode,
        detail: Option<Detail>,
        retry_after: Option<Duration>,
    },
    Unknown {
        code: ErrorCode,
        detail: Option<Detail>,
    },
}

#[async_trait]
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// Stable, in lower case: what `provider` shows.
    fn name(&self) -> &'static str;

    /// Whether a notification without an address is refused.
    fn needs_recipient(&self) -> bool;

    /// Whether a repeat under the same notification id has no second effect. A property of the type:
    /// after an unknown outcome only such a provider is asked again regardless of `ON_UNKNOWN`.
    fn drops_repeats(&self) -> bool;

    /// Sends once. The caller bounds the time by `SEND_TIMEOUT` and treats running out of it as unknown.
    async fn send(&self, message: &Message) -> Sent;
}
