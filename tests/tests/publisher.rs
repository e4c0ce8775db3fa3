//! The Kafka publisher on a broker, well and ill.
#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Headers, Message};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shared::config::Secret;
use shared::domain::{Channel, NotificationId, Timestamp};
use shared::events::kafka::KafkaPublisher;
use shared::events::security::{Mechanism, Sasl, Tls};
use shared::events::{Error, Event, KafkaSettings, Publisher, Security};
use shared::random::{Random, SystemRandom};
use tests::kafka::Kafka;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(30);
const TIME: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn event() -> Event {
    let random: &dyn Random = &SystemRandom;
    let id: NotificationId = random.notification_id(TIME);
    Event {
        id,
        channel: Channel::Email,
        attempt: 3,
        time: TIME,
        traceparent: Some("00-1-2-01".to_owned()),
        key: "key".to_owned(),
    }
}

/// Reads the only partition from its start.
fn reader(kafka: &Kafka) -> StreamConsumer {
    let settings = &kafka.settings;
    let reader: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(&settings.topic, 0, Offset::Beginning).unwrap();
    reader.assign(&all).unwrap();
    reader
}

#[tokio::test]
async fn an_event_is_a_cloud_event_in_binary_mode() {
    let kafka = Kafka::with_partitions(1).await;
    let publisher = KafkaPublisher::connect(&kafka.settings).unwrap();
    publisher.warm_up(SOON).await.unwrap();
    let event = event();
    publisher.publish(&event).await.unwrap();

    let reader = reader(&kafka);
    let record = timeout(SOON, reader.recv()).await.unwrap().unwrap();
    assert_eq!(record.key(), Some(b"key".as_slice()));
    assert_eq!(record.payload(), Some(event.value().as_bytes()));
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    let headers: Vec<_> = record.headers().unwrap().iter().map(|header| (header.key.to_owned(), text(header.value))).collect();
    assert_eq!(headers, event.headers().into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_events_at_once_are_all_in_the_log() {
    let mut kafka = Kafka::with_partitions(1).await;
    kafka.settings.produce_timeout = SOON;
    let publisher = std::sync::Arc::new(KafkaPublisher::connect(&kafka.settings).unwrap());
    publisher.warm_up(SOON).await.unwrap();
    let publish = |_| {
        let publisher = std::sync::Arc::clone(&publisher);
        tokio::spawn(async move { publisher.publish(&event()).await })
    };
    for published in (0..500).map(publish).collect::<Vec<_>>() {
        published.await.unwrap().unwrap();
    }
    publisher.flush(SOON).await.unwrap();
    let end = reader(&kafka).fetch_watermarks(&kafka.settings.topic, 0, SOON).unwrap();
    assert_eq!(end, (0, 500));
}

#[tokio::test]
async fn a_broker_that_is_away_is_no_obstacle_to_a_start_and_is_found_when_it_is_back() {
    let mut kafka = Kafka::embedded(1);
    kafka.settings.produce_timeout = Duration::from_millis(500);
    kafka.broker().go_down().unwrap();
    let publisher = KafkaPublisher::connect(&kafka.settings).unwrap();
    let warm = publisher.warm_up(Duration::from_millis(200)).await;
    assert!(matches!(warm, Err(Error::Unavailable { .. })), "{warm:?}");
    let started = Instant::now();
    let published = publisher.publish(&event()).await;
    assert!(matches!(published, Err(Error::Unavailable { .. })), "{published:?}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());

    kafka.broker().come_up().unwrap();
    let back = async { while publisher.publish(&event()).await.is_err() {} };
    timeout(SOON, back).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_too_slow_is_unavailable_within_the_budget() {
    let mut kafka = Kafka::embedded(1);
    kafka.settings.produce_timeout = Duration::from_secs(2);
    let publisher = KafkaPublisher::connect(&kafka.settings).unwrap();
    publisher.warm_up(SOON).await.unwrap();
    publisher.publish(&event()).await.unwrap();
    kafka.broker().delay_answers(Duration::from_secs(20)).unwrap();
    let started = Instant::now();
    let published = publisher.publish(&event()).await;
    assert!(matches!(published, Err(Error::Unavailable { .. })), "{published:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

/// What a cluster says of the topic, and what the publisher makes of it.
async fn refusal(said: RDKafkaRespErr) -> (Error, Error) {
    let kafka = Kafka::embedded(1);
    kafka.broker().fail_topic(&kafka.settings.topic, said).unwrap();
    let publisher = KafkaPublisher::connect(&kafka.settings).unwrap();
    (publisher.warm_up(SOON).await.unwrap_err(), publisher.publish(&event()).await.unwrap_err())
}

#[tokio::test]
async fn a_forbidden_topic_is_a_refusal() {
    let (warm, published) = refusal(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).await;
    assert!(matches!(warm, Error::Refused { .. }), "{warm:?}");
    assert!(matches!(published, Error::Refused { .. }), "{published:?}");
}

#[tokio::test]
async fn a_missing_topic_is_a_refusal() {
    let (warm, published) = refusal(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).await;
    assert!(matches!(warm, Error::Refused { .. }), "{warm:?}");
    assert!(matches!(published, Error::Refused { .. }), "{published:?}");
}

/// A broker that takes no password: to each handshake it says that it knows no such mechanism.
async fn refusing_broker() -> String {
    const SASL_HANDSHAKE: u16 = 17;
    const API_VERSIONS: u16 = 18;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                loop {
                    let length = usize::try_from(client.read_u32().await?).unwrap();
                    let (api, version, correlation) =
                        (client.read_u16().await?, client.read_u16().await?, client.read_u32().await?);
                    client.read_exact(&mut vec![0; length - 8]).await?;
                    let body: Vec<u16> = match (api, version) {
                        // No error; a list of two: their numbers, with the oldest and the newest version.
                        (API_VERSIONS, 0) => vec![0, 0, 2, API_VERSIONS, 0, 0, SASL_HANDSHAKE, 0, 0],
                        // 35, UNSUPPORTED_VERSION; an empty list.
                        (API_VERSIONS, _) => vec![35, 0, 0],
                        // 33, UNSUPPORTED_SASL_MECHANISM; an empty list.
                        _ => vec![33, 0, 0],
                    };
                    client.write_u32(u32::try_from(4 + 2 * body.len()).unwrap()).await?;
                    client.write_u32(correlation).await?;
                    for number in body {
                        client.write_u16(number).await?;
                    }
                }
                #[expect(unreachable_code, reason = "names the type of the `?` above")]
                std::io::Result::Ok(())
            });
        }
    });
    address.to_string()
}

#[tokio::test]
async fn a_password_that_is_not_taken_is_a_refusal() {
    let password = Sasl::Password {
        mechanism: Mechanism::Plain,
        username: Secret::new("user".to_owned()),
        password: Secret::new("canary".to_owned()),
    };
    let settings = KafkaSettings {
        bootstrap_servers: refusing_broker().await,
        security: Security { tls: None, sasl: Some(password) },
        topic: "topic".to_owned(),
        group_id: String::new(),
        produce_timeout: Duration::from_secs(1),
    };
    let publisher = KafkaPublisher::connect(&settings).unwrap();
    let error = publisher.publish(&event()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {publisher:?}").contains("canary"));
}

#[tokio::test]
async fn a_certificate_that_is_none_is_told_at_the_start() {
    let mut kafka = Kafka::embedded(1);
    let ca = Secret::new("-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n".to_owned());
    kafka.settings.security = Security { tls: Some(Tls { ca: Some(ca), own: None }), sasl: None };
    let error = KafkaPublisher::connect(&kafka.settings).unwrap_err();
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    assert_eq!(error.to_string(), "the kafka client does not accept its settings");
}
