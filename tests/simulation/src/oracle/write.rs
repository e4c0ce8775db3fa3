//! Each write by itself: may this follow that, and does the item keep the promises of its status?

use std::time::Duration;

use shared::domain::{Attempt, Change, Notification, Outcome, Status};

use crate::plan::Weather;
use crate::world::World;

/// How many records of attempts an item keeps.
const KEPT: u32 = 20;

/// What is wrong with this write.
#[must_use]
pub fn faults(action: &'static str, before: Option<&Notification>, after: &Notification) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            faults.push(format!("{action}: {rule}"));
        }
    };
    must(legal(action, before.map(|n| n.status), after.status), "an illegal transition");
    alone(after, &mut must);
    if let Some(before) = before {
        together(action, before, after, &mut must);
    }
    faults
}

/// Whether the lease that this puts an end to was cut short, by true time.
#[must_use]
pub fn cuts_short(world: &World, change: &Change, asked: Duration) -> Option<&'static str> {
    // Of clocks that differ by more than is allowed for nobody promised anything.
    let begun = world.seen().lost_by(change).filter(|_begun| world.plan.weather != Weather::Skewed)?;
    (asked < begun + world.plan.policy.lease).then_some("a lease is ended before its time")
}

/// What is wrong with an item as it stands, whatever came before.
#[must_use]
pub fn faults_of(item: &Notification) -> Vec<String> {
    let mut faults = Vec::new();
    alone(item, &mut |holds, rule| {
        if !holds {
            faults.push(rule.to_owned());
        }
    });
    faults
}

/// The contract's table, by its rows.
fn legal(action: &str, from: Option<Status>, to: Status) -> bool {
    use Status::{Cancelled, Expired, Failed, Pending, Processing, Retrying, Sent};
    match (action, from) {
        ("create", None) | ("retry", Some(Failed)) => to == Pending,
        ("claim", Some(Pending | Retrying)) | ("take over", Some(Processing)) => to == Processing,
        ("finish", Some(Processing)) => matches!(to, Sent | Failed | Expired | Retrying),
        ("give up", Some(Processing)) => matches!(to, Failed | Expired),
        ("cancel", Some(Pending | Retrying)) => to == Cancelled,
        ("expire", Some(Pending | Retrying)) => to == Expired,
        ("rearm", Some(from)) => !from.is_final() && from == to,
        _ => false,
    }
}

fn alone(n: &Notification, must: &mut impl FnMut(bool, &str)) {
    let ended = n.status.is_final();
    must(n.due_at.is_some() != ended, "not final and no due time, or final and due");
    must(n.ttl.is_some() == ended, "only what is final may be forgotten");
    must(n.finished_at.is_some() == ended, "finishedAt belongs to what is final");
    must(n.lease_until.is_some() == (n.status == Status::Processing), "a lease belongs to an attempt under way");
    must(n.sent_at.is_some() == (n.status == Status::Sent), "sentAt belongs to what is sent");
    must(n.error_code.is_none() || ended, "an error belongs to what is final");
    must(n.error_code.is_some() == matches!(n.status, Status::Failed | Status::Expired), "an ending that failed says why");
    must(n.attempt <= n.attempt_limit, "more attempts than the budget has");
    let open = u32::from(n.status == Status::Processing);
    let recorded: Vec<u32> = n.attempts.iter().map(|attempt| attempt.number).collect();
    let over = n.attempt - open.min(n.attempt);
    let expected: Vec<u32> = (1 + over.saturating_sub(KEPT)..=over).collect();
    must(recorded == expected, "each of the last attempts that are over has one record");
    let accepted = n.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Accepted).count();
    must(accepted == usize::from(n.status == Status::Sent), "sent is what the provider accepted, once");
}

fn together(action: &str, before: &Notification, after: &Notification, must: &mut impl FnMut(bool, &str)) {
    let begins = matches!(action, "claim" | "take over");
    must(after.attempt == before.attempt + u32::from(begins), "an attempt is counted when it begins");
    must(after.create_token == before.create_token, "the create token is never overwritten");
    must(after.fingerprint == before.fingerprint, "what was asked for changes");
    must(begins == (after.claim_token != before.claim_token), "a claim has a token of its own");
    let newer = |record: &&Attempt| after.attempts.first().is_none_or(|oldest| record.number >= oldest.number);
    let kept: Vec<&Attempt> = before.attempts.iter().filter(newer).collect();
    must(
        after.attempts.iter().zip(&kept).all(|(now, then)| now == *then) && kept.len() <= after.attempts.len(),
        "a record is lost or changed",
    );
    must(action == "retry" || after.attempt_limit == before.attempt_limit, "a budget grows by itself");
}
