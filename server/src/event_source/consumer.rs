//! The consumer's settings, and what librdkafka calls back: assignments and errors. The callbacks
//! run inside a poll, so mostly on the event source's own task; they only note what happened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use shared::events::KafkaSettings;
use shared::events::kafka::{Fault, log_line, secure, token};
use shared::events::reading::Reading;

use super::link::Link;
use super::ownership::Ownership;

pub(super) type EventConsumer = StreamConsumer<Watch>;

/// What the callbacks noted.
#[derive(Debug)]
pub(super) struct Watch {
    topic: String,
    ownership: Mutex<Ownership>,
    link: Mutex<Link>,
    reading: Arc<Reading>,
    /// A batch is at work for long: what is assigned meanwhile must wait too.
    pub(super) paused: AtomicBool,
}

impl Watch {
    pub(super) fn new(topic: String, reading: Arc<Reading>) -> Self {
        Self { topic, ownership: Mutex::default(), link: Mutex::default(), reading, paused: AtomicBool::new(false) }
    }

    pub(super) fn ownership(&self) -> MutexGuard<'_, Ownership> {
        self.ownership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_up(&self) -> bool {
        self.link().is_up()
    }

    /// A broker told us about the topic. That it also lets us into the group is not said by that.
    pub(super) fn answered(&self) {
        self.change(Link::answered);
    }

    pub(super) fn reads(&self) {
        self.change(Link::reads);
    }

    pub(super) fn down(&self, code: RDKafkaErrorCode) {
        self.change(|link, topic| link.down(topic, code));
    }

    fn change(&self, change: impl FnOnce(&mut Link, &str)) {
        let mut link = self.link();
        change(&mut link, &self.topic);
        self.reading.tell(link.refusal());
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn offsets(&self, ends: &[(i32, i64)]) -> KafkaResult<TopicPartitionList> {
        let mut offsets = TopicPartitionList::with_capacity(ends.len());
        for (partition, next) in ends {
            offsets.add_partition_offset(&self.topic, *partition, Offset::Offset(*next))?;
        }
        Ok(offsets)
    }

    fn partitions<'a>(&'a self, list: &'a TopicPartitionList) -> Vec<i32> {
        list.elements_for_topic(&self.topic)
            .iter()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
            .collect()
    }
}

impl ClientContext for Watch {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// Asked for only where the mechanism is OAUTHBEARER.
    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Ok(token::asked_for()?)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the kafka client reports an error");
        let Some(code) = error.rdkafka_error_code() else { return };
        // One broker of several may be away while all goes well: "away" is when all of them are.
        if code == RDKafkaErrorCode::AllBrokersDown || Fault::of(code) != Fault::Away {
            self.down(code);
        }
    }
}

impl ConsumerContext for Watch {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) if list.count() > 0 => {
                let partitions = self.partitions(list);
                tracing::info!(topic = self.topic, ?partitions, "partitions are assigned to us");
                self.ownership().assign(partitions);
                self.reads();
            }
            Rebalance::Revoke(list) if list.count() > 0 => {
                let partitions = self.partitions(list);
                tracing::info!(topic = self.topic, ?partitions, "partitions are taken from us");
                self.ownership().revoke(partitions);
            }
            // A cooperative group tells every member of every round, most of which change nothing.
            Rebalance::Assign(_) => self.change(Link::is_member),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(topic = self.topic, %error, "the group could not be rebalanced"),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(list) = rebalance else { return };
        if list.count() == 0 {
            return;
        }
        // A partition that was paused when it was taken from us is still paused when it comes back.
        let result = if self.paused.load(Ordering::Acquire) { consumer.pause(list) } else { consumer.resume(list) };
        if let Err(error) = result {
            tracing::error!(topic = self.topic, %error, "new partitions could not be paused or resumed");
        }
    }
}

/// `properties` are librdkafka's own names, and win over ours.
pub(super) fn config(settings: &KafkaSettings, properties: &[(String, String)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("group.id", &settings.group_id)
        .set("client.id", "notifications-event-source")
        // Committed by hand, after the function has succeeded.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        // A member that comes or goes stops only the partitions that move.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "2000")
        .set("max.poll.interval.ms", "60000")
        .set("allow.auto.create.topics", "false")
        // How soon a topic that did not exist is found.
        .set("topic.metadata.refresh.interval.ms", "5000")
        // Memory: the defaults would hold 64 MiB of records that wait.
        .set("queued.min.messages", "2000")
        // A full queue is looked at again soon: the default of 1 s would be the pace of the reading.
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.max.bytes", "8388608")
        .set("fetch.error.backoff.ms", "100")
        .set("socket.keepalive.enable", "true")
        // A connection that has died silently is given up; the default would read nothing for a minute.
        .set("socket.timeout.ms", "10000")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "1000");
    secure(&mut config, &settings.security);
    for (name, value) in properties {
        config.set(name, value);
    }
    config
}
