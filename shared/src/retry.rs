//! When the next attempt is made.

use std::time::Duration;

/// Retry n waits d = min(cap, base · 2^(n−1)), half of it fixed and half random, or the provider's
/// `Retry-After` (at most the cap) if that is longer. n counts from the budget's start.
///
/// ```
/// use std::time::Duration;
/// use shared::retry::RetryPolicy;
///
/// let policy = RetryPolicy { base: Duration::from_secs(10), cap: Duration::from_secs(3600), max_attempts: 30 };
/// assert_eq!(policy.delay(1, 0.0, None), Duration::from_secs(5));
/// assert_eq!(policy.delay(3, 1.0, None), Duration::from_secs(40));
/// assert_eq!(policy.delay(1, 1.0, Some(Duration::from_secs(90))), Duration::from_secs(90));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    pub base: Duration,
    pub cap: Duration,
    /// Attempts of one budget, the first included.
    pub max_attempts: u32,
}

impl RetryPolicy {
    /// `jitter` is from 0 to 1.
    #[must_use]
    pub fn delay(&self, n: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
        let doublings = n.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let full = self.base.saturating_mul(factor).min(self.cap);
        let half = full / 2;
        let backoff = half + half.mul_f64(jitter.clamp(0.0, 1.0));
        backoff.max(retry_after.unwrap_or(Duration::ZERO).min(self.cap))
    }

    /// Which retry follows attempt number `attempt` of a life whose budget ends at `attempt_limit`.
    #[must_use]
    pub const fn retry_after_attempt(&self, attempt: u32, attempt_limit: u32) -> u32 {
        let before_budget = attempt_limit.saturating_sub(self.max_attempts);
        let n = attempt.saturating_sub(before_budget);
        if n == 0 { 1 } else { n }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_lies_between_half_and_all_of_its_step(n in 1..200_u32, jitter in 0.0..=1.0_f64, base in 1..100_000_u64, cap in 1..10_000_000_u64) {
            let policy = RetryPolicy { base: Duration::from_millis(base), cap: Duration::from_millis(cap), max_attempts: 30 };
            let full = if n > 40 { u128::from(cap) } else { (u128::from(base) << (n - 1)).min(u128::from(cap)) };
            let delay = policy.delay(n, jitter, None).as_micros();
            prop_assert!(delay <= full * 1000 + 1, "{delay} > {full}");
            prop_assert!(delay + 1 >= full * 500, "{delay} < half of {full}");
        }

        #[test]
        fn the_providers_word_counts_if_it_is_longer_and_at_most_the_cap(after in 0..100_000_u64, n in 1..10_u32) {
            let policy = RetryPolicy { base: Duration::from_secs(10), cap: Duration::from_secs(3600), max_attempts: 30 };
            let delay = policy.delay(n, 0.5, Some(Duration::from_secs(after)));
            prop_assert_eq!(delay, policy.delay(n, 0.5, None).max(Duration::from_secs(after.min(3600))));
        }
    }

    #[test]
    fn retries_are_counted_from_the_start_of_the_budget() {
        let policy = RetryPolicy { base: Duration::from_secs(10), cap: Duration::from_secs(3600), max_attempts: 30 };
        assert_eq!(policy.retry_after_attempt(1, 30), 1);
        assert_eq!(policy.retry_after_attempt(31, 60), 1);
        assert_eq!(policy.retry_after_attempt(33, 60), 3);
        // The setting was raised since: still a retry, never a zeroth one.
        assert_eq!(policy.retry_after_attempt(1, 5), 1);
    }
}
