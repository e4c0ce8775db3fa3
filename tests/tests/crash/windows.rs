//! A process aborts in each of the windows, and another one starts on the same data. What each window
//! leaves behind is written down here, and so is what comes of it. `WINDOW=after-claim` tries that one only.

use std::os::unix::process::ExitStatusExt;

use futures::{StreamExt, stream};
use serde_json::json;
use shared::crash::Window;
use shared::domain::{ErrorCode, Notification, Outcome, Status};
use tests::aftermath::{come_to_rest, faults_at_rest, faults_at_the_end, posts};
use tests::home::Home;
use tests::ledger::Ledger;
use tests::receiver::{Receiver, Reply};
use tests::server_process::{PATIENCE, ServerProcess};
use tokio::time::{Instant, sleep};

use super::{AT_EASE, OVER_AT_ONCE, SECRET, SOON_OVER};

const SETTINGS: [(&str, &str); 5] =
    [("CLOCK_SKEW", "100ms"), ("DUE_GUARD", "300ms"), ("RETRY_BASE", "100ms"), ("REDRIVE_INTERVAL", "100ms"), SECRET];
const WITHOUT_KAFKA: (&str, &str) = ("KAFKA_BOOTSTRAP_SERVERS", "none");
const SIGABRT: i32 = 6;
/// They wait for leases most of the time.
const SIDE_BY_SIDE: usize = 4;

/// One notification, one crash or several, and then a server that nobody disturbs.
struct Case {
    /// One life each.
    lives: &'static [&'static str],
    /// How long a claim holds that they leave.
    lease: [(&'static str, &'static str); 2],
    /// When redrive looks at what they leave.
    guard: &'static str,
    replies: Vec<Reply>,
    /// The client retries by hand what has failed.
    by_hand: bool,
    needs_kafka: bool,
    /// How it may stand after the last crash; None: nothing is stored.
    left: &'static [Option<Status>],
    /// Whether the group has committed an event by the first crash, where that is sure.
    committed: Option<bool>,
    /// What its attempts may come to in the end. One for which no time was left is not looked at.
    outcomes: &'static [&'static [Outcome]],
    /// How many of them the receiver may see.
    posts: std::ops::RangeInclusive<usize>,
}

/// A new window is to be given its case here.
fn cases(window: Window) -> Vec<Case> {
    use Outcome::{Accepted, NotSent, Refused, Unknown};
    use Status::{Pending, Processing, Retrying, Sent};
    let plain = || Case {
        lives: &[],
        lease: AT_EASE,
        guard: "300ms",
        replies: Vec::new(),
        by_hand: false,
        needs_kafka: false,
        left: &[Some(Pending)],
        committed: Some(false),
        outcomes: &[&[Accepted]],
        posts: 1..=1,
    };
    let busy = || vec![Reply::status(503)];
    let case = match window {
        // A read has no effect that could be lost. The test `lambda` panics there.
        Window::BeforeRead => return Vec::new(),
        Window::BeforePut => Case { lives: &["before-put"], left: &[None], ..plain() },
        Window::AfterPut => {
            let by_hand = Case {
                lives: &["after-put:2"],
                replies: vec![Reply::status(400)],
                by_hand: true,
                committed: None,
                outcomes: &[&[Refused, Accepted]],
                posts: 2..=2,
                ..plain()
            };
            return vec![Case { lives: &["after-put"], ..plain() }, by_hand];
        }
        Window::AfterProduce => Case { lives: &["after-produce"], needs_kafka: true, ..plain() },
        // The consumer in the same process may have it already.
        Window::AfterAck => Case {
            lives: &["after-ack"],
            lease: SOON_OVER,
            needs_kafka: true,
            left: &[Some(Pending), Some(Processing), Some(Sent)],
            outcomes: &[&[Accepted], &[Unknown, Accepted]],
            posts: 1..=2,
            ..plain()
        },
        Window::BeforeClaim => Case { lives: &["before-claim"], ..plain() },
        Window::AfterClaim => Case {
            lives: &["after-claim"],
            lease: OVER_AT_ONCE,
            left: &[Some(Processing)],
            outcomes: &[&[Unknown, Accepted]],
            ..plain()
        },
        Window::AfterTakeOver => Case {
            lives: &["after-claim", "after-take-over"],
            lease: OVER_AT_ONCE,
            left: &[Some(Processing)],
            outcomes: &[&[Unknown, Unknown, Accepted]],
            ..plain()
        },
        Window::AfterSend => Case {
            lives: &["after-send"],
            lease: SOON_OVER,
            left: &[Some(Processing)],
            outcomes: &[&[Unknown, Accepted]],
            posts: 2..=2,
            ..plain()
        },
        Window::AfterFinish => Case { lives: &["after-finish"], left: &[Some(Sent)], ..plain() },
        Window::BeforeCommit => Case { lives: &["before-commit"], needs_kafka: true, left: &[Some(Sent)], ..plain() },
        Window::AfterCommit => {
            Case { lives: &["after-commit"], needs_kafka: true, left: &[Some(Sent)], committed: Some(true), ..plain() }
        }
        Window::BeforeRearm | Window::AfterRearm => Case {
            lives: if window == Window::BeforeRearm { &["before-rearm"] } else { &["after-rearm"] },
            replies: busy(),
            lease: SOON_OVER,
            // Time enough for the first attempt: its retry is what redrive comes for.
            guard: "6s",
            left: &[Some(Retrying)],
            committed: None,
            outcomes: &[&[NotSent, Accepted]],
            posts: 2..=2,
            ..plain()
        },
        Window::AfterRepublish => Case {
            lives: &["after-republish"],
            lease: SOON_OVER,
            guard: "6s",
            replies: busy(),
            needs_kafka: true,
            left: &[Some(Retrying), Some(Processing), Some(Sent)],
            committed: None,
            outcomes: &[&[NotSent, Accepted], &[NotSent, Unknown, Accepted]],
            posts: 2..=3,
            ..plain()
        },
    };
    vec![case]
}

/// Where the servers of a case live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parts {
    /// Store and broker outlive the server.
    Apart,
    /// The store does, and there is no broker.
    WithoutKafka,
    /// The store's file does, and the broker dies with the server.
    OneProcess,
}

async fn every_window(parts: Parts) {
    #[expect(clippy::disallowed_methods, reason = "the test's own switch, read in one place")]
    let one = std::env::var("WINDOW").ok();
    let windows = Window::ALL.into_iter().filter(|window| one.as_ref().is_none_or(|one| window.as_str() == one));
    let cases = windows.flat_map(cases).filter(|case| parts != Parts::WithoutKafka || !case.needs_kafka);
    let falls = stream::iter(cases).map(|case| fall_into(case, parts)).buffer_unordered(SIDE_BY_SIDE);
    let broken: Vec<String> = falls.flat_map(stream::iter).collect().await;
    assert!(broken.is_empty(), "{parts:?}:\n{}", broken.join("\n"));
}

#[tokio::test]
async fn a_crash_in_any_window_loses_nothing_and_repeats_only_what_nobody_knows() {
    every_window(Parts::Apart).await;
}

#[tokio::test]
async fn without_kafka_a_crash_in_any_window_does_no_more() {
    every_window(Parts::WithoutKafka).await;
}

#[tokio::test]
async fn neither_does_one_that_takes_the_broker_along() {
    every_window(Parts::OneProcess).await;
}

/// What is wrong, if anything.
async fn fall_into(case: Case, parts: Parts) -> Vec<String> {
    let receiver = Receiver::start().await.unwrap();
    for reply in &case.replies {
        receiver.then(reply.clone());
    }
    let binding = receiver.binding();
    let mut settings = SETTINGS.to_vec();
    settings.push(("PUSH_PROVIDER", &binding));
    if parts == Parts::WithoutKafka {
        settings.push(WITHOUT_KAFKA);
    }
    let home = match parts {
        Parts::Apart | Parts::WithoutKafka => Home::apart(&settings).await,
        Parts::OneProcess => Home::of_one_process(&settings).await,
    };
    let ledger = Ledger::default();
    let body = json!({"userId": "ada", "channel": "push", "template": "t", "idempotencyKey": "k"});

    let armed = |life| [&case.lease[..], &[("DUE_GUARD", case.guard), ("CRASH_AT", life)]].concat();
    let server = home.start(&armed(case.lives[0])).await;
    if parts != Parts::WithoutKafka {
        server.wait_for_log("partitions are assigned").await;
    }
    if let Some(id) = ledger.create(&server.url, &body).await
        && case.by_hand
    {
        server.wait_for(&id.to_string(), "Failed").await;
        ledger.retry(&server.url, id).await;
    }
    aborted(server).await;
    let topic = home.topic();
    let committed = match &topic {
        Some(topic) => Some(topic.committed().await),
        None => None,
    };
    for life in &case.lives[1..] {
        let ended = home.run_to_its_end(&armed(life)).await;
        assert_eq!(ended.signal(), Some(SIGABRT), "{parts:?}: {life} was not reached");
    }
    let mut faults = Vec::new();
    let mut must = |holds: bool, rule: String| {
        if !holds {
            faults.push(format!("{}: {rule}", case.lives.join(", ")));
        }
    };
    let stored = home.stored(["ada".to_owned()]).await;
    let left = stored.items.values().next().map(|n| n.status);
    must(case.left.contains(&left), format!("leaves {left:?}"));
    if let (Some(expected), Some(committed)) = (case.committed, committed) {
        must((committed > 0) == expected, format!("{committed} events are committed by then"));
    }
    faults_at_rest(&stored).into_iter().for_each(|fault| must(false, fault));

    let server = home.start(&AT_EASE).await;
    // Who got no answer asks again, and who got one may as well.
    ledger.create(&server.url, &body).await;
    let stored = come_to_rest(server, &home, &ledger, PATIENCE).await;
    let posts = posts(&receiver, &case.replies);
    faults_at_the_end(&stored, &ledger, &posts).into_iter().for_each(|fault| must(false, fault));
    must(stored.items.len() == 1, format!("{} notifications of one key", stored.items.len()));
    for n in stored.items.values() {
        let outcomes = outcomes(n);
        must(n.status == Status::Sent && case.outcomes.contains(&&*outcomes), format!("ends {:?}: {outcomes:?}", n.status));
    }
    must(case.posts.contains(&posts.len()), format!("{} requests to the receiver", posts.len()));
    faults
}

async fn aborted(mut server: ServerProcess) {
    let ended = server.ended().await;
    assert_eq!(ended.signal(), Some(SIGABRT), "it did not abort:\n{}", server.logs());
}

fn outcomes(n: &Notification) -> Vec<Outcome> {
    let begun = n.attempts.iter().filter(|a| a.code != Some(ErrorCode::LeaseTooShort));
    begun.map(|a| a.outcome).collect()
}

/// The event is in the log, and whoever put it there dies before it hears so.
#[tokio::test]
async fn an_event_whose_ack_was_never_seen_is_one_more_event_and_no_more() {
    let receiver = Receiver::start().await.unwrap();
    let binding = receiver.binding();
    let home = Home::apart(&[&SETTINGS[..], &[("PUSH_PROVIDER", &binding)]].concat()).await;
    let (ledger, body) = (Ledger::default(), json!({"userId": "ada", "channel": "push", "template": "t", "idempotencyKey": "k"}));
    let mut server = home.start(&[&SOON_OVER[..], &[("HOLD_AT", "after-produce")]].concat()).await;
    server.wait_for_log("partitions are assigned").await;
    let (topic, url) = (home.topic().expect("a broker that outlives the server"), server.url.clone());
    let killing = async {
        let until = Instant::now() + PATIENCE;
        while topic.events().await == 0 {
            assert!(Instant::now() < until, "the event never came:\n{}", server.logs());
            sleep(std::time::Duration::from_millis(5)).await;
        }
        server.kill().await;
    };
    let (promised, ()) = tokio::join!(ledger.create(&url, &body), killing);
    assert_eq!(promised, None, "it was answered before the broker had answered");
    let server = home.start(&AT_EASE).await;
    ledger.create(&server.url, &body).await;
    let stored = come_to_rest(server, &home, &ledger, PATIENCE).await;
    assert_eq!(faults_at_the_end(&stored, &ledger, &posts(&receiver, &[])), Vec::<String>::new());
    assert!(stored.items.values().all(|n| n.status == Status::Sent));
}

/// Uncommitted, the batch comes again once the group has noticed that its member is gone.
#[tokio::test]
async fn a_batch_that_was_done_and_not_committed_comes_again_and_sends_nothing() {
    let receiver = Receiver::start().await.unwrap();
    let binding = receiver.binding();
    let home = Home::apart(&[&SETTINGS[..], &[("PUSH_PROVIDER", &binding)]].concat()).await;
    let (ledger, body) = (Ledger::default(), json!({"userId": "ada", "channel": "push", "template": "t"}));
    // In that time nobody repeats its event.
    let server = home.start(&[("DUE_GUARD", "1m"), ("CRASH_AT", "before-commit")]).await;
    server.wait_for_log("partitions are assigned").await;
    ledger.create(&server.url, &body).await.expect("the answer is not waited for by the batch");
    aborted(server).await;
    let topic = home.topic().expect("a broker that outlives the server");
    assert_eq!((topic.events().await, topic.committed().await), (1, 0));
    let server = home.start(&AT_EASE).await;
    let until = Instant::now() + PATIENCE;
    while topic.committed().await == 0 {
        assert!(Instant::now() < until, "it never came again:\n{}", server.logs());
        sleep(std::time::Duration::from_millis(50)).await;
    }
    let stored = come_to_rest(server, &home, &ledger, PATIENCE).await;
    assert_eq!(faults_at_the_end(&stored, &ledger, &posts(&receiver, &[])), Vec::<String>::new());
    assert_eq!(receiver.requests().len(), 1);
}

/// A server that dies of every repeat would repeat without end, were the due time put off only afterwards.
#[tokio::test]
async fn a_crash_after_each_republish_repeats_an_event_at_most_twice() {
    let receiver = Receiver::start().await.unwrap();
    let binding = receiver.binding();
    let home = Home::apart(&[&SETTINGS[..], &[("PUSH_PROVIDER", &binding)]].concat()).await;
    let (ledger, body) = (Ledger::default(), json!({"userId": "ada", "channel": "push", "template": "t"}));
    // It never had an event, so redrive has to help; and no server gets at the events, as the session of the
    // first one, a member of the group, outlives this test.
    let server = home.start(&[("CRASH_AT", "after-put")]).await;
    server.wait_for_log("partitions are assigned").await;
    ledger.create(&server.url, &body).await;
    aborted(server).await;
    for _ in 0..2 {
        assert_eq!(home.run_to_its_end(&[("CRASH_AT", "after-republish")]).await.signal(), Some(SIGABRT));
    }
    let server = home.start(&[("CRASH_AT", "after-republish")]).await;
    let stored = come_to_rest(server, &home, &ledger, PATIENCE).await;
    assert_eq!(faults_at_the_end(&stored, &ledger, &posts(&receiver, &[])), Vec::<String>::new());
    assert_eq!(home.topic().expect("a broker").events().await, 2);
}
