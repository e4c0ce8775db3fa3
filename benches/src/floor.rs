//! The least that the stores need: the bare conditional `PutItem` of an item as ours, byte for byte but for
//! its keys; the bare update of one attribute; the bare produce, acknowledged by all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::util::Timeout;
use shared::clock::{Clock, SystemClock};
use shared::domain::{DueAt, IdempotencyKey, NotificationId, Tenant};
use shared::events::Event;
use shared::random::{Random, SystemRandom};
use shared::store::Store;
use shared::store::dynamodb::DynamoDb;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What a create has until redrive looks.
const GUARD: Duration = Duration::from_secs(30);
/// For an event that nobody waits for any longer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Puts {
    client: Client,
    table: String,
    /// A notification as our own create wrote it.
    item: HashMap<String, AttributeValue>,
}

impl Puts {
    /// Puts copies of the item under this id.
    pub async fn like(db: &DynamoDb, id: &str) -> anyhow::Result<Self> {
        let get = db.client().get_item().table_name(db.table()).key("id", AttributeValue::S(id.to_owned()));
        let item = get.send().await?.item.context("there is no item to copy")?;
        Ok(Self { client: db.client().clone(), table: db.table().to_owned(), item })
    }

    pub async fn put(&self) -> anyhow::Result<NotificationId> {
        let random: &dyn Random = &SystemRandom;
        let now = SystemClock.now();
        // Of a key, as ours are: such ids come in no order, and the store has more to do for them than for those
        // that sort by time.
        let id = IdempotencyKey::parse(&random.uuid().to_string())?.notification_id(&Tenant::default());
        let mut item = self.item.clone();
        // Other keys, so that the indexes have as much to do as with ours.
        item.insert("id".to_owned(), AttributeValue::S(id.to_string()));
        item.insert("createdAt#id".to_owned(), AttributeValue::S(format!("{now}#{id}")));
        item.insert("dueShard".to_owned(), AttributeValue::N((random.byte() % 16).to_string()));
        item.insert("dueAt".to_owned(), AttributeValue::S(DueAt::first(now.plus(GUARD)).to_string()));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(#id)").expression_attribute_names("#id", "id");
        put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld).send().await?;
        Ok(id)
    }
}

/// Moves the due time of an item: what redrive can't do without.
pub async fn rearm(db: &DynamoDb, id: NotificationId) -> anyhow::Result<()> {
    let due = DueAt { at: SystemClock.now().plus(GUARD), redriven: 1 };
    let update = db.client().update_item().table_name(db.table()).key("id", AttributeValue::S(id.to_string()));
    let update = update.condition_expression("attribute_exists(dueAt)").update_expression("SET dueAt = :due");
    let update = update.expression_attribute_values(":due", AttributeValue::S(due.to_string()));
    update.return_values(ReturnValue::AllNew).send().await?;
    Ok(())
}

pub struct Produces {
    producer: FutureProducer,
    topic: String,
    value: String,
    headers: OwnedHeaders,
}

impl std::fmt::Debug for Produces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Produces").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Produces {
    /// Produces copies of the event of the notification under this id.
    pub async fn like(db: &DynamoDb, id: &str, bootstrap_servers: &str, topic: &str) -> anyhow::Result<Self> {
        let (id, tenant) = (NotificationId::parse(id)?, Tenant::default());
        let notification = db.get(&tenant, id).await?.context("there is no notification to copy")?;
        let event = Event::due(&notification, SystemClock.now());
        let headers =
            event.headers().iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap_servers).set("acks", "all").set("enable.idempotence", "true");
        config.set("linger.ms", "0").set("socket.nagle.disable", "true");
        let producer: FutureProducer = config.create()?;
        let (warm, name) = (producer.clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || warm.client().fetch_metadata(Some(&name), PATIENCE).map(drop)).await??;
        Ok(Self { producer, topic: topic.to_owned(), value: event.value(), headers })
    }

    pub async fn produce(&self, key: &str) -> anyhow::Result<()> {
        let record = FutureRecord::to(&self.topic).key(key).payload(&self.value).headers(self.headers.clone());
        let sent = self.producer.send(record, Timeout::After(PATIENCE)).await;
        sent.map(drop).map_err(|(error, _record)| error.into())
    }
}

/// How many calls of `call`, from 0 on, came to their end in a second. Each of the workers has a task of its
/// own, so that they share all cores.
pub async fn per_second<F, C>(workers: u32, calls: u32, call: F) -> anyhow::Result<f64>
where
    F: Fn(u32) -> C + Send + Sync + 'static,
    C: Future<Output = anyhow::Result<()>> + Send,
{
    let (next, call) = (Arc::new(AtomicU32::new(0)), Arc::new(call));
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..workers {
        let (next, call) = (Arc::clone(&next), Arc::clone(&call));
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= calls {
                    return anyhow::Ok(());
                }
                call(n).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(f64::from(calls) / begun.elapsed().as_secs_f64())
}
