//! Where servers are lost and started again: what outlives them, and a look into their store while none of
//! them lives.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use server::embedded::store::{EmbeddedStore, Place};
use shared::domain::{DueShard, Notification, NotificationId, Tenant, UserId};
use shared::store::Store;
use shared::store::dynamodb::DynamoDb;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::apart::Apart;
use crate::server_process::{self, PATIENCE, ServerProcess};
use crate::surroundings::Surroundings;

/// For one question to a store that was just killed, on a machine that builds beside.
const LOOK: Duration = Duration::from_secs(60);

/// Of one case in a test; nothing else lives there.
#[derive(Debug)]
pub struct Home {
    settings: Vec<(String, String)>,
    data: Arc<TempDir>,
    _apart: Option<Apart>,
}

/// What the store holds.
#[derive(Debug)]
pub struct Stored {
    pub items: BTreeMap<NotificationId, Notification>,
    /// What the `due` index names.
    pub due: BTreeSet<NotificationId>,
}

impl Home {
    /// Everything in one process: of it only the store's file outlives a crash. On real parts, these do.
    pub async fn of_one_process(settings: &[(&str, &str)]) -> Self {
        let surroundings = Surroundings::new().await;
        let home = Self::with(surroundings.settings, settings, None);
        if surroundings.real {
            let made = server_process::command(&home.data, &home.settings).arg("create-table").status().await;
            assert!(made.expect("create-table runs").success());
        }
        home
    }

    /// Store and broker outlive the server.
    pub async fn apart(settings: &[(&str, &str)]) -> Self {
        let apart = Apart::start().await;
        Self::with(apart.settings.clone(), settings, Some(apart))
    }

    fn with(mut all: Vec<(String, String)>, settings: &[(&str, &str)], apart: Option<Apart>) -> Self {
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self { settings: all, data: Arc::new(TempDir::new().expect("a temporary folder")), _apart: apart }
    }

    /// A server on what the one before has left.
    pub async fn start(&self, over: &[(&str, &str)]) -> ServerProcess {
        ServerProcess::start_on(self.settings(over), Arc::clone(&self.data)).await
    }

    /// A server that ends by itself, perhaps before it serves.
    pub async fn run_to_its_end(&self, over: &[(&str, &str)]) -> ExitStatus {
        let mut command = server_process::command(&self.data, &self.settings(over));
        timeout(PATIENCE, command.output()).await.expect("it ends in time").expect("it starts").status
    }

    /// A server that is killed after that time, wherever it is by then.
    pub async fn run_for(&self, time: Duration) {
        let mut child = server_process::command(&self.data, &self.settings(&[])).spawn().expect("it starts");
        if let Ok(ended) = timeout(time, child.wait()).await {
            panic!("it ended by itself: {ended:?}");
        }
        child.kill().await.expect("it was there to be killed");
    }

    fn settings(&self, over: &[(&str, &str)]) -> Vec<(String, String)> {
        let over = over.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.settings.iter().cloned().chain(over).collect()
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The working folder of its servers.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.data.path()
    }

    /// All of these users' notifications. A store within the server can be looked at only when none lives.
    pub async fn stored(&self, users: impl IntoIterator<Item = String>) -> Stored {
        let table = self.setting("TABLE_NAME").unwrap_or("notifications");
        let Some(endpoint) = self.setting("AWS_ENDPOINT_URL_DYNAMODB") else {
            let store = EmbeddedStore::start(Place::Folder(self.data.path().join("data"))).await.expect("the file opens");
            let stored = read(&DynamoDb::at(&store.endpoint(), table, LOOK), users).await;
            store.stop().await;
            return stored;
        };
        read(&DynamoDb::at(endpoint, table, LOOK), users).await
    }

    /// None without Kafka, or where it dies with the server.
    #[must_use]
    pub fn topic(&self) -> Option<Topic> {
        let servers = self.setting("KAFKA_BOOTSTRAP_SERVERS").filter(|servers| *servers != "none")?;
        let topic = self.setting("KAFKA_TOPIC").expect("it is named").to_owned();
        let group = self.setting("KAFKA_GROUP_ID").unwrap_or("notification-process");
        let consumer = ClientConfig::new().set("bootstrap.servers", servers).set("group.id", group).create();
        Some(Topic { consumer: Arc::new(consumer.expect("a consumer")), topic })
    }
}

async fn read(store: &DynamoDb, users: impl IntoIterator<Item = String>) -> Stored {
    let (tenant, mut items, mut due) = (Tenant::default(), BTreeMap::new(), BTreeSet::new());
    for user in users {
        let user = UserId::parse(&user).expect("a user");
        let mut after = None;
        loop {
            let page = store.list(&tenant, &user, 100, after).await.expect("the store answers");
            items.extend(page.notifications.into_iter().map(|n| (n.id, n)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    for shard in DueShard::all_from(0) {
        due.extend(store.due(shard, u32::MAX, None).await.expect("the store answers").iter().map(|due| due.id));
    }
    Stored { items, due }
}

/// The topic of the events and how far the group has come, seen from outside.
pub struct Topic {
    consumer: Arc<BaseConsumer>,
    topic: String,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Topic {
    /// How many events it holds.
    pub async fn events(&self) -> i64 {
        self.ask(|consumer, topic, partitions| {
            let end = |partition| consumer.fetch_watermarks(topic, partition, PATIENCE).expect("the broker answers").1;
            partitions.into_iter().map(end).sum()
        })
        .await
    }

    /// How many of them the group has committed.
    pub async fn committed(&self) -> i64 {
        self.ask(|consumer, topic, partitions| {
            let mut asked = TopicPartitionList::new();
            for partition in partitions {
                asked.add_partition(topic, partition);
            }
            let told = consumer.committed_offsets(asked, PATIENCE).expect("the broker answers");
            told.elements().iter().map(|one| if let Offset::Offset(next) = one.offset() { next } else { 0 }).sum()
        })
        .await
    }

    /// On a thread of its own, because it blocks.
    async fn ask(&self, what: impl FnOnce(&BaseConsumer, &str, Vec<i32>) -> i64 + Send + 'static) -> i64 {
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = consumer.fetch_metadata(Some(&topic), PATIENCE).expect("the broker answers");
            let partitions = metadata.topics()[0].partitions().iter().map(rdkafka::metadata::MetadataPartition::id);
            what(&consumer, &topic, partitions.collect())
        });
        asked.await.expect("it was asked")
    }
}
