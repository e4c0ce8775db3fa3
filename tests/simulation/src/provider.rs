//! The provider: it takes messages and says so, or fails in each of its ways. Here the oracle looks at
//! every send as it begins.

use std::sync::Arc;

use async_trait::async_trait;
use shared::channels::{Message, Provider, Sent};
use shared::domain::ErrorCode;
use tokio::time::sleep;

use crate::machine::Machine;
use crate::oracle;
use crate::seen::Flight;
use crate::story::What;
use crate::world::World;

#[derive(Debug)]
pub struct RemoteProvider {
    pub machine: Arc<Machine>,
}

#[derive(Clone, Copy)]
enum Ends {
    Accepts,
    Refuses,
    NotSent,
    /// It says that nobody knows, it panics, or it says nothing at all; with or without the message.
    Unknown,
    Panics,
    Hangs,
}

/// Ends when the sending does, however it does.
struct InFlight<'a> {
    world: &'a World,
    flight: Flight,
    /// Without an answer, who asked takes it for a failure.
    alive: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut seen = self.world.seen();
        seen.flights.retain(|flight| *flight != self.flight);
        let most = self.world.plan.limits.endurance.failures;
        seen.answered(self.flight.who, self.alive, most, self.world.elapsed());
    }
}

impl RemoteProvider {
    fn ends(&self) -> Ends {
        let (world, rates) = (&self.machine.world, &self.machine.world.plan.rates);
        if world.away(world.plan.provider_away) {
            return world.dice.pick(&[Ends::NotSent, Ends::Hangs]);
        }
        if world.strikes(rates.provider_unknown) {
            return world.dice.pick(&[Ends::Unknown, Ends::Panics, Ends::Hangs]);
        }
        if world.strikes(rates.provider_tells) {
            return world.dice.pick(&[Ends::NotSent, Ends::NotSent, Ends::NotSent, Ends::Refuses]);
        }
        Ends::Accepts
    }

    fn takes(&self, message: &Message) {
        self.machine.world.seen().takes.push((message.id, message.attempt));
    }
}

#[async_trait]
impl Provider for RemoteProvider {
    fn name(&self) -> &'static str {
        "model"
    }

    fn needs_recipient(&self) -> bool {
        false
    }

    fn drops_repeats(&self) -> bool {
        self.machine.world.plan.drops_repeats
    }

    async fn send(&self, message: &Message) -> Sent {
        let world = &self.machine.world;
        let tell = |how| world.tell(self.machine.who(), What::Send { id: message.id, attempt: message.attempt, how });
        tell("sends");
        oracle::send::look(&self.machine, message.id, message.attempt);
        let flight = Flight { id: message.id, attempt: message.attempt, who: self.machine.who() };
        world.seen().flights.push(flight);
        let mut in_flight = InFlight { world, flight, alive: false };
        self.machine.peril().await;
        let ends = self.ends();
        let takes_anyway = world.dice.one_in(2);
        sleep(world.dice.millis(1..1_500)).await;
        match ends {
            Ends::Accepts => {
                self.takes(message);
                tell("the provider takes it");
                self.machine.peril().await;
                in_flight.alive = true;
                return Sent::Accepted { provider_message_id: Some(format!("m-{}", message.attempt)) };
            }
            Ends::Refuses => {
                tell("the provider refuses it");
                in_flight.alive = true;
                return Sent::Refused { code: ErrorCode::ProviderRefused, detail: None };
            }
            Ends::NotSent => {
                tell("not sent");
                let retry_after = world.dice.one_in(3).then(|| world.dice.millis(0..100_000));
                return Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail: None, retry_after };
            }
            Ends::Unknown | Ends::Panics | Ends::Hangs => {}
        }
        if takes_anyway {
            self.takes(message);
            tell("the provider takes it and doesn't say so");
        }
        match ends {
            Ends::Panics => {
                tell("! panics");
                // As a panic does, without its print.
                std::panic::resume_unwind(Box::new("the provider panics"))
            }
            Ends::Hangs => {
                tell("! hangs");
                std::future::pending().await
            }
            Ends::Unknown | Ends::Accepts | Ends::Refuses | Ends::NotSent => {
                tell("nobody knows");
                Sent::Unknown { code: ErrorCode::ConnectionLost, detail: None }
            }
        }
    }
}
