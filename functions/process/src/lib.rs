//! `process`: a batch of Kafka events, as Lambda's event source mapping (or ours) hands it over.

use shared::events::batch::{self, NotABatch};
use shared::service::Budget;
use shared::service::process::{NothingReached, Process, Report};
use thiserror::Error;

/// Why the call fails, so that the whole batch comes again.
#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    NotABatch(#[from] NotABatch),
    #[error(transparent)]
    NothingReached(#[from] NothingReached),
}

/// Answers how many records went which way.
pub async fn handle(process: &Process, payload: &[u8], budget: &Budget) -> Result<Report, Error> {
    let report = process.run(batch::read(payload)?, budget).await?;
    if report.not_begun + report.failed + report.poison > 0 {
        let Report { attempted, left, not_begun, waiting, failed, passed_over, poison } = report;
        tracing::warn!(
            attempted,
            left,
            not_begun,
            waiting,
            failed,
            passed_over,
            poison,
            "a batch was not wholly processed: what is left is in the due index"
        );
    }
    Ok(report)
}
