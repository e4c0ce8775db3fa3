//! The notification: what was asked for, how far it has come, and who works on it.

use std::fmt;

use uuid::Uuid;

use super::idempotency::Fields;
use super::{
    Attempt, Channel, DueAt, ErrorCode, Fingerprint, IdempotencyKey, Invalid, JsonObject, Metadata, Recipient, Status, Template,
    Tenant, Timestamp, UserId,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NotificationId(Uuid);

impl NotificationId {
    /// The hyphenated form, in any letter case, and no other.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const SHAPE: Invalid = Invalid("must be a UUID in its hyphenated form");
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(SHAPE);
        }
        Uuid::try_parse(text).map(Self).map_err(|_not_a_uuid| SHAPE)
    }

    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Made fresh for one logical write, outside of every retry, and written by nothing else: the mark by
/// which that write is known again when its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(Uuid);

impl Token {
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Uuid::try_parse(text).map(Self).map_err(|_not_a_uuid| Invalid("is no token"))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A valid request, ready to be stored.
#[derive(Clone, Debug)]
pub struct NewNotification {
    pub tenant: Tenant,
    pub user_id: UserId,
    pub channel: Channel,
    pub template: Template,
    pub to: Option<Recipient>,
    pub data: Option<JsonObject>,
    pub metadata: Option<Metadata>,
    pub idempotency_key: Option<IdempotencyKey>,
    pub scheduled_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// Who asked: the name of a key or a token's subject, once there are any.
    pub created_by: Option<String>,
    pub request_id: Option<String>,
    pub traceparent: Option<String>,
}

/// How a new notification enters the store.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    pub id: NotificationId,
    pub create_token: Token,
    pub now: Timestamp,
    pub attempt_limit: u32,
    /// How long the fast path has until redrive looks.
    pub due_guard: std::time::Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub id: NotificationId,
    pub tenant: Tenant,
    pub user_id: UserId,
    pub channel: Channel,
    pub template: Template,
    pub to: Option<Recipient>,
    pub data: Option<JsonObject>,
    pub metadata: Option<Metadata>,
    pub idempotency_key: Option<IdempotencyKey>,
    pub fingerprint: Fingerprint,
    pub scheduled_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub created_by: Option<String>,
    pub request_id: Option<String>,
    pub traceparent: Option<String>,

    pub status: Status,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub error_code: Option<ErrorCode>,
    pub error_message: Option<String>,
    pub provider: Option<String>,
    pub provider_message_id: Option<String>,
    pub attempts: Vec<Attempt>,

    /// Never overwritten: by it a create knows its own success.
    pub create_token: Token,
    /// Attempts begun, over the whole life.
    pub attempt: u32,
    pub attempt_limit: u32,
    pub not_before: Timestamp,
    pub claim_token: Option<Token>,
    pub lease_until: Option<Timestamp>,
    /// Present exactly as long as the status is not final: the one invariant that keeps every promise.
    pub due_at: Option<DueAt>,
    /// From when on the store may forget it: final ones only.
    pub ttl: Option<Timestamp>,
}

impl Notification {
    /// The row "create" of the table: `Pending`, due now (behind the guard that gives the fast path its
    /// time) or when it is scheduled.
    #[must_use]
    pub fn create(new: NewNotification, birth: Birth) -> Self {
        let fingerprint = Fingerprint::of(&Fields {
            user_id: &new.user_id,
            channel: new.channel,
            template: &new.template,
            to: new.to.as_ref(),
            data: new.data.as_ref(),
            metadata: new.metadata.as_ref(),
            scheduled_at: new.scheduled_at,
            expires_at: new.expires_at,
        });
        let not_before = new.scheduled_at.unwrap_or(birth.now);
        // Redrive publishes the first event of what is scheduled, and waits for what goes out at once.
        let due = if not_before > birth.now { not_before } else { birth.now.plus(birth.due_guard) };
        Self {
            id: birth.id,
            tenant: new.tenant,
            user_id: new.user_id,
            channel: new.channel,
            template: new.template,
            to: new.to,
            data: new.data,
            metadata: new.metadata,
            idempotency_key: new.idempotency_key,
            fingerprint,
            scheduled_at: new.scheduled_at,
            expires_at: new.expires_at,
            created_by: new.created_by,
            request_id: new.request_id,
            traceparent: new.traceparent,
            status: Status::Pending,
            created_at: birth.now,
            updated_at: birth.now,
            sent_at: None,
            finished_at: None,
            error_code: None,
            error_message: None,
            provider: None,
            provider_message_id: None,
            attempts: Vec::new(),
            create_token: birth.create_token,
            attempt: 0,
            attempt_limit: birth.attempt_limit,
            not_before,
            claim_token: None,
            lease_until: None,
            due_at: Some(DueAt::first(due)),
            ttl: None,
        }
    }

    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.attempt >= self.attempt_limit
    }
}
