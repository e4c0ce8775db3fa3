//! What the client is told, and what it tells where there is no broker. The rest is tested on one, in the crate `tests`.

use std::ffi::CString;
use std::pin::pin;

use rdkafka::bindings::rd_kafka_test_fatal_error;
use rdkafka::types::RDKafkaRespErr;

use super::*;
use crate::domain::{Channel, NotificationId, Timestamp};
use crate::events::Security;

/// Where nobody answers, and whoever asks is refused at once.
fn settings(produce_timeout: Duration) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: "127.0.0.1:9".to_owned(),
        security: Security::default(),
        topic: "notification-events".to_owned(),
        group_id: "canary".to_owned(),
        produce_timeout,
    }
}

fn event() -> Event {
    let id = NotificationId::from_uuid(uuid::Uuid::from_u128(1));
    let (time, key) = (Timestamp::from_millis(0), "key".to_owned());
    Event { id, channel: Channel::Email, attempt: 1, time, traceparent: None, key }
}

#[test]
fn the_clients_time_outs_follow_from_that_of_one_event() {
    for (millis, message, socket, unknown_topic) in
        [(2_000, "1800", "6000", "300"), (1_000, "900", "3000", "300"), (600, "540", "3000", "200"), (3, "10", "3000", "1")]
    {
        let config = producer_config(&settings(Duration::from_millis(millis)));
        let told = ["message.timeout.ms", "socket.timeout.ms", "topic.metadata.propagation.max.ms"].map(|name| config.get(name));
        assert_eq!(told, [Some(message), Some(socket), Some(unknown_topic)], "{millis} ms");
    }
}

#[tokio::test]
async fn its_print_says_the_topic_and_nothing_of_its_settings() {
    let publisher = KafkaPublisher::connect(&settings(Duration::from_secs(1))).unwrap();
    assert_eq!(format!("{publisher:?}"), r#"KafkaPublisher { topic: "notification-events", timeout: 1s, .. }"#);
}

#[tokio::test]
async fn what_is_not_in_the_log_when_the_time_is_up_is_not_flushed() {
    let publisher = KafkaPublisher::connect(&settings(Duration::from_secs(30))).unwrap();
    let event = event();
    // It is handed to the client in its first step.
    let mut publishing = pin!(publisher.publish(&event));
    assert!(futures::poll!(&mut publishing).is_pending());
    let flushed = publisher.flush(Duration::from_millis(50)).await;
    assert!(matches!(&flushed, Err(Error::Unavailable { what }) if !what.is_empty()), "{flushed:?}");
}

#[tokio::test]
async fn a_producer_that_the_client_gave_up_for_good_is_replaced_by_the_next_event() {
    let publisher = KafkaPublisher::connect(&settings(Duration::from_millis(100))).unwrap();
    let reason = CString::new("as it was told").unwrap();
    #[expect(unsafe_code, reason = "librdkafka's own way to test this, and there is no other without a faulty broker")]
    // SAFETY: the client lives as long as the publisher, and the text as long as the call, which copies it.
    let made = unsafe {
        rd_kafka_test_fatal_error(
            publisher.producer().client().native_ptr(),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            reason.as_ptr(),
        )
    };
    assert_eq!(made, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
    assert!(publisher.producer().client().fatal_error().is_some());
    publisher.publish(&event()).await.unwrap_err();
    assert!(publisher.producer().client().fatal_error().is_none());
    publisher.publish(&event()).await.unwrap_err();
}

#[tokio::test]
async fn an_error_is_told_in_librdkafkas_words_for_its_code() {
    let publisher = KafkaPublisher::connect(&settings(Duration::from_secs(1))).unwrap();
    for (code, words) in [
        (RDKafkaErrorCode::UnknownTopicOrPartition, "Broker: Unknown topic or partition"),
        (RDKafkaErrorCode::TopicAuthorizationFailed, "Broker: Topic authorization failed"),
    ] {
        let error = publisher.error(code);
        assert!(matches!(&error, Error::Refused { what } if what.contains(words)), "{error:?}");
    }
}
