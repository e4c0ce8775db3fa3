//! The idempotency key: a field of the body, or the header `Idempotency-Key`, bare or as the string of a
//! structured field (RFC 8941, 3.3.3), which is the form of the IETF draft.

use http::{HeaderMap, HeaderValue};

use crate::domain::{IdempotencyKey, Invalid};
use crate::http::Fault;

pub(super) const HEADER: &str = "Idempotency-Key";

/// Both may say the same thing; the header given twice or against the body is a fault.
pub(super) fn agree(faults: &mut Vec<Fault>, in_body: Option<IdempotencyKey>, headers: &HeaderMap) -> Option<IdempotencyKey> {
    let mut sent = headers.get_all(HEADER).iter();
    let Some(first) = sent.next() else { return in_body };
    if sent.next().is_some() {
        faults.push(Fault::header(HEADER, "must be given once"));
        return None;
    }
    let key = parse(first).map_err(|invalid| faults.push(Fault::header(HEADER, invalid.to_string()))).ok()?;
    if in_body.is_some_and(|in_body| in_body != key) {
        faults.push(Fault::header(HEADER, "must be the same as idempotencyKey in the body"));
        return None;
    }
    Some(key)
}

fn parse(value: &HeaderValue) -> Result<IdempotencyKey, Invalid> {
    // What is no text becomes no key: no byte beyond ASCII is printable ASCII.
    let text = value.to_str().unwrap_or("").trim_matches([' ', '\t']);
    match text.strip_prefix('"') {
        Some(quoted) => IdempotencyKey::parse(&unquote(quoted)?),
        None => IdempotencyKey::parse(text),
    }
}

/// `rest` follows the opening quote: up to the closing one, which must be the end.
fn unquote(rest: &str) -> Result<String, Invalid> {
    const QUOTED: Invalid = Invalid("must be well quoted where it begins with a quote");
    let mut out = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next().ok_or(QUOTED)? {
            '"' => break,
            '\\' => out.push(letters.next().filter(|next| matches!(next, '"' | '\\')).ok_or(QUOTED)?),
            letter => out.push(letter),
        }
    }
    if letters.as_str().is_empty() { Ok(out) } else { Err(QUOTED) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    proptest! {
        #[test]
        fn every_key_can_be_quoted(text in "[ -~]{1,40}") {
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            let mut faults = Vec::new();
            prop_assert_eq!(agree(&mut faults, None, &headers(&[&quoted])), Some(key(&text)));
            prop_assert!(faults.is_empty());
        }

        #[test]
        fn bare_and_quoted_say_the_same(text in "[!#-\\[\\]-~]{1,20}") {
            let mut faults = Vec::new();
            let bare = agree(&mut faults, None, &headers(&[&text]));
            prop_assert_eq!(bare, agree(&mut faults, Some(key(&text)), &headers(&[&format!("\"{text}\"")])));
            prop_assert!(faults.is_empty());
        }
    }

    #[test]
    fn a_header_that_is_no_key_is_a_fault_of_the_header() {
        for bad in ["", " ", "\"", "\"\"", "\"a", "\"a\"b", "\"a\";p=1", "\"a\\b\"", "\"a\\", "ü", "\"a\", \"b\""] {
            let mut faults = Vec::new();
            assert_eq!(agree(&mut faults, None, &headers(&[bad])), None, "{bad}");
            assert_eq!(faults.len(), 1, "{bad}");
        }
    }

    #[test]
    fn two_headers_and_a_header_against_the_body_are_faults() {
        let mut faults = Vec::new();
        assert_eq!(agree(&mut faults, None, &headers(&["a", "a"])), None);
        assert_eq!(agree(&mut faults, Some(key("a")), &headers(&["b"])), None);
        let expected = ["must be given once", "must be the same as idempotencyKey in the body"];
        assert_eq!(faults, expected.map(|detail| Fault::header(HEADER, detail)));
        assert_eq!(agree(&mut faults, Some(key("a")), &headers(&[])), Some(key("a")));
    }
}
