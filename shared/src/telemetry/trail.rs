//! By which names the lines about a notification are found: `request.id`, `trace.id`, `notification.id`. They
//! are fields of a span, so that no line has to bring them along.
//!
//! A request has a span of its own (`shared::http::front`). What is done in the background (a record of a
//! batch, a due one of redrive) has another, which takes the names of the request that created the
//! notification as soon as its record is seen.
//!
//! The spans are of the level ERROR: whatever RUST_LOG leaves of the lines, they keep their names.

use tracing::Span;
use tracing::field::{Empty, display};

use crate::domain::{Notification, NotificationId};
use crate::traces::Context;

const BACKGROUND: &str = "background";

#[must_use]
pub fn of_request(request_id: &str, context: Option<Context>) -> Span {
    let trace = context.map(Context::trace_id);
    tracing::error_span!("request", request.id = request_id, trace.id = trace, notification.id = Empty)
}

#[must_use]
pub fn of_background(id: NotificationId) -> Span {
    tracing::error_span!(BACKGROUND, notification.id = %id, request.id = Empty, trace.id = Empty)
}

/// The request that goes on is about this one.
pub fn is_about(id: NotificationId) {
    Span::current().record("notification.id", display(id));
}

/// The notification of this background work is known now. Within a request nothing changes: what a client
/// asks for later (a retry) is found by the names of that request.
pub fn goes_back_to(n: &Notification) {
    if let Some(span) = background() {
        if let Some(request_id) = &n.request_id {
            span.record("request.id", request_id);
        }
        if let Some(context) = n.traceparent.as_deref().and_then(Context::parse) {
            span.record("trace.id", context.trace_id());
        }
    }
}

/// For a notification that was created without a trace: this attempt has one all the same. Within a request nothing
/// changes here either.
pub fn begins_trace(context: Context) {
    if let Some(span) = background() {
        span.record("trace.id", context.trace_id());
    }
}

/// The present span, if it is that of work in the background.
fn background() -> Option<Span> {
    let span = Span::current();
    let is_one = span.metadata().is_some_and(|metadata| metadata.name() == BACKGROUND);
    is_one.then_some(span)
}
