//! A receiver of webhooks behind TLS, with a certificate of a private authority, which the server is told of
//! as any program is: by `SSL_CERT_FILE`. Where it can't trust the certificate, nothing is sent.

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::receiver::Receiver;
use tests::server_process::{ServerProcess, run};
use tests::tls::{Authority, Identity, TlsDoor, Validity};

const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
const AT_ONCE: (&str, &str) = ("KAFKA_BOOTSTRAP_SERVERS", "none");
const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// One notification to a receiver with this certificate, at `host`: as its first attempt left it, and what
/// the receiver got.
async fn sent_to(host: &str, identity: Identity, trusted: Option<&Authority>) -> (Value, Receiver) {
    let receiver = Receiver::start().await.unwrap();
    let door = TlsDoor::before(receiver.address(), identity).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("authorities.pem").to_str().unwrap().to_owned();
    let binding = format!("webhook+https://{host}:{}/hook", door.port());
    let mut settings = vec![AT_ONCE, SECRET, ("PUSH_PROVIDER", &binding)];
    if let Some(authority) = trusted {
        std::fs::write(&file, authority.pem()).unwrap();
        settings.push(("SSL_CERT_FILE", &file));
    }
    let server = ServerProcess::start(&settings).await;
    let id = server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    (server.wait_for_attempts(&id, 1).await, receiver)
}

fn assert_not_sent(n: &Value, receiver: &Receiver) {
    assert_eq!(n["status"], "Retrying", "{n}");
    let attempt = &n["attempts"][0];
    assert_eq!((&attempt["outcome"], &attempt["code"]), (&json!("not-sent"), &json!("connection-failed")), "{n}");
    assert_eq!(attempt["detail"], "TLS handshake failed", "{n}");
    assert!(receiver.requests().is_empty(), "{:?}", receiver.requests());
}

#[tokio::test]
async fn a_receiver_whose_authority_is_trusted_gets_the_message() {
    let authority = Authority::new();
    for host in HERE {
        let (n, receiver) = sent_to(host, authority.identity(&HERE, Validity::Now), Some(&authority)).await;
        assert_eq!(n["status"], "Sent", "{n}");
        let requests = receiver.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].header("webhook-id"), n["id"].as_str());
        assert!(requests[0].header("host").unwrap().starts_with(host), "{requests:?}");
    }
}

#[tokio::test]
async fn a_receiver_whose_authority_nobody_knows_gets_nothing() {
    let authority = Authority::new();
    let (n, receiver) = sent_to("localhost", authority.identity(&HERE, Validity::Now), None).await;
    assert_not_sent(&n, &receiver);
    let another = Authority::new();
    let (n, receiver) = sent_to("localhost", authority.identity(&HERE, Validity::Now), Some(&another)).await;
    assert_not_sent(&n, &receiver);
}

#[tokio::test]
async fn a_receiver_whose_certificate_is_out_of_date_gets_nothing() {
    let authority = Authority::new();
    let (n, receiver) = sent_to("localhost", authority.identity(&HERE, Validity::Over), Some(&authority)).await;
    assert_not_sent(&n, &receiver);
}

#[tokio::test]
async fn a_receiver_with_the_certificate_of_another_name_gets_nothing() {
    let authority = Authority::new();
    for host in HERE {
        let elsewhere = authority.identity(&["elsewhere.example.com", "127.0.0.2"], Validity::Now);
        let (n, receiver) = sent_to(host, elsewhere, Some(&authority)).await;
        assert_not_sent(&n, &receiver);
    }
}

#[tokio::test]
async fn a_file_without_any_certificate_is_an_error_at_start() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    for file in [empty.to_str().unwrap(), "/no/such/file"] {
        let settings = [AT_ONCE, SECRET, ("PUSH_PROVIDER", "webhook+https://localhost/hook"), ("SSL_CERT_FILE", file)];
        let output = run(&[], &settings).await;
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("certificate"), "{said}");
    }
}
