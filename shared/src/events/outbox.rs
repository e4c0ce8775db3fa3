//! Whether an event goes through Kafka now: the fast path while it works, left alone for a while after
//! it failed. The truth is in the `due` index either way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Event, Publisher};

/// How long Kafka is left alone after a failure.
pub const PAUSE: Duration = Duration::from_secs(5);

/// How a notification is brought to its worker at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Async,
    /// `reason` is for people.
    Sync {
        reason: String,
    },
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The broker has it.
    Published,
    /// There is no Kafka, or it is away: whoever asks does the work at once.
    NotPublished,
}

#[derive(Debug)]
pub struct Outbox {
    publisher: Option<Arc<dyn Publisher>>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Up,
    /// Nobody tries before `until`; then one does, and the others wait for what it finds.
    Down {
        until: Instant,
        last: Error,
    },
}

impl Outbox {
    /// None: there is no Kafka, everything is processed at once.
    #[must_use]
    pub fn new(publisher: Option<Arc<dyn Publisher>>) -> Self {
        Self { publisher, state: Mutex::new(State::Up) }
    }

    pub async fn hand_over(&self, event: &Event) -> Handed {
        let Some(publisher) = &self.publisher else { return Handed::NotPublished };
        if !self.may_try() {
            return Handed::NotPublished;
        }
        match publisher.publish(event).await {
            Ok(()) => {
                if self.change(State::Up) {
                    tracing::info!("kafka takes events again");
                }
                Handed::Published
            }
            Err(error) => {
                // Logged once per pause, not once per event: with Kafka away there is one for each try.
                match &error {
                    Error::Unavailable { what } => tracing::warn!(what, "kafka is away: processing at once"),
                    Error::Refused { what } => {
                        tracing::error!(what, "kafka refuses events, no waiting mends that: processing at once")
                    }
                }
                self.change(State::Down { until: Instant::now() + PAUSE, last: error });
                Handed::NotPublished
            }
        }
    }

    /// What a new notification meets, and why.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.publisher.is_none() {
            return Mode::Sync { reason: "no Kafka is configured".to_owned() };
        }
        match &*self.lock() {
            State::Up => Mode::Async,
            State::Down { last, .. } => Mode::Sync { reason: last.to_string() },
        }
    }

    /// After a pause, the first to ask tries and holds the others off while it does.
    fn may_try(&self) -> bool {
        match &mut *self.lock() {
            State::Up => true,
            State::Down { until, .. } => {
                let now = Instant::now();
                let over = now >= *until;
                if over {
                    *until = now + PAUSE;
                }
                over
            }
        }
    }

    /// Whether this was a change from down to up or from up to down.
    fn change(&self, to: State) -> bool {
        let mut state = self.lock();
        let changed = matches!(*state, State::Up) != matches!(to, State::Up);
        *state = to;
        changed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is one assignment: a panic elsewhere can't have left it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
