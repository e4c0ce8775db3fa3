//! A provider: what its answer says about the message.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use shared::channels::{Message, Provider, Sent};
use shared::domain::{Channel, NotificationId, Template, Tenant, Timestamp, UserId};
use shared::random::{Random, SystemRandom};
use tokio::time::timeout;

/// How many of the messages ended so.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    accepted: u32,
    not_taken: u32,
    /// A provider that panics or says nothing counts as one that says that nobody knows.
    unknown_and_taken: u32,
    unknown_and_not: u32,
}

fn message(id: NotificationId, attempt: u32) -> Message {
    Message {
        id,
        tenant: Tenant::default(),
        user_id: UserId::parse("user-1").unwrap(),
        channel: Channel::Email,
        template: Template::parse("welcome").unwrap(),
        data: None,
        to: None,
        attempt,
        at: Timestamp::from_millis(0),
        traceparent: None,
    }
}

/// *Accepted* is a promise that it was taken, *refused* and *not sent* that it was not; only of *unknown* nothing
/// follows. Every attempt bears the id of its notification. `taken` gives the ids of what the provider has taken, and
/// `sends` are so many that each end comes about.
pub async fn an_answer_says_whether_the_message_was_taken(
    provider: &dyn Provider,
    sends: u32,
    within: Duration,
    taken: impl Fn() -> Vec<NotificationId>,
) {
    let random: &dyn Random = &SystemRandom;
    let mut ends = Ends::default();
    for n in 0..sends {
        let id = NotificationId::from_uuid(random.uuid());
        for attempt in 1..=2 {
            let before = taken().len();
            let message = message(id, attempt);
            let sent = timeout(within, AssertUnwindSafe(provider.send(&message)).catch_unwind()).await;
            let has = &taken()[before..];
            assert!(has.is_empty() || *has == [id], "{n}: {has:?}");
            let is_taken = !has.is_empty();
            match sent {
                Ok(Ok(Sent::Accepted { .. })) => {
                    assert!(is_taken, "{n}: accepted and not taken");
                    ends.accepted += 1;
                }
                Ok(Ok(Sent::Refused { .. } | Sent::NotSent { .. })) => {
                    assert!(!is_taken, "{n}: taken, and it says that it was not");
                    ends.not_taken += 1;
                }
                Ok(Ok(Sent::Unknown { .. }) | Err(_)) | Err(_) if is_taken => ends.unknown_and_taken += 1,
                Ok(Ok(Sent::Unknown { .. }) | Err(_)) | Err(_) => ends.unknown_and_not += 1,
            }
        }
    }
    let Ends { accepted, not_taken, unknown_and_taken, unknown_and_not } = ends;
    assert!([accepted, not_taken, unknown_and_taken, unknown_and_not].iter().all(|many| *many > 0), "{ends:?}");
}
