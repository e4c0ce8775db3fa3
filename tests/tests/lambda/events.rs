//! An event, and its answer.

use serde_json::json;
use tests::function_process::PLENTY;

use super::world::{LATER, World, accepted, batch, read, tick};

#[tokio::test]
async fn a_notification_goes_through_all_four_functions() {
    let world = World::new().await;
    let (create, get) = (world.start("create", &[]).await, world.start("get", &[]).await);
    let (process, redrive) = (world.start("process", &[]).await, world.start("redrive", &[LATER]).await);

    let (first, second) = (accepted(&create).await, accepted(&create).await);
    assert_eq!(read(&get, &first).await["status"], "Pending");

    let report = process.invoke(&batch(&[&first]), PLENTY).await.unwrap();
    assert_eq!((&report["attempted"], &report["failed"]), (&json!(1), &json!(0)), "{report}");
    assert_eq!(read(&get, &first).await["status"], "Sent");

    // Nobody hands the second one's event over: redrive publishes it again.
    let report = redrive.invoke(&tick(), PLENTY).await.unwrap();
    assert_eq!((&report["published"], &report["left"]), (&json!(1), &json!(0)), "{report}\n{}", redrive.logs());
    let report = process.invoke(&batch(&[&first, &second]), PLENTY).await.unwrap();
    assert_eq!((&report["attempted"], &report["left"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(read(&get, &second).await["attempts"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn without_kafka_create_and_redrive_send_by_themselves() {
    let world = World::new().await;
    let without = [("KAFKA_BOOTSTRAP_SERVERS", "none")];
    let (create, redrive) = (world.start("create", &without).await, world.start("redrive", &without).await);
    let answer = create.http("POST", "/api/notifications", "", Some(&super::world::order())).await;
    assert_eq!((answer.status, &answer.body["status"]), (201, &json!("Sent")), "{}", answer.body);

    let with_kafka = world.start("create", &[]).await;
    let id = accepted(&with_kafka).await;
    let report = redrive.invoke(&tick(), PLENTY).await.unwrap();
    assert_eq!((&report["processed"], &report["left"]), (&json!(1), &json!(0)), "{report}\n{}", redrive.logs());
    assert_eq!(read(&world.start("get", &[]).await, &id).await["status"], "Sent");
}

#[tokio::test]
async fn what_no_route_knows_is_explained_as_a_problem_with_the_requests_id() {
    let world = World::new().await;
    let get = world.start("get", &[]).await;
    for (method, path, status) in [("GET", "/nowhere", 404), ("PUT", "/api/notifications", 405)] {
        let answer = get.http(method, path, "", None).await;
        assert_eq!((answer.status, &answer.body["requestId"]), (status, &json!("the-request")), "{}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    // Health is create's, where the producer lives.
    let create = world.start("create", &[]).await;
    let answer = create.http("GET", "/health/ready", "", None).await;
    assert_eq!((answer.status, &answer.body["mode"]), (200, &json!("async")), "{}", answer.body);
}

#[tokio::test]
async fn near_its_deadline_nothing_is_begun_that_could_not_be_finished() {
    let world = World::new().await;
    let (create, get) = (world.start("create", &[]).await, world.start("get", &[]).await);
    let id = accepted(&create).await;
    // SEND_TIMEOUT and 5 s more is what a claim needs.
    let near = std::time::Duration::from_secs(8);

    let process = world.start("process", &[]).await;
    let failure = process.invoke(&batch(&[&id]), near).await.unwrap_err();
    assert!(failure["errorMessage"].as_str().is_some_and(|why| why.contains("1 were not begun")), "{failure}");
    let redrive = world.start("redrive", &[("KAFKA_BOOTSTRAP_SERVERS", "none")]).await;
    let report = redrive.invoke(&tick(), near).await.unwrap();
    assert_eq!((&report["left"], &report["processed"]), (&json!(1), &json!(0)), "{report}");

    let untouched = read(&get, &id).await;
    assert_eq!((&untouched["status"], untouched.get("attempts").and_then(|made| made.get(0))), (&json!("Pending"), None));
    // Both are there for the next event.
    let report = redrive.invoke(&tick(), PLENTY).await.unwrap();
    assert_eq!(report["processed"], 1, "{report}");
    let report = process.invoke(&batch(&[&id]), PLENTY).await.unwrap();
    assert_eq!(report["left"], 1, "{report}");
    assert_eq!(read(&get, &id).await["status"], "Sent");
}
