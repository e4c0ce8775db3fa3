//! Every metric, once: its name, kind, unit, labels and meaning. `/metrics` and CloudWatch take theirs from
//! here, and `docs/metrics.md` shows what [`markdown`] writes.

use super::Metrics;
use super::family::Family;
use crate::channels::registry;
use crate::domain::{Channel, ErrorCode, Outcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How often something happened.
    Counter,
    /// How something is at present. It may be unknown.
    Gauge,
    /// How long something took, each time.
    Histogram,
}

impl Kind {
    /// As Prometheus spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Seconds,
}

impl Unit {
    /// As CloudWatch spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
        }
    }
}

/// What tells a metric's series apart. Each has a closed list of values, so that nobody's input can make series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Channel,
    Provider,
    /// Of an attempt.
    Outcome,
    /// Of what redrive took up.
    Redriven,
    Code,
}

/// Where no provider had a part in it.
pub(super) const NO_PROVIDER: &str = "none";
/// Stands for whatever is not on a label's list.
pub(super) const OTHER: &str = "other";

pub(super) const PUBLISHED: &str = "published";
pub(super) const PROCESSED: &str = "processed";
pub(super) const PASSED: &str = "passed";
pub(super) const PUT_OFF: &str = "put-off";
pub(super) const WAITING: &str = "waiting";

impl Label {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Provider => "provider",
            Self::Outcome | Self::Redriven => "outcome",
            Self::Code => "code",
        }
    }

    /// All that it can be.
    #[must_use]
    pub fn values(self) -> Vec<&'static str> {
        let mut values: Vec<&'static str> = match self {
            Self::Channel => Channel::ALL.map(Channel::as_str).to_vec(),
            Self::Provider => registry::NAMES.iter().copied().chain([NO_PROVIDER]).collect(),
            Self::Outcome => Outcome::ALL.map(Outcome::as_str).to_vec(),
            Self::Redriven => vec![PUBLISHED, PROCESSED, PASSED, PUT_OFF, WAITING],
            Self::Code => ErrorCode::ALL.map(ErrorCode::as_str).to_vec(),
        };
        values.push(OTHER);
        values
    }
}

/// Who shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Everywhere,
    /// On `/metrics` only: of a function between two calls it says nothing.
    OnServer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// On CloudWatch; Prometheus has it in [`Self::prometheus_name`].
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub labels: &'static [Label],
    pub shown: Shown,
    pub meaning: &'static str,
}

impl Definition {
    #[must_use]
    pub fn prometheus_name(&self) -> String {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("notifications_{}{suffix}", self.name)
    }

    /// The one label by which CloudWatch tells series apart: each series there has its price. More is told by
    /// Prometheus, the log and the notification's own record.
    #[must_use]
    pub fn dimension(&self) -> Option<Label> {
        self.labels.first().copied()
    }
}

macro_rules! metrics {
    ($($name:ident: $kind:ident, $unit:ident, [$($label:ident),*], $shown:ident, $meaning:literal;)*) => {
        #[derive(Debug)]
        pub(super) struct Families {
            $(#[doc = $meaning] pub(super) $name: Family,)*
        }

        impl Families {
            pub(super) fn new(single_times: bool) -> Self {
                Self {
                    $($name: Family::new(
                        Definition {
                            name: stringify!($name),
                            kind: Kind::$kind,
                            unit: Unit::$unit,
                            labels: &[$(Label::$label),*],
                            shown: Shown::$shown,
                            meaning: $meaning,
                        },
                        single_times,
                    ),)*
                }
            }

            /// In the order of the manual.
            pub(super) fn all(&self) -> Vec<&Family> {
                vec![$(&self.$name),*]
            }
        }
    };
}

metrics! {
    accepted: Counter, Count, [Channel], Everywhere, "New notifications that were stored.";
    replayed: Counter, Count, [Channel], Everywhere, "Creates that found themselves already made: same key, same request.";
    reused: Counter, Count, [Channel], Everywhere, "Creates that were refused: same key, other request.";
    sent: Counter, Count, [Channel, Provider], Everywhere, "Notifications that became `Sent`.";
    failed: Counter, Count, [Channel, Provider, Code], Everywhere, "Notifications that became `Failed`, by their `errorCode`.";
    expired: Counter, Count, [Channel], Everywhere, "Notifications that became `Expired`.";
    cancelled: Counter, Count, [Channel], Everywhere, "Notifications that became `Cancelled`.";
    reopened: Counter, Count, [Channel], Everywhere, "Failed notifications that a client gave a new budget of attempts.";
    retried: Counter, Count, [Channel, Provider, Code], Everywhere, "Attempts after which another one was planned, by what was wrong with them.";
    unknown: Counter, Count, [Channel, Provider, Code], Everywhere, "Attempts of which nobody knows whether the provider has the message.";
    poisoned: Counter, Count, [], Everywhere, "Events that can't be read, and were passed over.";
    redriven: Counter, Count, [Redriven], Everywhere, "What was due and redrive took up, by what it did: published its event again, processed it, passed it over (held or already taken), put it off undone, or left it waiting for its provider.";
    create_seconds: Histogram, Seconds, [Channel], Everywhere, "How long a create took, an attempt of its own included.";
    queue_seconds: Histogram, Seconds, [Channel], Everywhere, "How long a notification waited from when it was due until an attempt was begun.";
    provider_seconds: Histogram, Seconds, [Channel, Provider, Outcome], Everywhere, "How long the provider took for an attempt.";
    left_alone: Gauge, Count, [Channel, Provider], Everywhere, "1 while the channel's provider is left alone because it fails again and again, else 0.";
    oldest_due_seconds: Gauge, Seconds, [], Everywhere, "By how much the oldest was overdue when redrive last looked; 0 where nothing was. Absent where it could not look.";
    redrive_left: Gauge, Count, [], Everywhere, "What redrive's last run left due or put off undone.";
    attempts_in_flight: Gauge, Count, [Channel, Provider], OnServer, "Attempts that have their place at the provider.";
    requests_in_flight: Gauge, Count, [], OnServer, "Requests that are being worked on.";
}

/// The table of `docs/metrics.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| at `/metrics` | kind | labels | on CloudWatch | unit | dimension | meaning |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for definition in Metrics::default().definitions() {
        let Definition { name, kind, unit, labels, shown, meaning } = definition;
        let labels: Vec<&str> = labels.iter().map(|label| label.as_str()).collect();
        let on_cloudwatch = match shown {
            Shown::Everywhere => {
                let dimension = definition.dimension().map_or("", Label::as_str);
                format!("`{name}` | {} | {dimension}", unit.as_str())
            }
            Shown::OnServer => "not shown | |".to_owned(),
        };
        let (at, kind, labels) = (definition.prometheus_name(), kind.as_str(), labels.join(", "));
        text.push_str(&format!("| `{at}` | {kind} | {labels} | {on_cloudwatch} | {meaning} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual;

    #[test]
    fn the_page_on_metrics_has_the_table_that_the_code_has() {
        manual::assert_current("metrics.md", &markdown(), "the_table_of_metrics_is_written_anew");
    }

    #[test]
    #[ignore = "writes docs/metrics.md: run it by hand after a change of the table"]
    fn the_table_of_metrics_is_written_anew() {
        manual::write("metrics.md", &markdown());
    }

    #[test]
    fn no_entry_breaks_the_table_or_stands_twice() {
        let metrics = Metrics::default();
        let names: Vec<&str> = metrics.definitions().map(|one| one.name).collect();
        for (n, name) in names.iter().enumerate() {
            assert_eq!(markdown().lines().nth(n + 2).unwrap().matches('|').count(), 8, "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        }
    }
}
