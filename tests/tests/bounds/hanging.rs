//! A store whose writes hang where a test says so, until the SDK would give them up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use shared::domain::{Change, DueShard, Notification, NotificationId, Tenant, UserId};
use shared::store::{Applied, Created, Due, Error, Page, Position, Store};
use simulation::model_store::ModelStore;
use tokio::time::sleep;

/// Longer than a batch waits for room.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(9);

#[derive(Debug, Default)]
pub(crate) struct HangingStore {
    pub(crate) model: ModelStore,
    pub(crate) hangs: AtomicBool,
}

#[async_trait]
impl Store for HangingStore {
    async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        if self.hangs.load(Ordering::Relaxed) {
            sleep(GIVEN_UP_AFTER).await;
            return Err(Error::Unavailable { what: "no answer came".to_owned() });
        }
        self.model.apply(id, change).await
    }

    async fn create(&self, notification: &Notification) -> Result<Created, Error> {
        self.model.create(notification).await
    }

    async fn get(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Notification>, Error> {
        self.model.get(tenant, id).await
    }

    async fn list(&self, tenant: &Tenant, user: &UserId, limit: u32, after: Option<Position>) -> Result<Page, Error> {
        self.model.list(tenant, user, limit, after).await
    }

    async fn due(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error> {
        self.model.due(shard, limit, after).await
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}
