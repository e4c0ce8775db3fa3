//! A store that holds notifications of every kind, `process` before it, and the model of what must come of
//! each record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use shared::channels::registry::Providers;
use shared::channels::{Limits, Message, Provider, Sent};
use shared::clock::Clock;
use shared::domain::notification::Birth;
use shared::domain::{Change, Channel, DueShard, NewNotification, Notification, NotificationId, Tenant, UserId};
use shared::events::Outbox;
use shared::random::Random;
use shared::sample::{POLICY, new_notification};
use shared::service::deliver::Worker;
use shared::service::process::Process;
use shared::service::redrive::Redrive;
use shared::store::{Applied, Created, Due, Error, Page, Position, Store};
use shared::traces::Traces;
use simulation::dice::Dice;
use simulation::model_store::ModelStore;
use tests::stage::TokioClock;

/// What lies under an id, and what the parts do when it is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Plain,
    Missing,
    /// Scheduled for later.
    NotDue,
    Expired,
    /// Of an unknown kind or a newer version.
    Foreign,
    Unreadable,
    /// The first call that touches it does not reach the store.
    FailsOnce,
    StorePanics,
    /// At its first attempt.
    ProviderPanics,
}

#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) store: ModelStore,
    pub(crate) fates: Mutex<BTreeMap<NotificationId, Fate>>,
    touched: Mutex<BTreeMap<NotificationId, u32>>,
    /// How many messages of each were taken.
    pub(crate) taken: Mutex<BTreeMap<NotificationId, u32>>,
    pub(crate) away: AtomicBool,
    pub(crate) healed: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) parts: Arc<Parts>,
    pub(crate) process: Process,
    pub(crate) redrive: Redrive,
    clock: Arc<TokioClock>,
    dice: Arc<Dice>,
}

impl World {
    pub(crate) fn new(dice: &Arc<Dice>) -> Self {
        let (parts, clock) = (Arc::new(Parts::default()), Arc::new(TokioClock::start()));
        let provider: Arc<dyn Provider> = Arc::<Parts>::clone(&parts);
        let worker = Arc::new(Worker {
            store: Arc::<Parts>::clone(&parts),
            providers: Arc::new(Providers::of([(Channel::Email, provider)], &Limits::default())),
            clock: Arc::<TokioClock>::clone(&clock),
            random: Arc::<Dice>::clone(dice),
            policy: POLICY,
            metrics: Arc::default(),
            traces: Traces::default(),
        });
        let redrive = Redrive { worker: Arc::clone(&worker), outbox: Arc::new(Outbox::new(None)) };
        Self { parts, process: Process { worker }, redrive, clock, dice: Arc::clone(dice) }
    }

    /// Puts one of this fate into the store.
    pub(crate) fn store(&self, fate: Fate, user: u64) -> NotificationId {
        let (random, now): (&dyn Random, _) = (&*self.dice, self.clock.now());
        let id = random.notification_id(now);
        self.parts.fates.lock().unwrap().insert(id, fate);
        if fate == Fate::Missing {
            return id;
        }
        let new = NewNotification {
            user_id: UserId::parse(&format!("user-{user}")).unwrap(),
            scheduled_at: (fate == Fate::NotDue).then(|| now.plus(Duration::from_hours(1))),
            expires_at: (fate == Fate::Expired).then_some(now),
            ..new_notification()
        };
        let birth = Birth { id, create_token: random.token(), now, attempt_limit: 3, due_guard: POLICY.due_guard };
        let (created, _) = self.parts.store.put(&Notification::create(new, birth));
        assert_eq!(created, Created::New);
        id
    }

    pub(crate) fn read(&self, id: NotificationId) -> Notification {
        self.parts.store.read(&Tenant::default(), id).unwrap()
    }

    pub(crate) fn taken(&self, id: NotificationId) -> u32 {
        self.parts.taken.lock().unwrap().get(&id).copied().unwrap_or(0)
    }
}

impl Parts {
    fn fate(&self, id: NotificationId) -> Fate {
        self.fates.lock().unwrap().get(&id).copied().unwrap_or(Fate::Missing)
    }

    fn first_touch(&self, id: NotificationId) -> bool {
        let mut touched = self.touched.lock().unwrap();
        let times = touched.entry(id).or_default();
        *times += 1;
        *times == 1
    }
}

#[async_trait]
impl Store for Parts {
    async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        let unavailable = || Err(Error::Unavailable { what: "as it was told".to_owned() });
        let healed = self.healed.load(Ordering::Relaxed);
        if self.away.load(Ordering::Relaxed) {
            return unavailable();
        }
        match self.fate(id) {
            Fate::Foreign => return Ok(Applied::Foreign),
            // As in DynamoDB: it is written, and what comes back says nothing.
            Fate::Unreadable => {
                self.store.apply(id, change).await?;
                return Err(Error::Unreadable { what: "status".to_owned() });
            }
            Fate::FailsOnce if !healed && self.first_touch(id) => return unavailable(),
            // As a panic does, without its print.
            Fate::StorePanics if !healed => std::panic::resume_unwind(Box::new("the store panics")),
            Fate::Plain
            | Fate::Missing
            | Fate::NotDue
            | Fate::Expired
            | Fate::FailsOnce
            | Fate::StorePanics
            | Fate::ProviderPanics => {}
        }
        self.store.apply(id, change).await
    }

    async fn create(&self, notification: &Notification) -> Result<Created, Error> {
        self.store.create(notification).await
    }

    async fn get(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Notification>, Error> {
        self.store.get(tenant, id).await
    }

    async fn list(&self, tenant: &Tenant, user: &UserId, limit: u32, after: Option<Position>) -> Result<Page, Error> {
        self.store.list(tenant, user, limit, after).await
    }

    async fn due(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error> {
        self.store.due(shard, limit, after).await
    }

    async fn check(&self) -> Result<(), Error> {
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
        if self.fate(message.id) == Fate::ProviderPanics && self.first_touch(message.id) {
            std::panic::resume_unwind(Box::new("the provider panics"));
        }
        *self.taken.lock().unwrap().entry(message.id).or_default() += 1;
        Sent::Accepted { provider_message_id: None }
    }
}
