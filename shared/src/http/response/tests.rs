use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::attempt::Detail;
use crate::domain::notification::Birth;
use crate::domain::{
    Channel, ErrorCode, IdempotencyKey, JsonObject, Metadata, NewNotification, Outcome, Recipient, Template, Timestamp, Token,
    UserId,
};
use crate::sample::new_notification;
use crate::store::Position;

fn at(second: u32) -> Timestamp {
    Timestamp::parse(&format!("2030-01-31T08:00:{second:02}Z")).unwrap()
}

fn token() -> Token {
    Token::from_uuid(uuid::Uuid::from_u128(1))
}

fn bare() -> Notification {
    let canary = || Some("canary".to_owned());
    let new = NewNotification {
        user_id: UserId::parse("u").unwrap(),
        template: Template::parse("t").unwrap(),
        created_by: canary(),
        request_id: canary(),
        traceparent: canary(),
        ..new_notification()
    };
    let birth = Birth {
        id: NotificationId::from_uuid(uuid::Uuid::from_u128(7)),
        create_token: token(),
        now: at(0),
        attempt_limit: 30,
        due_guard: Duration::from_secs(30),
    };
    Notification::create(new, birth)
}

/// Every field that a client can see is there.
fn full() -> Notification {
    let raw: Box<RawValue> = serde_json::from_str(r#"{"b":1.10,"a":1E5}"#).unwrap();
    Notification {
        to: Some(Recipient::Email(crate::domain::recipient::Email::parse("a@example.com").unwrap())),
        data: Some(JsonObject::parse(&raw).unwrap()),
        metadata: Some(Metadata::parse([("m".to_owned(), "v".to_owned())].into()).unwrap()),
        idempotency_key: IdempotencyKey::parse("k").ok(),
        scheduled_at: Some(at(1)),
        expires_at: Some(at(50)),
        status: Status::Retrying,
        updated_at: at(3),
        sent_at: Some(at(4)),
        finished_at: Some(at(5)),
        error_code: Some(ErrorCode::Timeout),
        error_message: Some("late".to_owned()),
        provider: Some("webhook".to_owned()),
        provider_message_id: Some("p".to_owned()),
        attempt: 3,
        not_before: at(6),
        attempts: vec![Attempt {
            number: 3,
            started_at: at(2),
            finished_at: at(3),
            channel: Channel::Email,
            provider: Some("webhook".to_owned()),
            outcome: Outcome::NotSent,
            code: Some(ErrorCode::ProviderUnavailable),
            detail: Some(Detail::cut("HTTP 503")),
            token: token(),
        }],
        ..bare()
    }
}

fn shown(n: &Notification) -> Value {
    serde_json::to_value(NotificationView::try_from(n).unwrap()).unwrap()
}

#[test]
fn a_notification_shows_every_field_of_the_contract_and_no_other() {
    assert_eq!(
        shown(&full()),
        json!({
            "id": "00000000-0000-0000-0000-000000000007", "userId": "u", "channel": "email", "template": "t",
            "to": {"email": "a@example.com"}, "data": {"b": 1.10, "a": 1E5}, "metadata": {"m": "v"}, "status": "Retrying",
            "idempotencyKey": "k", "createdAt": "2030-01-31T08:00:00.000Z", "updatedAt": "2030-01-31T08:00:03.000Z",
            "scheduledAt": "2030-01-31T08:00:01.000Z", "expiresAt": "2030-01-31T08:00:50.000Z",
            "sentAt": "2030-01-31T08:00:04.000Z", "finishedAt": "2030-01-31T08:00:05.000Z", "errorCode": "timeout",
            "errorMessage": "late", "retryCount": 2, "nextAttemptAt": "2030-01-31T08:00:06.000Z", "provider": "webhook",
            "providerMessageId": "p",
            "attempts": [{
                "number": 3, "startedAt": "2030-01-31T08:00:02.000Z", "finishedAt": "2030-01-31T08:00:03.000Z", "channel": "email",
                "provider": "webhook", "outcome": "not-sent", "code": "provider-unavailable", "detail": "HTTP 503",
            }],
        })
    );
}

#[test]
fn absent_means_absent() {
    let mut n = bare();
    n.status = Status::Processing;
    assert_eq!(
        shown(&n),
        json!({
            "id": "00000000-0000-0000-0000-000000000007", "userId": "u", "channel": "email", "template": "t", "status": "Processing",
            "createdAt": "2030-01-31T08:00:00.000Z", "updatedAt": "2030-01-31T08:00:00.000Z", "retryCount": 0, "attempts": [],
        })
    );
}

#[test]
fn data_comes_back_digit_for_digit() {
    let text = serde_json::to_string(&NotificationView::try_from(&full()).unwrap()).unwrap();
    assert!(text.contains(r#""data":{"b":1.10,"a":1E5}"#), "{text}");
}

#[test]
fn the_next_attempt_shows_only_while_one_is_to_come() {
    for status in Status::ALL {
        let n = Notification { status, ..full() };
        let to_come = matches!(status, Status::Pending | Status::Retrying);
        assert_eq!(shown(&n).get("nextAttemptAt").is_some(), to_come, "{status:?}");
    }
}

#[test]
fn a_list_leaves_out_data_and_attempts_and_says_where_to_go_on() {
    let next = Position { created_at: at(0), id: full().id };
    let page = Page { notifications: vec![full()], next: Some(next) };
    let shown = serde_json::to_value(PageView::from(&page)).unwrap();
    let first = shown["data"][0].as_object().unwrap();
    assert!(!first.contains_key("data") && !first.contains_key("attempts") && first.contains_key("metadata"));
    assert_eq!(cursor::decode(shown["nextCursor"].as_str().unwrap()), Ok(next));
    let last = serde_json::to_value(PageView::from(&Page { notifications: vec![], next: None })).unwrap();
    assert_eq!(last, json!({"data": []}));
}

#[test]
fn kafka_away_is_ready_in_sync_mode_and_the_store_away_is_not_ready() {
    let mode = Mode::Sync { reason: "no broker".to_owned() };
    let away = Readiness { mode, unread: None, store: Ok(()), lanes: vec![], now: at(0) };
    let expected = json!({"status": "ready", "mode": "sync", "reason": "no broker",
        "checks": {"store": {"status": "up"}, "kafka": {"status": "down", "reason": "no broker"}, "providers": {}}});
    assert_eq!(serde_json::to_value(ReadinessView::from(&away)).unwrap(), expected);
    let away = Readiness { mode: Mode::Async, store: Err("no answer".to_owned()), ..away };
    let expected = json!({"status": "not-ready", "mode": "async",
        "checks": {"store": {"status": "down", "reason": "no answer"}, "kafka": {"status": "up"}, "providers": {}}});
    assert_eq!(serde_json::to_value(ReadinessView::from(&away)).unwrap(), expected);
    assert_eq!(readiness(&away).unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn events_that_may_not_be_read_are_told_and_are_no_reason_to_be_not_ready() {
    let unread = Some("READ on the topic".to_owned());
    let refused = Readiness { mode: Mode::Async, unread, store: Ok(()), lanes: vec![], now: at(0) };
    let expected = json!({"status": "ready", "mode": "async",
        "checks": {"store": {"status": "up"}, "kafka": {"status": "down", "reason": "READ on the topic"}, "providers": {}}});
    assert_eq!(serde_json::to_value(ReadinessView::from(&refused)).unwrap(), expected);
    assert_eq!(readiness(&refused).unwrap().status(), StatusCode::OK);
}

#[test]
fn a_provider_that_is_left_alone_is_named_with_its_time_and_is_no_reason_to_be_not_ready() {
    let lane = |channel, condition| LaneReadiness { channel, provider: "webhook", condition };
    let lanes = vec![
        lane(Channel::Email, Condition::LeftAlone { yet: Duration::from_secs(7) }),
        lane(Channel::Sms, Condition::Full),
        lane(Channel::Push, Condition::Clear),
    ];
    let view = Readiness { mode: Mode::Async, unread: None, store: Ok(()), lanes, now: at(1) };
    let shown = serde_json::to_value(ReadinessView::from(&view)).unwrap();
    let expected = json!({"email": {"provider": "webhook", "status": "left-alone", "until": "2030-01-31T08:00:08.000Z"},
        "sms": {"provider": "webhook", "status": "full"}, "push": {"provider": "webhook", "status": "up"}});
    assert_eq!((&shown["status"], &shown["checks"]["providers"]), (&json!("ready"), &expected));
    assert_eq!(readiness(&view).unwrap().status(), StatusCode::OK);
}
