//! A gate in front of a server: it lets connections through, refuses them as a closed port does, or takes
//! them and never answers. It keeps its port all the while, so that a client finds it again.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    upstream: String,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Bound and not listening: the port is kept, and connections are refused. Held, never read.
    Closed(#[expect(dead_code, reason = "keeps the port")] TcpSocket),
    Serving(JoinHandle<()>),
    /// Only within a change from one to the other.
    Between,
}

impl Gate {
    /// Before `upstream` (`127.0.0.1:4566`), closed.
    #[must_use]
    pub fn before(upstream: &str) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().expect("its address");
        Self { address, upstream: upstream.to_owned(), state: Mutex::new(State::Closed(socket)) }
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

    /// Connections go through.
    pub async fn open(&self) {
        let listener = self.listen().await;
        let upstream = self.upstream.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let upstream = upstream.clone();
                connections.spawn(async move {
                    let Ok(mut far) = TcpStream::connect(upstream).await else { return };
                    // A broken connection is the business of the two who speak.
                    drop(copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        self.set(State::Serving(serving));
    }

    /// Those that are open are cut; new ones are taken, and nothing is ever answered.
    pub async fn stall(&self) {
        let listener = self.listen().await;
        let serving = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
            }
        });
        self.set(State::Serving(serving));
    }

    async fn listen(&self) -> TcpListener {
        self.end().await;
        bound(self.address).listen(64).expect("the port is ours")
    }

    async fn end(&self) {
        let state = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Between);
        if let State::Serving(serving) = state {
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
        if let State::Serving(serving) = &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            serving.abort();
        }
    }
}

fn bound(to: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a port may be taken again at once");
    socket.bind(to).expect("the port is free");
    socket
}
