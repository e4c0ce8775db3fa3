//! The real use cases in a made-up world: virtual time, a model store, broker and provider, several
//! processes and clients, all on one thread and all from one seed. At every call of a port the seed may
//! do harm; then the world heals, everything must come to rest, and the oracle holds what it saw against
//! the contract.
//!
//! The same seed makes the same run, to the last line of its story. `SEED=<n>` tells one, `SEEDS=<n>`
//! says how many are run: see `tests/simulation.rs`. A crate by itself, so that it alone of all tests is
//! compiled for speed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what it expects, and stops where it is wrong"
)]

pub mod broker;
pub mod client;
pub mod dice;
pub mod exposition;
pub mod host;
pub mod machine;
pub mod model_store;
pub mod oracle;
pub mod plan;
pub mod provider;
pub mod sabotage;
pub mod seen;
pub mod setting;
pub mod store;
pub mod story;
pub mod world;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;

use self::client::Client;
use self::plan::Plan;
use self::sabotage::Sabotage;
use self::story::{Story, Who};
use self::world::World;

/// How long after the healing nothing may be left to do: retries, leases and guards all run out sooner.
const REST: Duration = Duration::from_hours(1);

#[derive(Debug)]
pub struct Run {
    pub seed: u64,
    world: Arc<World>,
}

impl Run {
    /// The rule that was broken first.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.world.story.broken()
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.world.plan
    }

    #[must_use]
    pub fn story(&self) -> &Story {
        &self.world.story
    }

    /// Notifications, and messages that the provider has.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.world.store.all().len(), self.world.seen().takes.len())
    }
}

#[must_use]
pub fn run(seed: u64, sabotage: Option<Sabotage>) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let world = runtime.block_on(async {
        let world = World::new(seed, sabotage);
        live(&world).await;
        oracle::history::judge(&world);
        world
    });
    drop(runtime);
    // The processes hold the world that holds them.
    world.hosts().clear();
    Run { seed, world }
}

async fn live(world: &Arc<World>) {
    for number in 1..=world.plan.processes {
        tokio::spawn(host::supervise(Arc::clone(world), number));
    }
    tokio::spawn(meddle(Arc::clone(world)));
    let clients = (1..=world.plan.clients).map(|number| tokio::spawn(Client::new(Arc::clone(world), number).live()));
    let clients = join_all(clients.collect::<Vec<_>>());
    sleep(world.plan.heal_after).await;
    world.heal();
    let healed = world.elapsed();
    for client in clients.await {
        client.unwrap();
    }
    // Whatever is still under way, or frozen, must leave nothing behind either.
    loop {
        sleep(Duration::from_secs(5)).await;
        let frozen = world.hosts().values().any(|host| host.machine.is_frozen());
        if world.store.undone() == 0 && !frozen {
            sleep(Duration::from_secs(10)).await;
            if world.store.undone() == 0 {
                return;
            }
        }
        if world.elapsed() > healed + REST {
            return world.broken(Who::World, "not everything comes to its end".to_owned());
        }
    }
}

/// What happens to no call in particular: clocks are set, the broker forgets.
async fn meddle(world: Arc<World>) {
    while !world.is_healed() {
        sleep(world.dice.millis(5_000..30_000)).await;
        let hosts: Vec<_> = world.hosts().values().cloned().collect();
        for host in hosts {
            if world.strikes(world.plan.rates.clock) {
                host.machine.set_clock();
            }
            if world.strikes(world.plan.rates.stop) {
                world.tell(host.machine.who(), story::What::Note("! is told to stop"));
                host.machine.stop.cancel();
            }
        }
        if world.strikes(world.plan.rates.broker_loses_all) {
            world.tell(Who::World, story::What::Note("! the broker forgets what was not committed"));
            world.broker.lose_all();
        }
    }
}
