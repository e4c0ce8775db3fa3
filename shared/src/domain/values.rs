//! The small values of a request. Each can only be made by its `parse`, so that inside the house an
//! invalid one does not exist.

use std::collections::BTreeMap;

use thiserror::Error;

/// Why a value was refused, in words for the client; the value itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

/// 1 to 100 characters (Unicode scalar values), none of them a control character (Unicode Cc).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if !(1..=100).contains(&text.chars().count()) {
            return Err(Invalid("must have 1 to 100 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid("must not contain control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 1 to 100 of `A-Z a-z 0-9 . _ - /`, with no empty, `.` or `..` segment: a template name can be a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template(String);

impl Template {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
        if !(1..=100).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(Invalid("must be 1 to 100 of A-Z a-z 0-9 . _ - /"));
        }
        if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(Invalid("must not have an empty, '.' or '..' segment"));
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// At most 20 strings of at most 255 characters, under names of 1 to 40: stored and given back, never
/// sent to a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    pub const MOST: usize = 20;

    pub fn parse(entries: BTreeMap<String, String>) -> Result<Self, Invalid> {
        if entries.len() > Self::MOST {
            return Err(Invalid("must have at most 20 entries"));
        }
        for (name, value) in &entries {
            Self::entry(name, value)?;
        }
        Ok(Self(entries))
    }

    /// The rule for one entry, so that a request's faults can be told one by one.
    pub fn entry(name: &str, value: &str) -> Result<(), Invalid> {
        if !(1..=40).contains(&name.chars().count()) {
            return Err(Invalid("must have a name of 1 to 40 characters"));
        }
        if value.chars().count() > 255 {
            return Err(Invalid("must be at most 255 characters"));
        }
        Ok(())
    }

    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// A client's own words: a debug print shows their number only.
impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metadata({} entries)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_user_id_is_taken_exactly_when_it_fits(text in "\\PC{0,102}|.{0,8}") {
            let fits = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
            prop_assert_eq!(UserId::parse(&text).map(|u| u.as_str().to_owned()).ok(), fits.then_some(text));
        }

        #[test]
        fn a_template_never_leaves_its_folder(text in "[a-c./_-]{0,12}|.{0,8}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(template.as_str(), &text);
                prop_assert!(!text.starts_with('/') && !text.ends_with('/'));
                prop_assert!(text.split('/').all(|s| !s.is_empty() && s != "." && s != ".."));
            }
        }
    }

    #[test]
    fn a_template_has_each_of_its_rules() {
        for text in ["", "a b", "a//b", "/a", "a/", "./a", "a/..", "ü", &"t".repeat(101)] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        assert!(Template::parse(&"t".repeat(100)).is_ok());
    }

    #[test]
    fn a_debug_print_of_metadata_says_how_much_there_is_and_no_more() {
        let metadata = Metadata::parse(BTreeMap::from([("canary".to_owned(), "canary".to_owned())])).unwrap();
        assert_eq!(format!("{metadata:?}"), "Metadata(1 entries)");
    }

    #[test]
    fn lengths_are_counted_in_characters_not_bytes() {
        assert!(UserId::parse(&"ü".repeat(100)).is_ok());
        assert!(UserId::parse(&"ü".repeat(101)).is_err());
        assert!(Template::parse("account/welcome.v2").is_ok());
        assert!(Metadata::entry(&"k".repeat(40), &"v".repeat(255)).is_ok());
        assert!(Metadata::entry(&"k".repeat(41), "").is_err());
        assert!(Metadata::entry("", "").is_err());
        assert!(Metadata::entry("k", &"v".repeat(256)).is_err());
        let many = |n: usize| (0..n).map(|i| (format!("k{i}"), String::new())).collect();
        assert!(Metadata::parse(many(20)).is_ok());
        assert!(Metadata::parse(many(21)).is_err());
    }
}
