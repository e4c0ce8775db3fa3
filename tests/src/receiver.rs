//! A receiver of webhooks on a real socket, which answers as it is told: also late, by half, or not at
//! all, as no HTTP server library would. It speaks as much HTTP/1.1 as our own client does.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is done with one request (or, where it says so, with one connection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Answered once the test says [`Receiver::release`], with nothing in it.
    Held {
        status: u16,
    },
    /// The request is read, and nothing more ever happens.
    Silence,
    /// The request is read, then the connection closed.
    Cut,
    /// The head and a part of the body that it announces, then the connection is closed.
    CutInAnswer {
        status: u16,
    },
    /// The head, then nothing.
    SilenceInAnswer {
        status: u16,
    },
    /// A body that goes on until the client hangs up.
    Endless {
        status: u16,
    },
    /// The connection is closed as soon as it was made.
    CutAtOnce,
    /// Bytes before any request, then the connection is closed.
    Babble,
}

impl Reply {
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: String::new() }
    }

    #[must_use]
    pub fn json(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: vec![("content-type", "application/json".to_owned())], body: body.to_owned() }
    }

    #[must_use]
    pub fn with_header(status: u16, name: &'static str, value: &str) -> Self {
        Self::Answer { status, headers: vec![(name, value.to_owned())], body: String::new() }
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came by, counted from 1.
    pub connection: usize,
}

impl Request {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    script: VecDeque<Reply>,
    requests: Vec<Request>,
    connections: usize,
    hung_up: usize,
    released: bool,
}

impl Receiver {
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that binds a channel to it.
    #[must_use]
    pub fn binding(&self) -> String {
        format!("webhook+http://{}/hook", self.address)
    }

    /// The next reply that isn't spoken for. Without any, requests are answered with an empty 200.
    pub fn then(&self, reply: Reply) {
        self.state.lock().script.push_back(reply);
    }

    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }

    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.lock().connections
    }

    /// Lets every held request have its answer, those that come later too.
    pub fn release(&self) {
        self.state.change(|inner| inner.released = true);
    }

    /// Resolves once `n` requests have come.
    pub async fn wait_for(&self, n: usize) -> Vec<Request> {
        self.state.wait_until(|inner| inner.requests.len() >= n).await;
        self.requests()
    }

    /// Resolves once the client has hung up in the middle of `n` endless answers.
    pub async fn wait_for_hang_ups(&self, n: usize) {
        self.state.wait_until(|inner| inner.hung_up >= n).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, with: impl FnOnce(&mut Inner) -> T) -> T {
        let result = with(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    async fn wait_until(&self, holds: impl Fn(&Inner) -> bool) {
        let mut changes = self.changed.subscribe();
        while !holds(&self.lock()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, and with it every connection.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (number, at_once) = state.change(|inner| {
            inner.connections += 1;
            let at_once = inner.script.pop_front_if(|reply| matches!(reply, Reply::CutAtOnce | Reply::Babble));
            (inner.connections, at_once)
        });
        let state = Arc::clone(&state);
        connections.spawn(async move {
            match at_once {
                // A broken connection is the client's to judge, never this side's failure.
                Some(reply) => drop(speak_first(stream, &reply).await),
                None => drop(serve(stream, number, &state).await),
            }
        });
    }
}

async fn speak_first(mut stream: TcpStream, reply: &Reply) -> io::Result<()> {
    if *reply == Reply::Babble {
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await?;
        // What the client says is read until it hangs up: closing before would reset what it has yet to read.
        stream.read_to_end(&mut Vec::new()).await?;
    }
    stream.shutdown().await
}

async fn serve(mut stream: TcpStream, connection: usize, state: &State) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, connection).await? {
        let reply = state.change(|inner| {
            inner.requests.push(request);
            inner.script.pop_front().unwrap_or_else(|| Reply::status(200))
        });
        let reply = if let Reply::Held { status } = reply {
            state.wait_until(|inner| inner.released).await;
            Reply::status(status)
        } else {
            reply
        };
        match reply {
            Reply::Answer { status, headers, body } => {
                let mut answer = format!("HTTP/1.1 {status} Said So\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    answer.push_str(&format!("{name}: {value}\r\n"));
                }
                answer.push_str("\r\n");
                answer.push_str(&body);
                stream.write_all(answer.as_bytes()).await?;
            }
            Reply::Silence | Reply::Held { .. } => return std::future::pending().await,
            Reply::SilenceInAnswer { status } => {
                stream.write_all(part(status).as_bytes()).await?;
                return std::future::pending().await;
            }
            Reply::CutInAnswer { status } => {
                stream.write_all(part(status).as_bytes()).await?;
                return stream.shutdown().await;
            }
            Reply::Endless { status } => {
                stream.write_all(format!("HTTP/1.1 {status} Said So\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes()).await?;
                let chunk = format!("2000\r\n{}\r\n", " ".repeat(0x2000));
                while stream.write_all(chunk.as_bytes()).await.is_ok() {}
                state.change(|inner| inner.hung_up += 1);
                return Ok(());
            }
            Reply::Cut | Reply::CutAtOnce | Reply::Babble => return stream.shutdown().await,
        }
    }
    Ok(())
}

fn part(status: u16) -> String {
    format!("HTTP/1.1 {status} Said So\r\ncontent-length: 100\r\n\r\n{{\"id\":")
}

/// None: the client closed the connection.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head: Vec<u8> = buffer.drain(..head_end).collect();
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let length: usize = length.unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer.drain(..length).collect();
    Ok(Some(Request { method, target, headers, body, connection }))
}
