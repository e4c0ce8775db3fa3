//! The API keys that the server asks for, as their file has them now. [`crate::serve`] makes one [`Keys`] and
//! runs its watch beside the other background tasks.
//!
//! The file is read twice a second, whole: it is small, and so no time stamp has to be believed, whoever
//! writes it and however: an editor, a rename, a link that is turned to another folder as Kubernetes does.
//! Who writes into the file itself leaves it empty, and then half written, for a moment. So what a look finds
//! counts once the next look finds the same, and an empty file never does.
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
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// A key that is taken out of the file opens nothing after three times this time: two looks have to agree.
const EVERY: Duration = Duration::from_millis(500);
/// For a look; a file on a share that is away may keep its reader for ever.
const WITHIN: Duration = Duration::from_secs(5);

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
    /// A file of comments says that nobody is to be let in; this one says nothing.
    #[error("the file is empty")]
    Empty,
    #[error("the file can't be read: its disk does not answer")]
    Hangs,
}

impl Error {
    fn reasons(&self) -> String {
        match self {
            Self::Unreadable { source } => source.to_string(),
            Self::Faulty { faults } => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Self::Empty | Self::Hangs => self.to_string(),
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
    let mut file = File::of(held);
    let mut reading = None;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = async {
            ticks.tick().await;
            look(&path, &mut reading, WITHIN).await
        };
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            read = next => read,
        };
        match file.has(read) {
            Looked::Same => {}
            Looked::Changed { keys } => tracing::info!(keys, "the API keys have changed"),
            Looked::Broken { error, reasons } => {
                tracing::error!(%error, reasons, "the API keys stay as they are until their file is mended");
            }
        }
    }
}

/// One look. A reading that takes too long is waited for again by the next look: another one would hang beside it.
async fn look(path: &Path, reading: &mut Option<Reading>, within: Duration) -> Result<Keyring, Error> {
    // A disk may be slow. Nobody aborts the task, so what fails here is the reading.
    let under_way = reading.get_or_insert_with(|| {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || read(&path))
    });
    let read = timeout(within, under_way).await.map_err(|_elapsed| Error::Hangs)?;
    *reading = None;
    read.unwrap_or_else(|_ended| Err(Error::Unreadable { source: io::Error::other("it was broken off") }))
}

type Reading = JoinHandle<Result<Keyring, Error>>;

/// What is known of the file.
struct File {
    held: watch::Sender<Keyring>,
    /// What the look before found: the keys, or what was wrong.
    before: Option<Result<Keyring, String>>,
    /// What was last said against it, so that it is said once.
    complaint: Option<String>,
}

/// What there is to say after a look at the file.
#[derive(Debug)]
enum Looked {
    /// As before, whether it was good or not; or not yet known to be otherwise.
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
    const fn of(held: watch::Sender<Keyring>) -> Self {
        Self { held, before: None, complaint: None }
    }

    fn has(&mut self, read: Result<Keyring, Error>) -> Looked {
        let found = read.as_ref().cloned().map_err(Error::reasons);
        if self.before.replace(found.clone()) != Some(found) {
            return Looked::Same;
        }
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
    if text.trim().is_empty() {
        return Err(Error::Empty);
    }
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
    fn a_file_that_is_read_while_it_is_written_locks_nobody_out() {
        let (held, now) = watch::channel(keyring(&["a", "b"]));
        let mut file = File::of(held);
        for (n, half) in [&["a"][..], &[], &["a", "c"], &["a", "b"]].into_iter().enumerate() {
            file.has(Ok(keyring(half)));
            assert_eq!(now.borrow().len(), 2, "{n}");
            assert!(now.borrow().find(b"b").is_some(), "{n}");
        }
    }

    #[test]
    fn a_file_that_is_suddenly_empty_is_a_fault_and_one_that_says_so_locks_everybody_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        for (text, good) in [("", false), (" \n\n", false), ("# nobody\n", true)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).is_ok(), good, "{text:?}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_that_can_never_be_read_holds_up_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (held, _now) = watch::channel(keyring(&["a"]));
        let stop = CancellationToken::new();
        let mut following = tokio::spawn(follow(path.clone(), held, stop.clone()));
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut following).await.is_err(), "it reads");
        stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(2), following).await;
        // Whoever opens the pipe for writing lets the reader go, and with it this test's runtime.
        drop(std::fs::OpenOptions::new().write(true).open(&path).unwrap());
        ended.unwrap().unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_look_that_hangs_ends_in_time_and_the_next_one_waits_for_the_same_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut reading = None;
        for _ in 0..2 {
            let looked = look(&path, &mut reading, Duration::from_millis(20)).await;
            assert!(matches!(looked, Err(Error::Hangs)), "{looked:?}");
        }
        // One reader takes all of it.
        std::fs::write(&path, format!("a default {}\n", Digest::of(b"a"))).unwrap();
        let looked = look(&path, &mut reading, Duration::from_secs(5)).await;
        assert_eq!((looked.unwrap().len(), reading.is_none()), (1, true));
    }

    #[test]
    fn a_faulty_file_is_told_once_until_it_changes_and_the_keys_before_hold() {
        let (held, now) = watch::channel(keyring(&["a"]));
        let mut file = File::of(held);
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
            let again = match &read {
                Ok(keyring) => Ok(keyring.clone()),
                Err(Error::Faulty { faults }) => Err(Error::Faulty { faults: faults.clone() }),
                Err(_) => Err(missing()),
            };
            let first = format!("{:?}", file.has(again));
            assert_eq!(first, "Same", "{n}: one look alone says nothing");
            let looked = format!("{:?}", file.has(read));
            assert!(looked.starts_with(expected), "{n}: {looked}");
            assert_eq!(now.borrow().len(), keys, "{n}");
        }
    }
}
