//! Each send as it begins: is the one who sends still the one who may?

use std::time::Duration;

use shared::domain::{NotificationId, Status};

use crate::machine::Machine;
use crate::plan::Weather;
use crate::world::World;

pub fn look(machine: &Machine, id: NotificationId, attempt: u32) {
    let world = &machine.world;
    let broken = |rule: &str| world.broken(machine.who(), rule.to_owned());
    // The tasks of a process that freezes stop one after another: such a one is not well.
    let freezes = if machine.is_frozen() { u32::MAX } else { machine.freezes() };
    let began = (world.elapsed(), machine.who(), freezes);
    if world.seen().sends.insert((id, attempt), began).is_some() {
        broken("the same attempt is sent twice");
    }
    if let Some(rule) = crowds(machine) {
        broken(rule);
    }
    // Clocks that differ by more than is allowed for break what follows, and nobody promised otherwise.
    if world.plan.weather == Weather::Skewed {
        return;
    }
    if let Some(ended) = world.seen().ended.get(&id).copied() {
        broken(&format!("an attempt begins after {} was answered", ended.as_str()));
    }
    let Some(n) = world.stored(id) else { return broken("a send of what is not stored") };
    if n.status != Status::Processing || n.attempt != attempt {
        broken("a send begins whose claim doesn't hold any more");
    }
    let allowance = Duration::from_secs(5);
    if world.now().plus(allowance) < n.not_before {
        broken("a send begins before its time");
    }
    if n.expires_at.is_some_and(|at| at.plus(allowance) < world.now()) {
        broken("a send begins after it expired");
    }
    if let Some(rule) = overlaps(world, id) {
        broken(rule);
    }
}

/// What one process may ask of a provider at once, and of one that it has to leave alone.
fn crowds(machine: &Machine) -> Option<&'static str> {
    let (world, who) = (&machine.world, machine.who());
    let limits = world.plan.limits;
    let mut seen = world.seen();
    let under_way = seen.flights.iter().filter(|flight| flight.who == who).count();
    if under_way >= usize::try_from(limits.email).unwrap() {
        return Some("more attempts are under way at once than there is room for");
    }
    let streak = seen.streaks.entry(who).or_default();
    let since = streak.since?;
    streak.begun += 1;
    // Those that had room before, and one for each pause, the shortest that there can be.
    let pauses = world.elapsed().saturating_sub(since).as_millis() / (limits.endurance.pause.base / 2).as_millis();
    let may = u128::from(limits.email - 1) + pauses;
    (u128::from(streak.begun) > may).then_some("a provider that has to be left alone is asked")
}

/// Another attempt that is under way, of a worker that was neither killed nor frozen meanwhile.
fn overlaps(world: &World, id: NotificationId) -> Option<&'static str> {
    let seen = world.seen();
    let others: Vec<_> = seen.flights.iter().filter(|flight| flight.id == id).copied().collect();
    let healthy = others.into_iter().any(|flight| {
        let began = seen.sends.get(&(id, flight.attempt)).map(|(_, _, freezes)| *freezes);
        world.hosts().values().any(|host| host.machine.who() == flight.who && Some(host.machine.freezes()) == began)
    });
    healthy.then_some("two attempts are under way at once, and both workers are well")
}
