//! What goes wrong in an event: told as it has to be, and the function takes the next one.

use std::time::Duration;

use serde_json::json;
use tests::function_process::{FunctionProcess, PLENTY};
use tests::store_proxy::Fault;
use tokio::time::Instant;

use super::world::{LATER, World, accepted, batch, order, read, tick};

/// The shortest that the template lets `get` have; `create` has more.
const DEADLINE: Duration = Duration::from_secs(11);
const BY_DEFAULT: (&str, &str) = ("STORE_TIMEOUT", "3s");

async fn create_is_answered(create: &FunctionProcess, status: u64, code: &str) {
    let answer = create.http("POST", "/api/notifications", "", Some(&order())).await;
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{}\n{}", answer.body, create.logs());
    assert_eq!(answer.headers.get("retry-after").is_some(), status == 503);
    assert!(!answer.body.to_string().contains("canary"), "{}", answer.body);
}

#[tokio::test]
async fn with_the_store_away_an_api_answers_503_and_a_batch_fails_so_that_it_comes_again() {
    let world = World::new().await;
    let (create, get) = (world.start("create", &[]).await, world.start("get", &[]).await);
    let (process, redrive) = (world.start("process", &[]).await, world.start("redrive", &[]).await);
    let id = accepted(&create).await;

    world.proxy.fail(None, Fault::Throttle);
    create_is_answered(&create, 503, "store-unavailable").await;
    let answer = get.http("GET", &format!("/api/notifications/{id}"), "", None).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("store-unavailable")));
    let failure = process.invoke(&batch(&[&id]), PLENTY).await.unwrap_err();
    let told = failure["errorMessage"].as_str().unwrap();
    assert_eq!(told, "no claim of the batch reached the store (1 failed, 0 were not begun)");
    assert!(failure["errorType"].is_string(), "{failure}");
    // Its time is over before it gives up.
    let report = redrive.invoke(&tick(), Duration::from_secs(11)).await.unwrap();
    assert!(report["left"].as_u64().is_some_and(|left| left > 0), "{report}");

    world.proxy.recover();
    accepted(&create).await;
    let report = process.invoke(&batch(&[&id]), PLENTY).await.unwrap();
    assert_eq!(report["attempted"], 1, "{report}");
    assert_eq!(read(&get, &id).await["status"], "Sent");
    assert_eq!(redrive.invoke(&tick(), PLENTY).await.unwrap()["left"], 0);
}

/// A call that does not answer in time is answered by the gateway, without our problem and request id.
#[tokio::test]
async fn a_store_that_says_nothing_is_answered_503_before_the_deadline() {
    let world = World::new().await;
    let (create, get) = (world.start("create", &[BY_DEFAULT]).await, world.start("get", &[BY_DEFAULT]).await);
    let id = accepted(&create).await;
    world.proxy.fail(None, Fault::Stall);
    let reads = [(format!("/api/notifications/{id}"), ""), ("/api/notifications".to_owned(), "userId=ada")];
    for (path, query) in &reads {
        let begun = Instant::now();
        let answer = get.http_within(DEADLINE, "GET", path, query, None).await;
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!("store-unavailable")), "{}", answer.body);
        assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    }
    let begun = Instant::now();
    let answer = create.http_within(DEADLINE, "POST", "/api/notifications", "", Some(&order())).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("store-unavailable")), "{}", answer.body);
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    world.proxy.recover();
    accepted(&create).await;
    read(&get, &id).await;
}

#[tokio::test]
async fn a_batch_that_is_none_fails_and_the_next_one_is_taken() {
    let world = World::new().await;
    let process = world.start("process", &[]).await;
    let failure = process.invoke(&json!({"Records": ["canary"]}), PLENTY).await.unwrap_err();
    assert_eq!(failure["errorMessage"], "the event is no Kafka event: it has no records by partition");
    assert!(!process.logs().contains("canary"), "{}", process.logs());
    assert_eq!(process.invoke(&batch(&[]), PLENTY).await.unwrap()["attempted"], 0);
}

#[tokio::test]
async fn a_missing_permission_is_named_once_in_the_log_and_never_in_an_answer() {
    let world = World::new().await;
    let (create, get) = (world.start("create", &[]).await, world.start("get", &[]).await);
    let (process, redrive) = (world.start("process", &[]).await, world.start("redrive", &[]).await);
    let id = accepted(&create).await;

    world.proxy.fail(None, Fault::Forbid);
    for _ in 0..2 {
        create_is_answered(&create, 503, "store-unavailable").await;
        let answer = get.http("GET", &format!("/api/notifications/{id}"), "", None).await;
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!("store-unavailable")));
        process.invoke(&batch(&[&id]), PLENTY).await.unwrap_err();
        redrive.invoke(&tick(), Duration::from_secs(11)).await.unwrap();
    }
    for (function, action) in [
        (&create, "dynamodb:PutItem"),
        (&get, "dynamodb:GetItem"),
        (&process, "dynamodb:UpdateItem"),
        (&redrive, "dynamodb:Query"),
    ] {
        assert_eq!(function.lines_with(action), 1, "{action}: {}", function.logs());
        assert_eq!(function.lines_with("a permission is missing: the policy"), 1, "{action}: {}", function.logs());
        assert!(!function.logs().contains("canary"), "{}", function.logs());
    }

    // The role was mended: nothing has to be started again.
    world.proxy.recover();
    accepted(&create).await;
    assert_eq!(process.invoke(&batch(&[&id]), PLENTY).await.unwrap()["attempted"], 1);
}

#[tokio::test]
async fn a_panic_costs_its_own_request_or_record_and_its_words_are_nowhere() {
    let world = World::new().await;
    let create = world.start("create", &[("PANIC_AT", "before-put")]).await;
    create_is_answered(&create, 500, "internal").await;
    let ids = [accepted(&create).await, accepted(&create).await];

    let process = world.start("process", &[("PANIC_AT", "before-claim")]).await;
    let report = process.invoke(&batch(&[&ids[0], &ids[1]]), PLENTY).await.unwrap();
    assert_eq!((&report["attempted"], &report["left"]), (&json!(1), &json!(1)), "{report}\n{}", process.logs());
    let report = process.invoke(&batch(&[&ids[0], &ids[1]]), PLENTY).await.unwrap();
    assert_eq!((&report["attempted"], &report["left"]), (&json!(1), &json!(1)), "{report}");

    let get = world.start("get", &[("PANIC_AT", "before-read")]).await;
    let answer = get.http("GET", &format!("/api/notifications/{}", ids[0]), "", None).await;
    assert_eq!((answer.status, &answer.body["code"]), (500, &json!("internal")), "{}\n{}", answer.body, get.logs());
    assert!(!answer.body.to_string().contains("canary"), "{}", answer.body);
    read(&get, &ids[0]).await;

    accepted(&create).await;
    accepted(&create).await;
    let redrive = world.start("redrive", &[("PANIC_AT", "before-claim"), ("KAFKA_BOOTSTRAP_SERVERS", "none"), LATER]).await;
    let report = redrive.invoke(&tick(), PLENTY).await.unwrap();
    assert_eq!((&report["processed"], &report["putOff"]), (&json!(1), &json!(1)), "{report}\n{}", redrive.logs());

    for function in [&create, &get, &process, &redrive] {
        assert_eq!(function.lines_with("\"message\":\"panicked\""), 1, "{}", function.logs());
        assert!(!function.logs().contains("canary"), "{}", function.logs());
    }
}
