//! The one owner of status codes: every way in which a request can fail, as `application/problem+json`
//! (RFC 9457). A handler returns a [`Problem`]; the front writes it out with the request's id and path.
//! Each [`Kind`] has its page, `docs/problems/<slug>.md`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::Fault;
use super::access::Refusal;
use crate::domain::{Channel, Status};
use crate::{service, store};

pub const MEDIA_TYPE: &str = "application/problem+json";

/// What a `type` begins with; it ends in the slug. It names a problem for good and is not for fetching:
/// a host under `.invalid` (RFC 2606) never belongs to anybody.
const TYPE_BASE: &str = "https://notifications.invalid/problems/";

/// When a client should ask again, in seconds. Longer than a throttled table or a restart mostly takes.
const STORE_RETRY_AFTER: &str = "5";
/// Places come free all the time: the shortest that the header can say.
const OVERLOAD_RETRY_AFTER: &str = "1";

/// The kinds of problems: what is the same each time one of them happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    MalformedJson,
    InvalidRequest,
    ChannelOff,
    Unauthorized,
    Forbidden,
    NotFound,
    NotificationNotFound,
    MethodNotAllowed,
    RequestTimeout,
    NotCancellable,
    NotRetryable,
    BodyTooLarge,
    UnsupportedMediaType,
    IdempotencyKeyReused,
    Internal,
    Overloaded,
    StoreUnavailable,
}

impl Kind {
    pub const ALL: [Self; 17] = [
        Self::MalformedJson,
        Self::InvalidRequest,
        Self::ChannelOff,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::NotificationNotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::NotCancellable,
        Self::NotRetryable,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::IdempotencyKeyReused,
        Self::Internal,
        Self::Overloaded,
        Self::StoreUnavailable,
    ];

    /// The member `code`, the end of `type`, and the name of the page.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed-json",
            Self::InvalidRequest => "invalid-request",
            Self::ChannelOff => "channel-off",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::NotificationNotFound => "notification-not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::RequestTimeout => "request-timeout",
            Self::NotCancellable => "not-cancellable",
            Self::NotRetryable => "not-retryable",
            Self::BodyTooLarge => "body-too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::IdempotencyKeyReused => "idempotency-key-reused",
            Self::Internal => "internal",
            Self::Overloaded => "overloaded",
            Self::StoreUnavailable => "store-unavailable",
        }
    }

    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MalformedJson | Self::InvalidRequest | Self::ChannelOff => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NotificationNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::NotCancellable | Self::NotRetryable => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded | Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "The body is not a JSON object",
            Self::InvalidRequest => "The request is not valid",
            Self::ChannelOff => "The channel is off",
            Self::Unauthorized => "Who asks is not known",
            Self::Forbidden => "The caller has no tenant",
            Self::NotFound => "There is nothing here",
            Self::NotificationNotFound => "There is no such notification",
            Self::MethodNotAllowed => "The method is not allowed here",
            Self::RequestTimeout => "The request did not arrive in time",
            Self::NotCancellable => "The notification can't be cancelled",
            Self::NotRetryable => "The notification can't be retried",
            Self::BodyTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The media type is not supported",
            Self::IdempotencyKeyReused => "The idempotency key belongs to another request",
            Self::Internal => "Something failed on our side",
            Self::Overloaded => "Too many requests are under way",
            Self::StoreUnavailable => "The store is not available",
        }
    }

    #[must_use]
    pub fn type_uri(self) -> String {
        format!("{TYPE_BASE}{}", self.slug())
    }
}

/// One problem as it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    MalformedJson,
    /// Every fault of the request at once.
    InvalidRequest {
        faults: Vec<Fault>,
    },
    ChannelOff {
        channel: Channel,
    },
    Unauthorized {
        why: Refusal,
    },
    /// The caller is known, but the claim by which the tenant is told is missing or names none.
    Forbidden {
        claim: String,
    },
    NotFound,
    NotificationNotFound,
    /// `allow`: the value of `Allow`; None where the router itself writes it.
    MethodNotAllowed {
        allow: Option<String>,
    },
    RequestTimeout,
    NotCancellable {
        status: Status,
    },
    NotRetryable {
        status: Status,
    },
    BodyTooLarge,
    UnsupportedMediaType,
    IdempotencyKeyReused,
    Internal,
    /// Nothing was begun.
    Overloaded,
    StoreUnavailable,
}

/// The body of every error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct ProblemView {
    /// Names the kind of problem for good; ends in the slug of its page under `docs/problems/`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    pub detail: String,
    /// The path of the request.
    pub instance: String,
    /// Stable: the one member to decide by.
    pub code: String,
    pub request_id: String,
    /// With `invalid-request`: every fault of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub errors: Option<Vec<Fault>>,
    /// With `not-cancellable` and `not-retryable`: the status that stands against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub notification_status: Option<String>,
}

impl Problem {
    /// A use case failed: the operator gets the reasons in the log, here and nowhere else, and the client
    /// learns only whether it is worth to ask again.
    #[must_use]
    pub fn of_failure(error: &service::Error) -> Self {
        let (problem, transient) = match error {
            service::Error::Store(source) if source.is_transient() => (Self::StoreUnavailable, true),
            // A role is changed without a new release: the same request may work later.
            service::Error::Store(store::Error::Forbidden) => (Self::StoreUnavailable, false),
            service::Error::Store(_) | service::Error::Foreign => (Self::Internal, false),
        };
        let reasons = chain(error);
        if transient {
            tracing::warn!(error = reasons, "the store is not available");
        } else {
            tracing::error!(error = reasons, "a use case failed");
        }
        problem
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::MalformedJson => Kind::MalformedJson,
            Self::InvalidRequest { .. } => Kind::InvalidRequest,
            Self::ChannelOff { .. } => Kind::ChannelOff,
            Self::Unauthorized { .. } => Kind::Unauthorized,
            Self::Forbidden { .. } => Kind::Forbidden,
            Self::NotFound => Kind::NotFound,
            Self::NotificationNotFound => Kind::NotificationNotFound,
            Self::MethodNotAllowed { .. } => Kind::MethodNotAllowed,
            Self::RequestTimeout => Kind::RequestTimeout,
            Self::NotCancellable { .. } => Kind::NotCancellable,
            Self::NotRetryable { .. } => Kind::NotRetryable,
            Self::BodyTooLarge => Kind::BodyTooLarge,
            Self::UnsupportedMediaType => Kind::UnsupportedMediaType,
            Self::IdempotencyKeyReused => Kind::IdempotencyKeyReused,
            Self::Internal => Kind::Internal,
            Self::Overloaded => Kind::Overloaded,
            Self::StoreUnavailable => Kind::StoreUnavailable,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::MalformedJson => "The body must be one JSON object in UTF-8.".to_owned(),
            Self::InvalidRequest { faults } if faults.len() == 1 => "One fault was found; see errors.".to_owned(),
            Self::InvalidRequest { faults } => format!("{} faults were found; see errors.", faults.len()),
            Self::ChannelOff { channel } => format!("No provider is bound to the channel {}.", channel.as_str()),
            Self::Unauthorized { why: Refusal::Missing } => {
                "An API key is needed, as `Authorization: Bearer <key>` or as `X-Api-Key: <key>`.".to_owned()
            }
            Self::Unauthorized { why: Refusal::Contradictory } => "The request bears two API keys that differ.".to_owned(),
            Self::Unauthorized { why: Refusal::Unknown } => "No API key is like the one that the request bears.".to_owned(),
            Self::Forbidden { claim } => {
                format!("The token must name a tenant in its claim {claim}: 1 to 64 of A-Z a-z 0-9 _ -.")
            }
            Self::NotFound => "No resource has this path.".to_owned(),
            Self::NotificationNotFound => "No notification has this id.".to_owned(),
            Self::MethodNotAllowed { .. } => "The header Allow names the methods that this path takes.".to_owned(),
            Self::RequestTimeout => "The whole body must arrive within 10 seconds.".to_owned(),
            Self::NotCancellable { status } => {
                format!("It is {}; only Pending and Retrying can be cancelled.", status.as_str())
            }
            Self::NotRetryable { status } => format!("It is {}; only Failed can be retried.", status.as_str()),
            Self::BodyTooLarge => "The body must be at most 131072 bytes.".to_owned(),
            Self::UnsupportedMediaType => "The body must be sent as application/json.".to_owned(),
            Self::IdempotencyKeyReused => "Another request was accepted under this idempotency key.".to_owned(),
            Self::Internal => "The log holds the reason under this request id.".to_owned(),
            Self::Overloaded => "Nothing was begun; the same request may work in a moment.".to_owned(),
            Self::StoreUnavailable => "The store did not answer in time; the same request may work later.".to_owned(),
        }
    }

    /// The answer in full. The front calls it, for it knows the path and the id.
    pub(super) fn render(self, instance: String, request_id: String) -> Response {
        let kind = self.kind();
        let mut view = ProblemView {
            kind: kind.type_uri(),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: self.detail(),
            instance,
            code: kind.slug().to_owned(),
            request_id,
            errors: None,
            notification_status: None,
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = kind.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        match self {
            Self::InvalidRequest { faults } => view.errors = Some(faults),
            Self::NotCancellable { status } | Self::NotRetryable { status } => {
                view.notification_status = Some(status.as_str().to_owned());
            }
            Self::Unauthorized { why } => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge(why)));
            }
            Self::MethodNotAllowed { allow } => {
                if let Some(Ok(allow)) = allow.map(HeaderValue::try_from) {
                    headers.insert(ALLOW, allow);
                }
            }
            Self::StoreUnavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(STORE_RETRY_AFTER));
            }
            Self::Overloaded => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(OVERLOAD_RETRY_AFTER));
            }
            Self::MalformedJson
            | Self::ChannelOff { .. }
            | Self::Forbidden { .. }
            | Self::NotFound
            | Self::NotificationNotFound
            | Self::RequestTimeout
            | Self::BodyTooLarge
            | Self::UnsupportedMediaType
            | Self::IdempotencyKeyReused
            | Self::Internal => {}
        }
        // Strings and a number always serialise; were they not to, the status still tells.
        *response.body_mut() = serde_json::to_vec(&view).map_or_else(|_never| Body::empty(), Body::from);
        response
    }
}

/// Only the status, and the problem itself for the front to render.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.kind().status();
        response.extensions_mut().insert(self);
        response
    }
}

/// RFC 6750, section 3: an error is told only to who bore something.
const fn challenge(why: Refusal) -> &'static str {
    match why {
        Refusal::Missing => r#"Bearer realm="notifications""#,
        Refusal::Contradictory | Refusal::Unknown => r#"Bearer realm="notifications", error="invalid_token""#,
    }
}

/// An error and its sources, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        out.push_str(": ");
        out.push_str(&inner.to_string());
        source = inner.source();
    }
    out
}

#[cfg(test)]
mod tests;
