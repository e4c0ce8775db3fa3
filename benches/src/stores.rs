//! The embedded store and broker as the server has them, here for every party: the store in a file, the topic
//! cut in as many partitions. Nothing reads the topic and nothing redrives.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use server::embedded::broker::EmbeddedBroker;
use server::embedded::store::{EmbeddedStore, Place};
use shared::config::{CreateSettings, Environment, NotUtf8, Output};
use shared::store::dynamodb::DynamoDb;
use tempfile::TempDir;

use crate::process::Settings;

pub const TABLE: &str = "notifications";
pub const TOPIC: &str = "notification-events";
const PARTITIONS: i32 = 8;
/// Of the bench's own calls.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Stores {
    pub db: DynamoDb,
    pub store: EmbeddedStore,
    pub broker: EmbeddedBroker,
    folder: TempDir,
}

impl Stores {
    pub async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let store = EmbeddedStore::start(Place::Folder(folder.path().to_owned())).await?;
        let broker = EmbeddedBroker::start(TOPIC, PARTITIONS)?;
        let db = DynamoDb::at(&store.endpoint(), TABLE, TIMEOUT);
        db.create_table().await?;
        Ok(Self { db, store, broker, folder })
    }

    /// What a function's environment says of them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let endpoint = self.store.endpoint();
        let settings = [
            ("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str()),
            ("AWS_REGION", "local"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("TABLE_NAME", TABLE),
            ("KAFKA_BOOTSTRAP_SERVERS", self.broker.bootstrap_servers()),
            ("KAFKA_TOPIC", TOPIC),
            ("EMAIL_PROVIDER", "dev:"),
        ];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// The same, as a function reads them: with the product's own defaults.
    pub fn read_settings(&self) -> anyhow::Result<CreateSettings> {
        CreateSettings::read(&Listed(self.settings().into_iter().collect())).map_err(|faults| anyhow::anyhow!("{faults:?}"))
    }

    /// The store's file goes with its folder, once nobody holds it open.
    pub async fn end(self) {
        self.store.stop().await;
        drop(self.folder);
    }
}

struct Listed(BTreeMap<String, String>);

impl Environment for Listed {
    fn get(&self, name: &str) -> Result<Option<String>, NotUtf8> {
        Ok(self.0.get(name).cloned())
    }

    fn read_file(&self, _path: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn stderr(&self) -> Output {
        Output::Elsewhere
    }
}
