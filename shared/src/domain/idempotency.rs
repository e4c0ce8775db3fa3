//! The client's key is the constraint: it makes the notification's id, so that the store itself refuses
//! a second one. The fingerprint then tells a repeat of the request from another request under its key.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::json::Json;
use super::{Channel, Invalid, JsonObject, Metadata, NotificationId, Recipient, Template, Tenant, Timestamp, UserId};

/// 1 to 255 printable ASCII characters (space to `~`).
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if (1..=255).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be 1 to 255 printable ASCII characters"))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// UUID v8 of SHA-256 over (`v1`, `notification`, tenant, key), each length-prefixed: nobody can write
    /// two different pairs of tenant and key that read the same.
    #[must_use]
    pub fn notification_id(&self, tenant: &Tenant) -> NotificationId {
        let digest = hash_parts(&["v1", "notification", tenant.as_str(), &self.0]);
        NotificationId::from_uuid(Uuid::new_v8(first_16(digest)))
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

/// SHA-256 over the parts, each behind its length as eight bytes.
#[must_use]
pub fn hash_parts(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

/// The first half of a digest.
#[must_use]
pub fn first_16(digest: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(digest) {
        *to = from;
    }
    half
}

/// The fields of a request that were present, as parsed, without the key.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    pub user_id: &'a UserId,
    pub channel: Channel,
    pub template: &'a Template,
    pub to: Option<&'a Recipient>,
    pub data: Option<&'a JsonObject>,
    pub metadata: Option<&'a Metadata>,
    pub scheduled_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
}

/// A version byte and SHA-256 of the canonical form of the fields that were present: alias, letter case
/// of the channel, order of keys, and a field that a later release adds make no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 33]);

impl Fingerprint {
    const VERSION: u8 = 1;

    #[must_use]
    pub fn of(fields: &Fields<'_>) -> Self {
        let mut canonical = String::new();
        as_json(fields).write_canonical(&mut canonical);
        let digest: [u8; 32] = Sha256::digest(canonical.as_bytes()).into();
        let mut bytes = [Self::VERSION; 33];
        for (to, from) in bytes.iter_mut().skip(1).zip(digest) {
            *to = from;
        }
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 33]) -> Self {
        Self(bytes)
    }
}

fn as_json(fields: &Fields<'_>) -> Json {
    let text = |s: &str| Json::String(s.to_owned());
    let mut entries = vec![
        ("userId".to_owned(), text(fields.user_id.as_str())),
        ("channel".to_owned(), text(fields.channel.as_str())),
        ("template".to_owned(), text(fields.template.as_str())),
    ];
    if let Some(to) = fields.to {
        entries.push(("to".to_owned(), Json::Object(to.entries().map(|(k, v)| (k.to_owned(), text(v))).collect())));
    }
    if let Some(data) = fields.data {
        entries.push(("data".to_owned(), data.json().clone()));
    }
    if let Some(metadata) = fields.metadata {
        let object = metadata.entries().iter().map(|(k, v)| (k.clone(), text(v))).collect();
        entries.push(("metadata".to_owned(), Json::Object(object)));
    }
    if let Some(at) = fields.scheduled_at {
        entries.push(("scheduledAt".to_owned(), text(&at.to_string())));
    }
    if let Some(at) = fields.expires_at {
        entries.push(("expiresAt".to_owned(), text(&at.to_string())));
    }
    Json::Object(entries)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn id(tenant: &str, key: &str) -> NotificationId {
        IdempotencyKey::parse(key).unwrap().notification_id(&Tenant::parse(tenant).unwrap())
    }

    proptest! {
        #[test]
        fn one_tenant_and_key_make_one_id_and_others_make_others(
            a in ("[a-zA-Z0-9_-]{1,8}", "[ -~]{1,12}"), b in ("[a-zA-Z0-9_-]{1,8}", "[ -~]{1,12}"),
        ) {
            let (x, y) = (id(&a.0, &a.1), id(&b.0, &b.1));
            prop_assert_eq!(a == b, x == y);
            prop_assert_eq!(x.as_uuid().get_version_num(), 8);
        }

        #[test]
        fn a_key_is_printable_ascii_or_refused(text in "[ -~]{0,3}|.{0,4}|[a-z]{250,260}") {
            let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7e).contains(&b));
            prop_assert_eq!(IdempotencyKey::parse(&text).is_ok(), fits);
        }
    }

    #[test]
    fn the_id_of_a_key_never_changes_between_releases() {
        // Computed apart, with Python's hashlib and uuid.
        assert_eq!(id("default", "order-42").to_string(), "f56212e6-e33f-85ac-9805-eff54d7d6540");
    }

    #[test]
    fn each_field_makes_a_difference_and_its_absence_too() {
        let (user, other) = (UserId::parse("u").unwrap(), UserId::parse("v").unwrap());
        let (template, second) = (Template::parse("t").unwrap(), Template::parse("t/2").unwrap());
        let raw =
            |text: &str| JsonObject::parse(&serde_json::from_str::<Box<serde_json::value::RawValue>>(text).unwrap()).unwrap();
        let (one, same_value) = (raw(r#"{"n":1.1}"#), raw(r#"{"n":1.10}"#));
        let empty = Metadata::parse(std::collections::BTreeMap::new()).unwrap();
        let base = Fields {
            user_id: &user,
            channel: Channel::Email,
            template: &template,
            to: None,
            data: None,
            metadata: None,
            scheduled_at: None,
            expires_at: None,
        };
        let at = Some(Timestamp::from_millis(0));
        let variants = [
            base,
            Fields { user_id: &other, ..base },
            Fields { channel: Channel::Sms, ..base },
            Fields { template: &second, ..base },
            Fields { data: Some(&one), ..base },
            Fields { data: Some(&same_value), ..base },
            Fields { metadata: Some(&empty), ..base },
            Fields { scheduled_at: at, ..base },
            Fields { expires_at: at, ..base },
        ];
        let mut seen = HashMap::new();
        for (n, fields) in variants.iter().enumerate() {
            assert_eq!(Fingerprint::of(fields), Fingerprint::of(fields));
            assert_eq!(seen.insert(*Fingerprint::of(fields).as_bytes(), n), None, "variant {n}");
        }
    }

    #[test]
    fn a_debug_print_does_not_tell_the_key() {
        assert_eq!(format!("{:?}", IdempotencyKey::parse("canary").unwrap()), "IdempotencyKey(…)");
    }
}
