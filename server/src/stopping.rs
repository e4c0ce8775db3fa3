//! SIGTERM and SIGINT, as a token.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::fatal::Fatal;

/// Cancelled by the first signal. A second one finds the default handlers gone: the drain is bounded.
pub fn on_signal() -> Result<CancellationToken, Fatal> {
    let caught = |kind| signal(kind).map_err(|source| Fatal::Signal { source });
    let (mut term, mut int) = (caught(SignalKind::terminate())?, caught(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("stopping: nothing new is accepted or claimed");
        stopping.cancel();
    });
    Ok(stop)
}
