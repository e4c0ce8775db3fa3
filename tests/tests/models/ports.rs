//! The models of broker and provider keep the contracts of the real ones.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared::events::Publisher;
use shared::events::batch::Record;
use simulation::broker::{Batch, RemoteBroker, Source};
use simulation::dice::Dice;
use simulation::machine::Machine;
use simulation::plan::{PRODUCE_TIMEOUT, Plan, Rates, Weather};
use simulation::provider::RemoteProvider;
use simulation::store::RemoteStore;
use simulation::story::Who;
use simulation::world::World;
use tests::contract::{log, provider};

/// Rough, but nothing fails but what the rates say.
fn machine(rates: Rates, broker_away: Option<(Duration, Duration)>) -> Arc<Machine> {
    let dice = Dice::new(1);
    let plan = Plan::of(&dice, None);
    let none = Plan { weather: Weather::Rough, store_away: None, provider_away: None, skew_millis: 0, ..plan };
    let world = World::of(dice, Plan { rates, broker_away, ..none });
    Machine::start(&world, 0, 1)
}

struct ModelLog {
    broker: RemoteBroker,
    reader: u32,
    batch: Option<Batch>,
}

impl ModelLog {
    /// Away from `from` on, until it is told to come back.
    fn start(from: Option<Duration>) -> Self {
        let machine = machine(Rates::default(), from.map(|from| (from, Duration::MAX)));
        let store = RemoteStore::of(&machine);
        Self { broker: RemoteBroker { machine, store, of: Source::Requests }, reader: 1, batch: None }
    }

    fn who(&self) -> Who {
        Who::Process { number: 1, life: self.reader }
    }

    fn world(&self) -> &World {
        &self.broker.machine.world
    }
}

const AWAY: Duration = Duration::from_mins(1);

#[async_trait]
impl log::Log for ModelLog {
    fn publisher(&self) -> &dyn Publisher {
        &self.broker
    }

    fn produce_timeout(&self) -> Duration {
        PRODUCE_TIMEOUT
    }

    async fn read(&mut self) -> Vec<Record> {
        let batch = loop {
            match self.world().broker.take(self.who()) {
                Some(batch) => break batch,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let records = batch.records();
        self.batch = Some(batch);
        records
    }

    async fn commit(&mut self) {
        let batch = self.batch.take().unwrap();
        self.world().broker.commit(self.who(), &batch);
    }

    async fn lose_reader(&mut self) {
        self.batch = None;
        self.world().broker.release(self.who());
        self.reader += 1;
    }

    async fn go_away(&mut self) {
        tokio::time::sleep(AWAY).await;
    }

    async fn come_back(&mut self) {
        self.world().heal();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_published_is_read_in_order_and_once_it_is_committed_not_again() {
    log::what_was_published_is_read_in_order_and_once_it_is_committed_not_again(&mut ModelLog::start(None)).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_read_and_not_committed_is_read_again() {
    log::what_was_read_and_not_committed_is_read_again(&mut ModelLog::start(None)).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_says_so_in_time_and_takes_events_again_when_it_is_back() {
    let mut log = ModelLog::start(Some(AWAY));
    log::a_broker_that_is_away_says_so_in_time_and_takes_events_again_when_it_is_back(&mut log).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_whether_the_message_was_taken() {
    let machine = machine(Rates { provider_tells: 300, provider_unknown: 300, ..Rates::default() }, None);
    let world = Arc::clone(&machine.world);
    let taken = || world.seen().takes.iter().map(|(id, _)| *id).collect();
    let provider = RemoteProvider { machine };
    provider::an_answer_says_whether_the_message_was_taken(&provider, 100, Duration::from_secs(5), taken).await;
}
