//! A store with a fresh table: the embedded one, or whatever `AWS_ENDPOINT_URL_DYNAMODB` names, such as
//! AWS's own DynamoDB Local. Where they differ, that one is right.

#![expect(clippy::expect_used, reason = "a test without a store can't go on")]

use std::time::Duration;

use server::embedded::store::{EmbeddedStore, Place};
use shared::random::{Random, SystemRandom};
use shared::store::dynamodb::DynamoDb;

/// Patient, for a machine that builds beside.
pub const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub struct TestStore {
    /// Holds the embedded store up, if it is that.
    embedded: Option<EmbeddedStore>,
    endpoint: String,
    pub db: DynamoDb,
}

impl TestStore {
    /// With a table of its own.
    pub async fn start() -> Self {
        let store = Self::without_table().await;
        store.db.create_table().await.expect("a table");
        store
    }

    pub async fn without_table() -> Self {
        let (embedded, endpoint) = match real_endpoint() {
            Some(endpoint) => (None, endpoint),
            None => {
                let embedded = EmbeddedStore::start(Place::Memory).await.expect("an embedded store");
                let endpoint = embedded.endpoint();
                (Some(embedded), endpoint)
            }
        };
        let random: &dyn Random = &SystemRandom;
        let db = DynamoDb::at(&endpoint, &format!("test-{}", random.uuid()), TIMEOUT);
        Self { embedded, endpoint, db }
    }

    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' own switch, read in one place")]
fn real_endpoint() -> Option<String> {
    std::env::var("AWS_ENDPOINT_URL_DYNAMODB").ok()
}
