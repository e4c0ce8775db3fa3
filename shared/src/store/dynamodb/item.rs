//! A notification as an item and back. What is absent has no attribute; the index keys are there exactly
//! while the notification belongs into the index.

use aws_sdk_dynamodb::types::AttributeValue;

use super::fields::{Fields, bytes, millis, number, required, seconds, text, token};
use super::keys::{self, NEWEST_VERSION, NOTIFICATION};
use super::personal::Personal;
use super::{Item, attempts, personal};
use crate::domain::{
    Channel, DueAt, DueShard, ErrorCode, Fingerprint, IdempotencyKey, Notification, NotificationId, Status, Template,
};
use crate::store::{Error, Position};

/// What lies under an id.
pub(super) enum Stored {
    Ours(Box<Notification>),
    /// Of an unknown kind or a newer version: not ours to read or to touch.
    Foreign,
}

pub(super) fn write(n: &Notification) -> Result<Item, Error> {
    let always = [
        (keys::ID, keys::id(n.id)),
        (keys::VERSION, number(NEWEST_VERSION)),
        (keys::KIND, text(NOTIFICATION)),
        (keys::USER_KEY, keys::user_key(&n.tenant, &n.user_id)),
        (keys::CREATED, keys::created(Position { created_at: n.created_at, id: n.id })),
        (keys::CHANNEL, text(n.channel.as_str())),
        (keys::TEMPLATE, text(n.template.as_str())),
        (keys::FINGERPRINT, bytes(n.fingerprint.as_bytes())),
        (keys::STATUS, text(n.status.as_str())),
        (keys::UPDATED_AT, millis(n.updated_at)),
        (keys::CREATE_TOKEN, token(n.create_token)),
        (keys::ATTEMPT, number(n.attempt)),
        (keys::ATTEMPT_LIMIT, number(n.attempt_limit)),
        (keys::NOT_BEFORE, millis(n.not_before)),
    ];
    let sometimes = [
        (keys::PERSONAL, personal::write(n)?.map(AttributeValue::S)),
        (keys::IDEMPOTENCY_KEY, n.idempotency_key.as_ref().map(|key| text(key.as_str()))),
        (keys::SCHEDULED_AT, n.scheduled_at.map(millis)),
        (keys::EXPIRES_AT, n.expires_at.map(millis)),
        (keys::CREATED_BY, n.created_by.as_deref().map(text)),
        (keys::REQUEST_ID, n.request_id.as_deref().map(text)),
        (keys::TRACEPARENT, n.traceparent.as_deref().map(text)),
        (keys::SENT_AT, n.sent_at.map(millis)),
        (keys::FINISHED_AT, n.finished_at.map(millis)),
        (keys::ERROR_CODE, n.error_code.map(|code| text(code.as_str()))),
        (keys::ERROR_MESSAGE, n.error_message.as_deref().map(text)),
        (keys::PROVIDER, n.provider.as_deref().map(text)),
        (keys::PROVIDER_MESSAGE_ID, n.provider_message_id.as_deref().map(text)),
        (keys::ATTEMPTS, (!n.attempts.is_empty()).then(|| attempts::to_list(&n.attempts))),
        (keys::CLAIM_TOKEN, n.claim_token.map(token)),
        (keys::LEASE_UNTIL, n.lease_until.map(millis)),
        (keys::DUE_SHARD, n.due_at.map(|_due| keys::due_shard(DueShard::of(n.id)))),
        (keys::DUE_AT, n.due_at.map(keys::due_at)),
        (keys::TTL, n.ttl.map(seconds)),
    ];
    let sometimes = sometimes.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(always.into_iter().chain(sometimes).map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(super) fn read(item: &Item) -> Result<Stored, Error> {
    let f = Fields(item);
    let version: u32 = required(keys::VERSION, f.number(keys::VERSION)?)?;
    if f.text(keys::KIND)? != Some(NOTIFICATION) || version > NEWEST_VERSION {
        return Ok(Stored::Foreign);
    }
    let (tenant, user_id) = required(keys::USER_KEY, f.parsed(keys::USER_KEY, keys::parse_user_key)?)?;
    let channel = required(keys::CHANNEL, f.parsed(keys::CHANNEL, Channel::parse)?)?;
    let Personal { to, data, metadata } = personal::read(f.text(keys::PERSONAL)?, channel)?;
    Ok(Stored::Ours(Box::new(Notification {
        id: required(keys::ID, f.parsed(keys::ID, NotificationId::parse)?)?,
        tenant,
        user_id,
        channel,
        template: required(keys::TEMPLATE, f.parsed(keys::TEMPLATE, Template::parse)?)?,
        to,
        data,
        metadata,
        idempotency_key: f.parsed(keys::IDEMPOTENCY_KEY, IdempotencyKey::parse)?,
        fingerprint: Fingerprint::from_bytes(required(keys::FINGERPRINT, f.bytes(keys::FINGERPRINT)?)?),
        scheduled_at: f.millis(keys::SCHEDULED_AT)?,
        expires_at: f.millis(keys::EXPIRES_AT)?,
        created_by: f.text(keys::CREATED_BY)?.map(str::to_owned),
        request_id: f.text(keys::REQUEST_ID)?.map(str::to_owned),
        traceparent: f.text(keys::TRACEPARENT)?.map(str::to_owned),
        status: required(keys::STATUS, f.parsed(keys::STATUS, Status::parse)?)?,
        created_at: required(keys::CREATED, f.parsed(keys::CREATED, keys::parse_created)?)?.created_at,
        updated_at: required(keys::UPDATED_AT, f.millis(keys::UPDATED_AT)?)?,
        sent_at: f.millis(keys::SENT_AT)?,
        finished_at: f.millis(keys::FINISHED_AT)?,
        error_code: f.parsed(keys::ERROR_CODE, ErrorCode::parse)?,
        error_message: f.text(keys::ERROR_MESSAGE)?.map(str::to_owned),
        provider: f.text(keys::PROVIDER)?.map(str::to_owned),
        provider_message_id: f.text(keys::PROVIDER_MESSAGE_ID)?.map(str::to_owned),
        attempts: attempts::from_list(f.list(keys::ATTEMPTS)?)?,
        create_token: required(keys::CREATE_TOKEN, f.token(keys::CREATE_TOKEN)?)?,
        attempt: required(keys::ATTEMPT, f.number(keys::ATTEMPT)?)?,
        attempt_limit: required(keys::ATTEMPT_LIMIT, f.number(keys::ATTEMPT_LIMIT)?)?,
        not_before: required(keys::NOT_BEFORE, f.millis(keys::NOT_BEFORE)?)?,
        claim_token: f.token(keys::CLAIM_TOKEN)?,
        lease_until: f.millis(keys::LEASE_UNTIL)?,
        due_at: f.parsed(keys::DUE_AT, DueAt::parse)?,
        ttl: f.seconds(keys::TTL)?,
    })))
}
