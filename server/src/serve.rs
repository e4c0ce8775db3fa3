//! `cargo run`: everything in one process.
//!
//! On a signal it stops accepting and claiming at once, finishes what it holds within `SEND_TIMEOUT` + 5 s,
//! commits, flushes and ends. What it could not finish in that time is still in the `due` index.
#![expect(clippy::print_stdout, reason = "one line on stdout says where it serves")]

use std::sync::Arc;
use std::time::Duration;

use create::AppState;
use futures::FutureExt;
use shared::config::ServerSettings;
use shared::http::access::{Access, Anybody};
use shared::http::front;
use shared::http::work::Work;
use shared::metrics::Metrics;
use shared::service::Budget;
use shared::service::create::Create;
use shared::service::get::Get;
use shared::service::process::Process;
use shared::service::redrive::Redrive;
use shared::traces::otlp::Pace;
use shared::wiring;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::event_source::{EventSource, SourceSettings};
use crate::fatal::Fatal;
use crate::function::{InProcess, InvokeError};
use crate::parts::Parts;
use crate::{http, inbox, keys, metrics, schedule, stopping};

/// How long one call of `process` may take: as much as the function gets on AWS.
const CALL: Duration = Duration::from_mins(1);
/// Of the time to stop, what is kept for the producer's last events and the store's file.
const TAIL: Duration = Duration::from_secs(1);

pub async fn run(settings: ServerSettings) -> Result<(), Fatal> {
    let stop = stopping::on_signal()?;
    let address = settings.listen_addr;
    let unbound = |source| Fatal::Listen { address, source };
    // Before the store: a port that is taken is known at once, and nothing was opened yet.
    let listener = TcpListener::bind(address).await.map_err(unbound)?;
    let local = listener.local_addr().map_err(unbound)?;
    let for_metrics = metrics::listen(settings.metrics_listen_addr).await?;

    let parts = Parts::open(&settings.store_kind, &settings.store, &settings.kafka).await?;
    parts.check_table().await?;
    let traced = wiring::traces(settings.traces, Pace::Steady);
    let (traces, exporter) = traced.map_err(|source| Fatal::Traces { source })?;
    let provided = wiring::worker(parts.store.clone(), settings.providers, settings.policy, Metrics::default(), traces.clone());
    let (worker, inbox) = provided.map_err(|source| Fatal::Provider { source })?;
    let (outbox, publisher) = wiring::outbox(parts.kafka.as_ref(), &traces).await.map_err(|source| Fatal::Kafka { source })?;
    let outbox = Arc::new(outbox);

    let use_case = Create { worker: Arc::clone(&worker), outbox: Arc::clone(&outbox) };
    let work = Work::limited(settings.load.max_requests);
    let reads =
        get::AppState { get: Arc::new(Get { store: parts.store.clone(), clock: Arc::clone(&worker.clock) }), work: work.clone() };
    let writes = AppState { stop: stop.clone(), work: work.clone(), ..AppState::new(use_case) };
    let mut app = create::router(writes).merge(get::router(reads));
    if worker.providers.uses_dev() {
        app = app.merge(inbox::router(inbox));
    }
    let mut background = JoinSet::new();
    let access: Arc<dyn Access> = match settings.keys {
        Some(keys) => {
            let (keys, following) = keys::watch(keys, stop.clone());
            background.spawn(following);
            Arc::new(keys)
        }
        None => Arc::new(Anybody),
    };
    let app = front::complete_traced(app, Arc::clone(&worker.random), access, traces);

    let reading = Arc::clone(&outbox.reading);
    let redrive = Arc::new(Redrive { worker: Arc::clone(&worker), outbox });
    background.spawn(schedule::in_process(redrive, settings.redrive_interval, stop.clone()));
    if let Some(listener) = for_metrics {
        background.spawn(metrics::serve(listener, Arc::clone(&worker), work.clone(), stop.clone()));
    }
    if let Some(kafka) = parts.kafka.clone() {
        let of = if parts.has_embedded_broker() { SourceSettings::embedded } else { SourceSettings::new };
        let function = process_function(Process { worker: Arc::clone(&worker) }, stop.clone());
        let source = SourceSettings { reading, ..of(kafka) };
        let source = EventSource::connect(source, Arc::new(function), Arc::clone(&worker.random));
        background.spawn(source.map_err(|source| Fatal::EventSource { source })?.run(stop.clone()));
    }

    println!("listening on http://{local}");
    let drain = settings.policy.send_timeout + Budget::BESIDE_SEND - TAIL;
    let stopping = stop.clone();
    let overdue = async move { stopping.cancelled().then(|()| sleep(drain)).await }.shared();
    let served = tokio::select! {
        () = http::serve(listener, app, settings.load, stop.clone()) => Ok(()),
        () = ended_early(&mut background, &stop) => Err(Fatal::BackgroundEnded),
        () = overdue.clone() => Ok(()),
    };
    stop.cancel();
    tokio::select! {
        () = async { work.ended().await; while background.join_next().await.is_some() {} } => {}
        () = overdue => tracing::warn!("stopped with work unfinished: its leases run out, and redrive brings it back"),
    }
    let tail = async {
        if let Some(publisher) = publisher
            && let Err(error) = publisher.flush(TAIL).await
        {
            tracing::warn!(%error, "stopped with events unpublished: redrive publishes them again");
        }
        parts.embedded.stop().await;
    };
    // Beside it: a collector that hangs keeps nobody from the store's file.
    let (tail, ()) = tokio::join!(timeout(TAIL, tail), exporter.flush());
    if tail.is_err() {
        tracing::warn!("stopped without waiting any longer for the broker or the store's file");
    }
    served
}

/// `process`, called as Lambda would call it.
fn process_function(process: Process, stop: CancellationToken) -> InProcess {
    let process = Arc::new(process);
    InProcess::new("process", move |payload| {
        let (process, stop) = (Arc::clone(&process), stop.clone());
        async move {
            let budget = Budget { deadline: Instant::now() + CALL, stop };
            let answer = process::handle(&process, &payload, &budget).await;
            let answer = answer.map_err(|error| InvokeError::Failed { what: error.to_string() })?;
            serde_json::to_vec(&answer).map_err(|error| InvokeError::Failed { what: error.to_string() })
        }
    })
}

/// Resolves when one of them ends although nobody stopped it: without redrive, the event source or the watch
/// over the keys, nothing would keep what is promised here.
async fn ended_early(background: &mut JoinSet<()>, stop: &CancellationToken) {
    background.join_next().await;
    if stop.is_cancelled() {
        std::future::pending::<()>().await;
    }
}
