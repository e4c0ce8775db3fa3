//! Stands between a client and a store. It counts the calls on the wire and the capacity that the store
//! says they took, and makes on demand what a network does: an answer lost after the write was applied, a
//! call never answered, a throttled one, a batch left half done.
//!
//! It speaks just the HTTP that the SDK speaks: requests with a `content-length`, one after another.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a fault of the proxy fails the test")]

mod http;
pub mod meter;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use self::http::{Answer, Request};
use self::meter::Meter;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store has carried the call out; the connection breaks before the answer.
    LoseAnswer,
    /// The call does not reach the store and is never answered.
    Stall,
    /// Refused for the moment, before the store sees it.
    Throttle,
    /// The caller's role does not allow the call.
    Forbid,
    /// The store serves the first key of a batch and leaves the others for later.
    LeaveUnprocessed,
    /// The first key of a batch has no item any more, as when an index trails its table.
    ForgetFirst,
    /// A query's answer ends after one item, as after the megabyte that it may hold.
    ShortPage,
    /// The table is described as if it were being made.
    TableCreating,
    /// The first index of the table is described so.
    IndexCreating,
}

#[derive(Debug)]
pub struct StoreProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    client: reqwest::Client,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    meter: Meter,
    /// What befalls the next calls of an operation.
    faults: VecDeque<(String, Fault)>,
    /// What befalls every call of an operation (or of any) until it is over.
    lasting: Option<(Option<String>, Fault)>,
}

impl StoreProxy {
    /// In front of the store at `upstream`.
    pub async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let client = reqwest::Client::new();
        let shared = Arc::new(Shared { upstream: upstream.to_owned(), client, state: Mutex::default() });
        let serving = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            while let Ok((connection, _peer)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&serving)));
            }
        });
        Self { address, shared, listening: listening.abort_handle() }
    }

    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next call of `operation` (`PutItem`) that has no fault yet gets this one.
    pub fn fail_next(&self, operation: &str, fault: Fault) {
        self.shared.with_state(|state| state.faults.push_back((operation.to_owned(), fault)));
    }

    /// Every call of `operation` (None: every call) gets this fault until [`Self::recover`].
    pub fn fail(&self, operation: Option<&str>, fault: Fault) {
        self.shared.with_state(|state| state.lasting = Some((operation.map(str::to_owned), fault)));
    }

    /// The end of [`Self::fail`].
    pub fn recover(&self) {
        self.shared.with_state(|state| state.lasting = None);
    }

    /// What was measured since it was last taken; it is left there.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.shared.with_state(|state| state.meter.clone())
    }

    /// What was measured since the last time.
    #[must_use]
    pub fn take_meter(&self) -> Meter {
        self.shared.with_state(|state| std::mem::take(&mut state.meter))
    }

    /// Faults that have not come about: a test that leaves some has not tested them.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.shared.with_state(|state| state.faults.len())
    }
}

impl Drop for StoreProxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    fn with_state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next_fault(&self, operation: &str) -> Option<Fault> {
        self.with_state(|state| {
            if let Some((of, fault)) = &state.lasting
                && of.as_ref().is_none_or(|of| of == operation)
            {
                return Some(*fault);
            }
            let at = state.faults.iter().position(|(of, _fault)| of == operation)?;
            state.faults.remove(at).map(|(_of, fault)| fault)
        })
    }

    /// With the question about capacity added to what was asked.
    async fn forward(&self, request: &Request) -> Answer {
        let mut body: Value = serde_json::from_slice(&request.body).expect("the SDK sends JSON");
        let operation = request.operation();
        if meter::is_metered(operation)
            && let Some(body) = body.as_object_mut()
        {
            body.insert("ReturnConsumedCapacity".to_owned(), json!("INDEXES"));
        }
        let sent = self
            .client
            .post(&self.upstream)
            .headers(request.headers.clone())
            .body(serde_json::to_vec(&body).expect("JSON"))
            .send()
            .await
            .expect("the store answers");
        let status = sent.status().as_u16();
        let body = sent.bytes().await.expect("the store answers to the end");
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.with_state(|state| state.meter.add(operation, status, &answer));
        Answer { status, body: body.to_vec() }
    }
}

async fn serve(mut connection: TcpStream, shared: Arc<Shared>) {
    let mut unread = Vec::new();
    while let Some(mut request) = http::read(&mut connection, &mut unread).await {
        let answer = match shared.next_fault(request.operation()) {
            None => shared.forward(&request).await,
            Some(Fault::LoseAnswer) => {
                shared.forward(&request).await;
                return;
            }
            Some(Fault::Stall) => std::future::pending().await,
            Some(Fault::Throttle) => {
                shared.with_state(|state| state.meter.count(request.operation()));
                let body = json!({"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"});
                Answer { status: 400, body: body.to_string().into_bytes() }
            }
            Some(Fault::Forbid) => Answer { status: 400, body: forbidden(request.operation()).to_string().into_bytes() },
            Some(Fault::LeaveUnprocessed) => leave_unprocessed(&shared, &mut request).await,
            Some(Fault::ForgetFirst) => {
                drop(split_batch(&mut request, |keys| keys.split_off(1)));
                shared.forward(&request).await
            }
            Some(Fault::ShortPage) => {
                request.change(|body| body["Limit"] = json!(1));
                shared.forward(&request).await
            }
            Some(Fault::TableCreating) => {
                shared.forward(&request).await.changed(|body| body["Table"]["TableStatus"] = json!("CREATING"))
            }
            Some(Fault::IndexCreating) => {
                let index = |body: &mut Value| body["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] = json!("CREATING");
                shared.forward(&request).await.changed(index)
            }
        };
        if http::write(&mut connection, &answer).await.is_err() {
            return;
        }
    }
}

/// In AWS's own words.
fn forbidden(operation: &str) -> Value {
    let role = "arn:aws:sts::123456789012:assumed-role/canary-role/f";
    let table = "arn:aws:dynamodb:eu-central-1:123456789012:table/canary-table";
    let message = format!(
        "User: {role} is not authorized to perform: dynamodb:{operation} on resource: {table} because no identity-based \
         policy allows the dynamodb:{operation} action"
    );
    json!({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": message})
}

async fn leave_unprocessed(shared: &Shared, request: &mut Request) -> Answer {
    let left = split_batch(request, |keys| keys.drain(..1).collect());
    shared.forward(request).await.changed(|body| body["UnprocessedKeys"] = left)
}

/// Leaves those keys in the request that `take` takes; the others come back.
fn split_batch(request: &mut Request, take: fn(&mut Vec<Value>) -> Vec<Value>) -> Value {
    request.change(|asked| {
        let mut left = asked["RequestItems"].clone();
        for (asked, left) in tables(&mut asked["RequestItems"]).zip(tables(&mut left)) {
            asked["Keys"] = Value::Array(take(left["Keys"].as_array_mut().expect("keys")));
        }
        left
    })
}

fn tables(of: &mut Value) -> impl Iterator<Item = &mut Value> {
    of.as_object_mut().expect("tables").values_mut()
}
