//! All chance of a run, from its seed: what the world does, and what the product draws.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared::random::Random;

#[derive(Debug)]
pub struct Dice(Mutex<u64>);

impl Dice {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
    pub fn roll(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&self, n: u64) -> u64 {
        self.roll() % n
    }

    pub fn index(&self, n: usize) -> usize {
        usize::try_from(self.below(u64::try_from(n).unwrap())).unwrap()
    }

    /// Draws only where it can happen, so that a run without a fault is not stirred by it.
    pub fn chance(&self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1000) < per_mille
    }

    pub fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }

    pub fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }
}

impl Random for Dice {
    fn bytes(&self) -> [u8; 16] {
        let (a, b) = (self.roll().to_be_bytes(), self.roll().to_be_bytes());
        std::array::from_fn(|n| if n < 8 { a[n] } else { b[n - 8] })
    }
}
