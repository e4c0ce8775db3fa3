//! What a function writes for CloudWatch: with each call what that call did, and nothing twice.

use serde_json::{Value, json};
use tests::function_process::PLENTY;

use super::world::{LATER, World, accepted, batch, tick};

const NAMESPACE: (&str, &str) = ("METRICS_NAMESPACE", "a-stack");

/// The one value of a metric in these lines; None where no line has it.
fn value(lines: &[Value], metric: &str) -> Option<Value> {
    let mut found = lines.iter().filter_map(|line| line.get(metric));
    let value = found.next().cloned();
    assert_eq!(found.next(), None, "{metric} is there twice: {lines:?}");
    value
}

#[tokio::test]
async fn each_call_writes_what_it_did_and_nothing_that_was_written_before() {
    let world = World::new().await;
    let (create, process) = (world.start("create", &[NAMESPACE]).await, world.start("process", &[NAMESPACE]).await);
    let redrive = world.start("redrive", &[LATER, NAMESPACE]).await;

    let first = accepted(&create).await;
    let lines = create.metrics().await;
    assert!(lines.iter().all(|line| line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "a-stack"), "{lines:?}");
    assert_eq!((value(&lines, "accepted"), value(&lines, "replayed")), (Some(json!(1)), None), "{lines:?}");
    accepted(&create).await;
    assert_eq!(value(&create.metrics().await, "accepted"), Some(json!(1)), "one since the last call");

    let mut events = batch(&[&first]);
    let records = events["records"]["notification-events-0"].as_array_mut().unwrap();
    let mut poison = records[0].clone();
    (poison["offset"], poison["value"]) = (json!(1), json!("%"));
    records.push(poison);
    process.invoke(&events, PLENTY).await.unwrap();
    let lines = process.metrics().await;
    let counted = ["sent", "poisoned", "accepted"].map(|metric| value(&lines, metric));
    assert_eq!(counted, [Some(json!(1)), Some(json!(1)), None], "{lines:?}");
    assert!(value(&lines, "provider_seconds").is_some() && value(&lines, "queue_seconds").is_some(), "{lines:?}");

    // The second one's event was not handed over.
    redrive.invoke(&tick(), PLENTY).await.unwrap();
    let lines = redrive.metrics().await;
    assert_eq!((value(&lines, "redriven"), value(&lines, "redrive_left")), (Some(json!(1)), Some(json!(0))), "{lines:?}");
    assert!(value(&lines, "oldest_due_seconds").is_some(), "{lines:?}");
}

#[tokio::test]
async fn without_a_namespace_nothing_is_written() {
    let world = World::new().await;
    let (named, plain) = (world.start("create", &[NAMESPACE]).await, world.start("create", &[]).await);
    accepted(&plain).await;
    accepted(&plain).await;
    accepted(&named).await;
    named.metrics().await;
    assert_eq!(plain.written(), "");
}
