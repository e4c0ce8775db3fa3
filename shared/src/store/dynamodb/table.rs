//! `create-table`: the table, its two indexes and its TTL, in whatever store the settings name. Run it as
//! often as you like: what exists already is left as it is, if it is what we need.

use std::time::Duration;

use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use thiserror::Error;
use tokio::time::Instant;

use super::{DynamoDb, keys};
use crate::store;

/// AWS needs some seconds for a new table.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Error)]
pub enum Error {
    #[error("the store did not carry out {step}")]
    Store {
        step: &'static str,
        #[source]
        source: store::Error,
    },
    /// A table of this name exists and is another.
    #[error("the table {table} exists, but {difference}")]
    OtherTable { table: String, difference: String },
    #[error("the table {table} was not ready within {} s", .patience.as_secs())]
    NotReady { table: String, patience: Duration },
    /// The SDK would not take the definition: a fault of this file.
    #[error("the definition of the table is not complete")]
    Definition,
}

impl DynamoDb {
    pub async fn create_table(&self) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        self.define().await?;
        loop {
            if self.is_ready().await? {
                return self.enable_ttl().await;
            }
            if Instant::now() >= until {
                return Err(Error::NotReady { table: self.table.clone(), patience: PATIENCE });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn define(&self) -> Result<(), Error> {
        let create = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute(keys::ID, ScalarAttributeType::S)?)
            .attribute_definitions(attribute(keys::USER_KEY, ScalarAttributeType::S)?)
            .attribute_definitions(attribute(keys::CREATED, ScalarAttributeType::S)?)
            .attribute_definitions(attribute(keys::DUE_SHARD, ScalarAttributeType::N)?)
            .attribute_definitions(attribute(keys::DUE_AT, ScalarAttributeType::S)?)
            .key_schema(key(keys::ID, KeyType::Hash)?)
            .global_secondary_indexes(index(keys::USER_CREATED_INDEX, keys::USER_KEY, keys::CREATED)?)
            .global_secondary_indexes(index(keys::DUE_INDEX, keys::DUE_SHARD, keys::DUE_AT)?);
        let Err(failed) = create.send().await else { return Ok(()) };
        if let Some(CreateTableError::ResourceInUseException(_exists)) = failed.as_service_error() {
            return Ok(());
        }
        Err(self.step("CreateTable", &failed))
    }

    async fn is_ready(&self) -> Result<bool, Error> {
        let described = match self.client.describe_table().table_name(&self.table).send().await {
            Ok(described) => described,
            // For a moment after its making AWS may still say that there is none.
            Err(failed) => match self.failure(&failed) {
                store::Error::TableMissing { .. } => return Ok(false),
                source @ (store::Error::Unavailable { .. }
                | store::Error::Refused { .. }
                | store::Error::Forbidden
                | store::Error::Unreadable { .. }) => {
                    return Err(Error::Store { step: "DescribeTable", source });
                }
            },
        };
        let table = described.table().ok_or(Error::Definition)?;
        self.compare(table)?;
        let indexes = table.global_secondary_indexes();
        Ok(table.table_status() == Some(&TableStatus::Active)
            && indexes.iter().all(|index| index.index_status() == Some(&IndexStatus::Active)))
    }

    fn compare(&self, table: &TableDescription) -> Result<(), Error> {
        let other = |difference: String| Err(Error::OtherTable { table: self.table.clone(), difference });
        if schema(table.key_schema()) != [(keys::ID, &KeyType::Hash)] {
            return other(format!("its key is not {}", keys::ID));
        }
        for (name, hash, range) in
            [(keys::USER_CREATED_INDEX, keys::USER_KEY, keys::CREATED), (keys::DUE_INDEX, keys::DUE_SHARD, keys::DUE_AT)]
        {
            let Some(index) = table.global_secondary_indexes().iter().find(|index| index.index_name() == Some(name)) else {
                return other(format!("it has no index {name}"));
            };
            if schema(index.key_schema()) != [(hash, &KeyType::Hash), (range, &KeyType::Range)] {
                return other(format!("the key of its index {name} is not {hash}, {range}"));
            }
        }
        Ok(())
    }

    async fn enable_ttl(&self) -> Result<(), Error> {
        let described = self.client.describe_time_to_live().table_name(&self.table).send().await;
        let described = described.map_err(|failed| self.step("DescribeTimeToLive", &failed))?;
        if let Some(ttl) = described.time_to_live_description()
            && matches!(ttl.time_to_live_status(), Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        {
            return match ttl.attribute_name() {
                Some(keys::TTL) => Ok(()),
                _ => {
                    let difference = format!("its TTL is not on {}", keys::TTL);
                    Err(Error::OtherTable { table: self.table.clone(), difference })
                }
            };
        }
        let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name(keys::TTL).build();
        let specification = specification.map_err(|_incomplete| Error::Definition)?;
        let update = self.client.update_time_to_live().table_name(&self.table).time_to_live_specification(specification);
        update.send().await.map(drop).map_err(|failed| self.step("UpdateTimeToLive", &failed))
    }

    fn step<E: aws_sdk_dynamodb::error::ProvideErrorMetadata>(
        &self,
        step: &'static str,
        failed: &aws_sdk_dynamodb::error::SdkError<E, aws_sdk_dynamodb::config::http::HttpResponse>,
    ) -> Error {
        Error::Store { step, source: self.failure(failed) }
    }
}

fn schema(keys: &[KeySchemaElement]) -> Vec<(&str, &KeyType)> {
    keys.iter().map(|key| (key.attribute_name(), key.key_type())).collect()
}

fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, Error> {
    let built = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
    built.map_err(|_incomplete| Error::Definition)
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, Error> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(|_incomplete| Error::Definition)
}

fn index(name: &str, hash: &str, range: &str) -> Result<GlobalSecondaryIndex, Error> {
    let built = GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(key(hash, KeyType::Hash)?)
        .key_schema(key(range, KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build();
    built.map_err(|_incomplete| Error::Definition)
}
