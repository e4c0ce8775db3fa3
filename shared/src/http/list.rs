//! What a list asks for: a user's notifications page by page, or the one notification of a key.

use super::query::Query;
use super::{Fault, Problem, cursor};
use crate::domain::{IdempotencyKey, Invalid, UserId};
use crate::store::Position;

pub const LIMIT_DEFAULT: u32 = 20;
pub const LIMIT_MOST: u32 = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    OfUser { user_id: UserId, limit: u32, after: Option<Position> },
    ByKey(IdempotencyKey),
}

impl Listing {
    pub fn parse(raw: Option<&str>) -> Result<Self, Problem> {
        let mut query = Query::parse(raw, &["userId", "limit", "cursor", "idempotencyKey"]);
        let mut faults = std::mem::take(&mut query.faults);
        let user_id = take(&mut faults, "userId", query.get("userId").map(UserId::parse));
        let limit = take(&mut faults, "limit", query.get("limit").map(limit));
        let after = take(&mut faults, "cursor", query.get("cursor").map(cursor::decode));
        let key = take(&mut faults, "idempotencyKey", query.get("idempotencyKey").map(IdempotencyKey::parse));

        let by_key = query.has("idempotencyKey");
        if by_key && ["userId", "limit", "cursor"].iter().any(|name| query.has(name)) {
            faults.push(Fault::parameter("idempotencyKey", "must be the only parameter where it is given"));
        }
        if !by_key && !query.has("userId") {
            faults.push(Fault::parameter("userId", "is required (or idempotencyKey)"));
        }
        match (key, user_id) {
            (Some(key), None) if faults.is_empty() => Ok(Self::ByKey(key)),
            (None, Some(user_id)) if faults.is_empty() => {
                Ok(Self::OfUser { user_id, limit: limit.unwrap_or(LIMIT_DEFAULT), after })
            }
            _ => Err(Problem::InvalidRequest { faults }),
        }
    }
}

fn take<T>(faults: &mut Vec<Fault>, name: &str, parsed: Option<Result<T, Invalid>>) -> Option<T> {
    parsed?.map_err(|invalid| faults.push(Fault::parameter(name, invalid.to_string()))).ok()
}

/// Digits only: what a machine writes.
fn limit(text: &str) -> Result<u32, Invalid> {
    const RANGE: Invalid = Invalid("must be a whole number from 1 to 100");
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(RANGE);
    }
    text.parse().ok().filter(|limit| (1..=LIMIT_MOST).contains(limit)).ok_or(RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(query: &str) -> Vec<Fault> {
        match Listing::parse(Some(query)) {
            Err(Problem::InvalidRequest { faults }) => faults,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_users_list_has_twenty_to_a_page_unless_asked_otherwise() {
        let user_id = UserId::parse("u 1").unwrap();
        let expected = Listing::OfUser { user_id: user_id.clone(), limit: 20, after: None };
        assert_eq!(Listing::parse(Some("userId=u%201")), Ok(expected));
        let expected = Listing::OfUser { user_id, limit: 100, after: None };
        assert_eq!(Listing::parse(Some("limit=100&userId=u+1")), Ok(expected));
    }

    #[test]
    fn a_key_stands_alone() {
        let key = IdempotencyKey::parse("k").unwrap();
        assert_eq!(Listing::parse(Some("idempotencyKey=k")), Ok(Listing::ByKey(key)));
        for with in ["userId=u", "limit=5", "cursor=x"] {
            let alone = Fault::parameter("idempotencyKey", "must be the only parameter where it is given");
            assert!(faults(&format!("idempotencyKey=k&{with}")).contains(&alone), "{with}");
        }
    }

    #[test]
    fn every_fault_of_a_query_is_told_at_once() {
        assert_eq!(faults("userId=&limit=0&cursor=x&page=2&limit=1").len(), 5);
        assert_eq!(faults(""), [Fault::parameter("userId", "is required (or idempotencyKey)")]);
        for limit in ["0", "101", "-1", "%2B5", "1.0", "", "99999999999999"] {
            assert_eq!(
                faults(&format!("userId=u&limit={limit}")),
                [Fault::parameter("limit", "must be a whole number from 1 to 100")],
                "{limit}"
            );
        }
    }
}
