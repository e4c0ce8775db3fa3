//! `server stack`: only what AWS would bring (DynamoDB, Kafka, the event source, the schedule), for
//! functions that run somewhere else, as under `cargo lambda watch`. It prints the environment that they
//! need.
#![expect(clippy::print_stdout, reason = "whoever starts the functions reads their environment from stdout")]

use std::sync::Arc;
use std::time::Duration;

use shared::config::{KafkaChoice, StackSettings, StoreKind};
use shared::random::SystemRandom;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::event_source::{EventSource, SourceSettings};
use crate::fatal::Fatal;
use crate::function::LambdaInvoke;
use crate::parts::Parts;
use crate::{schedule, stopping};

/// The functions' own time is a minute; one that was just compiled may take longer to answer at first.
const CALL: Duration = Duration::from_mins(2);
/// How long a call under way may keep the stack from ending.
const DRAIN: Duration = Duration::from_secs(10);
/// Nothing asks the stack to produce; the event source needs a value all the same.
const PRODUCE: Duration = Duration::from_secs(1);

pub async fn run(settings: StackSettings) -> Result<(), Fatal> {
    let stop = stopping::on_signal()?;
    let kind = StoreKind::Embedded { data_dir: settings.data_dir };
    let kafka = KafkaChoice::Embedded { topic: settings.kafka, produce_timeout: PRODUCE };
    let parts = Parts::open(&kind, &settings.store, &kafka).await?;
    let endpoint = &settings.lambda_endpoint;
    let function = |name| LambdaInvoke::new(endpoint, name, CALL).map_err(|source| Fatal::Functions { source });

    let background = TaskTracker::new();
    background.spawn(schedule::invoke(Arc::new(function("redrive")?), settings.redrive_interval, stop.clone()));
    let Some(kafka) = parts.kafka.clone() else { return Err(Fatal::NotEmbedded) };
    let source =
        EventSource::connect(SourceSettings::embedded(kafka.clone()), Arc::new(function("process")?), Arc::new(SystemRandom));
    background.spawn(source.map_err(|source| Fatal::EventSource { source })?.run(stop.clone()));
    background.close();

    for (name, value) in [
        ("AWS_ENDPOINT_URL_DYNAMODB", parts.embedded.store_endpoint().as_str()),
        ("AWS_REGION", "local"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("TABLE_NAME", &settings.store.table_name),
        ("KAFKA_BOOTSTRAP_SERVERS", &kafka.bootstrap_servers),
        ("KAFKA_TOPIC", &kafka.topic),
        // As with the embedded store on the server. Each function keeps its own inbox; nobody shows it.
        ("EMAIL_PROVIDER", "dev:"),
        ("SMS_PROVIDER", "dev:"),
        ("PUSH_PROVIDER", "dev:"),
    ] {
        println!("export {name}={value}");
    }
    println!("stack ready");
    stop.cancelled().await;
    if timeout(DRAIN, background.wait()).await.is_err() {
        tracing::warn!("stopped while a function was being called: its batch comes again");
    }
    parts.embedded.stop().await;
    Ok(())
}
