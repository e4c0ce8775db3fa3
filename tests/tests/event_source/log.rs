//! Kafka, the publisher and the event source keep the contract that the simulation's model keeps.

use std::time::Duration;

use async_trait::async_trait;
use shared::events::Publisher;
use shared::events::batch::{self, Record};
use shared::events::kafka::KafkaPublisher;
use tests::contract::log;
use tests::kafka::Kafka;

use super::member::{Call, Member, settings};

struct RealLog {
    kafka: Kafka,
    publisher: KafkaPublisher,
    member: Option<Member>,
    call: Option<Call>,
}

impl RealLog {
    /// Whose publisher waits so long for an answer.
    fn patient(mut kafka: Kafka) -> Self {
        kafka.settings.produce_timeout = Duration::from_secs(20);
        Self::start(kafka)
    }

    fn start(kafka: Kafka) -> Self {
        let publisher = KafkaPublisher::connect(&kafka.settings).unwrap();
        let member = Some(Member::start(settings(&kafka)));
        Self { kafka, publisher, member, call: None }
    }
}

#[async_trait]
impl log::Log for RealLog {
    fn publisher(&self) -> &dyn Publisher {
        &self.publisher
    }

    fn produce_timeout(&self) -> Duration {
        self.kafka.settings.produce_timeout
    }

    async fn read(&mut self) -> Vec<Record> {
        let call = self.member.as_mut().unwrap().call().await;
        let records = batch::read(&call.payload).unwrap();
        self.call = Some(call);
        records
    }

    async fn commit(&mut self) {
        self.call.take().unwrap().succeed();
    }

    async fn lose_reader(&mut self) {
        match self.call.take() {
            Some(unfinished) => {
                self.member.take().unwrap().kill().await;
                drop(unfinished);
            }
            // What it has done is committed when it leaves.
            None => self.member.take().unwrap().stop().await,
        }
        self.member = Some(Member::start(settings(&self.kafka)));
    }

    async fn go_away(&mut self) {
        self.kafka.broker().go_down().unwrap();
    }

    async fn come_back(&mut self) {
        self.kafka.broker().come_up().unwrap();
    }
}

#[tokio::test]
async fn what_was_published_is_read_in_order_and_once_it_is_committed_not_again() {
    let mut log = RealLog::patient(Kafka::with_partitions(3).await);
    log::what_was_published_is_read_in_order_and_once_it_is_committed_not_again(&mut log).await;
}

#[tokio::test]
async fn what_was_read_and_not_committed_is_read_again() {
    let mut log = RealLog::patient(Kafka::with_partitions(3).await);
    log::what_was_read_and_not_committed_is_read_again(&mut log).await;
}

/// On the embedded broker, which takes orders.
#[tokio::test]
async fn a_broker_that_is_away_says_so_in_time_and_takes_events_again_when_it_is_back() {
    let mut log = RealLog::start(Kafka::embedded(3));
    log::a_broker_that_is_away_says_so_in_time_and_takes_events_again_when_it_is_back(&mut log).await;
}
