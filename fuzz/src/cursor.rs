//! The cursor of a list: what is taken is a position, which has one text, and nothing else is taken. Whose list it
//! is comes from the request, whatever the cursor says.

use shared::domain::Timestamp;
use shared::http::cursor::{decode, encode};
use shared::http::list::Listing;

pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let decoded = decode(text);
    assert_eq!(decoded.is_ok(), fits_the_published_pattern(text), "{text:?}");
    if let Ok(position) = &decoded {
        let again = encode(position);
        assert_eq!(decode(&again).as_ref(), Ok(position), "{text:?}");
        // An instant that no RFC 3339 text has is the nearest that one has.
        let ends = [i64::MIN, i64::MAX].map(Timestamp::from_millis);
        assert!(again == text || ends.contains(&position.created_at), "one position has two texts: {text:?}");
    }

    let listing = Listing::parse(Some(&format!("userId=ada&cursor={text}")));
    match listing {
        Ok(Listing::OfUser { user_id, limit, after }) => {
            assert!(user_id.as_str() == "ada" && limit <= 100);
            // A text that a query changes (`%41`, `+`, `&limit=`) is another one.
            assert!(after == decoded.ok() || text.contains(['%', '+', '&']), "{text:?}");
        }
        Ok(Listing::ByKey(_)) => panic!("a list of a user became the one of a key: {text:?}"),
        Err(problem) => assert!(decoded.is_err(), "{text:?}: {problem:?}"),
    }
}

/// `^A[Q-Za-f][A-Za-z0-9_-]{31}[AQgw]$`, as the description of the API has it, by hand.
fn fits_the_published_pattern(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 34
        && bytes[0] == b'A'
        && matches!(bytes[1], b'Q'..=b'Z' | b'a'..=b'f')
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && matches!(bytes[33], b'A' | b'Q' | b'g' | b'w')
}
