//! A process's way to the store: everything that a network and an SDK do to a call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use shared::domain::{Action, Change, DueShard, Notification, NotificationId, Status, Tenant, UserId};
use shared::events::Event;
use shared::store::{Applied, Created, Due, Error, Page, Position, Store};
use tokio::time::{sleep, timeout};

use crate::machine::Machine;
use crate::oracle;
use crate::plan::STORE_TIMEOUT;
use crate::sabotage::Sabotage;
use crate::story::What;

#[derive(Debug)]
pub struct RemoteStore {
    pub machine: Arc<Machine>,
    /// Re-arms that a broken product puts off until their event is out.
    put_off: Mutex<BTreeMap<NotificationId, Change>>,
    /// What each shard of the index answered last.
    due_before: Mutex<BTreeMap<u8, Vec<Due>>>,
}

fn unavailable(what: &str) -> Error {
    Error::Unavailable { what: what.to_owned() }
}

impl RemoteStore {
    #[must_use]
    pub fn of(machine: &Arc<Machine>) -> Arc<Self> {
        Arc::new(Self { machine: Arc::clone(machine), put_off: Mutex::default(), due_before: Mutex::default() })
    }

    /// One write: it may not get there, get there late, get there twice, or get there and say nothing.
    async fn write<T>(&self, port: &'static str, effect: impl Fn() -> T + Send + Sync + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
    {
        timeout(STORE_TIMEOUT, self.write_unbounded(port, effect))
            .await
            .unwrap_or_else(|_elapsed| Err(unavailable("no answer in time")))
    }

    async fn write_unbounded<T>(&self, port: &'static str, effect: impl Fn() -> T + Send + Sync + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
    {
        let (world, rates) = (&self.machine.world, &self.machine.world.plan.rates);
        let fault = |fault| world.tell(self.machine.who(), What::Fault { port, fault });
        self.machine.peril().await;
        self.reach(port).await?;
        if world.strikes(rates.store_late) {
            fault("no answer; it is written later");
            let after = world.dice.millis(100..20_000);
            tokio::spawn(async move {
                sleep(after).await;
                effect();
            });
            sleep(world.dice.millis(1..3_000)).await;
            return Err(unavailable("the answer did not come"));
        }
        let mut answer = effect();
        if world.strikes(rates.store_repeats) {
            fault("written, the answer lost, asked again by the SDK");
            sleep(world.dice.millis(1..900)).await;
            answer = effect();
        }
        if world.strikes(rates.store_answer_lost) {
            fault("written, the answer lost");
            sleep(world.dice.millis(1..3_000)).await;
            return Err(unavailable("the answer did not come"));
        }
        self.machine.peril().await;
        Ok(answer)
    }

    async fn reach(&self, port: &'static str) -> Result<(), Error> {
        let (world, rates) = (&self.machine.world, &self.machine.world.plan.rates);
        if world.strikes(rates.store_fails) || world.away(world.plan.store_away) {
            world.tell(self.machine.who(), What::Fault { port, fault: "does not get there" });
            sleep(world.dice.millis(1..3_000)).await;
            return Err(unavailable("away, or throttled"));
        }
        Ok(())
    }

    fn put(&self, n: &Notification) -> impl Fn() -> Created + Send + Sync + use<> {
        let (machine, n) = (Arc::clone(&self.machine), n.clone());
        move || {
            let (answer, written) = machine.world.store.put(&n);
            if let Some(written) = written {
                machine.world.written(machine.who(), "create", &written);
            }
            answer
        }
    }

    fn update(&self, id: NotificationId, change: Change) -> impl Fn() -> Applied + Send + Sync + use<> {
        let (machine, open_before) = (Arc::clone(&self.machine), AtomicBool::new(false));
        let asked = machine.world.elapsed();
        machine.world.seen().asked_for(&change, asked);
        move || {
            let action = name(change.action());
            let (answer, written) = machine.world.store.update(id, &change);
            let open = matches!(&answer, Applied::Done(n) if n.status == Status::Pending);
            if open_before.swap(open, Ordering::Relaxed) && !open && action == "retry" {
                machine.world.seen().repeated_retries += 1;
            }
            match (&answer, written) {
                (_, Some(written)) => {
                    machine.world.written(machine.who(), action, &written);
                    if let Some(rule) = oracle::write::cuts_short(&machine.world, &change, asked) {
                        machine.world.broken(machine.who(), rule.to_owned());
                    }
                }
                (Applied::Refused(n), None) => machine.world.tell(machine.who(), What::Refused { id, action, status: n.status }),
                (Applied::Done(_) | Applied::Missing | Applied::Foreign, None) => {}
            }
            answer
        }
    }

    /// What a broken product put off is done now.
    pub async fn rearm_now(&self, id: NotificationId) -> Result<(), Error> {
        let change = self.put_off.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(change) = change {
            self.write("rearm", self.update(id, change)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Store for RemoteStore {
    async fn create(&self, notification: &Notification) -> Result<Created, Error> {
        let world = &self.machine.world;
        if world.plan.sabotage == Some(Sabotage::PublishBeforePut) && world.plan.kafka {
            world.broker.append(world, &Event::due(notification, world.now()));
        }
        let mut created = self.write("create", self.put(notification)).await?;
        if let (Some(sabotage), Created::Existing(first)) = (world.plan.sabotage, &mut created) {
            sabotage.found(notification, first);
        }
        Ok(created)
    }

    async fn apply(&self, id: NotificationId, change: &Change) -> Result<Applied, Error> {
        let world = &self.machine.world;
        let change = match world.plan.sabotage {
            Some(sabotage) => sabotage.change(change, self.machine.token),
            None => change.clone(),
        };
        if world.plan.sabotage == Some(Sabotage::RearmAfterPublish)
            && let Change::Rearm { seen, .. } = &change
            && let Some(n) = world.stored(id).filter(|n| n.due_at == Some(*seen))
        {
            self.put_off.lock().unwrap_or_else(PoisonError::into_inner).insert(id, change);
            return Ok(Applied::Done(Box::new(n)));
        }
        let mut applied = self.write(name(change.action()), self.update(id, change.clone())).await?;
        if let (Some(sabotage), Applied::Done(n)) = (world.plan.sabotage, &mut applied) {
            sabotage.known(&change, n);
        }
        Ok(applied)
    }

    async fn get(&self, tenant: &Tenant, id: NotificationId) -> Result<Option<Notification>, Error> {
        self.machine.peril().await;
        self.reach("get").await?;
        let (world, read) = (&self.machine.world, self.machine.world.store.read(tenant, id));
        if world.plan.sabotage == Some(Sabotage::ReadsCancel) && read.is_some() {
            let now = world.now();
            self.update(id, Change::Cancel { now, ttl: now.plus(world.plan.policy.retention) })();
        }
        Ok(read)
    }

    async fn list(&self, tenant: &Tenant, user: &UserId, limit: u32, after: Option<Position>) -> Result<Page, Error> {
        self.machine.peril().await;
        self.reach("list").await?;
        self.machine.world.store.list(tenant, user, limit, after).await
    }

    async fn due(&self, shard: DueShard, limit: u32, after: Option<Due>) -> Result<Vec<Due>, Error> {
        self.machine.peril().await;
        self.reach("due").await?;
        let world = &self.machine.world;
        let mut answers = self.due_before.lock().unwrap_or_else(PoisonError::into_inner);
        if world.strikes(world.plan.rates.index_lags)
            && let Some(before) = answers.get(&shard.number()).filter(|_before| after.is_none())
        {
            world.tell(self.machine.who(), What::Fault { port: "due", fault: "the index lags" });
            return Ok(before.clone());
        }
        let found = world.store.due_in(shard, limit, after);
        answers.insert(shard.number(), found.clone());
        Ok(found)
    }

    async fn check(&self) -> Result<(), Error> {
        self.machine.peril().await;
        self.reach("check").await
    }
}

const fn name(action: Action) -> &'static str {
    match action {
        Action::Claim => "claim",
        Action::TakeOver => "take over",
        Action::Finish => "finish",
        Action::GiveUp => "give up",
        Action::Cancel => "cancel",
        Action::Expire => "expire",
        Action::Retry => "retry",
        Action::Rearm => "rearm",
    }
}
