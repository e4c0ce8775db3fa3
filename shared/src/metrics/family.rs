//! One metric and its series. What it can hold is allocated at once, from the lists of its labels: recording
//! takes no lock and no memory, and no input can make it grow. Only where the times are wanted one by one, for
//! CloudWatch, they are kept until they are written.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::table::{Definition, Kind, Label};

/// The upper ends of a histogram's buckets, as they are written, and in microseconds.
pub(super) const BUCKETS: [(&str, u64); 14] = [
    ("0.005", 5_000),
    ("0.01", 10_000),
    ("0.025", 25_000),
    ("0.05", 50_000),
    ("0.1", 100_000),
    ("0.25", 250_000),
    ("0.5", 500_000),
    ("1", 1_000_000),
    ("2.5", 2_500_000),
    ("5", 5_000_000),
    ("10", 10_000_000),
    ("60", 60_000_000),
    ("600", 600_000_000),
    ("3600", 3_600_000_000),
];

/// A gauge that nobody has set.
const UNSET: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Family {
    pub(super) definition: Definition,
    /// What each label can be, in the definition's order.
    labels: Vec<Vec<&'static str>>,
    /// One for each combination of their values, the last label's changing fastest.
    cells: Vec<Cell>,
    /// Since they were last taken, by the value of the first label. None: nobody takes them.
    single_times: Option<Mutex<Vec<(&'static str, Duration)>>>,
}

#[derive(Debug)]
pub(super) struct Cell {
    /// A histogram's: the sum of its times, in microseconds.
    value: AtomicU64,
    /// A histogram's, and one more for what is longer than all of them.
    buckets: Vec<AtomicU64>,
}

impl Family {
    pub(super) fn new(definition: Definition, single_times: bool) -> Self {
        let labels: Vec<Vec<&'static str>> = definition.labels.iter().copied().map(Label::values).collect();
        let (first, buckets) = match definition.kind {
            Kind::Counter => (0, 0),
            Kind::Gauge => (UNSET, 0),
            Kind::Histogram => (0, BUCKETS.len() + 1),
        };
        let cell = || Cell { value: AtomicU64::new(first), buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect() };
        let cells = (0..labels.iter().map(Vec::len).product()).map(|_| cell()).collect();
        let keeps = single_times && definition.kind == Kind::Histogram;
        Self { definition, labels, cells, single_times: keeps.then(Mutex::default) }
    }

    pub(super) fn add(&self, labels: &[&str], count: u64) {
        if let Some(cell) = self.cell(labels) {
            cell.value.fetch_add(count, Relaxed);
        }
    }

    /// None: it is not known.
    pub(super) fn set(&self, labels: &[&str], value: Option<u64>) {
        if let Some(cell) = self.cell(labels) {
            cell.value.store(value.unwrap_or(UNSET), Relaxed);
        }
    }

    pub(super) fn took(&self, labels: &[&str], time: Duration) {
        let Some(cell) = self.cell(labels) else { return };
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(_, most)| micros <= *most).unwrap_or(BUCKETS.len());
        if let Some(bucket) = cell.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        cell.value.fetch_add(micros, Relaxed);
        if let (Some(times), [first, ..], [values, ..]) = (&self.single_times, labels, self.labels.as_slice())
            && let Some(first) = listed(values, first).and_then(|n| values.get(n)).copied()
        {
            times.lock().unwrap_or_else(PoisonError::into_inner).push((first, time));
        }
    }

    /// Each with the value of its first label. They are not given twice.
    pub(super) fn take_times(&self) -> Vec<(&'static str, Duration)> {
        let times = self.single_times.as_ref();
        times.map(|times| std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner))).unwrap_or_default()
    }

    /// Each with its place.
    pub(super) fn cells(&self) -> impl Iterator<Item = (usize, &Cell)> {
        self.cells.iter().enumerate()
    }

    /// What the labels are at a place.
    pub(super) fn values(&self, mut place: usize) -> Vec<&'static str> {
        let mut values: Vec<&'static str> = Vec::with_capacity(self.labels.len());
        for list in self.labels.iter().rev() {
            values.extend(list.get(place % list.len()));
            place /= list.len();
        }
        values.reverse();
        values
    }

    pub(super) fn first_value(&self, place: usize) -> Option<&'static str> {
        let each: usize = self.labels.iter().skip(1).map(Vec::len).product();
        self.labels.first()?.get(place / each).copied()
    }

    fn cell(&self, labels: &[&str]) -> Option<&Cell> {
        debug_assert_eq!(labels.len(), self.labels.len(), "the labels of {}", self.definition.name);
        let place =
            self.labels.iter().zip(labels).try_fold(0, |place, (list, value)| Some(place * list.len() + listed(list, value)?));
        self.cells.get(place?)
    }
}

/// Where the value stands; what is not on the list counts as its last, `other`.
fn listed(list: &[&str], value: &str) -> Option<usize> {
    list.iter().position(|known| *known == value).or_else(|| list.len().checked_sub(1))
}

impl Cell {
    /// None: a gauge that nobody has set.
    pub(super) fn value(&self) -> Option<u64> {
        Some(self.value.load(Relaxed)).filter(|value| *value != UNSET)
    }

    /// Nothing was counted or timed, or it is set to 0.
    pub(super) fn is_zero(&self) -> bool {
        self.value.load(Relaxed) == 0 && self.buckets.iter().all(|bucket| bucket.load(Relaxed) == 0)
    }

    /// What a counter has counted since it was last taken.
    pub(super) fn take(&self) -> u64 {
        // Most of them were not: to look costs less than to write.
        if self.is_zero() { 0 } else { self.value.swap(0, Relaxed) }
    }

    /// How many were in each bucket, not added up.
    pub(super) fn buckets(&self) -> Vec<u64> {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect()
    }
}
