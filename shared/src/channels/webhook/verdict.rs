//! What an answer, or the lack of one, says about the message: sent for sure, for sure not, or nobody
//! knows. The one place that decides it.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::channels::Sent;
use crate::domain::attempt::Detail;
use crate::domain::{ErrorCode, Timestamp};

/// Longer ids are not kept: half an id finds nothing.
const MOST_ID_CHARS: usize = 256;

/// `answer` is the whole body, if it could be read.
pub(super) fn of_status(status: u16, retry_after: Option<Duration>, answer: Option<&[u8]>) -> Sent {
    let detail = Some(Detail::cut(&format!("HTTP {status}")));
    match status {
        200..=299 => Sent::Accepted { provider_message_id: answer.and_then(message_id) },
        401 | 403 | 407 => Sent::NotSent { code: ErrorCode::ProviderCredentials, detail, retry_after },
        408 | 425 | 429 | 503 => Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail, retry_after },
        300..=499 => Sent::Refused { code: ErrorCode::ProviderRefused, detail },
        // Any other 5xx, and what HTTP does not define: it may have been taken before that went wrong.
        _ => Sent::Unknown { code: ErrorCode::ProviderError, detail },
    }
}

/// An error before any answer. Only one that came before the request went out is certain.
pub(super) fn of_error(error: &reqwest::Error) -> Sent {
    if error.is_connect() || error.is_builder() {
        Sent::NotSent { code: ErrorCode::ConnectionFailed, detail: detail_of(error), retry_after: None }
    } else if error.is_timeout() {
        Sent::Unknown { code: ErrorCode::Timeout, detail: None }
    } else {
        Sent::Unknown { code: ErrorCode::ConnectionLost, detail: detail_of(error) }
    }
}

/// In fixed words: an error's own text may name the URL.
fn detail_of(error: &reqwest::Error) -> Option<Detail> {
    if error.is_timeout() {
        return Some(Detail::cut("no connection in time"));
    }
    if error.is_dns() {
        return Some(Detail::cut("host name not found"));
    }
    let kind = io_kind(error)?;
    // Before the request, bytes that make no sense are the handshake's: of TCP there are none.
    let handshake = error.is_connect() && kind == io::ErrorKind::InvalidData;
    Some(Detail::cut(&if handshake { "TLS handshake failed".to_owned() } else { kind.to_string() }))
}

/// What the system said, below all that the libraries wrapped around it.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(mut failure) = cause.downcast_ref::<io::Error>() {
            // A wrapped io error is not among the sources of its wrapper: it is asked for by itself.
            while let Some(inner) = failure.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
                failure = inner;
            }
            return (failure.kind() != io::ErrorKind::Other).then(|| failure.kind());
        }
        source = cause.source();
    }
    None
}

/// The member `id` of a JSON object: a string, or a number by its own digits.
fn message_id(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    let raw = serde_json::from_slice::<Answer<'_>>(answer).ok()?.id.get();
    let id = match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok()?,
        b'-' | b'0'..=b'9' => raw.to_owned(),
        _ => return None,
    };
    let fits = (1..=MOST_ID_CHARS).contains(&id.chars().count()) && !id.chars().any(char::is_control);
    fits.then_some(id)
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3). A date in the past means now.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More than a century is a century: the caller has its own cap.
        return Some(Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(now.until(Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).ok()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(answer: &str) -> Option<String> {
        message_id(answer.as_bytes())
    }

    proptest! {
        #[test]
        fn every_status_has_its_arm(status in 100..1000_u16) {
            let sent = of_status(status, None, None);
            let expected = match status {
                200..=299 => matches!(sent, Sent::Accepted { .. }),
                401 | 403 | 407 | 408 | 425 | 429 | 503 => matches!(sent, Sent::NotSent { .. }),
                300..=499 => matches!(sent, Sent::Refused { .. }),
                _ => matches!(sent, Sent::Unknown { .. }),
            };
            prop_assert!(expected, "{status}: {sent:?}");
        }

        #[test]
        fn no_answer_makes_the_reading_of_its_id_panic(answer in any::<Vec<u8>>()) {
            prop_assert!(message_id(&answer).is_none_or(|id| id.chars().count() <= MOST_ID_CHARS));
        }

        #[test]
        fn no_header_makes_the_reading_of_retry_after_panic(text in "\\PC{0,40}|[0-9]{1,30}") {
            prop_assert!(retry_after(&text, Timestamp::from_millis(0)).is_none_or(|wait| wait <= Duration::from_secs(u64::from(u32::MAX)) || !text.trim().bytes().all(|b| b.is_ascii_digit())));
        }
    }

    #[test]
    fn an_id_is_a_string_or_a_number_by_its_digits() {
        assert_eq!(id(r#"{"id":"m-1","more":[1]}"#).as_deref(), Some("m-1"));
        assert_eq!(id(r#" {"id" : "\u00e4" } "#).as_deref(), Some("ä"));
        assert_eq!(id(r#"{"id":12345678901234567890123}"#).as_deref(), Some("12345678901234567890123"));
        for none in ["", "ok", "[]", "{}", r#"{"id":null}"#, r#"{"id":{}}"#, r#"{"id":true}"#, r#"{"id":""}"#, r#"{"id":"a\nb"}"#]
        {
            assert_eq!(id(none), None, "{none}");
        }
        assert!(id(&format!(r#"{{"id":"{}"}}"#, "x".repeat(256))).is_some());
        assert_eq!(id(&format!(r#"{{"id":"{}"}}"#, "x".repeat(257))), None);
    }

    #[test]
    fn retry_after_is_seconds_or_any_of_the_three_dates() {
        // 1994-11-06T08:49:37Z, RFC 9110's own example, a minute and a half before it.
        let now = Timestamp::from_millis((784_111_777 - 90) * 1000);
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(retry_after(date, now), Some(Duration::from_secs(90)), "{date}");
        }
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1983 08:49:37 GMT", now), Some(Duration::ZERO));
        for wrong in ["", "-1", "1.5", "soon", "120s"] {
            assert_eq!(retry_after(wrong, now), None, "{wrong}");
        }
    }
}
