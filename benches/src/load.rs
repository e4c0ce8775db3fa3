//! The load: clients that each wait for their answer before they ask again, on connections that stay open. As
//! little HTTP/1.1 as that takes, so that the clients leave the machine to what they measure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use shared::random::{Random, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Creates that never repeat an idempotency key, by a thousand users.
#[derive(Debug)]
pub struct Requests {
    run: String,
    next: AtomicU64,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    host: SocketAddr,
    unread: Vec<u8>,
}

/// Clients of one server.
#[derive(Debug)]
pub struct Crowd {
    clients: Vec<Client>,
}

/// What a crowd saw.
#[derive(Debug)]
pub struct Round {
    /// The quickest first.
    latencies: Vec<Duration>,
    elapsed: Duration,
    answers: Vec<Answer>,
}

impl Requests {
    #[must_use]
    pub fn new() -> Arc<Self> {
        let random: &dyn Random = &SystemRandom;
        Arc::new(Self { run: random.uuid().to_string(), next: AtomicU64::new(0) })
    }

    fn body(&self) -> String {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let user = n % 1000;
        let body = json!({
            "userId": format!("user-{user}"),
            "channel": "email",
            "template": "orders/shipped",
            "to": {"email": format!("user-{user}@example.com")},
            "data": {"name": "Ada Lovelace", "order": {"number": n, "total": 129.9, "items": ["a lamp", "two chairs"]}},
            "idempotencyKey": format!("{}-{n}", self.run),
        });
        body.to_string()
    }
}

impl Client {
    pub async fn connect(host: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, unread: Vec::with_capacity(4096) })
    }

    pub async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.exchange(&request).await
    }

    pub async fn create(&mut self, body: &str) -> anyhow::Result<Answer> {
        let request = self.create_request(body);
        self.exchange(&request).await
    }

    fn create_request(&self, body: &str) -> String {
        let (host, length) = (self.host, body.len());
        let head = format!("POST /api/notifications HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n");
        format!("{head}content-length: {length}\r\n\r\n{body}")
    }

    async fn exchange(&mut self, request: &str) -> anyhow::Result<Answer> {
        self.stream.write_all(request.as_bytes()).await?;
        let (status, head, length) = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = std::str::from_utf8(self.unread.get(..end).unwrap_or_default())?;
                break (status(head)?, end + 4, content_length(head)?);
            }
            self.read_on().await?;
        };
        while self.unread.len() < head + length {
            self.read_on().await?;
        }
        let body = self.unread.drain(..head + length).skip(head).collect();
        Ok(Answer { status, body })
    }

    async fn read_on(&mut self) -> anyhow::Result<()> {
        ensure!(self.stream.read_buf(&mut self.unread).await? > 0, "the server hung up");
        Ok(())
    }
}

fn status(head: &str) -> anyhow::Result<u16> {
    Ok(head.split(' ').nth(1).context("no status")?.parse()?)
}

fn content_length(head: &str) -> anyhow::Result<usize> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length")).context("no content-length")?;
    Ok(length.trim().parse()?)
}

impl Answer {
    /// Of a notification.
    pub fn id(&self) -> anyhow::Result<String> {
        Ok(self.json()?.get("id").and_then(|id| id.as_str()).context("an answer without an id")?.to_owned())
    }

    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Crowd {
    pub async fn connect(host: SocketAddr, clients: u32) -> anyhow::Result<Self> {
        let clients = (0..clients).map(|_| Client::connect(host));
        Ok(Self { clients: futures::future::try_join_all(clients).await? })
    }

    /// So many creates, each answered with `expected`.
    pub async fn round(&mut self, creates: u64, requests: &Arc<Requests>, expected: u16) -> anyhow::Result<Round> {
        let left = Arc::new(AtomicU64::new(creates));
        let mut tasks = JoinSet::new();
        let begun = Instant::now();
        for client in self.clients.drain(..) {
            tasks.spawn(one_by_one(client, Arc::clone(&left), Arc::clone(requests), expected));
        }
        let mut round = Round { latencies: Vec::new(), elapsed: Duration::ZERO, answers: Vec::new() };
        while let Some(ended) = tasks.join_next().await {
            let (client, answers) = ended??;
            round.elapsed = begun.elapsed();
            self.clients.push(client);
            for (latency, answer) in answers {
                round.latencies.push(latency);
                round.answers.push(answer);
            }
        }
        round.latencies.sort_unstable();
        Ok(round)
    }
}

async fn one_by_one(
    mut client: Client,
    left: Arc<AtomicU64>,
    requests: Arc<Requests>,
    expected: u16,
) -> anyhow::Result<(Client, Vec<(Duration, Answer)>)> {
    let mut answers = Vec::new();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let request = client.create_request(&requests.body());
        let asked = Instant::now();
        let answer = client.exchange(&request).await?;
        let latency = asked.elapsed();
        ensure!(answer.status == expected, "answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        answers.push((latency, answer));
    }
    Ok((client, answers))
}

impl Round {
    /// In milliseconds; `percent` of the answers came within it.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }

    #[must_use]
    pub fn per_second(&self) -> f64 {
        u32::try_from(self.latencies.len()).map_or(f64::NAN, f64::from) / self.elapsed.as_secs_f64()
    }

    /// Of all that were created, in no order.
    pub fn ids(&self) -> anyhow::Result<Vec<String>> {
        self.answers.iter().map(Answer::id).collect()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::{get, post};

    use super::*;

    async fn server() -> SocketAddr {
        let answer = post(|body: String| async move {
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
            (StatusCode::ACCEPTED, r#"{"id":"an id"}"#)
        });
        let app = Router::new().route("/api/notifications", answer).route("/long", get(|| async { "x".repeat(100_000) }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    #[tokio::test]
    async fn a_crowd_asks_as_often_as_it_is_told_and_stays_connected() {
        let mut crowd = Crowd::connect(server().await, 3).await.unwrap();
        for _ in 0..2 {
            let round = crowd.round(20, &Requests::new(), 202).await.unwrap();
            assert_eq!(round.ids().unwrap(), vec!["an id"; 20]);
            assert!(round.percentile(50) <= round.percentile(99) && round.per_second() > 0.0);
        }
        assert_eq!(crowd.clients.len(), 3);
    }

    #[tokio::test]
    async fn another_status_than_expected_ends_the_round() {
        let mut crowd = Crowd::connect(server().await, 1).await.unwrap();
        assert!(crowd.round(1, &Requests::new(), 201).await.is_err());
    }

    #[tokio::test]
    async fn a_long_answer_is_read_to_its_end() {
        let mut client = Client::connect(server().await).await.unwrap();
        for _ in 0..2 {
            assert_eq!(client.get("/long").await.unwrap().body.len(), 100_000);
        }
    }

    #[test]
    fn a_percentile_is_what_so_many_came_within() {
        let latencies = (1..=100).map(Duration::from_millis).collect();
        let round = Round { latencies, elapsed: Duration::from_secs(2), answers: Vec::new() };
        let told = [round.percentile(50), round.percentile(99), round.percentile(100), round.per_second()];
        assert_eq!(told.map(|value| value.round().to_string()), ["51", "100", "100", "50"]);
    }
}
