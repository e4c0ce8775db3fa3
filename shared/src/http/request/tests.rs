use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::{HeaderValue, Request};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::domain::recipient::Platform;
use crate::http::access::Anybody;
use crate::random::SystemRandom;

/// `needs`: what `needs_recipient` says of every channel.
#[derive(Clone, Copy, Debug)]
struct All {
    needs: Option<bool>,
}

impl Channels for All {
    fn needs_recipient(&self, _channel: Channel) -> Option<bool> {
        self.needs
    }
}

const FREE: All = All { needs: Some(false) };

fn now() -> Timestamp {
    Timestamp::parse("2028-02-29T12:00:00Z").unwrap()
}

fn request_id() -> RequestId {
    // Only the front makes request ids, so one is taken from there.
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-request-id"), HeaderValue::from_static("r-1"))]);
    RequestId::of(&headers, &SystemRandom)
}

fn read_with(body: &str, headers: &HeaderMap, channels: All) -> Result<NewNotification, Problem> {
    let (caller, request_id) = (Caller::default(), request_id());
    let received = Received { caller: &caller, request_id: &request_id, query: None, headers, body: body.as_bytes() };
    parse(&received, now(), &channels)
}

fn read(body: &str) -> Result<NewNotification, Problem> {
    read_with(body, &HeaderMap::new(), FREE)
}

/// The faults as (pointer, detail).
fn faults(body: &str) -> Vec<(String, String)> {
    let Err(Problem::InvalidRequest { faults }) = read(body) else { panic!("taken: {body}") };
    let written = serde_json::to_value(faults).unwrap();
    let text = |fault: &Value, member: &str| fault[member].as_str().unwrap_or_default().to_owned();
    written.as_array().unwrap().iter().map(|fault| (text(fault, "pointer"), text(fault, "detail"))).collect()
}

fn pointers(body: &str) -> Vec<String> {
    faults(body).into_iter().map(|(pointer, _)| pointer).collect()
}

/// A valid body with `more` members.
fn with(more: &str) -> String {
    format!(r#"{{"userId":"u","channel":"email","template":"t"{}{more}}}"#, if more.is_empty() { "" } else { "," })
}

#[test]
fn a_full_request_is_read_into_its_values() {
    let body = r##"{"user_id":"u","channel":"PuSh","template":"a/b","to":{"platform":"apns","deviceToken":"d"},
        "data":{"n":1.10},"metadata":{"m":"v"},"idempotencyKey":"k","scheduledAt":"2028-03-01T00:00:00+01:00",
        "expiresAt":"2028-03-01T00:00:00Z"}"##;
    let new = read(body).unwrap();
    assert_eq!((new.user_id.as_str(), new.channel, new.template.as_str()), ("u", Channel::Push, "a/b"));
    let Some(Recipient::Device { token, platform }) = new.to else { panic!("no device") };
    assert_eq!((token.as_str(), platform), ("d", Some(Platform::Apns)));
    assert_eq!(new.data.unwrap().as_str(), r#"{"n":1.10}"#);
    assert_eq!(new.metadata.unwrap().entries()["m"], "v");
    assert_eq!(new.idempotency_key, IdempotencyKey::parse("k").ok());
    assert_eq!(new.scheduled_at.unwrap().to_string(), "2028-02-29T23:00:00.000Z");
    assert_eq!(new.expires_at.unwrap().to_string(), "2028-03-01T00:00:00.000Z");
    assert_eq!(new.request_id.as_deref(), Some("r-1"));
}

#[test]
fn null_means_absent() {
    let all = r#""data":null,"to":null,"metadata":null,"idempotencyKey":null,"scheduledAt":null,"expiresAt":null"#;
    let new = read(&with(all)).unwrap();
    assert!(new.data.is_none() && new.to.is_none() && new.metadata.is_none() && new.scheduled_at.is_none());
    assert_eq!(faults(r#"{"userId":null,"channel":"sms","template":"t"}"#), [("#/userId".into(), "is required".into())]);
    let push = r#"{"userId":"u","channel":"push","template":"t","to":{"deviceToken":"d","platform":null,"email":null}}"#;
    assert!(read(push).is_ok());
}

#[test]
fn every_fault_is_told_at_once() {
    let body = r##"{"channel":"fax","template":"../x","data":[],"to":{"email":"a","fax":"1"},"metadata":{"a/b":1,"c":"v","c":"w"},
        "idempotencyKey":"","scheduledAt":"tomorrow","expiresAt":5,"tempalte":"t","user~id":1}"##;
    assert_eq!(
        pointers(body),
        [
            "#/tempalte",
            "#/user~0id",
            "#/userId",
            "#/channel",
            "#/template",
            "#/data",
            "#/to/email",
            "#/to/fax",
            "#/metadata/a~1b",
            "#/metadata/c",
            "#/idempotencyKey",
            "#/scheduledAt",
            "#/expiresAt",
        ]
    );
}

#[test]
fn a_field_given_twice_is_a_fault_under_either_name() {
    assert_eq!(faults(&with(r#""channel":"email""#)), [("#/channel".into(), "must be given once".into())]);
    assert_eq!(pointers(&with(r#""user_id":"u""#)), ["#/user_id"]);
    assert_eq!(pointers(&with(r#""user_id":null"#)), ["#/user_id"]);
    assert_eq!(pointers(&with(r#""data":{},"data":null"#)), ["#/data"]);
    assert_eq!(pointers(&with(r#""data":{"a":{"b":1,"b":1}}"#)), ["#/data"]);
    assert_eq!(pointers(&with(r#""to":{"email":"a@example.com","email":"a@example.com"}"#)), ["#/to/email"]);
}

#[test]
fn a_value_of_the_wrong_type_is_a_fault() {
    for field in Field::ALL {
        for wrong in ["1", "true", "[]", r#""\ud800""#] {
            let mut fields = vec![("userId", "\"u\""), ("channel", "\"sms\""), ("template", "\"t\"")];
            fields.retain(|(name, _)| *name != field.name());
            fields.push((field.name(), wrong));
            let members: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            assert_eq!(pointers(&format!("{{{}}}", members.join(","))), [format!("#/{}", field.name())], "{wrong}");
        }
    }
}

#[test]
fn an_address_must_fit_its_channel() {
    let (email, phone, device) = (r#"{"email":"a@example.com"}"#, r#"{"phone":"+43660123456"}"#, r#"{"deviceToken":"d"}"#);
    for (channel, good) in [("email", email), ("sms", phone), ("push", device)] {
        let body = |to: &str| format!(r#"{{"userId":"u","channel":"{channel}","template":"t","to":{to}}}"#);
        for to in [email, phone, device] {
            assert_eq!(read(&body(to)).is_ok(), to == good, "{channel} {to}");
            if to != good {
                assert_eq!(pointers(&body(to)), ["#/to"]);
            }
        }
        assert_eq!(pointers(&body("{}")), ["#/to"]);
        assert_eq!(pointers(&body(r#"{"platform":"fcm"}"#)), ["#/to"]);
        assert_eq!(pointers(&body(r#"{"email":"a@example.com","phone":"+43660123456"}"#)), ["#/to"]);
    }
    assert_eq!(pointers(&with(r#""to":{"email":"nobody"}"#)), ["#/to/email"]);
}

#[test]
fn an_address_is_required_where_the_provider_needs_one() {
    let needs = All { needs: Some(true) };
    let required = Fault::at(&["to"], "is required: the channel's provider needs an address");
    let problem = Problem::InvalidRequest { faults: vec![required] };
    for body in [with(""), with(r#""to":null"#)] {
        assert_eq!(read_with(&body, &HeaderMap::new(), needs).unwrap_err(), problem);
    }
    assert!(read_with(&with(r#""to":{"email":"a@example.com"}"#), &HeaderMap::new(), needs).is_ok());
}

#[test]
fn a_channel_that_is_off_is_told_after_the_faults() {
    let off = All { needs: None };
    let problem = read_with(&with(""), &HeaderMap::new(), off).unwrap_err();
    assert_eq!(problem, Problem::ChannelOff { channel: Channel::Email });
    let problem = read_with(&with(r#""x":1"#), &HeaderMap::new(), off).unwrap_err();
    assert_eq!(problem.kind(), crate::http::Kind::InvalidRequest);
}

#[test]
fn instants_have_their_bounds() {
    let scheduled = |at: &str| with(&format!(r#""scheduledAt":"{at}""#));
    assert!(read(&scheduled("2029-02-28T12:00:00Z")).is_ok());
    assert_eq!(pointers(&scheduled("2029-02-28T12:00:00.001Z")), ["#/scheduledAt"]);
    assert!(read(&scheduled("1999-01-01T00:00:00Z")).is_ok());
    // One that has passed is taken, so that the repeat of an old request is a replay.
    assert!(read(&with(r#""expiresAt":"1999-01-01T00:00:00Z""#)).is_ok());
    let both = |scheduled: &str, expires: &str| with(&format!(r#""expiresAt":"{expires}","scheduledAt":"{scheduled}""#));
    assert!(read(&both("2028-03-01T00:00:00Z", "2028-03-01T00:00:00.001Z")).is_ok());
    assert_eq!(
        faults(&both("2028-03-01T00:00:00Z", "2028-03-01T00:00:00Z")),
        [("#/expiresAt".into(), "must be after scheduledAt".into())]
    );
}

#[test]
fn the_key_may_come_in_the_header_and_must_agree() {
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("idempotency-key"), HeaderValue::from_static("\"k\""))]);
    let key = IdempotencyKey::parse("k").ok();
    assert_eq!(read_with(&with(""), &headers, FREE).unwrap().idempotency_key, key);
    assert_eq!(read_with(&with(r#""idempotencyKey":"k""#), &headers, FREE).unwrap().idempotency_key, key);
    let problem = read_with(&with(r#""idempotencyKey":"other""#), &headers, FREE).unwrap_err();
    let fault = Fault::header("Idempotency-Key", "must be the same as idempotencyKey in the body");
    assert_eq!(problem, Problem::InvalidRequest { faults: vec![fault] });
}

#[test]
fn metadata_has_at_most_twenty_entries() {
    let many = |n: usize| {
        let entries: Vec<String> = (0..n).map(|i| format!("\"k{i}\":\"\"")).collect();
        with(&format!("\"metadata\":{{{}}}", entries.join(",")))
    };
    assert_eq!(read(&many(20)).unwrap().metadata.unwrap().entries().len(), 20);
    assert_eq!(pointers(&many(21)), ["#/metadata"]);
    assert_eq!(pointers(&with(r#""metadata":{"a":null,"":""}"#)), ["#/metadata/a", "#/metadata/"]);
}

#[test]
fn what_is_no_json_object_is_malformed() {
    let deep = "[".repeat(100_000);
    for body in ["", " ", "null", "[]", "\"x\"", "{", "{}x", "{\"a\":1,}", "{'a':1}", "\u{feff}{}", deep.as_str()] {
        assert_eq!(read(body).unwrap_err(), Problem::MalformedJson, "{}", body.len());
    }
    let (caller, request_id, headers) = (Caller::default(), request_id(), HeaderMap::new());
    let received =
        Received { caller: &caller, request_id: &request_id, query: None, headers: &headers, body: b"{\"a\":\"\xff\"}" };
    assert_eq!(parse(&received, now(), &FREE).unwrap_err(), Problem::MalformedJson);
}

#[tokio::test]
async fn a_query_on_a_create_is_a_fault_of_its_parameter() {
    let handler = |request: axum::extract::Request| async move {
        let (head, _) = request.into_parts();
        let (caller, request_id) = (Caller::default(), request_id());
        let received =
            Received { caller: &caller, request_id: &request_id, query: head.uri.query(), headers: &head.headers, body: b"{}" };
        parse(&received, now(), &FREE).map(|_| "taken")
    };
    let app = crate::http::front::complete(Router::new().route("/", post(handler)), Arc::new(SystemRandom), Arc::new(Anybody));
    let response = app.oneshot(Request::post("/?dryRun=1").body(Body::empty()).unwrap()).await.unwrap();
    let body: Value = serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
    assert_eq!(body["errors"][0], json!({"parameter": "dryRun", "detail": "is not known here"}));
    assert_eq!(body["errors"].as_array().unwrap().len(), 4);
}

fn any_body() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        "-?[1-9][0-9]{0,4}",
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        Just("\"a@example.com\"".to_owned()),
        Just("\"email\"".to_owned()),
        Just("\"2028-03-01T00:00:00Z\"".to_owned()),
    ];
    let names = prop_oneof![
        prop::sample::select(vec![
            "userId",
            "user_id",
            "channel",
            "template",
            "data",
            "to",
            "metadata",
            "idempotencyKey",
            "scheduledAt",
            "expiresAt",
            "email",
            "phone",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let object = move |value: BoxedStrategy<String>| {
        prop::collection::vec((names.clone(), value), 0..8).prop_map(|members| {
            let members: Vec<String> =
                members.into_iter().map(|(name, value)| format!("{}:{value}", Value::from(name))).collect();
            format!("{{{}}}", members.join(","))
        })
    };
    let inner = object(leaf.clone().boxed()).boxed();
    object(prop_oneof![leaf, inner].boxed())
}

proptest! {
    #[test]
    fn any_object_is_read_or_refused_with_at_least_one_fault(body in any_body()) {
        match read(&body) {
            Ok(_) => {}
            Err(Problem::InvalidRequest { faults }) => prop_assert!(!faults.is_empty()),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let (caller, request_id, headers) = (Caller::default(), request_id(), HeaderMap::new());
        let received = Received { caller: &caller, request_id: &request_id, query: None, headers: &headers, body: &body };
        prop_assert!(parse(&received, now(), &FREE).is_err());
    }

    #[test]
    fn the_order_of_fields_makes_no_difference(order in Just(vec![
        r#""userId":"u""#, r#""channel":"email""#, r#""template":"t""#, r#""to":{"email":"a@example.com"}"#, r#""data":{"x":1}"#,
        r#""expiresAt":"2028-03-02T00:00:00Z""#, r#""scheduledAt":"2028-03-01T00:00:00Z""#,
    ]).prop_shuffle()) {
        let new = read(&format!("{{{}}}", order.join(","))).unwrap();
        prop_assert_eq!(new.channel, Channel::Email);
        prop_assert!(new.to.is_some() && new.data.is_some() && new.expires_at > new.scheduled_at);
    }
}

/// For the document's tests: whether a request is taken.
pub(in crate::http) fn takes(body: &str, headers: &HeaderMap) -> bool {
    read_with(body, headers, FREE).is_ok()
}
