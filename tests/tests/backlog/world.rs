//! The use cases on virtual time, with a store, a broker and a provider that take their time as real ones
//! do, and that can fail where a test says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use shared::channels::registry::Providers;
use shared::channels::{Limits, Message, Provider, Sent};
use shared::clock::Clock;
use shared::domain::{Change, Channel, DueShard, NewNotification, Notification, NotificationId, Tenant, Timestamp, UserId};
use shared::events::{self, Event, Outbox, Publisher};
use shared::sample::{POLICY, new_notification, record};
use shared::service::create::{Create, Creation};
use shared::service::deliver::Worker;
use shared::service::process::Process;
use shared::service::redrive::Redrive;
use shared::service::{Budget, Policy};
use shared::store::{Applied, Created, Due, Error, Page, Position, Store};
use shared::traces::Traces;
use simulation::dice::Dice;
use simulation::model_store::ModelStore;
use tests::stage::TokioClock;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

const STORE: Duration = Duration::from_millis(5);
const BROKER: Duration = Duration::from_millis(2);
const PROVIDER: Duration = Duration::from_millis(20);
/// How long a call of a throttled shard takes until the SDK gives up.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// As the server has them.
const REDRIVE_EVERY: Duration = Duration::from_secs(1);
const REDRIVE_RUN: Duration = Duration::from_mins(1);
/// As Lambda hands them over.
const BATCH: usize = 100;
const CREATES_SIDE_BY_SIDE: usize = 100;
const USERS: u64 = 1_000;

/// A limit that nobody reaches: what is counted here is events, not retries.
const LASTING: Policy = Policy { retention: Duration::from_hours(24 * 90), ..POLICY };

#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) store: ModelStore,
    /// Every write of these shards takes its time and fails; so do reads, where the second says so.
    pub(crate) throttled: Mutex<Option<(DueShard, bool)>>,
    pub(crate) unreadable: Mutex<BTreeSet<NotificationId>>,
    /// How often each unreadable one was written to.
    pub(crate) disturbed: Mutex<BTreeMap<NotificationId, u32>>,
    log: Mutex<VecDeque<Event>>,
    /// How often the event of each attempt went out.
    pub(crate) events: Mutex<BTreeMap<(NotificationId, u32), u32>>,
    /// When each was taken by the provider, every time.
    pub(crate) sent: Mutex<BTreeMap<NotificationId, Vec<Instant>>>,
    /// Changes that the store was asked for and has not answered yet, and the most there were.
    under_way: AtomicU32,
    pub(crate) most_under_way: AtomicU32,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) parts: Arc<Parts>,
    pub(crate) clock: Arc<TokioClock>,
    create: Create,
    process: Process,
    redrive: Arc<Redrive>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_room(Limits::default().email)
    }

    /// So many e-mails may be under way at once.
    pub(crate) fn with_room(email: u32) -> Self {
        let limits = Limits { email, ..Limits::default() };
        let (parts, clock) = (Arc::new(Parts::default()), Arc::new(TokioClock::start()));
        let provider: Arc<dyn Provider> = Arc::<Parts>::clone(&parts);
        let worker = Arc::new(Worker {
            store: Arc::<Parts>::clone(&parts),
            providers: Arc::new(Providers::of([(Channel::Email, provider)], &limits)),
            clock: Arc::<TokioClock>::clone(&clock),
            random: Arc::new(Dice::new(1)),
            policy: LASTING,
            metrics: Arc::default(),
            traces: Traces::default(),
        });
        let outbox = || Arc::new(Outbox::new(Some(Arc::<Parts>::clone(&parts))));
        Self {
            create: Create { worker: Arc::clone(&worker), outbox: outbox() },
            process: Process { worker: Arc::clone(&worker) },
            redrive: Arc::new(Redrive { worker, outbox: outbox() }),
            parts,
            clock,
        }
    }

    /// So many are created, side by side; scheduled, if there is an instant for them.
    pub(crate) async fn accept(&self, many: u64, scheduled_at: Option<Timestamp>) -> Vec<NotificationId> {
        let one = |n: u64| async move {
            let user_id = UserId::parse(&format!("user-{}", n % USERS)).unwrap();
            let new = NewNotification { user_id, scheduled_at, ..new_notification() };
            match self.create.create(new, &long()).await.unwrap() {
                Creation::Accepted(n) => n.id,
                other @ (Creation::Attempted(_) | Creation::Replayed(_) | Creation::KeyReused) => panic!("{other:?}"),
            }
        };
        stream::iter(0..many).map(one).buffer_unordered(CREATES_SIDE_BY_SIDE).collect().await
    }

    /// The consumer reads the log to its end: how many events those were.
    pub(crate) async fn consume(&self) -> u64 {
        let mut read = 0;
        loop {
            let batch: Vec<Event> = {
                let mut log = self.parts.log.lock().unwrap();
                let most = BATCH.min(log.len());
                log.drain(..most).collect()
            };
            if batch.is_empty() {
                return read;
            }
            read += u64::try_from(batch.len()).unwrap();
            let records = batch.into_iter().map(|event| record(event, 0));
            self.process.run(records.collect(), &long()).await.unwrap();
        }
    }

    /// Redrive by the server's schedule, until this world ends.
    pub(crate) fn begin_redrive(&self) {
        let redrive = Arc::clone(&self.redrive);
        tokio::spawn(async move {
            let mut ticks = interval(REDRIVE_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let now = Instant::now();
                redrive.run(&Budget::until(now + REDRIVE_RUN), now + REDRIVE_EVERY).await;
            }
        });
    }

    /// When the last of these was sent. Each must have been, once.
    pub(crate) fn all_sent_once(&self, ids: &[NotificationId]) -> Instant {
        let sent = self.parts.sent.lock().unwrap();
        let one = |id| match sent.get(id).map_or(&[][..], Vec::as_slice) {
            [once] => *once,
            other => panic!("{id} was sent {} times", other.len()),
        };
        ids.iter().map(one).max().unwrap()
    }

    /// One that falls into this shard, stored as `create` would have, due now and its event lost.
    pub(crate) fn store_overdue(&self, shard: Option<DueShard>) -> Notification {
        use shared::domain::notification::Birth;
        let random: &dyn shared::random::Random = &*self.create.worker.random;
        let now = self.clock.now();
        let id = loop {
            let id = random.notification_id(now);
            if shard.is_none_or(|shard| DueShard::of(id) == shard) {
                break id;
            }
        };
        let birth = Birth { id, create_token: random.token(), now, attempt_limit: 3, due_guard: Duration::ZERO };
        let user_id = UserId::parse(&format!("user-{id}")).unwrap();
        let n = Notification::create(NewNotification { user_id, ..new_notification() }, birth);
        assert_eq!(self.parts.store.put(&n).0, Created::New);
        n
    }

    pub(crate) fn read(&self, id: NotificationId) -> Notification {
        self.parts.store.read(&Tenant::default(), id).unwrap()
    }
}

/// More time than anything here takes.
fn long() -> Budget {
    Budget::until(Instant::now() + Duration::from_hours(24))
}

impl Parts {
    async fn reach(&self, shard: DueShard, reads: bool) -> Result<(), Error> {
        let throttled = *self.throttled.lock().unwrap();
        if throttled.is_some_and(|(throttled, also_reads)| throttled == shard && (also_reads || !reads)) {
            sleep(STORE_TIMEOUT).await;
            return Err(Error::Unavailable { what: "ThrottlingException (HTTP 400)".to_owned() });
        }
        sleep(STORE).await;
        Ok(())
    }
}

#[async_trait]
impl Store for Parts {
    async fn create(&self, notification: &Notification) -> Result<Created, Error> {
        self.reach(DueShard::of(notification.id), false).await?;
        self.store.create(notification).await
    }

    async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::Relaxed);
        let reached = self.reach(DueShard::of(id), false).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        reached?;
        let applied = self.store.apply(id, change).await;
        if self.unreadable.lock().unwrap().contains(&id) {
            // As in DynamoDB: it is written, and what comes back says nothing.
            *self.disturbed.lock().unwrap().entry(id).or_default() += 1;
            return Err(Error::Unreadable { what: "status".to_owned() });
        }
        applied
    }

    async fn get(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Notification>, Error> {
        self.store.get(tenant, id).await
    }

    async fn list(&self, tenant: &Tenant, user: &UserId, limit: u32, after: Option<Position>) -> Result<Page, Error> {
        self.store.list(tenant, user, limit, after).await
    }

    async fn due(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error> {
        self.reach(shard, true).await?;
        self.store.due(shard, limit, after).await
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[async_trait]
impl Publisher for Parts {
    async fn publish(&self, event: &Event) -> Result<(), events::Error> {
        sleep(BROKER).await;
        *self.events.lock().unwrap().entry((event.id, event.attempt)).or_default() += 1;
        self.log.lock().unwrap().push_back(event.clone());
        Ok(())
    }
}

#[async_trait]
impl Provider for Parts {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn needs_recipient(&self) -> bool {
        false
    }

    fn drops_repeats(&self) -> bool {
        false
    }

    async fn send(&self, message: &Message) -> Sent {
        sleep(PROVIDER).await;
        self.sent.lock().unwrap().entry(message.id).or_default().push(Instant::now());
        Sent::Accepted { provider_message_id: None }
    }
}
