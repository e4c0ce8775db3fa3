//! What EventBridge does on AWS: calls redrive again and again, never two at a time.

use std::sync::Arc;
use std::time::Duration;

use shared::service::Budget;
use shared::service::redrive::Redrive;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::function::Function;

/// How long one run may take: as much as the function gets on AWS.
const RUN: Duration = Duration::from_mins(1);

/// Redrive in this process, until `stop`.
pub async fn in_process(redrive: Arc<Redrive>, every: Duration, stop: CancellationToken) {
    let mut ticks = ticks(every);
    while next(&mut ticks, &stop).await {
        let now = Instant::now();
        // What becomes due before the next tick is waited for, so that a retry is not up to a tick late.
        redrive::handle(&redrive, &Budget { deadline: now + RUN, stop: stop.clone() }, now + every).await;
    }
}

/// The function `redrive`, wherever it runs, until `stop`.
pub async fn invoke(function: Arc<dyn Function>, every: Duration, stop: CancellationToken) {
    let mut ticks = ticks(every);
    let mut failing = false;
    while next(&mut ticks, &stop).await {
        match function.invoke(b"{}".to_vec()).await {
            Ok(_) => failing = false,
            Err(error) if failing => tracing::debug!(%error, "redrive still can't be called"),
            Err(error) => {
                failing = true;
                tracing::warn!(%error, "redrive can't be called: the next tick tries again");
            }
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// False once it is time to stop.
async fn next(ticks: &mut Interval, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        _ = ticks.tick() => true,
    }
}
