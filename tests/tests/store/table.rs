//! `create-table`, and what a missing table is.

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use shared::domain::DueShard;
use shared::store::contract::sample;
use shared::store::dynamodb::{DynamoDb, table};
use shared::store::{Error, Store};
use tests::store_proxy::{Fault, StoreProxy};
use tests::test_store::{TIMEOUT, TestStore};

#[tokio::test]
async fn a_missing_table_is_told_from_everything_else() {
    let store = TestStore::without_table().await;
    let n = sample::pending();
    let failures = [
        store.db.check().await.unwrap_err(),
        store.db.create(&n).await.unwrap_err(),
        store.db.apply(n.id, &sample::claim(sample::NOW)).await.unwrap_err(),
        store.db.get(&n.tenant, n.id).await.unwrap_err(),
        store.db.list(&n.tenant, &n.user_id, 1, None).await.unwrap_err(),
        store.db.due(DueShard::of(n.id), 1, None).await.unwrap_err(),
    ];
    for failure in failures {
        assert!(matches!(&failure, Error::TableMissing { table } if table == store.db.table()), "{failure}");
    }
}

#[tokio::test]
async fn a_table_is_made_once_with_its_ttl_and_found_the_next_time() {
    let store = TestStore::without_table().await;
    for _ in 0..2 {
        store.db.create_table().await.unwrap();
    }
    store.db.check().await.unwrap();
    let ttl = store.db.client().describe_time_to_live().table_name(store.db.table()).send().await.unwrap();
    let ttl = ttl.time_to_live_description().unwrap();
    assert_eq!(ttl.attribute_name(), Some("ttl"));
    assert_eq!(ttl.time_to_live_status().unwrap().as_str(), "ENABLED");
}

#[tokio::test]
async fn a_table_of_another_shape_is_refused_with_the_difference() {
    let store = TestStore::without_table().await;
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let create = store.db.client().create_table().table_name(store.db.table()).billing_mode(BillingMode::PayPerRequest);
    create.attribute_definitions(attribute.build().unwrap()).key_schema(key.build().unwrap()).send().await.unwrap();
    let refused = store.db.create_table().await.unwrap_err();
    assert!(matches!(&refused, table::Error::OtherTable { difference, .. } if difference.contains("user-created")), "{refused}");
}

#[tokio::test]
async fn a_table_is_waited_for_until_it_and_its_indexes_are_there() {
    let store = TestStore::without_table().await;
    let proxy = StoreProxy::before(store.endpoint()).await;
    let db = DynamoDb::at(&proxy.endpoint(), store.db.table(), TIMEOUT);
    proxy.fail_next("DescribeTable", Fault::TableCreating);
    proxy.fail_next("DescribeTable", Fault::IndexCreating);
    db.create_table().await.unwrap();
    let calls = proxy.take_meter().calls;
    assert!(calls["DescribeTable"] >= 3, "{calls:?}");
    assert_eq!((proxy.faults_left(), calls["UpdateTimeToLive"]), (0, 1));
}
