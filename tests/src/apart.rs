//! A store and a broker apart from the server under test, where the test can reach them too: embedded ones
//! in the test's own process, or the real ones that the environment names.

use server::embedded::broker::EmbeddedBroker;
use server::embedded::store::{EmbeddedStore, Place};

use crate::server_process;
use crate::surroundings::Surroundings;

const TOPIC: &str = "notification-events";

#[derive(Debug)]
pub struct Apart {
    pub settings: Vec<(String, String)>,
    /// None where the real ones are used.
    _embedded: Option<(EmbeddedStore, EmbeddedBroker)>,
}

impl Apart {
    /// With a topic and without a table.
    pub async fn without_table() -> Self {
        let Surroundings { settings, real } = Surroundings::new().await;
        if real {
            return Self { settings, _embedded: None };
        }
        let store = EmbeddedStore::start(Place::Memory).await.expect("an embedded store");
        let broker = EmbeddedBroker::start(TOPIC, 4).expect("an embedded broker");
        let endpoint = store.endpoint();
        let settings = [
            ("STORE", "dynamodb"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "notasecret"),
            ("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers()),
            ("KAFKA_TOPIC", TOPIC),
            ("EMAIL_PROVIDER", "dev:"),
            ("SMS_PROVIDER", "dev:"),
            ("PUSH_PROVIDER", "dev:"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { settings, _embedded: Some((store, broker)) }
    }

    pub async fn start() -> Self {
        let apart = Self::without_table().await;
        // Patient, for a machine that builds beside.
        let made = server_process::run(&["create-table"], &apart.with(&[("STORE_TIMEOUT", "15s")])).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        apart
    }

    /// Its settings, and these over them.
    #[must_use]
    pub fn with<'a>(&'a self, over: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        own.chain(over.iter().copied()).collect()
    }

    /// The value of one of its settings.
    #[must_use]
    pub fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).expect("the setting is one of its own")
    }

    /// Of the store: `127.0.0.1:8000`.
    #[must_use]
    pub fn store_address(&self) -> &str {
        self.setting("AWS_ENDPOINT_URL_DYNAMODB").trim_start_matches("http://").trim_end_matches('/')
    }
}
