use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::notification::Birth;
use crate::domain::recipient::Email;
use crate::domain::{
    Channel, DueAt, IdempotencyKey, JsonObject, Metadata, NewNotification, NotificationId, Recipient, Template, Tenant, Token,
    UserId, attempt,
};

const T0: Timestamp = Timestamp::from_millis(1_893_484_800_000); // 2030-01-01T08:00:00Z

fn at(seconds: u64) -> Timestamp {
    T0.plus(Duration::from_secs(seconds))
}

/// Full of what may never be told.
fn created() -> Notification {
    let new = NewNotification {
        tenant: Tenant::parse("canary-tenant").unwrap(),
        user_id: UserId::parse("canary-user").unwrap(),
        channel: Channel::Email,
        template: Template::parse("canary-template").unwrap(),
        to: Some(Recipient::Email(Email::parse("canary@example.com").unwrap())),
        data: Some(
            JsonObject::parse(&serde_json::value::RawValue::from_string(r#"{"a":"canary"}"#.to_owned()).unwrap()).unwrap(),
        ),
        metadata: Some(Metadata::parse(BTreeMap::from([("canary".to_owned(), "canary".to_owned())])).unwrap()),
        idempotency_key: Some(IdempotencyKey::parse("canary").unwrap()),
        scheduled_at: None,
        expires_at: None,
        created_by: Some("canary@example.com".to_owned()),
        request_id: Some("canary".to_owned()),
        traceparent: Some("canary".to_owned()),
    };
    let birth = Birth {
        id: NotificationId::from_uuid(Uuid::from_u128(7)),
        create_token: token(),
        now: T0,
        attempt_limit: 3,
        due_guard: Duration::from_secs(30),
    };
    Notification::create(new, birth)
}

fn token() -> Token {
    Token::from_uuid(Uuid::from_u128(9))
}

fn scheduled() -> Notification {
    let at = at(3600);
    Notification { scheduled_at: Some(at), not_before: at, due_at: Some(DueAt::first(at)), ..created() }
}

fn ended(number: u32, outcome: Outcome, code: Option<ErrorCode>) -> Attempt {
    let moment = at(u64::from(number));
    let provider = Some("webhook".to_owned());
    Attempt {
        number,
        started_at: moment,
        finished_at: moment,
        channel: Channel::Email,
        provider,
        outcome,
        code,
        detail: Some(attempt::Detail::cut("canary")),
        token: token(),
    }
}

/// In this status since 08:00:10, after these attempts.
fn after<const N: usize>(status: Status, ends: [(Outcome, Option<ErrorCode>); N]) -> Notification {
    let attempts: Vec<Attempt> = (1_u32..).zip(ends).map(|(number, (outcome, code))| ended(number, outcome, code)).collect();
    let attempt = attempts.len().try_into().unwrap();
    let due_at = (!status.is_final()).then(|| DueAt::first(at(20)));
    Notification { status, attempt, attempts, updated_at: at(10), not_before: at(20), due_at, ..created() }
}

fn processing<const N: usize>(ends: [(Outcome, Option<ErrorCode>); N]) -> Notification {
    let n = after(Status::Processing, ends);
    Notification {
        attempt: n.attempt + 1,
        claim_token: Some(token()),
        lease_until: Some(at(70)),
        due_at: Some(DueAt { at: at(80), redriven: 1 }),
        ..n
    }
}

const BUSY: (Outcome, Option<ErrorCode>) = (Outcome::NotSent, Some(ErrorCode::ProviderUnavailable));
const NOBODY_THERE: (Outcome, Option<ErrorCode>) = (Outcome::NotSent, Some(ErrorCode::ConnectionFailed));
const TAKEN: (Outcome, Option<ErrorCode>) = (Outcome::Accepted, None);
const REFUSED: (Outcome, Option<ErrorCode>) = (Outcome::Refused, Some(ErrorCode::ProviderRefused));
const SILENT: (Outcome, Option<ErrorCode>) = (Outcome::Unknown, Some(ErrorCode::Timeout));
const LOST: (Outcome, Option<ErrorCode>) = (Outcome::Unknown, Some(ErrorCode::LeaseLost));
const OFF: (Outcome, Option<ErrorCode>) = (Outcome::NotSent, Some(ErrorCode::ChannelOff));
const LATE: (Outcome, Option<ErrorCode>) = (Outcome::NotSent, Some(ErrorCode::Expired));

/// Told at 08:00:15.
#[track_caller]
fn tells(n: Notification, cause: Cause, next: Option<(What, u64)>, sentence: &str) {
    told_at(at(15), n, cause, next, sentence);
}

#[expect(clippy::needless_pass_by_value, reason = "each story is made where it is told")]
#[track_caller]
fn told_at(now: Timestamp, n: Notification, cause: Cause, next: Option<(What, u64)>, sentence: &str) {
    let told = Explanation::of(&n, now);
    assert_eq!((told.cause, told.next), (cause, next.map(|(what, seconds)| Next { what, at: at(seconds) })));
    assert_eq!(told.sentence(), sentence);
}

#[test]
fn a_fresh_one_waits_for_a_worker() {
    tells(
        created(),
        Cause::Created,
        Some((What::Redrive, 30)),
        "It was accepted at 2030-01-01T08:00:00.000Z, and attempt 1 is due: a worker begins it, or redrive brings it on at 2030-01-01T08:00:30.000Z.",
    );
}

#[test]
fn a_scheduled_one_waits_for_its_time_and_then_for_a_worker() {
    tells(
        scheduled(),
        Cause::Scheduled,
        Some((What::Attempt, 3600)),
        "It was accepted at 2030-01-01T08:00:00.000Z for a later time, and attempt 1 begins at 2030-01-01T09:00:00.000Z.",
    );
    told_at(
        at(3600),
        scheduled(),
        Cause::Scheduled,
        Some((What::Redrive, 3600)),
        "It was accepted at 2030-01-01T08:00:00.000Z for a later time, and attempt 1 is due: a worker begins it, or redrive brings it on at 2030-01-01T09:00:00.000Z.",
    );
    // For a time that had passed already: that means now.
    tells(
        Notification { scheduled_at: Some(T0), ..created() },
        Cause::Created,
        Some((What::Redrive, 30)),
        "It was accepted at 2030-01-01T08:00:00.000Z, and attempt 1 is due: a worker begins it, or redrive brings it on at 2030-01-01T08:00:30.000Z.",
    );
}

#[test]
fn one_that_nobody_takes_up_says_how_often_it_was_looked_after() {
    tells(
        Notification { due_at: Some(DueAt { at: at(40), redriven: 1 }), ..created() },
        Cause::Created,
        Some((What::Redrive, 40)),
        "It was accepted at 2030-01-01T08:00:00.000Z, and attempt 1 is due: redrive has looked after it once, and does again at 2030-01-01T08:00:40.000Z.",
    );
    tells(
        Notification { due_at: Some(DueAt { at: at(300), redriven: 4 }), ..created() },
        Cause::Created,
        Some((What::Redrive, 300)),
        "It was accepted at 2030-01-01T08:00:00.000Z, and attempt 1 is due: redrive has looked after it 4 times, and does again at 2030-01-01T08:05:00.000Z.",
    );
}

#[test]
fn one_that_a_client_put_back_says_so() {
    tells(
        Notification { not_before: at(10), attempt_limit: 6, ..after(Status::Pending, [BUSY, BUSY, BUSY]) },
        Cause::RetryAsked,
        Some((What::Redrive, 20)),
        "At 2030-01-01T08:00:10.000Z a client asked for another try after 3 attempts, and attempt 4 is due: a worker begins it, or redrive brings it on at 2030-01-01T08:00:20.000Z.",
    );
}

#[test]
fn an_attempt_under_way_is_held_until_its_lease_ends() {
    tells(
        processing([]),
        Cause::AttemptBegun,
        Some((What::Finish, 70)),
        "A worker began attempt 1 at 2030-01-01T08:00:10.000Z, and holds it until 2030-01-01T08:01:10.000Z unless it finishes before.",
    );
    tells(
        processing([LOST]),
        Cause::TakenOver,
        Some((What::Finish, 70)),
        "A worker began attempt 2 at 2030-01-01T08:00:10.000Z in the place of a lost one, whose attempt may have gone out, and holds it until 2030-01-01T08:01:10.000Z unless it finishes before.",
    );
}

#[test]
fn a_retry_by_hand_after_a_lost_worker_takes_nobodys_place() {
    tells(
        Notification { claim_token: Some(Token::from_uuid(uuid::Uuid::from_u128(77))), ..processing([LOST]) },
        Cause::AttemptBegun,
        Some((What::Finish, 70)),
        "A worker began attempt 2 at 2030-01-01T08:00:10.000Z, and holds it until 2030-01-01T08:01:10.000Z unless it finishes before.",
    );
}

#[test]
fn a_lease_holds_to_its_last_millisecond() {
    assert_eq!(Explanation::of(&processing([]), at(70)).next.map(|next| next.what), Some(What::Finish));
    let after = at(70).plus(Duration::from_millis(1));
    assert_eq!(Explanation::of(&processing([]), after).next.map(|next| next.what), Some(What::TakeOver));
}

#[test]
fn a_lease_that_ran_out_leads_to_a_take_over_or_to_the_end() {
    told_at(
        at(71),
        processing([]),
        Cause::AttemptBegun,
        Some((What::TakeOver, 80)),
        "A worker began attempt 1 at 2030-01-01T08:00:10.000Z, and its lease ran out: unless it still finishes, redrive takes over from 2030-01-01T08:01:20.000Z on, and another attempt follows if a repeat is allowed.",
    );
    told_at(
        at(71),
        Notification { expires_at: Some(at(71)), ..processing([BUSY, BUSY]) },
        Cause::AttemptBegun,
        Some((What::GiveUp, 80)),
        "A worker began attempt 3 at 2030-01-01T08:00:10.000Z, and its lease ran out: unless it still finishes, redrive ends it as Failed from 2030-01-01T08:01:20.000Z on, as it was the last attempt.",
    );
    told_at(
        at(71),
        Notification { expires_at: Some(at(71)), ..processing([BUSY]) },
        Cause::AttemptBegun,
        Some((What::Expire, 80)),
        "A worker began attempt 2 at 2030-01-01T08:00:10.000Z, and its lease ran out: unless it still finishes, redrive ends it as Expired from 2030-01-01T08:01:20.000Z on, as expiresAt has passed.",
    );
}

#[test]
fn a_retry_says_what_the_attempt_before_it_ended_with() {
    tells(
        after(Status::Retrying, [NOBODY_THERE]),
        Cause::NotSent,
        Some((What::Attempt, 20)),
        "Attempt 1 did not go out, as no connection to the provider could be made, and attempt 2 begins at 2030-01-01T08:00:20.000Z.",
    );
    tells(
        after(Status::Retrying, [SILENT, SILENT]),
        Cause::Unknown,
        Some((What::Attempt, 20)),
        "Attempt 2 may have gone out, as the provider did not answer in time, and attempt 3 begins at 2030-01-01T08:00:20.000Z.",
    );
    told_at(
        at(25),
        after(Status::Retrying, [NOBODY_THERE]),
        Cause::NotSent,
        Some((What::Redrive, 20)),
        "Attempt 1 did not go out, as no connection to the provider could be made, and attempt 2 is due: a worker begins it, or redrive brings it on at 2030-01-01T08:00:20.000Z.",
    );
}

#[test]
fn where_the_provider_may_have_named_a_time_the_sentence_says_so() {
    tells(
        after(Status::Retrying, [BUSY]),
        Cause::NotSent,
        Some((What::Attempt, 20)),
        "Attempt 1 did not go out, as the provider could not take the message at that time, and attempt 2 begins at 2030-01-01T08:00:20.000Z, as the back-off or the provider asks.",
    );
}

#[test]
fn one_that_was_taken_says_what_came_before() {
    tells(
        after(Status::Sent, [TAKEN]),
        Cause::Accepted,
        None,
        "The provider took it at 2030-01-01T08:00:10.000Z at the first attempt.",
    );
    tells(
        after(Status::Sent, [BUSY, TAKEN]),
        Cause::AcceptedAfterRetries,
        None,
        "The provider took it at 2030-01-01T08:00:10.000Z at attempt 2.",
    );
    tells(
        after(Status::Sent, [SILENT, BUSY, TAKEN]),
        Cause::AcceptedAfterUnknown,
        None,
        "The provider took it at 2030-01-01T08:00:10.000Z at attempt 3; it may have gone out more than once, as 1 attempt ended unknown.",
    );
}

#[test]
fn what_is_not_remembered_is_not_vouched_for() {
    let n = after(Status::Sent, [TAKEN]);
    let forgetful = Notification { attempt: 26, attempts: (7..=26).map(|number| ended(number, TAKEN.0, TAKEN.1)).collect(), ..n };
    tells(
        forgetful,
        Cause::AcceptedAfterRetries,
        None,
        "The provider took it at 2030-01-01T08:00:10.000Z at attempt 26; its first 6 attempts are not kept any more.",
    );
}

#[test]
fn a_failed_one_says_for_which_of_the_reasons() {
    let failed =
        |code, ends: [(Outcome, Option<ErrorCode>); 2]| Notification { error_code: Some(code), ..after(Status::Failed, ends) };
    tells(
        failed(ErrorCode::ProviderRefused, [BUSY, REFUSED]),
        Cause::Refused,
        None,
        "It failed for good at 2030-01-01T08:00:10.000Z at attempt 2, as the provider refused the message.",
    );
    tells(
        failed(ErrorCode::AttemptsExhausted, [SILENT, BUSY]),
        Cause::AttemptsExhausted,
        None,
        "It failed at 2030-01-01T08:00:10.000Z after 2 attempts, all that it was allowed, as the provider could not take the message at that time; it may have gone out all the same, as 1 attempt ended unknown.",
    );
    tells(
        failed(ErrorCode::AttemptsExhausted, [OFF, OFF]),
        Cause::ChannelOff,
        None,
        "It failed at 2030-01-01T08:00:10.000Z after 2 attempts, all that it was allowed, as no provider is bound to the channel.",
    );
    for (code, end, words) in [
        (ErrorCode::Timeout, SILENT, "the provider did not answer in time"),
        (ErrorCode::LeaseLost, LOST, "the worker was lost before it finished the attempt"),
    ] {
        let sentence = format!(
            "It failed at 2030-01-01T08:00:10.000Z at attempt 2, as {words}, and a repeat, by which it might be sent twice, is not allowed; it may have gone out all the same, as 1 attempt ended unknown."
        );
        tells(failed(code, [BUSY, end]), Cause::UnknownNotRepeated, None, &sentence);
    }
}

#[test]
fn a_cancelled_one_says_whether_it_may_have_gone_out() {
    tells(
        after(Status::Cancelled, []),
        Cause::CancelAsked,
        None,
        "A client cancelled it at 2030-01-01T08:00:10.000Z before any attempt.",
    );
    tells(
        after(Status::Cancelled, [BUSY]),
        Cause::CancelAsked,
        None,
        "A client cancelled it at 2030-01-01T08:00:10.000Z after 1 attempt.",
    );
    tells(
        after(Status::Cancelled, [SILENT, SILENT]),
        Cause::CancelAsked,
        None,
        "A client cancelled it at 2030-01-01T08:00:10.000Z after 2 attempts; it may have gone out all the same, as 2 attempts ended unknown.",
    );
}

#[test]
fn an_expired_one_says_whether_anything_was_sent() {
    for ends in [after(Status::Expired, []), after(Status::Expired, [LATE])] {
        tells(ends, Cause::ExpiredBeforeAttempt, None, "It expired at 2030-01-01T08:00:10.000Z before anything was sent.");
    }
    tells(
        after(Status::Expired, [BUSY]),
        Cause::ExpiredBeforeRetry,
        None,
        "It expired at 2030-01-01T08:00:10.000Z after 1 attempt, as expiresAt left no time for another.",
    );
    // Nobody has written it yet.
    tells(
        Notification { expires_at: Some(at(15)), ..created() },
        Cause::Created,
        Some((What::Expire, 30)),
        "It was accepted at 2030-01-01T08:00:00.000Z, and expiresAt has passed: redrive ends it as Expired at 2030-01-01T08:00:30.000Z.",
    );
}

fn instant() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

/// Whatever an item may hold, also what no write of ours leaves.
fn any_record() -> impl Strategy<Value = Notification> {
    let code = proptest::option::of(proptest::sample::select(&ErrorCode::ALL[..]));
    let one = (any::<u32>(), proptest::sample::select(&Outcome::ALL[..]), code.clone());
    let attempts = proptest::collection::vec(one.prop_map(|(number, outcome, code)| ended(number, outcome, code)), 0..=20);
    let times =
        (instant(), instant(), proptest::option::of(instant()), proptest::option::of(instant()), proptest::option::of(instant()));
    let due = proptest::option::of((instant(), any::<u32>()).prop_map(|(at, redriven)| DueAt { at, redriven }));
    let status = proptest::sample::select(&Status::ALL[..]);
    (status, attempts, times, due, (any::<u32>(), any::<u32>()), code).prop_map(
        |(status, attempts, (updated_at, not_before, scheduled_at, expires_at, lease_until), due_at, counts, error_code)| {
            let (attempt, attempt_limit) = counts;
            let error_message = Some("canary".to_owned());
            let written = Notification { status, attempts, updated_at, not_before, scheduled_at, expires_at, ..created() };
            Notification { lease_until, due_at, attempt, attempt_limit, error_code, error_message, ..written }
        },
    )
}

proptest! {
    #[test]
    fn whatever_the_record_it_is_one_sentence_that_tells_nothing_of_a_clients(n in any_record(), now in instant()) {
        let told = Explanation::of(&n, now);
        let sentence = told.sentence();
        prop_assert!(sentence.ends_with('.') && !sentence.ends_with(".."), "{}", sentence);
        prop_assert!(!sentence.contains(". ") && !sentence.contains('\n') && !sentence.contains("  "), "{}", sentence);
        prop_assert!(sentence.starts_with(|first: char| first.is_ascii_uppercase()), "{}", sentence);
        prop_assert!(!format!("{sentence}{told:?}").contains("canary"), "{:?}", told);
        prop_assert_eq!(told.next.is_none(), n.status.is_final());
        prop_assert_eq!(told.attempts_left.is_none(), n.status.is_final());
        prop_assert_eq!(told.redriven.is_none(), n.status.is_final());
    }
}

#[test]
fn the_written_forms_are_different_words() {
    let words: HashSet<&str> = Cause::ALL.map(Cause::as_str).into_iter().collect();
    assert_eq!(words.len(), Cause::ALL.len());
    let words: HashSet<&str> = What::ALL.map(What::as_str).into_iter().collect();
    assert_eq!(words.len(), What::ALL.len());
}
