//! The store and the broker that the settings name: embedded ones, or whatever answers there.

use std::sync::Arc;

use shared::config::{KafkaChoice, StoreKind, StoreSettings};
use shared::events::KafkaSettings;
use shared::store::dynamodb::DynamoDb;
use shared::store::{self, Store};

#[cfg(feature = "embedded")]
use crate::embedded::{
    broker::EmbeddedBroker,
    store::{EmbeddedStore, Place},
};
use crate::fatal::Fatal;

/// How the embedded topic is cut: one user's notifications stay in order within each partition.
#[cfg(feature = "embedded")]
const PARTITIONS: i32 = 8;

/// What serves inside of this process; it runs as long as this value lives.
#[derive(Debug, Default)]
pub struct Embedded {
    #[cfg(feature = "embedded")]
    store: Option<EmbeddedStore>,
    #[cfg(feature = "embedded")]
    broker: Option<EmbeddedBroker>,
}

#[derive(Debug)]
pub struct Parts {
    pub store: Arc<DynamoDb>,
    /// None: synchronous mode.
    pub kafka: Option<KafkaSettings>,
    pub embedded: Embedded,
}

impl Parts {
    pub async fn open(kind: &StoreKind, settings: &StoreSettings, kafka: &KafkaChoice) -> Result<Self, Fatal> {
        #[cfg_attr(not(feature = "embedded"), expect(unused_mut, reason = "without the feature nothing is put into it"))]
        let mut embedded = Embedded::default();
        let store = match kind {
            StoreKind::DynamoDb => {
                let store = DynamoDb::from_environment(&settings.table_name, settings.timeout).await;
                store.map_err(|source| Fatal::Store { source })?
            }
            #[cfg(feature = "embedded")]
            StoreKind::Embedded { data_dir } => {
                let started = EmbeddedStore::start(Place::Folder(data_dir.clone())).await;
                let started = started.map_err(|source| Fatal::EmbeddedStore { source })?;
                let store = DynamoDb::at(&started.endpoint(), &settings.table_name, settings.timeout);
                embedded.store = Some(started);
                store.create_table().await.map_err(|source| Fatal::CreateTable { source })?;
                store
            }
            #[cfg(not(feature = "embedded"))]
            StoreKind::Embedded { .. } => return Err(Fatal::NotEmbedded),
        };
        let kafka = match kafka {
            KafkaChoice::None => None,
            KafkaChoice::External(settings) => Some(settings.clone()),
            #[cfg(feature = "embedded")]
            KafkaChoice::Embedded { topic, produce_timeout } => {
                let broker = EmbeddedBroker::start(&topic.topic, PARTITIONS);
                let broker = broker.map_err(|source| Fatal::EmbeddedBroker { source })?;
                tracing::info!("kafka is the embedded broker: what it holds ends with the process, what is due does not");
                let settings = topic.clone().at(
                    broker.bootstrap_servers().to_owned(),
                    shared::events::Security::default(),
                    *produce_timeout,
                );
                embedded.broker = Some(broker);
                Some(settings)
            }
            #[cfg(not(feature = "embedded"))]
            KafkaChoice::Embedded { .. } => return Err(Fatal::NotEmbedded),
        };
        Ok(Self { store: Arc::new(store), kafka, embedded })
    }

    /// A missing table can't mend itself: an error. A store that is away can: a warning.
    pub async fn check_table(&self) -> Result<(), Fatal> {
        match self.store.check().await {
            Ok(()) => Ok(()),
            Err(store::Error::TableMissing { table }) => Err(Fatal::TableMissing { table }),
            Err(error) => {
                tracing::warn!(%error, "started without the store: answers 503 until it can be reached");
                Ok(())
            }
        }
    }

    #[must_use]
    pub const fn has_embedded_broker(&self) -> bool {
        #[cfg(feature = "embedded")]
        return self.embedded.broker.is_some();
        #[cfg(not(feature = "embedded"))]
        return false;
    }
}

impl Embedded {
    /// Where the embedded store listens; empty without one.
    #[must_use]
    pub fn store_endpoint(&self) -> String {
        #[cfg(feature = "embedded")]
        return self.store.as_ref().map(EmbeddedStore::endpoint).unwrap_or_default();
        #[cfg(not(feature = "embedded"))]
        return String::new();
    }

    /// Closes the store's file, so that another server may open it at once.
    pub async fn stop(self) {
        #[cfg(feature = "embedded")]
        if let Some(store) = self.store {
            store.stop().await;
        }
    }
}
