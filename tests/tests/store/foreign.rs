//! Items that are not ours: of an unknown kind, of a newer version, or damaged. None is ever touched.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::domain::{Action, Notification, NotificationId, Status};
use shared::store::contract::{sample, transitions};
use shared::store::dynamodb::DynamoDb;
use shared::store::{Applied, Created, Error, Store};
use tests::test_store::TestStore;

type Item = HashMap<String, AttributeValue>;

async fn item(db: &DynamoDb, id: NotificationId) -> Item {
    let get = db.client().get_item().table_name(db.table()).key("id", AttributeValue::S(id.to_string()));
    get.consistent_read(true).send().await.unwrap().item.unwrap()
}

/// Writes one attribute of an item beneath the port.
async fn overwrite(db: &DynamoDb, n: &Notification, attribute: &str, value: AttributeValue) {
    let mut changed = item(db, n.id).await;
    changed.insert(attribute.to_owned(), value);
    db.client().put_item().table_name(db.table()).set_item(Some(changed)).send().await.unwrap();
}

#[tokio::test]
async fn an_item_of_an_unknown_kind_or_a_newer_version_is_never_touched() {
    let store = TestStore::start().await;
    let db = &store.db;
    let foreign = [("kind", AttributeValue::S("digest".to_owned())), ("v", AttributeValue::N("2".to_owned()))];
    for (attribute, value) in foreign {
        for case in transitions::cases() {
            for status in case.change.action().from() {
                let n = sample::stored(db, case.item(*status)).await;
                overwrite(db, &n, attribute, value.clone()).await;
                let before = item(db, n.id).await;
                assert_eq!(db.apply(n.id, &case.change).await.unwrap(), Applied::Foreign, "{attribute}: {}", case.name);
                assert_eq!(item(db, n.id).await, before, "{attribute}: {}", case.name);
            }
        }
        let n = sample::stored(db, sample::pending()).await;
        overwrite(db, &n, attribute, value.clone()).await;
        assert_eq!(db.create(&n).await.unwrap(), Created::Foreign, "{attribute}");
        assert_eq!(db.get(&n.tenant, n.id).await.unwrap(), None, "{attribute}");
        let page = db.list(&n.tenant, &n.user_id, 10, None).await.unwrap();
        assert_eq!((page.notifications, page.next), (vec![], None), "{attribute}");
    }
}

#[tokio::test]
async fn a_damaged_item_is_reported_by_its_attribute_and_without_its_value() {
    let store = TestStore::start().await;
    let db = &store.db;
    for (attribute, value) in [
        ("status", AttributeValue::S("CANARY".to_owned())),
        ("personal", AttributeValue::S("{\"to\":{\"email\":\"CANARY\"}}".to_owned())),
        ("personal", AttributeValue::S("{\"data\":\"CANARY\"}".to_owned())),
        ("userKey", AttributeValue::S("CANARY".to_owned())),
        ("notBefore", AttributeValue::S("CANARY".to_owned())),
        ("attempts", AttributeValue::L(vec![AttributeValue::S("CANARY".to_owned())])),
        ("claimToken", AttributeValue::S("CANARY".to_owned())),
    ] {
        let n = sample::stored(db, sample::pending()).await;
        overwrite(db, &n, attribute, value).await;
        let failed = db.get(&n.tenant, n.id).await.unwrap_err();
        assert!(matches!(&failed, Error::Unreadable { what } if what == attribute), "{attribute}: {failed}");
        assert!(!format!("{failed:?}{failed}").contains("CANARY"), "{attribute}");
    }
}

/// The condition holds between two texts as between two numbers, and then there is nothing to add to.
#[tokio::test]
async fn an_item_that_takes_no_write_is_damaged_and_the_store_is_not_away() {
    let store = TestStore::start().await;
    let db = &store.db;
    let claim = transitions::cases().into_iter().find(|case| case.change.action() == Action::Claim).unwrap();
    let n = sample::stored(db, claim.item(Status::Pending)).await;
    overwrite(db, &n, "attempt", AttributeValue::S("0".to_owned())).await;
    overwrite(db, &n, "attemptLimit", AttributeValue::S("3".to_owned())).await;
    let before = item(db, n.id).await;
    let failed = db.apply(n.id, &claim.change).await.unwrap_err();
    assert!(matches!(failed, Error::Unreadable { .. }), "{failed}");
    assert_eq!(item(db, n.id).await, before);
}

#[tokio::test]
async fn what_is_personal_lies_in_one_attribute_and_the_index_keys_have_their_form() {
    let store = TestStore::start().await;
    let db = &store.db;
    let raw = serde_json::value::RawValue::from_string(r#"{ "n" : 1.10 }"#.to_owned()).unwrap();
    let to = shared::domain::recipient::Email::parse("canary@example.com").unwrap();
    let n = Notification {
        to: Some(shared::domain::Recipient::Email(to)),
        data: Some(shared::domain::JsonObject::parse(&raw).unwrap()),
        ..sample::pending()
    };
    let n = sample::stored(db, n).await;
    let item = item(db, n.id).await;
    let text = |name: &str| item[name].as_s().unwrap().clone();
    assert_eq!(text("personal"), r#"{"to":{"email":"canary@example.com"},"data":{"n":1.10}}"#);
    assert!(item.iter().all(|(name, value)| name == "personal" || !format!("{value:?}").contains("canary")));
    assert_eq!(text("userKey"), format!("default#{}", n.user_id.as_str()));
    assert_eq!(text("createdAt#id"), format!("2030-01-01T00:00:00.000Z#{}", n.id));
    assert_eq!(text("dueAt"), "2030-01-01T00:00:30.000Z#0");
    assert!(item["dueShard"].is_n());
}

#[tokio::test]
async fn a_final_item_bears_neither_index_key_of_what_is_due_nor_a_lease_and_the_others_bear_both() {
    let store = TestStore::start().await;
    for case in transitions::cases() {
        for status in case.change.action().from() {
            let n = sample::stored(&store.db, case.item(*status)).await;
            let after = sample::done(store.db.apply(n.id, &case.change).await);
            let item = item(&store.db, n.id).await;
            let has = |name: &str| item.contains_key(name);
            assert_eq!(has("dueAt"), !after.status.is_final(), "{}", case.name);
            assert_eq!(has("dueShard"), !after.status.is_final(), "{}", case.name);
            assert_eq!(has("ttl"), after.status.is_final(), "{}", case.name);
            assert!(!(has("leaseUntil") && after.status.is_final()), "{}", case.name);
        }
    }
}
