use std::sync::atomic::{AtomicI64, Ordering};

use super::span::Value;
use super::*;
use crate::domain::Timestamp;
use crate::random::SystemRandom;

const ALL: Sampler = Sampler { follows_parent: true, share: 1.0 };

#[derive(Debug)]
struct StepClock(AtomicI64);

impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn traces(sampler: Sampler) -> (Traces, Arc<Recorder>, Arc<StepClock>) {
    let clock = Arc::new(StepClock(AtomicI64::new(1_000)));
    let (traces, recorder) = Traces::new(sampler, clock.clone(), Arc::new(SystemRandom));
    (traces, recorder, clock)
}

fn parent(flags: &str) -> Option<Context> {
    Context::parse(&format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"))
}

#[test]
fn where_traces_are_off_a_span_is_nothing() {
    let mut span = Traces::default().request("POST", "/x", parent("01"));
    span.answered(500, None);
    assert_eq!(span.context(), None);
}

#[test]
fn a_span_is_recorded_when_it_ends_however_it_ends() {
    let (traces, recorder, clock) = traces(ALL);
    let mut span = traces.request("POST", "/api/notifications", parent("01"));
    span.answered(503, None);
    assert!(recorder.take(9).0.is_empty());
    clock.0.store(1_250, Ordering::SeqCst);
    let context = span.context().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _span = span;
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());

    let (records, lost) = recorder.take(9);
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.name.as_str(), record.kind, record.failed, lost), ("POST /api/notifications", Kind::Server, true, 0));
    assert_eq!((record.begun, record.ended), (1_000_000_000, 1_250_000_000));
    assert!(record.context == context && record.parent == parent("01") && context.is_same_trace(parent("01").unwrap()));
    assert_ne!(context.to_string(), parent("01").unwrap().to_string());
    assert!(record.attributes.contains(&("http.response.status_code", Value::Number(503))), "{record:?}");
}

#[test]
fn a_clock_that_is_set_back_makes_no_span_of_negative_length() {
    let (traces, recorder, clock) = traces(ALL);
    let span = traces.request("POST", "/x", None);
    clock.0.store(1, Ordering::SeqCst);
    drop(span);
    let (records, _) = recorder.take(9);
    assert_eq!((records[0].begun, records[0].ended), (1_000_000_000, 1_000_000_000));
}

#[test]
fn a_trace_that_is_not_sampled_goes_on_and_is_not_recorded() {
    let (traces, recorder, _) = traces(ALL);
    let span = traces.request("POST", "/x", parent("00"));
    let context = span.context().unwrap();
    assert!(context.is_same_trace(parent("00").unwrap()) && !context.is_sampled());
    drop(span);
    assert!(recorder.take(9).0.is_empty());
}

#[test]
fn so_many_wait_and_those_that_come_beyond_are_counted() {
    let (traces, recorder, _) = traces(ALL);
    for _ in 0..3_000 {
        drop(traces.request("POST", "/x", None));
    }
    let (records, lost) = recorder.take(usize::MAX);
    assert_eq!((records.len(), lost), (2_048, 952));
    drop(traces.request("POST", "/x", None));
    let (records, lost) = recorder.take(usize::MAX);
    assert_eq!((records.len(), lost), (1, 0));
}
