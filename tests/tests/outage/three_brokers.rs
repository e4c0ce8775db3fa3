//! Three Kafka brokers, each record on all of them and acknowledged by two. Under load, with two servers and
//! the default settings, the leader is killed and comes back, then two of three. By command:
//!
//! `BROKERS=3 .ci/real-parts cargo test --workspace --test outage three_brokers -- --ignored --nocapture`

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::{Metadata, MetadataPartition};
use tests::apart::Apart;
use tests::outage::ledger::Ledger;
use tests::outage::load::{Answer, Load};
use tests::receiver::Receiver;
use tests::server_process::ServerProcess;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::world::{PATIENCE, SECRET};

/// `SEND_TIMEOUT` + 11 s.
const PROMISED: Duration = Duration::from_secs(16);

/// What `.ci/real-parts` has started.
struct Cluster {
    folder: PathBuf,
    topic: String,
    /// Only asked for metadata.
    client: Arc<BaseConsumer>,
}

impl Cluster {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings but what their script gives them")]
    fn of(apart: &Apart) -> Self {
        let folder = std::env::var("KAFKA_CLUSTER").expect("the cluster of .ci/real-parts").into();
        let servers = apart.setting("KAFKA_BOOTSTRAP_SERVERS");
        assert_eq!(servers.split(',').count(), 3, "it takes BROKERS=3");
        let client = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("reconnect.backoff.max.ms", "300")
            .create()
            .expect("a client");
        Self { folder, topic: apart.setting("KAFKA_TOPIC").to_owned(), client: Arc::new(client) }
    }

    /// In a thread of its own: it blocks, and the load must go on meanwhile.
    async fn metadata(&self) -> KafkaResult<Metadata> {
        let (client, topic) = (Arc::clone(&self.client), self.topic.clone());
        spawn_blocking(move || client.fetch_metadata(Some(&topic), Duration::from_secs(2))).await.expect("it does not panic")
    }

    fn kill(&self, broker: i32) {
        let pid = std::fs::read_to_string(self.folder.join(broker.to_string()).join("pid")).expect("its pid");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill runs");
        assert!(killed.success(), "broker {broker} was not there to be killed");
    }

    /// On its data. Whoever started the cluster ends this process too.
    fn start(&self, broker: i32) {
        let run = self.folder.join(broker.to_string()).join("run");
        let started = Command::new(run).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        drop(started.expect("the broker starts"));
    }

    /// Resolves once every partition of the topic is as wanted.
    async fn wait_for_partitions(&self, wanted: impl Fn(&MetadataPartition) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Ok(metadata) = self.metadata().await
                && let [topic] = metadata.topics()
                && !topic.partitions().is_empty()
                && topic.partitions().iter().all(&wanted)
            {
                return;
            }
            assert!(Instant::now() < until, "the partitions are not as wanted");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn wait_until_in_sync(&self) {
        self.wait_for_partitions(|partition| partition.leader() > 0 && partition.isr().len() == 3).await;
    }

    async fn leader(&self) -> i32 {
        let metadata = self.metadata().await.expect("metadata");
        metadata.topics()[0].partitions()[0].leader()
    }
}

/// The creates begun within a time.
fn creates(answers: &[Answer], from: Instant, to: Instant) -> impl Iterator<Item = &Answer> {
    answers.iter().filter(move |answer| answer.is_create() && (from..to).contains(&answer.begun))
}

fn tell(phase: &str, answers: &[Answer], from: Instant, to: Instant) {
    let count = |status| creates(answers, from, to).filter(|answer| answer.status == Some(status)).count();
    let slowest = creates(answers, from, to).map(|answer| answer.took).max().unwrap_or_default();
    let (all, at_once) = (creates(answers, from, to).count(), count(201));
    let (time, other) = (to - from, all - at_once - count(202));
    println!(
        "{phase}, {time:.1?}: {all} creates, {at_once} of them processed at once, {other} not accepted, the slowest {slowest:.1?}"
    );
}

async fn all_are_async(servers: &[ServerProcess]) {
    for server in servers {
        server.wait_until_ready_says(|status, body| status == 200 && body["mode"] == "async").await;
    }
}

#[tokio::test]
#[ignore = "takes three brokers"]
async fn the_leader_and_then_two_of_three_brokers_are_killed_under_load() {
    let (apart, receiver) = (Apart::start().await, Receiver::start().await.unwrap());
    let cluster = Cluster::of(&apart);
    cluster.wait_until_in_sync().await;
    let binding = receiver.binding();
    let settings = apart.with(&[("PUSH_PROVIDER", binding.as_str()), SECRET]);
    let servers = futures::future::join_all((0..2).map(|_| ServerProcess::start_with(&settings))).await;
    let load = Load::on(&servers.iter().map(|server| server.url.as_str()).collect::<Vec<_>>(), 6);
    let begin = Instant::now();
    let are_created = |status, least: usize, from: Instant| {
        load.wait_until(PATIENCE, move |answers| {
            answers.iter().filter(|answer| answer.begun > from && answer.created_with(status)).count() >= least
        })
    };
    are_created(202, 100, begin).await;

    let leader = cluster.leader().await;
    let killed = Instant::now();
    cluster.kill(leader);
    cluster.wait_for_partitions(|partition| partition.leader() > 0 && partition.leader() != leader).await;
    let elected = killed.elapsed();
    all_are_async(&servers).await;
    are_created(202, 50, Instant::now()).await;
    let over = Instant::now();
    cluster.start(leader);
    cluster.wait_until_in_sync().await;

    let two_killed = Instant::now();
    for broker in (1..=3).filter(|broker| *broker != leader) {
        cluster.kill(broker);
    }
    for server in &servers {
        let ready = server.wait_until_ready_says(|status, body| status == 200 && body["mode"] == "sync").await;
        assert!(!ready["reason"].as_str().unwrap().is_empty(), "{ready}");
    }
    // Long enough for each server to have tried Kafka again, twice.
    are_created(201, 100, two_killed + Duration::from_secs(11)).await;
    let back = Instant::now();
    for broker in (1..=3).filter(|broker| *broker != leader) {
        cluster.start(broker);
    }
    cluster.wait_until_in_sync().await;
    all_are_async(&servers).await;
    are_created(202, 50, Instant::now()).await;
    let end = Instant::now();

    let answers = load.stop().await;
    tell("three brokers", &answers, begin, killed);
    tell("the leader is killed", &answers, killed, over);
    println!("every partition had another leader after {elected:.1?}");
    tell("it comes back", &answers, over, two_killed);
    tell("one broker of three", &answers, two_killed, back);
    tell("the two come back", &answers, back, end);
    let mut ledger = Ledger::of(answers);
    ledger.assert_answers_are_good(PROMISED);
    ledger.settle(&servers[0], PATIENCE).await;
    println!("{}", ledger.wait_until_all_are_sent(&servers[1], &receiver, PATIENCE).await);
}
