//! The Publisher port, the event itself, and the rule for when Kafka is left alone for a while.

pub mod batch;
pub mod event;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod outbox;
pub mod reading;
pub mod security;

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

pub use event::Event;
pub use outbox::{Mode, Outbox};
pub use security::Security;

/// Where the events go, and who reads them. Absent as a whole in sync mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, several of them separated by commas.
    pub bootstrap_servers: String,
    pub security: Security,
    pub topic: String,
    pub group_id: String,
    /// How long one event may take; after that its notification is processed at once.
    pub produce_timeout: Duration,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// The broker did not take the event in time. It may still have reached the log: whoever reads it
    /// later finds its notification claimed or final.
    #[error("kafka is not available: {what}")]
    Unavailable { what: String },
    /// The broker will not take it however long we wait: password, certificate, permission, topic.
    #[error("kafka refuses the event: {what}")]
    Refused { what: String },
}

#[async_trait]
pub trait Publisher: Send + Sync + std::fmt::Debug {
    /// Resolves once the broker has the event (acks=all), within the publisher's own deadline.
    async fn publish(&self, event: &Event) -> Result<(), Error>;
}
