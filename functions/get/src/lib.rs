//! `get`: the reads and the OpenAPI document. Behind an API gateway it also receives every path and
//! method that nobody owns; `shared::http::front::complete` answers those.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use shared::access::Caller;
use shared::http::explanation::ExplanationView;
use shared::http::list::Listing;
use shared::http::response::PageView;
use shared::http::work::Work;
use shared::http::{Problem, openapi, path, response, routes};
use shared::service;
use shared::service::get::Get;
use shared::store::Page;

/// How long a read may take. The store has time-outs of its own; this is the promise to the client.
const READ: Duration = Duration::from_secs(10);

/// The document does not change while the process runs: it is made when it is first asked for.
static OPENAPI: LazyLock<String> = LazyLock::new(openapi::json);

#[derive(Clone, Debug)]
pub struct AppState {
    pub get: Arc<Get>,
    pub work: Work,
}

impl AppState {
    /// On a Lambda, which sees to it that its calls are not too many.
    #[must_use]
    pub fn new(get: Get) -> Self {
        Self { get: Arc::new(get), work: Work::unlimited() }
    }
}

/// The routes without their front: `shared::http::front::complete` goes around the merged router.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route(routes::NOTIFICATIONS, get(list))
        .route(routes::NOTIFICATION, get(one))
        .route(routes::WHY, get(why))
        .route(routes::OPENAPI, get(document))
        .with_state(state)
}

async fn one(
    State(AppState { get, work }): State<AppState>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = path::notification_id(id.ok().map(|Path(id)| id), query.as_deref())?;
    let found = within(&work, get.one(&caller.tenant, id)).await?;
    response::notification(StatusCode::OK, &found.ok_or(Problem::NotificationNotFound)?)
}

async fn why(
    State(AppState { get, work }): State<AppState>,
    Extension(Caller { tenant, .. }): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = path::notification_id(id.ok().map(|Path(id)| id), query.as_deref())?;
    let found = within(&work, get.why(&tenant, id)).await?.ok_or(Problem::NotificationNotFound)?;
    response::json(StatusCode::OK, &ExplanationView::of(id, &found))
}

async fn list(
    State(AppState { get, work }): State<AppState>,
    Extension(Caller { tenant, .. }): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let page = match Listing::parse(query.as_deref())? {
        Listing::ByKey(key) => {
            let found = within(&work, get.by_key(&tenant, &key)).await?;
            Page { notifications: found.into_iter().collect(), next: None }
        }
        Listing::OfUser { user_id, limit, after } => within(&work, get.list(&tenant, &user_id, limit, after)).await?,
    };
    response::json(StatusCode::OK, &PageView::from(&page))
}

async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI.as_str())
}

/// A read may be dropped at any time: nothing is lost with it, and its place is free.
async fn within<T>(work: &Work, read: impl Future<Output = Result<T, service::Error>>) -> Result<T, Problem> {
    let _place = work.place()?;
    match tokio::time::timeout(READ, read).await {
        Ok(answer) => answer.map_err(|error| Problem::of_failure(&error)),
        Err(_late) => {
            tracing::warn!("a read took too long");
            Err(Problem::StoreUnavailable)
        }
    }
}

#[cfg(test)]
mod tests;
