//! A running event source whose calls are handed to the test, which lets each succeed or fail.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use server::event_source::{EventSource, SourceSettings};
use server::function::{Function, InvokeError};
use shared::random::SystemRandom;
use tests::kafka::Kafka;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// For what is expected to happen.
const SOON: Duration = Duration::from_secs(30);

/// One call, unanswered as yet.
pub(crate) struct Call {
    pub(crate) payload: Vec<u8>,
    answer: oneshot::Sender<Result<Vec<u8>, InvokeError>>,
}

impl Call {
    /// Partition, offset and value of each record.
    pub(crate) fn records(&self) -> Vec<(i64, i64, String)> {
        let event: Value = serde_json::from_slice(&self.payload).unwrap();
        let of = |record: &Value| {
            let value = STANDARD.decode(record["value"].as_str().unwrap()).unwrap();
            (record["partition"].as_i64().unwrap(), record["offset"].as_i64().unwrap(), String::from_utf8(value).unwrap())
        };
        event["records"].as_object().unwrap().values().flat_map(|list| list.as_array().unwrap()).map(of).collect()
    }

    pub(crate) fn values(&self) -> Vec<String> {
        self.records().into_iter().map(|(_, _, value)| value).collect()
    }

    pub(crate) fn succeed(self) {
        assert!(self.answer.send(Ok(Vec::new())).is_ok(), "nobody waits for the answer");
    }

    pub(crate) fn fail(self) {
        let failed = Err(InvokeError::Failed { what: "as the test wants it".to_owned() });
        assert!(self.answer.send(failed).is_ok(), "nobody waits for the answer");
    }
}

#[derive(Debug)]
struct Handed(mpsc::UnboundedSender<Call>);

#[async_trait]
impl Function for Handed {
    async fn invoke(&self, payload: Vec<u8>) -> Result<Vec<u8>, InvokeError> {
        let (answer, answered) = oneshot::channel();
        assert!(self.0.send(Call { payload, answer }).is_ok(), "the test is over");
        answered.await.unwrap_or(Err(InvokeError::Panicked))
    }
}

/// A running event source, a member of the topic's group.
pub(crate) struct Member {
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    pub(crate) stop: CancellationToken,
    pub(crate) run: JoinHandle<()>,
}

impl Member {
    pub(crate) fn start(settings: SourceSettings) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let source = EventSource::connect(settings, Arc::new(Handed(sender)), Arc::new(SystemRandom)).unwrap();
        let stop = CancellationToken::new();
        let run = tokio::spawn(source.run(stop.clone()));
        Self { calls, stop, run }
    }

    pub(crate) async fn call(&mut self) -> Call {
        timeout(SOON, self.calls.recv()).await.expect("a call within time").expect("a running event source")
    }

    /// Fails if a call was made that the test did not take.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        timeout(SOON, self.run).await.expect("it stops within time").unwrap();
        assert!(self.calls.recv().await.is_none(), "a call was left over");
    }

    /// As [`Self::stop`], where more calls may come, all of which succeed.
    pub(crate) async fn stop_whatever_comes(mut self) {
        self.stop.cancel();
        let answering = async {
            while let Some(call) = self.calls.recv().await {
                call.succeed();
            }
        };
        timeout(SOON, answering).await.expect("it stops within time");
        self.run.await.unwrap();
    }

    /// As a crash does, but the broker hears of it at once.
    pub(crate) async fn kill(self) {
        self.run.abort();
        assert!(self.run.await.unwrap_err().is_cancelled());
    }
}

/// Quick, so that tests are.
pub(crate) fn settings(kafka: &Kafka) -> SourceSettings {
    let mut settings = SourceSettings::embedded(kafka.settings.clone());
    settings.batch.window = Duration::from_millis(300);
    settings.retry.base = Duration::from_millis(10);
    if kafka.embedded.is_some() {
        // It lets a rebalance wait for a session less a second.
        set(&mut settings, "session.timeout.ms", "1500");
        set(&mut settings, "heartbeat.interval.ms", "200");
    }
    settings
}

/// As [`settings`], for a batch of up to so many records, however slowly they come in.
pub(crate) fn for_records(kafka: &Kafka, count: usize) -> SourceSettings {
    let mut settings = settings(kafka);
    settings.batch.max_records = count;
    settings.batch.window = Duration::from_secs(5);
    settings
}

pub(crate) fn set(settings: &mut SourceSettings, name: &str, value: &str) {
    settings.properties.push((name.to_owned(), value.to_owned()));
}
