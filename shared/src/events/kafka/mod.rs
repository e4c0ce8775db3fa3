//! The Publisher on Kafka. `create` and `redrive` publish through it, by way of the
//! [`Outbox`](super::Outbox). An event that was reported as not taken may still be in the log (a
//! produce that timed out is unknown, not unsent), and a repeated redrive publishes twice: both are
//! harmless, because whoever reads the event claims its notification first.

mod fault;
mod secure;
pub mod token;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::util::Timeout;

use super::{Error, Event, KafkaSettings, Publisher};
pub use fault::{Fault, Side, log_line, missing};
use fault::{LastWord, ProducerEvents};
pub use secure::secure;

type EventProducer = FutureProducer<ProducerEvents>;

/// The client could not be made; no broker was asked yet.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("the kafka client does not accept its settings")]
    Settings {
        #[source]
        source: KafkaError,
    },
}

pub struct KafkaPublisher {
    config: ClientConfig,
    topic: String,
    timeout: Duration,
    last_word: Arc<LastWord>,
    /// Replaced when librdkafka gives one up for good (a fatal error of its idempotence).
    producer: RwLock<EventProducer>,
}

impl std::fmt::Debug for KafkaPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The settings may hold a password: the topic says enough.
        f.debug_struct("KafkaPublisher").field("topic", &self.topic).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl KafkaPublisher {
    /// Starts a client and returns at once, whether or not a broker answers.
    pub fn connect(settings: &KafkaSettings) -> Result<Self, ConnectError> {
        let config = producer_config(settings);
        let last_word = Arc::new(LastWord::default());
        let producer = RwLock::new(start(&config, &last_word)?);
        Ok(Self { config, topic: settings.topic.clone(), timeout: settings.produce_timeout, last_word, producer })
    }

    /// Opens the connection before the first event needs it, and tells what it found. Asked twice:
    /// the first answer makes librdkafka drop its bootstrap connection, and without a second one the
    /// first produce waits half a second for the new one.
    pub async fn warm_up(&self, within: Duration) -> Result<(), Error> {
        let producer = self.producer();
        let topic = self.topic.clone();
        let asked = tokio::task::spawn_blocking(move || {
            producer.client().fetch_metadata(Some(&topic), within / 2)?;
            let metadata = producer.client().fetch_metadata(Some(&topic), within / 2)?;
            let refused = metadata.topics().iter().find_map(rdkafka::metadata::MetadataTopic::error);
            Ok(refused.map(RDKafkaErrorCode::from))
        });
        match tokio::time::timeout(within, asked).await {
            Ok(Ok(Ok(None))) => {
                self.last_word.forget();
                Ok(())
            }
            Ok(Ok(Ok(Some(code)))) => Err(self.error(code)),
            Ok(Ok(Err(error))) => Err(self.failure(&error)),
            Ok(Err(_panicked)) => Err(Error::Unavailable { what: "the client stopped".to_owned() }),
            Err(_elapsed) => Err(self.error(RDKafkaErrorCode::OperationTimedOut)),
        }
    }

    /// Waits until what was handed over is in the log, for shutdown.
    pub async fn flush(&self, within: Duration) -> Result<(), Error> {
        let producer = self.producer();
        match tokio::task::spawn_blocking(move || producer.flush(Timeout::After(within))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_panicked) => Err(Error::Unavailable { what: "the client stopped".to_owned() }),
        }
    }

    fn producer(&self) -> EventProducer {
        self.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failure(&self, error: &KafkaError) -> Error {
        self.error(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
    }

    /// The code itself if it tells the reason, else what was last said about the connection.
    fn error(&self, code: RDKafkaErrorCode) -> Error {
        let told = match Fault::of(code) {
            Fault::Away => self.last_word.get().unwrap_or(code),
            Fault::TopicMissing | Fault::Refused => code,
        };
        match Fault::of(told) {
            Fault::Away => Error::Unavailable { what: what(told) },
            Fault::TopicMissing | Fault::Refused => Error::Refused { what: what(told) },
        }
    }

    /// A fatal error ends a producer for good; the next event gets a new one.
    fn replace_if_dead(&self, dead: &EventProducer) {
        let Some((code, _text)) = dead.client().fatal_error() else { return };
        let mut current = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        // Of many events that met the dead one, the first replaces it.
        if current.client().fatal_error().is_none() {
            return;
        }
        tracing::warn!(code = %code, "the kafka client gave up its producer: a new one is started");
        match start(&self.config, &self.last_word) {
            Ok(fresh) => *current = fresh,
            Err(error) => tracing::error!(error = %error, "no new kafka producer could be started"),
        }
    }
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&self, event: &Event) -> Result<(), Error> {
        let producer = self.producer();
        let value = event.value();
        let headers = event.headers();
        let headers = headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (key, value)| {
            all.insert(Header { key, value: Some(value) })
        });
        let record = FutureRecord::to(&self.topic).key(&event.key).payload(&value).headers(headers);
        // A full queue is not waited for: the notification is processed at once instead.
        let sent = producer.send(record, Timeout::After(Duration::ZERO));
        crate::crash_point!(AfterProduce in sent);
        // The deadline is our own: librdkafka's overruns, by seconds when a leader dies.
        match tokio::time::timeout(self.timeout, sent).await {
            Ok(Ok(_delivery)) => {
                crate::crash_point!(AfterAck);
                self.last_word.forget();
                Ok(())
            }
            Ok(Err((error, _record))) => {
                self.replace_if_dead(&producer);
                Err(self.failure(&error))
            }
            Err(_elapsed) => Err(self.error(RDKafkaErrorCode::MessageTimedOut)),
        }
    }
}

/// librdkafka's words for a code (they name neither hosts nor users), and then what has to be allowed.
fn what(code: RDKafkaErrorCode) -> String {
    let words = KafkaError::Global(code).to_string();
    match missing(code, Side::Publisher) {
        Some(missing) => format!("{words}: {missing}"),
        None => words,
    }
}

fn start(config: &ClientConfig, last_word: &Arc<LastWord>) -> Result<EventProducer, ConnectError> {
    config
        .create_with_context(ProducerEvents { last_word: Arc::clone(last_word) })
        .map_err(|source| ConnectError::Settings { source })
}

/// librdkafka's defaults are made for streams. Here every event is awaited by someone, in a process
/// that may be frozen between two of them.
fn producer_config(settings: &KafkaSettings) -> ClientConfig {
    // A little below our own deadline, so that the reason arrives before it.
    let message_timeout = (settings.produce_timeout * 9 / 10).max(Duration::from_millis(10));
    // A connection that doesn't answer in this time is replaced.
    let socket_timeout = (settings.produce_timeout * 3).max(Duration::from_secs(3));
    let unknown_topic_after = (settings.produce_timeout / 3).min(Duration::from_millis(300));
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("client.id", "notifications")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("message.timeout.ms", message_timeout.as_millis().to_string())
        .set("socket.timeout.ms", socket_timeout.as_millis().to_string())
        .set("socket.connection.setup.timeout.ms", "2000")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "300")
        // Below the 350 s after which AWS's balancers drop an idle connection without a word.
        .set("connections.max.idle.ms", "240000")
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.propagation.max.ms", unknown_topic_after.as_millis().to_string())
        // As Java's clients do it, so that one key has one partition whoever publishes it.
        .set("partitioner", "murmur2_random")
        // An outage must not collect events in memory: each is given up after its second.
        .set("queue.buffering.max.messages", "10000")
        .set("queue.buffering.max.kbytes", "16384");
    secure(&mut config, &settings.security);
    config
}

#[cfg(test)]
mod tests;
