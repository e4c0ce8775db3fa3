//! Our place in the group, and what has to block for it: a commit until the broker has answered, and
//! leaving. Both are done by one thread, so that neither stops the event source's task, nor a runtime
//! that ends, nor the one who drops the event source in the middle of its work.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use tokio_util::sync::CancellationToken;

use super::consumer::{EventConsumer, Watch};

pub(super) struct Member {
    consumer: Arc<EventConsumer>,
    /// Dropped with this value, which ends the thread.
    nudge: SyncSender<()>,
    left: CancellationToken,
}

impl Member {
    pub(super) fn new(consumer: EventConsumer) -> std::io::Result<Self> {
        let consumer = Arc::new(consumer);
        // Room for one: while a nudge waits, another one would say the same.
        let (nudge, nudges) = sync_channel(1);
        let left = CancellationToken::new();
        let (its_consumer, its_left) = (Arc::clone(&consumer), left.clone());
        let work = move || {
            commit_when_nudged(&its_consumer, &nudges);
            // The last one to hold it must be this thread: a probe lets go within its time-out.
            while Arc::strong_count(&its_consumer) > 1 {
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(its_consumer);
            its_left.cancel();
        };
        std::thread::Builder::new().name("kafka-commit".to_owned()).spawn(work)?;
        Ok(Self { consumer, nudge, left })
    }

    pub(super) const fn consumer(&self) -> &Arc<EventConsumer> {
        &self.consumer
    }

    pub(super) fn watch(&self) -> &Watch {
        self.consumer.client().context()
    }

    /// Has everything committed that is done and not committed. What fails stays to be committed, and is
    /// part of the next.
    pub(super) fn commit(&self) {
        if !self.watch().ownership().uncommitted().is_empty() && self.nudge.try_send(()).is_err() {
            tracing::trace!("a commit is waiting already");
        }
    }

    /// Cancelled once this has been dropped and the group was left.
    pub(super) fn left(&self) -> CancellationToken {
        self.left.clone()
    }
}

fn commit_when_nudged(consumer: &EventConsumer, nudges: &Receiver<()>) {
    let watch = consumer.client().context();
    while nudges.recv().is_ok() {
        let ends = watch.ownership().uncommitted();
        if ends.is_empty() {
            continue;
        }
        match commit(consumer, &ends) {
            Ok(()) => {
                shared::crash_point!(AfterCommit);
                let mut ownership = watch.ownership();
                for (partition, next) in ends {
                    ownership.committed(partition, next);
                }
            }
            Err(error) => tracing::debug!(%error, "a commit failed: it is repeated"),
        }
    }
}

fn commit(consumer: &EventConsumer, ends: &[(i32, i64)]) -> KafkaResult<()> {
    consumer.commit(&consumer.client().context().offsets(ends)?, CommitMode::Sync)
}
