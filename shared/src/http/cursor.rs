//! Where the next page of a list begins, as opaque text: base64url of a version byte, the instant and the
//! id, and nothing else. Whose list it is always comes from the request, so that no forged cursor can
//! reach another user's page. Any text of the right shape is a position; a wrong one just finds less.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::{Invalid, NotificationId, Timestamp};
use crate::store::Position;

const VERSION: u8 = 1;
const BYTES: usize = 25;

/// 25 bytes of which the first is 1: 34 letters, the last of which has four bits to spare.
pub const PATTERN: &str = "^A[Q-Za-f][A-Za-z0-9_-]{31}[AQgw]$";

#[must_use]
pub fn encode(position: &Position) -> String {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.push(VERSION);
    bytes.extend(position.created_at.as_millis().to_be_bytes());
    bytes.extend(position.id.as_uuid().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(text: &str) -> Result<Position, Invalid> {
    const NOT_OURS: Invalid = Invalid("must be the nextCursor of an earlier answer");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_not_base64| NOT_OURS)?;
    let rest = bytes.strip_prefix(&[VERSION]).ok_or(NOT_OURS)?;
    let (millis, id) = rest.split_first_chunk::<8>().ok_or(NOT_OURS)?;
    let id: [u8; 16] = id.try_into().map_err(|_wrong_length| NOT_OURS)?;
    Ok(Position {
        created_at: Timestamp::from_millis(i64::from_be_bytes(*millis)),
        id: NotificationId::from_uuid(Uuid::from_bytes(id)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back(millis in any::<i64>(), id in any::<u128>()) {
            let position = Position { created_at: Timestamp::from_millis(millis), id: NotificationId::from_uuid(Uuid::from_u128(id)) };
            prop_assert_eq!(decode(&encode(&position)), Ok(position));
        }

        #[test]
        fn whatever_fits_the_published_pattern_is_taken(text in "A[Q-Za-f][A-Za-z0-9_-]{31}[AQgw]") {
            prop_assert!(decode(&text).is_ok());
        }

        #[test]
        fn anything_else_is_refused(text in "\\PC{0,40}|[A-Za-z0-9_=-]{30,40}") {
            let fits = text.len() == 34
                && text.starts_with('A')
                && text.chars().nth(1).is_some_and(|c| ('Q'..='Z').contains(&c) || ('a'..='f').contains(&c))
                && text.ends_with(['A', 'Q', 'g', 'w'])
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            prop_assert_eq!(decode(&text).is_ok(), fits);
        }
    }
}
