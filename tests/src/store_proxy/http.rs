//! As much of HTTP/1.1 as lies between the SDK and a store.

use std::io;

use reqwest::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) struct Request {
    operation: String,
    /// Those that are passed on.
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Request {
    /// The last word of `DynamoDB_20120810.PutItem`.
    pub(super) fn operation(&self) -> &str {
        &self.operation
    }

    pub(super) fn change<T>(&mut self, how: impl FnOnce(&mut Value) -> T) -> T {
        changed(&mut self.body, how)
    }
}

impl Answer {
    pub(super) fn changed(mut self, how: impl FnOnce(&mut Value)) -> Self {
        changed(&mut self.body, how);
        self
    }
}

fn changed<T>(body: &mut Vec<u8>, how: impl FnOnce(&mut Value) -> T) -> T {
    let mut json: Value = serde_json::from_slice(body).expect("both speak JSON");
    let result = how(&mut json);
    *body = json.to_string().into_bytes();
    result
}

/// None at the end of the connection. What was read beyond the request stays in `unread`.
pub(super) async fn read(connection: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Request> {
    let head_end = loop {
        if let Some(at) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(connection, unread).await?;
    };
    let head: Vec<u8> = unread.drain(..head_end).collect();
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(&head).lines().skip(1) {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?);
        }
    }
    let length: usize = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    while unread.len() < length {
        more(connection, unread).await?;
    }
    let body = unread.drain(..length).collect();
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    let operation = target.rsplit('.').next()?.to_owned();
    // They are of this connection and of the body as it came.
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    Some(Request { operation, headers, body })
}

async fn more(connection: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    match connection.read_buf(unread).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

pub(super) async fn write(connection: &mut TcpStream, answer: &Answer) -> io::Result<()> {
    let Answer { status, body } = answer;
    let head = format!(
        "HTTP/1.1 {status} As Said\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body].concat()).await
}
