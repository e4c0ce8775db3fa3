//! The spans that have ended and wait for their export: so many, and no more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::span::Record;
use crate::clock::Clock;

/// About a megabyte. What ends when so many wait is counted and lost.
const MOST: usize = 2048;

#[derive(Debug)]
pub struct Recorder {
    pub(super) clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    half_full: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<Record>,
    lost: u64,
}

impl Recorder {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, waiting: Mutex::default(), half_full: Notify::new() }
    }

    pub(super) fn end(&self, mut record: Record) {
        // A clock that was set back meanwhile makes no span of negative length.
        record.ended = self.clock.nanos().max(record.begun);
        let mut waiting = self.lock();
        if waiting.records.len() >= MOST {
            waiting.lost += 1;
            return;
        }
        waiting.records.push(record);
        if waiting.records.len() == MOST / 2 {
            self.half_full.notify_one();
        }
    }

    /// The oldest of those that wait, and how many were lost since the last time.
    pub fn take(&self, most: usize) -> (Vec<Record>, u64) {
        let mut waiting = self.lock();
        let count = most.min(waiting.records.len());
        (waiting.records.drain(..count).collect(), std::mem::take(&mut waiting.lost))
    }

    pub async fn half_full(&self) {
        self.half_full.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under the lock can fail half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
