//! The use case outlives its request: it runs in a task that nothing drops, and the handler only waits
//! for it. A client that hangs up drops the handler and not the work; a server that stops waits for the
//! tracker before it exits.

use std::future::Future;

use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Problem;

/// Runs `work` to its end, whatever becomes of the caller. A panic in it is a 500.
pub async fn outlive<T>(tracker: &TaskTracker, work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
{
    tracker.spawn(work.in_current_span()).await.map_err(|error| {
        // Nobody aborts these tasks, so it panicked, or the runtime ends.
        tracing::error!(panicked = error.is_panic(), "a use case did not come to its end");
        Problem::Internal
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn the_work_comes_to_its_end_when_nobody_waits_any_more() {
        let tracker = TaskTracker::new();
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let work = {
            let (go, done) = (Arc::clone(&go), Arc::clone(&done));
            async move {
                go.notified().await;
                done.notify_one();
            }
        };
        let mut request = Box::pin(outlive(&tracker, work));
        assert!(futures::poll!(&mut request).is_pending());
        drop(request);
        go.notify_one();
        done.notified().await;
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn work_that_panics_is_an_internal_problem() {
        let tracker = TaskTracker::new();
        assert_eq!(outlive(&tracker, async { panic!("on purpose") }).await, Err::<(), _>(Problem::Internal));
    }
}
