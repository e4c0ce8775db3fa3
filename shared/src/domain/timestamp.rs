//! Instants as the contract writes them: RFC 3339, UTC, milliseconds.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};

use super::Invalid;

/// Milliseconds since the Unix epoch, from year 0 to year 9999, so that the written form has a fixed
/// width and sorts as the instant does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

impl Timestamp {
    /// Held within the years that RFC 3339 can write.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < FIRST {
            Self(FIRST)
        } else if millis > LAST {
            Self(LAST)
        } else {
            Self(millis)
        }
    }

    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, as DynamoDB's TTL wants them.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(duration)))
    }

    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(millis(duration)))
    }

    /// The time from here to `later`; none left if that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// An RFC 3339 instant; digits beyond the millisecond are dropped.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let instant = DateTime::parse_from_rfc3339(text)
            .map_err(|_unreadable| Invalid("must be an RFC 3339 instant such as 2030-01-31T08:00:00Z"))?
            .timestamp_millis();
        if (FIRST..=LAST).contains(&instant) { Ok(Self(instant)) } else { Err(Invalid("must lie within the years 0000 to 9999")) }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every value lies within chrono's range, so the fallback is never written.
        let instant = DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH);
        f.write_str(&instant.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_written_form_reads_back_and_sorts_as_the_instant(a in FIRST..=LAST, b in FIRST..=LAST) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(Timestamp::parse(&a.to_string()), Ok(a));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }

        #[test]
        fn arithmetic_never_leaves_the_range(a in any::<i64>(), by in any::<u64>()) {
            let at = Timestamp::from_millis(a);
            for moved in [at.plus(Duration::from_millis(by)), at.minus(Duration::from_millis(by))] {
                prop_assert!((FIRST..=LAST).contains(&moved.as_millis()));
            }
        }
    }

    #[test]
    fn offsets_are_brought_to_utc_and_digits_past_the_millisecond_dropped() {
        let parsed = Timestamp::parse("2030-01-31T10:00:00.123987+02:00").unwrap();
        assert_eq!(parsed.to_string(), "2030-01-31T08:00:00.123Z");
        for wrong in ["", "2030-01-31", "2030-01-31T08:00:00", "9999-12-31T23:59:59-01:00", "tomorrow"] {
            assert!(Timestamp::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_debug_print_is_the_written_form() {
        assert_eq!(format!("{:?}", Timestamp::from_millis(1_893_456_000_001)), "2030-01-01T00:00:00.001Z");
    }
}
