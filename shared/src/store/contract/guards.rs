//! Each guard of each change, held from both sides of its edge.

use std::time::Duration;

use super::sample::{self, NOW, SKEW, at};
use super::transitions::{Case, cases};
use crate::domain::change::{GiveUp, Guard};
use crate::domain::{Change, Channel, DueAt, Notification};
use crate::store::Store;

const INSTANT: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Holds,
    Fails,
}

/// The column "condition besides" of the contract's table, in its own order of words.
const fn promised(change: &Change) -> &'static [&'static str] {
    match change {
        Change::Claim { .. } => &["due", "budget left", "not expired", "not my claim", "that channel"],
        Change::TakeOver { .. } => &["due", "budget left", "not expired", "not my claim", "lease over", "that claim"],
        Change::Finish { .. } => &["that claim", "that attempt"],
        Change::GiveUp { reason: GiveUp::Exhausted, .. } => &["lease over", "that claim", "budget spent"],
        Change::GiveUp { reason: GiveUp::Expired, .. } => &["lease over", "that claim", "expired"],
        Change::GiveUp { reason: GiveUp::RepeatNotAllowed, .. } => &["lease over", "that claim"],
        Change::Cancel { .. } => &[],
        Change::Expire { .. } => &["expired"],
        Change::Retry { .. } => &["that attempt"],
        Change::Rearm { .. } => &["that due"],
    }
}

const fn name(guard: &Guard) -> &'static str {
    match guard {
        Guard::StatusIn(_) => "status",
        Guard::NotBeforeAtMost(_) => "due",
        Guard::BudgetLeft => "budget left",
        Guard::BudgetSpent => "budget spent",
        Guard::NotExpiredAt(_) => "not expired",
        Guard::ExpiredAt(_) => "expired",
        Guard::ClaimTokenIs(_) => "that claim",
        Guard::ClaimTokenIsNot(_) => "not my claim",
        Guard::LeaseEndedBefore(_) => "lease over",
        Guard::AttemptIs(_) => "that attempt",
        Guard::DueAtIs(_) => "that due",
        Guard::ChannelIs(_) => "that channel",
    }
}

/// What puts an item to one side of a guard.
type Put = Box<dyn Fn(&mut Notification)>;

/// Both sides of one guard. A new guard must decide here.
fn sides(guard: &Guard, change: &Change) -> Vec<(Side, Put)> {
    let put = |side, put: fn(&mut Notification)| -> (Side, Put) { (side, Box::new(put)) };
    match guard.clone() {
        // All of the table is asked elsewhere.
        Guard::StatusIn(_) => Vec::new(),
        Guard::NotBeforeAtMost(_) => vec![
            put(Side::Holds, |n| n.not_before = NOW.plus(SKEW)),
            put(Side::Fails, |n| n.not_before = NOW.plus(SKEW).plus(INSTANT)),
        ],
        Guard::BudgetLeft => vec![
            put(Side::Holds, |n| n.attempt = n.attempt_limit - 1),
            put(Side::Fails, |n| n.attempt = n.attempt_limit),
            put(Side::Fails, |n| n.attempt = n.attempt_limit + 1),
        ],
        Guard::BudgetSpent => vec![
            put(Side::Fails, |n| n.attempt = n.attempt_limit - 1),
            put(Side::Holds, |n| n.attempt = n.attempt_limit),
            put(Side::Holds, |n| n.attempt = n.attempt_limit + 1),
        ],
        Guard::NotExpiredAt(_) => vec![
            put(Side::Holds, |n| n.expires_at = None),
            put(Side::Holds, |n| n.expires_at = Some(NOW.plus(INSTANT))),
            put(Side::Fails, |n| n.expires_at = Some(NOW)),
        ],
        Guard::ExpiredAt(_) => vec![
            put(Side::Fails, |n| n.expires_at = None),
            put(Side::Fails, |n| n.expires_at = Some(NOW.plus(INSTANT))),
            put(Side::Holds, |n| n.expires_at = Some(NOW)),
        ],
        Guard::ClaimTokenIs(_) => {
            vec![put(Side::Fails, |n| n.claim_token = None), put(Side::Fails, |n| n.claim_token = Some(sample::token()))]
        }
        Guard::ClaimTokenIsNot(mine) => {
            let mut sides: Vec<(Side, Put)> = vec![(Side::Fails, Box::new(move |n| n.claim_token = Some(mine)))];
            // A take-over asks for the lost worker's besides.
            if !matches!(change, Change::TakeOver { .. }) {
                sides.push(put(Side::Holds, |n| n.claim_token = None));
                sides.push(put(Side::Holds, |n| n.claim_token = Some(sample::token())));
            }
            sides
        }
        Guard::LeaseEndedBefore(_) => vec![
            put(Side::Fails, |n| n.lease_until = None),
            put(Side::Fails, |n| n.lease_until = Some(NOW.minus(SKEW))),
            put(Side::Holds, |n| n.lease_until = Some(NOW.minus(SKEW).minus(INSTANT))),
        ],
        Guard::AttemptIs(_) => vec![put(Side::Fails, |n| n.attempt = 0), put(Side::Fails, |n| n.attempt = 2)],
        Guard::DueAtIs(seen) => vec![
            put(Side::Fails, |n| n.due_at = None),
            put(Side::Fails, |n| n.due_at = Some(DueAt::first(at(1)))),
            (Side::Fails, Box::new(move |n| n.due_at = Some(DueAt { redriven: seen.redriven + 1, ..seen }))),
        ],
        Guard::ChannelIs(_) => vec![put(Side::Fails, |n| n.channel = Channel::Push)],
    }
}

pub async fn each_guard_of_each_change_holds_at_its_edge(store: &dyn Store) {
    for case in cases() {
        let guards = case.change.guards();
        let names: Vec<&str> = guards.iter().map(name).collect();
        assert_eq!(names, [&["status"], promised(&case.change)].concat(), "{}", case.name);
        for guard in guards {
            let mut failing = 0_usize;
            // The item as the case has it is the holding side of every guard.
            for (side, put) in sides(&guard, &case.change) {
                failing += usize::from(side == Side::Fails);
                hold(store, &case, &guard, side, &put).await;
            }
            assert!(failing > 0 || matches!(guard, Guard::StatusIn(_)), "{}: {guard:?} is never failed", case.name);
        }
    }
}

async fn hold(store: &dyn Store, case: &Case, guard: &Guard, side: Side, put: &Put) {
    for status in case.change.action().from() {
        let name = format!("{} from {status:?}: {guard:?} {side:?}", case.name);
        let mut before = case.item(*status);
        put(&mut before);
        let before = sample::stored(store, before).await;
        store.apply(before.id, &case.change).await.expect("answered");
        let after = store.get(&before.tenant, before.id).await.expect("read").expect("there");
        assert_eq!(after != before, side == Side::Holds, "{name}");
    }
}
