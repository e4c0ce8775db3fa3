//! Where a connection is between its requests, and how long it may stay there.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// For the whole head of a request, from its first byte on.
const HEAD: Duration = Duration::from_secs(10);
/// For a client to take its whole answer.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// No request is there; a part of its head, since `head`.
    Waiting { since: Instant, head: Option<Instant> },
    /// A handler is at it. How long that takes is the handler's to bound, the reading of the body included.
    Serving,
    /// The answer is on its way out.
    Answering { since: Instant },
}

/// Shared by those who look at one connection: its socket, its service, and whoever wants its place.
#[derive(Debug)]
pub(super) struct State {
    phase: Mutex<Phase>,
    idle: Duration,
    leave: Notify,
}

impl State {
    pub(super) fn new(idle: Duration) -> Self {
        Self { phase: Mutex::new(Phase::Waiting { since: Instant::now(), head: None }), idle, leave: Notify::new() }
    }

    /// Bytes came. Those of a head begin its time; those of a body are the handler's.
    pub(super) fn heard(&self) {
        if let Phase::Waiting { head: head @ None, .. } = &mut *self.lock() {
            *head = Some(Instant::now());
        }
    }

    pub(super) fn serving(&self) {
        *self.lock() = Phase::Serving;
    }

    pub(super) fn answering(&self) {
        *self.lock() = Phase::Answering { since: Instant::now() };
    }

    /// Everything that was to be written has been.
    pub(super) fn flushed(&self) {
        let mut phase = self.lock();
        if let Phase::Answering { .. } = *phase {
            *phase = Phase::Waiting { since: Instant::now(), head: None };
        }
    }

    /// When the client has had its time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match *self.lock() {
            Phase::Waiting { head: Some(begun), .. } => Some(begun + HEAD),
            Phase::Waiting { since, head: None } => Some(since + self.idle),
            Phase::Serving => None,
            Phase::Answering { since } => Some(since + ANSWER),
        }
    }

    /// Since when nothing was asked and nothing is owed, if that is so: it may be closed then.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        match *self.lock() {
            Phase::Waiting { since, .. } => Some(since),
            Phase::Serving | Phase::Answering { .. } => None,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting_since().is_some()
    }

    /// Its place is wanted.
    pub(super) fn tell_to_leave(&self) {
        self.leave.notify_one();
    }

    pub(super) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        // Each change is one assignment.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
