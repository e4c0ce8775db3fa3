//! What was accepted reaches its end: though the client hangs up, the server is told to stop, or is killed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tests::apart::Apart;
use tests::receiver::{Receiver, Reply};
use tests::server_process::{PATIENCE, ServerProcess};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

/// Soon enough for a test: what was left behind is looked at half a second later.
const BRISK: [(&str, &str); 5] =
    [("SEND_TIMEOUT", "2s"), ("CLOCK_SKEW", "50ms"), ("LEASE", "2500ms"), ("DUE_GUARD", "500ms"), ("REDRIVE_INTERVAL", "200ms")];

#[tokio::test]
async fn a_client_that_hangs_up_stops_nothing() {
    let receiver = Receiver::start().await.unwrap();
    receiver.then(Reply::Held { status: 204 });
    let binding = receiver.binding();
    let settings = [("KAFKA_BOOTSTRAP_SERVERS", "none"), ("EMAIL_PROVIDER", binding.as_str()), SECRET];
    let server = ServerProcess::start(&settings).await;
    let body = r#"{"userId":"ada","channel":"email","template":"t","idempotencyKey":"hung-up"}"#;
    let mut client = TcpStream::connect(server.address()).await.unwrap();
    let request = format!(
        "POST /api/notifications HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    receiver.wait_for(1).await;
    drop(client);
    // One more request on another connection: the server has had its chance to see the first one's end.
    let found = server.json("/api/notifications?idempotencyKey=hung-up").await;
    let id = found["data"][0]["id"].as_str().unwrap();
    receiver.release();
    let sent = server.wait_for(id, "Sent").await;
    assert_eq!(sent["attempts"].as_array().unwrap().len(), 1, "{sent}");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_it_holds_and_answers_whoever_waits() {
    for kafka in [None, Some(("KAFKA_BOOTSTRAP_SERVERS", "none"))] {
        let receiver = Receiver::start().await.unwrap();
        receiver.then(Reply::Held { status: 204 });
        let (apart, binding) = (Apart::start().await, receiver.binding());
        let settings: Vec<_> = [("EMAIL_PROVIDER", binding.as_str()), SECRET].into_iter().chain(kafka).collect();
        let mut server = ServerProcess::start_with(&apart.with(&settings)).await;
        let body = json!({"userId": "ada", "channel": "email", "template": "t"});
        let asking = server.request(reqwest::Method::POST, "/api/notifications").json(&body).send();
        let asking = tokio::spawn(asking);
        receiver.wait_for(1).await;
        server.terminate();
        server.wait_for_log("stopping").await;
        // As long as its receiver thinks.
        assert!(server.runs_for(Duration::from_millis(500)).await, "it did not wait:\n{}", server.logs());
        receiver.release();
        let answer = asking.await.unwrap().unwrap();
        assert_eq!(answer.status(), if kafka.is_none() { 202 } else { 201 });
        let n: Value = answer.json().await.unwrap();
        assert!(server.ended().await.success(), "{}", server.logs());

        let again = server.restart().await;
        let sent = again.wait_for(n["id"].as_str().unwrap(), "Sent").await;
        assert_eq!(sent["attempts"].as_array().unwrap().len(), 1, "{sent}");
        assert_eq!(receiver.requests().len(), 1, "it was not sent again");
    }
}

#[tokio::test]
async fn what_a_stop_left_undone_is_done_after_the_next_start() {
    let receiver = Receiver::start().await.unwrap();
    receiver.then(Reply::Held { status: 204 });
    let binding = receiver.binding();
    // Time enough for all of them to be created while the first is under way.
    let at_ease =
        [("SEND_TIMEOUT", "20s"), ("CLOCK_SKEW", "50ms"), ("LEASE", "25s"), ("DUE_GUARD", "5s"), ("REDRIVE_INTERVAL", "200ms")];
    let settings: Vec<_> = at_ease.into_iter().chain([("EMAIL_PROVIDER", binding.as_str()), SECRET]).collect();
    let mut server = ServerProcess::start(&settings).await;
    let mut ids = Vec::new();
    // One user's are made in order, so that the others wait behind the first.
    for _ in 0..20 {
        ids.push(server.create(&json!({"userId": "ada", "channel": "email", "template": "t"})).await);
    }
    receiver.wait_for(1).await;
    server.terminate();
    server.wait_for_log("stopping").await;
    receiver.release();
    assert!(server.ended().await.success(), "{}", server.logs());
    let before = receiver.requests().len();
    assert!(before < ids.len(), "nothing was left to be done");

    let again = server.restart().await;
    for id in &ids {
        again.wait_for(id, "Sent").await;
    }
    let mut delivered: Vec<String> = receiver.requests().iter().map(|r| r.header("webhook-id").unwrap().to_owned()).collect();
    delivered.sort();
    ids.sort();
    assert_eq!(delivered, ids, "each once: no attempt was cut off");
}

#[tokio::test]
async fn a_key_is_known_after_a_sigkill() {
    let mut server = ServerProcess::start(&[("KAFKA_BOOTSTRAP_SERVERS", "none")]).await;
    let body = json!({"userId": "ada", "channel": "push", "template": "t", "idempotencyKey": "once"});
    let id = server.create(&body).await;
    server.kill().await;
    let again = server.restart().await;
    let answer = again.post("/api/notifications", &body).await;
    assert_eq!(answer.status(), 200);
    let n: Value = answer.json().await.unwrap();
    assert_eq!(n["id"], id.as_str());
    assert_eq!(n["status"], "Sent");
    // The inbox is memory: what it holds now, this server would have sent.
    assert!(again.inbox("ada").await.is_empty());
}

#[tokio::test]
async fn sigkill_under_load_loses_nothing_that_was_accepted() {
    let mut server = ServerProcess::start(&BRISK).await;
    let client = reqwest::Client::new();
    let url: Arc<str> = format!("{}/api/notifications", server.url).into();
    let (answered, mut counted) = tokio::sync::mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for n in 0..16 {
        let (client, url, answered) = (client.clone(), Arc::clone(&url), answered.clone());
        clients.spawn(async move {
            let body = json!({"userId": format!("user-{n}"), "channel": "push", "template": "t"});
            // Until the server is gone.
            while let Ok(answer) = client.post(&*url).json(&body).send().await {
                if answer.status().is_success()
                    && let Ok(n) = answer.json::<Value>().await
                {
                    answered.send(n["id"].as_str().unwrap().to_owned()).unwrap();
                }
            }
        });
    }
    drop(answered);
    let mut ids = Vec::new();
    while ids.len() < 200 {
        ids.push(timeout(PATIENCE, counted.recv()).await.unwrap().unwrap());
    }
    server.kill().await;
    clients.join_all().await;
    while let Some(id) = counted.recv().await {
        ids.push(id);
    }

    let again = server.restart().await;
    let until = Instant::now() + PATIENCE;
    for id in &ids {
        loop {
            let n = again.notification(id).await;
            if n["status"] == "Sent" {
                break;
            }
            assert!(Instant::now() < until, "{n}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}
