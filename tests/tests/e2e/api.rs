//! The API as a client sees it, while everything works.

use reqwest::Method;
use reqwest::header::{ALLOW, CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};
use tests::apart::Apart;
use tests::server_process::ServerProcess;

const EMAIL: &str = "ada@example.com";

#[tokio::test]
async fn what_is_created_is_sent_once_and_can_be_read_back() {
    let server = ServerProcess::start(&[]).await;
    let asked = json!({
        "userId": "ada", "channel": "email", "template": "orders/confirmed", "to": {"email": EMAIL},
        "data": {"name": "Ada"}, "metadata": {"order": "1042"},
    });
    let created = server.post("/api/notifications", &asked).await;
    assert_eq!(created.status(), 202);
    let location = created.headers()[LOCATION].to_str().unwrap().to_owned();
    let created: Value = created.json().await.unwrap();
    let id = created["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/notifications/{id}"));

    let sent = server.wait_for(id, "Sent").await;
    for field in ["userId", "channel", "template", "to", "data", "metadata"] {
        assert_eq!(sent[field], asked[field], "{field}");
    }
    assert_eq!(sent["provider"], "dev");
    assert_eq!(sent["retryCount"], 0);
    assert_eq!(sent["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(sent["attempts"][0]["outcome"], "accepted");
    assert!(sent["sentAt"].as_str() >= sent["createdAt"].as_str() && sent["sentAt"].is_string(), "{sent}");
    assert!(!sent.as_object().unwrap().values().any(Value::is_null), "absent means absent: {sent}");
    assert_eq!(server.json(&location).await, sent);

    let received = server.inbox("ada").await;
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0]["notificationId"], id);
    assert_eq!(received[0]["to"], asked["to"]);
    assert_eq!(received[0]["data"], asked["data"]);
}

#[tokio::test]
async fn the_alias_and_any_case_of_the_channel_are_understood() {
    let server = ServerProcess::start(&[]).await;
    for (channel, plain) in [("EMAIL", "email"), ("Sms", "sms"), ("pUSH", "push")] {
        let id = server.create(&json!({"user_id": "ada", "channel": channel, "template": "welcome"})).await;
        let sent = server.wait_for(&id, "Sent").await;
        assert_eq!(sent["userId"], "ada");
        assert_eq!(sent["channel"], plain);
        assert!(sent.get("user_id").is_none());
    }
}

#[tokio::test]
async fn data_comes_back_and_goes_out_digit_for_digit() {
    let server = ServerProcess::start(&[]).await;
    let data = r#"{"total":1.10,"big":123456789012345678901234567890,"small":1E-7,"minus":-0.0,"z":1,"a":"\u00e4ü"}"#;
    let body = format!(r#"{{"userId":"digits","channel":"push","template":"welcome","data":{data}}}"#);
    let request = server.request(Method::POST, "/api/notifications").header(CONTENT_TYPE, "application/json");
    let created: Value = request.body(body).send().await.unwrap().json().await.unwrap();
    let id = created["id"].as_str().unwrap();
    server.wait_for(id, "Sent").await;
    for path in [format!("/api/notifications/{id}"), "/dev/inbox?userId=digits".to_owned()] {
        let text = server.get(&path).await.text().await.unwrap();
        for digits in ["1.10", "123456789012345678901234567890", "1E-7", "-0.0"] {
            assert!(text.contains(&format!(":{digits}")), "{digits} is not in {text}");
        }
    }
}

#[tokio::test]
async fn a_users_list_is_newest_first_page_by_page_and_nobody_elses() {
    let server = ServerProcess::start(&[]).await;
    let mut made = Vec::new();
    for n in 0..7 {
        let data = json!({"n": n});
        made.push(server.create(&json!({"userId": "ada", "channel": "push", "template": "t", "data": data})).await);
    }
    server.create(&json!({"userId": "bob", "channel": "push", "template": "t"})).await;

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    let mut pages = 0;
    loop {
        let page = server.json(&format!("/api/notifications?userId=ada&limit=3{cursor}")).await;
        pages += 1;
        for n in page["data"].as_array().unwrap() {
            assert!(n.get("data").is_none() && n.get("attempts").is_none(), "{n}");
            seen.push((n["createdAt"].as_str().unwrap().to_owned(), n["id"].as_str().unwrap().to_owned()));
        }
        let Some(next) = page.get("nextCursor") else { break };
        cursor = format!("&cursor={}", next.as_str().unwrap());
    }
    assert_eq!(pages, 3);
    assert!(seen.is_sorted_by(|newer, older| newer.0 >= older.0), "{seen:?}");
    let mut ids: Vec<String> = seen.into_iter().map(|(_, id)| id).collect();
    ids.sort();
    made.sort();
    assert_eq!(ids, made);

    // Ada's cursor under Bob's name is a position in Bob's list.
    let bobs = server.json(&format!("/api/notifications?userId=bob&limit=3{cursor}")).await;
    assert!(bobs["data"].as_array().unwrap().iter().all(|n| n["userId"] == "bob"), "{bobs}");
}

#[tokio::test]
async fn errors_say_what_is_wrong_in_one_shape() {
    let server = ServerProcess::start(&[]).await;
    let none = "/api/notifications/0190a8f2-0000-7000-8000-000000000000";
    for (method, path, status, code, allow) in [
        (Method::GET, "/api/nothing", 404, "not-found", None),
        (Method::GET, "/", 404, "not-found", None),
        (Method::GET, none, 404, "notification-not-found", None),
        (Method::GET, "/api/notifications/7", 400, "invalid-request", None),
        (Method::GET, "/api/notifications?userId=ada&cursor=%21", 400, "invalid-request", None),
        (Method::GET, "/api/notifications?userId=ada&idempotencyKey=k", 400, "invalid-request", None),
        (Method::DELETE, "/api/notifications", 405, "method-not-allowed", Some(["GET", "HEAD", "POST"].as_slice())),
        (Method::POST, none, 405, "method-not-allowed", Some(&["GET", "HEAD"])),
        (Method::POST, "/health", 405, "method-not-allowed", Some(&["GET", "HEAD"])),
    ] {
        let answer = server.request(method.clone(), path).header("x-request-id", "asked-by-me").send().await.unwrap();
        let what = format!("{method} {path}");
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json", "{what}");
        assert_eq!(answer.headers()["x-request-id"], "asked-by-me", "{what}");
        let allowed = answer.headers().get(ALLOW).map(|value| {
            let mut methods: Vec<String> = value.to_str().unwrap().split(',').map(|one| one.trim().to_owned()).collect();
            methods.sort();
            methods
        });
        assert_eq!(allowed, allow.map(|methods| methods.iter().map(|&one| one.to_owned()).collect()), "{what}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{what}");
        assert_eq!(problem["status"], status, "{what}");
        assert_eq!(problem["requestId"], "asked-by-me", "{what}");
        assert_eq!(problem["instance"], path.split('?').next().unwrap(), "{what}");
        assert!(problem["type"].as_str().unwrap().ends_with(code), "{what}");
    }
}

#[tokio::test]
async fn every_fault_of_a_request_is_listed_at_once_and_nothing_is_stored() {
    let server = ServerProcess::start(&[]).await;
    let bad = json!({
        "userId": "", "channel": "pigeon", "template": "../x", "data": [], "metadata": {"n": 1},
        "idempotencyKey": "k", "scheduledAt": "soon", "expiresAt": "later", "tmplate": "typo",
    });
    let answer = server.post("/api/notifications", &bad).await;
    assert_eq!(answer.status(), 400);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "invalid-request");
    let mut places: Vec<&str> = problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    places.sort_unstable();
    let expected = ["#/channel", "#/data", "#/expiresAt", "#/metadata/n", "#/scheduledAt", "#/template", "#/tmplate", "#/userId"];
    assert_eq!(places, expected, "{problem}");
    let stored = server.json("/api/notifications?idempotencyKey=k").await;
    assert_eq!(stored, json!({"data": []}));
}

#[tokio::test]
async fn a_body_that_is_no_json_object_or_too_large_or_of_another_type_is_refused() {
    let server = ServerProcess::start(&[]).await;
    let large = format!(r#"{{"userId":"{}"}}"#, "a".repeat(128 * 1024));
    for (body, media_type, status, code) in [
        ("{", Some("application/json"), 400, "malformed-json"),
        ("[]", Some("application/json"), 400, "malformed-json"),
        ("", Some("application/json"), 400, "malformed-json"),
        ("{}", Some("text/plain"), 415, "unsupported-media-type"),
        ("{}", None, 415, "unsupported-media-type"),
        (large.as_str(), Some("application/json"), 413, "body-too-large"),
    ] {
        let request = server.request(Method::POST, "/api/notifications").body(body.to_owned());
        let request = match media_type {
            Some(media_type) => request.header(CONTENT_TYPE, media_type),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{code}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code);
    }
    // The same connection pool still works: nothing was left half read.
    server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
}

#[tokio::test]
async fn health_readiness_and_the_document_are_served() {
    let server = ServerProcess::start(&[]).await;
    let ready = server.get("/health/ready").await;
    assert_eq!(ready.status(), 200);
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(ready["mode"], "async", "{ready}");
    assert!(ready.get("reason").is_none(), "{ready}");
    assert_eq!(server.json("/health").await, json!({"status": "ok"}));
    let document = server.json("/api/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
}

#[tokio::test]
async fn a_channel_that_is_off_is_refused_by_its_name() {
    let apart = Apart::start().await;
    let bound = apart.with(&[("KAFKA_BOOTSTRAP_SERVERS", "none")]);
    let bound: Vec<_> = bound.into_iter().filter(|(name, _)| *name != "SMS_PROVIDER").collect();
    let server = ServerProcess::start_with(&bound).await;
    let answer = server.post("/api/notifications", &json!({"userId": "ada", "channel": "sms", "template": "t"})).await;
    assert_eq!(answer.status(), 400);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "channel-off");
    assert!(problem["detail"].as_str().unwrap().contains("sms"), "{problem}");
    server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
}
