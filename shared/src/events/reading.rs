//! Whether the events are read, as far as this process can tell: the server's event source is refused here and
//! shown by the readiness there. On Lambda nobody writes it.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub struct Reading(Mutex<Option<String>>);

impl Reading {
    /// Why nobody reads, for people; None once somebody does.
    pub fn is_refused(&self, why: Option<String>) {
        *self.lock() = why;
    }

    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        // Nothing can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
