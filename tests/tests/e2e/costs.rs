//! What one notification costs from end to end, by the store's own account and by the calls on the wire.

use std::time::Duration;

use serde_json::json;
use tests::apart::Apart;
use tests::instant::from_now;
use tests::server_process::{PATIENCE, ServerProcess};
use tests::store_proxy::StoreProxy;
use tests::store_proxy::meter::Meter;
use tokio::time::{Instant, sleep};

struct Metered {
    proxy: StoreProxy,
    server: ServerProcess,
    _apart: Apart,
}

impl Metered {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let apart = Apart::start().await;
        let proxy = StoreProxy::before(apart.setting("AWS_ENDPOINT_URL_DYNAMODB")).await;
        let endpoint = proxy.endpoint();
        let mut over = vec![("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str()), ("CLOCK_SKEW", "0s")];
        over.extend(settings);
        let server = ServerProcess::start_with(&apart.with(&over)).await;
        Self { proxy, server, _apart: apart }
    }

    /// Without the first look at what is due, which reads: then only the fast path is measured.
    async fn quiet(kafka: Option<(&str, &str)>) -> Self {
        let settings: Vec<_> = [("REDRIVE_INTERVAL", "1h")].into_iter().chain(kafka).collect();
        let metered = Self::start(&settings).await;
        metered.wait_for("Query", 16).await;
        drop(metered.proxy.take_meter());
        metered
    }

    /// Waits until an operation was called so often. Asking the server would be a read of its own.
    async fn wait_for(&self, operation: &str, calls: u32) {
        let until = Instant::now() + PATIENCE;
        while self.proxy.meter().calls.get(operation).is_none_or(|made| *made < calls) {
            assert!(Instant::now() < until, "{}\n{}", self.proxy.meter(), self.server.logs());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Without what redrive and the test read.
    fn writes(&self) -> String {
        let Meter { write_units, calls, .. } = self.proxy.take_meter();
        let count = |operation| calls.get(operation).copied().unwrap_or_default();
        format!("{write_units} write units: PutItem {}, UpdateItem {}", count("PutItem"), count("UpdateItem"))
    }
}

const SYNC: Option<(&str, &str)> = Some(("KAFKA_BOOTSTRAP_SERVERS", "none"));

#[tokio::test]
async fn a_delivery_at_the_first_attempt_takes_six_write_units_in_three_calls_and_no_read() {
    for kafka in [None, SYNC] {
        let metered = Metered::quiet(kafka).await;
        let body = json!({"userId": "ada", "channel": "push", "template": "t", "idempotencyKey": "k", "data": {"n": 1}});
        let answer = metered.server.post("/api/notifications", &body).await;
        assert!(answer.status().is_success());
        metered.wait_for("UpdateItem", 2).await;
        assert_eq!(metered.proxy.take_meter().to_string(), "6 write units, 0 read units: PutItem 1, UpdateItem 2");

        let answer = metered.server.post("/api/notifications", &body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(metered.proxy.take_meter().to_string(), "1 write units, 0 read units: PutItem 1");
    }
}

#[tokio::test]
async fn a_scheduled_delivery_takes_nine_write_units() {
    let metered = Metered::start(&[]).await;
    // Redrive brings it: the third of its updates.
    let at = from_now(Duration::from_secs(4));
    let body = json!({"userId": "ada", "channel": "push", "template": "t", "scheduledAt": at});
    let id = metered.server.create(&body).await;
    metered.server.wait_for(&id, "Sent").await;
    assert_eq!(metered.writes(), "9 write units: PutItem 1, UpdateItem 3");
}

#[tokio::test]
async fn a_retry_takes_seven_write_units_more() {
    let receiver = tests::receiver::Receiver::start().await.unwrap();
    receiver.then(tests::receiver::Reply::status(503));
    let binding = receiver.binding();
    let settings = [
        ("PUSH_PROVIDER", binding.as_str()),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("RETRY_BASE", "200ms"),
    ];
    let metered = Metered::start(&settings).await;
    let id = metered.server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    metered.server.wait_for(&id, "Sent").await;
    assert_eq!(metered.writes(), "13 write units: PutItem 1, UpdateItem 5");
}
