//! The use cases, their consumer and their redrive, with two providers that are as slow and as broken as a
//! test says.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use shared::channels::breaker::Endurance;
use shared::channels::registry::Providers;
use shared::channels::{Limits, Message, Provider, Sent};
use shared::clock::Clock;
use shared::domain::{Change, Channel, NewNotification, Notification, NotificationId, Status, Tenant, Timestamp, Token, UserId};
use shared::events::batch::Record;
use shared::events::{Outbox, Publisher};
use shared::random::SystemRandom;
use shared::retry::RetryPolicy;
use shared::sample::{POLICY, START, new_notification, record};
use shared::service::create::{Create, Creation};
use shared::service::deliver::Worker;
use shared::service::process::Process;
use shared::service::redrive::Redrive;
use shared::service::{Budget, Policy};
use shared::store::Store;
use shared::traces::Traces;
use tests::stage::Broker;
use tokio::time::{Instant, sleep, sleep_until};

use crate::hanging::HangingStore;

const PAUSE: RetryPolicy = RetryPolicy { base: Duration::from_secs(10), cap: Duration::from_mins(1), max_attempts: u32::MAX };
pub(crate) const LIMITS: Limits = Limits { email: 20, sms: 20, push: 20, endurance: Endurance { failures: 5, pause: PAUSE } };
/// Lambda's, and the server's.
const BATCH: usize = 100;
/// More virtual time than anything here takes.
const PATIENCE: Duration = Duration::from_hours(2);

#[derive(Debug)]
struct VirtualTime(Instant);

impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        START.plus(self.0.elapsed())
    }
}

#[derive(Debug)]
pub(crate) struct Model(Mutex<State>);

#[derive(Debug)]
struct State {
    takes: Option<Duration>,
    says: fn() -> Sent,
    quick_for: BTreeSet<String>,
    begun: Vec<Instant>,
    under_way: usize,
    most: usize,
}

struct UnderWay<'a>(&'a Model);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

fn accepted() -> Sent {
    Sent::Accepted { provider_message_id: None }
}

impl Model {
    fn new() -> Arc<Self> {
        let (takes, says): (_, fn() -> Sent) = (Some(Duration::ZERO), accepted);
        Arc::new(Self(Mutex::new(State { takes, says, quick_for: BTreeSet::new(), begun: Vec::new(), under_way: 0, most: 0 })))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn takes(&self, time: Duration) {
        self.lock().takes = Some(time);
    }

    /// It is asked and never answers.
    pub(crate) fn hangs(&self) {
        self.lock().takes = None;
    }

    pub(crate) fn says(&self, says: fn() -> Sent) {
        self.lock().says = says;
    }

    /// At once, from now on.
    pub(crate) fn accepts(&self) {
        self.takes(Duration::ZERO);
        self.says(accepted);
    }

    pub(crate) fn quick_for(&self, user: &str) {
        self.lock().quick_for.insert(user.to_owned());
    }

    /// When each attempt began.
    pub(crate) fn begun(&self) -> Vec<Instant> {
        self.lock().begun.clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.lock().most
    }
}

#[async_trait]
impl Provider for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    fn needs_recipient(&self) -> bool {
        false
    }

    fn drops_repeats(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message) -> Sent {
        let takes = {
            let mut state = self.lock();
            state.begun.push(Instant::now());
            state.under_way += 1;
            state.most = state.most.max(state.under_way);
            if state.quick_for.contains(message.user_id.as_str()) { Some(Duration::ZERO) } else { state.takes }
        };
        let _under_way = UnderWay(self);
        match takes {
            Some(time) => sleep(time).await,
            None => std::future::pending().await,
        }
        let says = self.lock().says;
        says()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) email: Arc<Model>,
    pub(crate) sms: Arc<Model>,
    pub(crate) process: Arc<Process>,
    pub(crate) create: Arc<Create>,
    redrive: Arc<Redrive>,
    broker: Arc<Broker>,
    store: Arc<HangingStore>,
    clock: Arc<VirtualTime>,
}

impl House {
    pub(crate) fn new(limits: Limits, policy: Policy) -> Self {
        Self::with(limits, policy, true)
    }

    pub(crate) fn without_kafka(limits: Limits, policy: Policy) -> Self {
        Self::with(limits, policy, false)
    }

    fn with(limits: Limits, policy: Policy, kafka: bool) -> Self {
        let (email, sms, broker) = (Model::new(), Model::new(), Arc::new(Broker::default()));
        let (store, clock) = (Arc::new(HangingStore::default()), Arc::new(VirtualTime(Instant::now())));
        let on = |channel, model: &Arc<Model>| -> (Channel, Arc<dyn Provider>) { (channel, Arc::<Model>::clone(model)) };
        let worker = Arc::new(Worker {
            store: Arc::<HangingStore>::clone(&store),
            providers: Arc::new(Providers::of([on(Channel::Email, &email), on(Channel::Sms, &sms)], &limits)),
            clock: Arc::<VirtualTime>::clone(&clock),
            random: Arc::new(SystemRandom),
            // Nothing here is about how often a notification is tried.
            policy: Policy { retry: RetryPolicy { max_attempts: 1_000, ..policy.retry }, ..policy },
            metrics: Arc::default(),
            traces: Traces::default(),
        });
        let outbox = Arc::new(Outbox::new(kafka.then(|| -> Arc<dyn Publisher> { broker.clone() })));
        Self {
            email,
            sms,
            process: Arc::new(Process { worker: Arc::clone(&worker) }),
            create: Arc::new(Create { worker: Arc::clone(&worker), outbox: Arc::clone(&outbox) }),
            redrive: Arc::new(Redrive { worker, outbox }),
            broker,
            store,
            clock,
        }
    }

    /// What the server has: one batch after the other, and a redrive every second.
    pub(crate) fn live(&self) {
        let (consumer, schedule) = (self.clone(), self.clone());
        tokio::spawn(async move {
            loop {
                match consumer.records(BATCH) {
                    records if records.is_empty() => sleep(Duration::from_millis(10)).await,
                    records => drop(consumer.process.run(records, &consumer.budget()).await),
                }
            }
        });
        tokio::spawn(async move {
            loop {
                let next = Instant::now() + Duration::from_secs(1);
                schedule.redrive.run(&schedule.budget(), next).await;
                sleep_until(next).await;
            }
        });
    }

    #[expect(clippy::unused_self, reason = "it reads as the house's")]
    pub(crate) fn budget(&self) -> Budget {
        Budget::until(Instant::now() + Duration::from_mins(1))
    }

    pub(crate) async fn create(&self, channel: Channel, user: &str) -> Creation {
        let new = NewNotification { channel, user_id: UserId::parse(user).unwrap(), ..new_notification() };
        self.create.create(new, &self.budget()).await.unwrap()
    }

    pub(crate) async fn make(self, channel: Channel, user: &str) {
        self.create(channel, user).await;
    }

    pub(crate) async fn accept(&self, channel: Channel, user: &str) -> NotificationId {
        match self.create(channel, user).await {
            Creation::Accepted(n) | Creation::Attempted(n) => n.id,
            other @ (Creation::Replayed(_) | Creation::KeyReused) => panic!("{other:?}"),
        }
    }

    /// The next events of the log.
    pub(crate) fn records(&self, most: usize) -> Vec<Record> {
        let mut log = self.broker.events.lock().unwrap();
        let next = most.min(log.len());
        log.drain(..next).map(|event| record(event, 0)).collect()
    }

    /// The events that are in the log say that they are of this channel.
    pub(crate) fn misname(&self, channel: Channel) {
        self.broker.events.lock().unwrap().iter_mut().for_each(|event| event.channel = channel);
    }

    pub(crate) async fn lose_a_worker(&self, id: NotificationId) {
        let (now, skew, channel) = (self.clock.now(), POLICY.clock_skew, self.read(id).channel);
        let token = Token::from_uuid(uuid::Uuid::from_u128(7));
        let claim = Change::Claim { now, skew, token, lease_until: now.plus(POLICY.lease), channel };
        self.store.apply(id, &claim).await.unwrap();
    }

    pub(crate) fn store_hangs(&self, hangs: bool) {
        self.store.hangs.store(hangs, Ordering::Relaxed);
    }

    /// One run of redrive, which waits for what becomes due within that time.
    pub(crate) async fn redrive_once(&self, idle: Duration) {
        self.redrive.run(&self.budget(), Instant::now() + idle).await;
    }

    pub(crate) fn all(&self) -> Vec<Notification> {
        self.store.model.all()
    }

    pub(crate) fn in_status(&self, status: Status) -> usize {
        self.all().iter().filter(|n| n.status == status).count()
    }

    pub(crate) fn read(&self, id: NotificationId) -> Notification {
        self.store.model.read(&Tenant::default(), id).unwrap()
    }

    /// Goes on until all of them have the status.
    pub(crate) async fn until(&self, status: Status, ids: &[NotificationId]) {
        let until = Instant::now() + PATIENCE;
        while !ids.iter().all(|id| self.read(*id).status == status) {
            assert!(Instant::now() < until, "{} of {} are so", self.in_status(status), ids.len());
            sleep(Duration::from_millis(10)).await;
        }
    }
}
