//! What a client sees: the notification in full and as a line of a list, a page of them, health. Absent
//! means absent, not null; times are RFC 3339 UTC with milliseconds; `data` comes back digit for digit.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::openapi::schema;
use super::{Problem, cursor, routes};
use crate::channels::lane::Condition;
use crate::domain::{Attempt, Notification, NotificationId, Status, Timestamp};
use crate::events::Mode;
use crate::service::create::{LaneReadiness, Readiness};
use crate::store::Page;
use crate::traces::Context;

/// A notification as a list shows it: all but `data` and `attempts`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedNotification)]
pub struct ListedView {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(min_length = 1, max_length = 100)]
    pub user_id: String,
    #[schema(schema_with = schema::channel_shown)]
    pub channel: &'static str,
    #[schema(min_length = 1, max_length = 100)]
    pub template: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::address_shown)]
    pub to: Option<BTreeMap<&'static str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::metadata_shown)]
    pub metadata: Option<BTreeMap<String, String>>,
    #[schema(schema_with = schema::status)]
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1, max_length = 255)]
    pub idempotency_key: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub scheduled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub expires_at: Option<String>,
    /// When the provider took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub sent_at: Option<String>,
    /// When its status became final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub finished_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::error_code)]
    pub error_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error_message: Option<String>,
    /// Attempts made but the first.
    #[schema(minimum = 0)]
    pub retry_count: u32,
    /// When the next attempt may begin; only while one is to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider: Option<String>,
    /// The provider's own name for the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider_message_id: Option<String>,
}

/// A notification in full.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Notification)]
pub struct NotificationView {
    #[serde(flatten)]
    pub listed: ListedView,
    /// As it was sent, digit for digit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::data_shown)]
    pub data: Option<Box<RawValue>>,
    /// The last 20.
    #[schema(max_items = 20)]
    pub attempts: Vec<AttemptView>,
}

/// One attempt to send.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// Counted from 1 over the whole life.
    #[schema(minimum = 1)]
    pub number: u32,
    #[schema(format = "date-time")]
    pub started_at: String,
    #[schema(format = "date-time")]
    pub finished_at: String,
    #[schema(schema_with = schema::channel_shown)]
    pub channel: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider: Option<String>,
    #[schema(schema_with = schema::outcome)]
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::error_code)]
    pub code: Option<&'static str>,
    /// Never an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 256)]
    pub detail: Option<String>,
}

/// One page of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NotificationPage)]
pub struct PageView {
    #[schema(max_items = 100)]
    pub data: Vec<ListedView>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::cursor)]
    pub next_cursor: Option<String>,
}

/// That the process runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    #[schema(schema_with = schema::ok)]
    pub status: &'static str,
}

/// Whether it can do its work, and how it does it at present.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub struct ReadinessView {
    #[schema(schema_with = schema::readiness)]
    pub status: &'static str,
    /// Whether a new notification goes through Kafka or is processed at once.
    #[schema(schema_with = schema::mode)]
    pub mode: &'static str,
    /// Why the mode is `sync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    pub checks: ChecksView,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checks)]
pub struct ChecksView {
    pub store: CheckView,
    /// Kafka away is not "not ready".
    pub kafka: CheckView,
    /// By channel, for each that is on, as the answering process finds it. None of it is "not ready": what can't
    /// be sent now is accepted and waits.
    pub providers: BTreeMap<String, ProviderCheckView>,
}

/// How attempts go on a channel at present.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProviderCheck)]
pub struct ProviderCheckView {
    pub provider: String,
    /// `full`: as many attempts are under way as may be. `left-alone`: it failed again and again, and no attempt
    /// is made for a while. What is due waits then, and counts no attempt.
    #[schema(schema_with = schema::provider_check)]
    pub status: &'static str,
    /// When it is tried again, at the earliest; while it is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub until: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub struct CheckView {
    #[schema(schema_with = schema::check)]
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

impl From<&Notification> for ListedView {
    fn from(n: &Notification) -> Self {
        let to_come = match n.status {
            Status::Pending | Status::Retrying => Some(n.not_before.to_string()),
            Status::Processing | Status::Sent | Status::Failed | Status::Cancelled | Status::Expired => None,
        };
        Self {
            id: n.id.to_string(),
            user_id: n.user_id.as_str().to_owned(),
            channel: n.channel.as_str(),
            template: n.template.as_str().to_owned(),
            to: n.to.as_ref().map(|to| to.entries().map(|(name, value)| (name, value.to_owned())).collect()),
            metadata: n.metadata.as_ref().map(|metadata| metadata.entries().clone()),
            status: n.status.as_str(),
            idempotency_key: n.idempotency_key.as_ref().map(|key| key.as_str().to_owned()),
            created_at: n.created_at.to_string(),
            updated_at: n.updated_at.to_string(),
            scheduled_at: n.scheduled_at.map(|at| at.to_string()),
            expires_at: n.expires_at.map(|at| at.to_string()),
            sent_at: n.sent_at.map(|at| at.to_string()),
            finished_at: n.finished_at.map(|at| at.to_string()),
            error_code: n.error_code.map(crate::domain::ErrorCode::as_str),
            error_message: n.error_message.clone(),
            retry_count: n.attempt.saturating_sub(1),
            next_attempt_at: to_come,
            provider: n.provider.clone(),
            provider_message_id: n.provider_message_id.clone(),
        }
    }
}

impl TryFrom<&Notification> for NotificationView {
    type Error = serde_json::Error;

    fn try_from(n: &Notification) -> Result<Self, Self::Error> {
        Ok(Self {
            listed: ListedView::from(n),
            data: n.data.as_ref().map(crate::domain::JsonObject::to_raw).transpose()?,
            attempts: n.attempts.iter().map(AttemptView::from).collect(),
        })
    }
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at.to_string(),
            finished_at: attempt.finished_at.to_string(),
            channel: attempt.channel.as_str(),
            provider: attempt.provider.clone(),
            outcome: attempt.outcome.as_str(),
            code: attempt.code.map(crate::domain::ErrorCode::as_str),
            detail: attempt.detail.as_ref().map(|detail| detail.as_str().to_owned()),
        }
    }
}

impl From<&Page> for PageView {
    fn from(page: &Page) -> Self {
        Self {
            data: page.notifications.iter().map(ListedView::from).collect(),
            next_cursor: page.next.as_ref().map(cursor::encode),
        }
    }
}

impl From<&Readiness> for ReadinessView {
    fn from(readiness: &Readiness) -> Self {
        let up = || CheckView { status: "up", reason: None };
        let down = |reason: &str| CheckView { status: "down", reason: Some(reason.to_owned()) };
        let (mode, reason, kafka) = match (&readiness.mode, &readiness.unread) {
            (Mode::Async, None) => ("async", None, up()),
            (Mode::Async, Some(unread)) => ("async", None, down(unread)),
            (Mode::Sync { reason }, _) => ("sync", Some(reason.clone()), down(reason)),
        };
        let (status, store) = match &readiness.store {
            Ok(()) => ("ready", up()),
            Err(reason) => ("not-ready", down(reason)),
        };
        let of_lane = |lane: &LaneReadiness| (lane.channel.as_str().to_owned(), ProviderCheckView::of(lane, readiness.now));
        let providers = readiness.lanes.iter().map(of_lane).collect();
        Self { status, mode, reason, checks: ChecksView { store, kafka, providers } }
    }
}

impl ProviderCheckView {
    fn of(lane: &LaneReadiness, now: Timestamp) -> Self {
        let (status, until) = match lane.condition {
            Condition::Clear => ("up", None),
            Condition::Full => ("full", None),
            Condition::LeftAlone { yet } => ("left-alone", Some(now.plus(yet).to_string())),
        };
        Self { provider: lane.provider.to_owned(), status, until }
    }
}

/// An answer with a JSON body.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(body).map_err(|error| {
        tracing::error!(error = %error, "an answer can't be written");
        Problem::Internal
    })?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An answer with the notification in full.
pub fn notification(status: StatusCode, n: &Notification) -> Result<Response, Problem> {
    let view = NotificationView::try_from(n).map_err(|error| {
        tracing::error!(error = %error, notification.id = %n.id, "a notification can't be shown");
        Problem::Internal
    })?;
    let mut response = json(status, &view)?;
    response.extensions_mut().insert(About { id: n.id, created: n.traceparent.as_deref().and_then(Context::parse) });
    Ok(response)
}

/// Left with an answer, for the span of its request.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub id: NotificationId,
    /// Of the request that created it.
    pub created: Option<Context>,
}

pub fn healthy() -> Result<Response, Problem> {
    json(StatusCode::OK, &HealthView { status: "ok" })
}

/// 200 when ready, else 503, with the same body.
pub fn readiness(readiness: &Readiness) -> Result<Response, Problem> {
    let status = if readiness.store.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &ReadinessView::from(readiness))
}

/// The value of `Location`.
#[must_use]
pub fn location(id: NotificationId) -> String {
    routes::NOTIFICATION.replace("{id}", &id.to_string())
}

/// What a view holds is a client's own: a debug print shows its id only.
macro_rules! redacted {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}
redacted!(ListedView, NotificationView, AttemptView, PageView);

#[cfg(test)]
mod tests;
