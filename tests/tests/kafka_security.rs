//! The real server on an Apache Kafka that asks who comes. One test for all, because the broker takes
//! seconds to start; each part says what it is. Run by `.ci/real-parts`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here fails its test")]

use std::time::Duration;

use serde_json::{Value, json};
use tests::apart::Apart;
use tests::function_process::{FunctionProcess, PLENTY};
use tests::secure_kafka::{PASSWORD, STRANGER, SecureKafka, USER};
use tests::server_process::{ServerProcess, run};
use tests::surroundings::create_topic;
use tokio::time::{Instant, sleep};

type Settings = Vec<(&'static str, String)>;

fn scram(kafka: &SecureKafka, user: &str, password: &str) -> Settings {
    vec![
        ("KAFKA_BOOTSTRAP_SERVERS", kafka.scram.clone()),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL".to_owned()),
        ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512".to_owned()),
        ("KAFKA_SASL_USERNAME", user.to_owned()),
        ("KAFKA_SASL_PASSWORD", password.to_owned()),
        ("KAFKA_CA_PEM_FILE", kafka.file("trusted.pem", &kafka.ca).display().to_string()),
    ]
}

fn mtls(kafka: &SecureKafka) -> Settings {
    vec![
        ("KAFKA_BOOTSTRAP_SERVERS", kafka.mtls.clone()),
        ("KAFKA_SECURITY_PROTOCOL", "SSL".to_owned()),
        ("KAFKA_CA_PEM", kafka.ca.clone()),
        ("KAFKA_CERTIFICATE_PEM", kafka.certificate.clone()),
        ("KAFKA_KEY_PEM_FILE", kafka.file("user.key", &kafka.key).display().to_string()),
    ]
}

fn iam(kafka: &SecureKafka, access_key: &str) -> Settings {
    vec![
        ("KAFKA_BOOTSTRAP_SERVERS", kafka.tokens.clone()),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL".to_owned()),
        ("KAFKA_SASL_MECHANISM", "AWS_MSK_IAM".to_owned()),
        ("KAFKA_CA_PEM", kafka.ca.clone()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", access_key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "canary-secret".to_owned()),
    ]
}

/// The embedded store, and this Kafka.
async fn start(security: &Settings, topic: &str, patience: &str) -> ServerProcess {
    let mut settings: Vec<(&str, &str)> = security.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.extend([("KAFKA_TOPIC", topic), ("KAFKA_GROUP_ID", topic), ("KAFKA_PRODUCE_TIMEOUT", patience)]);
    ServerProcess::start_with(&settings).await
}

fn request() -> Value {
    json!({"userId": "ada", "channel": "email", "template": "welcome"})
}

/// Let in: an event goes out and comes back, and no fall-back did the work.
async fn delivers(security: &Settings, topic: &str) {
    // A small machine may need more than the default second for a handshake.
    let mut server = start(security, topic, "10s").await;
    let ready = server.wait_until_ready_says(|status, ready| status == 200 && ready["mode"] == "async").await;
    assert_eq!(ready["status"], "ready", "{ready}");
    let answer = server.post("/api/notifications", &request()).await;
    assert_eq!(answer.status().as_u16(), 202, "taken by kafka, not processed at once");
    let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    // Redrive would come to it too, but not before DUE_GUARD: 30 s.
    server.wait_for(&id, "Sent").await;
    server.wait_for_log("events are read").await;
    assert!(server.stop().await.success());
    assert!(!server.logs().contains("canary"), "{}", server.logs());
}

/// Refused: create answers all the same, and readiness and log name the reason.
async fn is_told(security: &Settings, topic: &str, reason: &str) {
    let mut server = start(security, topic, "2s").await;
    let answer = server.post("/api/notifications", &request()).await;
    assert_eq!(answer.status().as_u16(), 201, "processed at once");
    let ready = server.wait_until_ready_says(|_, ready| ready["reason"].as_str().is_some_and(|said| said.contains(reason))).await;
    assert_eq!((&ready["status"], &ready["mode"]), (&json!("ready"), &json!("sync")), "{ready}");
    server.wait_for_log("kafka refuses").await;
    server.wait_for_log(reason).await;
    assert!(server.stop().await.success());
    assert!(!server.logs().contains("canary"), "{}", server.logs());
    is_said_once(&server, reason);
}

/// As an error, by the producer and by the event source at most once each.
fn is_said_once(server: &ServerProcess, reason: &str) {
    let logs = server.logs();
    let errors = logs.lines().filter(|line| line.contains("\"level\":\"ERROR\"") && line.contains(reason));
    let (mine, others): (Vec<_>, Vec<_>) = errors.partition(|line| line.contains("server::event_source"));
    assert!(mine.len() <= 1 && others.len() <= 1, "{reason} is told again and again: {logs}");
    assert!(!mine.is_empty() || !others.is_empty(), "{reason} is told as no error: {logs}");
}

/// It may write, and not read or not join the group: the log names the reason, create goes on by Kafka, and redrive
/// sends what nobody reads. Once it may read, it does, and says so.
async fn reads_nothing(kafka: &SecureKafka, security: &Settings, topic: &str, reason: &str) {
    let impatient = [security.clone(), vec![("DUE_GUARD", "1s".to_owned())]].concat();
    let mut server = start(&impatient, topic, "10s").await;
    server.wait_until_ready_says(|status, ready| status == 200 && ready["mode"] == "async").await;
    let answer = server.post("/api/notifications", &request()).await;
    assert_eq!(answer.status().as_u16(), 202, "taken by kafka");
    let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.wait_for_log("kafka refuses us").await;
    server.wait_for_log(reason).await;
    let told = |ready: &Value| ready["checks"]["kafka"]["reason"].as_str().is_some_and(|said| said.contains(reason));
    let ready = server.wait_until_ready_says(|status, ready| status == 200 && told(ready)).await;
    assert_eq!((&ready["mode"], &ready["checks"]["kafka"]["status"]), (&json!("async"), &json!("down")), "{ready}");
    server.wait_for(&id, "Sent").await;
    kafka.allow(topic, "READ", "READ,DESCRIBE");
    server.wait_until_ready_says(|_, ready| ready["checks"]["kafka"]["status"] == "up").await;
    server.wait_for_log("events are read").await;
    assert!(server.stop().await.success());
    is_said_once(&server, reason);
}

/// Sessions end after 10 s at this listener: the clients prove again who they are, and nobody notices.
async fn stays_let_in(kafka: &SecureKafka, topic: &str) {
    let mut server = start(&iam(kafka, "AKIATEST"), topic, "10s").await;
    server.wait_until_ready_says(|status, ready| status == 200 && ready["mode"] == "async").await;
    server.wait_for_log("events are read").await;
    let (taken, until) = (kafka.tokens_taken(), Instant::now() + Duration::from_secs(60));
    // Producer and consumer, and one of them once more.
    while kafka.tokens_taken() < taken + 3 {
        assert!(Instant::now() < until, "{} tokens are shown", kafka.tokens_taken() - taken);
        sleep(Duration::from_millis(100)).await;
    }
    let answer = server.post("/api/notifications", &request()).await;
    assert_eq!(answer.status().as_u16(), 202, "taken by kafka");
    let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.wait_for(&id, "Sent").await;
    assert!(server.stop().await.success());
    let logs = server.logs();
    assert!(!logs.contains("kafka is away") && !logs.contains("kafka refuses"), "{logs}");
}

/// The functions' own binaries: the events of create and of redrive are in the topic.
async fn functions_produce(kafka: &SecureKafka, security: &Settings, topic: &str) {
    let apart = Apart::start().await;
    let with = |due_guard: &'static str| {
        let more = [("KAFKA_TOPIC", topic), ("KAFKA_PRODUCE_TIMEOUT", "10s"), ("STORE_TIMEOUT", "15s"), ("DUE_GUARD", due_guard)];
        security.iter().map(|(name, value)| (*name, value.as_str())).chain(more).collect::<Vec<_>>()
    };
    let create = FunctionProcess::start("create", &apart.with(&with("1ms"))).await;
    let answer = create.http("POST", "/api/notifications", "", Some(&request())).await;
    assert_eq!(answer.status, 202, "{}\n{}", answer.body, create.logs());
    let id = answer.body["id"].as_str().unwrap();
    assert_eq!(kafka.events(topic, 1), [id]);
    // It is due already, and is not to come to the same one twice.
    let redrive = FunctionProcess::start("redrive", &apart.with(&with("1h"))).await;
    let report = redrive.invoke(&json!({}), PLENTY).await.unwrap();
    assert_eq!(report["published"], 1, "{report}\n{}", redrive.logs());
    assert_eq!(kafka.events(topic, 2), [id, id]);
    for logs in [create.logs(), redrive.logs()] {
        assert!(!logs.contains("canary"), "{logs}");
    }
}

async fn create_topics(security: &Settings, topic: &str) -> (Option<i32>, String) {
    let mut settings: Vec<(&str, &str)> = security.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.extend([
        ("KAFKA_TOPIC", topic),
        ("KAFKA_TOPIC_REPLICATION", "1"),
        ("KAFKA_TOPIC_PARTITIONS", "3"),
        ("KAFKA_TOPIC_RETENTION", "1d"),
    ]);
    let output = run(&["create-topics"], &settings).await;
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka: run by .ci/real-parts"]
async fn a_kafka_that_asks_who_comes_is_served_or_told_apart_from_an_outage() {
    let kafka = SecureKafka::start();
    kafka.topic("events").await;
    let good = scram(&kafka, USER, PASSWORD);

    delivers(&good, "events").await;
    delivers(&mtls(&kafka), "events").await;
    delivers(&iam(&kafka, "AKIATEST"), "events").await;

    is_told(&scram(&kafka, USER, "canary-wrong"), "events", "Authentication").await;
    is_told(&iam(&kafka, "AKIASTRANGER"), "events", "Authentication").await;
    // Who may write nowhere is turned away before its topic is looked at.
    is_told(&scram(&kafka, STRANGER, PASSWORD), "events", "kafka-cluster:WriteDataIdempotently").await;
    create_topic(&kafka.open, "others").await;
    is_told(&good, "others", "Topic authorization failed): WRITE on the topic").await;
    is_told(&mtls(&kafka).into_iter().filter(|(name, _)| *name != "KAFKA_CA_PEM").collect(), "events", "SSL").await;
    let missing: Settings = vec![("KAFKA_BOOTSTRAP_SERVERS", kafka.open.clone())];
    is_told(&missing, "nowhere", "Unknown topic or partition").await;
    // This cluster makes a topic for whoever asks for it, unless they say that they don't want it.
    assert!(!kafka.has("nowhere"));

    kafka.topic_for("unread", "WRITE", "READ").await;
    reads_nothing(&kafka, &good, "unread", "READ on the topic (IAM: kafka-cluster:ReadData").await;
    kafka.topic_for("ungrouped", "WRITE,READ", "DESCRIBE").await;
    reads_nothing(&kafka, &good, "ungrouped", "READ on the group (IAM: kafka-cluster:AlterGroup").await;
    stays_let_in(&kafka, "events").await;
    for (security, topic) in [(&good, "by-scram"), (&mtls(&kafka), "by-mtls"), (&iam(&kafka, "AKIATEST"), "by-iam")] {
        kafka.topic(topic).await;
        functions_produce(&kafka, security, topic).await;
    }

    let open: Settings = vec![("KAFKA_BOOTSTRAP_SERVERS", kafka.open.clone())];
    let (code, said) = create_topics(&open, "made").await;
    assert_eq!((code, said.contains("the topic is made")), (Some(0), true), "{said}");
    assert_eq!(kafka.made("made").await, (3, "86400000".to_owned(), "1".to_owned()));
    let (code, said) = create_topics(&open, "made").await;
    assert_eq!((code, said.contains("left as it is")), (Some(0), true), "{said}");
    let (code, said) = create_topics(&good, "forbidden").await;
    assert_eq!((code, said.contains("authorization failed")), (Some(1), true), "{said}");
    delivers(&missing, "made").await;
    kafka.allow("made-by-token", "CREATE,DESCRIBE", "READ");
    let (code, said) = create_topics(&iam(&kafka, "AKIATEST"), "made-by-token").await;
    assert_eq!((code, said.contains("the topic is made")), (Some(0), true), "{said}");
    let (code, said) = create_topics(&iam(&kafka, "AKIATEST"), "forbidden").await;
    assert_eq!((code, said.contains("authorization failed")), (Some(1), true), "{said}");
}

/// A token is good for a quarter of an hour, which is not ours to shorten; this listener asks for it every ten seconds,
/// and takes none that has ended.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes longer than a token: .ci/real-parts cargo test --workspace --test kafka_security -- --ignored longer_than"]
async fn who_stays_longer_than_a_token_shows_another_one_in_time() {
    let kafka = SecureKafka::start();
    kafka.topic("events").await;
    let mut server = start(&iam(&kafka, "AKIATEST"), "events", "10s").await;
    server.wait_until_ready_says(|status, ready| status == 200 && ready["mode"] == "async").await;
    server.wait_for_log("events are read").await;
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_mins(16) {
        let answer = server.post("/api/notifications", &request()).await;
        assert_eq!(answer.status().as_u16(), 202, "taken by kafka after {:?}: {}", begun.elapsed(), server.logs());
        let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        server.wait_for(&id, "Sent").await;
        sent += 1;
        sleep(Duration::from_secs(2)).await;
    }
    assert!(server.stop().await.success());
    let logs = server.logs();
    assert!(!logs.contains("kafka is away") && !logs.contains("kafka refuses"), "{logs}");
    let taken = kafka.tokens_taken();
    assert!(taken > 100, "the listener asked for one {taken} times only");
    println!("{sent} notifications sent in {:?}, {taken} tokens shown and taken", begun.elapsed());
}
