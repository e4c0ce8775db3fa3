//! One record, written as Lambda hands it to a function: key, value and header values in the form that
//! AWS's Kafka events have. <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rdkafka::Timestamp;
use rdkafka::message::{Headers, Message};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::ownership::Term;

/// A record as it waits for its batch.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// The ownership of the partition that it was read under.
    pub(super) term: Term,
    /// Its JSON, made once: a batch counts its bytes, and a failed one is sent again.
    pub(super) json: String,
}

impl Record {
    pub(super) fn read(message: &impl Message, term: Term) -> Result<Self, serde_json::Error> {
        let (timestamp, timestamp_type) = match message.timestamp() {
            Timestamp::CreateTime(millis) => (millis, "CREATE_TIME"),
            Timestamp::LogAppendTime(millis) => (millis, "LOG_APPEND_TIME"),
            Timestamp::NotAvailable => (-1, "NO_TIMESTAMP_TYPE"),
        };
        let headers = message.headers().map(|all| all.iter().map(|h| Header { name: h.key, value: h.value }).collect());
        let json = serde_json::to_string(&Wire {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp,
            timestamp_type,
            key: message.key().map(|key| STANDARD.encode(key)),
            value: message.payload().map(|value| STANDARD.encode(value)),
            headers: headers.unwrap_or_default(),
        })?;
        Ok(Self { partition: message.partition(), offset: message.offset(), term, json })
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    timestamp_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    headers: Vec<Header<'a>>,
}

/// `{"name": [bytes]}`, the bytes signed as Java's are.
struct Header<'a> {
    name: &'a str,
    value: Option<&'a [u8]>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<i8> = self.value.unwrap_or_default().iter().map(|byte| byte.cast_signed()).collect();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.name, &bytes)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header as KafkaHeader, OwnedHeaders, OwnedMessage};
    use serde_json::{Value, json};

    use super::*;

    fn wire(message: &OwnedMessage) -> Value {
        serde_json::from_str(&Record::read(message, Term::default()).unwrap().json).unwrap()
    }

    #[test]
    fn a_record_has_lambdas_shape() {
        let headers = OwnedHeaders::new()
            .insert(KafkaHeader { key: "ce_type", value: Some("due") })
            .insert(KafkaHeader { key: "raw", value: Some(&[0_u8, 127, 128, 255]) })
            .insert(KafkaHeader { key: "empty", value: None::<&str> });
        let (value, key) = (Some(b"{}".to_vec()), Some(b"k".to_vec()));
        let message = OwnedMessage::new(value, key, "t".into(), Timestamp::CreateTime(1_595_035_749_700), 3, 15, Some(headers));
        assert_eq!(
            wire(&message),
            json!({
                "topic": "t", "partition": 3, "offset": 15, "timestamp": 1_595_035_749_700_i64, "timestampType": "CREATE_TIME",
                "key": "aw==", "value": "e30=",
                "headers": [{"ce_type": [100, 117, 101]}, {"raw": [0, 127, -128, -1]}, {"empty": []}],
            })
        );
    }

    #[test]
    fn a_tombstone_without_a_key_has_neither_key_nor_value() {
        let message = OwnedMessage::new(None, None, "t".into(), Timestamp::LogAppendTime(1), 0, 0, None);
        assert_eq!(
            wire(&message),
            json!({"topic": "t", "partition": 0, "offset": 0, "timestamp": 1, "timestampType": "LOG_APPEND_TIME", "headers": []})
        );
    }
}
