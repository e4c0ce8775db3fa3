//! The writes of the use cases: each goes through here, and is counted where it succeeded.

use super::deliver::Worker;
use crate::domain::{Change, Notification, NotificationId};
use crate::store::{Applied, Created, Error};

impl Worker {
    pub(super) async fn put(&self, new: &Notification) -> Result<Created, Error> {
        let created = self.store.create(new).await?;
        self.metrics.created(new, &created);
        Ok(created)
    }

    pub(super) async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        let applied = self.store.apply(id, change).await?;
        self.metrics.applied(change, &applied);
        Ok(applied)
    }

    /// For a function: what was recorded, to stdout. Once for each call, before it is answered.
    pub fn write_metrics(&self) {
        self.metrics.write(&self.providers, self.clock.now());
    }
}
