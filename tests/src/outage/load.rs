//! Clients that go on asking whatever becomes of the service, and all that they were answered. Each create
//! has an idempotency key of its own, so that one that was turned away can be repeated for sure.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Between two requests of one client that is not kept waiting.
const PACE: Duration = Duration::from_millis(100);
/// Longer than anybody promised: an answer that takes longer is none.
const GIVEN_UP: Duration = Duration::from_mins(1);
const NOBODY: &str = "/api/notifications/0190a8f2-0000-7000-8000-000000000000";

/// What one request came to.
#[derive(Clone, Debug)]
pub struct Answer {
    pub asked: Asked,
    /// None: the connection was refused or broke, or there was none in all the time.
    pub status: Option<u16>,
    pub retry_after: bool,
    /// Of what was created.
    pub id: Option<String>,
    pub begun: Instant,
    pub took: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By its idempotency key.
    Create(String),
    /// To read, list, cancel or retry.
    Other(&'static str),
}

impl Answer {
    #[must_use]
    pub const fn is_create(&self) -> bool {
        matches!(self.asked, Asked::Create(_))
    }

    /// A create that was answered with this status.
    #[must_use]
    pub fn created_with(&self, status: u16) -> bool {
        self.is_create() && self.status == Some(status)
    }
}

#[derive(Debug)]
pub struct Load {
    answers: Arc<watch::Sender<Vec<Answer>>>,
    clients: JoinSet<()>,
    stop: CancellationToken,
}

impl Load {
    /// So many clients, shared out among the servers.
    #[must_use]
    pub fn on(servers: &[&str], clients: usize) -> Self {
        let mut load = Self { answers: Arc::default(), clients: JoinSet::new(), stop: CancellationToken::new() };
        for (number, server) in servers.iter().cycle().take(clients).enumerate() {
            let client = OneClient { number, server: (*server).to_owned(), http: Client::new() };
            load.clients.spawn(client.run(Arc::clone(&load.answers), load.stop.clone()));
        }
        load
    }

    /// Resolves once what was answered so far is as wanted.
    pub async fn wait_until(&self, patience: Duration, wanted: impl Fn(&[Answer]) -> bool) {
        let mut answers = self.answers.subscribe();
        let came = async { drop(answers.wait_for(|answers| wanted(answers)).await) };
        if timeout(patience, came).await.is_err() {
            let answers = self.answers.borrow();
            panic!("not as wanted, of {} answers: {:#?}", answers.len(), &answers[answers.len().saturating_sub(12)..]);
        }
    }

    /// Waits for the requests under way; all answers, in the order in which they came.
    pub async fn stop(self) -> Vec<Answer> {
        self.stop.cancel();
        self.clients.join_all().await;
        self.answers.send_replace(Vec::new())
    }
}

/// The body of the create with this key; the keys are spread over 40 users.
#[must_use]
pub fn body(key: &str) -> Value {
    let user = key.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 40;
    json!({"userId": format!("user-{user}"), "channel": "push", "template": "t", "idempotencyKey": key})
}

struct OneClient {
    number: usize,
    server: String,
    http: Client,
}

impl OneClient {
    /// Two creates, then one of the other requests, and again.
    async fn run(self, answers: Arc<watch::Sender<Vec<Answer>>>, stop: CancellationToken) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = NOBODY.to_owned();
        for n in 0_usize.. {
            tokio::select! {
                _ = pace.tick() => {}
                () = stop.cancelled() => return,
            }
            let answer = match n % 3 {
                2 => self.ask(n / 3, &last).await,
                _ => self.create(n).await,
            };
            if let Some(id) = &answer.id {
                last = format!("/api/notifications/{id}");
            }
            answers.send_modify(|answers| answers.push(answer));
        }
    }

    async fn create(&self, n: usize) -> Answer {
        let key = format!("client-{}-{n}", self.number);
        let request = self.http.post(format!("{}/api/notifications", self.server)).json(&body(&key));
        self.answer(Asked::Create(key), request.send()).await
    }

    async fn ask(&self, n: usize, last: &str) -> Answer {
        let (what, method, path) = match n % 4 {
            0 => ("read", Method::GET, last.to_owned()),
            1 => ("list", Method::GET, "/api/notifications?userId=user-1".to_owned()),
            // Of one that is not there: what is load here must not change what becomes of the others.
            2 => ("cancel", Method::POST, format!("{NOBODY}/cancel")),
            _ => ("retry", Method::POST, format!("{NOBODY}/retry")),
        };
        let request = self.http.request(method, format!("{}{path}", self.server));
        self.answer(Asked::Other(what), request.send()).await
    }

    async fn answer(&self, asked: Asked, sent: impl Future<Output = reqwest::Result<Response>>) -> Answer {
        let begun = Instant::now();
        let read = async {
            let response = sent.await.ok()?;
            let (status, retry_after) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
            let body: Value = response.json().await.ok()?;
            Some((status, retry_after, body["id"].as_str().map(str::to_owned)))
        };
        let came = timeout(GIVEN_UP, read).await.ok().flatten();
        let took = begun.elapsed();
        match came {
            Some((status, retry_after, id)) => Answer { asked, status: Some(status), retry_after, id, begun, took },
            None => Answer { asked, status: None, retry_after: false, id: None, begun, took },
        }
    }
}
