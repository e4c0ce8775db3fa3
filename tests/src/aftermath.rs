//! What must hold after real processes were lost and others have taken their place: the same contract as
//! in the simulation, held against the store, the receiver of webhooks, and what clients were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use shared::domain::{ErrorCode, Notification, NotificationId, Outcome, Status};
use simulation::oracle::write;
use tokio::time::{Instant, sleep};

use crate::home::{Home, Stored};
use crate::ledger::Ledger;
use crate::receiver::{Receiver, Reply};
use crate::server_process::ServerProcess;

/// One request that the receiver had, in the order of their coming.
#[derive(Clone, Copy, Debug)]
pub struct Post {
    pub id: NotificationId,
    pub attempt: u32,
    /// It was answered in the 200s, or would have been.
    pub taken: bool,
}

/// What the receiver had. It was told to reply so, in this order, and with an empty 200 from then on.
#[must_use]
pub fn posts(receiver: &Receiver, script: &[Reply]) -> Vec<Post> {
    let taken = |reply: Option<&Reply>| match reply {
        None => true,
        Some(Reply::Answer { status, .. } | Reply::Held { status }) => (200..300).contains(status),
        Some(_) => false,
    };
    let post = |(n, request): (usize, crate::receiver::Request)| {
        let header = request.header("webhook-id").expect("a webhook-id");
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body["data"]["id"], header, "another id in the body than in its header");
        let attempt = body["data"]["attempt"].as_u64().expect("a number").try_into().expect("a small one");
        Post { id: NotificationId::parse(header).expect("an id"), attempt, taken: taken(script.get(n)) }
    };
    receiver.requests().into_iter().enumerate().map(post).collect()
}

/// What is wrong whenever no server lives, however the last one was lost.
#[must_use]
pub fn faults_at_rest(stored: &Stored) -> Vec<String> {
    let mut faults = Vec::new();
    for n in stored.items.values() {
        faults.extend(write::faults_of(n).into_iter().map(|rule| format!("{}: {rule}", n.id)));
        if n.status.is_final() == stored.due.contains(&n.id) {
            faults.push(format!("{} is {} and {} in the due index", n.id, n.status.as_str(), stored.due.contains(&n.id)));
        }
    }
    let strange = stored.due.iter().filter(|id| !stored.items.contains_key(id));
    faults.extend(strange.map(|id| format!("{id} is in the due index and nowhere else")));
    faults
}

/// How much there was, for the record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub asked: u64,
    pub unanswered: u64,
    /// Answered in the 200s, each counted once.
    pub accepted: usize,
    /// What the store holds: those, and some whose answer was lost.
    pub stored: usize,
    pub sent: usize,
    pub failed: usize,
    pub cancelled: usize,
    pub expired: usize,
    pub attempts: usize,
    pub unknown: usize,
    /// Taken by the receiver, and how many of these it had taken before.
    pub taken: usize,
    pub duplicates: usize,
}

/// What is wrong once all has come to its end.
#[must_use]
pub fn faults_at_the_end(stored: &Stored, ledger: &Ledger, posts: &[Post]) -> Vec<String> {
    let mut faults = faults_at_rest(stored);
    faults.extend(ledger.faults());
    let inner = ledger.read();
    let lost = inner.promised.iter().filter(|id| !stored.items.contains_key(id));
    faults.extend(lost.map(|id| format!("{id} was promised and is lost")));
    let strange = posts.iter().filter(|post| !stored.items.contains_key(&post.id));
    faults.extend(strange.map(|post| format!("{} was sent and is not stored", post.id)));
    let mut of: BTreeMap<NotificationId, Vec<Post>> = BTreeMap::new();
    for post in posts {
        of.entry(post.id).or_default().push(*post);
    }
    for n in stored.items.values() {
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                faults.push(format!("{} {rule}: {}", n.id, told(n)));
            }
        };
        must(n.status.is_final(), "is not final");
        must(inner.told.get(&n.id).is_none_or(|told| *told == n.status), "was answered otherwise");
        must(n.status != Status::Cancelled || inner.may_be_cancelled.contains(&n.id), "was cancelled by nobody");
        must(n.status != Status::Expired || n.expires_at.is_some(), "expired without a reason");
        let refused = n.error_code == Some(ErrorCode::ProviderRefused);
        must(n.status != Status::Failed || refused, "failed, and its provider didn't refuse it");
        deliveries(n, of.get(&n.id).map_or(&[], Vec::as_slice), &mut must);
    }
    faults
}

/// What the receiver had of one notification, against its records.
fn deliveries(n: &Notification, posts: &[Post], must: &mut impl FnMut(bool, &str)) {
    let outcome = |number: u32| n.attempts.iter().find(|a| a.number == number).map(|a| a.outcome);
    let mut seen = BTreeSet::new();
    for post in posts {
        must(seen.insert(post.attempt), "had one attempt sent twice");
        must(outcome(post.attempt).is_some(), "was sent by an attempt without a record");
    }
    let taken: BTreeSet<u32> = posts.iter().filter(|post| post.taken).map(|post| post.attempt).collect();
    for number in &taken {
        let known = matches!(outcome(*number), Some(Outcome::Accepted | Outcome::Unknown));
        must(known, "is with the receiver, and its record says that it is not");
        let last = taken.last() == Some(number);
        must(last || outcome(*number) == Some(Outcome::Unknown), "went out again though it was known to be out");
    }
    for accepted in n.attempts.iter().filter(|a| a.outcome == Outcome::Accepted) {
        must(taken.contains(&accepted.number), "is recorded as accepted and was never taken");
    }
    let never = |a: &&shared::domain::Attempt| a.code == Some(ErrorCode::LeaseTooShort);
    must(!n.attempts.iter().filter(never).any(|a| seen.contains(&a.number)), "was sent though too little of its lease was left");
}

fn told(n: &Notification) -> String {
    let attempts = n.attempts.iter().map(|a| format!("{} {} {:?}", a.number, a.outcome.as_str(), a.code));
    format!("{} {:?} [{}]", n.status.as_str(), n.error_code, attempts.collect::<Vec<_>>().join(", "))
}

impl Figures {
    #[must_use]
    pub fn of(stored: &Stored, ledger: &Ledger, posts: &[Post]) -> Self {
        let inner = ledger.read();
        let count = |status| stored.items.values().filter(|n| n.status == status).count();
        let attempts = || stored.items.values().flat_map(|n| &n.attempts);
        let taken = posts.iter().filter(|post| post.taken);
        let distinct: BTreeSet<NotificationId> = taken.clone().map(|post| post.id).collect();
        Self {
            asked: inner.asked,
            unanswered: inner.unanswered,
            accepted: inner.promised.len(),
            stored: stored.items.len(),
            sent: count(Status::Sent),
            failed: count(Status::Failed),
            cancelled: count(Status::Cancelled),
            expired: count(Status::Expired),
            attempts: attempts().count(),
            unknown: attempts().filter(|a| a.outcome == Outcome::Unknown).count(),
            taken: taken.clone().count(),
            duplicates: taken.count() - distinct.len(),
        }
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            asked: self.asked + other.asked,
            unanswered: self.unanswered + other.unanswered,
            accepted: self.accepted + other.accepted,
            stored: self.stored + other.stored,
            sent: self.sent + other.sent,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
            expired: self.expired + other.expired,
            attempts: self.attempts + other.attempts,
            unknown: self.unknown + other.unknown,
            taken: self.taken + other.taken,
            duplicates: self.duplicates + other.duplicates,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, unanswered, accepted, stored, sent, failed, cancelled, expired, attempts, unknown, taken, duplicates } =
            self;
        write!(
            f,
            "{asked} requests, {unanswered} without an answer; {accepted} notifications accepted, {stored} stored: {sent} sent, \
             {failed} refused by the provider, {cancelled} cancelled, {expired} expired; {attempts} attempts, {unknown} unknown; \
             {taken} taken by the receiver, {duplicates} of them again after an unknown"
        )
    }
}

/// Lets a server that nobody disturbs any more bring everything to its end, and stops it.
pub async fn come_to_rest(mut server: ServerProcess, home: &Home, ledger: &Ledger, patience: std::time::Duration) -> Stored {
    let users = ledger.read().users.clone();
    let until = Instant::now() + patience;
    while !all_final(&server, &users).await && Instant::now() < until {
        sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(server.stop().await.success(), "{}", server.logs());
    home.stored(users).await
}

async fn all_final(server: &ServerProcess, users: &BTreeSet<String>) -> bool {
    for user in users {
        let mut cursor = String::new();
        loop {
            let page = server.json(&format!("/api/notifications?userId={user}&limit=100{cursor}")).await;
            let ended = |n: &Value| Status::parse(n["status"].as_str().expect("a status")).expect("a status").is_final();
            // A store that is busy is no list.
            if !page["data"].as_array().is_some_and(|list| list.iter().all(ended)) {
                return false;
            }
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
    }
    true
}
