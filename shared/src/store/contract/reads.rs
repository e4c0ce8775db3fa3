//! Reading one, a user's list, and what is due.

use std::time::Duration;

use futures::future::join_all;

use super::sample::{self, CREATED, NOW, at};
use crate::domain::{Change, DueAt, DueShard, Notification, NotificationId, Status, Tenant, Timestamp, UserId};
use crate::store::{Due, Position, Store};

/// Everything due, shard by shard, soonest first within each.
async fn all_due(store: &dyn Store) -> Vec<(DueShard, Vec<Due>)> {
    let shards: Vec<DueShard> = DueShard::all_from(0).collect();
    let found = join_all(shards.iter().map(|shard| store.due(*shard, 1000, None))).await;
    shards.into_iter().zip(found.into_iter().map(|due| due.expect("queried"))).collect()
}

/// Where it is found in the index, if it is.
async fn due_of(store: &dyn Store, id: NotificationId) -> Option<DueAt> {
    let due = store.due(DueShard::of(id), 1000, None).await.expect("queried");
    due.into_iter().find(|due| due.id == id).map(|due| due.due_at)
}

pub async fn a_tenant_reads_its_own_and_nobody_elses(store: &dyn Store) {
    let mine = sample::stored(store, sample::pending()).await;
    let other = Tenant::parse("other").expect("a tenant");
    assert_eq!(store.get(&other, mine.id).await.expect("read"), None);
    assert_eq!(store.get(&mine.tenant, sample::id()).await.expect("read"), None);
    let theirs = Notification { tenant: other.clone(), user_id: mine.user_id.clone(), ..sample::pending() };
    let theirs = sample::stored(store, theirs).await;
    let listed = |tenant: Tenant| {
        let user = mine.user_id.clone();
        async move { store.list(&tenant, &user, 10, None).await.expect("listed").notifications }
    };
    assert_eq!(listed(mine.tenant.clone()).await, std::slice::from_ref(&mine));
    assert_eq!(listed(other).await, [theirs]);
}

/// Newest first, also within one millisecond without a gap or a repeat; no cursor on the last page, also
/// where the last page is full.
pub async fn a_list_goes_from_the_newest_to_the_oldest_page_by_page(store: &dyn Store) {
    let user = sample::user("lister-");
    // Of eight, four were created within one millisecond.
    let created = [0, 1, 2, 2, 2, 2, 3, 4].map(|millis| CREATED.plus(Duration::from_millis(millis)));
    let all = join_all(
        created.map(|created_at| sample::stored(store, Notification { user_id: user.clone(), created_at, ..sample::pending() })),
    );
    let mut newest_first: Vec<Notification> = all.await;
    newest_first.sort_by_key(|n| std::cmp::Reverse((n.created_at, n.id.to_string())));
    for limit in [1, 2, 3, 4, 7, 8, 9, 100] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.list(&Tenant::default(), &user, limit, after).await.expect("listed");
            assert!(!page.notifications.is_empty(), "no page is empty, limit {limit}");
            seen.extend(page.notifications);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, newest_first, "limit {limit}");
    }
}

/// A cursor is a place in time and names no list: with another's, a user sees what of their own is older.
pub async fn a_position_from_another_list_never_leads_there(store: &dyn Store) {
    let one = |user: &UserId, created_at: Timestamp| Notification { user_id: user.clone(), created_at, ..sample::pending() };
    let (mine, theirs) = (sample::user("mine-"), sample::user("theirs-"));
    let old = sample::stored(store, one(&mine, CREATED)).await;
    let foreign = sample::stored(store, one(&theirs, NOW)).await;
    sample::stored(store, one(&theirs, CREATED)).await;
    sample::stored(store, one(&mine, at(1))).await;
    let after = Some(Position { created_at: foreign.created_at, id: foreign.id });
    let page = store.list(&Tenant::default(), &mine, 10, after).await.expect("listed");
    assert_eq!((page.notifications, page.next), (vec![old], None));
    let nobody = store.list(&Tenant::default(), &sample::user("nobody-"), 10, after).await.expect("listed");
    assert_eq!((nobody.notifications, nobody.next), (vec![], None));
}

/// Needs a table of its own.
pub async fn what_is_due_is_found_in_its_shard_soonest_first(store: &dyn Store) {
    let items = join_all((0..40_u32).map(|n| {
        // In no order: 37 has no factor in common with 40.
        let due_at = Some(DueAt { at: at(u64::from(n * 37 % 40)), redriven: n });
        sample::stored(store, Notification { due_at, ..sample::pending() })
    }))
    .await;
    for (shard, due) in all_due(store).await {
        let mut expected: Vec<Due> = items
            .iter()
            .filter(|n| DueShard::of(n.id) == shard)
            .filter_map(|n| Some(Due { id: n.id, due_at: n.due_at? }))
            .collect();
        expected.sort_by_key(|due| due.due_at);
        assert_eq!(due, expected, "{shard:?}");
        let mut paged = Vec::new();
        while let Some(next) = store.due(shard, 1, paged.last().copied()).await.expect("queried").first() {
            paged.push(*next);
        }
        assert_eq!(paged, expected, "{shard:?}, one by one");
    }
}

/// What is final is in the index no more; a retry brings it back.
pub async fn only_what_is_not_final_is_due(store: &dyn Store) {
    for status in Status::ALL.into_iter().filter(|status| status.is_final()) {
        let n = sample::stored(store, sample::pending()).await;
        assert_eq!(due_of(store, n.id).await, n.due_at);
        if status == Status::Cancelled {
            sample::done(store.apply(n.id, &Change::Cancel { now: NOW, ttl: sample::ttl() }).await);
        } else {
            let claimed = sample::done(store.apply(n.id, &sample::claim(NOW)).await);
            assert_eq!(due_of(store, n.id).await, n.due_at, "a claim leaves the index alone");
            let mine = claimed.claim_token.expect("claimed");
            sample::done(store.apply(n.id, &sample::finish(mine, 1, ending(status))).await);
        }
        assert_eq!(due_of(store, n.id).await, None, "{status:?}");
        if status == Status::Failed {
            sample::done(store.apply(n.id, &sample::retry(1, 4)).await);
            assert_eq!(due_of(store, n.id).await, Some(DueAt::first(at(30))), "put back");
        }
    }
}

fn ending(status: Status) -> crate::domain::Next {
    use crate::domain::{ErrorCode, Next};
    match status {
        Status::Sent => sample::sent(),
        Status::Failed => Next::Failed { code: ErrorCode::Timeout, detail: None, ttl: sample::ttl() },
        Status::Expired => Next::Expired { ttl: sample::ttl() },
        Status::Pending | Status::Processing | Status::Retrying | Status::Cancelled => panic!("no finish leads to {status:?}"),
    }
}
