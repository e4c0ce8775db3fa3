//! How many connections are open at once. When all places are taken and another one comes, those that have
//! been without a request the longest leave, so that idle ones, however many, stop nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::state::State;

/// So long a connection keeps its place though it asks nothing: its next request may be on its way.
const GRACE: Duration = Duration::from_secs(1);
/// How soon it is looked again for some that can make room.
const AGAIN: Duration = Duration::from_millis(50);
/// An eighth leave together, and no more than these: to look for one at a time would be the pace of a crowd.
const LEAVE_TOGETHER: usize = 32;

#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    free: Arc<Semaphore>,
    idle: Duration,
    open: Arc<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: AtomicU64,
    states: Mutex<HashMap<u64, Arc<State>>>,
}

/// A connection's place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    state: Arc<State>,
    open: Arc<Open>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(most: usize, idle: Duration) -> Self {
        Self { most, free: Arc::new(Semaphore::new(most)), idle, open: Arc::default() }
    }

    /// The next free one; where there is none, somebody makes room.
    pub(super) async fn seat(&self) -> Seat {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            self.make_room();
            // Never closed, so an error is only that nobody left in that time.
            if let Ok(Ok(permit)) = timeout(AGAIN, Arc::clone(&self.free).acquire_owned()).await {
                break permit;
            }
        };
        let number = self.open.next.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(State::new(self.idle));
        self.open.lock().insert(number, Arc::clone(&state));
        Seat { number, state, open: Arc::clone(&self.open), _permit: permit }
    }

    /// Tells those that have waited longest to leave. It may be none: all are at work, or came just now.
    pub(super) fn make_room(&self) {
        let now = Instant::now();
        let open = self.open.lock();
        let waiting = open.values().filter_map(|state| Some((state.waiting_since()?, state)));
        let mut idle: Vec<_> = waiting.filter(|(since, _)| *since + GRACE <= now).collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        for (_, state) in idle.iter().take((self.most / 8).clamp(1, LEAVE_TOGETHER)) {
            state.tell_to_leave();
        }
    }

    pub(super) fn taken(&self) -> usize {
        self.open.lock().len()
    }
}

impl Seat {
    pub(super) const fn state(&self) -> &Arc<State> {
        &self.state
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.lock().remove(&self.number);
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<State>>> {
        // Nothing under the lock can fail half-way.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
