//! The use cases under way: each comes to its end, and only so many are begun at once.
//!
//! The use case outlives its request: it runs in a task that nothing drops, and the handler only waits
//! for it. A client that hangs up drops the handler and not the work; a server that stops waits for what
//! is under way before it exits. The place goes with the work, so that hanging up frees none.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Problem;

/// What a process has under way. Its clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Work {
    tracker: TaskTracker,
    /// None: whoever calls sees to it that they are not too many.
    places: Option<Arc<Semaphore>>,
}

/// The right to do one request's work; given back when it is dropped, or when the work has ended.
#[derive(Debug)]
pub struct Place {
    tracker: TaskTracker,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Work {
    /// On Lambda, which gives each instance only as many calls as it was told.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn limited(most: usize) -> Self {
        Self { tracker: TaskTracker::new(), places: Some(Arc::new(Semaphore::new(most))) }
    }

    /// At once, or not at all: who would have to wait is told to come again. To be asked for once the
    /// request is there, body and all, so that a slow client holds none.
    pub fn place(&self) -> Result<Place, Problem> {
        let permit = match &self.places {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().map_err(|_full| Problem::Overloaded)?),
            None => None,
        };
        Ok(Place { tracker: self.tracker.clone(), _permit: permit })
    }

    #[must_use]
    pub fn under_way(&self) -> usize {
        self.tracker.len()
    }

    /// Resolves once nothing is under way any more.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Place {
    /// Runs `work` to its end, whatever becomes of the caller. A panic in it is a 500.
    pub async fn outlive<T>(self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
    {
        let Self { tracker, _permit: permit } = self;
        let work = async move {
            let _held = permit;
            work.await
        };
        tracker.spawn(work.in_current_span()).await.map_err(|error| {
            // Nobody aborts these tasks, so it panicked, or the runtime ends.
            tracing::error!(panicked = error.is_panic(), "a use case did not come to its end");
            Problem::Internal
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn the_work_comes_to_its_end_when_nobody_waits_any_more() {
        let work = Work::limited(1);
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let task = {
            let (go, done) = (Arc::clone(&go), Arc::clone(&done));
            async move {
                go.notified().await;
                done.notify_one();
            }
        };
        let mut request = Box::pin(work.place().unwrap().outlive(task));
        assert!(futures::poll!(&mut request).is_pending());
        drop(request);
        assert_eq!(work.place().unwrap_err(), Problem::Overloaded, "nobody waits for it, and it is under way all the same");
        go.notify_one();
        done.notified().await;
        work.ended().await;
        assert!(work.place().is_ok());
    }

    #[tokio::test]
    async fn work_that_panics_is_an_internal_problem_and_frees_its_place() {
        let work = Work::limited(1);
        for _ in 0..2 {
            let panics = work.place().unwrap().outlive(async { panic!("on purpose") });
            assert_eq!(panics.await, Err::<(), _>(Problem::Internal));
        }
    }

    #[test]
    fn there_are_so_many_places_and_each_is_given_back() {
        let work = Work::limited(2);
        let (first, _second) = (work.place().unwrap(), work.place().unwrap());
        assert_eq!(work.place().unwrap_err(), Problem::Overloaded);
        drop(first);
        assert!(work.place().is_ok());
        let unlimited = Work::unlimited();
        let many: Vec<_> = (0..10_000).map(|_| unlimited.place().unwrap()).collect();
        assert_eq!(many.len(), 10_000);
    }
}
