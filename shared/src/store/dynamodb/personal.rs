//! What is personal (`to`, `data`, `metadata`) as one text of compact JSON in one attribute, so that
//! erasing it is one write. `data` is kept by its own text, digit for digit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fields::unreadable;
use super::keys::PERSONAL;
use crate::domain::recipient::{DeviceToken, Email, Phone};
use crate::domain::{Channel, JsonObject, Metadata, Notification, Recipient};
use crate::store::Error;

#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<BTreeMap<&'static str, &'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Read {
    to: Option<BTreeMap<String, String>>,
    data: Option<Box<RawValue>>,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Default)]
pub(super) struct Personal {
    pub to: Option<Recipient>,
    pub data: Option<JsonObject>,
    pub metadata: Option<Metadata>,
}

/// None where there is nothing personal.
pub(super) fn write(notification: &Notification) -> Result<Option<String>, Error> {
    let Notification { to, data, metadata, .. } = notification;
    if to.is_none() && data.is_none() && metadata.is_none() {
        return Ok(None);
    }
    let written = Written {
        to: to.as_ref().map(|to| to.entries().collect()),
        data: data.as_ref().map(JsonObject::to_raw).transpose().map_err(|_not_json| unreadable(PERSONAL))?,
        metadata: metadata.as_ref().map(Metadata::entries),
    };
    serde_json::to_string(&written).map(Some).map_err(|_not_json| unreadable(PERSONAL))
}

pub(super) fn read(text: Option<&str>, channel: Channel) -> Result<Personal, Error> {
    let Some(text) = text else { return Ok(Personal::default()) };
    let read: Read = serde_json::from_str(text).map_err(|_not_json| unreadable(PERSONAL))?;
    Ok(Personal {
        to: read.to.map(|to| recipient(channel, &to).ok_or_else(|| unreadable(PERSONAL))).transpose()?,
        data: read.data.map(|raw| JsonObject::parse(&raw)).transpose().map_err(|_invalid| unreadable(PERSONAL))?,
        metadata: read.metadata.map(Metadata::parse).transpose().map_err(|_invalid| unreadable(PERSONAL))?,
    })
}

fn recipient(channel: Channel, to: &BTreeMap<String, String>) -> Option<Recipient> {
    match channel {
        Channel::Email => Email::parse(to.get("email")?).ok().map(Recipient::Email),
        Channel::Sms => Phone::parse(to.get("phone")?).ok().map(Recipient::Phone),
        Channel::Push => Some(Recipient::Device {
            token: DeviceToken::parse(to.get("deviceToken")?).ok()?,
            platform: to.get("platform").map(|platform| platform.parse()).transpose().ok()?,
        }),
    }
}
