//! The wall clock, as an argument. What must not jump (leases, deadlines, waits) is measured by tokio's
//! `Instant` instead, which is monotonic and which a test can step.

use std::time::SystemTime;

use crate::domain::Timestamp;

pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Timestamp;

    /// Nanoseconds since 1970, as fine as the clock is: for what takes less than a millisecond.
    fn nanos(&self) -> u64 {
        u64::try_from(self.now().as_millis()).unwrap_or(0).saturating_mul(1_000_000)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A clock before 1970 reads as 1970: every guard that compares instants then holds things back.
        Timestamp::from_millis(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    #[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
    fn nanos(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
}
