//! What surrounds every handler: the request id, one log line for each request, problems written out,
//! panics turned into a 500, the question who asks, an answer for whatever nobody owns, and a word to caches. [`complete`] puts it around a router,
//! once, after the routers that run in this process were merged.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::Instant;
use tower::ServiceExt;
use tracing::{Instrument, Span};

use super::access::{Access, admit};
use super::request::trace;
use super::response::About;
use super::{Problem, routes};
use crate::random::Random;
use crate::telemetry::trail;
use crate::traces::{self, Traces};

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The name of a request in answers, logs and stored items: the caller's own, if it is one header of 1 to
/// 128 of `A-Z a-z 0-9 . _ -`, else a fresh UUID. Handlers find it among the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    pub(super) fn of(headers: &HeaderMap, random: &(dyn Random + 'static)) -> Self {
        let mut sent = headers.get_all(HEADER).iter();
        let first = sent.next().and_then(|value| value.to_str().ok()).filter(|text| is_request_id(text));
        match (first, sent.next()) {
            (Some(text), None) => Self(text.to_owned()),
            (_, Some(_)) | (None, None) => Self(random.uuid().to_string()),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Gives a router its front. To be called once, on the merged router: it sets the fallbacks, and two
/// routers that have some can't be merged any more.
pub fn complete(router: Router, random: Arc<dyn Random>, access: Arc<dyn Access>) -> Router {
    complete_traced(router, random, access, Traces::default())
}

/// As [`complete`], with a span for each request that may change something.
pub fn complete_traced(router: Router, random: Arc<dyn Random>, access: Arc<dyn Access>, traces: Traces) -> Router {
    let owned = router.method_not_allowed_fallback(unowned).fallback(unowned);
    let named = middleware::from_fn_with_state((random, traces), around);
    owned.layer(middleware::from_fn_with_state(access, admit)).layer(named)
}

/// One call of the whole: for Lambda, whose runtime wants an answer with its body in hand.
pub async fn call<B>(app: Router, request: http::Request<B>) -> Result<http::Response<String>, axum::BoxError>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let Ok(response) = app.oneshot(request.map(Body::new)).await;
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await?;
    // Every body of ours is JSON.
    Ok(http::Response::from_parts(head, String::from_utf8(body.into())?))
}

/// What nobody owns: 405 with `Allow` where the path exists, else 404. Behind a gateway this function may
/// own less than the table has, so it is the table that is asked and not the router.
async fn unowned(request: Request) -> Problem {
    let allowed = routes::allowed(request.uri().path());
    if allowed.is_empty() {
        // A route beside the table, such as the server's own: the router knows what it takes.
        let known = request.extensions().get::<MatchedPath>().is_some();
        return if known { Problem::MethodNotAllowed { allow: None } } else { Problem::NotFound };
    }
    if allowed.contains(&request.method().as_str()) {
        // Another function's: whoever routes sent it to the wrong one.
        return Problem::NotFound;
    }
    Problem::MethodNotAllowed { allow: Some(allowed.join(", ")) }
}

async fn around(State((random, traces)): State<(Arc<dyn Random>, Traces)>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers(), &*random);
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let instance = request.uri().path().to_owned();
    let method = known_method(request.method());
    let parent = trace::parent(request.headers());
    let mut traced = match routes::changing(method, &route) {
        Some(route) => traces.request(route.method, route.template, parent),
        None => traces::Span::default(),
    };
    if let Some(context) = traced.context() {
        trace::set_parent(request.headers_mut(), context);
    }
    let span = trail::of_request(id.as_str(), traced.context().or(parent));
    let mut line = Line { method, route, span: span.clone(), begun: Instant::now(), status: None };
    request.extensions_mut().insert(id.clone());

    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = handled.unwrap_or_else(|_panic| {
        span.in_scope(|| tracing::error!("a handler panicked"));
        Problem::Internal.into_response()
    });
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.render(instance, id.as_str().to_owned());
    }
    // What one caller may see is not for a cache on its way, whoever put it there.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Both kinds of ids are made of characters that a header takes.
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    let status = response.status().as_u16();
    line.status = Some(status);
    traced.answered(status, response.extensions().get::<About>().map(|about| (about.id, about.created)));
    response
}

/// The log line of one request, written when it is dropped: so it is there too when the client hung up
/// and nobody waits for the answer any more. It never has the path, which may hold a client's data.
struct Line {
    method: &'static str,
    route: String,
    span: Span,
    begun: Instant,
    status: Option<u16>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (method, route) = (self.method, self.route.as_str());
        self.span.in_scope(|| match self.status {
            Some(status) => {
                tracing::info!(http.method = method, http.route = route, http.status = status, duration_ms, "answered");
            }
            None => tracing::info!(http.method = method, http.route = route, duration_ms, "the client hung up"),
        });
    }
}

/// A method that is not the standard's is a client's own word, and stays out of the log.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests;
