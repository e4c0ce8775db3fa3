//! Reading: one notification, the one of a key, a user's list. Every read asks whose it is.

use std::sync::Arc;

use super::Error;
use crate::clock::Clock;
use crate::crash_point;
use crate::domain::{Explanation, IdempotencyKey, Notification, NotificationId, Tenant, UserId};
use crate::store::{Page, Position, Store};

#[derive(Debug)]
pub struct Get {
    pub store: Arc<dyn Store>,
    /// For what comes next, which depends on what has passed.
    pub clock: Arc<dyn Clock>,
}

impl Get {
    pub async fn one(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Notification>, Error> {
        crash_point!(BeforeRead);
        Ok(self.store.get(tenant, id).await?)
    }

    /// From the record alone: the same read as [`Self::one`].
    pub async fn why(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Explanation>, Error> {
        Ok(self.one(tenant, id).await?.map(|n| Explanation::of(&n, self.clock.now())))
    }

    /// One read: the id is derived from the key.
    pub async fn by_key(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<Option<Notification>, Error> {
        Ok(self.store.get(tenant, key.notification_id(tenant)).await?)
    }

    pub async fn list(&self, tenant: &Tenant, user: &UserId, limit: u32, after: Option<Position>) -> Result<Page, Error> {
        Ok(self.store.list(tenant, user, limit, after).await?)
    }
}
