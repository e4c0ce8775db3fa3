//! A provider that is slow, or that fails again and again, as a real server meets it.

use std::time::Duration;

use serde_json::{Value, json};
use tests::instant::from_now;
use tests::receiver::{Receiver, Reply};
use tests::server_process::ServerProcess;
use tokio::time::Instant;

const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
/// So that what was put off is looked at soon.
const BRISK: [(&str, &str); 4] =
    [("CLOCK_SKEW", "0s"), ("DUE_GUARD", "500ms"), ("REDRIVE_INTERVAL", "100ms"), ("RETRY_BASE", "100ms")];

async fn create(server: &ServerProcess, channel: &str, user: &str) -> String {
    server.create(&json!({"userId": user, "channel": channel, "template": "t"})).await
}

#[tokio::test]
async fn an_email_provider_that_does_not_answer_holds_up_no_sms_and_claims_no_more_than_it_has_room_for() {
    let (email, sms) = tokio::join!(Receiver::start(), Receiver::start());
    let (email, sms) = (email.unwrap(), sms.unwrap());
    for _ in 0..1_000 {
        email.then(Reply::Held { status: 200 });
    }
    let (email_binding, sms_binding) = (email.binding(), sms.binding());
    let settings = [("EMAIL_PROVIDER", email_binding.as_str()), ("SMS_PROVIDER", sms_binding.as_str()), SECRET];
    let bounds = [
        ("KAFKA_PRODUCE_TIMEOUT", "10s"),
        ("EMAIL_CONCURRENCY", "4"),
        ("PROVIDER_FAILURES", "1000000"),
        ("SEND_TIMEOUT", "2s"),
        ("DUE_GUARD", "5s"),
    ];
    let server = ServerProcess::start(&[&settings[..], &bounds[..]].concat()).await;
    let (from, mut slow) = (Instant::now(), Vec::new());
    // Lined up by the provider's pace of two a second, the last of them has its turn long before patience ends.
    for n in 0..40 {
        slow.push(create(&server, "email", &format!("user-{n}")).await);
    }
    email.wait_for(4).await;
    for n in 0..20 {
        let begun = Instant::now();
        let id = create(&server, "sms", &format!("user-{n}")).await;
        server.wait_for(&id, "Sent").await;
        // A batch waits 2 s for room, and 2 s for what it began. Two may be before this one.
        assert!(begun.elapsed() < Duration::from_secs(2 * 4 + 6), "SMS {n} took {:?}", begun.elapsed());
    }
    assert_eq!(sms.requests().len(), 20);
    let mut begun = 0;
    for id in &slow {
        let n = server.notification(id).await;
        begun += usize::from(n["status"] == "Processing") + n["attempts"].as_array().unwrap().len();
    }
    // Four may have been claimed and not asked yet. How many had their turn so far is the machine's affair.
    let asked = email.requests().len();
    // Each of the four places is taken for SEND_TIMEOUT.
    let turns = from.elapsed().as_secs() / 2 + 1;
    assert!(u64::try_from(asked).unwrap() <= 4 * turns, "{asked} requests in {turns} turns");
    assert!(begun <= asked + 4, "{begun} attempts for {asked} requests");
    let behind = said_of_whom(&server.logs(), "the provider is too slow for what is due");
    assert!(!behind.is_empty() && behind.iter().all(|line| line["bound"] == 4), "{}", server.logs());
    email.release();
    for id in &slow {
        server.wait_for(id, "Sent").await;
    }
}

/// Each line that says so names the channel and the provider.
fn said_of_whom(logs: &str, what: &str) -> Vec<Value> {
    let lines = logs.lines().filter(|line| line.contains(what)).map(|line| serde_json::from_str(line).unwrap());
    let said: Vec<Value> = lines.collect();
    for line in &said {
        assert_eq!((&line["channel"], &line["provider"]), (&json!("email"), &json!("webhook")), "{line}");
    }
    said
}

#[tokio::test]
async fn a_provider_that_fails_again_and_again_is_left_alone_until_one_attempt_finds_it_well() {
    for kafka in [None, Some(("KAFKA_BOOTSTRAP_SERVERS", "none"))] {
        let receiver = Receiver::start().await.unwrap();
        // Three in a row, and two tries.
        for _ in 0..5 {
            receiver.then(Reply::status(503));
        }
        let binding = receiver.binding();
        let endurance =
            [("PROVIDER_FAILURES", "3"), ("PROVIDER_PAUSE", "6s"), ("PROVIDER_PAUSE_CAP", "6s"), ("LOG_FORMAT", "json")];
        let settings = [("EMAIL_PROVIDER", binding.as_str()), SECRET];
        let settings: Vec<_> = settings.into_iter().chain(endurance).chain(BRISK).chain(kafka).collect();
        let mut server = ServerProcess::start(&settings).await;
        let now = from_now(Duration::ZERO);
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(create(&server, "email", &format!("user-{n}")).await);
        }
        let said = server.wait_until_ready_says(|_, body| body["checks"]["providers"]["email"]["status"] == "left-alone").await;
        assert_eq!(said["status"], "ready", "{said}");
        assert_eq!(said["checks"]["providers"]["email"]["provider"], "webhook");
        assert!(said["checks"]["providers"]["email"]["until"].as_str().unwrap() > now.as_str(), "{said}");
        assert_eq!(said["checks"]["providers"]["sms"], json!({"provider": "dev", "status": "up"}));

        for n in 0..5 {
            let body = json!({"userId": format!("late-{n}"), "channel": "email", "template": "t"});
            let answer = server.post("/api/notifications", &body).await;
            assert_eq!(answer.status(), 202);
            let n: Value = answer.json().await.unwrap();
            assert_eq!((&n["status"], &n["attempts"], &n["retryCount"]), (&json!("Pending"), &json!([]), &json!(0)));
            ids.push(n["id"].as_str().unwrap().to_owned());
        }
        let sms = create(&server, "sms", "ada").await;
        server.wait_for(&sms, "Sent").await;
        // Redrive has looked at each of them several times by the first try.
        receiver.wait_for(4).await;
        assert_eq!(receiver.requests().len(), 4, "one try at a time");
        let mut attempts = 0;
        for id in &ids {
            let n = server.notification(id).await;
            attempts += n["attempts"].as_array().unwrap().len() + usize::from(n["status"] == "Processing");
        }
        assert_eq!(attempts, 4, "no other attempt is counted");

        for id in &ids {
            server.wait_for(id, "Sent").await;
        }
        assert_eq!(receiver.requests().len(), 5 + ids.len(), "each of them once more, and nothing besides");
        let said = server.json("/health/ready").await;
        assert_eq!(said["checks"]["providers"]["email"], json!({"provider": "webhook", "status": "up"}));
        assert!(server.stop().await.success());
        let logs = server.logs();
        for what in ["the provider fails again and again", "the provider takes messages again"] {
            let said = said_of_whom(&logs, what);
            assert_eq!(said.len(), 1, "{logs}");
            let time = said[0].get("pause_ms").or(said[0].get("left_alone_ms"));
            assert!(time.is_some_and(Value::is_u64), "{said:?}");
        }
        // For each attempt its line, and one where its request was answered: none for having to wait.
        let of_late = |line: &&str| ids.iter().skip(3).any(|id| line.contains(id.as_str()));
        let warned = logs.lines().filter(of_late).filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
        assert_eq!(warned, 0, "{logs}");
    }
}
