use std::collections::HashMap;

use shared::store::dynamodb::{DEFAULT_TIMEOUT, DynamoDb};
use tempfile::TempDir;

use super::*;

fn inside(folder: &TempDir) -> Place {
    Place::Folder(folder.path().join("data"))
}

fn client(store: &EmbeddedStore) -> DynamoDb {
    DynamoDb::at(&store.endpoint(), "notifications", DEFAULT_TIMEOUT)
}

async fn put(db: &DynamoDb, id: &str, ttl: &str) {
    use aws_sdk_dynamodb::types::AttributeValue;
    let item = HashMap::from([
        ("id".to_owned(), AttributeValue::S(id.to_owned())),
        ("ttl".to_owned(), AttributeValue::N(ttl.to_owned())),
    ]);
    db.client().put_item().table_name(db.table()).set_item(Some(item)).send().await.unwrap();
}

async fn ids(db: &DynamoDb) -> Vec<String> {
    let scan = db.client().scan().table_name(db.table()).send().await.unwrap();
    scan.items().iter().map(|item| item["id"].as_s().unwrap().clone()).collect()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::start(inside(&folder)).await.unwrap();
    let db = client(&store);
    db.create_table().await.unwrap();
    db.create_table().await.unwrap();
    put(&db, "kept", "32503680000").await;
    store.stop().await;
    let store = EmbeddedStore::start(inside(&folder)).await.unwrap();
    let db = client(&store);
    db.create_table().await.unwrap();
    assert_eq!(ids(&db).await, ["kept"]);
    store.stop().await;
}

#[tokio::test]
async fn what_is_past_its_time_is_swept_away() {
    let store = EmbeddedStore::start_sweeping(Place::Memory, Duration::from_millis(5)).await.unwrap();
    let db = client(&store);
    db.create_table().await.unwrap();
    put(&db, "old", "1").await;
    put(&db, "young", "32503680000").await;
    let swept = async {
        while ids(&db).await != ["young"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), swept).await.expect("swept");
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_free_again_after_a_stop() {
    let folder = TempDir::new().unwrap();
    let first = EmbeddedStore::start(inside(&folder)).await.unwrap();
    let second = EmbeddedStore::start(inside(&folder)).await;
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    first.stop().await;
    EmbeddedStore::start(inside(&folder)).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_folder_that_can_not_be_made_is_told_from_one_in_use() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("data"), "a file in the folder's place").unwrap();
    let failed = EmbeddedStore::start(inside(&folder)).await;
    assert!(matches!(failed, Err(Error::NotWritable { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_folder_without_permission_to_write_is_refused() {
    // A system folder in which not even root may make files.
    let failed = EmbeddedStore::start(Place::Folder("/proc/self".into())).await;
    assert!(matches!(failed, Err(Error::NotWritable { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_file_of_somebody_elses_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let Place::Folder(data) = inside(&folder) else { panic!("a folder") };
    std::fs::create_dir_all(&data).unwrap();
    for content in ["my diary, which is no database at all", "short"] {
        std::fs::write(data.join(DATA_FILE), content).unwrap();
        let failed = EmbeddedStore::start(inside(&folder)).await;
        assert!(matches!(failed, Err(Error::NotADatabase { .. })), "{failed:?}");
        assert_eq!(std::fs::read_to_string(data.join(DATA_FILE)).unwrap(), content);
    }
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let Place::Folder(data) = inside(&folder) else { panic!("a folder") };
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join(DATA_FILE), [SQLITE.as_slice(), &[7; 4096]].concat()).unwrap();
    let failed = EmbeddedStore::start(inside(&folder)).await;
    assert!(matches!(failed, Err(Error::Open { .. })), "{failed:?}");
}
