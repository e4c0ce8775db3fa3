//! `GET /dev/inbox`: what the provider `dev:` would have sent. Mounted only where a channel is bound to
//! it, and on this server only: a function's memory is nobody's inbox.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use serde::Serialize;
use shared::access::Caller;
use shared::channels::Inbox;
use shared::channels::inbox::{Filter, Received};
use shared::domain::{Channel, Invalid, UserId};
use shared::http::query::Query;
use shared::http::{Fault, Problem, response};

/// The route without its front, which also writes its problems out.
pub fn router(inbox: Arc<Inbox>) -> Router {
    Router::new().route("/dev/inbox", get(show)).with_state(inbox)
}

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<&'a Received>,
}

async fn show(
    State(inbox): State<Arc<Inbox>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let newest = inbox.newest_first(&filter(caller, query.as_deref())?);
    response::json(StatusCode::OK, &Page { data: newest.iter().map(AsRef::as_ref).collect() })
}

fn filter(caller: Caller, query: Option<&str>) -> Result<Filter, Problem> {
    let mut query = Query::parse(query, &["userId", "channel"]);
    let mut faults = std::mem::take(&mut query.faults);
    let user_id = take(&mut faults, "userId", query.get("userId").map(UserId::parse));
    let channel = take(&mut faults, "channel", query.get("channel").map(Channel::parse));
    if faults.is_empty() {
        Ok(Filter { tenant: caller.tenant, user_id, channel })
    } else {
        Err(Problem::InvalidRequest { faults })
    }
}

fn take<T>(faults: &mut Vec<Fault>, name: &str, parsed: Option<Result<T, Invalid>>) -> Option<T> {
    parsed?.map_err(|invalid| faults.push(Fault::parameter(name, invalid.to_string()))).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::Value;
    use shared::channels::dev::Dev;
    use shared::channels::{Message, Provider};
    use shared::clock::SystemClock;
    use shared::domain::{NotificationId, Template, Tenant, Timestamp};
    use shared::http::access::Anybody;
    use shared::http::front;
    use shared::random::SystemRandom;
    use tower::ServiceExt;

    use super::*;

    async fn ask(router: &Router, uri: &str) -> (StatusCode, Value) {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn with_two_messages() -> Router {
        let inbox = Arc::new(Inbox::new(Arc::new(SystemClock)));
        let dev = Dev::new(Arc::clone(&inbox));
        for (user, channel) in [("u 1", Channel::Email), ("u-2", Channel::Sms)] {
            let message = Message {
                id: NotificationId::parse("0190a0b0-0000-7000-8000-000000000001").unwrap(),
                tenant: Tenant::default(),
                user_id: UserId::parse(user).unwrap(),
                channel,
                template: Template::parse("welcome").unwrap(),
                data: None,
                to: None,
                attempt: 1,
                at: Timestamp::from_millis(0),
                traceparent: None,
            };
            dev.send(&message).await;
        }
        front::complete(router(inbox), Arc::new(SystemRandom), Arc::new(Anybody))
    }

    #[tokio::test]
    async fn the_inbox_shows_the_newest_first_and_filters() {
        let router = with_two_messages().await;
        let users = |body: &Value| -> Vec<String> {
            let data = body["data"].as_array().unwrap();
            data.iter().map(|received| received["userId"].as_str().unwrap().to_owned()).collect()
        };
        for (uri, expected) in [
            ("/dev/inbox", vec!["u-2", "u 1"]),
            ("/dev/inbox?userId=u%201", vec!["u 1"]),
            ("/dev/inbox?channel=SMS", vec!["u-2"]),
            ("/dev/inbox?userId=u-2&channel=email", vec![]),
        ] {
            let (status, body) = ask(&router, uri).await;
            assert_eq!((status, users(&body)), (StatusCode::OK, expected.into_iter().map(str::to_owned).collect()), "{uri}");
        }
    }

    #[tokio::test]
    async fn a_query_that_can_not_be_meant_is_refused() {
        let router = with_two_messages().await;
        for uri in ["/dev/inbox?channel=fax", "/dev/inbox?userid=u", "/dev/inbox?userId=", "/dev/inbox?channel=sms&channel=sms"] {
            let (status, body) = ask(&router, uri).await;
            assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &Value::from("invalid-request")), "{uri}");
            assert_eq!((&body["instance"], body["requestId"].is_string()), (&Value::from("/dev/inbox"), true), "{uri}");
            assert_eq!(body["errors"].as_array().map(Vec::len), Some(1), "{uri}");
        }
    }
}
