//! Wires `process` to Lambda: settings, logs and clients once, then one call for each batch.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use lambda_runtime::{Error, LambdaEvent, run_concurrent, service_fn};
use serde_json::value::RawValue;
use shared::config::table::Command;
use shared::config::{ProcessSettings, SystemEnvironment, secrets};
use shared::domain::Timestamp;
use shared::metrics::Metrics;
use shared::service::Budget;
use shared::service::process::Process;
use shared::store::dynamodb::DynamoDb;
use shared::traces::otlp::Pace;
use shared::{telemetry, wiring};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let environment = secrets::fetch(Command::Process, SystemEnvironment).await;
    let settings = match ProcessSettings::read(&environment) {
        Ok(settings) => settings,
        Err(faults) => return Ok(faults.report()),
    };
    telemetry::init(&settings.log)?;
    let (traces, exporter) = wiring::traces(settings.traces, Pace::EachCall)?;
    let store = Arc::new(DynamoDb::connect(&settings.store.table_name, settings.store.timeout).await?);
    let metrics = Metrics::new(settings.metrics_namespace);
    let (worker, _inbox) = wiring::worker(store, settings.providers, settings.policy, metrics, traces)?;
    let process = Arc::new(Process { worker });
    let handler = move |event: LambdaEvent<Box<RawValue>>| {
        let (process, exporter) = (Arc::clone(&process), exporter.clone());
        async move {
            let deadline = Timestamp::from_millis(i64::try_from(event.context.deadline)?);
            let budget = Budget::of_lambda(deadline, process.worker.clock.now());
            let answer = process::handle(&process, event.payload.get().as_bytes(), &budget).await;
            process.worker.write_metrics();
            exporter.flush().await;
            Ok::<_, Error>(answer?)
        }
    };
    run_concurrent(service_fn(handler)).await.map_err(anyhow::Error::from_boxed).context("the runtime ended")?;
    Ok(ExitCode::SUCCESS)
}
