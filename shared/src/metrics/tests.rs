//! What each write counts as, that nothing makes more series than the table has, and both outputs by their rules.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::table::{Kind, Shown};
use super::{Metrics, prometheus};
use crate::channels::lane::Limits;
use crate::channels::registry::{Binding, Providers, Surroundings};
use crate::channels::{Inbox, samples::Stopped};
use crate::domain::change::GiveUp;
use crate::domain::notification::Birth;
use crate::domain::{
    Attempt, Change, Channel, DueAt, ErrorCode, NewNotification, Next, Notification, NotificationId, Outcome, Template,
    Timestamp, Token, UserId,
};
use crate::random::{Random, SystemRandom};
use crate::sample::{START, new_notification};
use crate::service::redrive;
use crate::store::{Applied, Created};

const NOW: Timestamp = START;
const EARLIER: Timestamp = Timestamp::from_millis(1_893_455_990_000);
const PROVIDERS: [Option<&str>; 3] = [None, Some("dev"), Some("<\"hostile\"\n\\ of a thousand names>")];

fn token() -> Token {
    let random: &dyn Random = &SystemRandom;
    random.token()
}

fn id() -> NotificationId {
    NotificationId::parse("0190a0b0-0000-7000-8000-000000000001").unwrap()
}

/// As it is after a write at [`NOW`].
fn notification(channel: Channel) -> Notification {
    let new = NewNotification {
        user_id: UserId::parse("canary-user").unwrap(),
        channel,
        template: Template::parse("canary-template").unwrap(),
        ..new_notification()
    };
    let birth = Birth { id: id(), create_token: token(), now: EARLIER, attempt_limit: 3, due_guard: Duration::from_secs(30) };
    Notification { updated_at: NOW, ..Notification::create(new, birth) }
}

fn finish(channel: Channel, provider: Option<&str>, outcome: Outcome, code: Option<ErrorCode>, next: Next) -> Change {
    let attempt = Attempt {
        number: 1,
        started_at: EARLIER,
        finished_at: EARLIER.plus(Duration::from_millis(1_500)),
        channel,
        provider: provider.map(str::to_owned),
        outcome,
        code,
        detail: None,
        token: token(),
    };
    Change::Finish { now: NOW, token: token(), attempt: 1, provider: None, attempts: vec![attempt], next }
}

fn done(channel: Channel) -> Applied {
    Applied::Done(Box::new(notification(channel)))
}

/// Everything that can be recorded, with every value that there is, and some that there are not.
fn record_everything(metrics: &Metrics) {
    for channel in Channel::ALL {
        let n = notification(channel);
        let other = Notification { fingerprint: notification(Channel::Email).fingerprint, ..n.clone() };
        for created in
            [Created::New, Created::Existing(Box::new(n.clone())), Created::Existing(Box::new(other)), Created::Foreign]
        {
            metrics.created(&n, &created);
        }
        metrics.create_took(channel, Duration::from_millis(12));
        let (now, ttl, skew, lost, attempts) = (NOW, NOW, Duration::ZERO, token(), Vec::new());
        let mut changes = vec![
            Change::Claim { now, skew, token: lost, lease_until: NOW, channel },
            Change::TakeOver { now, skew, token: lost, lease_until: NOW, lost, attempts: attempts.clone() },
            Change::Cancel { now, ttl },
            Change::Expire { now, ttl },
            Change::Retry { now, attempt: 1, attempt_limit: 2, due_at: DueAt::first(NOW) },
            Change::Rearm { seen: DueAt::first(NOW), due_at: DueAt::first(NOW) },
        ];
        for reason in [GiveUp::Exhausted, GiveUp::Expired, GiveUp::RepeatNotAllowed] {
            changes.push(Change::GiveUp { now, skew, lost, reason, attempts: attempts.clone(), ttl });
        }
        for code in ErrorCode::ALL {
            for provider in PROVIDERS {
                for outcome in Outcome::ALL {
                    for next in [
                        Next::Sent { provider_message_id: None, ttl },
                        Next::Failed { code, detail: None, ttl },
                        Next::Expired { ttl },
                        Next::Retrying { not_before: NOW },
                    ] {
                        changes.push(finish(channel, provider, outcome, Some(code), next));
                    }
                }
            }
        }
        changes.iter().for_each(|change| metrics.applied(change, &done(channel)));
    }
    metrics.poisoned();
    let report = redrive::Report { published: 1, processed: 2, passed: 3, put_off: 4, waiting: 5, left: 6 };
    metrics.redrove(&report, Some(Duration::from_secs(7)));
    metrics.requests_in_flight(3);
    metrics.observe(&providers());
}

fn providers() -> Providers {
    let clock = || std::sync::Arc::new(Stopped(NOW));
    let make =
        Surroundings { clock: clock(), send_timeout: Duration::from_secs(5), inbox: std::sync::Arc::new(Inbox::new(clock())) };
    let dev = Channel::ALL.map(|channel| (channel, Binding::parse("dev:", None).unwrap()));
    Providers::open(dev.to_vec(), &Limits::default(), &make).unwrap()
}

fn value(text: &str, series: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn no_input_makes_more_series_than_the_table_has_or_shows_up_in_one() {
    let metrics = Metrics::default();
    for _ in 0..3 {
        record_everything(&metrics);
    }
    let text = prometheus::text(&metrics);
    assert!(!text.contains("hostile") && !text.contains("canary"), "{text}");
    let most: usize = metrics
        .definitions()
        .map(|one| {
            let series: usize = one.labels.iter().map(|label| label.values().len()).product();
            if one.kind == Kind::Histogram { series * 17 } else { series }
        })
        .sum();
    let series: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(series.len(), text.lines().filter(|line| !line.starts_with('#')).count(), "a series stands twice");
    assert!(series.len() <= most, "{} series, and the table has {most}", series.len());
    assert!(series.contains("notifications_sent_total{channel=\"email\",provider=\"other\"}"), "{text}");
}

#[test]
fn each_write_counts_as_what_it_did() {
    let metrics = Metrics::default();
    let counted = |series: &str| value(&prometheus::text(&metrics), &format!("notifications_{series}"));
    let apply = |change: &Change| metrics.applied(change, &done(Channel::Sms));
    let ttl = NOW;
    apply(&finish(Channel::Sms, Some("dev"), Outcome::Accepted, None, Next::Sent { provider_message_id: None, ttl }));
    assert_eq!(counted("sent_total{channel=\"sms\",provider=\"dev\"}"), Some(1));
    assert_eq!(counted("provider_seconds_count{channel=\"sms\",provider=\"dev\",outcome=\"accepted\"}"), Some(1));
    assert_eq!(counted("provider_seconds_bucket{channel=\"sms\",provider=\"dev\",outcome=\"accepted\",le=\"1\"}"), Some(0));
    assert_eq!(counted("provider_seconds_bucket{channel=\"sms\",provider=\"dev\",outcome=\"accepted\",le=\"2.5\"}"), Some(1));
    let code = ErrorCode::AttemptsExhausted;
    let exhausted = Next::Failed { code, detail: None, ttl };
    apply(&finish(Channel::Sms, Some("dev"), Outcome::Unknown, Some(ErrorCode::Timeout), exhausted));
    assert_eq!(counted("failed_total{channel=\"sms\",provider=\"dev\",code=\"attempts-exhausted\"}"), Some(1));
    assert_eq!(counted("unknown_total{channel=\"sms\",provider=\"dev\",code=\"timeout\"}"), Some(1));
    let retrying = Next::Retrying { not_before: NOW };
    apply(&finish(Channel::Sms, None, Outcome::NotSent, Some(ErrorCode::ChannelOff), retrying));
    assert_eq!(counted("retried_total{channel=\"sms\",provider=\"none\",code=\"channel-off\"}"), Some(1));
    assert_eq!(
        counted("provider_seconds_count{channel=\"sms\",provider=\"none\",outcome=\"not-sent\"}"),
        None,
        "it was not asked"
    );
    apply(&Change::Claim { now: NOW, skew: Duration::ZERO, token: token(), lease_until: NOW, channel: Channel::Sms });
    assert_eq!(counted("queue_seconds_bucket{channel=\"sms\",le=\"5\"}"), Some(0));
    assert_eq!(counted("queue_seconds_bucket{channel=\"sms\",le=\"10\"}"), Some(1));
    assert_eq!(counted("expired_total{channel=\"sms\"}"), Some(0));
}

#[test]
fn a_refused_write_and_one_that_somebody_else_made_before_count_nothing() {
    let metrics = Metrics::default();
    let before = prometheus::text(&metrics);
    let refused = Applied::Refused(Box::new(notification(Channel::Email)));
    let ttl = NOW;
    let sent = finish(Channel::Email, Some("dev"), Outcome::Accepted, None, Next::Sent { provider_message_id: None, ttl });
    for not_done in [refused, Applied::Missing, Applied::Foreign] {
        metrics.applied(&sent, &not_done);
        metrics.applied(&Change::Cancel { now: NOW, ttl }, &not_done);
    }
    // It was cancelled already: done, and not by this write.
    let later = NOW.plus(Duration::from_millis(1));
    metrics.applied(&Change::Cancel { now: later, ttl }, &done(Channel::Email));
    metrics.applied(&Change::Expire { now: later, ttl }, &done(Channel::Email));
    assert_eq!(prometheus::text(&metrics), before);
    // Of two in one millisecond, one made it.
    for _ in 0..2 {
        metrics.applied(&Change::Cancel { now: NOW, ttl }, &done(Channel::Email));
    }
    assert_eq!(value(&prometheus::text(&metrics), "notifications_cancelled_total{channel=\"email\"}"), Some(1));
}

/// The rules of the format's specification, as far as they are about one line.
fn check_emf(line: &str, namespace: &str) -> Value {
    assert!(line.len() <= 256 * 1024, "a log event is at most 256 KB");
    let root: Value = serde_json::from_str(line).unwrap();
    let metadata = &root["_aws"];
    assert_eq!(metadata["Timestamp"], NOW.as_millis(), "in milliseconds");
    let directives = metadata["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        assert_eq!(directive["Namespace"], namespace);
        for set in directive["Dimensions"].as_array().unwrap() {
            let set = set.as_array().unwrap();
            assert!(set.len() <= 30);
            for key in set {
                let target = root[key.as_str().unwrap()].as_str().expect("a dimension's target is a string");
                assert!((1..=1024).contains(&target.len()));
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert!(["Count", "Seconds"].contains(&metric["Unit"].as_str().unwrap()), "{metric}");
            match &root[metric["Name"].as_str().unwrap()] {
                Value::Number(_) => {}
                Value::Array(numbers) => assert!((1..=100).contains(&numbers.len()) && numbers.iter().all(Value::is_number)),
                other @ (Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_)) => {
                    panic!("{metric} has the target {other}")
                }
            }
        }
    }
    root
}

#[test]
fn lines_for_cloudwatch_keep_to_the_formats_rules_and_say_nothing_twice() {
    let metrics = Metrics::new(Some("a-stack".to_owned()));
    record_everything(&metrics);
    for _ in 0..250 {
        metrics.create_took(Channel::Push, Duration::from_millis(20));
    }
    let text = metrics.take_lines(NOW);
    assert!(!text.contains("hostile") && !text.contains("canary") && !text.contains("code"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| check_emf(line, "a-stack")).collect();
    let times: usize = lines
        .iter()
        .filter(|line| line["channel"] == "push")
        .map(|line| line["create_seconds"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(times, 251, "each time is there");
    let shown: BTreeSet<&str> = lines
        .iter()
        .flat_map(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap())
        .map(|metric| metric["Name"].as_str().unwrap())
        .collect();
    let all: BTreeSet<&str> = metrics.definitions().filter(|one| one.shown == Shown::Everywhere).map(|one| one.name).collect();
    assert_eq!(shown, all);
    let none = lines.iter().find(|line| line.get("redrive_left").is_some()).unwrap();
    assert_eq!((&none["redrive_left"], &none["oldest_due_seconds"], &none["poisoned"]), (&10.into(), &7.into(), &1.into()));
    assert_eq!(lines.iter().find(|line| line["outcome"] == "waiting").unwrap()["redriven"], 5);

    let again = metrics.take_lines(NOW);
    let again: Vec<Value> = again.lines().map(|line| check_emf(line, "a-stack")).collect();
    assert_eq!(again.len(), 1, "only how things are is said again: {again:?}");
    assert_eq!(again[0]["oldest_due_seconds"], 7);
    assert_eq!(again[0].get("poisoned"), None);
}

#[test]
fn without_a_namespace_nothing_is_kept_for_cloudwatch() {
    let metrics = Metrics::default();
    record_everything(&metrics);
    assert_eq!(metrics.take_lines(NOW), "");
    assert!(metrics.families.all().iter().all(|family| family.take_times().is_empty()));
}

#[test]
fn the_age_of_the_oldest_due_is_shown_only_while_it_is_known() {
    let metrics = Metrics::default();
    let age = || value(&prometheus::text(&metrics), "notifications_oldest_due_seconds");
    assert_eq!(age(), None);
    metrics.redrove(&redrive::Report::default(), Some(Duration::ZERO));
    assert_eq!(age(), Some(0));
    metrics.redrove(&redrive::Report::default(), None);
    assert_eq!(age(), None);
}
