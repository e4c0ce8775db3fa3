//! What the simulation found about clocks, each by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shared::channels::registry::Providers;
use shared::clock::Clock;
use shared::domain::notification::Birth;
use shared::domain::{Notification, Timestamp};
use shared::events::Outbox;
use shared::random::{Random, SystemRandom};
use shared::sample::{POLICY, START, new_notification};
use shared::service::create::{Create, Creation};
use shared::service::deliver::{Delivery, Worker};
use shared::store::Store;
use shared::traces::Traces;
use simulation::model_store::ModelStore;
use tests::stage::{Broker, plenty};
use tokio::time::Instant;

/// Set back by an hour after it was read once: after the claim.
#[derive(Debug, Default)]
struct SetBack(AtomicUsize);

impl Clock for SetBack {
    fn now(&self) -> Timestamp {
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 { START } else { START.minus(Duration::from_hours(1)) }
    }
}

fn worker(store: &Arc<ModelStore>) -> Arc<Worker> {
    Arc::new(Worker {
        store: Arc::<ModelStore>::clone(store),
        providers: Arc::new(Providers::default()),
        clock: Arc::new(SetBack::default()),
        random: Arc::new(SystemRandom),
        policy: POLICY,
        metrics: Arc::default(),
        traces: Traces::default(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_after_the_claim_holds_a_worker_up_by_no_more_than_the_skew() {
    let random: &dyn Random = &SystemRandom;
    let birth = Birth {
        id: random.notification_id(START),
        create_token: random.token(),
        now: START,
        attempt_limit: 3,
        due_guard: POLICY.due_guard,
    };
    let n = Notification::create(new_notification(), birth);
    let store = Arc::new(ModelStore::default());
    store.create(&n).await.unwrap();
    let began = Instant::now();
    let delivery = worker(&store).deliver(n.id, n.channel, Instant::now(), &plenty()).await.unwrap();
    assert!(matches!(delivery, Delivery::Attempted(_)), "{delivery:?}");
    assert!(began.elapsed() <= POLICY.clock_skew, "it waited for {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_after_the_put_keeps_no_event_back() {
    let broker = Arc::new(Broker::default());
    let outbox = Arc::new(Outbox::new(Some(broker.clone())));
    let create = Create { worker: worker(&Arc::default()), outbox };
    let made = create.create(new_notification(), &plenty()).await.unwrap();
    assert!(matches!(made, Creation::Accepted(_)), "{made:?}");
    assert_eq!(broker.events.lock().unwrap().len(), 1);
}
