//! A worker that is frozen (SIGSTOP) in the middle of an attempt, for longer than its lease. A clock of its
//! own tells it so, once it goes on: what it has not sent it does not send any more; what it has sent it
//! records, if nobody took over meanwhile.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::domain::{ErrorCode, Notification, NotificationId, Outcome, Status};
use tests::aftermath::{come_to_rest, faults_at_the_end, posts};
use tests::home::Home;
use tests::ledger::Ledger;
use tests::receiver::Receiver;
use tests::server_process::{PATIENCE, ServerProcess};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{AT_EASE, OVER_AT_ONCE, SECRET, SOON_OVER};

const SETTINGS: [(&str, &str); 5] =
    [("SEND_TIMEOUT", "1s"), ("CLOCK_SKEW", "100ms"), ("DUE_GUARD", "300ms"), ("RETRY_BASE", "100ms"), SECRET];
/// Nobody looks at what is due: then nobody takes over.
const ALONE: (&str, &str) = ("REDRIVE_INTERVAL", "1h");
const WATCHFUL: (&str, &str) = ("REDRIVE_INTERVAL", "100ms");

/// By an event, or at once within the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kafka {
    There,
    None,
}

/// One notification, whose first worker is held in a window.
struct Scene {
    home: Home,
    receiver: Receiver,
    ledger: Arc<Ledger>,
    worker: ServerProcess,
    window: &'static str,
    asking: JoinHandle<Option<NotificationId>>,
}

impl Scene {
    async fn frozen(window: &'static str, kafka: Kafka, lease: [(&str, &str); 2]) -> Self {
        let receiver = Receiver::start().await.unwrap();
        let binding = receiver.binding();
        let mut settings = [&SETTINGS[..], &[("PUSH_PROVIDER", &binding)]].concat();
        if kafka == Kafka::None {
            settings.push(("KAFKA_BOOTSTRAP_SERVERS", "none"));
        }
        let home = Home::apart(&settings).await;
        let worker = home.start(&[&lease[..], &[("HOLD_AT", window), ALONE]].concat()).await;
        if kafka == Kafka::There {
            worker.wait_for_log("partitions are assigned").await;
        }
        let ledger = Arc::new(Ledger::default());
        let (asked, url) = (Arc::clone(&ledger), worker.url.clone());
        let body = json!({"userId": "ada", "channel": "push", "template": "t"});
        let asking = tokio::spawn(async move { asked.create(&url, &body).await });
        let scene = Self { home, receiver, ledger, worker, window, asking };
        let held = scene.held_file();
        until(&scene.worker, "is held", async || held.exists()).await;
        scene.worker.freeze();
        scene
    }

    fn held_file(&self) -> std::path::PathBuf {
        self.home.folder().join(format!("held-{}", self.window))
    }

    async fn notification(&self) -> Notification {
        let stored = self.home.stored(["ada".to_owned()]).await;
        stored.items.into_values().next().expect("it is stored")
    }

    /// Waits until the lease is over by any clock.
    async fn outlast_the_lease(&self) {
        let n = self.notification().await;
        let (lease, skew) = (n.lease_until.expect("it is claimed"), Duration::from_millis(100));
        until(&self.worker, "has lost its lease", async || SystemClock.now() > lease.plus(skew)).await;
    }

    /// The worker goes on where it was.
    async fn thaw(&self) {
        tokio::fs::remove_file(self.held_file()).await.expect("it is held");
        self.worker.thaw();
    }

    /// All comes to its end, and the contract holds: the notification, and which attempts were sent.
    async fn end(self, helper: Option<ServerProcess>) -> (Notification, Vec<u32>) {
        let Self { home, receiver, ledger, worker, asking, .. } = self;
        asking.await.unwrap();
        if let Some(mut helper) = helper {
            assert!(helper.stop().await.success(), "{}", helper.logs());
        }
        let stored = come_to_rest(worker, &home, &ledger, PATIENCE).await;
        let posts = posts(&receiver, &[]);
        assert_eq!(faults_at_the_end(&stored, &ledger, &posts), Vec::<String>::new());
        let n = stored.items.into_values().next().expect("it is stored");
        assert_eq!(n.status, Status::Sent);
        (n, posts.into_iter().map(|post| post.attempt).collect())
    }
}

async fn until(server: &ServerProcess, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < until, "it never {what}:\n{}", server.logs());
        sleep(Duration::from_millis(5)).await;
    }
}

fn outcomes(n: &Notification) -> Vec<(Outcome, Option<ErrorCode>)> {
    n.attempts.iter().map(|a| (a.outcome, a.code)).collect()
}

const TAKEN_OVER: [(Outcome, Option<ErrorCode>); 2] = [(Outcome::Unknown, Some(ErrorCode::LeaseLost)), (Outcome::Accepted, None)];

/// The other one, which does what is due.
async fn helper(scene: &Scene) -> ServerProcess {
    scene.home.start(&[&AT_EASE[..], &[WATCHFUL]].concat()).await
}

async fn before_the_send_and_alone(kafka: Kafka) {
    let scene = Scene::frozen("after-claim", kafka, OVER_AT_ONCE).await;
    scene.outlast_the_lease().await;
    scene.thaw().await;
    until(&scene.worker, "records the attempt", async || scene.notification().await.status == Status::Retrying).await;
    assert_eq!(outcomes(&scene.notification().await), [(Outcome::NotSent, Some(ErrorCode::LeaseTooShort))]);
    assert_eq!(scene.receiver.requests().len(), 0, "it has sent");
    let helper = helper(&scene).await;
    until(&helper, "sends", async || scene.notification().await.status == Status::Sent).await;
    let (n, sent) = scene.end(Some(helper)).await;
    // The worker, whose leases are so short, may have been given the second attempt as well.
    assert!(n.attempt > 1 && sent == [n.attempt], "{sent:?}");
}

async fn before_the_send_and_taken_over(kafka: Kafka) {
    let scene = Scene::frozen("after-claim", kafka, OVER_AT_ONCE).await;
    let helper = helper(&scene).await;
    until(&helper, "takes over", async || scene.notification().await.status == Status::Sent).await;
    scene.thaw().await;
    scene.worker.wait_for_log("another worker had taken over").await;
    let (n, sent) = scene.end(Some(helper)).await;
    assert_eq!((outcomes(&n), sent), (TAKEN_OVER.to_vec(), vec![2]));
}

async fn after_the_send_and_alone(kafka: Kafka) {
    let scene = Scene::frozen("after-send", kafka, SOON_OVER).await;
    let frozen = scene.notification().await;
    scene.outlast_the_lease().await;
    // And what a request may take: `SEND_TIMEOUT` + 10.5 s.
    until(&scene.worker, "outlasts its request", async || SystemClock.now() > frozen.created_at.plus(Duration::from_secs(13)))
        .await;
    scene.thaw().await;
    let (n, sent) = scene.end(None).await;
    assert_eq!((outcomes(&n), sent), (vec![(Outcome::Accepted, None)], vec![1]));
    assert!(n.finished_at > frozen.lease_until, "the lease was not over: {n:?}");
}

async fn after_the_send_and_taken_over(kafka: Kafka) {
    let scene = Scene::frozen("after-send", kafka, SOON_OVER).await;
    let helper = helper(&scene).await;
    until(&helper, "takes over", async || scene.notification().await.status == Status::Sent).await;
    scene.thaw().await;
    scene.worker.wait_for_log("another worker had taken over").await;
    let (n, sent) = scene.end(Some(helper)).await;
    assert_eq!((outcomes(&n), sent), (TAKEN_OVER.to_vec(), vec![1, 2]));
}

async fn for_less_than_its_lease(kafka: Kafka) {
    let scene = Scene::frozen("after-claim", kafka, AT_EASE).await;
    scene.thaw().await;
    let (n, sent) = scene.end(None).await;
    assert_eq!((outcomes(&n), sent), (vec![(Outcome::Accepted, None)], vec![1]));
}

#[tokio::test]
async fn frozen_before_it_looks_at_its_lease_it_does_not_send() {
    tokio::join!(before_the_send_and_alone(Kafka::There), before_the_send_and_alone(Kafka::None));
}

#[tokio::test]
async fn frozen_before_it_looks_and_taken_over_it_neither_sends_nor_writes() {
    tokio::join!(before_the_send_and_taken_over(Kafka::There), before_the_send_and_taken_over(Kafka::None));
}

#[tokio::test]
async fn frozen_after_the_send_its_finish_holds_past_the_lease_if_nobody_took_over() {
    tokio::join!(after_the_send_and_alone(Kafka::There), after_the_send_and_alone(Kafka::None));
}

#[tokio::test]
async fn frozen_after_the_send_its_finish_is_refused_if_somebody_took_over() {
    tokio::join!(after_the_send_and_taken_over(Kafka::There), after_the_send_and_taken_over(Kafka::None));
}

#[tokio::test]
async fn frozen_for_less_than_its_lease_it_sends_as_if_nothing_had_been() {
    tokio::join!(for_less_than_its_lease(Kafka::There), for_less_than_its_lease(Kafka::None));
}
