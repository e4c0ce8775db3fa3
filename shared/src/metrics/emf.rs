//! CloudWatch's embedded metric format: JSON lines on stdout, of which CloudWatch Logs makes metrics by itself:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//!
//! Each line has one dimension, or none, and everything that goes with it. Counts and times are since the last
//! output; what was not counted has no member. A gauge alone makes a line unless it is 0 and one of many.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Map, Value, json};

use super::Metrics;
use super::family::Family;
use super::table::{Definition, Kind, Shown};
use crate::channels::Providers;
use crate::domain::Timestamp;

/// The most numbers that the format takes for one metric of one line.
const MOST_TIMES: usize = 100;

type Member = (Definition, Value);

impl Metrics {
    /// Writes what was recorded since the last time, in one piece, where there is a namespace for it. To be
    /// called once for each call of a function, before it is answered: after that the process may be frozen.
    pub fn write(&self, providers: &Providers, now: Timestamp) {
        self.observe(providers);
        let lines = self.take_lines(now);
        if lines.is_empty() {
            return;
        }
        let mut stdout = std::io::stdout().lock();
        if let Err(error) = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush()) {
            tracing::warn!(%error, "metrics could not be written");
        }
    }

    /// One JSON object a line; empty where there is nothing to say. Nothing is given twice.
    #[must_use]
    pub fn take_lines(&self, now: Timestamp) -> String {
        let Some(namespace) = &self.namespace else { return String::new() };
        let mut text = String::new();
        for (dimension, members) in self.take_members() {
            // A gauge of a channel that is well goes with what is said of the channel anyway.
            if dimension.is_some() && members.iter().all(|(of, value)| of.kind == Kind::Gauge && *value == 0) {
                continue;
            }
            for line in lines_of(members) {
                text.push_str(&document(namespace, now, dimension, line).to_string());
                text.push('\n');
            }
        }
        text
    }

    /// By dimension, as its name and value.
    fn take_members(&self) -> BTreeMap<Option<(&'static str, &'static str)>, Vec<Member>> {
        let mut by_dimension: BTreeMap<_, Vec<Member>> = BTreeMap::new();
        let shown = self.families.all().into_iter().filter(|family| family.definition.shown == Shown::Everywhere);
        for family in shown {
            for (value, taken) in take(family) {
                let dimension = family.definition.dimension().zip(value).map(|(label, value)| (label.as_str(), value));
                by_dimension.entry(dimension).or_default().push((family.definition, taken));
            }
        }
        by_dimension
    }
}

/// A family's values, by the first label.
fn take(family: &Family) -> BTreeMap<Option<&'static str>, Value> {
    if family.definition.kind == Kind::Histogram {
        let mut times: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for (first, time) in family.take_times() {
            times.entry(Some(first)).or_default().push(time.as_secs_f64());
        }
        return times.into_iter().map(|(first, times)| (first, json!(times))).collect();
    }
    let mut sums: BTreeMap<_, u64> = BTreeMap::new();
    for (place, cell) in family.cells() {
        let taken = match family.definition.kind {
            Kind::Counter => Some(cell.take()).filter(|count| *count > 0),
            Kind::Gauge | Kind::Histogram => cell.value(),
        };
        if let Some(taken) = taken {
            *sums.entry(family.first_value(place)).or_default() += taken;
        }
    }
    sums.into_iter().map(|(first, sum)| (first, json!(sum))).collect()
}

/// More times than a line takes go on in further lines.
fn lines_of(members: Vec<Member>) -> Vec<Vec<Member>> {
    let mut lines: Vec<Vec<Member>> = vec![Vec::new()];
    for (definition, value) in members {
        let parts = match value {
            Value::Array(times) => times.chunks(MOST_TIMES).map(|chunk| json!(chunk)).collect(),
            value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![value],
        };
        for (n, part) in parts.into_iter().enumerate() {
            match lines.get_mut(n) {
                Some(line) => line.push((definition, part)),
                None => lines.push(vec![(definition, part)]),
            }
        }
    }
    lines
}

fn document(namespace: &str, now: Timestamp, dimension: Option<(&str, &str)>, members: Vec<Member>) -> Value {
    let named: Vec<Value> = members.iter().map(|(of, _)| json!({"Name": of.name, "Unit": of.unit.as_str()})).collect();
    let keys: Vec<&str> = dimension.iter().map(|(name, _)| *name).collect();
    let directive = json!({"Namespace": namespace, "Dimensions": [keys], "Metrics": named});
    let mut root = Map::new();
    root.insert("_aws".to_owned(), json!({"Timestamp": now.as_millis(), "CloudWatchMetrics": [directive]}));
    root.extend(dimension.map(|(name, value)| (name.to_owned(), json!(value))));
    root.extend(members.into_iter().map(|(of, value)| (of.name.to_owned(), value)));
    Value::Object(root)
}
