//! Lambda's Kafka event: every record of it is accounted for, in its order, and each as a second, slower
//! reading of the same JSON says.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use shared::domain::NotificationId;
use shared::domain::json::Entries;
use shared::events::batch::{Record, read};

pub fn holds(bytes: &[u8]) {
    let ours = read(bytes);
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    // Written anew, no name is there twice, and no number in a form that a `Value` would change.
    let text = event.to_string();
    let anew = read(text.as_bytes());
    let Some(partitions) = partitions(&event) else {
        assert!(anew.is_err(), "no batch was read as one: {text}");
        return;
    };
    let anew = anew.unwrap_or_else(|error| panic!("a batch was not read: {error}: {text}"));
    let expected: Vec<Option<Said>> =
        partitions.iter().flat_map(|(partition, records)| records.iter().map(|record| said(partition, record))).collect();
    let found: Vec<Said> = anew.iter().map(Said::of).collect();
    let agree = |(found, expected): (&Said, &Option<Said>)| expected.as_ref().is_none_or(|expected| expected == found);
    assert!(
        found.len() == expected.len() && found.iter().zip(&expected).all(agree),
        "found {found:?}, expected {expected:?}: {text}"
    );
    if let Ok(ours) = ours {
        assert!(ours.iter().all(|record| !matches!(record, Record::Poison { why, .. } if why.is_empty())));
    }
}

/// What becomes of a record: whose notification it is, or where its poison lies.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Deliver(NotificationId),
    PassedOver,
    Poison(String, Option<i64>),
}

impl Said {
    fn of(record: &Record) -> Self {
        match record {
            Record::Deliver(deliver) => Self::Deliver(deliver.id),
            Record::PassedOver => Self::PassedOver,
            Record::Poison { place, .. } => Self::Poison(place.partition.clone(), place.offset),
        }
    }
}

fn partitions(event: &Value) -> Option<BTreeMap<&String, &Vec<Value>>> {
    let records = event.as_object()?.get("records")?.as_object()?;
    records.iter().map(|(partition, records)| Some((partition, records.as_array()?))).collect()
}

/// None where the second reading can't tell.
fn said(partition: &str, record: &Value) -> Option<Said> {
    let offset = record.as_object().and_then(|record| record.get("offset")).and_then(Value::as_i64);
    let poison = Some(Said::Poison(partition.to_owned(), offset));
    let Some(record) = record.as_object().filter(|record| has_the_shape(record)) else { return poison };
    if kind_of_event(record).as_deref() != Some(b"notification.due") {
        return Some(Said::PassedOver);
    }
    let Some(value) = record.get("value").and_then(Value::as_str) else { return Some(Said::PassedOver) };
    let Ok(value) = STANDARD.decode(value) else { return poison };
    let value = String::from_utf8(value).ok()?;
    let Ok(_json) = serde_json::from_str::<&RawValue>(&value) else { return poison };
    // Too deep for a `Value`, or half of a surrogate pair in what nobody looks at.
    let event: Value = serde_json::from_str(&value).ok()?;
    let Some(event) = event.as_object() else { return poison };
    // A name that is there twice: a `Value` has the last of them and says nothing.
    let entries: Entries = serde_json::from_str(&value).ok()?;
    if entries.0.len() != event.len() {
        return None;
    }
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let version = event.get("v").and_then(Value::as_u64).filter(|v| u32::try_from(*v).is_ok());
    let (Some(version), Some(kind)) = (version, text("kind")) else { return poison };
    if version != 1 || kind != "notification" {
        return Some(Said::PassedOver);
    }
    let known = |channel: &&str| ["email", "sms", "push"].contains(&channel.to_ascii_lowercase().as_str());
    let id = text("id").and_then(|id| NotificationId::parse(id).ok());
    text("channel").filter(known).and(id).map(Said::Deliver).or(poison)
}

fn has_the_shape(record: &Map<String, Value>) -> bool {
    let text_or_nothing = |name: &str| record.get(name).is_none_or(|value| value.is_null() || value.is_string());
    let objects = |headers: &Value| headers.as_array().is_some_and(|headers| headers.iter().all(Value::is_object));
    text_or_nothing("key") && text_or_nothing("value") && record.get("headers").is_none_or(objects)
}

/// The bytes of the first `ce_type`.
fn kind_of_event(record: &Map<String, Value>) -> Option<Vec<u8>> {
    let headers = record.get("headers")?.as_array()?;
    let bytes = headers.iter().find_map(|header| header.get("ce_type"))?.as_array()?;
    let byte = |byte: &Value| match byte.as_i64()? {
        signed @ -128..0 => u8::try_from(signed + 256).ok(),
        unsigned => u8::try_from(unsigned).ok(),
    };
    bytes.iter().map(byte).collect()
}
