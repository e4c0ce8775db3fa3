//! Time and one attempt, to the millisecond, on a paused clock: what is left of a lease and of a budget, and how
//! long a finish is tried. The ways through a working store are tested on a real one, in the crate `tests`.

use std::sync::Mutex;

use async_trait::async_trait;
use uuid::Uuid;

use super::*;
use crate::channels::{Limits, Provider};
use crate::clock::SystemClock;
use crate::domain::notification::Birth;
use crate::domain::{DueShard, Status, Tenant, UserId};
use crate::random::SystemRandom;
use crate::sample::{POLICY, new_notification};
use crate::store::{Created, Due, Page, Position};

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Takes a claim after so long, and a finish once it has been away for so long.
#[derive(Debug)]
struct Slow {
    item: Mutex<Notification>,
    claim_takes: Duration,
    finish_takes: Duration,
    away: Duration,
    /// When a finish was tried, after the first time.
    tries: Mutex<Vec<Instant>>,
}

#[async_trait]
impl Store for Slow {
    async fn apply(&self, _id: NotificationId, change: &Change) -> Result<Applied, store::Error> {
        match change {
            Change::Claim { now, token, lease_until, .. } => {
                sleep(self.claim_takes).await;
                let mut item = self.item.lock().unwrap();
                (item.status, item.attempt, item.updated_at) = (Status::Processing, item.attempt + 1, *now);
                (item.claim_token, item.lease_until) = (Some(*token), Some(*lease_until));
                Ok(Applied::Done(Box::new(item.clone())))
            }
            Change::Finish { attempts, .. } => {
                sleep(self.finish_takes).await;
                let (now, first) = {
                    let mut tries = self.tries.lock().unwrap();
                    tries.push(Instant::now());
                    (Instant::now(), tries[0])
                };
                if now < first + self.away {
                    return Err(store::Error::Unavailable { what: "as it was told".to_owned() });
                }
                let mut item = self.item.lock().unwrap();
                item.attempts.clone_from(attempts);
                Ok(Applied::Done(Box::new(item.clone())))
            }
            Change::TakeOver { .. }
            | Change::GiveUp { .. }
            | Change::Cancel { .. }
            | Change::Expire { .. }
            | Change::Retry { .. }
            | Change::Rearm { .. } => panic!("nobody asks for {change:?}"),
        }
    }

    async fn create(&self, _: &Notification) -> Result<Created, store::Error> {
        Ok(Created::New)
    }
    async fn get(&self, _: &Tenant, _: NotificationId) -> Result<Option<Notification>, store::Error> {
        Ok(None)
    }
    async fn list(&self, _: &Tenant, _: &UserId, _: u32, _: Option<Position>) -> Result<Page, store::Error> {
        Ok(Page { notifications: Vec::new(), next: None })
    }
    async fn due(&self, _: DueShard, _: u32, _: Option<Due>) -> Result<Vec<Due>, store::Error> {
        Ok(Vec::new())
    }
    async fn check(&self) -> Result<(), store::Error> {
        Ok(())
    }
}

/// Accepts, and stands still for so long before.
#[derive(Debug)]
struct Frozen(Duration);

#[async_trait]
impl Provider for Frozen {
    fn name(&self) -> &'static str {
        "frozen"
    }
    fn needs_recipient(&self) -> bool {
        false
    }
    fn drops_repeats(&self) -> bool {
        false
    }
    async fn send(&self, _: &Message) -> Sent {
        if !self.0.is_zero() {
            // Its first step moves the clock; all others would let somebody else run, and this process stands still.
            let _moved = futures::poll!(std::pin::pin!(tokio::time::advance(self.0)));
        }
        Sent::Accepted { provider_message_id: None }
    }
}

fn slow() -> Slow {
    let id = NotificationId::from_uuid(Uuid::from_u128(1));
    let create_token = Token::from_uuid(Uuid::from_u128(2));
    let now = Timestamp::from_millis(0);
    let birth = Birth { id, create_token, now, attempt_limit: 30, due_guard: POLICY.due_guard };
    Slow {
        item: Mutex::new(Notification::create(new_notification(), birth)),
        claim_takes: Duration::ZERO,
        finish_takes: Duration::ZERO,
        away: Duration::ZERO,
        tries: Mutex::default(),
    }
}

/// What came of it, after how long, and the record of the attempt, if it was written.
async fn deliver(store: Slow, provider: Frozen, budget: Duration) -> (Delivery, Duration, Vec<Duration>, Option<Attempt>) {
    let store = Arc::new(store);
    let id = store.item.lock().unwrap().id;
    let provider: Arc<dyn Provider> = Arc::new(provider);
    let worker = Worker {
        store: Arc::<Slow>::clone(&store),
        providers: Arc::new(Providers::of([(Channel::Email, provider)], &Limits::default())),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        policy: POLICY,
        metrics: Arc::default(),
        traces: Traces::default(),
    };
    let begun = Instant::now();
    let delivery = worker.deliver(id, Channel::Email, begun, &Budget::until(begun + budget)).await.unwrap();
    let tries = store.tries.lock().unwrap();
    let pauses = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let last = store.item.lock().unwrap().attempts.last().cloned();
    (delivery, begun.elapsed(), pauses, last)
}

#[tokio::test(start_paused = true)]
async fn a_finish_is_tried_again_until_the_store_takes_it() {
    let (delivery, took, pauses, last) =
        deliver(Slow { away: millis(3_000), ..slow() }, Frozen(Duration::ZERO), millis(60_000)).await;
    assert!(matches!(delivery, Delivery::Attempted(_)), "{delivery:?}");
    assert_eq!(pauses, [50, 100, 200, 400, 800, 1_000, 1_000].map(millis));
    assert_eq!(took, millis(3_550));
    assert_eq!(last.map(|attempt| attempt.outcome), Some(Outcome::Accepted));
}

#[tokio::test(start_paused = true)]
async fn a_finish_that_is_never_taken_is_left_before_its_budget_ends() {
    // At 11,550 ms a pause of a second would end with the budget, and a try after it is none.
    for (budget, expected) in [(12_551, 12_550), (12_550, 11_550), (12_000, 11_550)] {
        let (delivery, took, _, last) =
            deliver(Slow { away: millis(100_000), ..slow() }, Frozen(Duration::ZERO), millis(budget)).await;
        assert!(matches!(delivery, Delivery::Unfinished(_)), "{budget}: {delivery:?}");
        assert_eq!((took, last.is_none()), (millis(expected), true), "{budget}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_frozen_past_all_time_still_records_what_it_knows() {
    let (delivery, took, _, last) =
        deliver(Slow { finish_takes: millis(1_000), ..slow() }, Frozen(Duration::from_hours(1)), millis(30_000)).await;
    assert!(matches!(delivery, Delivery::Attempted(_)), "{delivery:?}");
    assert_eq!(last.map(|attempt| attempt.outcome), Some(Outcome::Accepted));
    assert!(took >= Duration::from_hours(1));
}

#[tokio::test(start_paused = true)]
async fn a_worker_sends_while_its_lease_and_its_budget_have_the_time_and_not_a_millisecond_longer() {
    // Of 60 s of lease 5 + 5 must be left, and 5 of the budget.
    for (claim_takes, budget, is_sent) in
        [(50_000, 90_000, true), (50_001, 90_000, false), (40_000, 45_000, true), (40_000, 44_999, false)]
    {
        let (_, _, _, last) =
            deliver(Slow { claim_takes: millis(claim_takes), ..slow() }, Frozen(Duration::ZERO), millis(budget)).await;
        let expected = if is_sent { None } else { Some(ErrorCode::LeaseTooShort) };
        assert_eq!(last.map(|attempt| attempt.code), Some(expected), "{claim_takes} of {budget}");
    }
}
