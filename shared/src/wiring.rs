//! What the binaries wire alike: a worker with the system's clock and randomness, and, where there is
//! Kafka, an outbox on it.

use std::sync::Arc;

use crate::channels::inbox::Inbox;
use crate::channels::registry::{OpenError, Providers, Surroundings};
use crate::clock::SystemClock;
use crate::config::ProviderSettings;
use crate::metrics::Metrics;
use crate::random::SystemRandom;
use crate::service::Policy;
use crate::service::deliver::Worker;
use crate::store::Store;
use crate::traces::Traces;

/// The worker, and the inbox of its `dev:` providers, if it has any.
pub fn worker(
    store: Arc<dyn Store>,
    settings: ProviderSettings,
    policy: Policy,
    metrics: Metrics,
    traces: Traces,
) -> Result<(Arc<Worker>, Arc<Inbox>), OpenError> {
    let clock = Arc::new(SystemClock);
    let inbox = Arc::new(Inbox::new(Arc::<SystemClock>::clone(&clock)));
    let make =
        Surroundings { clock: Arc::<SystemClock>::clone(&clock), send_timeout: policy.send_timeout, inbox: Arc::clone(&inbox) };
    let providers = Arc::new(Providers::open(settings.bindings, &settings.limits, &make)?);
    let (random, metrics) = (Arc::new(SystemRandom), Arc::new(metrics));
    Ok((Arc::new(Worker { store, providers, clock, random, policy, metrics, traces }), inbox))
}

/// The outbox, and its publisher for whoever must flush it. Without settings everything is processed at once.
#[cfg(feature = "kafka")]
pub async fn outbox(
    kafka: Option<&crate::events::KafkaSettings>,
    traces: &Traces,
) -> Result<(crate::events::Outbox, Option<Arc<crate::events::kafka::KafkaPublisher>>), crate::events::kafka::ConnectError> {
    use crate::events::Outbox;
    use crate::events::kafka::KafkaPublisher;

    let Some(settings) = kafka else { return Ok((Outbox::new(None), None)) };
    let publisher = Arc::new(KafkaPublisher::connect(settings)?);
    if let Err(error) = publisher.warm_up(settings.produce_timeout).await {
        tracing::warn!(%error, "started without kafka: processing at once until it takes events");
    }
    let outbox = Outbox::new(Some(Arc::<KafkaPublisher>::clone(&publisher))).traced(traces.clone(), settings.topic.clone());
    Ok((outbox, Some(publisher)))
}

/// The spans, and what exports them; without settings there are none.
#[cfg(feature = "otlp")]
pub fn traces(
    settings: Option<crate::traces::TraceSettings>,
    pace: crate::traces::otlp::Pace,
) -> Result<(Traces, crate::traces::otlp::Exporter), crate::traces::otlp::OpenError> {
    crate::traces::otlp::open(settings, pace, Arc::new(SystemClock), Arc::new(SystemRandom))
}
