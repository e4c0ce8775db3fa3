//! What every store must do, as one suite: plain functions that panic where the store breaks the
//! contract. They bring their own instants and ids, so that they can run side by side on one table,
//! except for what looks at the whole `due` index.

#![expect(clippy::expect_used, clippy::panic, reason = "a suite of tests: it fails by panicking")]

pub mod guards;
pub mod reads;
pub mod sample;
pub mod transitions;

use std::collections::BTreeMap;

use futures::future::join_all;

use self::sample::{NOW, SKEW, at};
use super::{Applied, Created, Store};
use crate::domain::attempt::{Detail, REMEMBERED};
use crate::domain::recipient::{DeviceToken, Platform};
use crate::domain::{
    Attempt, Channel, DueAt, ErrorCode, IdempotencyKey, JsonObject, Metadata, Notification, Outcome, Recipient, Status,
};

/// One test for each sentence of the suite, each on a store of its own.
#[macro_export]
macro_rules! every_store_sentence {
    ($store:expr) => {
        #[tokio::test]
        async fn of_many_creates_at_once_one_is_new() {
            $crate::store::contract::of_many_creates_at_once_one_is_new(&$store).await;
        }
        #[tokio::test]
        async fn a_create_knows_its_own_item_again() {
            $crate::store::contract::a_create_knows_its_own_item_again(&$store).await;
        }
        #[tokio::test]
        async fn a_record_comes_back_as_it_was_stored() {
            $crate::store::contract::a_record_comes_back_as_it_was_stored(&$store).await;
        }
        #[tokio::test]
        async fn a_change_of_nothing_makes_nothing() {
            $crate::store::contract::a_change_of_nothing_makes_nothing(&$store).await;
        }
        #[tokio::test]
        async fn a_store_with_its_table_checks_out() {
            $crate::store::contract::a_store_with_its_table_checks_out(&$store).await;
        }
        #[tokio::test]
        async fn each_action_is_allowed_exactly_where_the_table_says() {
            $crate::store::contract::transitions::each_action_is_allowed_exactly_where_the_table_says(&$store).await;
        }
        #[tokio::test]
        async fn each_change_knows_that_it_was_made_before() {
            $crate::store::contract::transitions::each_change_knows_that_it_was_made_before(&$store).await;
        }
        #[tokio::test]
        async fn each_guard_of_each_change_holds_at_its_edge() {
            $crate::store::contract::guards::each_guard_of_each_change_holds_at_its_edge(&$store).await;
        }
        #[tokio::test]
        async fn a_tenant_reads_its_own_and_nobody_elses() {
            $crate::store::contract::reads::a_tenant_reads_its_own_and_nobody_elses(&$store).await;
        }
        #[tokio::test]
        async fn a_list_goes_from_the_newest_to_the_oldest_page_by_page() {
            $crate::store::contract::reads::a_list_goes_from_the_newest_to_the_oldest_page_by_page(&$store).await;
        }
        #[tokio::test]
        async fn a_position_from_another_list_never_leads_there() {
            $crate::store::contract::reads::a_position_from_another_list_never_leads_there(&$store).await;
        }
        #[tokio::test]
        async fn what_is_due_is_found_in_its_shard_soonest_first() {
            $crate::store::contract::reads::what_is_due_is_found_in_its_shard_soonest_first(&$store).await;
        }
        #[tokio::test]
        async fn only_what_is_not_final_is_due() {
            $crate::store::contract::reads::only_what_is_not_final_is_due(&$store).await;
        }
    };
}

/// 64 creates of one id at once: one is new, and the others are told of that one.
pub async fn of_many_creates_at_once_one_is_new(store: &dyn Store) {
    let first = sample::pending();
    let rivals: Vec<Notification> = (0..64).map(|_| Notification { create_token: sample::token(), ..first.clone() }).collect();
    let results = join_all(rivals.iter().map(|rival| store.create(rival))).await;
    let mut winners = Vec::new();
    let mut seen = Vec::new();
    for (rival, result) in rivals.iter().zip(results) {
        match result.expect("created") {
            Created::New => winners.push(rival.create_token),
            Created::Existing(existing) => seen.push(existing.create_token),
            Created::Foreign => panic!("it is ours"),
        }
    }
    assert_eq!(winners.len(), 1, "exactly one is new");
    assert!(seen.len() == 63 && seen.iter().all(|token| winners.contains(token)), "the others saw the one");
}

/// A create that is repeated after a lost answer finds its own item; another's finds the original, as it
/// stands now.
pub async fn a_create_knows_its_own_item_again(store: &dyn Store) {
    let first = sample::stored(store, sample::pending()).await;
    assert_eq!(store.create(&first).await.expect("created"), Created::New);
    let claimed = sample::done(store.apply(first.id, &sample::claim(NOW)).await);
    let repeat = Notification { create_token: sample::token(), ..first.clone() };
    assert_eq!(store.create(&repeat).await.expect("created"), Created::Existing(Box::new(claimed)));
    assert_eq!(store.create(&first).await.expect("created"), Created::New, "also when it has gone on since");
}

/// Everything that a record can hold comes back as it was, and so does one that holds the least.
pub async fn a_record_comes_back_as_it_was_stored(store: &dyn Store) {
    for (n, least) in [maximal(), sample::pending()].into_iter().enumerate() {
        let stored = sample::stored(store, least).await;
        let found = store.get(&stored.tenant, stored.id).await.expect("read");
        assert!(found.as_ref() == Some(&stored), "record {n} changed on its way");
        let text = |n: &Notification| n.data.as_ref().map(|data| data.as_str().to_owned());
        assert_eq!(found.as_ref().and_then(text), text(&stored), "digit for digit");
    }
}

/// A change of what is not there says so, and makes nothing.
pub async fn a_change_of_nothing_makes_nothing(store: &dyn Store) {
    for case in transitions::cases() {
        let nobody = sample::pending();
        let applied = store.apply(nobody.id, &case.change).await.expect("answered");
        assert_eq!(applied, Applied::Missing, "{}", case.name);
        assert_eq!(store.get(&nobody.tenant, nobody.id).await.expect("read"), None, "{}", case.name);
    }
}

pub async fn a_store_with_its_table_checks_out(store: &dyn Store) {
    store.check().await.expect("it answers");
}

fn maximal() -> Notification {
    let number = r#""n":1.10,"large":123456789012345678901234567890.50e-7,"text":"ä\u0000𝄞 \"quoted\"","#;
    let filler = "x".repeat(JsonObject::MOST_BYTES - 400);
    let data = format!("{{{number}\"deep\":[[[[{{\"a\":null}}]]]],\"filler\":\"{filler}\"}}");
    let raw = serde_json::value::RawValue::from_string(data).expect("JSON");
    let entries: BTreeMap<String, String> =
        (0..Metadata::MOST).map(|n| (format!("name {n} {}", "ü".repeat(30)), "é".repeat(255))).collect();
    let codes = ErrorCode::ALL.into_iter().cycle();
    let outcomes = Outcome::ALL.into_iter().cycle();
    let attempts = codes.zip(outcomes).take(REMEMBERED).zip(8..).map(|((code, outcome), number)| Attempt {
        number,
        started_at: at(1),
        finished_at: at(2),
        channel: Channel::Push,
        provider: (number % 2 == 0).then(|| "webhook".to_owned()),
        outcome,
        code: Some(code).filter(|_code| outcome != Outcome::Accepted),
        detail: Some(Detail::cut(&"d".repeat(Detail::MOST_BYTES))),
        token: sample::token(),
    });
    Notification {
        user_id: sample::user("#ünïcode/ user#"),
        channel: Channel::Push,
        to: Some(Recipient::Device {
            token: DeviceToken::parse(&"t".repeat(2048)).expect("a token"),
            platform: Some(Platform::Apns),
        }),
        data: Some(JsonObject::parse(&raw).expect("fits")),
        metadata: Some(Metadata::parse(entries).expect("fits")),
        idempotency_key: Some(IdempotencyKey::parse(&"~".repeat(255)).expect("a key")),
        scheduled_at: Some(at(3)),
        expires_at: Some(at(4)),
        created_by: Some("somebody".to_owned()),
        request_id: Some("r".repeat(128)),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        status: Status::Retrying,
        updated_at: at(5),
        sent_at: Some(at(6)),
        finished_at: Some(at(7)),
        error_code: Some(ErrorCode::Timeout),
        error_message: Some("m".repeat(400)),
        provider: Some("webhook".to_owned()),
        provider_message_id: Some("p".repeat(255)),
        attempts: attempts.collect(),
        attempt: u32::MAX,
        attempt_limit: 27,
        not_before: at(8).plus(SKEW),
        claim_token: Some(sample::token()),
        lease_until: Some(at(9)),
        due_at: Some(DueAt { at: at(10), redriven: 12 }),
        ttl: Some(at(11)),
        ..sample::pending()
    }
}
