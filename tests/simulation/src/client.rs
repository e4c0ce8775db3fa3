//! Clients: they create, hang up, repeat with their key, cancel, retry, schedule, and let expire.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::{Channel, IdempotencyKey, NewNotification, Notification, NotificationId, Status, Template, Tenant, UserId};
use shared::sample::new_notification;
use shared::service::create::{Cancellation, Creation, Retrial};
use shared::service::{Budget, Error};
use tokio::time::{Instant, sleep, timeout};

use crate::host::Host;
use crate::sabotage::Sabotage;
use crate::seen::Promise;
use crate::story::{What, Who};
use crate::world::World;

/// What `create` gives a call besides the time to send, and what the contract promises.
const BESIDE_SEND: Duration = Duration::from_millis(10_500);
const PROMISED: Duration = Duration::from_secs(11);

#[derive(Debug)]
pub struct Client {
    pub world: Arc<World>,
    pub number: usize,
    known: Vec<NotificationId>,
}

/// A request as this client would make it again.
#[derive(Clone)]
struct Request {
    new: NewNotification,
    user: usize,
    key: Option<usize>,
    at_once: bool,
}

impl Client {
    #[must_use]
    pub const fn new(world: Arc<World>, number: usize) -> Self {
        Self { world, number, known: Vec::new() }
    }

    pub async fn live(mut self) {
        let world = Arc::clone(&self.world);
        for _ in 0..=world.dice.below(5) {
            sleep(world.dice.millis(0..25_000)).await;
            let id = (!self.known.is_empty()).then(|| world.dice.pick(&self.known));
            match (id, world.dice.below(8)) {
                (Some(id), 0 | 1) => self.cancel(id).await,
                (Some(id), 2 | 3) => self.retry(id).await,
                (Some(id), 4) if world.dice.one_in(2) => self.read(id).await,
                (Some(_), 4) => self.list().await,
                _ => {
                    self.create().await;
                    // One after the other: their order is to be kept.
                    while world.dice.one_in(3) {
                        self.create().await;
                    }
                }
            }
        }
    }

    async fn create(&mut self) {
        let world = Arc::clone(&self.world);
        let request = self.request();
        for _ in 0..3 {
            let (new, asked) = (request.new.clone(), world.elapsed());
            let creation =
                self.call("create", None, move |host, budget| async move { host.create.create(new, &budget).await }).await;
            match creation {
                Some(Ok(Creation::Accepted(n) | Creation::Attempted(n))) => return self.promised(&request, &n, asked),
                // When it was asked for first is not known here.
                Some(Ok(Creation::Replayed(n))) => {
                    if n.template != request.new.template {
                        world.broken(self.who(), "another request is answered as a replay".to_owned());
                    }
                    return self.promised(&Request { at_once: false, ..request }, &n, asked);
                }
                Some(Ok(Creation::KeyReused)) => {
                    let first = world.store.all().into_iter().find(|n| n.idempotency_key == request.new.idempotency_key);
                    if first.is_none_or(|first| first.template == request.new.template) {
                        world.broken(self.who(), "a repeat is answered 422".to_owned());
                    }
                    return self.answered(None, "422", None);
                }
                // No answer, or 503: who has a key repeats.
                Some(Err(_)) | None if request.key.is_some() && !world.dice.one_in(4) => {
                    sleep(world.dice.millis(0..5_000)).await;
                }
                Some(Err(_)) | None => return,
            }
        }
    }

    fn promised(&mut self, request: &Request, n: &Notification, asked: Duration) {
        self.answered(Some(n.id), "2xx", Some(n.status));
        self.known.push(n.id);
        let mut seen = self.world.seen();
        let promise = Promise { id: n.id, user: request.user, asked, answered: self.world.elapsed(), at_once: request.at_once };
        seen.promises.push(promise);
        if let Some(key) = request.key {
            seen.ids_of_key.entry(key).or_default().insert(n.id);
        }
        seen.told(n.id, n.status);
    }

    /// A client reads its own write.
    async fn read(&self, id: NotificationId) {
        let work = move |host: Arc<Host>, _| async move { host.get.one(&Tenant::default(), id).await };
        match self.call("read", Some(id), work).await {
            Some(Ok(Some(n))) => {
                self.answered(Some(id), "200", Some(n.status));
                self.world.seen().told(id, n.status);
            }
            Some(Ok(None)) => self.world.broken(self.who(), "what was promised is not found".to_owned()),
            Some(Err(_)) | None => {}
        }
    }

    async fn list(&self) {
        let user = UserId::parse(&format!("user-{}", self.world.dice.index(3))).unwrap();
        let whose = user.clone();
        let work = move |host: Arc<Host>, _| async move { host.get.list(&Tenant::default(), &user, 20, None).await };
        if let Some(Ok(page)) = self.call("list", None, work).await {
            self.answered(None, "200", None);
            if page.notifications.iter().any(|n| n.user_id != whose) {
                self.world.broken(self.who(), "a list shows what is somebody else's".to_owned());
            }
        }
    }

    async fn cancel(&self, id: NotificationId) {
        self.world.seen().cancels.insert(id);
        let work = move |host: Arc<Host>, _| async move { host.create.cancel(&Tenant::default(), id).await };
        match self.call("cancel", Some(id), work).await {
            Some(Ok(Cancellation::Cancelled(n))) => {
                self.answered(Some(id), "200", Some(n.status));
                if n.status != Status::Cancelled {
                    self.world.broken(self.who(), format!("cancel is answered 200 with {}", n.status.as_str()));
                }
                self.world.seen().told(id, n.status);
            }
            Some(Ok(Cancellation::NotCancellable(status))) => {
                self.answered(Some(id), "409", Some(status));
                self.world.seen().told(id, status);
            }
            Some(Ok(Cancellation::NotFound)) => self.world.broken(self.who(), "what was promised is not found".to_owned()),
            Some(Err(_)) | None => {}
        }
    }

    async fn retry(&self, id: NotificationId) {
        *self.world.seen().retries.entry(id).or_default() += 1;
        let work = move |host: Arc<Host>, budget| async move { host.create.retry(&Tenant::default(), id, &budget).await };
        match self.call("retry", Some(id), work).await {
            Some(Ok(Retrial::Accepted(n))) => {
                self.answered(Some(id), "202", Some(n.status));
                // Asked again by the SDK, it may find that an attempt was made meanwhile.
                if n.status == Status::Pending {
                    self.world.seen().reopened.push((id, n.attempt));
                }
            }
            Some(Ok(Retrial::Attempted(n))) => {
                self.answered(Some(id), "200", Some(n.status));
                self.world.seen().told(id, n.status);
            }
            Some(Ok(Retrial::NotRetryable(status))) => {
                self.answered(Some(id), "409", Some(status));
                self.world.seen().told(id, status);
            }
            Some(Ok(Retrial::NotFound)) => self.world.broken(self.who(), "what was promised is not found".to_owned()),
            Some(Err(_)) | None => {}
        }
    }

    /// Some process does the work; None if no answer came: nobody listens, it was killed, or this client
    /// hung up.
    async fn call<T, F>(
        &self,
        what: &'static str,
        id: Option<NotificationId>,
        work: impl FnOnce(Arc<Host>, Budget) -> F + Send,
    ) -> Option<Result<T, Error>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let world = &self.world;
        let up: Vec<Arc<Host>> = world.hosts().values().filter(|host| !host.machine.stop.is_cancelled()).cloned().collect();
        self.tell(What::Asked { id, what });
        if up.is_empty() {
            self.answered(id, "no connection", None);
            return None;
        }
        let host = world.dice.pick(&up);
        let (asked, freezes) = (Instant::now(), host.machine.freezes());
        let well = !host.machine.is_frozen();
        let budget = host.machine.budget(world.plan.policy.send_timeout + BESIDE_SEND);
        let task = host.machine.spawn(work(Arc::clone(&host), budget));
        let handle = task.abort_handle();
        let patience = if world.strikes(world.plan.rates.hang_up) { world.dice.millis(1..3_000) } else { Duration::from_mins(5) };
        match timeout(patience, task).await {
            Err(_elapsed) => {
                self.tell(What::Asked { id, what: "(hangs up)" });
                if world.plan.sabotage == Some(Sabotage::HandlerDropped) {
                    handle.abort();
                }
                None
            }
            Ok(Err(failed)) => {
                if failed.is_panic() {
                    world.broken(self.who(), format!("{what} panicked"));
                }
                self.answered(id, "no answer", None);
                None
            }
            Ok(Ok(answer)) => {
                let took = asked.elapsed();
                if took > world.plan.policy.send_timeout + PROMISED && well && host.machine.freezes() == freezes {
                    world.broken(self.who(), format!("{what} was answered after {took:?}"));
                }
                if answer.is_err() {
                    self.answered(id, "503", None);
                }
                Some(answer)
            }
        }
    }

    fn request(&self) -> Request {
        let dice = &self.world.dice;
        let user = dice.index(3);
        let mut new = NewNotification {
            user_id: UserId::parse(&format!("user-{user}")).unwrap(),
            channel: Channel::Email,
            ..new_notification()
        };
        // A few keys, shared by all clients: what goes out under one is always the same, but for reuse.
        let key = dice.one_in(2).then(|| dice.index(4));
        if let Some(key) = key {
            let heard = self.world.plan.sabotage != Some(Sabotage::KeyIgnored);
            new.idempotency_key = heard.then(|| IdempotencyKey::parse(&format!("key-{key}")).unwrap());
            new.user_id = UserId::parse(&format!("user-{}", key % 3)).unwrap();
            if dice.one_in(10) {
                new.template = Template::parse("another/one").unwrap();
            }
            let at_once = true;
            return Request { new, user: key % 3, key: Some(key), at_once };
        }
        if dice.one_in(3) {
            new.scheduled_at = Some(self.world.now().plus(dice.millis(0..60_000)));
        }
        if dice.one_in(3) {
            let from = new.scheduled_at.unwrap_or_else(|| self.world.now());
            new.expires_at = Some(if dice.one_in(6) {
                self.world.now().minus(dice.millis(1..9_000))
            } else {
                from.plus(dice.millis(1..60_000))
            });
            if new.scheduled_at.zip(new.expires_at).is_some_and(|(at, expires)| expires <= at) {
                new.scheduled_at = None;
            }
        }
        let at_once = new.scheduled_at.is_none() && new.expires_at.is_none();
        Request { new, user, key, at_once }
    }

    fn answered(&self, id: Option<NotificationId>, what: &'static str, status: Option<Status>) {
        self.tell(What::Answered { id, what, status });
    }

    const fn who(&self) -> Who {
        Who::Client(self.number)
    }

    fn tell(&self, what: What) {
        self.world.tell(self.who(), what);
    }
}
