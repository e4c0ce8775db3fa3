//! When a batch is closed, and what it looks like: Lambda's rule without any of the reading. A batch is
//! closed by its number of records, by the time since its first, or by the bytes of the payload, which
//! are counted as they are written. Partitions are mixed; within each, records keep their order.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::ownership::{Ownership, Term};
use super::record::Record;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    pub max_records: usize,
    /// From the first record on.
    pub window: Duration,
    /// Of the payload as it is sent. A record that is larger by itself still goes, alone.
    pub max_bytes: usize,
}

impl Default for BatchSettings {
    /// Lambda's own: 100 records, 500 ms, 6 MB.
    fn default() -> Self {
        Self { max_records: 100, window: Duration::from_millis(500), max_bytes: 6 * 1024 * 1024 }
    }
}

/// The payload around the records.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    head: String,
    topic: String,
}

const TAIL: &str = "}}";

impl Frame {
    pub(super) fn new(bootstrap_servers: &str, topic: &str) -> Self {
        let servers = Value::from(bootstrap_servers);
        Self {
            head: format!(r#"{{"eventSource":"SelfManagedKafka","bootstrapServers":{servers},"records":{{"#),
            topic: topic.to_owned(),
        }
    }

    fn partition(&self, partition: i32) -> String {
        Value::from(format!("{}-{partition}", self.topic)).to_string()
    }

    fn bytes(&self) -> usize {
        self.head.len() + TAIL.len()
    }

    /// `"topic-0":[],`
    fn partition_bytes(&self, partition: i32) -> usize {
        self.partition(partition).len() + ":[],".len()
    }
}

/// The records of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    partitions: BTreeMap<i32, Vec<Record>>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.partitions.values().map(Vec::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Drops what has gone to another member, who reads it again from the last commit.
    pub(super) fn keep_owned(&mut self, ownership: &Ownership) {
        for records in self.partitions.values_mut() {
            records.retain(|record| ownership.holds(record.partition, record.term));
        }
        self.partitions.retain(|_, records| !records.is_empty());
    }

    /// For each partition, the term of its records and the offset after the last.
    pub(super) fn ends(&self) -> impl Iterator<Item = (i32, Term, i64)> {
        let last = self.partitions.values().filter_map(|records| records.last());
        last.map(|record| (record.partition, record.term, record.offset.saturating_add(1)))
    }

    pub(super) fn payload(&self, frame: &Frame) -> Vec<u8> {
        let records: usize = self.partitions.values().flatten().map(|record| record.json.len() + 1).sum();
        let partitions: usize = self.partitions.keys().map(|partition| frame.partition_bytes(*partition)).sum();
        let mut text = String::with_capacity(frame.bytes() + partitions + records);
        text.push_str(&frame.head);
        for (n, (partition, records)) in self.partitions.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            text.push_str(&frame.partition(*partition));
            text.push_str(":[");
            for (n, record) in records.iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                text.push_str(&record.json);
            }
            text.push(']');
        }
        text.push_str(TAIL);
        text.into_bytes()
    }
}

/// Collects the next batch.
#[derive(Debug)]
pub(super) struct Batcher {
    settings: BatchSettings,
    frame: Frame,
    open: Batch,
    records: usize,
    bytes: usize,
    deadline: Option<Instant>,
}

impl Batcher {
    pub(super) fn new(settings: BatchSettings, frame: Frame) -> Self {
        Self { settings, frame, open: Batch::default(), records: 0, bytes: 0, deadline: None }
    }

    pub(super) const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// When the open batch is to be closed at the latest.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes the record in, and gives back the batch that is closed by it: with it, or before it where
    /// it would have made the payload too large.
    pub(super) fn offer(&mut self, record: Record, now: Instant) -> Option<Batch> {
        let closed = if self.bytes_with(&record) > self.settings.max_bytes { self.close() } else { None };
        self.bytes = self.bytes_with(&record);
        self.records += 1;
        self.deadline.get_or_insert(now + self.settings.window);
        self.open.partitions.entry(record.partition).or_default().push(record);
        if closed.is_none() && self.records >= self.settings.max_records {
            return self.close();
        }
        closed
    }

    /// The open batch, unless it is empty.
    pub(super) fn close(&mut self) -> Option<Batch> {
        (self.records, self.bytes, self.deadline) = (0, 0, None);
        Some(std::mem::take(&mut self.open)).filter(|batch| !batch.is_empty())
    }

    /// Counts a comma too many for the last of each list, never one too few.
    fn bytes_with(&self, record: &Record) -> usize {
        let so_far = if self.records == 0 { self.frame.bytes() } else { self.bytes };
        let first = !self.open.partitions.contains_key(&record.partition);
        let partition = if first { self.frame.partition_bytes(record.partition) } else { 0 };
        so_far + partition + record.json.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(max_records: usize, max_bytes: usize) -> BatchSettings {
        BatchSettings { max_records, window: Duration::from_millis(500), max_bytes }
    }

    fn batcher(settings: BatchSettings) -> Batcher {
        Batcher::new(settings, Frame::new("a:9092,b:9092", "topic"))
    }

    fn record(partition: i32, offset: i64) -> Record {
        Record { partition, offset, term: Term::default(), json: format!(r#"{{"offset":{offset}}}"#) }
    }

    fn payload(batch: &Batch) -> Value {
        serde_json::from_slice(&batch.payload(&Frame::new("a:9092,b:9092", "topic"))).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_closed_by_its_last_record() {
        let mut batcher = batcher(settings(3, 10_000));
        assert!(batcher.offer(record(0, 0), Instant::now()).is_none());
        assert!(batcher.offer(record(1, 0), Instant::now()).is_none());
        let batch = batcher.offer(record(0, 1), Instant::now()).unwrap();
        assert_eq!(
            payload(&batch),
            json!({
                "eventSource": "SelfManagedKafka", "bootstrapServers": "a:9092,b:9092",
                "records": {"topic-0": [{"offset": 0}, {"offset": 1}], "topic-1": [{"offset": 0}]},
            })
        );
        assert_eq!(batcher.deadline(), None);
        assert!(batcher.close().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_begins_with_the_first_record() {
        let mut batcher = batcher(settings(3, 10_000));
        assert_eq!(batcher.deadline(), None);
        let first = Instant::now();
        batcher.offer(record(0, 0), first);
        batcher.offer(record(0, 1), first + Duration::from_millis(400));
        assert_eq!(batcher.deadline(), Some(first + Duration::from_millis(500)));
        assert_eq!(batcher.close().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_payload_is_as_large_as_it_may_be_and_never_larger() {
        for max_bytes in 150..400 {
            let mut batcher = batcher(settings(1000, max_bytes));
            let (mut offset, mut closed) = (0, None);
            while closed.is_none() {
                closed = batcher.offer(record(i32::try_from(offset % 3).unwrap(), offset), Instant::now());
                offset += 1;
            }
            let bytes = closed.unwrap().payload(batcher.frame()).len();
            assert!(bytes <= max_bytes, "{bytes} > {max_bytes}");
            assert!(bytes + 40 > max_bytes, "there was room: {bytes} of {max_bytes}");
            assert_eq!(batcher.close().unwrap().len(), 1, "the record that did not fit opens the next batch");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_is_too_large_goes_alone() {
        let mut batcher = batcher(settings(1000, 200));
        let large = |offset| Record { json: format!(r#""{}""#, "x".repeat(300)), ..record(0, offset) };
        assert!(batcher.offer(record(0, 0), Instant::now()).is_none());
        assert_eq!(batcher.offer(large(1), Instant::now()).unwrap().ends().next().unwrap().2, 1);
        assert_eq!(batcher.offer(record(0, 2), Instant::now()).unwrap().ends().next().unwrap().2, 2);
        assert_eq!(batcher.close().unwrap().ends().next().unwrap().2, 3);
    }

    #[test]
    fn records_of_a_lost_partition_leave_the_batch() {
        let mut ownership = Ownership::default();
        ownership.assign([0, 1]);
        let read = |partition, offset| Record { term: ownership.term(partition).unwrap(), ..record(partition, offset) };
        let mut batcher = batcher(settings(4, 10_000));
        let mut batch =
            [read(0, 5), read(1, 6), read(0, 7), read(1, 8)].into_iter().find_map(|r| batcher.offer(r, Instant::now())).unwrap();
        assert_eq!(batch.ends().map(|(partition, _, next)| (partition, next)).collect::<Vec<_>>(), [(0, 8), (1, 9)]);
        ownership.revoke([0]);
        batch.keep_owned(&ownership);
        assert_eq!(batch.ends().map(|(partition, _, next)| (partition, next)).collect::<Vec<_>>(), [(1, 9)]);
        ownership.revoke([1]);
        batch.keep_owned(&ownership);
        assert!(batch.is_empty());
    }
}
