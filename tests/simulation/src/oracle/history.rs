//! The whole history, once the world has healed and everything came to rest.

use std::collections::BTreeMap;

use shared::domain::{Attempt, ErrorCode, Notification, NotificationId, Outcome, Status};
use shared::metrics::prometheus;
use shared::service::OnUnknown;

use crate::exposition::Exposition;
use crate::plan::Weather;
use crate::story::{Who, short};
use crate::world::World;

pub fn judge(world: &World) {
    let items: BTreeMap<NotificationId, Notification> = world.store.all().into_iter().map(|n| (n.id, n)).collect();
    let mut faults = Vec::new();
    for n in items.values() {
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                faults.push(format!("{} {rule}", short(n.id)));
            }
        };
        must(n.status.is_final(), "is not final");
        took(world, n, &mut must);
        told(world, n, &mut must);
        caused(world, n, &mut must);
        if world.plan.is_calm() {
            must(n.attempts.iter().all(|a| a.code != Some(ErrorCode::LeaseLost)), "lost an attempt, and no worker was lost");
        }
    }
    faults.extend(promises(world, &items));
    // Who drains leaves what it didn't begin to redrive.
    if world.plan.is_calm() && world.plan.rates.stop == 0 {
        faults.extend(calm(world, &items));
        faults.extend(counted(world));
    }
    for fault in faults {
        world.broken(Who::World, fault);
    }
}

/// What the provider has, against what the records say.
fn took(world: &World, n: &Notification, must: &mut impl FnMut(bool, &str)) {
    let seen = world.seen();
    let taken: Vec<u32> = seen.takes.iter().filter(|(id, _)| *id == n.id).map(|(_, attempt)| *attempt).collect();
    let record = |number: u32| n.attempts.iter().find(|a| a.number == number);
    let outcome = |number: u32| record(number).map(|a| a.outcome);
    let mut sorted = taken.clone();
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        must(outcome(pair[0]) == Some(Outcome::Unknown), "went out again though it was known to be out");
    }
    for number in &sorted {
        let known = matches!(outcome(*number), Some(Outcome::Accepted | Outcome::Unknown));
        must(known, "is with the provider, and its record says that it is not");
    }
    if sends_once(world) && world.plan.weather != Weather::Skewed && !seen.retries.contains_key(&n.id) {
        must(sorted.len() <= 1, "went out twice though ON_UNKNOWN=fail");
    }
    let accepted = n.attempts.iter().filter(|a| a.outcome == Outcome::Accepted);
    must(accepted.into_iter().all(|a| taken.contains(&a.number)), "is recorded as accepted and never reached the provider");
    let mut redriven = seen.redriven.iter().filter(|((id, _), _)| *id == n.id);
    must(redriven.all(|(_, events)| *events <= 2), "has more than two repeats of one event");
    let sent = |a: &Attempt| seen.sends.contains_key(&(n.id, a.number));
    let kept_back = |a: &&Attempt| matches!(a.code, Some(ErrorCode::LeaseTooShort | ErrorCode::Expired));
    must(!n.attempts.iter().filter(kept_back).any(sent), "was sent, and its record says that it was not");
    if n.error_code == Some(ErrorCode::AttemptsExhausted) {
        must(n.attempt == n.attempt_limit, "is given up with attempts left");
    }
}

/// No attempt follows one whose end is unknown.
fn sends_once(world: &World) -> bool {
    world.plan.policy.on_unknown == OnUnknown::Fail && !world.plan.drops_repeats
}

/// Nothing ends otherwise than as sent without somebody's or something's doing.
fn caused(world: &World, n: &Notification, must: &mut impl FnMut(bool, &str)) {
    let seen = world.seen();
    must(n.status != Status::Cancelled || seen.cancels.contains(&n.id), "was cancelled by nobody");
    must(n.status != Status::Expired || n.expires_at.is_some(), "expired, and nothing said when");
    let last = n.attempts.last().map(|a| a.outcome);
    let because =
        last == Some(Outcome::Refused) || n.attempt == n.attempt_limit || last == Some(Outcome::Unknown) && sends_once(world);
    must(n.status != Status::Failed || because, "failed, and might have been tried again");
    let mut reopened = seen.reopened.iter().filter(|(id, _)| *id == n.id);
    let ended = matches!(n.status, Status::Cancelled | Status::Expired);
    must(reopened.all(|(_, attempt)| ended || n.attempt > *attempt), "was to be tried again, and was not");
}

/// What clients were told, against what came of it.
fn told(world: &World, n: &Notification, must: &mut impl FnMut(bool, &str)) {
    if let Some(told) = world.seen().ended.get(&n.id) {
        must(n.status == *told, &format!("was answered as {} and is {}", told.as_str(), n.status.as_str()));
    }
    if n.status == Status::Sent {
        must(n.attempts.last().is_some_and(|a| a.outcome == Outcome::Accepted), "is sent, and its last attempt was not accepted");
    }
}

fn promises(world: &World, items: &BTreeMap<NotificationId, Notification>) -> Vec<String> {
    let seen = world.seen();
    let lost = seen.promises.iter().filter(|promise| !items.contains_key(&promise.id));
    let mut faults: Vec<String> = lost.map(|promise| format!("{} was promised and is not there", short(promise.id))).collect();
    for (key, ids) in seen.ids_of_key.iter().filter(|(_, ids)| ids.len() > 1) {
        faults.push(format!("key {key} has {} notifications", ids.len()));
    }
    faults
}

/// What must hold besides where nothing failed: the fast path is enough, and keeps each user's order.
fn calm(world: &World, items: &BTreeMap<NotificationId, Notification>) -> Vec<String> {
    let seen = world.seen();
    let mut faults = Vec::new();
    let began = |id: NotificationId| seen.sends.get(&(id, 1)).map(|(at, _, _)| *at);
    if world.plan.kafka {
        for n in items.values().filter(|n| n.scheduled_at.is_none()) {
            let events = seen.events.get(&(n.id, 1)).copied().unwrap_or(0);
            if events > 1 {
                faults.push(format!("{} needed its event again, and nothing had failed", short(n.id)));
            }
        }
    }
    let at_once: Vec<_> = seen.promises.iter().filter(|promise| promise.at_once).collect();
    for first in &at_once {
        for second in at_once.iter().filter(|second| second.user == first.user && first.answered < second.asked) {
            if let (Some(a), Some(b)) = (began(first.id), began(second.id))
                && first.id != second.id
                && a > b
            {
                faults.push(format!("{} went out before {} of the same user", short(second.id), short(first.id)));
            }
        }
    }
    faults
}

/// What the processes have counted, against what was written. (What a process counted that is gone, is gone.)
fn counted(world: &World) -> Vec<String> {
    let shown = world.hosts().values().map(|host| prometheus::text(&host.create.worker.metrics)).collect::<Vec<_>>();
    let shown: Vec<Exposition> = shown.iter().map(|text| Exposition::parse(text)).collect();
    let seen = world.seen();
    let led = |to: Status| seen.writes.iter().filter(|((_, status), _)| *status == to).map(|(_, count)| *count).sum::<u64>();
    let write = |action, status| seen.writes.get(&(action, status)).copied().unwrap_or(0);
    [
        ("accepted_total", write("create", Status::Pending)),
        ("reopened_total", write("retry", Status::Pending)),
        ("retried_total", write("finish", Status::Retrying)),
        ("sent_total", led(Status::Sent)),
        ("failed_total", led(Status::Failed)),
        ("cancelled_total", led(Status::Cancelled)),
        ("expired_total", led(Status::Expired)),
    ]
    .into_iter()
    .filter_map(|(name, written)| {
        let counted = shown.iter().map(|one| one.sum(name)).sum::<f64>();
        // Whose answer was lost doesn't know its retry again once the notification has moved on.
        let unknown = if name == "reopened_total" { seen.repeated_retries } else { 0 };
        let may_be = (written.saturating_sub(unknown)..=written).any(|number| counted.to_string() == number.to_string());
        (!may_be).then(|| format!("{name} is {counted}, and {written} were written"))
    })
    .collect()
}
