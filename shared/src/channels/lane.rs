//! A channel's way to its provider: how many attempts may be under way on it at once, and whether any may
//! begin at all. Each channel has its own, so that what is slow or broken on one holds up no other; channels
//! that share a provider share its connections and nothing else.
//!
//! A worker takes a [`Permit`] *before* it claims, and keeps it until its attempt is recorded. So whatever
//! waits for a provider is unclaimed: no attempt is counted, and `due` brings it back.
//!
//! All of it is in the memory of one process, and on Lambda of one instance: each finds out for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::breaker::{Advice, Breaker, Endurance, Then, Try};
use super::{Provider, Sent};
use crate::domain::Channel;
use crate::random::Random;
use crate::retry::RetryPolicy;

/// The settings of all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many attempts may be under way at once, at least 1.
    pub email: u32,
    pub sms: u32,
    pub push: u32,
    pub endurance: Endurance,
}

impl Limits {
    const fn of(&self, channel: Channel) -> u32 {
        match channel {
            Channel::Email => self.email,
            Channel::Sms => self.sms,
            Channel::Push => self.push,
        }
    }
}

/// As the settings have them where nothing is said.
impl Default for Limits {
    fn default() -> Self {
        let pause = RetryPolicy { base: Duration::from_secs(10), cap: Duration::from_secs(300), max_attempts: u32::MAX };
        Self { email: 64, sms: 64, push: 64, endurance: Endurance { failures: 10, pause } }
    }
}

/// After which time it is looked at again where nobody can say when there will be room. Sooner, whoever is due
/// would be asked for again and again, two writes each time.
const UNKNOWN_PACE: Duration = Duration::from_secs(1);
/// Of how many users it is remembered that the provider is slow for them.
const KNOWN_SLOW: usize = 100;

#[derive(Debug)]
pub struct Lane {
    channel: Channel,
    /// None: the channel is off. What is attempted on it all the same keeps to the bound.
    pub(super) provider: Option<Arc<dyn Provider>>,
    bound: u32,
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    /// Until when the fast path leaves this lane to redrive.
    behind_until: Option<Instant>,
    /// And single users on it, by the key of their events.
    users_behind: BTreeMap<String, Instant>,
    /// For whom the provider was slow on the fast path since it was quick for anybody, without those who were left to
    /// redrive for it; and when it was last.
    slow_for: BTreeSet<String>,
    slow_at: Instant,
    /// How long the last attempt kept its place.
    kept: Duration,
    /// When the last of those that were told to come later may expect its turn.
    last_turn: Instant,
}

/// Room for one attempt. Dropped without an answer it has changed nothing.
#[derive(Debug)]
pub struct Permit {
    lane: Arc<Lane>,
    of: Option<Try>,
    since: Instant,
    _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub enum Turn {
    Go(Permit),
    /// No room, in all the time that there was to wait.
    Full,
    LeftAlone,
}

/// Whose attempts make a batch last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slow {
    ForNobody,
    /// This one, by the key of its events.
    ForOne(String),
    ForSeveral,
}

/// What readiness tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Clear,
    /// As much is under way as may be, or was until a moment ago.
    Full,
    /// For so long yet; zero while one attempt tries it.
    LeftAlone {
        yet: Duration,
    },
}

impl Lane {
    pub(super) fn new(channel: Channel, provider: Option<Arc<dyn Provider>>, limits: &Limits) -> Self {
        let bound = limits.of(channel).max(1);
        let state = State {
            breaker: Breaker::new(limits.endurance),
            behind_until: None,
            users_behind: BTreeMap::new(),
            slow_for: BTreeSet::new(),
            slow_at: Instant::now(),
            kept: Duration::ZERO,
            last_turn: Instant::now(),
        };
        let room = Arc::new(Semaphore::new(usize::try_from(bound).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)));
        Self { channel, provider, bound, room, state: Mutex::new(state) }
    }

    /// Room for an attempt, if there is some before `until`. Whoever waits is served in the order of asking.
    pub async fn enter(self: &Arc<Self>, until: Instant) -> Turn {
        if !self.lock().breaker.admits(Instant::now()) {
            return Turn::LeftAlone;
        }
        let room = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => room,
            Err(_no_room) if until <= Instant::now() => return Turn::Full,
            Err(_no_room) => match timeout_at(until, Arc::clone(&self.room).acquire_owned()).await {
                Ok(Ok(room)) => room,
                Ok(Err(_)) | Err(_) => return Turn::Full,
            },
        };
        // It may have been given up while this one waited.
        let advice = self.lock().breaker.ask(Instant::now());
        let of = match advice {
            Advice::Go => None,
            Advice::Try(this) => Some(this),
            Advice::LeaveAlone { .. } => return Turn::LeftAlone,
        };
        Turn::Go(Permit { lane: Arc::clone(self), of, since: Instant::now(), _room: room })
    }

    /// The fast path can't get its work done in time. It leaves the lane to redrive until then, so that
    /// whatever comes behind it, of other channels and other users, is not held up again at once.
    pub fn fall_behind(&self, until: Instant) {
        let before = {
            let mut state = self.lock();
            state.slow_for.clear();
            state.behind_until.replace(until)
        };
        if before.is_none_or(|before| before <= Instant::now()) {
            let (channel, provider) = (self.channel.as_str(), self.name());
            tracing::warn!(
                channel,
                provider,
                bound = self.bound,
                "the provider is too slow for what is due: it is left to redrive"
            );
        }
    }

    /// It was not the provider that was slow.
    pub fn catch_up(&self) {
        self.lock().behind_until = None;
    }

    /// As [`Self::fall_behind`], for one user whose own attempts took all the time that there was.
    pub fn user_falls_behind(&self, key: String, until: Instant) {
        let mut state = self.lock();
        let now = Instant::now();
        state.slow_for.remove(&key);
        state.users_behind.retain(|_, until| *until > now);
        state.users_behind.insert(key, until);
    }

    /// The provider has answered an attempt of the fast path for this user.
    pub fn was_slow(&self, slow: bool, key: &str) {
        let mut state = self.lock();
        if slow {
            state.slow_at = Instant::now();
            if state.slow_for.len() < KNOWN_SLOW {
                state.slow_for.insert(key.to_owned());
            }
        } else {
            state.slow_for.clear();
        }
    }

    /// For whom it was slow when it answered last, if that was within this time.
    #[must_use]
    pub fn slow_within(&self, time: Duration) -> Slow {
        let state = self.lock();
        let mut users = state.slow_for.iter();
        match (users.next(), users.next()) {
            _ if state.slow_at.elapsed() > time => Slow::ForNobody,
            (None, _) => Slow::ForNobody,
            (Some(user), None) => Slow::ForOne(user.clone()),
            (Some(_), Some(_)) => Slow::ForSeveral,
        }
    }

    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.lock().behind_until.is_some_and(|until| until > Instant::now())
    }

    /// Whether the fast path leaves this user's to redrive.
    #[must_use]
    pub fn is_behind_for(&self, key: &str) -> bool {
        self.is_behind() || self.lock().users_behind.get(key).is_some_and(|until| *until > Instant::now())
    }

    /// Whether the fast path would take what is due on it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.is_behind() && self.lock().breaker.left_alone_until().is_none()
    }

    /// When to come again for who was told that there is no room, or that it is left alone: one after
    /// another, as fast as attempts go at present, and `most` later at the latest.
    #[must_use]
    pub fn later(&self, most: Duration) -> Instant {
        let mut state = self.lock();
        let now = Instant::now();
        // While one attempt tries it, or none has ended yet, nobody knows the pace.
        let from = match state.breaker.left_alone_until() {
            Some(until) if until > now => until,
            Some(_) => now + UNKNOWN_PACE,
            None if state.kept.is_zero() => now + UNKNOWN_PACE,
            None => now,
        };
        let turn = state.last_turn.max(from) + state.kept / self.bound;
        state.last_turn = turn.min(from + most);
        state.last_turn
    }

    #[must_use]
    pub fn condition(&self) -> Condition {
        let left_alone = self.lock().breaker.left_alone_until();
        match left_alone {
            Some(until) => Condition::LeftAlone { yet: until.saturating_duration_since(Instant::now()) },
            None if self.is_behind() || self.room.available_permits() == 0 => Condition::Full,
            None => Condition::Clear,
        }
    }

    /// How many attempts have their place on it.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        u64::from(self.bound).saturating_sub(u64::try_from(self.room.available_permits()).unwrap_or(u64::MAX))
    }

    #[must_use]
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// Of its provider. None: the channel is off.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.provider.as_ref().map(|provider| provider.name())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in it can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// What the provider said. A refusal is the message's fault: whoever refuses is alive. Of a message that
    /// did not go out, or of which nobody knows, the provider is taken to be the cause.
    pub fn answered(&self, sent: &Sent, random: &(dyn Random + 'static)) {
        let (lane, now) = (&self.lane, Instant::now());
        let (channel, provider) = (lane.channel.as_str(), lane.name());
        let retry_after = match sent {
            Sent::Accepted { .. } | Sent::Refused { .. } => {
                let left_alone = {
                    let mut state = lane.lock();
                    state.kept = self.since.elapsed();
                    state.breaker.lives(now)
                };
                if let Some(time) = left_alone {
                    tracing::info!(channel, provider, left_alone_ms = time.as_millis(), "the provider takes messages again");
                }
                return;
            }
            Sent::NotSent { retry_after, .. } => *retry_after,
            Sent::Unknown { .. } => None,
        };
        let then = {
            let mut state = lane.lock();
            state.kept = self.since.elapsed();
            state.breaker.fails(self.of, now, random.fraction(), retry_after)
        };
        match then {
            Then::Nothing => {}
            Then::LeftAlone { failures, until } => {
                let pause_ms = until.saturating_duration_since(now).as_millis();
                tracing::warn!(
                    channel,
                    provider,
                    failures,
                    pause_ms,
                    "the provider fails again and again: it is left alone for a while"
                );
            }
            Then::LeftAloneLonger { until } => {
                let pause_ms = until.saturating_duration_since(now).as_millis();
                tracing::debug!(channel, provider, pause_ms, "the provider still fails: it is left alone for longer");
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(this) = self.of {
            self.lane.lock().breaker.gives_back(this);
        }
    }
}

#[cfg(test)]
mod tests;
