//! Embedded parts by default; Apache Kafka and AWS's DynamoDB Local where the environment names them.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};

/// The settings of one test's server, so that tests side by side never meet.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub settings: Vec<(String, String)>,
    pub real: bool,
}

impl Surroundings {
    /// On real parts each test gets a topic, a group and a table of its own.
    pub async fn new() -> Self {
        let keep = |name: &str| std::env::var(name).ok().map(|value| (name.to_owned(), value));
        let Some(endpoint) = keep("AWS_ENDPOINT_URL_DYNAMODB") else { return Self { settings: Vec::new(), real: false } };
        let brokers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("real parts are a store and a broker");
        let name = format!("t-{}", uuid::Uuid::now_v7().simple());
        create_topic(&brokers, &name).await;
        let mut settings = vec![
            endpoint,
            ("STORE".to_owned(), "dynamodb".to_owned()),
            ("KAFKA_BOOTSTRAP_SERVERS".to_owned(), brokers),
            ("KAFKA_TOPIC".to_owned(), name.clone()),
            ("KAFKA_GROUP_ID".to_owned(), name.clone()),
            ("TABLE_NAME".to_owned(), name),
        ];
        for channel in ["EMAIL_PROVIDER", "SMS_PROVIDER", "PUSH_PROVIDER"] {
            settings.push((channel.to_owned(), "dev:".to_owned()));
        }
        settings.extend(["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].into_iter().filter_map(keep));
        Self { settings, real: true }
    }
}

/// Makes the topic as an operator would: nothing in the product makes one silently. It is replicated as the
/// cluster's own default says.
pub async fn create_topic(brokers: &str, topic: &str) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", brokers).create().expect("an admin client");
    let topics = [NewTopic::new(topic, 4, TopicReplication::Fixed(-1))];
    let made = admin.create_topics(&topics, &AdminOptions::new()).await.expect("the broker answers");
    made.into_iter().for_each(|one| assert!(one.is_ok(), "{one:?}"));
}
