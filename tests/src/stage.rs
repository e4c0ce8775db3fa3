//! The real use cases on a real store, with a clock that a test steps, a provider that says what a test
//! wants, and a broker whose events a test hands over itself. Nothing here waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use shared::channels::registry::Providers;
use shared::channels::{Limits, Message, Provider, Sent};
use shared::clock::Clock;
use shared::domain::{
    Change, Channel, IdempotencyKey, NewNotification, Notification, NotificationId, Status, Tenant, Timestamp, Token,
};
use shared::events::{Error, Event, Outbox, Publisher};
use shared::random::SystemRandom;
use shared::sample::{self, POLICY, START, new_notification};
use shared::service::create::{Create, Creation};
use shared::service::deliver::Worker;
use shared::service::process::{NothingReached, Process, Report};
use shared::service::redrive::{self, Redrive};
use shared::service::{Budget, Policy};
use shared::store::dynamodb::DynamoDb;
use shared::store::{Applied, Store};
use shared::traces::Traces;
use tokio::time::Instant;

use crate::test_store::TestStore;

#[derive(Debug)]
pub struct StepClock(AtomicI64);

impl StepClock {
    pub fn step(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// [`START`], and on from there with tokio's clock: where a test pauses that one, time is virtual.
#[derive(Debug)]
pub struct TokioClock(Instant);

impl TokioClock {
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        START.plus(self.0.elapsed())
    }
}

/// Says what it was told to say, one answer for each message; accepts when nothing is left to say.
#[derive(Debug, Default)]
pub struct Scripted {
    pub answers: Mutex<VecDeque<Says>>,
    pub messages: Mutex<Vec<Message>>,
    pub drops_repeats: AtomicBool,
}

#[derive(Debug)]
pub enum Says {
    This(Sent),
    Panic,
    /// The clock moves on while it sends: a worker that was frozen.
    AfterStep(Arc<StepClock>, Duration, Sent),
    /// Another worker's chance while this one sends.
    AfterTurn(Arc<Worker>, Duration, Arc<StepClock>, Sent),
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }
    fn needs_recipient(&self) -> bool {
        false
    }
    fn drops_repeats(&self) -> bool {
        self.drops_repeats.load(Ordering::SeqCst)
    }
    async fn send(&self, message: &Message) -> Sent {
        self.messages.lock().unwrap().push(message.clone());
        let says = self.answers.lock().unwrap().pop_front();
        match says {
            None => Sent::Accepted { provider_message_id: None },
            Some(Says::This(sent)) => sent,
            Some(Says::Panic) => panic!("the provider was told to panic"),
            Some(Says::AfterStep(clock, by, sent)) => {
                clock.step(by);
                sent
            }
            Some(Says::AfterTurn(other, by, clock, sent)) => {
                clock.step(by);
                Box::pin(other.deliver(message.id, message.channel, Instant::now(), &plenty())).await.expect("the store answers");
                sent
            }
        }
    }
}

/// A broker that keeps what it is given until a test hands it over, or that is away.
#[derive(Debug, Default)]
pub struct Broker {
    pub events: Mutex<Vec<Event>>,
    pub away: AtomicBool,
}

#[async_trait]
impl Publisher for Broker {
    async fn publish(&self, event: &Event) -> Result<(), Error> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::Unavailable { what: "the test took it away".to_owned() });
        }
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }
}

#[derive(Debug)]
pub struct Stage {
    pub clock: Arc<StepClock>,
    pub provider: Arc<Scripted>,
    pub broker: Arc<Broker>,
    pub worker: Arc<Worker>,
    pub store: Arc<DynamoDb>,
    pub create: Create,
    pub process: Process,
    pub redrive: Redrive,
    _test_store: TestStore,
}

/// More time than anything here takes.
#[must_use]
pub fn plenty() -> Budget {
    Budget::until(Instant::now() + Duration::from_mins(1))
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(POLICY, true).await
    }

    pub async fn without_kafka() -> Self {
        Self::with(POLICY, false).await
    }

    pub async fn with(policy: Policy, kafka: bool) -> Self {
        let test_store = TestStore::start().await;
        let store = Arc::new(test_store.db.clone());
        let clock = Arc::new(StepClock(AtomicI64::new(START.as_millis())));
        let provider = Arc::new(Scripted::default());
        let broker = Arc::new(Broker::default());
        let on = |channel| -> (Channel, Arc<dyn Provider>) { (channel, provider.clone()) };
        let worker = Arc::new(Worker {
            store: store.clone(),
            providers: Arc::new(Providers::of([on(Channel::Email), on(Channel::Push)], &Limits::default())),
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
            policy,
            metrics: Arc::default(),
            traces: Traces::default(),
        });
        let publisher = kafka.then(|| -> Arc<dyn Publisher> { broker.clone() });
        let outbox = Arc::new(Outbox::new(publisher));
        Self {
            create: Create { worker: Arc::clone(&worker), outbox: Arc::clone(&outbox) },
            process: Process { worker: Arc::clone(&worker) },
            redrive: Redrive { worker: Arc::clone(&worker), outbox },
            clock,
            provider,
            broker,
            worker,
            store,
            _test_store: test_store,
        }
    }

    pub fn says(&self, answers: impl IntoIterator<Item = Says>) {
        self.provider.answers.lock().unwrap().extend(answers);
    }

    /// How many messages the provider was given.
    #[must_use]
    pub fn sends(&self) -> usize {
        self.provider.messages.lock().unwrap().len()
    }

    pub async fn accept(&self, new: NewNotification) -> Box<Notification> {
        match self.create.create(new, &plenty()).await.expect("the store answers") {
            Creation::Accepted(n) | Creation::Attempted(n) => n,
            other @ (Creation::Replayed(_) | Creation::KeyReused) => panic!("not accepted: {other:?}"),
        }
    }

    /// Hands all published events to `process`, as one batch.
    pub async fn consume(&self) -> Result<Report, NothingReached> {
        let events = std::mem::take(&mut *self.broker.events.lock().unwrap());
        self.process.run(events.into_iter().map(|event| sample::record(event, 0)).collect(), &plenty()).await
    }

    pub async fn run_redrive(&self) -> redrive::Report {
        self.redrive.run(&plenty(), Instant::now()).await
    }

    /// Claims as a worker that is never heard of again.
    pub async fn lose_a_worker(&self, id: NotificationId) {
        let now = self.clock.now();
        let token = Token::from_uuid(uuid::Uuid::from_u128(7));
        let claim =
            Change::Claim { now, skew: POLICY.clock_skew, token, lease_until: now.plus(POLICY.lease), channel: Channel::Email };
        let claimed = self.store.apply(id, &claim).await.expect("the store answers");
        assert!(matches!(claimed, Applied::Done(_)), "{claimed:?}");
    }

    pub async fn read(&self, id: NotificationId) -> Notification {
        self.store.get(&Tenant::default(), id).await.expect("the store answers").expect("it is there")
    }

    pub async fn status(&self, id: NotificationId) -> Status {
        self.read(id).await.status
    }
}

#[must_use]
pub fn with_key(key: &str) -> NewNotification {
    NewNotification { idempotency_key: Some(IdempotencyKey::parse(key).unwrap()), ..new_notification() }
}
