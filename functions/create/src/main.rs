//! Wires `create` to Lambda: settings, logs and clients once, then one call for each request.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use create::AppState;
use lambda_http::{Request, run_concurrent, service_fn};
use shared::config::table::Command;
use shared::config::{CreateSettings, SystemEnvironment, secrets};
use shared::http::front;
use shared::http::gateway::Gateway;
use shared::metrics::Metrics;
use shared::service::create::Create;
use shared::store::dynamodb::DynamoDb;
use shared::traces::otlp::Pace;
use shared::{telemetry, wiring};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let environment = secrets::fetch(Command::Create, SystemEnvironment).await;
    let settings = match CreateSettings::read(&environment) {
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
    let state = AppState::new(Create { worker: Arc::clone(&worker), outbox: Arc::new(outbox) });
    let access = Arc::new(Gateway { tenant_claim: settings.tenant_claim });
    let app = front::complete_traced(create::router(state), Arc::clone(&worker.random), access, traces);
    let handler = move |request: Request| {
        let (app, worker, exporter) = (app.clone(), Arc::clone(&worker), exporter.clone());
        async move {
            let answer = front::call(app, request).await;
            worker.write_metrics();
            exporter.flush().await;
            answer
        }
    };
    run_concurrent(service_fn(handler)).await.map_err(anyhow::Error::from_boxed).context("the runtime ended")?;
    Ok(ExitCode::SUCCESS)
}
