//! The reads: one item by its id, a user's list, what is due, and whether the table is there.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use tokio::time::Instant;

use super::fields::{Fields, required};
use super::item::{self, Stored};
use super::{DynamoDb, Item, keys};
use crate::domain::{DueAt, DueShard, Notification, NotificationId, Tenant, UserId};
use crate::store::{Due, Error, Page, Position};

/// `BatchGetItem` takes no more keys.
const MOST_LISTED: u32 = 100;
const FIRST_BACKOFF: Duration = Duration::from_millis(25);
/// Nobody's id, under which nothing is ever stored.
const NOBODY: NotificationId = NotificationId::from_uuid(uuid::Uuid::nil());

impl DynamoDb {
    pub(super) async fn get_item(&self, id: NotificationId) -> Result<Option<Stored>, Error> {
        let get = self.client.get_item().table_name(&self.table).key(keys::ID, keys::id(id)).consistent_read(true);
        let output = get.send().await.map_err(|failed| self.failure(&failed))?;
        output.item().map(item::read).transpose()
    }

    pub(super) async fn list_user(
        &self,
        tenant: &Tenant,
        user: &UserId,
        limit: u32,
        after: Option<Position>,
    ) -> Result<Page, Error> {
        let deadline = Instant::now() + self.timeout;
        let limit = limit.clamp(1, MOST_LISTED);
        // One more than asked for tells whether there is a next page.
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(keys::USER_CREATED_INDEX)
            .key_condition_expression("#key = :key")
            .expression_attribute_names("#key", keys::USER_KEY)
            .expression_attribute_values(":key", keys::user_key(tenant, user))
            .scan_index_forward(false)
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|after| keys::user_created_start(tenant, user, after)));
        let output = query.send().await.map_err(|failed| self.failure(&failed))?;
        let mut places = output.items().iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = places.len() > wanted;
        places.truncate(wanted);
        let next = places.last().copied().filter(|_last| more);
        let mut found = self.fetch(&places, deadline).await?;
        // The index trails the table: what it still names may be gone.
        let notifications = places.iter().filter_map(|place| found.remove(&place.id));
        let notifications = notifications.filter(|n| n.tenant == *tenant && n.user_id == *user).collect();
        Ok(Page { notifications, next })
    }

    /// The items of these places; what the store leaves out because it is busy is asked for again.
    async fn fetch(&self, places: &[Position], deadline: Instant) -> Result<HashMap<NotificationId, Notification>, Error> {
        let mut found = HashMap::new();
        let mut left: Vec<Item> = places.iter().map(|place| Item::from([(keys::ID.to_owned(), keys::id(place.id))])).collect();
        let mut backoff = FIRST_BACKOFF;
        while !left.is_empty() {
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).build();
            let wanted = wanted.map_err(|_incomplete| Error::Refused { what: "the request could not be built".to_owned() })?;
            let batch = self.client.batch_get_item().request_items(&self.table, wanted);
            let output = batch.send().await.map_err(|failed| self.failure(&failed))?;
            for item in output.responses().and_then(|tables| tables.get(&self.table)).into_iter().flatten() {
                // A list is not the place to stumble over what a newer release wrote, or over one bad item.
                match item::read(item) {
                    Ok(Stored::Ours(notification)) => {
                        found.insert(notification.id, *notification);
                    }
                    Ok(Stored::Foreign) => {}
                    Err(error) => tracing::error!(%error, "left out of a list"),
                }
            }
            let unprocessed = output.unprocessed_keys().and_then(|tables| tables.get(&self.table));
            left = unprocessed.map(|table| table.keys().to_vec()).unwrap_or_default();
            if !left.is_empty() {
                if Instant::now() + backoff >= deadline {
                    return Err(Error::Unavailable { what: "a batch was not read to its end in time".to_owned() });
                }
                tokio::time::sleep(backoff).await;
                backoff *= 2;
            }
        }
        Ok(found)
    }

    pub(super) async fn query_due(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(keys::DUE_INDEX)
            .key_condition_expression("#key = :key")
            .expression_attribute_names("#key", keys::DUE_SHARD)
            .expression_attribute_values(":key", keys::due_shard(shard))
            .limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX));
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut start = after.map(|after| keys::due_start(shard, after));
        let mut found = Vec::new();
        // One call, unless more is asked for than the megabyte that an answer holds.
        loop {
            let page = query.clone().set_exclusive_start_key(start).send().await;
            let page = page.map_err(|failed| self.failure(&failed))?;
            for key in page.items() {
                // One bad key must not hide what is due behind it.
                match due(key) {
                    Ok(due) => found.push(due),
                    Err(error) => tracing::error!(%error, "an entry of the due index can't be read: left alone"),
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || found.len() >= wanted {
                found.truncate(wanted);
                return Ok(found);
            }
        }
    }

    /// Half a read unit, and no permission beyond those that every reader has.
    pub(super) async fn ping(&self) -> Result<(), Error> {
        let get = self.client.get_item().table_name(&self.table).key(keys::ID, keys::id(NOBODY));
        get.send().await.map(drop).map_err(|failed| self.failure(&failed))
    }
}

fn place(key: &Item) -> Result<Position, Error> {
    required(keys::CREATED, Fields(key).parsed(keys::CREATED, keys::parse_created)?)
}

fn due(key: &Item) -> Result<Due, Error> {
    Ok(Due {
        id: required(keys::ID, Fields(key).parsed(keys::ID, NotificationId::parse)?)?,
        due_at: required(keys::DUE_AT, Fields(key).parsed(keys::DUE_AT, DueAt::parse)?)?,
    })
}
