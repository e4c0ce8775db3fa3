//! A small stand-in of Lambda's Runtime API, the side that a function talks to:
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>. It serves one function, which may ask for
//! several invocations side by side. A function that ends in the middle of an invocation leaves it unanswered:
//! whoever invokes waits no longer than he likes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use shared::clock::{Clock, SystemClock};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Of X-Ray, as AWS's manual has it.
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";

#[derive(Debug, Error)]
pub enum Error {
    /// What it said, as JSON: `errorType`, `errorMessage`.
    #[error("the function failed")]
    Failed { body: Bytes },
    #[error("the stand-in has ended")]
    Ended,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    api: Arc<Api>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Invocation {
    id: String,
    payload: Bytes,
    deadline_ms: i64,
}

type Answer = oneshot::Sender<Result<Bytes, Error>>;

#[derive(Debug)]
struct Api {
    first_next: watch::Sender<Option<Instant>>,
    invoke: mpsc::UnboundedSender<Invocation>,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    answers: Mutex<HashMap<String, Answer>>,
    invoked: AtomicU64,
}

impl RuntimeApi {
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (invoke, queue) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            first_next: watch::Sender::new(None),
            invoke,
            queue: tokio::sync::Mutex::new(queue),
            answers: Mutex::default(),
            invoked: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(Arc::clone(&api));
        let task = tokio::spawn(async move {
            // It ends with the task only.
            axum::serve(listener, router).await.unwrap_or_default();
        });
        Ok(Self { address, api, task })
    }

    /// What Lambda tells a function of itself.
    #[must_use]
    pub fn settings(&self, function: &str) -> Vec<(String, String)> {
        let settings = [
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", function.to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{function}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "a-stream".to_owned()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// When the function first said that it is ready; waits until it has.
    pub async fn first_next(&self) -> Result<Instant, Error> {
        let mut first = self.api.first_next.subscribe();
        let seen = first.wait_for(Option::is_some).await.map_err(|_ended| Error::Ended)?;
        seen.ok_or(Error::Ended)
    }

    /// Whether the function has said yet that it is ready.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        self.api.first_next.borrow().is_some()
    }

    /// One invocation, to its answer. `time` is what the function is told that it has.
    pub async fn invoke(&self, payload: impl Into<Bytes>, time: Duration) -> Result<Bytes, Error> {
        let n = self.api.invoked.fetch_add(1, Ordering::Relaxed);
        let id = format!("00000000-0000-4000-8000-{n:012}");
        let (answer, answered) = oneshot::channel();
        self.api.answers().insert(id.clone(), answer);
        let deadline_ms = SystemClock.now().plus(time).as_millis();
        let invocation = Invocation { id, payload: payload.into(), deadline_ms };
        self.api.invoke.send(invocation).map_err(|_ended| Error::Ended)?;
        answered.await.map_err(|_ended| Error::Ended)?
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    fn answers(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, id: &str, with: Result<Bytes, Error>) -> StatusCode {
        let Some(answer) = self.answers().remove(id) else { return StatusCode::BAD_REQUEST };
        // Who invoked may have stopped to wait.
        answer.send(with).map_or(StatusCode::GONE, |()| StatusCode::ACCEPTED)
    }
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    api.first_next.send_if_modified(|first| {
        let is_first = first.is_none();
        first.get_or_insert_with(Instant::now);
        is_first
    });
    // Dropped with the connection of a function that has ended: then it took nothing.
    let Some(invocation) = api.queue.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    let Invocation { id, payload, deadline_ms } = invocation;
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-trace-id", TRACE.to_owned()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:local:000000000000:function:f".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, payload).into_response()
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.answer(&id, Ok(body))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.answer(&id, Err(Error::Failed { body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    async fn ask(api: &RuntimeApi, request: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(api.address).await.unwrap();
        let request = request.replacen("\r\n", " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", 1);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// A function that answers one invocation the way `kind` says.
    async fn once(api: &RuntimeApi, kind: &str) -> String {
        let next = ask(api, "GET /2018-06-01/runtime/invocation/next\r\n\r\n").await;
        let id = next.lines().find_map(|line| line.strip_prefix("lambda-runtime-aws-request-id: ")).unwrap();
        let path = format!("/2018-06-01/runtime/invocation/{id}/{kind}");
        let taken = ask(api, &format!("POST {path}\r\ncontent-length: 2\r\n\r\n{{}}")).await;
        assert!(taken.starts_with("HTTP/1.1 202"), "{taken}");
        next
    }

    #[tokio::test]
    async fn an_invocation_goes_to_whoever_asks_next_and_its_answer_comes_back() {
        let api = RuntimeApi::start().await.unwrap();
        let (answer, next) = tokio::join!(api.invoke("a payload", LONG), once(&api, "response"));
        assert_eq!(answer.unwrap(), "{}");
        assert!(next.ends_with("\r\n\r\na payload") && next.contains("lambda-runtime-deadline-ms: "), "{next}");
    }

    #[tokio::test]
    async fn an_invocation_that_failed_says_what_the_function_said() {
        let api = RuntimeApi::start().await.unwrap();
        let (answer, _next) = tokio::join!(api.invoke("", LONG), once(&api, "error"));
        assert!(matches!(answer, Err(Error::Failed { body }) if body == "{}"));
    }

    #[tokio::test]
    async fn the_first_next_is_told_to_who_waits_and_to_who_asks_later() {
        let api = RuntimeApi::start().await.unwrap();
        let begun = Instant::now();
        let waiting = api.first_next();
        let (_, _, first) = tokio::join!(api.invoke("", LONG), once(&api, "response"), waiting);
        let first = first.unwrap();
        assert!(first >= begun);
        let (_, _) = tokio::join!(api.invoke("", LONG), once(&api, "response"));
        assert_eq!(api.first_next().await.unwrap(), first);
    }
}
