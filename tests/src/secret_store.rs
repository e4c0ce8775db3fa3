//! A stand-in of Secrets Manager and of SSM's parameters on a real socket, in the JSON that both speak:
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>,
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>. It knows no signatures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What is there under an ARN.
#[derive(Clone, Debug)]
pub enum Kept {
    Text(&'static str),
    Bytes,
    /// Refused, in these words.
    Denied(&'static str),
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct SecretStore {
    pub endpoint: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    kept: BTreeMap<&'static str, Kept>,
    /// The ARNs, as they were asked for.
    asked: Mutex<Vec<String>>,
}

impl SecretStore {
    pub async fn start(kept: &[(&'static str, Kept)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared { kept: kept.iter().cloned().collect(), asked: Mutex::default() });
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Self { endpoint, shared, task }
    }

    /// AWS's own variables that lead to it.
    #[must_use]
    pub fn settings(&self) -> [(&str, &str); 2] {
        [("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.endpoint), ("AWS_ENDPOINT_URL_SSM", &self.endpoint)]
    }

    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for SecretStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let asked: Value = serde_json::from_str(&body).expect("the SDK sends JSON");
    let target = headers["x-amz-target"].to_str().expect("text");
    let (id, is_secret) = match target {
        "secretsmanager.GetSecretValue" => (&asked["SecretId"], true),
        "AmazonSSM.GetParameter" if asked["WithDecryption"] == true => (&asked["Name"], false),
        _ => panic!("{target}: {asked}"),
    };
    let id = id.as_str().expect("an ARN");
    // Signed for the region of the ARN and for that service.
    let region = id.split(':').nth(3).expect("a region");
    let scope = format!("/{region}/{}/aws4_request", if is_secret { "secretsmanager" } else { "ssm" });
    assert!(headers["authorization"].to_str().expect("text").contains(&scope), "{headers:?}");
    shared.asked.lock().unwrap().push(id.to_owned());
    let refused = |kind: &str, message: &str| json!({"__type": kind, "Message": message, "message": message});
    let (status, answer) = match (shared.kept.get(id), is_secret) {
        (Some(Kept::Text(text)), true) => (StatusCode::OK, json!({"ARN": id, "Name": "a-name", "SecretString": text})),
        (Some(Kept::Text(text)), false) => {
            (StatusCode::OK, json!({"Parameter": {"ARN": id, "Type": "SecureString", "Value": text, "Version": 1}}))
        }
        (Some(Kept::Bytes), _) => (StatusCode::OK, json!({"ARN": id, "Name": "a-name", "SecretBinary": "Y2FuYXJ5"})),
        (Some(Kept::Denied(message)), _) => (StatusCode::BAD_REQUEST, refused("AccessDeniedException", message)),
        (None, true) => (StatusCode::BAD_REQUEST, refused("ResourceNotFoundException", "canary")),
        (None, false) => (StatusCode::BAD_REQUEST, refused("ParameterNotFound", "")),
    };
    (status, [("content-type", "application/x-amz-json-1.1")], answer.to_string()).into_response()
}
