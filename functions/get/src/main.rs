//! Wires `get` to Lambda: settings, logs and clients once, then one call for each request.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use get::AppState;
use lambda_http::{Request, run_concurrent, service_fn};
use shared::clock::SystemClock;
use shared::config::{GetSettings, SystemEnvironment};
use shared::http::front;
use shared::http::gateway::Gateway;
use shared::random::SystemRandom;
use shared::service::get::Get;
use shared::store::dynamodb::DynamoDb;
use shared::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let settings = match GetSettings::read(&SystemEnvironment) {
        Ok(settings) => settings,
        Err(faults) => return Ok(faults.report()),
    };
    telemetry::init(&settings.log)?;
    let store = Arc::new(DynamoDb::connect(&settings.store.table_name, settings.store.timeout).await?);
    let access = Gateway { tenant_claim: settings.tenant_claim };
    let reads = AppState::new(Get { store, clock: Arc::new(SystemClock) });
    let app = front::complete(get::router(reads), Arc::new(SystemRandom), Arc::new(access));
    run_concurrent(service_fn(move |request: Request| front::call(app.clone(), request)))
        .await
        .map_err(anyhow::Error::from_boxed)
        .context("the runtime ended")?;
    Ok(ExitCode::SUCCESS)
}
