//! Holds the answers of a [`Load`](crate::outage::load::Load) against what the contract promises: good or 503 with
//! `Retry-After`, in time; and in the end everything `Sent`, and delivered once but for an attempt *unknown*.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::outage::load::{Answer, Asked, body};
use crate::receiver::Receiver;
use crate::server_process::ServerProcess;

#[derive(Debug)]
pub struct Ledger {
    answers: Vec<Answer>,
    /// By key; with those that were turned away and repeated.
    ids: BTreeMap<String, String>,
}

/// What came of it, for the record.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub requests: usize,
    pub created: usize,
    /// Of the creates, those answered with 201: their first attempt was made before the answer.
    pub at_once: usize,
    /// Of all requests, those answered with 503.
    pub turned_away: usize,
    /// Of all requests, those that got no answer: their server was killed.
    pub unanswered: usize,
    pub slowest: Duration,
    /// Requests that the receiver got.
    pub deliveries: usize,
    /// Of those that it did not send away itself, the ones that were not the first for their notification.
    pub duplicates: usize,
    /// Attempts whose end nobody knew.
    pub unknown: usize,
    /// From the last answer until the last one was `Sent`.
    pub until_sent: Duration,
}

impl Ledger {
    #[must_use]
    pub const fn of(answers: Vec<Answer>) -> Self {
        Self { answers, ids: BTreeMap::new() }
    }

    /// Every request was answered, in time, and with nothing but what is promised.
    pub fn assert_answers_are_good(&self, promised: Duration) {
        for answer in &self.answers {
            let good = match (&answer.asked, answer.status) {
                (_, Some(503)) => answer.retry_after,
                (Asked::Create(_), Some(status)) => matches!(status, 200..=202),
                (Asked::Other("cancel" | "retry"), Some(status)) => status == 404,
                (Asked::Other(_), Some(status)) => status == 200 || status == 404,
                (_, None) => false,
            };
            assert!(good && answer.took <= promised, "not as promised: {answer:?}");
        }
    }

    /// Repeats what was turned away or not answered, as a client would: under its key, until it is accepted.
    pub async fn settle(&mut self, server: &ServerProcess, patience: Duration) {
        let until = Instant::now() + patience;
        for answer in &self.answers {
            let Asked::Create(key) = &answer.asked else { continue };
            let id = match &answer.id {
                Some(id) => id.clone(),
                None => accepted(server, &body(key), until).await,
            };
            self.ids.insert(key.clone(), id);
        }
    }

    /// Each is `Sent` in the end, whatever server is asked; and was delivered once, or oftener only where an
    /// attempt before had no known end. The receiver got those and no others.
    pub async fn wait_until_all_are_sent(&self, server: &ServerProcess, receiver: &Receiver, patience: Duration) -> Figures {
        let begun = Instant::now();
        let sent: BTreeMap<&str, Value> = stream::iter(self.ids.values())
            .map(|id| async move { (id.as_str(), sent(server, id, begun + patience).await) })
            .buffer_unordered(8)
            .collect()
            .await;
        let until_sent = begun.elapsed();
        let deliveries = deliveries(receiver);
        let (mut duplicates, mut unknown) = (0, 0);
        for (id, n) in &sent {
            let count = |name, value| attempts(n).filter(|attempt| attempt[name] == value).count();
            let (of_unknown, busy) = (count("outcome", "unknown"), count("code", "provider-unavailable"));
            // One that the receiver itself sent away is none of these.
            let taken = deliveries.get(*id).copied().unwrap_or_default().saturating_sub(busy);
            assert_eq!(count("outcome", "accepted"), 1, "{n}");
            assert!((1..=1 + of_unknown).contains(&taken), "delivered {taken} times: {n}");
            duplicates += taken - 1;
            unknown += of_unknown;
        }
        let known: BTreeSet<&str> = sent.keys().copied().collect();
        let strange: Vec<&String> = deliveries.keys().filter(|id| !known.contains(id.as_str())).collect();
        assert!(strange.is_empty(), "delivered, and asked for by nobody: {strange:?}");
        let count = |wanted: &dyn Fn(&Answer) -> bool| self.answers.iter().filter(|answer| wanted(answer)).count();
        Figures {
            requests: self.answers.len(),
            created: self.ids.len(),
            at_once: count(&|answer| answer.created_with(201)),
            turned_away: count(&|answer| answer.status == Some(503)),
            unanswered: count(&|answer| answer.status.is_none()),
            slowest: self.answers.iter().map(|answer| answer.took).max().unwrap_or_default(),
            deliveries: deliveries.values().sum(),
            duplicates,
            unknown,
            until_sent,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, created, at_once, turned_away, unanswered, slowest, deliveries, duplicates, unknown, until_sent } =
            self;
        write!(
            f,
            "{requests} requests, {turned_away} of them 503, {unanswered} unanswered, the slowest {slowest:.1?}; \
             {created} created, {at_once} of them processed at once; {deliveries} deliveries, {duplicates} of them \
             duplicates, {unknown} attempts unknown; all Sent after {until_sent:.1?}"
        )
    }
}

pub fn attempts(n: &Value) -> impl Iterator<Item = &Value> {
    n["attempts"].as_array().into_iter().flatten()
}

/// The outcome of each attempt.
#[must_use]
pub fn outcomes(n: &Value) -> Vec<&str> {
    attempts(n).filter_map(|attempt| attempt["outcome"].as_str()).collect()
}

/// How many requests the receiver got for each notification.
#[must_use]
pub fn deliveries(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for request in receiver.requests() {
        *times.entry(request.header("webhook-id").expect("the id").to_owned()).or_default() += 1;
    }
    times
}

/// Creates, under the key in the body, as often as it takes; the id.
pub async fn accepted(server: &ServerProcess, body: &Value, until: Instant) -> String {
    loop {
        let answer = server.post("/api/notifications", body).await;
        let status = answer.status();
        let answer: Value = answer.json().await.expect("JSON");
        if status.is_success() {
            return answer["id"].as_str().expect("an id").to_owned();
        }
        assert_eq!(status, 503, "{answer}");
        assert!(Instant::now() < until, "{body} is still turned away: {answer}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until it is `Sent`, and for no other end; the notification.
pub async fn sent(server: &ServerProcess, id: &str, until: Instant) -> Value {
    loop {
        let n = server.notification(id).await;
        match n["status"].as_str() {
            Some("Sent") => return n,
            Some("Pending" | "Processing" | "Retrying") => {}
            // A busy store can still be too slow for a read.
            None if n["code"] == "store-unavailable" => {}
            other => panic!("it ended as {other:?}: {n}"),
        }
        assert!(Instant::now() < until, "not sent in time: {n}");
        sleep(Duration::from_millis(20)).await;
    }
}
