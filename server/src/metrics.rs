//! `GET /metrics` for Prometheus, on a port of its own (`METRICS_LISTEN_ADDR`), so that it can be kept from those
//! who may call the API. Nobody is asked who they are: what is shown are counts, times, and names from the code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use shared::config::LoadSettings;
use shared::http::work::Work;
use shared::metrics::prometheus;
use shared::service::deliver::Worker;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::fatal::Fatal;
use crate::http;

/// A few scrapers, and somebody who looks.
const LOAD: LoadSettings = LoadSettings { max_requests: 16, max_connections: 16, idle_timeout: Duration::from_mins(2) };

/// None: it is not asked for.
pub async fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Fatal> {
    let Some(address) = address else { return Ok(None) };
    let unbound = |source| Fatal::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(unbound)?;
    let local = listener.local_addr().map_err(unbound)?;
    tracing::info!(url = format!("http://{local}/metrics"), "metrics are served");
    Ok(Some(listener))
}

/// Until `stop`.
pub async fn serve(listener: TcpListener, worker: Arc<Worker>, work: Work, stop: CancellationToken) {
    let scraped = get(move || async move { scrape(&worker, &work) });
    http::serve(listener, Router::new().route("/metrics", scraped), LOAD, stop).await;
}

fn scrape(worker: &Worker, work: &Work) -> impl IntoResponse + use<> {
    worker.metrics.observe(&worker.providers);
    worker.metrics.requests_in_flight(work.under_way());
    ([(CONTENT_TYPE, prometheus::MEDIA_TYPE)], prometheus::text(&worker.metrics))
}
