//! What calls cost, by the store's own account.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// `Display` is its form for an assertion: `6 write units, 0 read units: PutItem 1, UpdateItem 2`.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    pub write_units: f64,
    pub read_units: f64,
    /// Calls on the wire by operation, repeats included.
    pub calls: BTreeMap<String, u32>,
}

const READS: [&str; 4] = ["GetItem", "BatchGetItem", "Query", "Scan"];
const WRITES: [&str; 4] = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];

pub(super) fn is_metered(operation: &str) -> bool {
    READS.contains(&operation) || WRITES.contains(&operation)
}

impl Meter {
    pub(super) fn count(&mut self, operation: &str) {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
    }

    pub(super) fn add(&mut self, operation: &str, status: u16, answer: &Value) {
        self.count(operation);
        let failed_condition = answer["__type"].as_str().is_some_and(|kind| kind.ends_with("ConditionalCheckFailedException"));
        let units = match &answer["ConsumedCapacity"] {
            // One account for each table of a batch.
            Value::Array(tables) => tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum(),
            one @ Value::Object(_) => one["CapacityUnits"].as_f64().unwrap_or_default(),
            // A failed condition is billed by the item's size, and the answer does not say so:
            // <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>.
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) if failed_condition => units_of(&answer["Item"]),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0.0,
        };
        debug_assert!(status < 500, "the store failed");
        if WRITES.contains(&operation) {
            self.write_units += units;
        } else {
            self.read_units += units;
        }
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: Vec<String> = self.calls.iter().map(|(operation, times)| format!("{operation} {times}")).collect();
        write!(f, "{} write units, {} read units: {}", self.write_units, self.read_units, calls.join(", "))
    }
}

/// One for each kilobyte begun.
fn units_of(item: &Value) -> f64 {
    let size: usize = item.as_object().into_iter().flatten().map(|(name, value)| name.len() + size_of(value)).sum();
    f64::from(u32::try_from(size.div_ceil(1024).max(1)).unwrap_or(u32::MAX))
}

/// Of a value in DynamoDB's JSON:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
fn size_of(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|object| object.iter().next()) else { return 0 };
    match (kind.as_str(), value) {
        ("N", Value::String(digits)) => digits.len().div_ceil(2) + 1,
        ("B", Value::String(base64)) => base64.len() / 4 * 3,
        ("L", Value::Array(list)) => 3 + list.iter().map(|entry| 1 + size_of(entry)).sum::<usize>(),
        ("M", Value::Object(map)) => 3 + map.iter().map(|(name, entry)| 1 + name.len() + size_of(entry)).sum::<usize>(),
        (_, Value::String(text)) => text.len(),
        _ => 1,
    }
}
