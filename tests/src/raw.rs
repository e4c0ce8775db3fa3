//! A client that writes HTTP/1.1 itself: as much of it, as slowly and as wrongly as a test wants, which no
//! HTTP library would do. It costs little, so that many of them leave the machine to the server.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::server_process::PATIENCE;

#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    pub body: Vec<u8>,
}

/// A create of this body, whole.
#[must_use]
pub fn create(body: &str) -> String {
    format!("{}content-length: {}\r\n\r\n{body}", create_head(), body.len())
}

/// The head of a create as far as it says nothing of the body's length.
#[must_use]
pub const fn create_head() -> &'static str {
    "POST /api/notifications HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
}

#[must_use]
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

impl Raw {
    pub async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// One whose system keeps as little as it can of what it does not read.
    pub async fn connect_with_small_buffer(address: &str) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let stream = socket.connect(address.parse().map_err(io::Error::other)?).await?;
        Ok(Self { stream, unread: Vec::new() })
    }

    pub async fn ask(&mut self, request: &str) -> io::Result<Answer> {
        self.send(request).await?;
        self.answer().await
    }

    pub async fn send(&mut self, bytes: &str) -> io::Result<()> {
        self.stream.write_all(bytes.as_bytes()).await
    }

    /// The next answer.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_on().await?;
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).map_err(io::Error::other)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let answer = Answer { status: status.ok_or_else(|| io::Error::other("no status"))?, head, body: Vec::new() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.unread.len() < length {
            self.read_on().await?;
        }
        Ok(Answer { body: self.unread.drain(..length).collect(), ..answer })
    }

    async fn read_on(&mut self) -> io::Result<()> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await??;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Sends these bytes one in every `pause`, again and again, until the server closes the connection; how
    /// long that took. What it answered meanwhile is there to be read.
    pub async fn drip(&mut self, bytes: &str, pause: Duration) -> Duration {
        let begun = Instant::now();
        for byte in bytes.bytes().cycle() {
            let written = self.stream.write_all(&[byte]).await;
            if written.is_err() || self.is_closed() {
                break;
            }
            sleep(pause).await;
        }
        begun.elapsed()
    }

    /// Whether the server has closed it, as far as is known here; what came before is kept.
    pub fn is_closed(&mut self) -> bool {
        loop {
            match self.stream.try_read_buf(&mut self.unread) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Reads until the server closes it.
    pub async fn closed(&mut self) {
        assert_ne!(self.end().await, io::ErrorKind::TimedOut, "it is still open");
    }

    /// How the reading ends: in order with [`io::ErrorKind::UnexpectedEof`].
    pub async fn end(&mut self) -> io::ErrorKind {
        loop {
            if let Err(error) = self.read_on().await {
                return error.kind();
            }
        }
    }
}

impl Answer {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.head))
    }
}
