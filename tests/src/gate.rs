//! A gate in front of a server: it lets connections through, refuses them as a closed port does, or takes
//! them and never answers. It keeps its port all the while, so that a client finds it again.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    upstream: Arc<Upstream>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Bound and not listening: the port is kept, and connections are refused. Held, never read.
    Closed(#[expect(dead_code, reason = "keeps the port")] TcpSocket),
    Serving {
        serving: JoinHandle<()>,
        silent: watch::Sender<bool>,
    },
    /// Only within a change from one to the other.
    Between,
}

#[derive(Debug)]
struct Upstream {
    address: String,
    renaming: Option<Renaming>,
}

/// Kafka's clients go where the broker's answers send them. Behind a gate those must name the gate.
#[derive(Debug)]
struct Renaming {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Gate {
    /// Before `upstream` (`127.0.0.1:4566`), closed.
    #[must_use]
    pub fn before(upstream: &str) -> Self {
        Self::with(upstream, |_address| None)
    }

    /// As [`Self::before`], where the one broker of a Kafka listens.
    #[must_use]
    pub fn before_kafka(upstream: &str) -> Self {
        let broker = upstream.parse().expect("a broker on this machine, by its address");
        Self::with(upstream, |address| Some(Renaming { from: in_an_answer(broker), to: in_an_answer(address) }))
    }

    fn with(upstream: &str, renaming: impl FnOnce(SocketAddr) -> Option<Renaming>) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().expect("its address");
        let upstream = Arc::new(Upstream { address: upstream.to_owned(), renaming: renaming(address) });
        Self { address, upstream, state: Mutex::new(State::Closed(socket)) }
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections are refused from now on, and those that are open are cut.
    pub async fn close(&self) {
        self.end().await;
        self.set(State::Closed(bound(self.address)));
    }

    /// Connections go through; those that are open are cut.
    pub async fn open(&self) {
        self.serve(false).await;
    }

    /// As behind a network that swallows everything: connections stay open, new ones are taken, and nothing
    /// is ever answered.
    pub async fn stall(&self) {
        let goes_on = match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Serving { silent, .. } => {
                silent.send_replace(true);
                true
            }
            State::Closed(_) | State::Between => false,
        };
        if !goes_on {
            self.serve(true).await;
        }
    }

    async fn serve(&self, silent: bool) {
        self.end().await;
        let listener = bound(self.address).listen(256).expect("the port is ours");
        let upstream = Arc::clone(&self.upstream);
        let (silent, falls_silent) = watch::channel(silent);
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(carry(near, Arc::clone(&upstream), falls_silent.clone()));
            }
        });
        self.set(State::Serving { serving, silent });
    }

    async fn end(&self) {
        let state = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Between);
        if let State::Serving { serving, .. } = state {
            serving.abort();
            // Its listener is gone once it has ended.
            drop(serving.await);
        }
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let State::Serving { serving, .. } = &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            serving.abort();
        }
    }
}

/// Until one of the two ends it, or for ever once the gate is silent.
async fn carry(mut near: TcpStream, upstream: Arc<Upstream>, mut silent: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(&upstream.address).await else { return };
    let silence = async { drop(silent.wait_for(|silent| *silent).await) };
    tokio::select! {
        biased;
        () = silence => {}
        // A broken connection is the business of the two who speak.
        _ = upstream.pass(&mut near, &mut far) => return,
    }
    std::future::pending::<()>().await;
}

impl Upstream {
    async fn pass(&self, near: &mut TcpStream, far: &mut TcpStream) -> io::Result<()> {
        let Some(renaming) = &self.renaming else { return copy_bidirectional(near, far).await.map(drop) };
        let ((mut asked, to_near), (from_far, mut to_far)) = (near.split(), far.split());
        tokio::select! {
            copied = copy(&mut asked, &mut to_far) => copied.map(drop),
            answered = renaming.pass(from_far, to_near) => answered,
        }
    }
}

impl Renaming {
    /// Every answer is preceded by its length, which the other address doesn't change.
    async fn pass(&self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        loop {
            let length = from.read_u32().await?;
            let mut answer = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            from.read_exact(&mut answer).await?;
            for at in 0..answer.len().saturating_sub(self.from.len() - 1) {
                let here = &mut answer[at..at + self.from.len()];
                if here == self.from {
                    here.copy_from_slice(&self.to);
                }
            }
            to.write_all(&[&length.to_be_bytes(), &*answer].concat()).await?;
        }
    }
}

/// The host's text, then the port as an INT32: <https://kafka.apache.org/protocol>.
fn in_an_answer(address: SocketAddr) -> Vec<u8> {
    let port = u32::from(address.port()).to_be_bytes();
    [address.ip().to_string().as_bytes(), &port].concat()
}

fn bound(to: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a port may be taken again at once");
    socket.bind(to).expect("the port is free");
    socket
}
