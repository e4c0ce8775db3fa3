//! The body of a create, from the front that every request goes through to the answer: it is taken or
//! refused for a reason; what was taken says what was sent, and says it again when it is written anew.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::routing::post;
use axum::{Extension, Router};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use shared::access::Caller;
use shared::domain::idempotency::{Fields, Fingerprint};
use shared::domain::{Channel, IdempotencyKey, NewNotification, Recipient, Timestamp};
use shared::http::access::Anybody;
use shared::http::request::{self, Channels, Received};
use shared::http::{Problem, RequestId, body, front};
use shared::random::SystemRandom;
use tower::ServiceExt;

const PATH: &str = "/api/notifications";
/// 2030-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_893_456_000_000);
const YEAR_MILLIS: i64 = 366 * 24 * 3600 * 1000;

pub fn holds(bytes: &[u8]) {
    let (status, answer, taken) = ask(bytes);
    let sent = serde_json::from_slice::<Value>(bytes);
    match taken {
        Some(new) => {
            assert_eq!(status, StatusCode::OK);
            match &sent {
                Ok(sent) => says_what_was_sent(&new, sent.as_object().unwrap()),
                // JSON has numbers of any size, and a `Value` has not: what was sent can't be looked at here.
                Err(error) => assert!(error.to_string().starts_with("number out of range"), "what is no JSON was taken: {error}"),
            }
            says_it_again(&new);
            names_nobody(&new);
        }
        None => was_refused_for_a_reason(status, &answer, bytes, sent.as_ref().ok()),
    }
}

/// All channels are on; push is the one that needs an address.
#[derive(Debug)]
struct On;

impl Channels for On {
    fn needs_recipient(&self, channel: Channel) -> Option<bool> {
        Some(channel == Channel::Push)
    }
}

/// As `create` begins, on a router of its own: the status, the answer's body, and what was taken.
fn ask(bytes: &[u8]) -> (StatusCode, Vec<u8>, Option<NewNotification>) {
    let taken = Arc::new(Mutex::new(None));
    let handler = {
        let taken = Arc::clone(&taken);
        move |Extension(request_id): Extension<RequestId>, request: Request| async move {
            let (head, sent) = request.into_parts();
            let sent = body::read_json(&head.headers, sent).await?;
            let (caller, query) = (&Caller::default(), head.uri.query());
            let received = Received { caller, request_id: &request_id, query, headers: &head.headers, body: &sent };
            *taken.lock().unwrap() = Some(request::parse(&received, NOW, &On)?);
            Ok::<_, Problem>(StatusCode::OK)
        }
    };
    let app = front::complete(Router::new().route(PATH, post(handler)), Arc::new(SystemRandom), Arc::new(Anybody));
    let request = Request::builder().method(Method::POST).uri(PATH).header("content-type", "application/json");
    let request = request.body(Body::from(bytes.to_vec())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let answer = app.oneshot(request).await.unwrap();
        let status = answer.status();
        let answer = to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec();
        let taken = taken.lock().unwrap().take();
        (status, answer, taken)
    })
}

fn says_what_was_sent(new: &NewNotification, sent: &Map<String, Value>) {
    let text = |name: &str| sent.get(name).and_then(Value::as_str);
    assert_eq!(text("userId").or_else(|| text("user_id")), Some(new.user_id.as_str()));
    assert!(text("channel").is_some_and(|channel| channel.eq_ignore_ascii_case(new.channel.as_str())));
    assert_eq!(text("template"), Some(new.template.as_str()));
    assert_eq!(text("idempotencyKey"), new.idempotency_key.as_ref().map(IdempotencyKey::as_str));
    let present = |name: &str| sent.get(name).is_some_and(|value| !value.is_null());
    assert_eq!(present("to"), new.to.is_some());
    assert!(new.to.is_some() || new.channel != Channel::Push);
    assert!(new.to.as_ref().is_none_or(|to| to.channel() == new.channel));
    let data = new.data.as_ref().map(|data| serde_json::from_str::<Value>(data.as_str()).unwrap());
    assert_eq!(data.as_ref(), sent.get("data").filter(|data| !data.is_null()));
    let entries = new.metadata.as_ref().map(|metadata| json!(metadata.entries()));
    assert_eq!(entries.as_ref(), sent.get("metadata").filter(|metadata| !metadata.is_null()));
    assert_eq!(present("scheduledAt"), new.scheduled_at.is_some());
    assert_eq!(present("expiresAt"), new.expires_at.is_some());
    if let Some(at) = new.scheduled_at {
        assert!(at.as_millis() <= NOW.as_millis() + YEAR_MILLIS);
        assert!(new.expires_at.is_none_or(|expires| expires > at));
    }
}

/// Written anew from what was taken, it is the same request: by its fingerprint, which replays are told by.
fn says_it_again(new: &NewNotification) {
    let mut anew = Map::new();
    let mut put = |name: &str, value: Option<Value>| value.map(|value| anew.insert(name.to_owned(), value));
    put("user_id", Some(new.user_id.as_str().into()));
    put("channel", Some(new.channel.as_str().to_uppercase().into()));
    put("template", Some(new.template.as_str().into()));
    put("to", new.to.as_ref().map(|to| to.entries().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()));
    put("metadata", new.metadata.as_ref().map(|metadata| json!(metadata.entries())));
    put("idempotencyKey", new.idempotency_key.as_ref().map(|key| key.as_str().into()));
    put("scheduledAt", new.scheduled_at.map(|at| at.to_string().into()));
    put("expiresAt", new.expires_at.map(|at| at.to_string().into()));
    let mut text = Value::Object(anew).to_string();
    if let Some(data) = &new.data {
        // Digit for digit, which a `Value` would not keep.
        text = text.replacen('{', &format!("{{\"data\":{},", data.as_str()), 1);
    }
    let (_, answer, again) = ask(text.as_bytes());
    let again = again.unwrap_or_else(|| panic!("taken once and then refused: {}", String::from_utf8_lossy(&answer)));
    assert!(fingerprint(new) == fingerprint(&again), "written anew it is another request: {text}");
    assert!(new.idempotency_key == again.idempotency_key);
}

fn fingerprint(new: &NewNotification) -> Fingerprint {
    Fingerprint::of(&Fields {
        user_id: &new.user_id,
        channel: new.channel,
        template: &new.template,
        to: new.to.as_ref(),
        data: new.data.as_ref(),
        metadata: new.metadata.as_ref(),
        scheduled_at: new.scheduled_at,
        expires_at: new.expires_at,
    })
}

/// An address long enough not to be there by chance is in no debug print.
fn names_nobody(new: &NewNotification) {
    let printed = format!("{:?} {:?} {:?}", new.to, new.data, new.metadata);
    for (_, address) in new.to.iter().flat_map(Recipient::entries) {
        assert!(address.len() < 8 || !printed.contains(address), "{printed}");
    }
}

fn was_refused_for_a_reason(status: StatusCode, answer: &[u8], bytes: &[u8], sent: Option<&Value>) {
    assert!(status.is_client_error(), "{status}");
    let problem: Value = serde_json::from_slice(answer).unwrap();
    let code = problem["code"].as_str().unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert!(problem["instance"] == PATH && problem["requestId"].is_string());
    match code {
        "body-too-large" => assert!(bytes.len() > body::MOST_BYTES),
        "malformed-json" => assert!(!sent.is_some_and(Value::is_object), "an object is said to be none"),
        "invalid-request" => {
            let faults = problem["errors"].as_array().unwrap();
            assert!(!faults.is_empty());
            for fault in faults {
                let pointer = fault["pointer"].as_str().unwrap();
                assert!(pointer.starts_with('#') && !fault["detail"].as_str().unwrap().is_empty(), "{fault}");
            }
        }
        other => panic!("{other} for a body"),
    }
}
