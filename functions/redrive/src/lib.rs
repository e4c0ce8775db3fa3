//! `redrive`: called by a schedule; whatever is due gets its event again.

use shared::service::Budget;
use shared::service::redrive::{Redrive, Report};
use tokio::time::Instant;

/// What becomes due before `idle_until` is waited for, and not left for the next tick.
pub async fn handle(redrive: &Redrive, budget: &Budget, idle_until: Instant) -> Report {
    redrive.run(budget, idle_until).await
}
