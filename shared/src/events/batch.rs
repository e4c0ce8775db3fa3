//! Lambda's Kafka event, read so that one bad record spoils nothing but itself.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html#msk-sample-event>

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::event::{self, Asked};
use crate::domain::json::object;
use crate::domain::{Channel, NotificationId, Timestamp};
use crate::traces::Context;

#[derive(Debug, Error)]
#[error("the event is no Kafka event: it has no records by partition")]
pub struct NotABatch {
    #[source]
    source: serde_json::Error,
}

/// Where a record stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `<topic>-<partition>`, as the event names it.
    pub partition: String,
    /// None if not even that could be read.
    pub offset: Option<i64>,
}

/// A notification that is due, or was when this was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    pub id: NotificationId,
    /// The event's word, by which room is found before the notification is seen; the notification's own is what
    /// counts.
    pub channel: Channel,
    /// What must stay in order: records of one key do.
    pub key: String,
    pub place: Place,
    /// When it came to the log. None if the log doesn't say.
    pub written_at: Option<Timestamp>,
    /// The span that published it.
    pub parent: Option<Context>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Deliver(Deliver),
    /// Another type, kind or version, or a tombstone: someone else's.
    PassedOver,
    /// It says that it is ours and can't be read. `why` never repeats what it holds.
    Poison {
        place: Place,
        why: &'static str,
    },
}

#[derive(Deserialize)]
struct Envelope {
    records: BTreeMap<String, Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
struct Wire {
    key: Option<String>,
    value: Option<String>,
    /// Only type and `traceparent` are looked into: what other people's headers hold is theirs.
    #[serde(default)]
    headers: Vec<BTreeMap<String, Box<RawValue>>>,
}

#[derive(Deserialize)]
struct Offset {
    offset: i64,
}

/// In milliseconds; below zero where there is none.
#[derive(Deserialize)]
struct Written {
    timestamp: i64,
}

/// The records of the event, per partition in the order of the log.
pub fn read(payload: &[u8]) -> Result<Vec<Record>, NotABatch> {
    let envelope: Envelope = object(payload).map_err(|source| NotABatch { source })?;
    let mut records = Vec::new();
    for (partition, raws) in envelope.records {
        for raw in raws {
            let offset = object::<Offset>(raw.get().as_bytes()).ok().map(|o| o.offset);
            records.push(record(&raw, Place { partition: partition.clone(), offset }));
        }
    }
    Ok(records)
}

fn record(raw: &RawValue, place: Place) -> Record {
    let Ok(wire) = object::<Wire>(raw.get().as_bytes()) else {
        return Record::Poison { place, why: "the record has not the shape of Lambda's Kafka event" };
    };
    if wire.header("ce_type").as_deref() != Some(event::TYPE.as_bytes()) {
        return Record::PassedOver;
    }
    let Some(value) = &wire.value else { return Record::PassedOver };
    let Ok(value) = STANDARD.decode(value) else { return Record::Poison { place, why: "the value is not base64" } };
    match event::read(&value) {
        Ok(Asked::Deliver { id, channel }) => {
            let parent = wire.header("traceparent").and_then(|bytes| Context::parse(std::str::from_utf8(&bytes).ok()?));
            // Without a key there is no order to keep but that of the notification itself.
            let key = wire.key.unwrap_or_else(|| id.to_string());
            let written = object::<Written>(raw.get().as_bytes()).ok().filter(|written| written.timestamp >= 0);
            let written_at = written.map(|written| Timestamp::from_millis(written.timestamp));
            Record::Deliver(Deliver { id, channel, key, place, written_at, parent })
        }
        Ok(Asked::Foreign) => Record::PassedOver,
        Err(invalid) => Record::Poison { place, why: invalid.0 },
    }
}

impl Wire {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let raw = self.headers.iter().find_map(|header| header.get(name))?;
        // The bytes come as numbers, signed or not.
        let bytes: Vec<i16> = serde_json::from_str(raw.get()).ok()?;
        bytes.into_iter().map(|b| u8::try_from(b).or_else(|_negative| i8::try_from(b).map(i8::cast_unsigned)).ok()).collect()
    }
}
