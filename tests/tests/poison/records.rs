//! One record as Lambda hands it over, as it should be or spoilt in one of many ways, and what must be done
//! with it. The table says so kind by kind: it shares no rule with the reader.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value, json};
use shared::domain::NotificationId;
use simulation::dice::Dice;

/// In what nobody may log: keys, and whatever makes a record bad.
pub(crate) const CANARY: &str = "canary";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Must {
    Deliver,
    PassOver,
    CallPoison,
}

#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) kind: &'static str,
    pub(crate) must: Must,
    /// None where it can't be read from the record.
    pub(crate) offset: Option<i64>,
    pub(crate) text: String,
}

/// At which stage of its making the record goes wrong.
enum Spoil {
    Event(fn(&mut Value)),
    /// What is in the value's base64, made from the event's text.
    Bytes(fn(String) -> Vec<u8>),
    /// What stands for the value's base64.
    Value(fn(String) -> Value),
    Record(fn(&mut Map<String, Value>)),
    Text(fn(String) -> String),
}

use Must::{CallPoison, Deliver, PassOver};
use Spoil::{Bytes, Event, Record, Text};

#[rustfmt::skip]
const KINDS: &[(&str, Must, Spoil)] = &[
    ("more members in the event", Deliver, Event(|e| e["later"] = json!({"deep": [1, null, {}]}))),
    ("id and channel in capitals", Deliver, Event(|e| {
        e["id"] = e["id"].as_str().unwrap().to_uppercase().into();
        e["channel"] = "EMAIL".into();
    })),
    ("64 KiB more in the event", Deliver, Event(|e| e["padding"] = "x".repeat(65_536).into())),
    ("spread over lines", Deliver, Bytes(|text| format!("\r\n\t{}  \n", text.replace(',', " ,\n")).into_bytes())),
    ("a deep member in the event", Deliver, Bytes(|text| with_member(&text, &format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000))))),
    ("no key", Deliver, Record(|r| drop(r.remove("key")))),
    ("a null for a key", Deliver, Record(|r| r["key"] = Value::Null)),
    ("headers in another order", Deliver, Record(|r| headers(r).reverse())),
    ("all headers in one", Deliver, Record(|r| r["headers"] = json!([{"a": [], "ce_type": bytes("notification.due"), "z": [1]}]))),
    ("headers of others", Deliver, Record(|r| headers(r).extend([json!({"x": null}), json!({}), json!({"y": "text"}), json!({"z": [-61, 300, 1.5]})]))),
    ("another type behind ours", Deliver, Record(|r| headers(r).push(json!({"ce_type": bytes("other.due")})))),
    ("nothing but what is looked at", Deliver, Record(|r| r.retain(|name, _| ["value", "headers", "offset"].contains(&name.as_str())))),
    ("more members in the record", Deliver, Record(|r| drop(r.insert("leaderEpoch".to_owned(), json!([{"n": 7}]))))),
    ("escapes in the names", Deliver, Text(|text| text.replace("ce_type", "\\u0063e_type").replace("\"value\"", "\"v\\u0061lue\""))),

    ("no headers", PassOver, Record(|r| r["headers"] = json!([]))),
    ("headers left out", PassOver, Record(|r| drop(r.remove("headers")))),
    ("another type", PassOver, Record(|r| typed(r, &bytes("user.registered")))),
    ("a type that begins like ours", PassOver, Record(|r| typed(r, &bytes("notification.due.soon")))),
    ("a type that ends too soon", PassOver, Record(|r| typed(r, &bytes("notification.du")))),
    ("a type in capitals", PassOver, Record(|r| typed(r, &bytes("Notification.Due")))),
    ("a type of nothing", PassOver, Record(|r| typed(r, &json!([])))),
    ("a type as text", PassOver, Record(|r| typed(r, &json!("notification.due")))),
    ("a type of null", PassOver, Record(|r| typed(r, &json!(null)))),
    ("a type of numbers that are no bytes", PassOver, Record(|r| typed(r, &"notification.due".bytes().map(|b| u16::from(b) + 256).collect()))),
    ("a type of fractions", PassOver, Record(|r| typed(r, &json!([110.5])))),
    ("another type before ours", PassOver, Record(|r| headers(r).insert(0, json!({"ce_type": bytes("other.due")})))),
    ("another type with what is no base64", PassOver, Record(|r| { typed(r, &bytes("other")); r["value"] = "%canary%".into(); })),
    ("a tombstone", PassOver, Record(|r| r["value"] = Value::Null)),
    ("a tombstone without a value", PassOver, Record(|r| drop(r.remove("value")))),
    ("another kind", PassOver, Event(|e| e["kind"] = "digest".into())),
    ("a kind of nothing", PassOver, Event(|e| e["kind"] = "".into())),
    ("a newer version", PassOver, Event(|e| e["v"] = 2.into())),
    ("a version before the first", PassOver, Event(|e| e["v"] = 0.into())),
    ("a newer version in another shape", PassOver, Event(|e| *e = json!({"v": 7, "kind": "notification", "ids": ["canary"]}))),

    ("letters that base64 has not", CallPoison, Spoil::Value(|_| "canary!!".into())),
    ("base64 for URLs", CallPoison, Spoil::Value(|_| URL_SAFE.encode([251, 255, 254]).into())),
    ("base64 that is cut", CallPoison, Spoil::Value(|mut value| { value.pop(); value.into() })),
    ("base64 with a gap", CallPoison, Spoil::Value(|value| value.replacen('J', " J", 1).into())),
    ("base64 with a bit too many", CallPoison, Spoil::Value(|_| "e31=".into())),
    ("the event without base64", CallPoison, Spoil::Value(|value| String::from_utf8(STANDARD.decode(value).unwrap()).unwrap().into())),
    ("base64 of base64", CallPoison, Spoil::Value(|value| STANDARD.encode(value).into())),
    ("a number for a value", CallPoison, Spoil::Value(|_| 5.into())),
    ("a truth for a value", CallPoison, Spoil::Value(|_| true.into())),
    ("a list for a value", CallPoison, Spoil::Value(|value| json!([value]))),
    ("an object for a value", CallPoison, Spoil::Value(|value| json!({"canary": value}))),
    ("an empty value", CallPoison, Spoil::Value(|_| "".into())),

    ("nothing but spaces", CallPoison, Bytes(|_| b"   ".to_vec())),
    ("no JSON", CallPoison, Bytes(|_| b"canary".to_vec())),
    ("JSON that is cut", CallPoison, Bytes(|text| text.as_bytes()[..text.len() - 1].to_vec())),
    ("more behind the JSON", CallPoison, Bytes(|text| format!("{text}{text}").into_bytes())),
    ("a mark before the JSON", CallPoison, Bytes(|text| format!("\u{feff}{text}").into_bytes())),
    ("a zero behind the JSON", CallPoison, Bytes(|text| format!("{text}\0").into_bytes())),
    ("JSON in UTF-16", CallPoison, Bytes(|text| text.encode_utf16().flat_map(u16::to_le_bytes).collect())),
    ("bytes that are no text", CallPoison, Bytes(|_| [br#"{"v":1,"kind":"notification","channel":"email","id":""#.as_slice(), &[0xff, 0xc0], br#""}"#].concat())),
    ("half of a pair", CallPoison, Bytes(|text| text.replace("email", "\\ud800").into_bytes())),
    ("a member twice", CallPoison, Bytes(|text| text.replacen('{', "{\"v\":1,", 1).into_bytes())),
    ("256 KiB of noise", CallPoison, Bytes(|text| text.bytes().cycle().map(|b| b.wrapping_mul(31)).take(262_144).collect())),
    ("256 KiB of brackets", CallPoison, Bytes(|_| vec![b'['; 262_144])),

    ("a list for an event", CallPoison, Event(|e| *e = json!([1, "notification", e["id"], "email"]))),
    ("a short list for an event", CallPoison, Event(|e| *e = json!([2, "canary"]))),
    ("a number for an event", CallPoison, Event(|e| *e = 1.into())),
    ("a text for an event", CallPoison, Event(|e| *e = "canary".into())),
    ("a null for an event", CallPoison, Event(|e| *e = Value::Null)),
    ("nothing in the event", CallPoison, Event(|e| *e = json!({}))),
    ("no version", CallPoison, Event(|e| without(e, "v"))),
    ("no kind", CallPoison, Event(|e| without(e, "kind"))),
    ("no id", CallPoison, Event(|e| without(e, "id"))),
    ("no channel", CallPoison, Event(|e| without(e, "channel"))),
    ("a version as text", CallPoison, Event(|e| e["v"] = "1".into())),
    ("a version of null", CallPoison, Event(|e| e["v"] = Value::Null)),
    ("a version with a point", CallPoison, Event(|e| e["v"] = 1.0.into())),
    ("a version below zero", CallPoison, Event(|e| e["v"] = (-1).into())),
    ("a version without end", CallPoison, Event(|e| e["v"] = (1_u64 << 32).into())),
    ("a kind as a number", CallPoison, Event(|e| e["kind"] = 1.into())),
    ("an id as a number", CallPoison, Event(|e| e["id"] = 5.into())),
    ("an id of null", CallPoison, Event(|e| e["id"] = Value::Null)),
    ("an id of nothing", CallPoison, Event(|e| e["id"] = "".into())),
    ("an id without hyphens", CallPoison, Event(|e| e["id"] = e["id"].as_str().unwrap().replace('-', "").into())),
    ("an id in braces", CallPoison, Event(|e| e["id"] = format!("{{{}}}", e["id"].as_str().unwrap()).into())),
    ("an id with a wrong letter", CallPoison, Event(|e| e["id"] = "canary00-0000-7000-8000-000000000000".into())),
    ("a channel that there is not", CallPoison, Event(|e| e["channel"] = "canary".into())),
    ("a channel of null", CallPoison, Event(|e| e["channel"] = Value::Null)),
    ("a channel with a space", CallPoison, Event(|e| e["channel"] = "email ".into())),

    ("a null for a record", CallPoison, Text(|_| "null".to_owned())),
    ("a number for a record", CallPoison, Text(|_| "17".to_owned())),
    ("a text for a record", CallPoison, Text(|_| r#""canary""#.to_owned())),
    ("a list for a record", CallPoison, Text(|_| "[]".to_owned())),
    ("an offset in a list for a record", CallPoison, Text(|_| "[7]".to_owned())),
    ("a list of a record's members", CallPoison, Text(|text| {
        let record: Value = serde_json::from_str(&text).unwrap();
        json!([record["key"], record["value"], record["headers"]]).to_string()
    })),
    ("brackets without end for a record", CallPoison, Text(|_| format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)))),
    ("a number for a key", CallPoison, Record(|r| r["key"] = 5.into())),
    ("half of a pair for a key", CallPoison, Text(|text| text.replace("\"topic\":\"", "\"key\":\"\\ud800\",\"topic\":\""))),
    ("the value twice", CallPoison, Text(|text| text.replacen('{', r#"{"value":"e30=","#, 1))),
    ("headers in no list", CallPoison, Record(|r| r["headers"] = json!({"ce_type": bytes("notification.due")}))),
    ("a null for headers", CallPoison, Record(|r| r["headers"] = Value::Null)),
    ("a number among the headers", CallPoison, Record(|r| headers(r).push(5.into()))),
    ("a list among the headers", CallPoison, Record(|r| headers(r).push(json!(["ce_type", bytes("notification.due")])))),
];

/// Every kind there is, the undisturbed one first.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    std::iter::once(GOOD).chain(KINDS.iter().map(|(kind, ..)| *kind))
}

const GOOD: &str = "as it should be";

/// Half of them are as they should be.
pub(crate) fn make(dice: &Dice, id: NotificationId, user: u64, offset: i64) -> Made {
    let drawn = if dice.one_in(2) { None } else { Some(&KINDS[dice.index(KINDS.len())]) };
    of_kind(dice, drawn, id, user, offset)
}

/// One of each kind.
pub(crate) fn one_of_each(dice: &Dice, id: NotificationId) -> impl Iterator<Item = Made> {
    (0..).zip(KINDS).map(move |(offset, kind)| of_kind(dice, Some(kind), id, 1, offset))
}

fn of_kind(dice: &Dice, kind: Option<&(&'static str, Must, Spoil)>, id: NotificationId, user: u64, offset: i64) -> Made {
    let spoil = kind.map(|(_, _, spoil)| spoil);
    let mut event = json!({"v": 1, "kind": "notification", "id": id.to_string(), "channel": "email"});
    if let Some(Event(change)) = spoil {
        change(&mut event);
    }
    let text = event.to_string();
    let bytes = if let Some(Bytes(change)) = spoil { change(text) } else { text.into_bytes() };
    let encoded = STANDARD.encode(bytes);
    let value = if let Some(Spoil::Value(change)) = spoil { change(encoded) } else { encoded.into() };
    let mut record = record(&value, user, offset);
    if let Some(Record(change)) = spoil {
        change(&mut record);
    }
    let offset = spoil_offset(dice, &mut record, offset);
    let text = Value::Object(record).to_string();
    let text = if let Some(Text(change)) = spoil { change(text) } else { text };
    let (kind, must) = kind.map_or((GOOD, Deliver), |(kind, must, _)| (*kind, *must));
    Made { kind, must, offset: offset.filter(|_| text.starts_with('{')), text }
}

fn record(value: &Value, user: u64, offset: i64) -> Map<String, Value> {
    let header = |name: &str, value: &str| json!({name: bytes(value)});
    let record = json!({
        "topic": "notification-events", "partition": 0, "offset": offset, "timestamp": 1_795_514_400_123_u64,
        "timestampType": "CREATE_TIME", "key": STANDARD.encode(format!("{CANARY}-{user}")), "value": value,
        "headers": [
            header("ce_specversion", "1.0"), header("ce_source", "/notifications"), header("ce_type", "notification.due"),
            {"greeting": [71, 114, -61, -68, -61, -97, 101]}, header("content-type", "application/json"),
        ],
    });
    if let Value::Object(record) = record { record } else { Map::new() }
}

/// Now and then a record doesn't know where it stands. It is done all the same.
fn spoil_offset(dice: &Dice, record: &mut Map<String, Value>, offset: i64) -> Option<i64> {
    let instead = match dice.below(40) {
        0 => json!(null),
        1 => json!("12"),
        2 => json!(1.5),
        3 => json!(u64::MAX),
        4 => {
            record.remove("offset");
            return None;
        }
        _ => return Some(offset),
    };
    record.insert("offset".to_owned(), instead);
    None
}

fn bytes(text: &str) -> Value {
    text.bytes().collect()
}

fn headers(record: &mut Map<String, Value>) -> &mut Vec<Value> {
    record["headers"].as_array_mut().unwrap()
}

fn typed(record: &mut Map<String, Value>, value: &Value) {
    headers(record).iter_mut().filter_map(|header| header.get_mut("ce_type")).for_each(|ours| *ours = value.clone());
}

fn without(event: &mut Value, member: &str) {
    event.as_object_mut().unwrap().remove(member);
}

/// The event's text with one more member, named `w`, whose value is this text.
fn with_member(text: &str, value: &str) -> Vec<u8> {
    text.replacen('{', &format!("{{\"w\":{value},"), 1).into_bytes()
}
