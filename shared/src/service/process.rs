//! A batch of events: each claim → send → finish. No record ever blocks its partition: what failed, was
//! not begun in time, or is poison is done for Kafka, because `due` has the truth.
//!
//! The same event may come any number of times: the claim decides.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};
use serde::Serialize;
use thiserror::Error;

use super::Budget;
use super::deliver::{Delivery, Worker};
use crate::domain::NotificationId;
use crate::events::batch::Record;
use crate::store;

/// How many keys are worked on side by side.
const SIDE_BY_SIDE: usize = 32;

#[derive(Debug)]
pub struct Process {
    pub worker: Arc<Worker>,
}

/// What became of the records of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// An attempt was made, or the notification was brought to its end.
    pub attempted: u32,
    /// Held by someone, not due, final, gone, of an unknown kind, or not readable.
    pub left: u32,
    /// No time was left to begin, or the process is stopping.
    pub not_begun: u32,
    /// The claim did not reach the store.
    pub failed: u32,
    pub passed_over: u32,
    pub poison: u32,
}

/// No claim of the batch reached the store: let all of it come again.
#[derive(Debug, Error)]
#[error("no claim of the batch reached the store ({failed} failed, {not_begun} were not begun)")]
pub struct NothingReached {
    pub failed: u32,
    pub not_begun: u32,
}

impl Process {
    pub async fn run(&self, records: Vec<Record>, budget: &Budget) -> Result<Report, NothingReached> {
        let mut report = Report::default();
        let mut by_key: BTreeMap<String, Vec<NotificationId>> = BTreeMap::new();
        for record in records {
            match record {
                Record::Deliver { id, key, .. } => by_key.entry(key).or_default().push(id),
                Record::PassedOver => report.passed_over += 1,
                Record::Poison { place, why } => {
                    tracing::error!(partition = place.partition, offset = place.offset, why, "poison: passed over");
                    report.poison += 1;
                }
            }
        }
        let counts = stream::iter(by_key.into_values()).map(|ids| self.in_order(ids, budget)).buffer_unordered(SIDE_BY_SIDE);
        let report = counts.fold(report, |sum, one| async move { sum.plus(one) }).await;
        let reached = report.attempted + report.left;
        if reached == 0 && report.failed + report.not_begun > 0 {
            return Err(NothingReached { failed: report.failed, not_begun: report.not_begun });
        }
        Ok(report)
    }

    async fn in_order(&self, ids: Vec<NotificationId>, budget: &Budget) -> Report {
        let mut report = Report::default();
        for id in ids {
            // A panic costs its own record and no other; its lease runs out.
            match AssertUnwindSafe(self.worker.deliver(id, budget)).catch_unwind().await {
                Ok(Ok(Delivery::Attempted(_) | Delivery::Ended(_) | Delivery::Unfinished(_))) => report.attempted += 1,
                Ok(Ok(Delivery::Left(_))) => report.left += 1,
                Ok(Ok(Delivery::NotBegun)) => report.not_begun += 1,
                Ok(Ok(Delivery::Missing)) => {
                    tracing::warn!(notification.id = %id, "an event names a notification that is not there");
                    report.left += 1;
                }
                Ok(Ok(Delivery::Foreign)) => {
                    tracing::warn!(notification.id = %id, "left alone: of an unknown kind or a newer version");
                    report.left += 1;
                }
                // The store was reached, and what lies there would be no more readable when it comes again.
                Ok(Err(error @ store::Error::Unreadable { .. })) => {
                    tracing::error!(notification.id = %id, %error, "left alone: it can't be read");
                    report.left += 1;
                }
                Ok(Err(error)) => {
                    tracing::error!(notification.id = %id, %error, "not claimed: redrive will bring it");
                    report.failed += 1;
                }
                Err(_panic) => {
                    tracing::error!(notification.id = %id, "the worker panicked: redrive will bring it");
                    report.left += 1;
                }
            }
        }
        report
    }
}

impl Report {
    const fn plus(self, other: Self) -> Self {
        Self {
            attempted: self.attempted + other.attempted,
            left: self.left + other.left,
            not_begun: self.not_begun + other.not_begun,
            failed: self.failed + other.failed,
            passed_over: self.passed_over + other.passed_over,
            poison: self.poison + other.poison,
        }
    }
}
