//! When a notification wants to be looked at, and in which part of the `due` index it is found.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Invalid, NotificationId, Timestamp};

/// `<instant>#<n>`: the instant from which redrive may look at it, and how often this attempt was
/// redriven. The counter is part of the key, so it costs no attribute and no read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueAt {
    pub at: Timestamp,
    pub redriven: u32,
}

impl DueAt {
    /// Due for the first time at `at`.
    #[must_use]
    pub const fn first(at: Timestamp) -> Self {
        Self { at, redriven: 0 }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const SHAPE: Invalid = Invalid("must be <instant>#<n>");
        let (at, redriven) = text.split_once('#').ok_or(SHAPE)?;
        Ok(Self { at: Timestamp::parse(at)?, redriven: redriven.parse().map_err(|_not_a_number| SHAPE)? })
    }
}

impl fmt::Display for DueAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.at, self.redriven)
    }
}

/// One index key takes about 1,000 writes a second, and a throttled index throttles its table:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DueShard(u8);

impl DueShard {
    /// May grow from release to release and never shrink: redrive asks this many.
    pub const COUNT: u8 = 16;

    #[must_use]
    pub fn of(id: NotificationId) -> Self {
        let digest: [u8; 32] = Sha256::digest(id.as_uuid().as_bytes()).into();
        Self(digest[0] % Self::COUNT)
    }

    /// Every shard, beginning with `start` (of any size), so that overlapping runs begin apart.
    pub fn all_from(start: u8) -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(move |n| Self((start % Self::COUNT + n) % Self::COUNT))
    }

    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_key_reads_back_and_sorts_by_instant(a in 0..4_102_444_800_000_i64, b in 0..4_102_444_800_000_i64, n in any::<u32>()) {
            let (x, y) = (DueAt { at: Timestamp::from_millis(a), redriven: n }, DueAt::first(Timestamp::from_millis(b)));
            prop_assert_eq!(DueAt::parse(&x.to_string()), Ok(x));
            if a != b {
                prop_assert_eq!(x.to_string() < y.to_string(), a < b);
            }
        }

        #[test]
        fn every_shard_is_asked_once_wherever_a_run_begins(start in any::<u8>(), id in any::<u128>()) {
            prop_assert_eq!(DueShard::all_from(start).next().map(DueShard::number), Some(start % DueShard::COUNT));
            let all: HashSet<_> = DueShard::all_from(start).collect();
            prop_assert_eq!(all.len(), usize::from(DueShard::COUNT));
            prop_assert!(all.contains(&DueShard::of(NotificationId::from_uuid(uuid::Uuid::from_u128(id)))));
        }
    }

    /// What is stored says so: another shard for an id that is there, and redrive would not find it.
    #[test]
    fn an_ids_shard_never_changes() {
        let shard = |n| DueShard::of(NotificationId::from_uuid(uuid::Uuid::from_u128(n))).number();
        assert_eq!([0, 1, 2, 3, u128::MAX].map(shard), [7, 12, 9, 11, 10]);
    }
}
