//! Whether the events are read, as far as this process can tell: the server's event source is refused here and
//! shown by the readiness there. On Lambda nobody writes it.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub struct Reading(Mutex<Option<String>>);

impl Reading {
    /// Why this process may not read, for people; None as far as it knows that it may.
    pub fn tell(&self, refusal: Option<String>) {
        *self.lock() = refusal;
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
