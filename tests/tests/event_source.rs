//! The event source on a broker. Each call is handed to the test, which lets it succeed or fail.

#[path = "event_source/log.rs"]
#[cfg(test)]
mod log;
#[path = "event_source/member.rs"]
#[cfg(test)]
mod member;

use std::collections::BTreeMap;
use std::time::Duration;

use member::{Member, for_records, set, settings};
use tests::kafka::Kafka;

async fn assert_all_is_committed(kafka: &Kafka) {
    kafka.put(0, "marker").await;
    let mut later = Member::start(settings(kafka));
    let call = later.call().await;
    assert_eq!(call.values(), ["marker"]);
    call.succeed();
    later.stop().await;
}

#[tokio::test]
async fn a_batch_is_closed_by_its_size() {
    let kafka = Kafka::with_partitions(2).await;
    kafka.fill(2, 4).await;
    let mut settings = settings(&kafka);
    settings.batch.max_records = 3;
    settings.batch.window = Duration::from_secs(1);
    let mut member = Member::start(settings);
    for expected in [3, 3, 2] {
        let call = member.call().await;
        assert_eq!(call.records().len(), expected);
        call.succeed();
    }
    member.stop().await;
}

#[tokio::test]
async fn a_batch_is_closed_by_its_window() {
    let kafka = Kafka::with_partitions(1).await;
    let mut member = Member::start(settings(&kafka));
    for value in ["one", "two"] {
        kafka.put(0, value).await;
        let call = member.call().await;
        assert_eq!(call.values(), [value], "far from 100 records");
        call.succeed();
    }
    member.stop().await;
}

#[tokio::test]
async fn a_batch_is_closed_by_its_bytes() {
    let kafka = Kafka::with_partitions(1).await;
    for _ in 0..6 {
        kafka.put(0, &"x".repeat(600)).await;
    }
    let mut settings = settings(&kafka);
    settings.batch.max_bytes = 2_500;
    let mut member = Member::start(settings);
    let mut records = 0;
    while records < 6 {
        let call = member.call().await;
        assert!(call.payload.len() <= 2_500, "{}", call.payload.len());
        assert_eq!(call.records().len(), 2, "as many as fit");
        records += 2;
        call.succeed();
    }
    member.stop().await;
}

#[tokio::test]
async fn what_was_not_answered_comes_again_and_what_succeeded_does_not() {
    let kafka = Kafka::with_partitions(2).await;
    kafka.fill(2, 5).await;
    let mut first = Member::start(for_records(&kafka, 10));
    let before = first.call().await.records();
    assert_eq!(before.len(), 10);
    first.kill().await;

    let mut second = Member::start(for_records(&kafka, 10));
    let call = second.call().await;
    assert_eq!(call.records(), before);
    call.succeed();
    second.stop().await;

    assert_all_is_committed(&kafka).await;
}

#[tokio::test]
async fn a_failed_call_brings_the_whole_batch_again() {
    let kafka = Kafka::with_partitions(2).await;
    kafka.fill(2, 5).await;
    let mut member = Member::start(for_records(&kafka, 20));
    let call = member.call().await;
    let payload = call.payload.clone();
    call.fail();
    // More records wait now. They must not get in between.
    kafka.fill(2, 5).await;
    for _ in 0..4 {
        let again = member.call().await;
        assert_eq!(again.payload, payload);
        again.fail();
    }
    let again = member.call().await;
    assert_eq!(again.payload, payload);
    again.succeed();
    let next = member.call().await;
    assert_eq!(next.records().len(), 10);
    assert!(next.records().iter().all(|(_, offset, _)| *offset >= 5));
    next.succeed();
    member.stop().await;
    assert_all_is_committed(&kafka).await;
}

#[tokio::test]
async fn a_stop_finishes_and_commits_the_call_under_way() {
    let kafka = Kafka::with_partitions(1).await;
    kafka.put(0, "under way").await;
    let mut member = Member::start(settings(&kafka));
    let call = member.call().await;
    kafka.put(0, "too late").await;
    member.stop.cancel();
    assert!(!member.run.is_finished());
    call.succeed();
    member.stop().await;

    let mut later = Member::start(settings(&kafka));
    let call = later.call().await;
    assert_eq!(call.values(), ["too late"]);
    call.succeed();
    later.stop().await;
}

#[tokio::test]
async fn a_stop_ends_the_wait_after_a_failed_call() {
    let kafka = Kafka::with_partitions(1).await;
    kafka.put(0, "failing").await;
    let mut settings = settings(&kafka);
    settings.retry.base = Duration::from_secs(3_600);
    settings.retry.cap = Duration::from_secs(3_600);
    let mut member = Member::start(settings.clone());
    member.call().await.fail();
    member.stop().await;

    let mut later = Member::start(settings);
    let call = later.call().await;
    assert_eq!(call.values(), ["failing"], "it was not committed");
    call.succeed();
    later.stop().await;
}

#[tokio::test]
async fn a_rebalance_in_the_middle_of_a_batch_loses_nothing() {
    let kafka = Kafka::with_partitions(4).await;
    kafka.fill(4, 5).await;
    let mut first = Member::start(for_records(&kafka, 20));
    let held = first.call().await;
    assert_eq!(held.records().len(), 20);

    // The second gets its share although the first one's call goes on, and reads it from the start.
    let mut second = Member::start(for_records(&kafka, 20));
    let taken = second.call().await;
    let moved = taken.records();
    assert_eq!(moved.len(), 10, "half of the partitions");
    assert!(moved.iter().all(|record| held.records().contains(record)));

    // The first may not commit what is no longer its own: the second fails, goes, and it comes again.
    held.succeed();
    taken.fail();
    second.kill().await;
    // In one batch or several; and its own too, if the rebalance took its commit along: at least once.
    let mut back = Vec::new();
    while !moved.iter().all(|record| back.contains(record)) {
        let call = first.call().await;
        back.extend(call.records());
        call.succeed();
    }
    first.stop_whatever_comes().await;
    assert_all_is_committed(&kafka).await;
}

#[tokio::test]
async fn a_failing_batch_leaves_out_what_went_to_another_member() {
    let kafka = Kafka::with_partitions(2).await;
    kafka.fill(2, 5).await;
    let mut first = Member::start(for_records(&kafka, 10));
    let held = first.call().await;
    assert_eq!(held.records().len(), 10);
    let mut second = Member::start(for_records(&kafka, 10));
    let taken = second.call().await;
    assert_eq!(taken.records().len(), 5);
    held.fail();
    let again = first.call().await;
    assert_eq!(again.records().len(), 5);
    assert!(again.records().iter().all(|record| !taken.records().contains(record)));
    again.succeed();
    taken.succeed();
    first.stop().await;
    second.stop().await;
    assert_all_is_committed(&kafka).await;
}

#[tokio::test]
async fn a_call_longer_than_the_poll_interval_keeps_the_membership() {
    let kafka = Kafka::with_partitions(1).await;
    kafka.fill(1, 3).await;
    let mut settings = settings(&kafka);
    // Apache Kafka takes no session below 6 s, and the client no interval below the session.
    let interval = if kafka.embedded.is_some() { Duration::from_secs(3) } else { Duration::from_secs(6) };
    set(&mut settings, "max.poll.interval.ms", &interval.as_millis().to_string());
    let mut member = Member::start(settings);
    let call = member.call().await;
    kafka.fill(1, 3).await;
    // What is tested is what time does: nothing to wait for but time.
    tokio::time::sleep(interval * 2).await;
    call.succeed();
    let next = member.call().await;
    assert_eq!(next.records().iter().map(|(_, offset, _)| *offset).collect::<Vec<_>>(), [3, 4, 5], "not from the start");
    next.succeed();
    member.stop().await;
    assert_all_is_committed(&kafka).await;
}

#[tokio::test]
async fn each_partition_keeps_its_order_over_failures_and_pauses() {
    let kafka = Kafka::with_partitions(4).await;
    kafka.fill(4, 100).await;
    let mut settings = settings(&kafka);
    settings.batch.max_records = 37;
    let mut member = Member::start(settings);
    let mut next = BTreeMap::from([(0, 0), (1, 0), (2, 0), (3, 0)]);
    let mut calls = 0;
    while next.values().sum::<i64>() < 400 {
        let call = member.call().await;
        calls += 1;
        match calls % 5 {
            0 => call.fail(),
            succeeds => {
                for (partition, offset, _) in call.records() {
                    assert_eq!(next.insert(partition, offset + 1), Some(offset), "partition {partition}");
                }
                // Long enough for a pause, now and then.
                if succeeds == 1 && calls < 9 {
                    tokio::time::sleep(Duration::from_millis(2_200)).await;
                }
                call.succeed();
            }
        }
    }
    member.stop().await;
    assert_all_is_committed(&kafka).await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for_at_the_start_and_later() {
    let kafka = Kafka::embedded(1);
    kafka.put(0, "before").await;
    kafka.broker().go_down().unwrap();
    let mut member = Member::start(settings(&kafka));
    kafka.broker().come_up().unwrap();
    let call = member.call().await;
    assert_eq!(call.values(), ["before"]);
    // Gone in the middle of a call, and of its commit.
    kafka.broker().go_down().unwrap();
    call.succeed();
    kafka.broker().come_up().unwrap();
    kafka.put(0, "after").await;
    // The first comes again where the outage lost its commit, and the second may then be in a batch with it.
    loop {
        let call = member.call().await;
        let values = call.values();
        call.succeed();
        if values.contains(&"after".to_owned()) {
            break;
        }
        assert_eq!(values, ["before"]);
    }
    member.stop().await;
    assert_all_is_committed(&kafka).await;
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_waited_for() {
    let kafka = Kafka::embedded(1);
    let topic = format!("{}-later", kafka.settings.topic);
    let mut settings = settings(&kafka);
    settings.kafka.topic.clone_from(&topic);
    kafka.broker().fail_topic(&topic, rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let mut member = Member::start(settings);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    kafka.broker().fail_topic(&topic, rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    kafka.put_to(&topic, 0, "at last").await;
    let call = member.call().await;
    assert_eq!(call.values(), ["at last"]);
    call.succeed();
    member.stop().await;
}

#[tokio::test]
async fn reading_goes_on_where_the_broker_dropped_what_was_not_read() {
    let kafka = Kafka::embedded(1);
    kafka.put(0, "read").await;
    let mut member = Member::start(settings(&kafka));
    let call = member.call().await;
    call.succeed();
    member.stop().await;
    // More than the embedded broker keeps of a partition: it drops the oldest.
    let large = "x".repeat(500_000);
    for _ in 0..20 {
        kafka.put(0, &large).await;
    }
    let mut member = Member::start(settings(&kafka));
    let call = member.call().await;
    let (_, first, _) = call.records().remove(0);
    assert!(first > 1, "nothing was dropped: {first}");
    let mut last = call.records().last().unwrap().1;
    call.succeed();
    while last < 20 {
        let call = member.call().await;
        last = call.records().last().unwrap().1;
        call.succeed();
    }
    member.stop().await;
}

#[tokio::test]
async fn a_commit_that_fails_is_repeated() {
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    let kafka = Kafka::embedded(1);
    kafka.put(0, "one").await;
    let mut member = Member::start(settings(&kafka));
    let call = member.call().await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
    kafka.broker().fail_requests(RDKafkaApiKey::OffsetCommit, &[refusal; 2]).unwrap();
    call.succeed();
    member.stop().await;
    assert_all_is_committed(&kafka).await;
}
