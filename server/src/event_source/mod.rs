//! What Lambda's event source mapping for Kafka does, for where there is no Lambda: reads the topic,
//! collects batches, calls the function with each, and commits what it has done. The server and its
//! `stack` command run one.
//!
//! **At least once.** A batch is committed after the call has succeeded, never before. Between the two
//! lies the window in which a crash, a lost commit or a rebalance makes the batch come again, here or at
//! another member. A call that failed brings the whole batch again, for as long as it takes: nothing is
//! skipped. So the function may see any record twice, and, per partition, in order.
//!
//! One batch is at work at a time. Beside a long one the consumer is still polled, with its partitions
//! paused: so it stays in its group, and a rebalance never waits for the function.

mod batch;
mod consumer;
mod link;
mod member;
mod ownership;
mod record;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use shared::events::KafkaSettings;
use shared::events::reading::Reading;
use shared::random::Random;
use shared::retry::RetryPolicy;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::function::{Function, InvokeError};
pub use batch::BatchSettings;
use batch::{Batch, Batcher, Frame};
use consumer::{EventConsumer, Watch};
use member::Member;
use record::Record;

/// A call that takes longer has the partitions paused meanwhile. Pausing throws away what was fetched
/// ahead, and after it the first fetch comes 0.4 s late: so it is not done for the quick ones.
const QUICK: Duration = Duration::from_secs(2);
/// How often a failed commit is repeated and a broker that is away is asked.
const UPKEEP: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// For the last commit and for leaving the group.
const CLOSING: Duration = Duration::from_secs(2);

#[derive(Debug, Error)]
pub enum EventSourceError {
    /// No broker was asked yet.
    #[error("the kafka client does not accept its settings")]
    Settings {
        #[source]
        source: KafkaError,
    },
    #[error("no thread could be started for the commits")]
    Thread {
        #[source]
        source: std::io::Error,
    },
}

#[derive(Clone, Debug)]
pub struct SourceSettings {
    pub kafka: KafkaSettings,
    pub batch: BatchSettings,
    /// For failed calls; there is no last attempt.
    pub retry: RetryPolicy,
    /// librdkafka's own properties, on top of ours.
    pub properties: Vec<(String, String)>,
    /// Where it tells that it may not read.
    pub reading: Arc<Reading>,
}

impl SourceSettings {
    /// As on AWS.
    #[must_use]
    pub fn new(kafka: KafkaSettings) -> Self {
        let retry = RetryPolicy { base: Duration::from_millis(200), cap: Duration::from_secs(10), max_attempts: u32::MAX };
        Self { kafka, batch: BatchSettings::default(), retry, properties: Vec::new(), reading: Arc::default() }
    }

    /// For a broker in the same process: it wakes no fetch when a record comes, so fetches are short;
    /// it lets every rebalance wait for nearly a session; and nobody is billed for a call with one
    /// record.
    #[must_use]
    pub fn embedded(kafka: KafkaSettings) -> Self {
        let mut settings = Self::new(kafka);
        settings.batch.window = Duration::from_millis(5);
        for (name, value) in [("fetch.wait.max.ms", "10"), ("session.timeout.ms", "6000")] {
            settings.properties.push((name.to_owned(), value.to_owned()));
        }
        settings
    }
}

pub struct EventSource {
    member: Member,
    function: Arc<dyn Function>,
    random: Arc<dyn Random>,
    retry: RetryPolicy,
    topic: String,
    batcher: Batcher,
    /// Records that came although their partition was paused.
    early: VecDeque<Record>,
    upkeep: Interval,
    probe: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for EventSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSource").field("topic", &self.topic).field("function", &self.function).finish_non_exhaustive()
    }
}

/// Whether there is a next batch.
enum Then {
    Continue,
    Stop,
}

impl EventSource {
    /// Joins the group, inside a runtime; returns at once, whether or not a broker answers.
    pub fn connect(
        settings: SourceSettings,
        function: Arc<dyn Function>,
        random: Arc<dyn Random>,
    ) -> Result<Self, EventSourceError> {
        let SourceSettings { kafka, batch, retry, properties, reading } = settings;
        let consumer: StreamConsumer<Watch> = consumer::config(&kafka, &properties)
            .create_with_context(Watch::new(kafka.topic.clone(), reading))
            .map_err(|source| EventSourceError::Settings { source })?;
        consumer.subscribe(&[&kafka.topic]).map_err(|source| EventSourceError::Settings { source })?;
        let member = Member::new(consumer).map_err(|source| EventSourceError::Thread { source })?;
        let mut upkeep = tokio::time::interval_at(Instant::now() + UPKEEP, UPKEEP);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let batcher = Batcher::new(batch, Frame::new(&kafka.bootstrap_servers, &kafka.topic));
        Ok(Self { member, function, random, retry, topic: kafka.topic, batcher, early: VecDeque::new(), upkeep, probe: None })
    }

    /// Works until `stop`; then the call under way is finished and committed, and the group is left.
    /// Neither an outage nor a failing function ends it. Who can't wait for the call drops the future:
    /// the batch then comes again.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                batch = self.next_batch() => batch,
            };
            match self.carry_through(batch, &stop).await {
                Then::Continue => {}
                Then::Stop => break,
            }
        }
        self.close().await;
    }

    /// May be dropped at any await: what was read is in the batcher by then.
    async fn next_batch(&mut self) -> Batch {
        loop {
            if let Some(record) = self.early.pop_front() {
                if let Some(batch) = self.batcher.offer(record, Instant::now()) {
                    return batch;
                }
                continue;
            }
            let deadline = self.batcher.deadline();
            let consumer = self.consumer();
            tokio::select! {
                biased;
                () = until(deadline) => {
                    if let Some(batch) = self.batcher.close() {
                        return batch;
                    }
                }
                _ = self.upkeep.tick() => self.look_after(),
                received = consumer.recv() => {
                    if let Some(record) = self.received(received)
                        && let Some(batch) = self.batcher.offer(record, Instant::now())
                    {
                        return batch;
                    }
                }
            }
        }
    }

    /// Calls the function until it succeeds.
    async fn carry_through(&mut self, mut batch: Batch, stop: &CancellationToken) -> Then {
        let mut failures = 0_u32;
        loop {
            batch.keep_owned(&self.watch().ownership());
            if batch.is_empty() {
                return Then::Continue;
            }
            let (function, payload) = (Arc::clone(&self.function), batch.payload(self.batcher.frame()));
            let result = self.beside(async move { function.invoke(payload).await }).await;
            match result {
                Ok(_answer) => {
                    if failures > 0 {
                        tracing::info!(topic = self.topic, failures, "the function works again");
                    }
                    self.done(&batch);
                    return Then::Continue;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let wait = self.retry.delay(failures, self.random.fraction(), None);
                    self.tell(&error, &batch, failures, wait);
                    let stopped = stop.clone();
                    let stopped = self.beside(async move { tokio::time::timeout(wait, stopped.cancelled()).await }).await;
                    if stopped.is_ok() || stop.is_cancelled() {
                        return Then::Stop;
                    }
                }
            }
        }
    }

    fn tell(&self, error: &InvokeError, batch: &Batch, failures: u32, wait: Duration) {
        let error: &(dyn std::error::Error + 'static) = error;
        let (topic, records, wait_ms) = (&self.topic, batch.len(), wait.as_millis());
        tracing::warn!(error, topic, records, failures, wait_ms, "a call failed: the batch comes again");
    }

    fn done(&self, batch: &Batch) {
        shared::crash_point!(BeforeCommit);
        let watch = self.watch();
        for (partition, term, next) in batch.ends() {
            watch.ownership().done(partition, term, next);
        }
        self.member.commit();
    }

    /// Does the work, and keeps the consumer in its group meanwhile.
    async fn beside<W: Future>(&mut self, work: W) -> W::Output {
        let mut work = Box::pin(work);
        if let Ok(output) = tokio::time::timeout(QUICK, &mut work).await {
            return output;
        }
        self.pause();
        let consumer = self.consumer();
        let output = loop {
            tokio::select! {
                biased;
                output = &mut work => break output,
                _ = self.upkeep.tick() => self.look_after(),
                received = consumer.recv() => {
                    if let Some(record) = self.received(received) {
                        self.early.push_back(record);
                    }
                }
            }
        };
        self.resume();
        output
    }

    fn pause(&self) {
        // First the flag: what is assigned from now on is paused by the callback.
        self.watch().paused.store(true, Ordering::Release);
        if let Err(error) = self.member.consumer().assignment().and_then(|all| self.member.consumer().pause(&all)) {
            tracing::warn!(topic = self.topic, %error, "partitions could not be paused: their records are kept in memory");
        }
    }

    fn resume(&self) {
        self.watch().paused.store(false, Ordering::Release);
        if let Err(error) = self.member.consumer().assignment().and_then(|all| self.member.consumer().resume(&all)) {
            tracing::error!(topic = self.topic, %error, "partitions could not be resumed");
        }
    }

    fn received(&self, received: KafkaResult<BorrowedMessage<'_>>) -> Option<Record> {
        let message = match received {
            Ok(message) => message,
            Err(error) => {
                // The same was told to `Watch::error`, which knows what it means.
                tracing::debug!(topic = self.topic, %error, "the consumer reports an error");
                return None;
            }
        };
        let watch = self.watch();
        watch.reads();
        let term = watch.ownership().term(message.partition())?;
        match Record::read(&message, term) {
            Ok(record) => Some(record),
            Err(error) => {
                let (partition, offset) = (message.partition(), message.offset());
                tracing::error!(topic = self.topic, partition, offset, %error, "a record can't be written as JSON: passed over");
                None
            }
        }
    }

    /// Repeats a commit that failed, and asks after a broker that is away.
    fn look_after(&mut self) {
        self.member.commit();
        let asking = self.probe.as_ref().is_some_and(|probe| !probe.is_finished());
        if self.watch().is_up() || asking {
            return;
        }
        let (consumer, topic) = (self.consumer(), self.topic.clone());
        self.probe = Some(tokio::task::spawn_blocking(move || probe(&consumer, &topic)));
    }

    fn consumer(&self) -> Arc<EventConsumer> {
        Arc::clone(self.member.consumer())
    }

    fn watch(&self) -> &Watch {
        self.member.watch()
    }

    /// The last commit, and a good-bye that hands the partitions on at once.
    async fn close(self) {
        let deadline = Instant::now() + CLOSING;
        let consumer = self.consumer();
        while !self.watch().ownership().uncommitted().is_empty() {
            self.member.commit();
            let turn = Duration::from_millis(20);
            // Polled for a rebalance that may stand in its way; a record that comes now is another's.
            match tokio::time::timeout(turn, consumer.recv()).await {
                Ok(Ok(_record)) => {}
                Ok(Err(error)) => tracing::debug!(topic = self.topic, %error, "the consumer reports an error"),
                Err(_elapsed) => {}
            }
            if Instant::now() >= deadline {
                tracing::warn!(topic = self.topic, "the last commit was not answered: its records come again");
                break;
            }
        }
        let left = self.member.left();
        drop(consumer);
        drop(self);
        if tokio::time::timeout(CLOSING, left.cancelled()).await.is_err() {
            tracing::warn!("the group could not be left in time");
        }
    }
}

fn probe(consumer: &EventConsumer, topic: &str) {
    let watch = consumer.client().context();
    match consumer.fetch_metadata(Some(topic), PROBE_TIMEOUT) {
        Ok(metadata) => match metadata.topics().iter().find_map(rdkafka::metadata::MetadataTopic::error) {
            Some(code) => watch.down(RDKafkaErrorCode::from(code)),
            None => watch.answered(),
        },
        Err(error) => tracing::debug!(topic, %error, "no broker tells about the topic"),
    }
}

/// For ever, where there is no deadline.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
