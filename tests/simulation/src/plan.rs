//! What kind of world a seed makes: its settings, and how often each thing goes wrong. Each kind of fault
//! is on or off for a whole run, so that some runs show one kind alone and others all of them together.

use std::time::Duration;

use shared::channels::Limits;
use shared::channels::breaker::Endurance;
use shared::retry::RetryPolicy;
use shared::sample::POLICY;
use shared::service::{OnUnknown, Policy};

use crate::dice::Dice;
use crate::sabotage::Sabotage;

/// As the contract has them.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(3);
pub const PRODUCE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Nothing fails but the provider, in the ways that it tells: what must hold where nothing is lost.
    Calm,
    /// Everything fails, and clocks differ by `CLOCK_SKEW` at most.
    Rough,
    /// And clocks differ by more, which the contract doesn't cover: a double send is nobody's fault.
    Skewed,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub weather: Weather,
    pub sabotage: Option<Sabotage>,
    pub kafka: bool,
    pub processes: usize,
    pub clients: usize,
    pub policy: Policy,
    pub limits: Limits,
    pub drops_repeats: bool,
    /// How far each clock may be off, in either direction.
    pub skew_millis: i64,
    pub redrive_every: Duration,
    pub heal_after: Duration,
    /// Out of a thousand, for each call of a port.
    pub rates: Rates,
    /// When a part is away as a whole: from, until.
    pub store_away: Option<(Duration, Duration)>,
    pub broker_away: Option<(Duration, Duration)>,
    pub provider_away: Option<(Duration, Duration)>,
}

#[derive(Clone, Debug, Default)]
pub struct Rates {
    pub kill: u64,
    pub freeze: u64,
    pub delay: u64,
    pub clock: u64,
    /// A process is told to stop, and drains.
    pub stop: u64,
    pub store_fails: u64,
    pub store_answer_lost: u64,
    pub store_repeats: u64,
    pub store_late: u64,
    /// The due index answers as it did before.
    pub index_lags: u64,
    pub publish_fails: u64,
    pub publish_late: u64,
    pub event_lost: u64,
    pub event_repeated: u64,
    pub event_reordered: u64,
    pub rebalance: u64,
    pub broker_loses_all: u64,
    /// What the provider does other than to accept.
    pub provider_tells: u64,
    pub provider_unknown: u64,
    pub hang_up: u64,
}

impl Plan {
    #[must_use]
    pub fn of(dice: &Dice, sabotage: Option<Sabotage>) -> Self {
        let weather = match dice.below(16) {
            0..3 => Weather::Calm,
            3..5 => Weather::Skewed,
            _ => Weather::Rough,
        };
        let mut policy = POLICY;
        policy.retry = RetryPolicy {
            base: dice.pick(&[Duration::from_secs(1), Duration::from_secs(10)]),
            cap: Duration::from_mins(1),
            max_attempts: dice.pick(&[1, 2, 3, 5]),
        };
        policy.on_unknown = dice.pick(&[OnUnknown::Retry, OnUnknown::Retry, OnUnknown::Fail]);
        let skew = i64::try_from(policy.clock_skew.as_millis()).unwrap();
        if matches!(sabotage, Some(Sabotage::NoSkew | Sabotage::NoSkewOfLease)) {
            policy.clock_skew = Duration::ZERO;
        }
        let limits = limits(dice, weather);
        let heal_after = dice.millis(60_000..180_000);
        let away = |often: u64| {
            let from = dice.millis(0..120_000);
            (weather != Weather::Calm && dice.one_in(often)).then(|| (from, from + dice.millis(1_000..60_000)))
        };
        Self {
            weather,
            sabotage,
            kafka: !dice.one_in(4),
            processes: dice.pick(&[2, 2, 3]),
            clients: dice.pick(&[1, 2, 3, 4]),
            policy,
            limits,
            drops_repeats: dice.one_in(3),
            skew_millis: if weather == Weather::Skewed { 6 * skew } else { skew / 2 },
            redrive_every: dice.pick(&[Duration::from_secs(5), Duration::from_secs(15), Duration::from_mins(1)]),
            heal_after,
            rates: Rates::of(dice, weather),
            store_away: away(5),
            broker_away: away(4),
            provider_away: away(6),
        }
    }

    /// A run without a fault of a process, of the store or of the broker.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.weather == Weather::Calm
    }
}

/// In calm weather nobody is left alone or short of room: what waits for its provider needs its event again,
/// and goes out of order.
fn limits(dice: &Dice, weather: Weather) -> Limits {
    let pause = RetryPolicy {
        base: dice.pick(&[Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)]),
        cap: Duration::from_mins(1),
        max_attempts: u32::MAX,
    };
    let (email, failures) = (dice.pick(&[1, 2, 64]), dice.pick(&[1, 2, 3, 10]));
    match weather {
        Weather::Calm => Limits { endurance: Endurance { failures: u32::MAX, pause }, ..Limits::default() },
        Weather::Rough | Weather::Skewed => Limits { email, endurance: Endurance { failures, pause }, ..Limits::default() },
    }
}

impl Rates {
    fn of(dice: &Dice, weather: Weather) -> Self {
        let rate = |often: &[u64]| if dice.one_in(2) { 0 } else { dice.pick(often) };
        let fault = |often: &[u64]| {
            let rate = rate(often);
            if weather == Weather::Calm { 0 } else { rate }
        };
        Self {
            kill: fault(&[4, 15, 60]),
            freeze: fault(&[4, 20, 80]),
            delay: rate(&[30, 200]),
            clock: rate(&[100, 500]),
            stop: rate(&[50, 200]),
            store_fails: fault(&[10, 60, 250]),
            store_answer_lost: fault(&[10, 60, 200]),
            store_repeats: rate(&[20, 200]),
            store_late: fault(&[10, 60]),
            index_lags: fault(&[50, 300]),
            publish_fails: fault(&[20, 200]),
            publish_late: fault(&[20, 200]),
            event_lost: fault(&[20, 200]),
            event_repeated: rate(&[50, 300]),
            event_reordered: fault(&[50, 300]),
            rebalance: fault(&[50, 200]),
            broker_loses_all: fault(&[100, 500]),
            provider_tells: rate(&[50, 300, 800]),
            provider_unknown: fault(&[50, 200]),
            hang_up: rate(&[100, 400]),
        }
    }
}
