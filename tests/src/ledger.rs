//! What clients asked for and what they were told, over all the deaths of the server that they talk to. An
//! answer that didn't come tells nothing: who has a key repeats the request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use reqwest::{Client, StatusCode};
use serde_json::Value;
use shared::domain::{NotificationId, Status};

#[derive(Debug, Default)]
pub struct Ledger {
    client: Client,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub struct Inner {
    pub asked: u64,
    pub unanswered: u64,
    pub users: BTreeSet<String>,
    /// Every notification that was promised.
    pub promised: BTreeSet<NotificationId>,
    /// Those that somebody wanted to stop.
    pub may_be_cancelled: BTreeSet<NotificationId>,
    /// What a client was told, where it can't change any more.
    pub told: BTreeMap<NotificationId, Status>,
    ids_of_key: BTreeMap<String, BTreeSet<NotificationId>>,
    pub faults: Vec<String>,
}

impl Ledger {
    pub fn read(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Its id, if it was answered with a promise.
    pub async fn create(&self, url: &str, body: &Value) -> Option<NotificationId> {
        let user = body["userId"].as_str().expect("a user").to_owned();
        self.read().users.insert(user);
        let (status, n) = self.ask(&format!("{url}/api/notifications"), body).await?;
        let mut inner = self.read();
        if !status.is_success() {
            inner.faults.push(format!("create was answered {status}: {n}"));
            return None;
        }
        let id = inner.note(&n);
        inner.promised.insert(id);
        if let Some(key) = body["idempotencyKey"].as_str() {
            inner.ids_of_key.entry(key.to_owned()).or_default().insert(id);
        }
        Some(id)
    }

    pub async fn cancel(&self, url: &str, id: NotificationId) {
        // Whatever the answer: the request may get there.
        self.read().may_be_cancelled.insert(id);
        let Some((status, n)) = self.ask(&format!("{url}/api/notifications/{id}/cancel"), &Value::Null).await else { return };
        match status {
            StatusCode::OK => {
                self.read().note(&n);
            }
            StatusCode::CONFLICT => {}
            _ => self.read().faults.push(format!("cancel of {id} was answered {status}: {n}")),
        }
    }

    pub async fn retry(&self, url: &str, id: NotificationId) {
        let Some((status, n)) = self.ask(&format!("{url}/api/notifications/{id}/retry"), &Value::Null).await else { return };
        match status {
            StatusCode::OK | StatusCode::ACCEPTED => {
                self.read().note(&n);
            }
            StatusCode::CONFLICT => {}
            _ => self.read().faults.push(format!("retry of {id} was answered {status}: {n}")),
        }
    }

    /// None: no answer, or one that promises nothing.
    async fn ask(&self, url: &str, body: &Value) -> Option<(StatusCode, Value)> {
        self.read().asked += 1;
        let answer = async {
            let answer = self.client.post(url).json(body).send().await.ok()?;
            let status = answer.status();
            Some((status, answer.json().await.ok()?)).filter(|_| status != StatusCode::SERVICE_UNAVAILABLE)
        };
        let answer = answer.await;
        self.read().unanswered += u64::from(answer.is_none());
        answer
    }

    /// What is wrong with the answers alone.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let inner = self.read();
        let torn = inner.ids_of_key.iter().filter(|(_, ids)| ids.len() > 1);
        let torn = torn.map(|(key, ids)| format!("key {key} has {} notifications", ids.len()));
        inner.faults.iter().cloned().chain(torn).collect()
    }
}

impl Inner {
    /// How many requests were, so far; those under way count too, for a moment.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.asked - self.unanswered
    }

    fn note(&mut self, n: &Value) -> NotificationId {
        let id = NotificationId::parse(n["id"].as_str().expect("an id")).expect("an id");
        let status = Status::parse(n["status"].as_str().expect("a status")).expect("a status");
        // What has failed may be retried by hand.
        if status.is_final() && status != Status::Failed {
            self.told.insert(id, status);
        }
        id
    }
}
