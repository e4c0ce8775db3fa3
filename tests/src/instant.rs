//! Instants for requests to a server that lives by the real clock, as the tests of it then do too.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shared::domain::Timestamp;

/// In the notation of the API.
#[must_use]
pub fn from_now(by: Duration) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970") + by;
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("it is not that late")).to_string()
}
