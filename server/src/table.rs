//! `server create-table`: the table, its indexes and its TTL in whatever store the settings name. Happy
//! if they exist.

use shared::config::{CreateTableSettings, KafkaChoice, StoreKind};

use crate::fatal::Fatal;
use crate::parts::Parts;

pub async fn create(settings: &CreateTableSettings) -> Result<(), Fatal> {
    let parts = Parts::open(&settings.store_kind, &settings.store, &KafkaChoice::None).await?;
    // The embedded store makes its own whenever it is opened.
    if settings.store_kind == StoreKind::DynamoDb {
        parts.store.create_table().await.map_err(|source| Fatal::CreateTable { source })?;
    }
    tracing::info!(table = settings.store.table_name, "the table is there");
    parts.embedded.stop().await;
    Ok(())
}
