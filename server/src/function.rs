//! Calling a function, as the event source and the schedule do: in this process, or through Lambda's
//! Invoke API. A call that failed is made again by its caller, so a function may run twice for one
//! payload; the functions here are made for that.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::header::CONTENT_TYPE;
use thiserror::Error;

/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
const FUNCTION_ERROR: &str = "x-amz-function-error";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// None of them holds what the function said: it may have quoted its payload.
#[derive(Debug, Error)]
pub enum InvokeError {
    /// It ran, and ended with an error of its own.
    #[error("the function failed: {what}")]
    Failed { what: String },
    /// It ran, and panicked.
    #[error("the function panicked")]
    Panicked,
    /// Whoever runs functions did not take the call, or the function failed where that is told so.
    #[error("the function endpoint answered {status}")]
    Status { status: u16 },
    /// No answer: it may have run, and may run still.
    #[error("the function endpoint did not answer")]
    NoAnswer {
        #[source]
        source: reqwest::Error,
    },
}

#[derive(Debug, Error)]
#[error("no HTTP client for the function endpoint")]
pub struct ClientError {
    #[source]
    source: reqwest::Error,
}

#[async_trait]
pub trait Function: Send + Sync + fmt::Debug {
    /// Runs it once, and gives back its answer.
    async fn invoke(&self, payload: Vec<u8>) -> Result<Vec<u8>, InvokeError>;
}

type Handler = Box<dyn Fn(Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, InvokeError>> + Send + Sync>;

/// A function in this process.
pub struct InProcess {
    name: &'static str,
    handler: Handler,
}

impl InProcess {
    pub fn new<F, A>(name: &'static str, handler: F) -> Self
    where
        F: Fn(Vec<u8>) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Vec<u8>, InvokeError>> + Send + 'static,
    {
        Self { name, handler: Box::new(move |payload| Box::pin(handler(payload))) }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Function for InProcess {
    async fn invoke(&self, payload: Vec<u8>) -> Result<Vec<u8>, InvokeError> {
        // Lambda outlives a function that panics, and so does this. What the function shares with its
        // next call is its own affair, there as here.
        let call = AssertUnwindSafe(async { (self.handler)(payload).await });
        call.catch_unwind().await.unwrap_or_else(|_panic| Err(InvokeError::Panicked))
    }
}

/// A function behind Lambda's Invoke API, unsigned as emulators take it.
#[derive(Debug)]
pub struct LambdaInvoke {
    url: String,
    client: reqwest::Client,
}

impl LambdaInvoke {
    /// `endpoint` without a path, such as `http://127.0.0.1:9000`; `timeout` is for one whole call.
    pub fn new(endpoint: &str, name: &str, timeout: Duration) -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|source| ClientError { source })?;
        let endpoint = endpoint.trim_end_matches('/');
        Ok(Self { url: format!("{endpoint}/2015-03-31/functions/{name}/invocations"), client })
    }
}

#[async_trait]
impl Function for LambdaInvoke {
    async fn invoke(&self, payload: Vec<u8>) -> Result<Vec<u8>, InvokeError> {
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/json").body(payload);
        let response = request.send().await.map_err(|source| InvokeError::NoAnswer { source })?;
        // One emulator says 500 of a failed function; AWS says 200, and this header.
        let status = response.status();
        if let Some(kind) = response.headers().get(FUNCTION_ERROR) {
            let kind = kind.to_str().unwrap_or("unknown").to_owned();
            return Err(InvokeError::Failed { what: kind });
        }
        if !status.is_success() {
            return Err(InvokeError::Status { status: status.as_u16() });
        }
        let body = response.bytes().await.map_err(|source| InvokeError::NoAnswer { source })?;
        Ok(body.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;

    use super::*;

    const PATH: &str = "/2015-03-31/functions/process/invocations";

    /// A real endpoint with one function, `process`.
    async fn endpoint(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    async fn call(router: Router, timeout: Duration) -> Result<Vec<u8>, InvokeError> {
        let endpoint = endpoint(router).await;
        LambdaInvoke::new(&endpoint, "process", timeout).unwrap().invoke(b"{}".to_vec()).await
    }

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_function_that_succeeds_gives_back_its_answer() {
        let echo = post(|headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers.get("content-type").unwrap(), "application/json");
            body
        });
        assert_eq!(call(Router::new().route(PATH, echo), LONG).await.unwrap(), b"{}");
    }

    #[tokio::test]
    async fn a_function_error_within_a_200_is_a_failure() {
        let failed = post(|| async { ([("X-Amz-Function-Error", "Unhandled")], r#"{"errorMessage":"canary"}"#) });
        let error = call(Router::new().route(PATH, failed), LONG).await.unwrap_err();
        assert!(matches!(&error, InvokeError::Failed { what } if what == "Unhandled"), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("canary"));
    }

    #[tokio::test]
    async fn a_500_without_the_header_is_a_failure() {
        let failed = post(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "canary") });
        let error = call(Router::new().route(PATH, failed), LONG).await.unwrap_err();
        assert!(matches!(error, InvokeError::Status { status: 500 }), "{error:?}");
    }

    #[tokio::test]
    async fn a_redirect_is_a_failure_and_is_not_followed() {
        let away = post(|| async { (StatusCode::TEMPORARY_REDIRECT, [("Location", "/other")]) });
        let router = Router::new().route(PATH, away).route("/other", post(|| async { "followed" }));
        let error = call(router, LONG).await.unwrap_err();
        assert!(matches!(error, InvokeError::Status { status: 307 }), "{error:?}");
    }

    #[tokio::test]
    async fn an_endpoint_that_never_answers_is_a_failure() {
        let stuck = post(std::future::pending::<String>);
        let error = call(Router::new().route(PATH, stuck), Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(&error, InvokeError::NoAnswer { source } if source.is_timeout()), "{error:?}");
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_there_is_a_failure() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = LambdaInvoke::new(&endpoint, "process", LONG).unwrap().invoke(Vec::new()).await.unwrap_err();
        assert!(matches!(&error, InvokeError::NoAnswer { source } if source.is_connect()), "{error:?}");
    }

    #[tokio::test]
    async fn a_panic_in_the_process_is_a_failure_of_the_call() {
        let function = InProcess::new("process", |payload: Vec<u8>| async move {
            assert!(!payload.is_empty(), "an empty payload");
            Ok(payload)
        });
        assert!(matches!(function.invoke(Vec::new()).await, Err(InvokeError::Panicked)));
        assert_eq!(function.invoke(vec![1]).await.unwrap(), [1]);
    }
}
