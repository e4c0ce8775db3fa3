//! The fields of a create request, sorted out: each known and given once, or a fault.

use serde_json::value::RawValue;

use super::Reason;
use crate::domain::Invalid;
use crate::domain::json::Entries;
use crate::http::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    UserId,
    Channel,
    Template,
    Data,
    To,
    Metadata,
    IdempotencyKey,
    ScheduledAt,
    ExpiresAt,
}

impl Field {
    pub const ALL: [Self; 9] = [
        Self::UserId,
        Self::Channel,
        Self::Template,
        Self::Data,
        Self::To,
        Self::Metadata,
        Self::IdempotencyKey,
        Self::ScheduledAt,
        Self::ExpiresAt,
    ];

    /// The other name of `userId`.
    pub const ALIAS: &'static str = "user_id";

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserId => "userId",
            Self::Channel => "channel",
            Self::Template => "template",
            Self::Data => "data",
            Self::To => "to",
            Self::Metadata => "metadata",
            Self::IdempotencyKey => "idempotencyKey",
            Self::ScheduledAt => "scheduledAt",
            Self::ExpiresAt => "expiresAt",
        }
    }

    fn of(name: &str) -> Option<Self> {
        if name == Self::ALIAS {
            return Some(Self::UserId);
        }
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// The first value of each known field, under the name that the client used.
pub(super) struct Sent<'a>(Vec<(Field, &'a str, &'a RawValue)>);

impl<'a> Sent<'a> {
    /// Unknown names and repeated fields become faults. A `null` counts when it comes to repeats: two
    /// values for one field are a mistake, whichever was meant.
    pub(super) fn sort(entries: &'a [(String, Box<RawValue>)], faults: &mut Vec<Fault>) -> Self {
        let mut sent: Vec<(Field, &str, &RawValue)> = Vec::with_capacity(entries.len().min(Field::ALL.len()));
        for (name, raw) in entries {
            let Some(field) = Field::of(name) else {
                faults.push(Fault::at(&[name], "is not a known field"));
                continue;
            };
            match sent.iter().find(|(earlier, ..)| *earlier == field) {
                None => sent.push((field, name, raw)),
                Some((_, earlier, _)) if earlier == name => faults.push(Fault::at(&[name], "must be given once")),
                Some(_) => faults.push(Fault::at(&[name], "must not be given beside its other name, userId or user_id")),
            }
        }
        Self(sent)
    }

    /// `null` means absent.
    pub(super) fn get(&self, field: Field) -> Option<(&'a str, &'a RawValue)> {
        self.0.iter().find(|(sent, _, raw)| *sent == field && !is_null(raw)).map(|(_, name, raw)| (*name, *raw))
    }
}

pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

pub(super) fn text(raw: &RawValue) -> Result<String, Reason> {
    if !raw.get().starts_with('"') {
        return Err(Invalid("must be a string").into());
    }
    // A string with half of a surrogate pair is JSON by the grammar, and no text.
    serde_json::from_str(raw.get()).map_err(|_no_text| Invalid("must be valid Unicode text").into())
}

pub(super) fn object(raw: &RawValue) -> Result<Entries, Reason> {
    if !raw.get().starts_with('{') {
        return Err(Invalid("must be an object").into());
    }
    serde_json::from_str(raw.get()).map_err(|_no_text| Invalid("must have names of valid Unicode text").into())
}
