//! A lost answer is not a lost write: the SDK's repeat meets its own write, and knows it. And what else a
//! network does.

use std::time::Duration;

use shared::domain::{Action, DueShard, Notification, Tenant};
use shared::store::contract::{sample, transitions};
use shared::store::dynamodb::DynamoDb;
use shared::store::{Applied, Created, Error, Store};
use tests::store_proxy::{Fault, StoreProxy};
use tests::test_store::{TIMEOUT, TestStore};
use tokio::time::Instant;

async fn behind_proxy(store: &TestStore, timeout: Duration) -> (StoreProxy, DynamoDb) {
    let proxy = StoreProxy::before(store.endpoint()).await;
    let db = DynamoDb::at(&proxy.endpoint(), store.db.table(), timeout);
    (proxy, db)
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_new_all_the_same() {
    let store = TestStore::start().await;
    let (proxy, db) = behind_proxy(&store, TIMEOUT).await;
    let n = sample::pending();
    proxy.fail_next("PutItem", Fault::LoseAnswer);
    assert_eq!(db.create(&n).await.unwrap(), Created::New);
    assert_eq!(proxy.take_meter().calls["PutItem"], 2, "it was repeated");
    assert_eq!(store.db.get(&n.tenant, n.id).await.unwrap(), Some(n));
}

#[tokio::test]
async fn every_change_whose_answer_was_lost_is_done_all_the_same_and_once() {
    let store = TestStore::start().await;
    let (proxy, db) = behind_proxy(&store, TIMEOUT).await;
    for case in transitions::cases() {
        for status in case.change.action().from() {
            let name = format!("{} from {status:?}", case.name);
            let before = sample::stored(&store.db, case.item(*status)).await;
            proxy.fail_next("UpdateItem", Fault::LoseAnswer);
            let applied = db.apply(before.id, &case.change).await.unwrap();
            assert_eq!(proxy.take_meter().calls["UpdateItem"], 2, "{name}: it was repeated");
            let after = store.db.get(&before.tenant, before.id).await.unwrap().unwrap();
            let told = Box::new(after.clone());
            // The value alone doesn't say whose re-arm it was.
            let known = case.change.action() != Action::Rearm;
            assert_eq!(applied, if known { Applied::Done(told) } else { Applied::Refused(told) }, "{name}");
            // The same change on a twin without any fault leaves the same.
            let twin = sample::stored(&store.db, case.item(*status)).await;
            let twin = sample::done(store.db.apply(twin.id, &case.change).await);
            assert_eq!((after.status, after.attempt, after.attempts), (twin.status, twin.attempt, twin.attempts), "{name}");
        }
    }
    assert_eq!(proxy.faults_left(), 0);
}

#[tokio::test]
async fn a_throttled_call_is_repeated() {
    let store = TestStore::start().await;
    let (proxy, db) = behind_proxy(&store, TIMEOUT).await;
    let n = sample::pending();
    proxy.fail_next("PutItem", Fault::Throttle);
    assert_eq!(db.create(&n).await.unwrap(), Created::New);
    assert_eq!(proxy.take_meter().calls["PutItem"], 2);
    for _ in 0..3 {
        proxy.fail_next("PutItem", Fault::Throttle);
    }
    let refused = db.create(&sample::pending()).await.unwrap_err();
    assert!(matches!(&refused, Error::Unavailable { what } if what.starts_with("ThrottlingException")), "{refused}");
    assert_eq!(proxy.take_meter().calls["PutItem"], 3, "and not for ever");
}

#[tokio::test]
async fn a_store_that_never_answers_is_given_up_in_time() {
    let store = TestStore::start().await;
    let (proxy, db) = behind_proxy(&store, Duration::from_millis(150)).await;
    for _ in 0..3 {
        proxy.fail_next("GetItem", Fault::Stall);
    }
    let begun = tokio::time::Instant::now();
    let failed = db.check().await.unwrap_err();
    assert!(failed.is_transient(), "{failed}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_store_that_is_not_there_is_unavailable() {
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let db = DynamoDb::at(&format!("http://{port}"), "nowhere", Duration::from_secs(1));
    assert!(db.check().await.unwrap_err().is_transient());
    assert!(db.create(&sample::pending()).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn what_a_busy_store_leaves_of_a_list_is_asked_for_again_and_what_is_gone_is_passed_over() {
    let store = TestStore::start().await;
    let (proxy, db) = behind_proxy(&store, TIMEOUT).await;
    let user = sample::user("busy-");
    for _ in 0..4 {
        let n = shared::domain::Notification { user_id: user.clone(), ..sample::pending() };
        sample::stored(&store.db, n).await;
    }
    let expected = store.db.list(&Tenant::default(), &user, 10, None).await.unwrap();
    assert_eq!(expected.notifications.len(), 4);
    proxy.fail_next("BatchGetItem", Fault::LeaveUnprocessed);
    proxy.fail_next("BatchGetItem", Fault::LeaveUnprocessed);
    assert_eq!(db.list(&Tenant::default(), &user, 10, None).await.unwrap(), expected);
    assert_eq!(proxy.take_meter().calls["BatchGetItem"], 3);
    proxy.fail_next("BatchGetItem", Fault::ForgetFirst);
    let without_first = db.list(&Tenant::default(), &user, 10, None).await.unwrap();
    assert_eq!(without_first.notifications, expected.notifications[1..], "an index names what is gone");
}

#[tokio::test]
async fn a_list_that_the_store_serves_item_by_item_ends_in_time() {
    let (store, patience) = (TestStore::start().await, Duration::from_secs(6));
    let (proxy, db) = behind_proxy(&store, patience).await;
    let user = sample::user("many-");
    for _ in 0..20 {
        sample::stored(&store.db, Notification { user_id: user.clone(), ..sample::pending() }).await;
    }
    proxy.fail(Some("BatchGetItem"), Fault::LeaveUnprocessed);
    let begun = Instant::now();
    let failed = db.list(&Tenant::default(), &user, 20, None).await.unwrap_err();
    assert!(matches!(&failed, Error::Unavailable { what } if what.contains("not read to its end")), "{failed}");
    assert!(begun.elapsed() < patience, "{:?}", begun.elapsed());
    // With pauses of 25, 50, … 1,600 ms between them; one of 3,200 more would be too long.
    let calls = proxy.take_meter().calls["BatchGetItem"];
    assert!((2..=8).contains(&calls), "{calls}");
}

#[tokio::test]
async fn what_is_due_is_read_over_short_pages_and_no_further_than_asked() {
    let store = TestStore::start().await;
    let (proxy, db) = behind_proxy(&store, TIMEOUT).await;
    let shard = DueShard::all_from(0).next().unwrap();
    let mut stored = 0;
    while stored < 5 {
        let n = sample::pending();
        if DueShard::of(n.id) == shard {
            sample::stored(&store.db, n).await;
            stored += 1;
        }
    }
    let expected = store.db.due(shard, 5, None).await.unwrap();
    assert_eq!(expected.len(), 5);
    assert_eq!(db.due(shard, 3, None).await.unwrap(), expected[..3]);
    assert_eq!(proxy.take_meter().calls["Query"], 1, "a page that is full is enough");
    proxy.fail(Some("Query"), Fault::ShortPage);
    assert_eq!(db.due(shard, 3, None).await.unwrap(), expected[..3]);
    assert_eq!(proxy.take_meter().calls["Query"], 3);
    assert_eq!(db.due(shard, 9, None).await.unwrap(), expected);
}
