//! Notifications and changes for the suite, at instants of its own.

use std::time::Duration;

use crate::domain::change::GiveUp;
use crate::domain::notification::Birth;
use crate::domain::{
    Attempt, Change, Channel, DueAt, NewNotification, Next, Notification, NotificationId, Outcome, Timestamp, Token, UserId,
};
use crate::random::{Random, SystemRandom};
use crate::sample::{START, new_notification};
use crate::store::{Applied, Created, Error, Store};

pub const CREATED: Timestamp = START;
/// When things happen in the suite.
pub const NOW: Timestamp = Timestamp::from_millis(1_893_457_000_000);
pub const SKEW: Duration = Duration::from_secs(5);
pub const LEASE: Duration = Duration::from_secs(60);

/// `seconds` after [`NOW`].
#[must_use]
pub fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

#[must_use]
pub fn token() -> Token {
    let random: &dyn Random = &SystemRandom;
    random.token()
}

#[must_use]
pub fn id() -> NotificationId {
    let random: &dyn Random = &SystemRandom;
    NotificationId::from_uuid(random.uuid())
}

/// A user whom no other test knows.
#[must_use]
pub fn user(name: &str) -> UserId {
    UserId::parse(&format!("{name}{}", token())).expect("a user")
}

/// As a request for the first attempt at once leaves it.
#[must_use]
pub fn pending() -> Notification {
    let new = NewNotification { user_id: user("user-"), ..new_notification() };
    let due_guard = Duration::from_secs(30);
    Notification::create(new, Birth { id: id(), create_token: token(), now: CREATED, attempt_limit: 3, due_guard })
}

/// Stored, and handed back.
pub async fn stored(store: &dyn Store, notification: Notification) -> Notification {
    assert_eq!(store.create(&notification).await.expect("created"), Created::New);
    notification
}

/// The item after a change that must have been made.
pub fn done(applied: Result<Applied, Error>) -> Notification {
    match applied.expect("answered") {
        Applied::Done(after) => *after,
        other @ (Applied::Refused(_) | Applied::Missing | Applied::Foreign) => panic!("not done but {other:?}"),
    }
}

#[must_use]
pub fn claim(now: Timestamp) -> Change {
    Change::Claim { now, skew: SKEW, token: token(), lease_until: now.plus(LEASE), channel: Channel::Email }
}

#[must_use]
pub fn take_over(lost: Token) -> Change {
    let token = token();
    let attempts = vec![attempt(1, Outcome::Unknown, token)];
    Change::TakeOver { now: NOW, skew: SKEW, token, lease_until: NOW.plus(LEASE), lost, attempts }
}

#[must_use]
pub fn finish(mine: Token, number: u32, next: Next) -> Change {
    let attempts = vec![attempt(number, Outcome::NotSent, mine)];
    Change::Finish { now: NOW, token: mine, attempt: number, provider: Some("dev".to_owned()), attempts, next }
}

#[must_use]
pub fn sent() -> Next {
    Next::Sent { provider_message_id: Some("message-1".to_owned()), ttl: ttl() }
}

#[must_use]
pub fn give_up(lost: Token, reason: GiveUp) -> Change {
    Change::GiveUp { now: NOW, skew: SKEW, lost, reason, attempts: vec![attempt(1, Outcome::Unknown, lost)], ttl: ttl() }
}

#[must_use]
pub fn retry(attempt: u32, attempt_limit: u32) -> Change {
    Change::Retry { now: NOW, attempt, attempt_limit, due_at: DueAt::first(at(30)) }
}

/// Whole seconds, as the store keeps it.
#[must_use]
pub fn ttl() -> Timestamp {
    at(90 * 24 * 3600)
}

#[must_use]
pub fn attempt(number: u32, outcome: Outcome, token: Token) -> Attempt {
    Attempt {
        number,
        started_at: CREATED,
        finished_at: NOW,
        channel: Channel::Email,
        provider: None,
        outcome,
        code: None,
        detail: None,
        token,
    }
}
