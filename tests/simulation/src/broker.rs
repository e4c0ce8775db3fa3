//! The log: partitions that are read in order and committed after success. And a process's way to it,
//! with all that can become of an event.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use shared::events::batch::{Deliver, Place, Record};
use shared::events::{Error, Event, Publisher};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::machine::Machine;
use crate::plan::PRODUCE_TIMEOUT;
use crate::sabotage::Sabotage;
use crate::store::RemoteStore;
use crate::story::{What, Who};
use crate::world::World;

const PARTITIONS: usize = 3;
const BATCH: usize = 10;

#[derive(Debug, Default)]
pub struct Broker {
    partitions: Mutex<[Partition; PARTITIONS]>,
    pub news: Notify,
}

#[derive(Debug, Default)]
struct Partition {
    log: Vec<Event>,
    committed: usize,
    reader: Option<Who>,
}

#[derive(Debug)]
pub struct Batch {
    pub partition: usize,
    pub from: usize,
    pub events: Vec<Event>,
}

impl Batch {
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let place = |n| Place { partition: format!("notification-events-{}", self.partition), offset: i64::try_from(n).ok() };
        let record = |(n, event): (usize, &Event)| {
            let Event { id, channel, key, time, .. } = event.clone();
            Record::Deliver(Deliver { id, channel, key, place: place(self.from + n), written_at: Some(time), parent: None })
        };
        self.events.iter().enumerate().map(record).collect()
    }
}

impl Broker {
    pub fn append(&self, world: &World, event: &Event) {
        {
            let of_user = event.key.bytes().map(usize::from).sum::<usize>() % PARTITIONS;
            let anywhere = world.plan.sabotage == Some(Sabotage::AnyPartition);
            let partition = if anywhere { world.dice.index(PARTITIONS) } else { of_user };
            let mut partitions = self.lock();
            let Partition { log, committed, .. } = &mut partitions[partition];
            let at = if world.strikes(world.plan.rates.event_reordered) {
                world.tell(Who::World, What::Note("an event comes before others in the log"));
                *committed + world.dice.index(log.len() - *committed + 1)
            } else {
                log.len()
            };
            log.insert(at, event.clone());
        }
        self.news.notify_waiters();
    }

    /// What nobody else reads, from the last commit on.
    pub fn take(&self, reader: Who) -> Option<Batch> {
        let mut partitions = self.lock();
        let (number, partition) =
            partitions.iter_mut().enumerate().find(|(_, p)| p.reader.is_none() && p.log.len() > p.committed)?;
        partition.reader = Some(reader);
        let events = partition.log.iter().skip(partition.committed).take(BATCH).cloned().collect();
        Some(Batch { partition: number, from: partition.committed, events })
    }

    pub fn commit(&self, reader: Who, batch: &Batch) {
        let mut partitions = self.lock();
        let partition = &mut partitions[batch.partition];
        // One that lost the partition meanwhile commits nothing.
        if partition.reader == Some(reader) {
            partition.committed = partition.log.len().min(batch.from + batch.events.len());
        }
        drop(partitions);
        self.release(reader);
    }

    /// A reader that ended, or that a rebalance took it from: what it holds will be read again.
    pub fn release(&self, reader: Who) {
        for partition in &mut *self.lock() {
            if partition.reader == Some(reader) {
                partition.reader = None;
            }
        }
        self.news.notify_waiters();
    }

    pub fn lose_all(&self) {
        for partition in &mut *self.lock() {
            partition.log.truncate(partition.committed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Partition; PARTITIONS]> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub struct RemoteBroker {
    pub machine: Arc<Machine>,
    pub store: Arc<RemoteStore>,
    pub of: Source,
}

/// Who has something to say. As on AWS, each has a producer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Requests,
    Redrive,
}

impl RemoteBroker {
    async fn produce(&self, event: &Event) -> Result<(), Error> {
        let (world, rates) = (&self.machine.world, &self.machine.world.plan.rates);
        let tell = |how| world.tell(self.machine.who(), What::Published { id: event.id, attempt: event.attempt, how });
        let unavailable = || Err(Error::Unavailable { what: "the broker does not answer".to_owned() });
        if !world.plan.is_calm() {
            self.machine.peril().await;
        }
        if world.away(world.plan.broker_away) || world.strikes(rates.publish_fails) {
            tell("! does not get there");
            if world.dice.one_in(4) {
                return Err(Error::Refused { what: "no such topic".to_owned() });
            }
            sleep(PRODUCE_TIMEOUT).await;
            return unavailable();
        }
        if self.of == Source::Redrive {
            world.seen().redriven(self.machine.who(), event.id);
        }
        let nth = world.seen().published(event.id, event.attempt);
        if world.plan.sabotage == Some(Sabotage::PublishBeforePut) && (event.attempt, nth) == (1, 1) {
            return Ok(());
        }
        if world.strikes(rates.publish_late) {
            tell("! no answer; it is in the log later");
            let (world, event) = (Arc::clone(world), event.clone());
            let after = world.dice.millis(100..90_000);
            tokio::spawn(async move {
                sleep(after).await;
                world.broker.append(&world, &event);
            });
            sleep(PRODUCE_TIMEOUT).await;
            return unavailable();
        }
        if world.strikes(rates.event_lost) {
            tell("! acknowledged and lost");
        } else {
            tell("in the log");
            world.broker.append(world, event);
            if world.strikes(rates.event_repeated) {
                tell("! in the log twice");
                world.broker.append(world, event);
            }
        }
        if !world.plan.is_calm() {
            self.machine.peril().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Publisher for RemoteBroker {
    async fn publish(&self, event: &Event) -> Result<(), Error> {
        let produced = timeout(PRODUCE_TIMEOUT, self.produce(event)).await;
        if self.machine.world.plan.sabotage == Some(Sabotage::RearmAfterPublish) {
            self.store.rearm_now(event.id).await.map_err(|error| Error::Unavailable { what: error.to_string() })?;
        }
        produced.unwrap_or_else(|_elapsed| Err(Error::Unavailable { what: "no answer in time".to_owned() }))
    }
}
