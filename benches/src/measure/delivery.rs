//! The whole way, from the first create to the last `Sent`, through the server as it ships: embedded store and
//! broker, event source, redrive, the provider `dev:`. A delivery is three writes, so its floor is a third of
//! what a store like it can put. Two of the three are updates, which cost a store more than a put: so the three
//! as they are, with nothing around them, are measured too. Beside it, the most memory that the server held.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use shared::clock::{Clock, SystemClock};
use shared::domain::{Channel, Timestamp};
use shared::metrics::Metrics;
use shared::service::Budget;
use shared::service::deliver::Delivery;
use shared::traces::Traces;
use shared::wiring;
use tokio::time::{Instant, sleep};

use super::{Size, median};
use crate::binaries::{Binaries, SERVER};
use crate::floor::{self, Puts};
use crate::load::{Client, Crowd, Requests};
use crate::process::Process;
use crate::service;
use crate::stores::Stores;
use crate::table::{Figure, Goal};

const CLIENTS: u32 = 32;
const ACCEPTED: u16 = 202;
const PATIENCE: Duration = Duration::from_secs(120);
/// Seldom enough to take nothing from what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What one round of the server showed.
struct Way {
    per_second: f64,
    idle_megabytes: f64,
    peak_megabytes: f64,
}

pub(super) async fn measure(binaries: &Binaries, size: &Size) -> anyhow::Result<Vec<Figure>> {
    let (mut writes, mut threes, mut ways) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.long_rounds {
        writes.push(raw_writes(size.notifications).await?);
        threes.push(three_writes(size.notifications).await?);
        ways.push(whole_way(binaries, size.notifications).await?);
    }
    let middle = |of: fn(&Way) -> f64| median(ways.iter().map(of).collect());
    let third = median(writes) / 3.0;
    let peak = format!("server, peak memory over {} notifications (floor: before the first)", size.notifications);
    Ok(vec![
        Figure::new(
            "the whole way, delivered (floor: a third of the raw writes)",
            "/s",
            middle(|way| way.per_second),
            third,
            Goal::RatioAtLeast(0.8),
        ),
        Figure::new(
            "the whole way, delivered (floor: its three writes alone)",
            "/s",
            middle(|way| way.per_second),
            median(threes),
            Goal::None,
        ),
        Figure::new(peak, "MB", middle(|way| way.peak_megabytes), middle(|way| way.idle_megabytes), Goal::AtMost(80.0)),
    ])
}

/// Bare conditional puts of items as ours into a store of its own.
async fn raw_writes(writes: u32) -> anyhow::Result<f64> {
    let stores = Stores::start().await?;
    let puts = Arc::new(Puts::like(&stores.db, &a_notification(&stores).await?).await?);
    let put = move |_n| {
        let puts = Arc::clone(&puts);
        async move { puts.put().await.map(drop) }
    };
    let per_second = floor::per_second(CLIENTS, writes, put).await?;
    stores.end().await;
    Ok(per_second)
}

/// Put, claim, finish of each, through our own worker, with no HTTP and no Kafka.
async fn three_writes(notifications: u32) -> anyhow::Result<f64> {
    let stores = Stores::start().await?;
    let puts = Puts::like(&stores.db, &a_notification(&stores).await?).await?;
    let settings = stores.read_settings()?;
    let (worker, _inbox) =
        wiring::worker(Arc::new(stores.db.clone()), settings.providers, settings.policy, Metrics::default(), Traces::default())?;
    let parties = Arc::new((puts, worker));
    let deliver = move |_n| {
        let parties = Arc::clone(&parties);
        async move {
            let (puts, worker) = &*parties;
            let until = Instant::now() + PATIENCE;
            let delivery = worker.deliver(puts.put().await?, Channel::Email, until, &Budget::until(until)).await?;
            ensure!(matches!(delivery, Delivery::Attempted(_)), "not delivered: {delivery:?}");
            Ok(())
        }
    };
    let per_second = floor::per_second(CLIENTS, notifications, deliver).await?;
    stores.end().await;
    Ok(per_second)
}

/// The id of one that our own create has stored.
async fn a_notification(stores: &Stores) -> anyhow::Result<String> {
    let ours = Process::start_own(&[service::COMMAND], &stores.settings()).await?;
    let id = Crowd::connect(ours.address, 1).await?.round(1, &Requests::new(), ACCEPTED).await?.ids()?.concat();
    ours.end().await?;
    Ok(id)
}

async fn whole_way(binaries: &Binaries, notifications: u32) -> anyhow::Result<Way> {
    let settings = vec![("LISTEN_ADDR".to_owned(), "127.0.0.1:0".to_owned())];
    let server = Process::start(&binaries.of(SERVER), &[], &settings).await?;
    let idle_megabytes = server.peak_megabytes()?;
    let mut crowd = Crowd::connect(server.address, CLIENTS).await?;
    let mut client = Client::connect(server.address).await?;

    let begun = SystemClock.now();
    let round = crowd.round(notifications.into(), &Requests::new(), ACCEPTED).await?;
    let ids = round.ids()?;
    // One is looked at until it is through, and then the next: most are by then, and cost nobody anything.
    let mut last = begun;
    let patience = Instant::now() + PATIENCE;
    let mut peak_megabytes = None;
    for id in ids.iter().rev() {
        last = last.max(sent(&mut client, id, patience).await?);
        peak_megabytes.get_or_insert(server.peak_megabytes()?);
    }
    let elapsed = begun.until(last);
    server.end().await?;
    Ok(Way {
        per_second: f64::from(notifications) / elapsed.as_secs_f64(),
        idle_megabytes,
        peak_megabytes: peak_megabytes.context("nothing was sent")?,
    })
}

/// Waits until it is sent, and tells when that was: by the server's own word, so that looking late is no fault.
async fn sent(client: &mut Client, id: &str, patience: Instant) -> anyhow::Result<Timestamp> {
    loop {
        let n = client.get(&format!("/api/notifications/{id}")).await?.json()?;
        if let Some(at) = n.get("sentAt").and_then(|at| at.as_str()) {
            return Ok(Timestamp::parse(at)?);
        }
        ensure!(Instant::now() < patience, "{id} is {:?} and not sent", n.get("status"));
        sleep(LOOK_EVERY).await;
    }
}
