//! The address that a notification goes to, in the shape of its channel.

use std::str::FromStr;

use email_address::EmailAddress;

use super::{Channel, Invalid};

#[derive(Clone, PartialEq, Eq)]
pub enum Recipient {
    Email(Email),
    Phone(Phone),
    Device { token: DeviceToken, platform: Option<Platform> },
}

/// An address by the rules of RFC 5321 and 5322, as the `email_address` crate knows them, without a
/// display name or a domain literal.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// A number in E.164's international form: `+`, then 2 to 15 digits of which the first is not 0.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

/// 1 to 2,048 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceToken(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Fcm,
    Apns,
}

impl Recipient {
    #[must_use]
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email(_) => Channel::Email,
            Self::Phone(_) => Channel::Sms,
            Self::Device { .. } => Channel::Push,
        }
    }

    /// The address as the members of a JSON object: the one form for answers, items and fingerprints.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let (first, second) = match self {
            Self::Email(email) => (("email", email.as_str()), None),
            Self::Phone(phone) => (("phone", phone.as_str()), None),
            Self::Device { token, platform } => {
                (("deviceToken", token.as_str()), platform.map(|platform| ("platform", platform.as_str())))
            }
        };
        std::iter::once(first).chain(second)
    }
}

impl Email {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let options = email_address::Options::default().without_display_text().without_domain_literal();
        match EmailAddress::parse_with_options(text, options) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(Invalid("must be an e-mail address")),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Phone {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let digits = text.strip_prefix('+').unwrap_or("");
        let fits = (2..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(Invalid("must be a phone number in E.164 form, such as +43660123456")) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeviceToken {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if (1..=2048).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must have 1 to 2048 characters"))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Platform {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fcm => "fcm",
            Self::Apns => "apns",
        }
    }
}

impl FromStr for Platform {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "fcm" => Ok(Self::Fcm),
            "apns" => Ok(Self::Apns),
            _ => Err(Invalid("must be fcm or apns")),
        }
    }
}

/// An address is personal: not even a debug print shows it.
macro_rules! redacted {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}
redacted!(Recipient, Email, Phone, DeviceToken);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_phone_number_is_e164_or_refused(text in "\\+?[0-9 ]{0,17}") {
            let digits = text.strip_prefix('+').filter(|d| (2..=15).contains(&d.len()) && !d.starts_with('0') && !d.contains(' '));
            prop_assert_eq!(Phone::parse(&text).is_ok(), digits.is_some());
        }

        #[test]
        fn parsing_an_address_never_panics(text in any::<String>()) {
            prop_assert_eq!(Email::parse(&text).map(|e| e.as_str().to_owned()).ok().unwrap_or(text.clone()), text);
        }
    }

    #[test]
    fn an_email_address_is_an_address_and_nothing_around_it() {
        for good in ["a@example.com", "first.last+tag@sub.example.org", "fail+refused@example.com"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "@example.com", "a@", "a b@example.com", "A <a@example.com>", "a@[127.0.0.1]"] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_debug_print_shows_no_address() {
        let to = Recipient::Email(Email::parse("canary@example.com").unwrap());
        assert!(!format!("{to:?}").contains("canary"));
    }
}
