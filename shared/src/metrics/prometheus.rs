//! The text format of Prometheus, version 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.
//!
//! A series is shown from its first count on, one that is told apart by its channel alone (or by nothing) from
//! the start.

use super::Metrics;
use super::family::{BUCKETS, Cell, Family};
use super::table::{Kind, Label, OTHER};

pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, as they are now.
#[must_use]
pub fn text(metrics: &Metrics) -> String {
    let mut text = String::with_capacity(8 * 1024);
    for family in metrics.families.all() {
        let name = family.definition.prometheus_name();
        let (kind, meaning) = (family.definition.kind.as_str(), family.definition.meaning);
        text.push_str(&format!("# HELP {name} {meaning}\n# TYPE {name} {kind}\n"));
        for (place, cell) in family.cells() {
            if cell.is_zero() && !is_shown_at_zero(family, place) {
                continue;
            }
            let labels = labels(family.definition.labels, &family.values(place));
            match family.definition.kind {
                Kind::Counter | Kind::Gauge => {
                    if let Some(value) = cell.value() {
                        text.push_str(&format!("{name}{} {value}\n", braced(&labels)));
                    }
                }
                Kind::Histogram => histogram(&mut text, &name, labels, cell),
            }
        }
    }
    text
}

fn is_shown_at_zero(family: &Family, place: usize) -> bool {
    let told_apart_by_little = matches!(family.definition.labels, [] | [Label::Channel]);
    family.definition.kind == Kind::Gauge || told_apart_by_little && family.first_value(place) != Some(OTHER)
}

fn histogram(text: &mut String, name: &str, mut labels: Vec<String>, cell: &Cell) {
    let counts = cell.buckets();
    let of = braced(&labels);
    let mut so_far = 0;
    for (most, count) in BUCKETS.iter().map(|(most, _)| *most).chain(["+Inf"]).zip(counts) {
        so_far += count;
        labels.push(format!("le=\"{most}\""));
        text.push_str(&format!("{name}_bucket{} {so_far}\n", braced(&labels)));
        labels.pop();
    }
    let sum = cell.value().unwrap_or_default();
    text.push_str(&format!("{name}_sum{of} {}.{:06}\n{name}_count{of} {so_far}\n", sum / 1_000_000, sum % 1_000_000));
}

/// Every value is from a list in the code, and needs no escape.
fn labels(labels: &[Label], values: &[&str]) -> Vec<String> {
    labels.iter().zip(values).map(|(label, value)| format!("{}=\"{value}\"", label.as_str())).collect()
}

fn braced(labels: &[String]) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}
