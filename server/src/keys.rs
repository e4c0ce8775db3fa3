//! The API keys that the server asks for, as their file has them now. [`crate::serve`] makes one [`Keys`] and
//! runs its watch beside the other background tasks.
//!
//! The file is read once a second, whole: it is small, and so no time stamp has to be believed, whoever
//! writes it and however: an editor, a rename, a link that is turned to another folder as Kubernetes does.
//! A file that can't be read or has a fault changes nothing: the keys before hold, and one line says why.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::Request;
use shared::access::Caller;
use shared::access::keyring::{Fault, Keyring};
use shared::config::{Environment, KeySettings, SystemEnvironment};
use shared::http::Problem;
use shared::http::access::{Access, Refusal, presented};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// A key that is taken out of the file opens nothing after twice this time.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Keys {
    now: watch::Receiver<Keyring>,
}

impl Access for Keys {
    fn caller(&self, request: &Request) -> Result<Caller, Problem> {
        let found = presented(request.headers()).and_then(|key| self.now.borrow().find(key).ok_or(Refusal::Unknown));
        found.map_err(|why| Problem::Unauthorized { why })
    }
}

#[derive(Debug, Error)]
enum Error {
    #[error("the file can't be read")]
    Unreadable {
        #[source]
        source: io::Error,
    },
    #[error("the file has faults")]
    Faulty { faults: Vec<Fault> },
}

impl Error {
    fn reasons(&self) -> String {
        match self {
            Self::Unreadable { source } => source.to_string(),
            Self::Faulty { faults } => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }
}

/// The keys that were read at start, and what keeps them as the file has them, until `stop`.
pub fn watch(settings: KeySettings, stop: CancellationToken) -> (Keys, impl Future<Output = ()> + Send) {
    let KeySettings { path, keyring } = settings;
    tracing::info!(keys = keyring.len(), "callers need an API key");
    if keyring.is_empty() {
        tracing::warn!("the file of API keys holds none: nobody is let in until it does");
    }
    let (held, now) = watch::channel(keyring);
    (Keys { now }, follow(path, held, stop))
}

async fn follow(path: PathBuf, held: watch::Sender<Keyring>, stop: CancellationToken) {
    let mut file = File { held, complaint: None };
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let path = path.clone();
        // A disk may be slow. Nobody aborts the task, so what fails here is the reading.
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        let read = read.unwrap_or_else(|_ended| Err(Error::Unreadable { source: io::Error::other("it was broken off") }));
        match file.has(read) {
            Looked::Same => {}
            Looked::Changed { keys } => tracing::info!(keys, "the API keys have changed"),
            Looked::Broken { error, reasons } => {
                tracing::error!(%error, reasons, "the API keys stay as they are until their file is mended");
            }
        }
    }
}

/// What is known of the file.
struct File {
    held: watch::Sender<Keyring>,
    /// What was last said against it, so that it is said once.
    complaint: Option<String>,
}

/// What there is to say after a look at the file.
#[derive(Debug)]
enum Looked {
    /// As before, whether it was good or not.
    Same,
    Changed {
        keys: usize,
    },
    Broken {
        error: Error,
        reasons: String,
    },
}

impl File {
    fn has(&mut self, read: Result<Keyring, Error>) -> Looked {
        let keyring = match read {
            Ok(keyring) => keyring,
            Err(error) => {
                let reasons = error.reasons();
                if self.complaint.as_ref() == Some(&reasons) {
                    return Looked::Same;
                }
                self.complaint = Some(reasons.clone());
                return Looked::Broken { error, reasons };
            }
        };
        self.complaint = None;
        let keys = keyring.len();
        let changed = self.held.send_if_modified(|now| {
            let changes = *now != keyring;
            *now = keyring;
            changes
        });
        if changed { Looked::Changed { keys } } else { Looked::Same }
    }
}

fn read(path: &Path) -> Result<Keyring, Error> {
    let text = SystemEnvironment.read_file(path).map_err(|source| Error::Unreadable { source })?;
    Keyring::parse(&text).map_err(|faults| Error::Faulty { faults })
}

#[cfg(test)]
mod tests {
    use shared::access::key::Digest;

    use super::*;

    fn keyring(keys: &[&str]) -> Keyring {
        let lines = keys.iter().map(|key| format!("{key} default {}\n", Digest::of(key.as_bytes())));
        Keyring::parse(&lines.collect::<String>()).unwrap()
    }

    fn faulty(lines: &str) -> Error {
        Error::Faulty { faults: Keyring::parse(lines).unwrap_err() }
    }

    #[test]
    fn a_faulty_file_is_told_once_until_it_changes_and_the_keys_before_hold() {
        let (held, now) = watch::channel(keyring(&["a"]));
        let mut file = File { held, complaint: None };
        let missing = || Error::Unreadable { source: io::Error::from(io::ErrorKind::NotFound) };
        let looks = [
            (Ok(keyring(&["a"])), "Same", 1),
            (Ok(keyring(&["a", "b"])), "Changed", 2),
            (Err(faulty("x")), "Broken", 2),
            (Err(faulty("x")), "Same", 2),
            (Err(faulty("x\ny")), "Broken", 2),
            (Err(missing()), "Broken", 2),
            (Err(missing()), "Same", 2),
            (Ok(keyring(&["a", "b"])), "Same", 2),
            (Err(missing()), "Broken", 2),
            (Ok(keyring(&[])), "Changed", 0),
        ];
        for (n, (read, expected, keys)) in looks.into_iter().enumerate() {
            let looked = format!("{:?}", file.has(read));
            assert!(looked.starts_with(expected), "{n}: {looked}");
            assert_eq!(now.borrow().len(), keys, "{n}");
        }
    }
}
