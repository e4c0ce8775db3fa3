//! One life of a server: the real use cases on ports of this world, its consumer and its redrive. Killed,
//! it comes again after a while, with nothing in its memory.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use shared::channels::Provider;
use shared::channels::registry::Providers;
use shared::domain::Channel;
use shared::events::{Outbox, Publisher};
use shared::random::Random;
use shared::service::create::Create;
use shared::service::deliver::Worker;
use shared::service::get::Get;
use shared::service::process::Process;
use shared::service::redrive::Redrive;
use shared::service::{Budget, OnUnknown, Policy};
use shared::traces::Traces;
use tokio::time::{Instant, sleep, sleep_until};

use crate::broker::{RemoteBroker, Source};
use crate::dice::Dice;
use crate::machine::Machine;
use crate::provider::RemoteProvider;
use crate::sabotage::Sabotage;
use crate::store::RemoteStore;
use crate::story::{What, Who};
use crate::world::World;

/// As much as a function gets on AWS.
const RUN: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub struct Host {
    pub machine: Arc<Machine>,
    pub create: Create,
    pub get: Get,
    process: Process,
    redrive: Redrive,
}

/// The product's randomness is the world's.
#[derive(Debug)]
struct Draws(Arc<World>);

impl Random for Draws {
    fn bytes(&self) -> [u8; 16] {
        Dice::bytes(&self.0.dice)
    }
}

impl Host {
    fn new(world: &Arc<World>, number: usize, life: u32) -> Arc<Self> {
        let machine = Machine::start(world, number, life);
        let store = RemoteStore::of(&machine);
        let provider: Arc<dyn Provider> = Arc::new(RemoteProvider { machine: Arc::clone(&machine) });
        let outbox = |of| {
            let (machine, store) = (Arc::clone(&machine), Arc::clone(&store));
            let publisher = world.plan.kafka.then(|| -> Arc<dyn Publisher> { Arc::new(RemoteBroker { machine, store, of }) });
            Arc::new(Outbox::new(publisher))
        };
        let (of_requests, of_redrive) = (outbox(Source::Requests), outbox(Source::Redrive));
        let limits = Sabotage::limits(world.plan.sabotage, world.plan.limits);
        let mut policy: Policy = world.plan.policy;
        if world.plan.sabotage == Some(Sabotage::GivesUpOnUnknown) {
            policy.on_unknown = OnUnknown::Fail;
        }
        let worker = Arc::new(Worker {
            store,
            providers: Arc::new(Providers::of([(Channel::Email, provider)], &limits)),
            clock: Arc::<Machine>::clone(&machine),
            random: Arc::new(Draws(Arc::clone(world))),
            policy,
            metrics: Arc::default(),
            traces: Traces::default(),
        });
        Arc::new(Self {
            machine,
            create: Create { worker: Arc::clone(&worker), outbox: of_requests },
            get: Get { store: Arc::clone(&worker.store), clock: Arc::clone(&worker.clock) },
            process: Process { worker: Arc::clone(&worker) },
            redrive: Redrive { worker, outbox: of_redrive },
        })
    }

    async fn consume(&self) {
        let (world, me) = (&self.machine.world, self.machine.who());
        while !self.machine.stop.is_cancelled() {
            let batch = if world.away(world.plan.broker_away) { None } else { world.broker.take(me) };
            let Some(batch) = batch else {
                world.broker.news.notified().await;
                sleep(world.dice.millis(1..300)).await;
                continue;
            };
            world.tell(me, What::Batch { partition: batch.partition, from: batch.from, records: batch.events.len() });
            if world.strikes(world.plan.rates.rebalance) {
                world.tell(me, What::Note("! a rebalance takes the batch from it"));
                world.broker.release(me);
            }
            match self.process.run(batch.records(), &self.machine.budget(RUN)).await {
                Ok(_) => world.broker.commit(me, &batch),
                Err(_nothing_reached) => {
                    sleep(Duration::from_secs(1)).await;
                    world.broker.release(me);
                }
            }
        }
    }

    async fn redrive(&self) {
        let every = self.machine.world.plan.redrive_every;
        sleep(self.machine.world.dice.millis(0..u64::try_from(every.as_millis()).unwrap())).await;
        while !self.machine.stop.is_cancelled() {
            let now = Instant::now();
            self.redrive.run(&self.machine.budget(RUN), now + every).await;
            sleep_until(now + every).await;
        }
    }

    /// Told to stop, a process has this long to finish what it holds.
    async fn drain(&self) {
        self.machine.stop.cancelled().await;
        sleep(self.machine.world.plan.policy.send_timeout + Budget::BESIDE_SEND).await;
    }

    fn begin(self: &Arc<Self>) {
        let (consumer, redrive) = (Arc::clone(self), Arc::clone(self));
        self.keep("the consumer panicked", async move { consumer.consume().await });
        self.keep("redrive panicked", async move { redrive.redrive().await });
    }

    fn keep(&self, rule: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let machine = Arc::clone(&self.machine);
        self.machine.spawn(async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                machine.world.broken(machine.who(), rule.to_owned());
            }
        });
    }
}

/// Keeps process `number` running, life after life.
pub async fn supervise(world: Arc<World>, number: usize) {
    for life in 1.. {
        let host = Host::new(&world, number, life);
        world.tell(host.machine.who(), What::Note("starts"));
        host.begin();
        world.hosts().insert(number, Arc::clone(&host));
        tokio::select! {
            biased;
            () = host.machine.died.notified() => {}
            () = host.drain() => host.machine.end(),
        }
        world.hosts().remove(&number);
        world.broker.release(Who::Process { number, life });
        sleep(world.dice.millis(100..20_000)).await;
    }
}
