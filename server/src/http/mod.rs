//! Serves HTTP/1.1 to clients that may be slow, silent, or too many. [`crate::serve`] runs it once.
//!
//! What one connection may take is bounded in every phase of its life ([`state`], enforced by [`socket`]):
//! a head of 16 KiB and 100 fields (else 431), 10 seconds to send it once it has begun, 10 more for the body
//! (`shared::http::body`; what a handler leaves of it is read here, [`rest`]), 10 to take the answer, and
//! `IDLE_TIMEOUT` without a request. There are at most `MAX_CONNECTIONS`; beyond that, those that have waited
//! longest make room ([`places`]).
//!
//! How many requests are worked on at once is another bound, and another module's: `shared::http::work`.

mod files;
mod places;
mod rest;
mod socket;
mod state;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use shared::config::LoadSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use places::{Places, Seat};
use rest::Rest;
use socket::Socket;

/// Of a request's head; and as much of a body or an answer is buffered at once.
const HEAD: usize = 16 * 1024;
/// Before the next try, where the system has no file or no memory for another connection.
const PAUSE: Duration = Duration::from_millis(50);
/// For a client to notice that it was answered, before it has sent all that it wanted to.
const FAREWELL: Duration = Duration::from_secs(1);
/// What keeps being so is logged this often.
const QUIET: Duration = Duration::from_secs(10);

/// Returns once it was told to stop and every request that had arrived is answered. It stops accepting at
/// once; a connection without a request is closed.
pub async fn serve(listener: TcpListener, app: Router, load: LoadSettings, stop: CancellationToken) {
    let places = Places::new(files::room_for(load.max_connections), load.idle_timeout);
    let open = TaskTracker::new();
    let accepting = async {
        let mut quiet_until = Instant::now();
        loop {
            match listener.accept().await {
                Ok((stream, _peer)) => {
                    let seat = places.seat().await;
                    open.spawn(converse(stream, seat, app.clone(), stop.clone()));
                }
                // Gone before it was taken.
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    if Instant::now() >= quiet_until {
                        tracing::warn!(%error, connections = places.taken(), "no connection can be taken now");
                        quiet_until = Instant::now() + QUIET;
                    }
                    places.make_room();
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    open.close();
    open.wait().await;
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

/// One connection, from its first request to its last answer.
async fn converse(stream: TcpStream, seat: Seat, app: Router, stop: CancellationToken) {
    // An answer is one small write: it must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    let state = seat.state();
    let service = service_fn(|request: Request<Incoming>| {
        let (app, state) = (app.clone(), Arc::clone(state));
        Box::pin(async move {
            state.serving();
            let (head, body) = request.into_parts();
            let rest = Rest::of(body);
            let Ok(answer) = app.oneshot(Request::from_parts(head, Body::new(rest.clone()))).await;
            let answer = rest.read_before(answer).await;
            state.answering();
            Ok::<_, Infallible>(answer)
        })
    });
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(state)));
    let mut connection = http1::Builder::new().max_buf_size(HEAD).serve_connection(socket, service);
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => match ended {
                Ok(()) => break,
                Err(error) => {
                    tracing::debug!(%error, "a connection broke off");
                    return;
                }
            },
            () = state.told_to_leave() => if state.is_waiting() { return },
            () = stop.cancelled(), if !stopping => {
                if state.is_waiting() {
                    return;
                }
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    let socket = connection.into_parts().io.into_inner();
    if timeout(FAREWELL, farewell(socket)).await.is_err() {
        tracing::debug!("a client that was answered goes on sending");
    }
}

/// Who was refused may still be sending: a connection that is closed on unread bytes is reset, and the answer may
/// be lost with it.
async fn farewell(mut socket: Socket) {
    let mut unread = [0; 4096];
    if socket.shutdown().await.is_ok() {
        while socket.read(&mut unread).await.is_ok_and(|read| read > 0) {}
    }
}
