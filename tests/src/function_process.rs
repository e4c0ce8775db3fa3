//! A function's real binary as a child process, under the stand-in of Lambda's Runtime API, with nothing in its
//! environment but what Lambda and a test give it.

use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use benches::runtime_api::{Error, RuntimeApi};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::server_process::{PATIENCE, binary, collect};

pub const ALL: [&str; 4] = ["create", "get", "process", "redrive"];
/// More time than anything here takes.
pub const PLENTY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct FunctionProcess {
    api: RuntimeApi,
    output: Arc<Mutex<String>>,
    metrics: Arc<Mutex<String>>,
    child: Child,
    _folder: TempDir,
}

/// What an HTTP API hands back of an answer.
#[derive(Debug)]
pub struct HttpAnswer {
    pub status: u64,
    pub headers: Value,
    pub body: Value,
}

impl FunctionProcess {
    /// Starts it, and waits until it asks for its first event.
    pub async fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let api = RuntimeApi::start().await.expect("a port");
        let folder = TempDir::new().expect("a temporary folder");
        let mut child = command(name, &api, &folder, settings).spawn().expect("the function starts");
        let (output, metrics) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<String>>::default());
        // They end with the process.
        let _collecting = collect(child.stderr.take().expect("stderr is piped"), Arc::clone(&output));
        let _collecting = collect(child.stdout.take().expect("stdout is piped"), Arc::clone(&metrics));
        let asked = tokio::select! {
            asked = timeout(PATIENCE, api.first_next()) => asked.is_ok_and(|asked| asked.is_ok()),
            _ended = child.wait() => false,
        };
        assert!(asked, "{name} did not ask for an event:\n{}", output.lock().unwrap());
        Self { api, output, metrics, child, _folder: folder }
    }

    /// One event: the function's answer, or what it said of its failure.
    pub async fn invoke(&self, payload: &Value, time: Duration) -> Result<Value, Value> {
        let answered = timeout(PATIENCE, self.api.invoke(payload.to_string(), time)).await;
        match answered.unwrap_or_else(|_late| panic!("no answer in time:\n{}", self.logs())) {
            Ok(answer) => Ok(serde_json::from_slice(&answer).expect("the answer is JSON")),
            Err(Error::Failed { body }) => Err(serde_json::from_slice(&body).expect("the failure is JSON")),
            Err(Error::Ended) => panic!("the stand-in has ended"),
        }
    }

    /// A request, as an HTTP API's event of version 2.0.
    pub async fn http(&self, method: &str, path: &str, query: &str, body: Option<&Value>) -> HttpAnswer {
        self.http_within(PLENTY, method, path, query, body).await
    }

    /// As [`Self::http`], of which the function is told that it has so much time.
    pub async fn http_within(&self, time: Duration, method: &str, path: &str, query: &str, body: Option<&Value>) -> HttpAnswer {
        let answer = self.invoke(&http_event(method, path, query, body), time).await.expect("an HTTP answer and no failure");
        let text = answer["body"].as_str().expect("a body in text");
        HttpAnswer {
            status: answer["statusCode"].as_u64().expect("a status"),
            headers: answer["headers"].clone(),
            body: serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
        }
    }

    #[must_use]
    pub fn logs(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// What it has written for CloudWatch since the last time, once there is something.
    pub async fn metrics(&self) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let written = std::mem::take(&mut *self.metrics.lock().unwrap());
            if !written.is_empty() {
                return written.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
            }
            assert!(Instant::now() < until, "it wrote no metrics:\n{}", self.logs());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What it has written to stdout and nobody has taken.
    #[must_use]
    pub fn written(&self) -> String {
        self.metrics.lock().unwrap().clone()
    }

    /// How many lines of the log hold this.
    #[must_use]
    pub fn lines_with(&self, text: &str) -> usize {
        self.logs().lines().filter(|line| line.contains(text)).count()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }
}

/// Runs a function that is expected to end before it asks for an event: what it said, and how it ended.
pub async fn run(name: &str, settings: &[(&str, &str)]) -> Output {
    let api = RuntimeApi::start().await.expect("a port");
    let folder = TempDir::new().expect("a temporary folder");
    let ended = command(name, &api, &folder, settings).output();
    let output = timeout(PATIENCE, ended).await.expect("it ends in time").expect("it starts");
    assert!(!api.was_asked(), "{name} asked for an event");
    output
}

fn command(name: &str, api: &RuntimeApi, folder: &TempDir, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary(name));
    command.env_clear().kill_on_drop(true).current_dir(folder.path());
    command.envs(api.settings(name)).envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
fn http_event(method: &str, path: &str, query: &str, body: Option<&Value>) -> Value {
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "isBase64Encoded": false,
        "headers": {"host": "api.example", "content-type": "application/json", "x-request-id": "the-request"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.example", "domainPrefix": "api",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "tests"},
            "requestId": "gateway", "routeKey": "$default", "stage": "$default", "timeEpoch": 1_893_456_000_000_u64,
            "time": "01/Jan/2030:00:00:00 +0000",
        },
    });
    if let Some(body) = body {
        event["body"] = Value::String(body.to_string());
    }
    event
}
