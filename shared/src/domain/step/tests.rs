use uuid::Uuid;

use super::*;
use crate::domain::NotificationId;
use crate::domain::notification::Birth;
use crate::sample::{START, new_notification};

const NOW: Timestamp = START;
const SKEW: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(1);

const fn token() -> Token {
    Token::from_uuid(Uuid::from_u128(7))
}

fn pending() -> Notification {
    let id = NotificationId::from_uuid(Uuid::from_u128(1));
    Notification::create(
        new_notification(),
        Birth { id, create_token: token(), now: NOW, attempt_limit: 3, due_guard: Duration::from_secs(30) },
    )
}

/// An attempt of three, its lease until then.
fn processing(lease_until: Timestamp) -> Notification {
    let (claim_token, lease_until) = (Some(token()), Some(lease_until));
    Notification { status: Status::Processing, attempt: 1, claim_token, lease_until, ..pending() }
}

fn lost() -> Notification {
    processing(NOW.minus(SKEW + TICK))
}

fn step(n: &Notification) -> Step {
    Step::of(n, NOW, SKEW, true)
}

#[test]
fn what_is_final_is_left_alone_whatever_it_bears() {
    for status in [Status::Sent, Status::Failed, Status::Cancelled, Status::Expired] {
        assert_eq!(step(&Notification { status, expires_at: Some(NOW), ..lost() }), Step::Nothing, "{status:?}");
    }
}

#[test]
fn a_claim_may_come_early_by_the_skew_of_clocks_and_no_more() {
    for status in [Status::Pending, Status::Retrying] {
        for (not_before, expected) in [
            (NOW.minus(TICK), Step::Claim),
            (NOW.plus(SKEW), Step::Claim),
            (NOW.plus(SKEW + TICK), Step::Wait),
            (NOW.plus(SKEW * 100), Step::Wait),
        ] {
            assert_eq!(step(&Notification { status, not_before, ..pending() }), expected, "{status:?} {not_before}");
        }
    }
}

#[test]
fn what_has_expired_is_neither_claimed_nor_waited_for() {
    for (expires_at, expected) in [(NOW.minus(TICK), Step::Expire), (NOW, Step::Expire), (NOW.plus(TICK), Step::Wait)] {
        let not_before = NOW.plus(SKEW * 2);
        assert_eq!(step(&Notification { expires_at: Some(expires_at), not_before, ..pending() }), expected, "{expires_at}");
    }
}

#[test]
fn a_worker_is_lost_once_its_lease_ended_by_everybodys_clock() {
    for (lease_until, held) in [(NOW.plus(SKEW), true), (NOW, true), (NOW.minus(SKEW), true), (NOW.minus(SKEW + TICK), false)] {
        let expected = if held { Step::Held } else { Step::TakeOver { lost: token() } };
        assert_eq!(step(&processing(lease_until)), expected, "{lease_until}");
    }
}

#[test]
fn what_follows_a_lost_worker_is_for_budget_then_expiry_then_provider_to_say() {
    let exhausted = Notification { attempt: 3, ..lost() };
    let give_up = |reason| Step::GiveUp { lost: token(), reason };
    let expired = |n| Notification { expires_at: Some(NOW), ..n };
    for (n, repeat_allowed, expected) in [
        (exhausted.clone(), true, give_up(GiveUp::Exhausted)),
        (expired(exhausted), false, give_up(GiveUp::Exhausted)),
        (expired(lost()), true, give_up(GiveUp::Expired)),
        (lost(), false, give_up(GiveUp::RepeatNotAllowed)),
        (lost(), true, Step::TakeOver { lost: token() }),
    ] {
        assert_eq!(Step::of(&n, NOW, SKEW, repeat_allowed), expected);
    }
}

#[test]
fn an_item_that_no_write_of_ours_leaves_so_is_not_touched() {
    assert_eq!(step(&Notification { lease_until: None, ..lost() }), Step::Held);
    assert_eq!(step(&Notification { claim_token: None, ..lost() }), Step::Held);
}
