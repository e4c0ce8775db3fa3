//! Members of the consumer group are killed, join and leave while a batch is under way.

use serde_json::json;
use tests::apart::Apart;
use tests::outage::ledger::{accepted, deliveries, outcomes, sent};
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;
use tokio::time::Instant;

use super::world::{PATIENCE, SECRET};

const ITEMS: usize = 20;
/// One after the other for each of them: while the first is held by the receiver, the others wait.
const USERS: usize = 5;
/// Nothing is due for redrive: what is sent was brought by Kafka.
const NO_REDRIVE: (&str, &str) = ("DUE_GUARD", "1h");
const PATIENT_STORE: (&str, &str) = ("STORE_TIMEOUT", "15s");

struct Group {
    apart: Apart,
    receiver: Receiver,
}

impl Group {
    async fn start() -> Self {
        let receiver = Receiver::start().await.unwrap();
        for _ in 0..USERS {
            receiver.then(Reply::Held { status: 204 });
        }
        Self { apart: Apart::start().await, receiver }
    }

    async fn member(&self, settings: &[(&str, &str)]) -> ServerProcess {
        let binding = self.receiver.binding();
        let own = [("PUSH_PROVIDER", binding.as_str()), SECRET, PATIENT_STORE];
        ServerProcess::start_with(&self.apart.with(&[&own, settings].concat())).await
    }

    /// Creates, and resolves in the middle of a batch; the ids.
    async fn in_the_middle_of_a_batch(&self, server: &ServerProcess) -> Vec<String> {
        let creates = (0..ITEMS).map(|n| async move {
            let user = format!("user-{}", n % USERS);
            let key = format!("item-{n}");
            let body = json!({"userId": user, "channel": "push", "template": "t", "idempotencyKey": key});
            accepted(server, &body, Instant::now() + PATIENCE).await
        });
        let ids = futures::future::join_all(creates).await;
        self.receiver.wait_for(1).await;
        ids
    }
}

#[tokio::test]
async fn a_consumer_killed_in_the_middle_of_a_batch_leaves_it_to_the_next() {
    let group = Group::start().await;
    // The lease is over before the group takes the killed one for gone.
    let brief = [("SEND_TIMEOUT", "4s"), ("CLOCK_SKEW", "50ms"), ("LEASE", "7s"), NO_REDRIVE];
    let mut first = group.member(&brief).await;
    let ids = group.in_the_middle_of_a_batch(&first).await;
    first.kill().await;
    let held = deliveries(&group.receiver);
    group.receiver.release();

    // Nothing of the batch was committed, so Kafka brings all of it again.
    let begun = Instant::now();
    let second = group.member(&brief).await;
    let (mut again, until) = (0, Instant::now() + PATIENCE);
    for id in &ids {
        let sent = sent(&second, id, until).await;
        let (outcomes, times) = (outcomes(&sent), deliveries(&group.receiver)[id]);
        if outcomes == ["unknown", "accepted"] {
            again += 1;
            assert!(times <= 2, "delivered {times} times: {sent}");
        } else {
            assert_eq!((outcomes.as_slice(), times), (["accepted"].as_slice(), 1), "{sent}");
        }
    }
    println!(
        "a consumer killed in a batch of {ITEMS}: {} were at the provider, {again} attempts unknown and repeated, all sent {:.1} s later",
        held.len(),
        begun.elapsed().as_secs_f64()
    );
    assert!(again >= held.len() && again < ITEMS, "{again} attempts were lost with the killed one, which had begun {held:?}");
}

#[tokio::test]
async fn members_that_join_and_leave_in_the_middle_of_a_send_repeat_nothing() {
    let group = Group::start().await;
    // What the one that leaves had read and not begun is left to redrive.
    let patient = [("SEND_TIMEOUT", "40s"), ("LEASE", "90s"), ("DUE_GUARD", "5s")];
    let first = group.member(&patient).await;
    let ids = group.in_the_middle_of_a_batch(&first).await;

    // It reads again what was read and is not committed, and what of it nobody holds it sends.
    let mut second = group.member(&patient).await;
    second.wait_for_log("partitions are assigned to us").await;
    assert!(first.logs().contains("partitions are taken from us"), "{}", first.logs());
    group.receiver.release();
    let begun = Instant::now();
    assert!(second.stop().await.success(), "{}", second.logs());

    let until = Instant::now() + PATIENCE;
    for id in &ids {
        let sent = sent(&first, id, until).await;
        assert_eq!(outcomes(&sent), ["accepted"], "{sent}");
    }
    let delivered = deliveries(&group.receiver);
    assert!(delivered.len() == ITEMS && delivered.values().all(|times| *times == 1), "{delivered:?}");
    let took = begun.elapsed().as_secs_f64();
    println!("a member came and went in the middle of a send of {ITEMS}: each delivered once, all sent {took:.1} s later");
}
