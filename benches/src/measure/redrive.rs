//! Redrive of what is due, all of it at once, against the bare update and the bare produce for each, as many of
//! them side by side.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use shared::clock::{Clock, SystemClock};
use shared::domain::notification::Birth;
use shared::domain::{NewNotification, Notification, NotificationId, UserId};
use shared::metrics::Metrics;
use shared::random::{Random, SystemRandom};
use shared::sample::new_notification;
use shared::service::Budget;
use shared::service::redrive::Redrive;
use shared::store::Store;
use shared::traces::Traces;
use shared::wiring;
use tokio::time::Instant;

use super::{Size, median};
use crate::floor::{self, Produces};
use crate::stores::{Stores, TOPIC};
use crate::table::{Figure, Goal};

/// Redrive asks 16 shards at once, and works on two of each.
const SIDE_BY_SIDE: u32 = 32;
const LONG: Duration = Duration::from_mins(10);

pub(super) async fn measure(size: &Size) -> anyhow::Result<Vec<Figure>> {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..size.long_rounds {
        let stores = Stores::start().await?;
        let ids = fill(&stores, size.notifications).await?;
        ours.push(redrive(&stores, size.notifications).await?);
        floor.push(bare(&stores, ids).await?);
        stores.end().await;
    }
    let (what, ours, floor) = (format!("redrive of {} due", size.notifications), median(ours), median(floor));
    Ok(vec![Figure::new(what, "/s", ours, floor, Goal::AtLeast(1_000.0))])
}

/// Notifications whose event was lost: pending, and due.
async fn fill(stores: &Stores, notifications: u32) -> anyhow::Result<Vec<NotificationId>> {
    let stored = stream::iter(0..notifications).map(|n| async move {
        let n = overdue(n)?;
        stores.db.create(&n).await?;
        anyhow::Ok(n.id)
    });
    stored.buffer_unordered(32).try_collect().await
}

fn overdue(n: u32) -> anyhow::Result<Notification> {
    let random: &dyn Random = &SystemRandom;
    let new = NewNotification {
        user_id: UserId::parse(&format!("user-{}", n % 1000))?,
        request_id: Some(random.uuid().to_string()),
        ..new_notification()
    };
    let now = SystemClock.now();
    let id = random.notification_id(now);
    let birth = Birth { id, create_token: random.token(), now, attempt_limit: 30, due_guard: Duration::ZERO };
    Ok(Notification::create(new, birth))
}

async fn redrive(stores: &Stores, due: u32) -> anyhow::Result<f64> {
    let settings = stores.read_settings()?;
    let (worker, _inbox) =
        wiring::worker(Arc::new(stores.db.clone()), settings.providers, settings.policy, Metrics::default(), Traces::default())?;
    let (outbox, _publisher) = wiring::outbox(settings.kafka.as_ref(), &Traces::default()).await?;
    let redrive = Redrive { worker, outbox: Arc::new(outbox) };
    let begun = Instant::now();
    let report = redrive.run(&Budget::until(begun + LONG), begun).await;
    let elapsed = begun.elapsed();
    ensure!(report.published == due, "not each due one got its event, once: {report:?}");
    Ok(f64::from(due) / elapsed.as_secs_f64())
}

async fn bare(stores: &Stores, ids: Vec<NotificationId>) -> anyhow::Result<f64> {
    let Some(first) = ids.first() else { return Ok(f64::NAN) };
    let produces = Produces::like(&stores.db, &first.to_string(), stores.broker.bootstrap_servers(), TOPIC).await?;
    let due = u32::try_from(ids.len())?;
    let parties = Arc::new((stores.db.clone(), produces, ids));
    let both = move |n| {
        let parties = Arc::clone(&parties);
        async move {
            let (db, produces, ids) = &*parties;
            let id = ids.get(usize::try_from(n)?).copied().context("there are as many ids as calls")?;
            floor::rearm(db, id).await?;
            produces.produce(&id.to_string()).await
        }
    };
    floor::per_second(SIDE_BY_SIDE, due, both).await
}
