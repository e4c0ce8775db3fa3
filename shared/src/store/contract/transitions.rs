//! The transition table, asked of the store itself: every change in every status.

use super::sample::{self, NOW, at};
use crate::domain::change::{Change, GiveUp};
use crate::domain::{Action, Attempt, DueAt, ErrorCode, Next, Notification, Status, Token};
use crate::store::{Applied, Store};

/// One change with an item whose guards, but for the status, all hold; and what it must make of it.
pub struct Case {
    pub name: &'static str,
    pub change: Change,
    /// The token of the claim that the item bears.
    pub lost: Token,
    prepare: fn(&mut Notification),
    expect: Box<dyn Fn(&mut Notification) + Send + Sync>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Case {
    /// A claim that ended a minute ago, and two attempts left.
    #[must_use]
    pub fn item(&self, status: Status) -> Notification {
        let mut n = Notification {
            status,
            not_before: NOW,
            attempt: 1,
            claim_token: Some(self.lost),
            lease_until: Some(NOW.minus(std::time::Duration::from_secs(60))),
            due_at: Some(DueAt { at: NOW, redriven: 1 }),
            ..sample::pending()
        };
        (self.prepare)(&mut n);
        n
    }
}

/// Each change that there is, in each of its shapes.
#[must_use]
pub fn cases() -> Vec<Case> {
    let lost = sample::token();
    let as_it_is: fn(&mut Notification) = |_n| {};
    let expired: fn(&mut Notification) = |n| n.expires_at = Some(NOW);
    let exhausted: fn(&mut Notification) = |n| n.attempt = n.attempt_limit;
    // As a failure leaves it: not due, and with all that a retry takes away.
    let failed_before: fn(&mut Notification) = |n| {
        end(n, n.status);
        error(n, ErrorCode::Timeout);
    };
    let case = |name, change, prepare, expect| Case { name, change, lost, prepare, expect };
    let detail = crate::domain::attempt::Detail::cut("HTTP 400");
    let failed = Next::Failed { code: ErrorCode::ProviderRefused, detail: Some(detail), ttl: sample::ttl() };
    let claim = sample::claim(NOW);
    let take_over = sample::take_over(lost);
    let finish = |next| sample::finish(lost, 1, next);
    vec![
        case("claim", claim.clone(), as_it_is, begins(&claim)),
        case("take over", take_over.clone(), as_it_is, begins(&take_over)),
        case(
            "finish, sent",
            finish(sample::sent()),
            as_it_is,
            finishes(lost, Status::Sent, |n| {
                n.sent_at = Some(NOW);
                n.provider_message_id = Some("message-1".to_owned());
            }),
        ),
        case(
            "finish, failed",
            finish(failed),
            as_it_is,
            finishes(lost, Status::Failed, |n| {
                n.error_code = Some(ErrorCode::ProviderRefused);
                n.error_message = Some(format!("{}: HTTP 400", ErrorCode::ProviderRefused.message()));
            }),
        ),
        case(
            "finish, expired",
            finish(Next::Expired { ttl: sample::ttl() }),
            as_it_is,
            finishes(lost, Status::Expired, |n| {
                error(n, ErrorCode::Expired);
            }),
        ),
        case(
            "finish, retrying",
            finish(Next::Retrying { not_before: at(9) }),
            as_it_is,
            Box::new(move |n| {
                n.status = Status::Retrying;
                n.not_before = at(9);
                n.due_at = Some(DueAt::first(at(9)));
                n.lease_until = None;
                n.provider = Some("dev".to_owned());
                n.attempts = vec![sample::attempt(1, crate::domain::Outcome::NotSent, lost)];
            }),
        ),
        case(
            "give up, exhausted",
            sample::give_up(lost, GiveUp::Exhausted),
            exhausted,
            gives_up(lost, Status::Failed, ErrorCode::AttemptsExhausted),
        ),
        case(
            "give up, expired",
            sample::give_up(lost, GiveUp::Expired),
            expired,
            gives_up(lost, Status::Expired, ErrorCode::Expired),
        ),
        case(
            "give up, no repeat",
            sample::give_up(lost, GiveUp::RepeatNotAllowed),
            as_it_is,
            gives_up(lost, Status::Failed, ErrorCode::LeaseLost),
        ),
        case("cancel", Change::Cancel { now: NOW, ttl: sample::ttl() }, as_it_is, Box::new(|n| end(n, Status::Cancelled))),
        case(
            "expire",
            Change::Expire { now: NOW, ttl: sample::ttl() },
            expired,
            Box::new(|n| {
                end(n, Status::Expired);
                error(n, ErrorCode::Expired);
            }),
        ),
        case(
            "retry",
            sample::retry(1, 4),
            failed_before,
            Box::new(|n| {
                n.status = Status::Pending;
                n.not_before = NOW;
                n.attempt_limit = 4;
                n.due_at = Some(DueAt::first(at(30)));
                (n.ttl, n.finished_at, n.error_code, n.error_message) = (None, None, None, None);
            }),
        ),
        case(
            "re-arm",
            Change::Rearm { seen: DueAt { at: NOW, redriven: 1 }, due_at: DueAt { at: at(60), redriven: 2 } },
            as_it_is,
            Box::new(|n| n.due_at = Some(DueAt { at: at(60), redriven: 2 })),
        ),
    ]
}

type Expected = Box<dyn Fn(&mut Notification) + Send + Sync>;

fn begins(change: &Change) -> Expected {
    let (Change::Claim { token, lease_until, .. } | Change::TakeOver { token, lease_until, .. }) = change.clone() else {
        panic!("begins nothing")
    };
    let recorded: Option<Vec<Attempt>> =
        if let Change::TakeOver { attempts, .. } = change { Some(attempts.clone()) } else { None };
    Box::new(move |n| {
        n.status = Status::Processing;
        n.attempt += 1;
        n.claim_token = Some(token);
        n.lease_until = Some(lease_until);
        n.attempts.clone_from(recorded.as_ref().unwrap_or(&n.attempts.clone()));
    })
}

fn end(n: &mut Notification, status: Status) {
    n.status = status;
    n.finished_at = Some(NOW);
    n.ttl = Some(sample::ttl());
    n.due_at = None;
    n.lease_until = None;
}

fn error(n: &mut Notification, code: ErrorCode) {
    n.error_code = Some(code);
    n.error_message = Some(code.message().to_owned());
}

fn finishes(lost: Token, status: Status, besides: fn(&mut Notification)) -> Expected {
    Box::new(move |n| {
        end(n, status);
        n.provider = Some("dev".to_owned());
        n.attempts = vec![sample::attempt(1, crate::domain::Outcome::NotSent, lost)];
        besides(n);
    })
}

fn gives_up(lost: Token, status: Status, code: ErrorCode) -> Expected {
    Box::new(move |n| {
        end(n, status);
        error(n, code);
        n.attempts = vec![sample::attempt(1, crate::domain::Outcome::Unknown, lost)];
    })
}

/// The column "from" of the contract's table.
const fn promised(action: Action) -> &'static [Status] {
    match action {
        Action::Claim | Action::Cancel | Action::Expire => &[Status::Pending, Status::Retrying],
        Action::TakeOver | Action::Finish | Action::GiveUp => &[Status::Processing],
        Action::Retry => &[Status::Failed],
        Action::Rearm => &[Status::Pending, Status::Processing, Status::Retrying],
    }
}

/// For every status and every action the store itself allows or refuses as the table says, and writes
/// just what the action is for.
pub async fn each_action_is_allowed_exactly_where_the_table_says(store: &dyn Store) {
    for case in cases() {
        for status in Status::ALL {
            let name = format!("{} from {status:?}", case.name);
            let before = sample::stored(store, case.item(status)).await;
            let applied = store.apply(before.id, &case.change).await.expect("answered");
            let after = store.get(&before.tenant, before.id).await.expect("read").expect("there");
            if promised(case.change.action()).contains(&status) {
                assert_eq!(applied, Applied::Done(Box::new(after.clone())), "{name}");
                let kept = matches!(case.change, Change::Rearm { .. });
                let mut expected = Notification { updated_at: if kept { before.updated_at } else { NOW }, ..before };
                (case.expect)(&mut expected);
                assert_eq!(after, expected, "{name}");
                assert!(case.change.action().to().contains(&after.status), "{name}");
                assert_eq!(after.due_at.is_none(), after.status.is_final(), "{name}: the one invariant");
            } else {
                assert_eq!(after, before, "{name}: nothing is written");
                // One that ended so already is answered as if it ended now.
                let there_already = matches!(
                    (case.change.action(), status),
                    (Action::Cancel, Status::Cancelled)
                        | (Action::Expire, Status::Expired)
                        | (Action::GiveUp, Status::Failed | Status::Expired)
                );
                assert_eq!(matches!(applied, Applied::Done(_)), there_already, "{name}");
                assert_eq!(matches!(applied, Applied::Refused(_)), !there_already, "{name}");
            }
        }
    }
}

/// Each change, made twice with the same tokens, is made once, and both are told that it was. A re-arm has no token:
/// the second may be another worker's that has chosen the same instant, and two must not both believe that they won.
pub async fn each_change_knows_that_it_was_made_before(store: &dyn Store) {
    for case in cases() {
        for status in case.change.action().from() {
            let name = format!("{} from {status:?}", case.name);
            let before = sample::stored(store, case.item(*status)).await;
            let first = sample::done(store.apply(before.id, &case.change).await);
            let again = store.apply(before.id, &case.change).await.expect("answered");
            let (known, first) = (case.change.action() != Action::Rearm, Box::new(first));
            assert_eq!(again, if known { Applied::Done(first) } else { Applied::Refused(first) }, "{name}");
        }
    }
}
