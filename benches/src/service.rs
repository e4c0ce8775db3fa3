//! The real `create`, wired as the server and the function wire it, and nothing beside it: no event source, no
//! redrive. A child of the benchmark, with a function's settings.
#![expect(clippy::print_stdout, reason = "one line on stdout says where it serves, as the server's does")]

use std::sync::Arc;

use axum::Router;
use axum::serve::ListenerExt;
use create::AppState;
use shared::config::{CreateSettings, SystemEnvironment};
use shared::http::access::Anybody;
use shared::http::front;
use shared::metrics::Metrics;
use shared::service::create::Create;
use shared::store::dynamodb::DynamoDb;
use shared::traces::Traces;
use shared::{telemetry, wiring};
use tokio::net::TcpListener;

pub const COMMAND: &str = "service";

pub async fn run() -> anyhow::Result<()> {
    let settings = CreateSettings::read(&SystemEnvironment).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    telemetry::init(&settings.log)?;
    let store = Arc::new(DynamoDb::connect(&settings.store.table_name, settings.store.timeout).await?);
    let (outbox, _publisher) = wiring::outbox(settings.kafka.as_ref(), &Traces::default()).await?;
    let (worker, _inbox) = wiring::worker(store, settings.providers, settings.policy, Metrics::default(), Traces::default())?;
    let (random, state) = (Arc::clone(&worker.random), AppState::new(Create { worker, outbox: Arc::new(outbox) }));
    serve(front::complete(create::router(state), random, Arc::new(Anybody))).await
}

/// On any free port, until the process is killed.
pub(crate) async fn serve(app: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap_or_default());
    Ok(axum::serve(listener, app).await?)
}
