//! Whether a provider is asked at all: one that fails again and again is left alone for a while, and is
//! then tried by one attempt at a time. Every failed try makes the pause longer; the first sign of life
//! ends it.
//!
//! A pure state machine: time and chance are arguments, and nothing waits here. [`super::lane`] asks it
//! before each attempt and tells it what came of each.

use std::time::Duration;

use tokio::time::Instant;

use crate::retry::RetryPolicy;

/// After how many failures in a row, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endurance {
    pub failures: u32,
    /// Pause n, as retry n waits.
    pub pause: RetryPolicy,
}

#[derive(Debug)]
pub struct Breaker {
    endurance: Endurance,
    state: State,
    /// Numbers the tries, so that a late one is not taken for another.
    tries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trusted { failures: u32 },
    LeftAlone { since: Instant, until: Instant, pauses: u32, under_way: Option<Try> },
}

/// One attempt at a provider that is left alone, to see whether it is well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    Go,
    /// Its pause is over: this one attempt, and no other meanwhile.
    Try(Try),
    /// Nobody is to begin; `until` is past while a try is under way.
    LeaveAlone {
        until: Instant,
    },
}

/// What a failure changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// It was the last of so many in a row.
    LeftAlone {
        failures: u32,
        until: Instant,
    },
    /// The try failed.
    LeftAloneLonger {
        until: Instant,
    },
}

impl Breaker {
    #[must_use]
    pub const fn new(endurance: Endurance) -> Self {
        Self { endurance, state: State::Trusted { failures: 0 }, tries: 0 }
    }

    /// Until when it is left alone at least. None: it is trusted.
    #[must_use]
    pub const fn left_alone_until(&self) -> Option<Instant> {
        match self.state {
            State::Trusted { .. } => None,
            State::LeftAlone { until, .. } => Some(until),
        }
    }

    /// Whether an attempt could begin: as [`Self::ask`], and nothing changes.
    #[must_use]
    pub fn admits(&self, now: Instant) -> bool {
        match self.state {
            State::Trusted { .. } => true,
            State::LeftAlone { until, under_way, .. } => under_way.is_none() && until <= now,
        }
    }

    /// Asked once for each attempt, as it begins.
    pub fn ask(&mut self, now: Instant) -> Advice {
        let admitted = self.admits(now);
        match &mut self.state {
            State::Trusted { .. } => Advice::Go,
            State::LeftAlone { under_way, .. } if admitted => {
                self.tries += 1;
                let this = Try(self.tries);
                *under_way = Some(this);
                Advice::Try(this)
            }
            State::LeftAlone { until, .. } => Advice::LeaveAlone { until: *until },
        }
    }

    /// It took a message, or refused one: it is alive. How long it had been left alone.
    pub fn lives(&mut self, now: Instant) -> Option<Duration> {
        let before = std::mem::replace(&mut self.state, State::Trusted { failures: 0 });
        match before {
            State::Trusted { .. } => None,
            State::LeftAlone { since, .. } => Some(now.saturating_duration_since(since)),
        }
    }

    /// It did not take a message, or nobody knows. `jitter` is from 0 to 1, `retry_after` the provider's word.
    pub fn fails(&mut self, of: Option<Try>, now: Instant, jitter: f64, retry_after: Option<Duration>) -> Then {
        let Endurance { failures: most, pause } = self.endurance;
        match &mut self.state {
            State::Trusted { failures } => {
                *failures = failures.saturating_add(1);
                if *failures < most {
                    return Then::Nothing;
                }
                let (failures, until) = (*failures, now + pause.delay(1, jitter, retry_after));
                self.state = State::LeftAlone { since: now, until, pauses: 1, under_way: None };
                Then::LeftAlone { failures, until }
            }
            State::LeftAlone { until, pauses, under_way, .. } if of.is_some() && *under_way == of => {
                *pauses = pauses.saturating_add(1);
                *until = now + pause.delay(*pauses, jitter, retry_after);
                *under_way = None;
                Then::LeftAloneLonger { until: *until }
            }
            // Begun before it was left alone: nothing new.
            State::LeftAlone { .. } => Then::Nothing,
        }
    }

    /// A try ended and its provider was not asked: the next attempt is one.
    pub fn gives_back(&mut self, this: Try) {
        if let State::LeftAlone { under_way, .. } = &mut self.state
            && *under_way == Some(this)
        {
            *under_way = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSE: RetryPolicy =
        RetryPolicy { base: Duration::from_secs(10), cap: Duration::from_secs(60), max_attempts: u32::MAX };

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(Endurance { failures, pause: PAUSE })
    }

    fn left_alone(breaker: &mut Breaker, now: Instant) {
        while breaker.left_alone_until().is_none() {
            breaker.fails(None, now, 0.0, None);
        }
    }

    fn try_of(breaker: &mut Breaker, now: Instant) -> Try {
        match breaker.ask(now) {
            Advice::Try(this) => this,
            other @ (Advice::Go | Advice::LeaveAlone { .. }) => panic!("{other:?}"),
        }
    }

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn so_many_failures_in_a_row_and_no_fewer_leave_it_alone() {
        let (mut breaker, now) = (breaker(3), Instant::now());
        for _ in 0..10 {
            assert_eq!(breaker.fails(None, now, 0.0, None), Then::Nothing);
            assert_eq!(breaker.fails(None, now, 0.0, None), Then::Nothing);
            assert_eq!(breaker.lives(now), None);
        }
        breaker.fails(None, now, 0.0, None);
        breaker.fails(None, now, 0.0, None);
        let until = now + secs(5);
        assert_eq!(breaker.fails(None, now, 0.0, None), Then::LeftAlone { failures: 3, until });
        assert_eq!(breaker.ask(now), Advice::LeaveAlone { until });
        assert_eq!(breaker.ask(until - Duration::from_millis(1)), Advice::LeaveAlone { until });
        assert!(matches!(breaker.ask(until), Advice::Try(_)));
    }

    #[test]
    fn one_try_at_a_time() {
        let (mut breaker, now) = (breaker(1), Instant::now());
        left_alone(&mut breaker, now);
        let later = now + secs(60);
        let first = try_of(&mut breaker, later);
        assert!(!breaker.admits(later + secs(3600)));
        assert!(matches!(breaker.ask(later + secs(3600)), Advice::LeaveAlone { .. }));
        breaker.gives_back(first);
        let second = try_of(&mut breaker, later);
        breaker.gives_back(first);
        assert!(!breaker.admits(later), "the first one's end is not the second one's");
        assert_eq!(breaker.fails(Some(first), later, 0.0, None), Then::Nothing);
        assert_eq!(breaker.fails(Some(second), later, 0.0, None), Then::LeftAloneLonger { until: later + secs(10) });
    }

    #[test]
    fn pauses_grow_to_their_cap_and_begin_anew_after_a_sign_of_life() {
        let (mut breaker, mut now) = (breaker(1), Instant::now());
        let began = now;
        left_alone(&mut breaker, now);
        for expected in [10, 20, 30, 30] {
            now = breaker.left_alone_until().unwrap();
            let this = try_of(&mut breaker, now);
            assert_eq!(breaker.fails(Some(this), now, 0.0, None), Then::LeftAloneLonger { until: now + secs(expected) });
        }
        now = breaker.left_alone_until().unwrap();
        try_of(&mut breaker, now);
        assert_eq!(breaker.lives(now), Some(now - began));
        assert_eq!(breaker.ask(now), Advice::Go);
        left_alone(&mut breaker, now);
        assert_eq!(breaker.left_alone_until(), Some(now + secs(5)));
    }

    #[test]
    fn the_providers_own_word_makes_a_pause_longer() {
        let (mut breaker, now) = (breaker(1), Instant::now());
        assert_eq!(breaker.fails(None, now, 0.0, Some(secs(40))), Then::LeftAlone { failures: 1, until: now + secs(40) });
    }

    #[test]
    fn what_began_before_neither_prolongs_a_pause_nor_is_deaf_to_a_sign_of_life() {
        let (mut breaker, now) = (breaker(1), Instant::now());
        left_alone(&mut breaker, now);
        let until = breaker.left_alone_until();
        assert_eq!(breaker.fails(None, now + secs(4), 1.0, None), Then::Nothing);
        assert_eq!(breaker.left_alone_until(), until);
        assert_eq!(breaker.lives(now + secs(4)), Some(secs(4)));
        assert_eq!(breaker.ask(now + secs(4)), Advice::Go);
    }

    proptest! {
        /// Whatever happens in whatever order: nobody goes within a pause, and there is one try at most.
        #[test]
        fn a_pause_is_kept_and_its_tries_come_one_by_one(limit in 1..5_u32, steps in prop::collection::vec((0..4_u8, 0..20_u64, 0.0..=1.0_f64), 1..200)) {
            let mut breaker = breaker(limit);
            let mut now = Instant::now();
            let mut row = 0_u32;
            let mut alone: Option<Instant> = None;
            let mut under_way: Option<Try> = None;
            for (step, seconds, jitter) in steps {
                now += secs(seconds);
                match step {
                    0 => {
                        let admitted = breaker.admits(now);
                        match breaker.ask(now) {
                            Advice::Go => prop_assert!(admitted && alone.is_none()),
                            Advice::Try(this) => {
                                prop_assert!(admitted && alone.is_some_and(|since| now >= since + PAUSE.base / 2) && under_way.is_none());
                                under_way = Some(this);
                            }
                            Advice::LeaveAlone { until } => prop_assert!(!admitted && (until > now || under_way.is_some())),
                        }
                    }
                    1 => {
                        breaker.lives(now);
                        (row, alone, under_way) = (0, None, None);
                    }
                    2 => {
                        let of = under_way.take();
                        breaker.fails(of, now, jitter, None);
                        row += 1;
                        if alone.is_none() && row >= limit || of.is_some() {
                            alone = Some(now);
                        }
                    }
                    _ => {
                        if let Some(this) = under_way.take() {
                            breaker.gives_back(this);
                        }
                    }
                }
                prop_assert_eq!(breaker.left_alone_until().is_some(), alone.is_some());
            }
        }
    }
}
