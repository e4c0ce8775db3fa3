//! A Kafka for one test: the embedded broker, or a topic of its own on the cluster that
//! `KAFKA_BOOTSTRAP_SERVERS` names. Used by the tests of the publisher and of the event source.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use server::embedded::broker::EmbeddedBroker;
use shared::events::{KafkaSettings, Security};
use shared::random::{Random, SystemRandom};

pub struct Kafka {
    pub settings: KafkaSettings,
    /// None: an outside cluster, which takes no orders.
    pub embedded: Option<EmbeddedBroker>,
    producer: FutureProducer,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[expect(clippy::expect_used, reason = "part of the tests: what fails here fails them")]
impl Kafka {
    /// On the cluster from the environment, else embedded.
    pub async fn with_partitions(partitions: i32) -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests have no settings but this")]
        match std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
            Ok(servers) => {
                let kafka = Self::over(servers, None);
                create_topic(&kafka.settings, partitions).await;
                kafka
            }
            Err(_absent) => Self::embedded(partitions),
        }
    }

    /// For tests that need faults.
    #[must_use]
    pub fn embedded(partitions: i32) -> Self {
        let broker = EmbeddedBroker::start("unused", 1).expect("an embedded broker");
        let kafka = Self::over(broker.bootstrap_servers().to_owned(), Some(broker));
        kafka.broker().create_topic(&kafka.settings.topic, partitions).expect("a topic");
        kafka
    }

    fn over(bootstrap_servers: String, embedded: Option<EmbeddedBroker>) -> Self {
        let random: &dyn Random = &SystemRandom;
        let name = format!("test-{}", random.uuid());
        let producer =
            ClientConfig::new().set("bootstrap.servers", &bootstrap_servers).set("linger.ms", "0").create().expect("a producer");
        let settings = KafkaSettings {
            bootstrap_servers,
            security: Security::default(),
            topic: name.clone(),
            group_id: name,
            produce_timeout: Duration::from_secs(1),
        };
        Self { settings, embedded, producer }
    }

    /// The embedded broker, for its faults.
    #[must_use]
    pub fn broker(&self) -> &EmbeddedBroker {
        self.embedded.as_ref().expect("this test runs on the embedded broker")
    }

    /// Puts a value into one partition, and waits until it is there.
    pub async fn put(&self, partition: i32, value: &str) {
        self.put_to(&self.settings.topic, partition, value).await;
    }

    pub async fn put_to(&self, topic: &str, partition: i32, value: &str) {
        let record = FutureRecord::<str, str>::to(topic).partition(partition).payload(value);
        self.producer.send(record, Duration::from_secs(10)).await.expect("the record is taken");
    }

    /// Puts `count` numbered values into each partition.
    pub async fn fill(&self, partitions: i32, count: usize) {
        let put = |n: usize| {
            let record = move |value: &str, partition: i32| {
                let record = FutureRecord::<str, str>::to(&self.settings.topic).partition(partition).payload(value);
                self.producer.send_result(record).map_err(|(error, _)| error).expect("room in the queue")
            };
            let value = n.to_string();
            (0..partitions).map(move |partition| record(&value, partition)).collect::<Vec<_>>()
        };
        for delivery in (0..count).flat_map(put).collect::<Vec<_>>() {
            delivery.await.expect("the producer lives").map_err(|(error, _)| error).expect("the record is taken");
        }
    }
}

#[expect(clippy::expect_used, reason = "part of the tests: what fails here fails them")]
async fn create_topic(settings: &KafkaSettings, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &settings.bootstrap_servers).create().expect("an admin client");
    let topic = NewTopic::new(&settings.topic, partitions, TopicReplication::Fixed(1));
    let created = admin.create_topics([&topic], &AdminOptions::new()).await.expect("the cluster answers");
    for topic in created {
        topic.expect("the topic is new");
    }
}
