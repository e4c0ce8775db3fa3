//! Attributes read by name and type. Whoever reads gets the value parsed, or an error that names the
//! attribute and never its value.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;
use crate::domain::{Invalid, Timestamp, Token};
use crate::store::Error;

#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub &'a Item);

pub(super) fn unreadable(name: &str) -> Error {
    Error::Unreadable { what: name.to_owned() }
}

impl<'a> Fields<'a> {
    pub(super) fn text(self, name: &str) -> Result<Option<&'a str>, Error> {
        let value = self.0.get(name).map(|value| value.as_s().map_err(|_other_type| unreadable(name)));
        Ok(value.transpose()?.map(String::as_str))
    }

    pub(super) fn parsed<T>(self, name: &str, parse: impl Fn(&str) -> Result<T, Invalid>) -> Result<Option<T>, Error> {
        self.text(name)?.map(|text| parse(text).map_err(|_invalid| unreadable(name))).transpose()
    }

    pub(super) fn number<T: std::str::FromStr>(self, name: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let text = value.as_n().map_err(|_other_type| unreadable(name))?;
        text.parse().map(Some).map_err(|_not_a_number| unreadable(name))
    }

    pub(super) fn millis(self, name: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.number(name)?.map(Timestamp::from_millis))
    }

    pub(super) fn seconds(self, name: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.number::<i64>(name)?.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))))
    }

    pub(super) fn bytes<const LENGTH: usize>(self, name: &str) -> Result<Option<[u8; LENGTH]>, Error> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let blob = value.as_b().map_err(|_other_type| unreadable(name))?;
        blob.as_ref().try_into().map(Some).map_err(|_other_length| unreadable(name))
    }

    pub(super) fn token(self, name: &str) -> Result<Option<Token>, Error> {
        Ok(self.bytes(name)?.map(|bytes| Token::from_uuid(uuid::Uuid::from_bytes(bytes))))
    }

    pub(super) fn list(self, name: &str) -> Result<&'a [AttributeValue], Error> {
        let Some(value) = self.0.get(name) else { return Ok(&[]) };
        Ok(value.as_l().map_err(|_other_type| unreadable(name))?)
    }
}

/// For an attribute that every item has.
pub(super) fn required<T>(name: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| unreadable(name))
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn number(value: u32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn millis(value: Timestamp) -> AttributeValue {
    AttributeValue::N(value.as_millis().to_string())
}

pub(super) fn seconds(value: Timestamp) -> AttributeValue {
    AttributeValue::N(value.as_secs().to_string())
}

pub(super) fn token(value: Token) -> AttributeValue {
    bytes(value.as_uuid().as_bytes())
}

pub(super) fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(aws_smithy_types::Blob::new(value))
}
