//! A create request becomes a [`NewNotification`], or a list of everything that is wrong with it. The
//! body is read field by field in the order in which it was sent, so that doubles and unknown names show;
//! the values go through the domain's own parsers.

mod address;
mod field;
mod key;
pub(super) mod trace;

use chrono::{DateTime, Months};
use http::HeaderMap;
use serde_json::value::RawValue;

pub use field::Field;

use self::field::{Sent, object, text};
use super::{Fault, Problem, RequestId, query};
use crate::access::Caller;
use crate::channels::registry::Providers;
use crate::domain::json::Entries;
use crate::domain::{
    Channel, IdempotencyKey, Invalid, JsonObject, Metadata, NewNotification, Recipient, Template, Timestamp, UserId,
};

/// What a request must know about the providers.
pub trait Channels: Send + Sync + std::fmt::Debug {
    /// Whether the channel's provider needs an address; None where the channel is off.
    fn needs_recipient(&self, channel: Channel) -> Option<bool>;
}

impl Channels for Providers {
    fn needs_recipient(&self, channel: Channel) -> Option<bool> {
        Self::needs_recipient(self, channel)
    }
}

/// A create request as it came in. The body has been read, within its limit.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    pub caller: &'a Caller,
    pub request_id: &'a RequestId,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// A body may hold addresses: a debug print shows its size only.
impl std::fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Received({} bytes)", self.body.len())
    }
}

/// Faults of the request come first, all of them; a valid request for a channel that is off comes after.
pub fn parse(received: &Received<'_>, now: Timestamp, channels: &dyn Channels) -> Result<NewNotification, Problem> {
    let Ok(Entries(entries)) = serde_json::from_slice(received.body) else { return Err(Problem::MalformedJson) };
    let mut faults = query::unknown(received.query);
    let sent = Sent::sort(&entries, &mut faults);

    let user_id = require(&mut faults, &sent, Field::UserId, |raw| Ok(UserId::parse(&text(raw)?)?));
    let channel = require(&mut faults, &sent, Field::Channel, |raw| Ok(Channel::parse(&text(raw)?)?));
    let template = require(&mut faults, &sent, Field::Template, |raw| Ok(Template::parse(&text(raw)?)?));
    let data = take(&mut faults, &sent, Field::Data, |raw| JsonObject::parse(raw).map_err(|error| error.to_string().into()));
    let to = recipient(&mut faults, &sent, channel, channels);
    let metadata = sent.get(Field::Metadata).and_then(|(_, raw)| metadata(&mut faults, raw));
    let in_body = take(&mut faults, &sent, Field::IdempotencyKey, |raw| Ok(IdempotencyKey::parse(&text(raw)?)?));
    let idempotency_key = key::agree(&mut faults, in_body, received.headers);
    let scheduled_at = take(&mut faults, &sent, Field::ScheduledAt, |raw| within_a_year(Timestamp::parse(&text(raw)?)?, now));
    let expires_at = take(&mut faults, &sent, Field::ExpiresAt, |raw| after(Timestamp::parse(&text(raw)?)?, scheduled_at));

    let (Some(user_id), Some(channel), Some(template), true) = (user_id, channel, template, faults.is_empty()) else {
        return Err(Problem::InvalidRequest { faults });
    };
    if channels.needs_recipient(channel).is_none() {
        return Err(Problem::ChannelOff { channel });
    }
    Ok(NewNotification {
        tenant: received.caller.tenant.clone(),
        user_id,
        channel,
        template,
        to,
        data,
        metadata,
        idempotency_key,
        scheduled_at,
        expires_at,
        created_by: received.caller.name.clone(),
        request_id: Some(received.request_id.as_str().to_owned()),
        traceparent: trace::parent(received.headers).map(|context| context.to_string()),
    })
}

/// Why a value was refused, in words for the client.
struct Reason(String);

impl From<Invalid> for Reason {
    fn from(invalid: Invalid) -> Self {
        Self(invalid.to_string())
    }
}

impl From<String> for Reason {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

fn take<T>(
    faults: &mut Vec<Fault>,
    sent: &Sent<'_>,
    field: Field,
    parse: impl FnOnce(&RawValue) -> Result<T, Reason>,
) -> Option<T> {
    let (name, raw) = sent.get(field)?;
    parse(raw).map_err(|Reason(reason)| faults.push(Fault::at(&[name], reason))).ok()
}

fn require<T>(
    faults: &mut Vec<Fault>,
    sent: &Sent<'_>,
    field: Field,
    parse: impl FnOnce(&RawValue) -> Result<T, Reason>,
) -> Option<T> {
    if sent.get(field).is_none() {
        faults.push(Fault::at(&[field.name()], "is required"));
    }
    take(faults, sent, field, parse)
}

fn recipient(faults: &mut Vec<Fault>, sent: &Sent<'_>, channel: Option<Channel>, channels: &dyn Channels) -> Option<Recipient> {
    match (sent.get(Field::To), channel) {
        (Some((_, raw)), channel) => address::parse(faults, raw, channel),
        (None, Some(channel)) if channels.needs_recipient(channel) == Some(true) => {
            faults.push(Fault::at(&["to"], "is required: the channel's provider needs an address"));
            None
        }
        (None, _) => None,
    }
}

fn metadata(faults: &mut Vec<Fault>, raw: &RawValue) -> Option<Metadata> {
    let before = faults.len();
    let Entries(entries) = object(raw).map_err(|Reason(reason)| faults.push(Fault::at(&["metadata"], reason))).ok()?;
    let mut parsed = std::collections::BTreeMap::new();
    for (name, raw) in &entries {
        let judged = text(raw).and_then(|value| Ok(Metadata::entry(name, &value).map(|()| value)?));
        match judged {
            _ if parsed.contains_key(name) => faults.push(Fault::at(&["metadata", name], "must be given once")),
            Ok(value) => {
                parsed.insert(name.clone(), value);
            }
            Err(Reason(reason)) => faults.push(Fault::at(&["metadata", name], reason)),
        }
    }
    let metadata = Metadata::parse(parsed).map_err(|invalid| faults.push(Fault::at(&["metadata"], invalid.to_string())));
    metadata.ok().filter(|_| faults.len() == before)
}

/// A calendar year: who schedules for this day next year is right, leap year or not.
fn within_a_year(at: Timestamp, now: Timestamp) -> Result<Timestamp, Reason> {
    let latest = DateTime::from_timestamp_millis(now.as_millis())
        .and_then(|now| now.checked_add_months(Months::new(12)))
        .map_or(now, |latest| Timestamp::from_millis(latest.timestamp_millis()));
    if at <= latest { Ok(at) } else { Err(Invalid("must be at most 1 year ahead").into()) }
}

/// An `expiresAt` that has passed is no fault: the repeat of an old request is a replay.
fn after(at: Timestamp, scheduled_at: Option<Timestamp>) -> Result<Timestamp, Reason> {
    if scheduled_at.is_some_and(|scheduled_at| at <= scheduled_at) {
        return Err(Invalid("must be after scheduledAt").into());
    }
    Ok(at)
}

#[cfg(test)]
pub(super) mod tests;
