//! What tests begin with: the shortest request that there is, and the default times, with three attempts and a day of
//! retention.

#![expect(clippy::expect_used, reason = "what stands here is good, or no test begins")]

use std::time::Duration;

use crate::domain::{Channel, NewNotification, NotificationId, Template, Tenant, Timestamp, UserId};
use crate::events::Event;
use crate::events::batch::{Deliver, Place, Record};
use crate::retry::RetryPolicy;
use crate::service::{OnUnknown, Policy};

/// 2030-01-01T00:00:00Z: far from any clock's now, and no sweep takes what ends later.
pub const START: Timestamp = Timestamp::from_millis(1_893_456_000_000);

pub const POLICY: Policy = Policy {
    send_timeout: Duration::from_secs(5),
    lease: Duration::from_secs(60),
    clock_skew: Duration::from_secs(5),
    due_guard: Duration::from_secs(30),
    retention: Duration::from_hours(24),
    retry: RetryPolicy { base: Duration::from_secs(10), cap: Duration::from_hours(1), max_attempts: 3 },
    on_unknown: OnUnknown::Retry,
};

/// A request for an e-mail at once, with nothing more in it than must be.
#[must_use]
pub fn new_notification() -> NewNotification {
    NewNotification {
        tenant: Tenant::default(),
        user_id: UserId::parse("user-1").expect("a user"),
        channel: Channel::Email,
        template: Template::parse("welcome").expect("a template"),
        to: None,
        data: None,
        metadata: None,
        idempotency_key: None,
        scheduled_at: None,
        expires_at: None,
        created_by: None,
        request_id: None,
        traceparent: None,
    }
}

/// What a consumer reads of an event that stands there in the first partition.
#[must_use]
pub fn record(event: Event, offset: i64) -> Record {
    let Event { id, channel, key, time, .. } = event;
    let place = Place { partition: "notification-events-0".to_owned(), offset: Some(offset) };
    Record::Deliver(Deliver { id, channel, key, place, written_at: Some(time), parent: None })
}

/// The same, of an event for an e-mail, with the time left out.
#[must_use]
pub fn email_record(id: NotificationId, key: &str, offset: i64) -> Record {
    let place = Place { partition: "notification-events-0".to_owned(), offset: Some(offset) };
    Record::Deliver(Deliver { id, channel: Channel::Email, key: key.to_owned(), place, written_at: None, parent: None })
}
