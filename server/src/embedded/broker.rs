//! A Kafka broker inside the process: librdkafka's mock cluster, which speaks the real protocol on a
//! real socket, so that other processes can connect too. It keeps nothing over a restart, and silently
//! drops the oldest records of a full partition (5 MiB). Both are acceptable here only because what a
//! log loses is still in the store's `due` index.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings::rd_kafka_handle_mock_cluster;
use rdkafka::bindings::rd_kafka_mock_group_initial_rebalance_delay_ms;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use thiserror::Error;

/// Every broker of the cluster, in librdkafka's numbering.
const ALL: i32 = -1;

#[derive(Debug, Error)]
pub enum BrokerError {
    #[error("the embedded broker could not be started")]
    Start {
        #[source]
        source: KafkaError,
    },
    #[error("the client library came without its mock cluster")]
    NoMockCluster,
    #[error("the embedded broker could not create a topic")]
    Topic {
        #[source]
        source: KafkaError,
    },
    #[error("the embedded broker could not be given a fault")]
    Fault {
        #[source]
        source: KafkaError,
    },
}

/// The broker lives as long as this value.
pub struct EmbeddedBroker {
    /// The client that owns the mock cluster; it publishes nothing itself.
    host: ThreadedProducer<Quiet>,
    bootstrap_servers: String,
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker").field("bootstrap_servers", &self.bootstrap_servers).finish_non_exhaustive()
    }
}

impl EmbeddedBroker {
    /// Starts one broker on a free port of the loopback address, with one topic.
    pub fn start(topic: &str, partitions: i32) -> Result<Self, BrokerError> {
        let host: ThreadedProducer<Quiet> = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .create_with_context(Quiet)
            .map_err(|source| BrokerError::Start { source })?;
        let bootstrap_servers = host.client().mock_cluster().ok_or(BrokerError::NoMockCluster)?.bootstrap_servers();
        #[expect(unsafe_code, reason = "rdkafka has no safe call for it; without it a first join waits 3 s")]
        // SAFETY: the client is alive, the cluster it hosts lives as long, and the call takes its lock.
        unsafe {
            rd_kafka_mock_group_initial_rebalance_delay_ms(rd_kafka_handle_mock_cluster(host.client().native_ptr()), 0);
        }
        let broker = Self { host, bootstrap_servers };
        broker.create_topic(topic, partitions)?;
        Ok(broker)
    }

    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), BrokerError> {
        self.cluster()?.create_topic(topic, partitions, 1).map_err(|source| BrokerError::Topic { source })
    }

    /// Drops all connections and refuses new ones.
    pub fn go_down(&self) -> Result<(), BrokerError> {
        self.cluster()?.broker_down(ALL).map_err(|source| BrokerError::Fault { source })
    }

    pub fn come_up(&self) -> Result<(), BrokerError> {
        self.cluster()?.broker_up(ALL).map_err(|source| BrokerError::Fault { source })
    }

    /// Every answer takes this long.
    pub fn delay_answers(&self, by: Duration) -> Result<(), BrokerError> {
        self.cluster()?.broker_round_trip_time(ALL, by).map_err(|source| BrokerError::Fault { source })
    }

    /// The next requests of this kind fail, one with each of the errors.
    pub fn fail_requests(&self, of: RDKafkaApiKey, errors: &[RDKafkaRespErr]) -> Result<(), BrokerError> {
        self.cluster()?.request_errors(of, errors);
        Ok(())
    }

    /// What is said of a topic whenever someone asks about it.
    pub fn fail_topic(&self, topic: &str, error: RDKafkaRespErr) -> Result<(), BrokerError> {
        self.cluster()?.topic_error(topic, error).map_err(|source| BrokerError::Fault { source })
    }

    fn cluster(&self) -> Result<MockCluster<'_, Quiet>, BrokerError> {
        self.host.client().mock_cluster().ok_or(BrokerError::NoMockCluster)
    }
}

/// The host publishes nothing: what it says of its own connection interests nobody.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(?level, facility, "embedded broker: {line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "embedded broker");
    }
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, _opaque: ()) {}
}
