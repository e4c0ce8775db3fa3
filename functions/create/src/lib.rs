//! `create`: takes notifications in, cancels and retries them, and speaks for the health of the instance
//! that holds the Kafka producer. On Lambda `main.rs` wires it; the server merges its router with `get`'s.
//!
//! Each use case runs in a task of its own that nothing drops; the handler only waits for it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, LOCATION};
use shared::access::Caller;
use shared::channels::registry::Providers;
use shared::clock::Clock;
use shared::domain::{Notification, NotificationId};
use shared::http::request::Received;
use shared::http::work::Work;
use shared::http::{Channels, Problem, RequestId, body, path, request, response, routes};
use shared::service::create::{Cancellation, Create, Creation, Retrial};
use shared::service::{Budget, Policy};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a request may take besides `SEND_TIMEOUT`. Half a second less than is promised, for the way back.
const BESIDE_SEND: Duration = Duration::from_millis(10_500);

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(Clone, Debug)]
pub struct AppState {
    pub create: Arc<Create>,
    pub channels: Arc<dyn Channels>,
    pub clock: Arc<dyn Clock>,
    pub policy: Policy,
    /// Holds every use case under way: whoever stops the process waits for its end.
    pub work: Work,
    /// Cancelled when the process is told to stop: no attempt is begun any more.
    pub stop: CancellationToken,
}

impl AppState {
    /// On a Lambda, where each call is waited for and nothing stops the process in the middle of one.
    #[must_use]
    pub fn new(create: Create) -> Self {
        Self {
            channels: Arc::<Providers>::clone(&create.worker.providers),
            clock: Arc::clone(&create.worker.clock),
            policy: create.worker.policy,
            create: Arc::new(create),
            work: Work::unlimited(),
            stop: CancellationToken::new(),
        }
    }

    fn budget(&self) -> Budget {
        Budget { deadline: Instant::now() + self.policy.send_timeout + BESIDE_SEND, stop: self.stop.clone() }
    }
}

/// The routes without their front: `shared::http::front::complete` goes around the merged router.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route(routes::NOTIFICATIONS, post(create))
        .route(routes::CANCEL, post(cancel))
        .route(routes::RETRY, post(retry))
        .route(routes::HEALTH, get(health))
        .route(routes::READY, get(ready))
        .with_state(state)
}

async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = body::read_json(&head.headers, body).await?;
    let place = state.work.place()?;
    let received =
        Received { caller: &caller, request_id: &request_id, query: head.uri.query(), headers: &head.headers, body: &body };
    let new = request::parse(&received, state.clock.now(), &*state.channels)?;
    let budget = state.budget();
    let create = state.create;
    let creation = place.outlive(async move { create.create(new, &budget).await }).await?;
    match creation.map_err(|error| Problem::of_failure(&error))? {
        Creation::Accepted(n) => created(StatusCode::ACCEPTED, &n),
        Creation::Attempted(n) => created(StatusCode::CREATED, &n),
        Creation::Replayed(n) => {
            let mut replayed = created(StatusCode::OK, &n)?;
            replayed.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(replayed)
        }
        Creation::KeyReused => Err(Problem::IdempotencyKeyReused),
    }
}

fn created(status: StatusCode, n: &Notification) -> Result<Response, Problem> {
    let mut response = response::notification(status, n)?;
    if let Ok(location) = HeaderValue::try_from(response::location(n.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

type Id = Result<Path<String>, PathRejection>;

async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    id: Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = one(id, query.as_deref())?;
    let deadline = state.budget().deadline;
    let (create, place) = (state.create, state.work.place()?);
    let work = place.outlive(async move { create.cancel(&caller.tenant, id).await });
    // No attempt is begun here, so the answer may come before the work is done; the work goes on.
    let cancellation = tokio::time::timeout_at(deadline, work).await.map_err(|_late| {
        tracing::warn!("a cancel took too long");
        Problem::StoreUnavailable
    })??;
    match cancellation.map_err(|error| Problem::of_failure(&error))? {
        Cancellation::Cancelled(n) => response::notification(StatusCode::OK, &n),
        Cancellation::NotCancellable(status) => Err(Problem::NotCancellable { status }),
        Cancellation::NotFound => Err(Problem::NotificationNotFound),
    }
}

async fn retry(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    id: Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = one(id, query.as_deref())?;
    let budget = state.budget();
    let (create, place) = (state.create, state.work.place()?);
    let retrial = place.outlive(async move { create.retry(&caller.tenant, id, &budget).await }).await?;
    match retrial.map_err(|error| Problem::of_failure(&error))? {
        Retrial::Accepted(n) => response::notification(StatusCode::ACCEPTED, &n),
        Retrial::Attempted(n) => response::notification(StatusCode::OK, &n),
        Retrial::NotRetryable(status) => Err(Problem::NotRetryable { status }),
        Retrial::NotFound => Err(Problem::NotificationNotFound),
    }
}

fn one(id: Id, query: Option<&str>) -> Result<NotificationId, Problem> {
    path::notification_id(id.ok().map(|Path(id)| id), query)
}

async fn health() -> Result<Response, Problem> {
    response::healthy()
}

async fn ready(State(state): State<AppState>) -> Result<Response, Problem> {
    response::readiness(&state.create.readiness(&state.budget()).await)
}

#[cfg(test)]
mod tests;
