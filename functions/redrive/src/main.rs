//! Wires `redrive` to Lambda: settings, logs and clients once, then one run for each tick.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use lambda_runtime::{Error, LambdaEvent, run_concurrent, service_fn};
use serde_json::value::RawValue;
use shared::config::table::Command;
use shared::config::{RedriveSettings, SystemEnvironment, secrets};
use shared::domain::Timestamp;
use shared::metrics::Metrics;
use shared::service::Budget;
use shared::service::redrive::Redrive;
use shared::store::dynamodb::DynamoDb;
use shared::traces::otlp::Pace;
use shared::{telemetry, wiring};
use tokio::time::Instant;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let environment = secrets::fetch(Command::Redrive, SystemEnvironment).await;
    let settings = match RedriveSettings::read(&environment) {
        Ok(settings) => settings,
        Err(faults) => return Ok(faults.report()),
    };
    telemetry::init(&settings.log)?;
    let (traces, exporter) = wiring::traces(settings.traces, Pace::EachCall)?;
    let worker = async {
        let store = DynamoDb::connect(&settings.store.table_name, settings.store.timeout).await?;
        anyhow::Ok(wiring::worker(
            Arc::new(store),
            settings.providers,
            settings.policy,
            Metrics::new(settings.metrics_namespace),
            traces.clone(),
        )?)
    };
    // Kafka first: its client waits for the broker by itself, and all else is made meanwhile.
    let (outbox, worker) = tokio::join!(wiring::outbox(settings.kafka.as_ref(), &traces), worker);
    let ((outbox, _publisher), (worker, _inbox)) = (outbox?, worker?);
    let redrive = Arc::new(Redrive { worker, outbox: Arc::new(outbox) });
    let handler = move |event: LambdaEvent<Box<RawValue>>| {
        let (redrive, exporter) = (Arc::clone(&redrive), exporter.clone());
        async move {
            let (deadline, now) = (Timestamp::from_millis(i64::try_from(event.context.deadline)?), redrive.worker.clock.now());
            let budget = Budget::of_lambda(deadline, now);
            // Who gives no deadline calls again soon: nothing is waited for.
            let idle_until = if deadline > now { budget.deadline } else { Instant::now() };
            let answer = redrive::handle(&redrive, &budget, idle_until).await;
            redrive.worker.write_metrics();
            exporter.flush().await;
            Ok::<_, Error>(answer)
        }
    };
    run_concurrent(service_fn(handler)).await.map_err(anyhow::Error::from_boxed).context("the runtime ended")?;
    Ok(ExitCode::SUCCESS)
}
