//! The names of the table's attributes and indexes, and the values of its keys. Every other file of the
//! adapter takes them from here; a name, once items bear it, can't change.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;
use crate::domain::{DueAt, DueShard, Invalid, NotificationId, Tenant, Timestamp, UserId};
use crate::store::{Due, Position};

pub(super) const ID: &str = "id";
pub(super) const VERSION: &str = "v";
pub(super) const KIND: &str = "kind";
pub(super) const USER_KEY: &str = "userKey";
pub(super) const CREATED: &str = "createdAt#id";
pub(super) const DUE_SHARD: &str = "dueShard";
pub(super) const DUE_AT: &str = "dueAt";
pub(super) const TTL: &str = "ttl";

pub(super) const CHANNEL: &str = "channel";
pub(super) const TEMPLATE: &str = "template";
/// `to`, `data` and `metadata` together, so that erasing them is one write.
pub(super) const PERSONAL: &str = "personal";
pub(super) const IDEMPOTENCY_KEY: &str = "idempotencyKey";
pub(super) const FINGERPRINT: &str = "fingerprint";
pub(super) const SCHEDULED_AT: &str = "scheduledAt";
pub(super) const EXPIRES_AT: &str = "expiresAt";
pub(super) const CREATED_BY: &str = "createdBy";
pub(super) const REQUEST_ID: &str = "requestId";
pub(super) const TRACEPARENT: &str = "traceparent";

pub(super) const STATUS: &str = "status";
pub(super) const UPDATED_AT: &str = "updatedAt";
pub(super) const SENT_AT: &str = "sentAt";
pub(super) const FINISHED_AT: &str = "finishedAt";
pub(super) const ERROR_CODE: &str = "errorCode";
pub(super) const ERROR_MESSAGE: &str = "errorMessage";
pub(super) const PROVIDER: &str = "provider";
pub(super) const PROVIDER_MESSAGE_ID: &str = "providerMessageId";
pub(super) const ATTEMPTS: &str = "attempts";

pub(super) const CREATE_TOKEN: &str = "createToken";
pub(super) const ATTEMPT: &str = "attempt";
pub(super) const ATTEMPT_LIMIT: &str = "attemptLimit";
pub(super) const NOT_BEFORE: &str = "notBefore";
pub(super) const CLAIM_TOKEN: &str = "claimToken";
pub(super) const LEASE_UNTIL: &str = "leaseUntil";

/// A user's notifications by their time of creation.
pub(super) const USER_CREATED_INDEX: &str = "user-created";
/// What is not final, by the instant from which it wants to be looked at.
pub(super) const DUE_INDEX: &str = "due";

/// What this release writes, and the newest that it reads.
pub(super) const NEWEST_VERSION: u32 = 1;
pub(super) const NOTIFICATION: &str = "notification";

pub(super) fn id(id: NotificationId) -> AttributeValue {
    AttributeValue::S(id.to_string())
}

/// A tenant's name has no `#`, so the first one ends it, whatever the user is called.
pub(super) fn user_key(tenant: &Tenant, user: &UserId) -> AttributeValue {
    AttributeValue::S(format!("{}#{}", tenant.as_str(), user.as_str()))
}

pub(super) fn parse_user_key(text: &str) -> Result<(Tenant, UserId), Invalid> {
    let (tenant, user) = text.split_once('#').ok_or(Invalid("must be <tenant>#<user>"))?;
    Ok((Tenant::parse(tenant)?, UserId::parse(user)?))
}

/// The id keeps apart what was created within one millisecond.
pub(super) fn created(position: Position) -> AttributeValue {
    AttributeValue::S(format!("{}#{}", position.created_at, position.id))
}

pub(super) fn parse_created(text: &str) -> Result<Position, Invalid> {
    let (created_at, id) = text.split_once('#').ok_or(Invalid("must be <instant>#<id>"))?;
    Ok(Position { created_at: Timestamp::parse(created_at)?, id: NotificationId::parse(id)? })
}

pub(super) fn due_shard(shard: DueShard) -> AttributeValue {
    AttributeValue::N(shard.number().to_string())
}

pub(super) fn due_at(due_at: DueAt) -> AttributeValue {
    AttributeValue::S(due_at.to_string())
}

/// Where a list goes on. The user is always the one who asks: a position of another's list finds
/// nothing of theirs.
pub(super) fn user_created_start(tenant: &Tenant, user: &UserId, after: Position) -> Item {
    Item::from([
        (ID.to_owned(), id(after.id)),
        (USER_KEY.to_owned(), user_key(tenant, user)),
        (CREATED.to_owned(), created(after)),
    ])
}

pub(super) fn due_start(shard: DueShard, after: Due) -> Item {
    Item::from([
        (ID.to_owned(), id(after.id)),
        (DUE_SHARD.to_owned(), due_shard(shard)),
        (DUE_AT.to_owned(), due_at(after.due_at)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_whose_name_has_a_hash_is_still_the_tenants_own() {
        let (tenant, user) = (Tenant::default(), UserId::parse("other#a#b").unwrap());
        let AttributeValue::S(key) = user_key(&tenant, &user) else { panic!("not a text") };
        assert_eq!(key, "default#other#a#b");
        assert_eq!(parse_user_key(&key), Ok((tenant, user)));
    }

    #[test]
    fn the_sort_key_of_a_list_has_a_fixed_form() {
        let id = NotificationId::parse("0190a0a0-0000-7000-8000-000000000001").unwrap();
        let position = Position { created_at: Timestamp::from_millis(1_900_000_000_123), id };
        let AttributeValue::S(text) = created(position) else { panic!("not a text") };
        assert_eq!(text, "2030-03-17T17:46:40.123Z#0190a0a0-0000-7000-8000-000000000001");
        assert_eq!(parse_created(&text), Ok(position));
    }
}
