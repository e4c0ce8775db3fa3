//! `server create-topics`: the topic of the events on the Kafka that the settings name. Happy if it exists,
//! and then leaves it as it is: it may be used already. Nothing else ever makes a topic.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use shared::config::CreateTopicsSettings;
use shared::events::kafka::{secure, token};
use shared::events::security::Sasl;
use thiserror::Error;

use crate::fatal::Fatal;

/// For the cluster to answer, and for its brokers to take the topic on.
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Error)]
pub enum Error {
    #[error("the kafka client does not accept its settings")]
    Settings {
        #[source]
        source: KafkaError,
    },
    #[error("there is no token to show to kafka")]
    NoToken {
        #[source]
        source: token::Error,
    },
    /// The client library's administrative part can't tell which of them.
    #[error("kafka did not answer, or did not let us in")]
    NoAnswer {
        #[source]
        source: KafkaError,
    },
    #[error("kafka did not make the topic {topic}")]
    NotMade {
        topic: String,
        #[source]
        source: KafkaError,
    },
}

pub async fn create(settings: &CreateTopicsSettings) -> Result<(), Fatal> {
    make(settings).await.map_err(|source| Fatal::CreateTopics { source })
}

async fn make(settings: &CreateTopicsSettings) -> Result<(), Error> {
    let CreateTopicsSettings { bootstrap_servers, security, topic, partitions, replication, retention, log: _ } = settings;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap_servers).set("client.id", "notifications-create-topics");
    secure(&mut config, security);
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(|source| Error::Settings { source })?;
    if security.sasl == Some(Sasl::AwsMskIam) {
        token::give(admin.inner()).map_err(|source| Error::NoToken { source })?;
    }

    let retention = retention.as_millis().to_string();
    // An event that one broker alone has is gone with it; with two of three, one may be away.
    let in_sync = if *replication >= 3 { "2" } else { "1" };
    let (partitions, replication) = (count(*partitions), count(*replication));
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication))
        .set("retention.ms", &retention)
        .set("min.insync.replicas", in_sync);
    let options = AdminOptions::new().request_timeout(Some(WITHIN)).operation_timeout(Some(WITHIN));
    let made = admin.create_topics([&new], &options).await.map_err(|source| Error::NoAnswer { source })?;
    for result in made {
        match result {
            Ok(topic) => tracing::info!(topic, partitions, replication, "the topic is made"),
            Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => tracing::info!(topic, "the topic is there, and left as it is"),
            Err((topic, code)) => return Err(Error::NotMade { topic, source: KafkaError::Global(code) }),
        }
    }
    Ok(())
}

/// The settings' bounds are far below what Kafka's own type holds.
fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
