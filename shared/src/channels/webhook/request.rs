//! The body of a webhook: the notification as the receiver sees it. Metadata is not part of it.

use crate::channels::Message;
use crate::domain::json::Json;

const TYPE: &str = "notification.send";

/// `{"type", "timestamp", "data": {id, tenant, userId, channel, template, data, to, attempt}}`: a user is known by
/// tenant and id together. The notification's own data digit for digit. Absent means absent, not null.
pub(super) fn body(message: &Message) -> String {
    let mut data = vec![
        entry("id", text(&message.id.to_string())),
        entry("tenant", text(message.tenant.as_str())),
        entry("userId", text(message.user_id.as_str())),
        entry("channel", text(message.channel.as_str())),
        entry("template", text(message.template.as_str())),
    ];
    if let Some(own) = &message.data {
        data.push(entry("data", own.json().clone()));
    }
    if let Some(to) = &message.to {
        data.push(entry("to", Json::Object(to.entries().map(|(name, value)| entry(name, text(value))).collect())));
    }
    data.push(entry("attempt", Json::Number(message.attempt.to_string())));
    Json::Object(vec![
        entry("type", text(TYPE)),
        entry("timestamp", text(&message.at.to_string())),
        entry("data", Json::Object(data)),
    ])
    .to_compact()
}

fn entry(name: &str, value: Json) -> (String, Json) {
    (name.to_owned(), value)
}

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples::{message, with_data};
    use crate::domain::recipient::{DeviceToken, Email, Platform};
    use crate::domain::{Channel, Recipient};

    #[test]
    fn the_body_has_the_data_digit_for_digit() {
        let email = Recipient::Email(Email::parse("a@example.com").unwrap());
        let message = Message { to: Some(email), attempt: 3, ..with_data(r#"{"z":1.10,"a":[1E5,12345678901234567890123]}"#) };
        assert_eq!(
            body(&message),
            concat!(
                r#"{"type":"notification.send","timestamp":"2023-11-14T22:13:20.123Z","data":{"#,
                r#""id":"0190a0b0-0000-7000-8000-000000000001","tenant":"default","userId":"u-1","channel":"email","template":"welcome","#,
                r#""data":{"z":1.10,"a":[1E5,12345678901234567890123]},"to":{"email":"a@example.com"},"attempt":3}}"#
            )
        );
    }

    #[test]
    fn what_is_absent_is_absent() {
        let body = body(&message(Channel::Sms, "u \"1\""));
        assert!(body.ends_with(r#""userId":"u \"1\"","channel":"sms","template":"welcome","attempt":1}}"#), "{body}");
    }

    #[test]
    fn a_device_comes_with_its_platform() {
        let device = Recipient::Device { token: DeviceToken::parse("t-1").unwrap(), platform: Some(Platform::Apns) };
        let body = body(&Message { to: Some(device), ..message(Channel::Push, "u") });
        assert!(body.contains(r#""to":{"deviceToken":"t-1","platform":"apns"}"#), "{body}");
    }
}
