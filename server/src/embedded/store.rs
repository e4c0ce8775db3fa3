//! A DynamoDB in the process: SQLite in one file behind DynamoDB's own protocol, on a loopback port. The
//! service talks to it as it talks to AWS.
//!
//! It has a thread and a runtime of its own, because its handlers hold a mutex around SQLite and would
//! stall whatever shares their runtime. One process per folder: a lock file says so, and the system lets
//! go of it however the process ends. What was acknowledged outlives SIGKILL, not a power cut.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dynoxide::{Database, DynoxideError};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// What the file holds when SQLite made it: <https://www.sqlite.org/fileformat2.html#magic_header_string>.
const SQLITE: &[u8; 16] = b"SQLite format 3\0";
const DATA_FILE: &str = "store.db";
const LOCK_FILE: &str = "store.lock";
/// AWS takes up to days for it.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// For requests that are under way when it is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Where the data lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Gone with the process.
    Memory,
    /// Made if it is not there.
    Folder(PathBuf),
}

#[derive(Debug, Error)]
pub enum Error {
    #[error("can't write into the data folder {}", folder.display())]
    NotWritable {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the data folder {} is in use by another server", folder.display())]
    InUse { folder: PathBuf },
    #[error("{} is not a database", file.display())]
    NotADatabase { file: PathBuf },
    #[error("the database can't be opened")]
    Open {
        #[source]
        source: DynoxideError,
    },
    /// SQLite takes paths in UTF-8 only.
    #[error("the path of the data folder {} is not Unicode", folder.display())]
    NotUnicode { folder: PathBuf },
    #[error("the embedded store can't start to serve")]
    Serve {
        #[source]
        source: io::Error,
    },
    #[error("the embedded store ended while it started")]
    Ended,
}

/// Serves until it is stopped or dropped.
#[derive(Debug)]
pub struct EmbeddedStore {
    address: SocketAddr,
    stop: CancellationToken,
    /// Answers (by its end) once the file is closed and the lock is free.
    ended: Option<oneshot::Receiver<()>>,
}

impl EmbeddedStore {
    pub async fn start(place: Place) -> Result<Self, Error> {
        Self::start_sweeping(place, SWEEP_EVERY).await
    }

    async fn start_sweeping(place: Place, sweep_every: Duration) -> Result<Self, Error> {
        let stop = CancellationToken::new();
        let (ready, started) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let stopping = stop.clone();
        std::thread::Builder::new()
            .name("embedded-store".to_owned())
            .spawn(move || {
                serve(&place, sweep_every, &stopping, ready);
                drop::<oneshot::Sender<()>>(end);
            })
            .map_err(|source| Error::Serve { source })?;
        let address = started.await.map_err(|_ended| Error::Ended)??;
        Ok(Self { address, stop, ended: Some(ended) })
    }

    /// For the SDK: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns once the file is closed and another server may open it.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(ended) = self.ended.take() {
            // The sender is dropped, never used: its end is the news.
            ended.await.unwrap_or_default();
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The whole life of the thread. The lock is let go last.
fn serve(place: &Place, sweep_every: Duration, stop: &CancellationToken, ready: oneshot::Sender<Result<SocketAddr, Error>>) {
    let begun = open(place).and_then(|(lock, database)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::Serve { source })?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(|source| Error::Serve { source })?;
        let address = listener.local_addr().map_err(|source| Error::Serve { source })?;
        Ok((lock, database, runtime, listener, address))
    });
    let (lock, database, runtime, listener, address) = match begun {
        Ok(begun) => begun,
        // Nobody listening any more is nobody to tell.
        Err(error) => return drop(ready.send(Err(error))),
    };
    if ready.send(Ok(address)).is_ok() {
        runtime.block_on(until_stopped(listener, database, sweep_every, stop));
    }
    drop(runtime);
    // Not by closing it alone: a child that is being started has a copy of it until it becomes its program.
    if let Some(Err(error)) = lock.map(|lock| lock.unlock()) {
        tracing::warn!(%error, "the data folder could not be unlocked before the end");
    }
}

async fn until_stopped(listener: TcpListener, database: Database, sweep_every: Duration, stop: &CancellationToken) {
    let server = dynoxide::server::serve_with_shutdown(listener, database.clone(), stop.clone().cancelled_owned());
    let sweeper = async {
        let mut rounds = tokio::time::interval(sweep_every);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            if let Err(error) = database.sweep_ttl() {
                tracing::warn!(%error, "the embedded store could not remove what is past its time");
            }
        }
    };
    let out_of_grace = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server => if let Err(error) = ended {
            tracing::error!(%error, "the embedded store ended");
        },
        () = sweeper => {}
        () = out_of_grace => {}
    }
}

/// The lock on the folder, held until the file is closed. Nothing is locked in memory.
fn open(place: &Place) -> Result<(Option<File>, Database), Error> {
    let (lock, database) = match place {
        Place::Memory => (None, Database::memory()),
        Place::Folder(folder) => {
            let lock = lock(folder)?;
            let file = folder.join(DATA_FILE);
            require_database(folder, &file)?;
            let path = file.to_str().ok_or_else(|| Error::NotUnicode { folder: folder.clone() })?;
            (Some(lock), Database::new(path))
        }
    };
    let database = database.map_err(|source| Error::Open { source })?;
    // It sets `synchronous=NORMAL`: without it SQLite waits for the disk at each commit.
    database.disable_bulk_loading().map_err(|source| Error::Open { source })?;
    Ok((lock, database))
}

fn lock(folder: &Path) -> Result<File, Error> {
    let not_writable = |source| Error::NotWritable { folder: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(not_writable)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(LOCK_FILE)).map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(not_writable(source)),
    }
}

/// Looks at the file before SQLite does, for its message on a file of somebody else's says little.
fn require_database(folder: &Path, path: &Path) -> Result<(), Error> {
    let not_writable = |source| Error::NotWritable { folder: folder.to_owned(), source };
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            return Err(Error::NotADatabase { file: path.to_owned() });
        }
        Err(error) => return Err(not_writable(error)),
    };
    let mut header = Vec::new();
    file.take(16).read_to_end(&mut header).map_err(not_writable)?;
    // An empty one is what a crash right after its creation leaves.
    if header.is_empty() || header == SQLITE { Ok(()) } else { Err(Error::NotADatabase { file: path.to_owned() }) }
}

#[cfg(test)]
mod tests;
