//! Randomness, as an argument: ids, tokens and jitter all come from here.

use uuid::Uuid;

use crate::domain::{NotificationId, Timestamp, Token};

pub trait Random: Send + Sync + std::fmt::Debug {
    fn bytes(&self) -> [u8; 16];
}

impl dyn Random {
    /// UUID v7: sorts by the time of its making.
    #[must_use]
    pub fn notification_id(&self, now: Timestamp) -> NotificationId {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, ..] = self.bytes();
        NotificationId::from_uuid(
            uuid::Builder::from_unix_timestamp_millis(millis, &[b0, b1, b2, b3, b4, b5, b6, b7, b8, b9]).into_uuid(),
        )
    }

    #[must_use]
    pub fn token(&self) -> Token {
        Token::from_uuid(self.uuid())
    }

    /// UUID v4, for request ids.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// From 0 to 1, both included.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        let [a, b, c, d, ..] = self.bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
    }

    /// A number from 0 to 255, for where to begin.
    #[must_use]
    pub fn byte(&self) -> u8 {
        let [a, ..] = self.bytes();
        a
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "the one home of randomness; without it no token may be made"
    )]
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        bytes
    }
}
