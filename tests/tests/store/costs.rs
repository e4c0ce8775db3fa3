//! What section 3 of the contract promises as a count, counted: units by the store's own account and
//! calls on the wire.

use shared::domain::recipient::Email;
use shared::domain::{Change, DueAt, IdempotencyKey, JsonObject, Next, Notification, Recipient, Token};
use shared::store::contract::sample::{self, NOW, at};
use shared::store::dynamodb::DynamoDb;
use shared::store::{Created, Store};
use tests::store_proxy::StoreProxy;
use tests::test_store::{TIMEOUT, TestStore};

struct Metered {
    _store: TestStore,
    proxy: StoreProxy,
    db: DynamoDb,
}

impl Metered {
    async fn start() -> Self {
        let store = TestStore::start().await;
        let proxy = StoreProxy::before(store.endpoint()).await;
        let db = DynamoDb::at(&proxy.endpoint(), store.db.table(), TIMEOUT);
        Self { _store: store, proxy, db }
    }

    async fn claim(&self, n: &Notification) -> Token {
        let claimed = sample::done(self.db.apply(n.id, &sample::claim(NOW)).await);
        claimed.claim_token.unwrap()
    }

    async fn finish(&self, n: &Notification, mine: Token, attempt: u32, next: Next) {
        sample::done(self.db.apply(n.id, &sample::finish(mine, attempt, next)).await);
    }

    /// As redrive does before it publishes.
    async fn rearm(&self, n: &Notification, seen: DueAt) {
        sample::done(self.db.apply(n.id, &Change::Rearm { seen, due_at: DueAt { at: at(90), redriven: 1 } }).await);
    }
}

/// As an ordinary request makes it: with an address, some variables, a key and a trace.
fn ordinary() -> Notification {
    let data = r#"{"name":"Ada","order":"A-1042","total":"19.90 EUR","link":"https://shop.example.com/orders/1042"}"#;
    let raw = serde_json::value::RawValue::from_string(data.to_owned()).unwrap();
    Notification {
        to: Some(Recipient::Email(Email::parse("ada.lovelace@example.com").unwrap())),
        data: Some(JsonObject::parse(&raw).unwrap()),
        idempotency_key: Some(IdempotencyKey::parse("order-1042-confirmation").unwrap()),
        request_id: Some("5bd2d5c3-9b0c-4c40-9d4f-6c4f3f1c2b11".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ..sample::pending()
    }
}

#[tokio::test]
async fn a_delivery_at_the_first_attempt_takes_six_write_units_and_no_read() {
    let at = Metered::start().await;
    let n = ordinary();
    at.db.create(&n).await.unwrap();
    assert_eq!(at.proxy.take_meter().to_string(), "3 write units, 0 read units: PutItem 1");
    let mine = at.claim(&n).await;
    assert_eq!(at.proxy.take_meter().to_string(), "1 write units, 0 read units: UpdateItem 1");
    at.finish(&n, mine, 1, sample::sent()).await;
    assert_eq!(at.proxy.take_meter().to_string(), "2 write units, 0 read units: UpdateItem 1");
}

#[tokio::test]
async fn each_started_kilobyte_more_takes_three_write_units_more() {
    for (filled, units) in [(0, 6), (1_000, 9), (3_000, 15)] {
        let at = Metered::start().await;
        let raw = serde_json::value::RawValue::from_string(format!(r#"{{"text":"{}"}}"#, "x".repeat(filled))).unwrap();
        let n = Notification { data: Some(JsonObject::parse(&raw).unwrap()), ..ordinary() };
        at.db.create(&n).await.unwrap();
        let mine = at.claim(&n).await;
        at.finish(&n, mine, 1, sample::sent()).await;
        let expected = format!("{units} write units, 0 read units: PutItem 1, UpdateItem 2");
        assert_eq!(at.proxy.take_meter().to_string(), expected, "{filled} characters");
    }
}

#[tokio::test]
async fn a_replay_takes_one_write_unit_and_no_read() {
    let at = Metered::start().await;
    let n = ordinary();
    at.db.create(&n).await.unwrap();
    let mine = at.claim(&n).await;
    at.finish(&n, mine, 1, sample::sent()).await;
    drop(at.proxy.take_meter());
    let replay = Notification { create_token: sample::token(), ..n };
    assert!(matches!(at.db.create(&replay).await.unwrap(), Created::Existing(_)));
    assert_eq!(at.proxy.take_meter().to_string(), "1 write units, 0 read units: PutItem 1");
}

#[tokio::test]
async fn a_scheduled_delivery_takes_nine_write_units() {
    let at = Metered::start().await;
    let n = ordinary();
    at.db.create(&n).await.unwrap();
    at.rearm(&n, n.due_at.unwrap()).await;
    let mine = at.claim(&n).await;
    at.finish(&n, mine, 1, sample::sent()).await;
    assert_eq!(at.proxy.take_meter().to_string(), "9 write units, 0 read units: PutItem 1, UpdateItem 3");
}

#[tokio::test]
async fn each_retry_takes_seven_write_units_more() {
    let metered = Metered::start().await;
    let n = ordinary();
    metered.db.create(&n).await.unwrap();
    let mut mine = metered.claim(&n).await;
    for (attempt, expected) in [(1, "11 write units"), (2, "7 write units")] {
        metered.finish(&n, mine, attempt, Next::Retrying { not_before: NOW }).await;
        metered.rearm(&n, DueAt::first(NOW)).await;
        mine = metered.claim(&n).await;
        let meter = metered.proxy.take_meter().to_string();
        assert!(meter.starts_with(expected), "{meter}");
    }
    metered.finish(&n, mine, 3, sample::sent()).await;
    assert_eq!(metered.proxy.take_meter().to_string(), "2 write units, 0 read units: UpdateItem 1");
}

#[tokio::test]
async fn a_read_takes_one_call_and_a_check_half_a_unit() {
    let at = Metered::start().await;
    let n = ordinary();
    at.db.create(&n).await.unwrap();
    drop(at.proxy.take_meter());
    at.db.get(&n.tenant, n.id).await.unwrap();
    assert_eq!(at.proxy.take_meter().to_string(), "0 write units, 1 read units: GetItem 1");
    at.db.check().await.unwrap();
    assert_eq!(at.proxy.take_meter().to_string(), "0 write units, 0.5 read units: GetItem 1");
    at.db.list(&n.tenant, &n.user_id, 20, None).await.unwrap();
    assert_eq!(at.proxy.take_meter().to_string(), "0 write units, 1 read units: BatchGetItem 1, Query 1");
}
