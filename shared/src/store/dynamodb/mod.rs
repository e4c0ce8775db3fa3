//! The store on DynamoDB, and on anything that speaks its protocol. One table and two sparse indexes;
//! every write is one conditional call, whose condition and update come from [`Change`] alone.
//!
//! The SDK repeats a call whose answer did not come, so any write may arrive twice. That is why each asks
//! for the item that failed its condition, and lets the change say whether it is already in there.

mod attempts;
mod client;
mod expression;
mod failure;
mod fields;
mod item;
mod keys;
mod personal;
mod read;
pub mod table;
mod write;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;

pub use self::client::DEFAULT_TIMEOUT;
use self::item::Stored;
use super::{Applied, Created, Due, Error, Page, Position, Store};
use crate::domain::{Change, DueShard, Notification, NotificationId, Tenant, UserId};
use crate::permission::Missing;

type Item = HashMap<String, AttributeValue>;

#[derive(Clone)]
pub struct DynamoDb {
    client: Client,
    table: String,
    /// For one call with all its repeats.
    timeout: Duration,
    missing: Missing,
}

impl DynamoDb {
    /// The store that AWS's own variables name. Nothing is sent yet; it fails only where they name no
    /// region.
    pub async fn from_environment(table: &str, timeout: Duration) -> Result<Self, Error> {
        Ok(Self::with(client::from_environment(timeout).await?, table, timeout))
    }

    /// As [`from_environment`](Self::from_environment), and greets it: one cheap call before the first request,
    /// which would else pay for TLS and credentials. A store that is away is no reason not to start.
    pub async fn connect(table: &str, timeout: Duration) -> Result<Self, Error> {
        let store = Self::from_environment(table, timeout).await?;
        if let Err(error) = store.check().await {
            tracing::warn!(%error, "started without the store");
        }
        Ok(store)
    }

    /// The store behind `endpoint` (`http://127.0.0.1:8000`), which asks for no real credentials.
    #[must_use]
    pub fn at(endpoint: &str, table: &str, timeout: Duration) -> Self {
        Self::with(client::at(endpoint, timeout), table, timeout)
    }

    fn with(client: Client, table: &str, timeout: Duration) -> Self {
        Self { client, table: table.to_owned(), timeout, missing: Missing::default() }
    }

    /// What a failed call means. A missing permission is named in the log, here and once.
    fn failure<E: ProvideErrorMetadata>(&self, failed: &SdkError<E, HttpResponse>) -> Error {
        if let Some(action) = failure::missing_permission(failed) {
            self.missing.note(action);
        }
        failure::error(&self.table, failed)
    }

    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// For whoever must go beneath the port: a test, a benchmark's floor.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }
}

/// The client's own print is long and tells of its credentials' origin.
impl std::fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoDb").field("table", &self.table).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for DynamoDb {
    async fn create(&self, notification: &Notification) -> Result<Created, Error> {
        self.put(notification).await
    }

    async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        self.update(id, change).await
    }

    async fn get(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Notification>, Error> {
        Ok(match self.get_item(id).await? {
            Some(Stored::Ours(found)) if found.tenant == *tenant => Some(*found),
            // What this release does not know is no notification of anybody's to it.
            Some(Stored::Ours(_) | Stored::Foreign) | None => None,
        })
    }

    async fn list(&self, tenant: &Tenant, user: &UserId, limit: u32, after: Option<Position>) -> Result<Page, Error> {
        self.list_user(tenant, user, limit, after).await
    }

    async fn due(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error> {
        self.query_due(shard, limit, after).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.ping().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_print_says_the_table_and_nothing_of_its_client() {
        let db = DynamoDb::at("http://127.0.0.1:9", "notifications", Duration::from_secs(3));
        assert_eq!(format!("{db:?}"), r#"DynamoDb { table: "notifications", timeout: 3s, .. }"#);
    }
}
