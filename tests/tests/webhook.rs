//! The provider `webhook+http(s):` against a real socket: what it sends, and what it makes of every
//! answer and of every way not to answer.

#[cfg(test)]
mod webhook {
    use std::io::Write;
    use std::net::TcpStream;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};
    use serde_json::Value;
    use sha2::Sha256;
    use shared::channels::{Binding, Inbox, Limits, Message, Provider, Providers, Sent, Surroundings};
    use shared::clock::Clock;
    use shared::domain::attempt::Detail;
    use shared::domain::recipient::Email;
    use shared::domain::{Channel, ErrorCode, JsonObject, NotificationId, Recipient, Template, Tenant, Timestamp, UserId};
    use tests::receiver::{Receiver, Reply};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "0190a0b0-0000-7000-8000-000000000001";
    /// 1994-11-06T08:49:37Z, the instant of RFC 9110's example dates.
    const NOW: i64 = 784_111_777_000;
    /// For sends that are meant to be answered.
    const AMPLE: Duration = Duration::from_secs(20);
    /// For sends that are meant to run out of time.
    const SCARCE: Duration = Duration::from_millis(400);

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(NOW)
        }
    }

    fn bind(url: &str, send_timeout: Duration) -> Arc<dyn Provider> {
        let binding = Binding::parse(url, Some(SECRET)).unwrap();
        let surroundings =
            Surroundings { clock: Arc::new(Stopped), send_timeout, inbox: Arc::new(Inbox::new(Arc::new(Stopped))) };
        let providers = Providers::open(vec![(Channel::Email, binding)], &Limits::default(), &surroundings).unwrap();
        Arc::clone(providers.get(Channel::Email).unwrap())
    }

    fn message() -> Message {
        let data = r#"{"price":1.10,"order":12345678901234567890123,"name":"canary"}"#;
        Message {
            id: NotificationId::parse(ID).unwrap(),
            tenant: Tenant::default(),
            user_id: UserId::parse("canary-user").unwrap(),
            channel: Channel::Email,
            template: Template::parse("orders/shipped").unwrap(),
            data: Some(JsonObject::parse(&serde_json::value::RawValue::from_string(data.to_owned()).unwrap()).unwrap()),
            to: Some(Recipient::Email(Email::parse("canary@example.com").unwrap())),
            attempt: 1,
            at: Timestamp::from_millis(NOW + 123),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        }
    }

    /// One send to a receiver that replies so.
    async fn send_to(reply: Reply, send_timeout: Duration) -> (Sent, Receiver) {
        let receiver = Receiver::start().await.unwrap();
        receiver.then(reply);
        let sent = bind(&receiver.binding(), send_timeout).send(&message()).await;
        (sent, receiver)
    }

    fn http(status: u16) -> Option<Detail> {
        Some(Detail::cut(&format!("HTTP {status}")))
    }

    fn accepted(id: Option<&str>) -> Sent {
        Sent::Accepted { provider_message_id: id.map(str::to_owned) }
    }

    #[tokio::test]
    async fn a_request_is_signed_and_holds_the_notification() {
        let (sent, receiver) = send_to(Reply::json(200, r#"{"id":"m-7"}"#), AMPLE).await;
        assert_eq!(sent, accepted(Some("m-7")));
        let requests = receiver.requests();
        let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hook"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("webhook-id"), Some(ID));
        assert_eq!(request.header("webhook-timestamp"), Some("784111777"));
        assert_eq!(request.header("traceparent"), message().traceparent.as_deref());
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("accept-encoding"), None);

        let body = String::from_utf8(request.body.clone()).unwrap();
        let expected = concat!(
            r#"{"type":"notification.send","timestamp":"1994-11-06T08:49:37.123Z","data":{"#,
            r#""id":"0190a0b0-0000-7000-8000-000000000001","tenant":"default","userId":"canary-user","channel":"email","template":"orders/shipped","#,
            r#""data":{"price":1.10,"order":12345678901234567890123,"name":"canary"},"to":{"email":"canary@example.com"},"attempt":1}}"#
        );
        assert_eq!(body, expected);

        let signature = request.header("webhook-signature").and_then(|text| text.strip_prefix("v1,")).unwrap();
        let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{ID}.784111777.{body}").as_bytes());
        mac.verify_slice(&STANDARD.decode(signature).unwrap()).unwrap();
    }

    #[tokio::test]
    async fn every_attempt_has_the_same_id_and_its_own_number() {
        let receiver = Receiver::start().await.unwrap();
        receiver.then(Reply::status(503));
        let provider = bind(&receiver.binding(), AMPLE);
        assert!(provider.drops_repeats() && !provider.needs_recipient());
        for attempt in 1..=3 {
            provider.send(&Message { attempt, ..message() }).await;
        }
        let requests = receiver.requests();
        let ids: Vec<_> = requests.iter().map(|request| request.header("webhook-id").unwrap()).collect();
        assert_eq!(ids, [ID, ID, ID]);
        let number = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["data"]["attempt"].as_u64();
        let numbers: Vec<_> = requests.iter().map(|request| number(&request.body)).collect();
        assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    }

    /// The receiver takes what it reads, unless it says that it doesn't.
    #[tokio::test]
    async fn an_answer_says_whether_the_message_was_taken() {
        let receiver = Receiver::start().await.unwrap();
        let replies = [
            Reply::status(200),
            Reply::status(503),
            Reply::status(400),
            Reply::Cut,
            Reply::json(202, r#"{"id":"m-1"}"#),
            Reply::CutInAnswer { status: 200 },
            Reply::status(500),
            Reply::Silence,
        ];
        let all = replies.iter().cycle().take(4 * replies.len());
        all.for_each(|reply| receiver.then(reply.clone()));
        let takes =
            |nth: usize| !matches!(&replies[nth % replies.len()], Reply::Answer { status, .. } if !(200..300).contains(status));
        let taken = || {
            let requests = receiver.requests();
            let taken = requests.iter().enumerate().filter(|(nth, _)| takes(*nth));
            taken.map(|(_, request)| NotificationId::parse(request.header("webhook-id").unwrap()).unwrap()).collect()
        };
        let provider = bind(&receiver.binding(), SCARCE);
        let sends = 2 * u32::try_from(replies.len()).unwrap();
        tests::contract::provider::an_answer_says_whether_the_message_was_taken(&*provider, sends, AMPLE, taken).await;
    }

    #[tokio::test]
    async fn each_status_has_its_outcome() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(send_to(Reply::status(status), AMPLE).await.0, accepted(None), "{status}");
        }
        for (status, code) in [
            (401, ErrorCode::ProviderCredentials),
            (403, ErrorCode::ProviderCredentials),
            (407, ErrorCode::ProviderCredentials),
            (408, ErrorCode::ProviderUnavailable),
            (425, ErrorCode::ProviderUnavailable),
            (429, ErrorCode::ProviderUnavailable),
            (503, ErrorCode::ProviderUnavailable),
        ] {
            let expected = Sent::NotSent { code, detail: http(status), retry_after: None };
            assert_eq!(send_to(Reply::status(status), AMPLE).await.0, expected, "{status}");
        }
        for status in [300, 304, 400, 404, 405, 409, 410, 413, 422, 499] {
            let expected = Sent::Refused { code: ErrorCode::ProviderRefused, detail: http(status) };
            assert_eq!(send_to(Reply::status(status), AMPLE).await.0, expected, "{status}");
        }
        for status in [500, 501, 502, 504, 507, 599] {
            let expected = Sent::Unknown { code: ErrorCode::ProviderError, detail: http(status) };
            assert_eq!(send_to(Reply::status(status), AMPLE).await.0, expected, "{status}");
        }
    }

    #[tokio::test]
    async fn retry_after_is_read_as_seconds_and_as_a_date() {
        for (text, wait) in [
            ("7", Some(Duration::from_secs(7))),
            ("Sun, 06 Nov 1994 08:51:07 GMT", Some(Duration::from_secs(90))),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(Duration::ZERO)),
            ("in a while", None),
        ] {
            for status in [401, 429, 503] {
                match send_to(Reply::with_header(status, "retry-after", text), AMPLE).await.0 {
                    Sent::NotSent { retry_after, .. } => assert_eq!(retry_after, wait, "{status} {text}"),
                    other @ (Sent::Accepted { .. } | Sent::Refused { .. } | Sent::Unknown { .. }) => panic!("{other:?}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn a_redirect_is_refused_and_not_followed() {
        for status in [301, 302, 303, 307, 308] {
            let (sent, receiver) = send_to(Reply::with_header(status, "location", "/elsewhere"), AMPLE).await;
            assert_eq!(sent, Sent::Refused { code: ErrorCode::ProviderRefused, detail: http(status) });
            assert_eq!(receiver.requests().len(), 1, "{status}");
        }
    }

    #[tokio::test]
    async fn without_a_connection_nothing_was_sent() {
        // A port that was free a moment ago.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sent = bind(&format!("webhook+http://{closed}/"), AMPLE).send(&message()).await;
        let detail = Some(Detail::cut("connection refused"));
        assert_eq!(sent, Sent::NotSent { code: ErrorCode::ConnectionFailed, detail, retry_after: None });

        let sent = bind("webhook+http://no-such-host.invalid/", AMPLE).send(&message()).await;
        assert!(matches!(sent, Sent::NotSent { code: ErrorCode::ConnectionFailed, .. }), "{sent:?}");
    }

    #[tokio::test]
    async fn without_tls_nothing_was_sent() {
        for (reply, detail) in [(Reply::Babble, "TLS handshake failed"), (Reply::CutAtOnce, "unexpected end of file")] {
            let receiver = Receiver::start().await.unwrap();
            receiver.then(reply);
            let sent = bind(&format!("webhook+https://{}/", receiver.address()), AMPLE).send(&message()).await;
            let detail = Some(Detail::cut(detail));
            assert_eq!(sent, Sent::NotSent { code: ErrorCode::ConnectionFailed, detail, retry_after: None });
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_not_made_in_time_sent_nothing() {
        // Linux lets a full backlog's connections wait: fill one that nobody accepts from.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            waiting.push(stream);
        }
        let sent = bind(&format!("webhook+http://{address}/"), SCARCE).send(&message()).await;
        let detail = Some(Detail::cut("no connection in time"));
        assert_eq!(sent, Sent::NotSent { code: ErrorCode::ConnectionFailed, detail, retry_after: None });
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_is_unknown_within_the_send_timeout() {
        let began = tokio::time::Instant::now();
        let (sent, receiver) = send_to(Reply::Silence, SCARCE).await;
        assert_eq!(sent, Sent::Unknown { code: ErrorCode::Timeout, detail: None });
        assert!(began.elapsed() >= SCARCE / 2);
        assert_eq!(receiver.requests().len(), 1);
    }

    #[tokio::test]
    async fn the_status_counts_though_its_answer_breaks_off_or_never_ends() {
        assert_eq!(send_to(Reply::CutInAnswer { status: 202 }, AMPLE).await.0, accepted(None));
        assert_eq!(send_to(Reply::SilenceInAnswer { status: 200 }, SCARCE).await.0, accepted(None));
        let expected = Sent::Refused { code: ErrorCode::ProviderRefused, detail: http(422) };
        assert_eq!(send_to(Reply::CutInAnswer { status: 422 }, AMPLE).await.0, expected);
        // Nobody waits for the rest of one that says no: with ample time this test would take that long.
        let began = tokio::time::Instant::now();
        assert_eq!(send_to(Reply::SilenceInAnswer { status: 422 }, AMPLE).await.0, expected);
        assert!(began.elapsed() < AMPLE / 2);
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_request_is_unknown() {
        for reply in [Reply::Cut, Reply::CutAtOnce] {
            let (sent, _receiver) = send_to(reply.clone(), AMPLE).await;
            assert!(matches!(sent, Sent::Unknown { code: ErrorCode::ConnectionLost, .. }), "{reply:?}: {sent:?}");
        }
    }

    #[tokio::test]
    async fn no_request_is_repeated_behind_the_callers_back() {
        let receiver = Receiver::start().await.unwrap();
        let provider = bind(&receiver.binding(), AMPLE);
        assert_eq!(provider.send(&message()).await, accepted(None));
        // By the connection that served the first, which a client may be tempted to call stale.
        receiver.then(Reply::Cut);
        let sent = provider.send(&message()).await;
        assert!(matches!(sent, Sent::Unknown { code: ErrorCode::ConnectionLost, .. }), "{sent:?}");
        let connections: Vec<_> = receiver.requests().iter().map(|request| request.connection).collect();
        assert_eq!(connections, [1, 1]);
        // And by the next connection it goes on.
        assert_eq!(provider.send(&message()).await, accepted(None));
        assert_eq!(receiver.connections(), 2);
    }

    #[tokio::test]
    async fn connections_are_used_again_whatever_was_answered() {
        let receiver = Receiver::start().await.unwrap();
        let provider = bind(&receiver.binding(), AMPLE);
        // Also where the body is one that nobody reads.
        let body = " ".repeat(60_000);
        for status in [200, 400, 429, 500, 302, 201] {
            receiver.then(Reply::json(status, &body));
        }
        for _ in 0..6 {
            provider.send(&message()).await;
        }
        assert_eq!((receiver.requests().len(), receiver.connections()), (6, 1));
    }

    #[tokio::test]
    async fn a_long_answer_is_read_to_its_bound_and_its_status_counts() {
        let frame = r#"{"pad":"","id":9}"#.len();
        let fits = format!(r#"{{"pad":"{}","id":9}}"#, "x".repeat(64 * 1024 - frame));
        assert_eq!(send_to(Reply::json(200, &fits), AMPLE).await.0, accepted(Some("9")));
        assert_eq!(send_to(Reply::json(200, &format!("{fits} ")), AMPLE).await.0, accepted(None));
        let ten_megabytes = format!(r#"{{"id":"m","pad":"{}"}}"#, "x".repeat(10_000_000));
        assert_eq!(send_to(Reply::json(201, &ten_megabytes), AMPLE).await.0, accepted(None));
        // One without an end is hung up on.
        let (sent, receiver) = send_to(Reply::Endless { status: 429 }, AMPLE).await;
        let expected = Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail: http(429), retry_after: None };
        assert_eq!(sent, expected);
        receiver.wait_for_hang_ups(1).await;
    }

    #[tokio::test]
    async fn a_user_in_the_url_becomes_basic_authorization() {
        let receiver = Receiver::start().await.unwrap();
        let url = format!("webhook+http://us%40er:p%3Aw@{}/a%20b?token=t", receiver.address());
        assert_eq!(bind(&url, AMPLE).send(&message()).await, accepted(None));
        let requests = receiver.requests();
        let expected = format!("Basic {}", STANDARD.encode("us@er:p:w"));
        assert_eq!(requests[0].header("authorization"), Some(expected.as_str()));
        assert_eq!(requests[0].target, "/a%20b?token=t");
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// In a process of its own: what a library logs is decided once for all threads, and a test beside it that
    /// listens to nothing may decide it.
    #[test]
    fn no_log_at_any_level_holds_address_data_or_url() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", "webhook::three_sends_are_logged", "--ignored"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[tokio::test]
    #[ignore = "run by the test above, in a process of its own"]
    async fn three_sends_are_logged() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
        let receiver = Receiver::start().await.unwrap();
        receiver.then(Reply::json(200, r#"{"id":"canary"}"#));
        receiver.then(Reply::json(400, r#"{"error":"no canary"}"#));
        receiver.then(Reply::Cut);
        let provider = bind(&format!("webhook+http://canary:canary@{}/canary?canary", receiver.address()), AMPLE);
        for _ in 0..3 {
            let sent = provider.send(&message()).await;
            let told = match &sent {
                Sent::Accepted { .. } => None,
                Sent::Refused { detail, .. } | Sent::NotSent { detail, .. } | Sent::Unknown { detail, .. } => detail.as_ref(),
            };
            assert!(told.is_none_or(|detail| !detail.as_str().contains("canary")), "{told:?}");
        }
        drop(guard);
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        // The libraries did log, or this test would prove nothing.
        assert!(logged.contains("hyper"), "{logged}");
        assert!(!logged.contains("canary"), "{logged}");
    }
}
