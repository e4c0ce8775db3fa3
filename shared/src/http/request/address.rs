//! `to`: an object whose members are those of the channel's address.

use serde_json::value::RawValue;

use super::Reason;
use super::field::{is_null, object, text};
use crate::domain::json::Entries;
use crate::domain::recipient::{DeviceToken, Email, Phone, Platform};
use crate::domain::{Channel, Recipient};
use crate::http::Fault;

/// One member, parsed on its own, whatever the channel.
enum Member {
    Email(Email),
    Phone(Phone),
    DeviceToken(DeviceToken),
    Platform(Platform),
}

/// The members that were given; a name with a fault is here too, so that it is not called missing.
#[derive(Default)]
struct Members {
    names: Vec<String>,
    email: Option<Email>,
    phone: Option<Phone>,
    device_token: Option<DeviceToken>,
    platform: Option<Platform>,
}

/// Without a valid channel the members are still judged, each for itself.
pub(super) fn parse(faults: &mut Vec<Fault>, raw: &RawValue, channel: Option<Channel>) -> Option<Recipient> {
    let before = faults.len();
    let Entries(entries) = object(raw).map_err(|Reason(reason)| faults.push(Fault::at(&["to"], reason))).ok()?;
    let mut members = Members::default();
    let mut seen: Vec<&str> = Vec::new();
    for (name, raw) in &entries {
        if seen.contains(&name.as_str()) {
            faults.push(Fault::at(&["to", name], "must be given once"));
            continue;
        }
        let Some(parsed) = member(name, raw) else {
            faults.push(Fault::at(&["to", name], "is not a known field"));
            continue;
        };
        seen.push(name);
        if is_null(raw) {
            continue;
        }
        members.names.push(name.clone());
        match parsed {
            Ok(Member::Email(email)) => members.email = Some(email),
            Ok(Member::Phone(phone)) => members.phone = Some(phone),
            Ok(Member::DeviceToken(token)) => members.device_token = Some(token),
            Ok(Member::Platform(platform)) => members.platform = Some(platform),
            Err(Reason(reason)) => faults.push(Fault::at(&["to", name], reason)),
        }
    }
    let channel = channel?;
    if !members.fit(channel) {
        faults.push(Fault::at(&["to"], shape(channel)));
    }
    members.recipient(channel).filter(|_| faults.len() == before)
}

fn member(name: &str, raw: &RawValue) -> Option<Result<Member, Reason>> {
    let parsed = text(raw);
    Some(match name {
        "email" => parsed.and_then(|text| Ok(Member::Email(Email::parse(&text)?))),
        "phone" => parsed.and_then(|text| Ok(Member::Phone(Phone::parse(&text)?))),
        "deviceToken" => parsed.and_then(|text| Ok(Member::DeviceToken(DeviceToken::parse(&text)?))),
        "platform" => parsed.and_then(|text| Ok(Member::Platform(text.parse()?))),
        _ => return None,
    })
}

impl Members {
    /// The one that the channel needs is there, and none of another channel's.
    fn fit(&self, channel: Channel) -> bool {
        let (needed, optional) = match channel {
            Channel::Email => ("email", None),
            Channel::Sms => ("phone", None),
            Channel::Push => ("deviceToken", Some("platform")),
        };
        self.names.iter().any(|name| name == needed)
            && self.names.iter().all(|name| name == needed || Some(name.as_str()) == optional)
    }

    fn recipient(self, channel: Channel) -> Option<Recipient> {
        match channel {
            Channel::Email => self.email.map(Recipient::Email),
            Channel::Sms => self.phone.map(Recipient::Phone),
            Channel::Push => self.device_token.map(|token| Recipient::Device { token, platform: self.platform }),
        }
    }
}

const fn shape(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => r#"must be {"email": …} for the channel email"#,
        Channel::Sms => r#"must be {"phone": …} for the channel sms"#,
        Channel::Push => r#"must be {"deviceToken": …, "platform": …} for the channel push; platform is optional"#,
    }
}
