//! `server stack`: only what AWS would bring (DynamoDB, Kafka, the event source, the schedule), for
//! functions that run somewhere else, as under `cargo lambda watch`. It prints the environment that they
//! need. A DynamoDB or a Kafka that the settings name is taken instead of an embedded one.
#![expect(clippy::print_stdout, reason = "whoever starts the functions reads their environment from stdout")]

use std::sync::Arc;
use std::time::Duration;

use shared::config::{StackSettings, StoreKind};
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

pub async fn run(settings: StackSettings) -> Result<(), Fatal> {
    let stop = stopping::on_signal()?;
    let parts = Parts::open(&settings.store_kind, &settings.store, &settings.kafka).await?;
    let endpoint = &settings.lambda_endpoint;
    let function = |name| LambdaInvoke::new(endpoint, name, CALL).map_err(|source| Fatal::Functions { source });

    let background = TaskTracker::new();
    background.spawn(schedule::invoke(Arc::new(function("redrive")?), settings.redrive_interval, stop.clone()));
    let mut environment = vec![("TABLE_NAME", settings.store.table_name.as_str())];
    let endpoint = parts.embedded.store_endpoint();
    match &settings.store_kind {
        StoreKind::Embedded { .. } => environment.extend([
            ("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str()),
            ("AWS_REGION", "local"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]),
        // As whoever started the stack has it.
        StoreKind::DynamoDb => {}
    }
    match &parts.kafka {
        Some(kafka) => {
            let of = if parts.has_embedded_broker() { SourceSettings::embedded } else { SourceSettings::new };
            let source = EventSource::connect(of(kafka.clone()), Arc::new(function("process")?), Arc::new(SystemRandom));
            background.spawn(source.map_err(|source| Fatal::EventSource { source })?.run(stop.clone()));
            environment.extend([("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers.as_str()), ("KAFKA_TOPIC", &kafka.topic)]);
        }
        None => environment.push(("KAFKA_BOOTSTRAP_SERVERS", "none")),
    }
    background.close();
    // As with the embedded store on the server. Each function keeps its own inbox; nobody shows it.
    environment.extend([("EMAIL_PROVIDER", "dev:"), ("SMS_PROVIDER", "dev:"), ("PUSH_PROVIDER", "dev:")]);
    for (name, value) in environment {
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
