//! A store, a broker and a receiver, and a gate before each.

use std::time::Duration;

use tests::apart::Apart;
use tests::gate::Gate;
use tests::receiver::Receiver;
use tests::server_process::ServerProcess;

pub(crate) const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

/// Times that fit a test, and leave a busy machine the time that it needs.
pub(crate) const BRISK: [(&str, &str); 11] = [
    ("STORE_TIMEOUT", "2s"),
    ("KAFKA_PRODUCE_TIMEOUT", "300ms"),
    ("SEND_TIMEOUT", "1s"),
    ("CLOCK_SKEW", "50ms"),
    ("LEASE", "4s"),
    ("DUE_GUARD", "2s"),
    ("REDRIVE_INTERVAL", "500ms"),
    ("RETRY_BASE", "500ms"),
    ("RETRY_CAP", "2s"),
    ("PROVIDER_PAUSE", "500ms"),
    ("PROVIDER_PAUSE_CAP", "2s"),
];
/// By when each answer comes then: `SEND_TIMEOUT` and 11 s that no setting makes fewer.
pub(crate) const BRISK_PROMISE: Duration = Duration::from_secs(12);
/// For the work that an outage left. Nothing waits this long unless it is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Store,
    Broker,
    Provider,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// Sockets that refuse.
    Refuse,
    /// Sockets that accept and say nothing.
    SayNothing,
}

pub(crate) struct World {
    pub(crate) receiver: Receiver,
    apart: Apart,
    store: Gate,
    broker: Gate,
    provider: Gate,
}

impl World {
    /// With everything there.
    pub(crate) async fn start() -> Self {
        let (apart, receiver) = (Apart::start().await, Receiver::start().await.unwrap());
        let store = Gate::before(apart.store_address());
        let broker = Gate::before_kafka(apart.setting("KAFKA_BOOTSTRAP_SERVERS"));
        let provider = Gate::before(&receiver.address().to_string());
        let world = Self { receiver, apart, store, broker, provider };
        world.bring_back(&[Part::Store, Part::Broker, Part::Provider]).await;
        world
    }

    /// One that finds all of it behind the gates.
    pub(crate) async fn server(&self, settings: &[(&str, &str)]) -> ServerProcess {
        let store = format!("http://{}", self.store.address());
        let broker = self.broker.address().to_string();
        let provider = format!("webhook+http://{}/hook", self.provider.address());
        let own = [
            ("AWS_ENDPOINT_URL_DYNAMODB", store.as_str()),
            ("KAFKA_BOOTSTRAP_SERVERS", &broker),
            ("PUSH_PROVIDER", &provider),
            SECRET,
        ];
        ServerProcess::start_with(&self.apart.with(&[&own, settings].concat())).await
    }

    pub(crate) async fn take_away(&self, parts: &[Part], way: Way) {
        for gate in self.gates(parts) {
            match way {
                Way::Refuse => gate.close().await,
                Way::SayNothing => gate.stall().await,
            }
        }
    }

    pub(crate) async fn bring_back(&self, parts: &[Part]) {
        for gate in self.gates(parts) {
            gate.open().await;
        }
    }

    fn gates(&self, parts: &[Part]) -> impl Iterator<Item = &Gate> {
        parts.iter().map(|part| match part {
            Part::Store => &self.store,
            Part::Broker => &self.broker,
            Part::Provider => &self.provider,
        })
    }
}
