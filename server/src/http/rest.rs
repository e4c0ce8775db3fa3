//! What a handler leaves unread of a request's body: read to its end here, where that is little and quick, so that the
//! connection can bear the next request. A client that keeps its connections does not expect one to be closed
//! because, say, a path was not found.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::response::Response;
use futures::StreamExt;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// As much as any body may have that is taken.
const MOST_BYTES: usize = shared::http::body::MOST_BYTES;
const TIME: Duration = Duration::from_secs(1);

/// A body that the handler and the connection share.
#[derive(Clone, Debug)]
pub(super) struct Rest(Arc<Mutex<Incoming>>);

impl Rest {
    pub(super) fn of(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// To be called with the handler's answer. Where too much is left, the answer tells that the connection ends.
    pub(super) async fn read_before(self, mut answer: Response) -> Response {
        if !timeout(TIME, self.read()).await.unwrap_or(false) {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// Whether it came to its end.
    async fn read(self) -> bool {
        let (mut chunks, mut read) = (Body::new(self).into_data_stream(), 0);
        while let Some(Ok(chunk)) = chunks.next().await {
            read += chunk.len();
            if read > MOST_BYTES {
                return false;
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl hyper::body::Body for Rest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}
