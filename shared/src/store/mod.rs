//! The Store port: one conditional write for each thing that can happen, and three ways to read.

#[cfg(feature = "contract")]
pub mod contract;
pub mod dynamodb;

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::{Change, DueAt, DueShard, Notification, NotificationId, Tenant, Timestamp, UserId};

/// What a create found. The arms are the whole truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    New,
    /// Somebody was first: the notification as it stands now.
    Existing(Box<Notification>),
    /// Somebody was first, with an item of an unknown kind or a newer version.
    Foreign,
}

/// What came of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was written, now or by an earlier try whose answer was lost; the item after it.
    Done(Box<Notification>),
    /// Its guards did not hold; the item as it stands.
    Refused(Box<Notification>),
    /// There is no such item.
    Missing,
    /// The item is of an unknown kind or a newer version: not ours to touch.
    Foreign,
}

/// A place in the list of a user's notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub created_at: Timestamp,
    pub id: NotificationId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub notifications: Vec<Notification>,
    /// Where the next page begins; none on the last.
    pub next: Option<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub id: NotificationId,
    pub due_at: DueAt,
}

#[derive(Debug, Error)]
pub enum Error {
    /// No answer in time, no connection, throttled past the retries, or the service failed.
    #[error("the store is not available: {what}")]
    Unavailable { what: String },
    /// The store answered that the call can't work: credentials, a request that it does not take.
    #[error("the store refused the call: {what}")]
    Refused { what: String },
    /// Our role lacks a permission. Its name is in the log, once.
    #[error("the store does not allow the call: a permission is missing")]
    Forbidden,
    /// The store answers, and has no such table: somebody must create it.
    #[error("the store has no table named {table}")]
    TableMissing { table: String },
    /// An item that this release can't read.
    #[error("a stored item can't be read: {what}")]
    Unreadable { what: String },
}

impl Error {
    /// Whether the same call may work later without anybody mending anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Refused { .. } | Self::Forbidden | Self::TableMissing { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// One line of what came of a call that failed for one notification: an ERROR only where somebody has to mend
    /// something, because that wakes them.
    pub fn tell(&self, what_came_of_it: &str) {
        if self.is_transient() {
            tracing::warn!(error = %self, "{what_came_of_it}");
        } else {
            tracing::error!(error = %self, "{what_came_of_it}");
        }
    }
}

#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// ONE conditional put. A lost answer is recognised by `create_token`.
    async fn create(&self, notification: &Notification) -> Result<Created, Error>;

    /// ONE conditional update.
    async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error>;

    /// Strongly consistent. None if there is none, or none of this tenant's.
    async fn get(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Notification>, Error>;

    /// Newest first; eventually consistent, as the index is.
    async fn list(&self, tenant: &Tenant, user: &UserId, limit: u32, after: Option<Position>) -> Result<Page, Error>;

    /// The `limit` first of a shard, soonest first, whether already due or not; from behind `after` on.
    async fn due(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error>;

    /// Whether the store answers and the table is there.
    async fn check(&self) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::captured::told_by;

    #[test]
    fn only_what_somebody_has_to_mend_is_told_as_an_error() {
        let what = || "canary".to_owned();
        for (error, level) in [
            (Error::Unavailable { what: what() }, "WARN"),
            (Error::Refused { what: what() }, "ERROR"),
            (Error::Forbidden, "ERROR"),
            (Error::TableMissing { table: what() }, "ERROR"),
            (Error::Unreadable { what: what() }, "ERROR"),
        ] {
            assert_eq!(told_by(|| error.tell("not claimed")), [(level.to_owned(), "not claimed".to_owned())]);
        }
    }
}
