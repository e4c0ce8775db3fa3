//! JSON that keeps what `serde_json::Value` would lose: the digits of a number, the order of keys, and
//! the fact that a key came twice. Built on `RawValue`, which hands out each value's own text.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

#[derive(Clone, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    /// The number's own text: 1.10 is not 1.1.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// In the order in which the keys were sent, each once.
    Object(Vec<(String, Json)>),
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("must be JSON with valid Unicode text")]
    Malformed,
    #[error("must not have a key twice")]
    KeyTwice,
    #[error("must be at most {most} objects and arrays deep")]
    TooDeep { most: usize },
}

/// The entries of one object as they were sent, doubles included: it is the caller who judges them.
pub struct Entries(pub Vec<(String, Box<RawValue>)>);

struct Elements(Vec<Box<RawValue>>);

impl Json {
    /// `most` is how many objects and arrays may lie inside each other, the outermost counted.
    pub fn parse(raw: &RawValue, most: usize) -> Result<Self, Error> {
        parse_within(raw.get(), most, most)
    }

    /// Compact text in UTF-8, keys in the order in which they were sent.
    #[must_use]
    pub fn to_compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, false);
        out
    }

    /// RFC 8785's canonical form, but with each number by its own text.
    pub fn write_canonical(&self, out: &mut String) {
        self.write(out, true);
    }

    fn write(&self, out: &mut String, sorted: bool) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(text, out),
            Self::Array(elements) => {
                out.push('[');
                for (n, element) in elements.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    element.write(out, sorted);
                }
                out.push(']');
            }
            Self::Object(entries) => {
                let mut order: Vec<&(String, Self)> = entries.iter().collect();
                if sorted {
                    // RFC 8785, 3.2.3: by UTF-16 code units.
                    order.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
                }
                out.push('{');
                for (n, (key, value)) in order.into_iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out, sorted);
                }
                out.push('}');
            }
        }
    }
}

/// `serde_json` escapes just what RFC 8785 (3.2.2.2) asks for: quote, backslash and controls, with the
/// short forms where there are any.
fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn parse_within(text: &str, left: usize, most: usize) -> Result<Json, Error> {
    let deeper = || left.checked_sub(1).ok_or(Error::TooDeep { most });
    match text.as_bytes().first() {
        Some(b'{') => {
            let left = deeper()?;
            let Entries(sent) = parse_text(text)?;
            let mut seen = std::collections::HashSet::new();
            let mut entries = Vec::with_capacity(sent.len());
            for (key, value) in sent {
                if !seen.insert(key.clone()) {
                    return Err(Error::KeyTwice);
                }
                entries.push((key, parse_within(value.get(), left, most)?));
            }
            Ok(Json::Object(entries))
        }
        Some(b'[') => {
            let left = deeper()?;
            let Elements(sent) = parse_text(text)?;
            Ok(Json::Array(sent.iter().map(|value| parse_within(value.get(), left, most)).collect::<Result<_, _>>()?))
        }
        Some(b'"') => Ok(Json::String(parse_text(text)?)),
        Some(b't') => Ok(Json::Bool(true)),
        Some(b'f') => Ok(Json::Bool(false)),
        Some(b'n') => Ok(Json::Null),
        Some(_) => Ok(Json::Number(text.to_owned())),
        None => Err(Error::Malformed),
    }
}

/// A struct from the text of an object and of nothing else: what serde derives would also take a list of the
/// struct's members.
pub fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, serde_json::Error> {
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(serde::de::Error::custom("it is no object"));
    }
    serde_json::from_slice(text)
}

fn parse_text<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_malformed| Error::Malformed)
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Elements;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(InOrder)
    }
}

/// The variables of a template: an object of at most 64 KiB when written compactly in UTF-8, at most 16
/// objects and arrays deep, itself counted.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonObject {
    json: Json,
    compact: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ObjectError {
    #[error("must be an object")]
    NotAnObject,
    #[error("must be at most 65536 bytes of compact JSON")]
    TooLarge,
    #[error(transparent)]
    Json(#[from] Error),
}

impl JsonObject {
    pub const MOST_BYTES: usize = 64 * 1024;
    pub const MOST_DEEP: usize = 16;

    pub fn parse(raw: &RawValue) -> Result<Self, ObjectError> {
        if !raw.get().starts_with('{') {
            return Err(ObjectError::NotAnObject);
        }
        let json = Json::parse(raw, Self::MOST_DEEP)?;
        let compact = json.to_compact();
        if compact.len() > Self::MOST_BYTES {
            return Err(ObjectError::TooLarge);
        }
        Ok(Self { json, compact })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.compact
    }

    #[must_use]
    pub const fn json(&self) -> &Json {
        &self.json
    }

    /// For an answer or a message: the text itself, digit for digit.
    pub fn to_raw(&self) -> Result<Box<RawValue>, serde_json::Error> {
        RawValue::from_string(self.compact.clone())
    }
}

/// What a client sent may be personal: a debug print shows its size only.
impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonObject({} bytes)", self.compact.len())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(…)")
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entries({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?".prop_map(Json::Number),
            any::<String>().prop_map(Json::String),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                prop::collection::hash_map(any::<String>(), inner, 0..6).prop_map(|m| Json::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_sent_comes_back_digit_for_digit(json in any_json()) {
            let text = json.to_compact();
            prop_assert_eq!(Json::parse(&raw(&text), 16).unwrap(), json);
        }

        #[test]
        fn the_canonical_form_does_not_see_the_order_of_keys(entries in prop::collection::hash_map(any::<String>(), any_json(), 0..8)) {
            let forward: Vec<_> = entries.into_iter().collect();
            let backward: Vec<_> = forward.iter().rev().cloned().collect();
            let canonical = |e| { let mut out = String::new(); Json::Object(e).write_canonical(&mut out); out };
            prop_assert_eq!(canonical(forward), canonical(backward));
        }
    }

    #[test]
    fn a_debug_print_says_what_it_is_and_nothing_of_what_it_holds() {
        let text = r#"{"canary":["canary"]}"#;
        assert_eq!(format!("{:?}", JsonObject::parse(&raw(text)).unwrap()), "JsonObject(21 bytes)");
        assert_eq!(format!("{:?}", Json::parse(&raw(text), 16).unwrap()), "Json(…)");
        assert_eq!(format!("{:?}", serde_json::from_str::<Entries>(text).unwrap()), "Entries(1)");
    }

    #[test]
    fn numbers_keep_their_text_and_space_goes() {
        let parsed = JsonObject::parse(&raw(r#"{ "b" : 1.10, "a": [ 1E5, 12345678901234567890123 ] }"#)).unwrap();
        assert_eq!(parsed.as_str(), r#"{"b":1.10,"a":[1E5,12345678901234567890123]}"#);
    }

    #[test]
    fn canonical_keys_are_sorted_by_utf16_code_units() {
        // U+FB33 sorts after U+1F600 by UTF-16, before it by code point: RFC 8785's own trap.
        let json = Json::parse(&raw("{\"\u{fb33}\":1,\"\u{1f600}\":2,\"a\":3}"), 16).unwrap();
        let mut out = String::new();
        json.write_canonical(&mut out);
        assert_eq!(out, "{\"a\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn limits_hold_at_the_edge() {
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n - 1), "]".repeat(n - 1));
        assert!(JsonObject::parse(&raw(&deep(16))).is_ok());
        assert_eq!(JsonObject::parse(&raw(&deep(17))), Err(ObjectError::Json(Error::TooDeep { most: 16 })));
        let long = |n: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(n));
        assert!(JsonObject::parse(&raw(&long(65_536 - 8))).is_ok());
        assert_eq!(JsonObject::parse(&raw(&long(65_536 - 7))), Err(ObjectError::TooLarge));
        assert_eq!(JsonObject::parse(&raw("[]")), Err(ObjectError::NotAnObject));
        assert_eq!(JsonObject::parse(&raw(r#"{"a":{"b":1,"b":2}}"#)), Err(ObjectError::Json(Error::KeyTwice)));
        assert_eq!(JsonObject::parse(&raw(r#"{"a":"\ud800"}"#)), Err(ObjectError::Json(Error::Malformed)));
    }

    #[test]
    fn a_body_of_nothing_but_brackets_does_not_overflow_the_stack() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(60_000), "]".repeat(60_000));
        assert!(JsonObject::parse(&raw(&text)).is_err());
    }
}
