//! What is logged, for the tests that look at it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::subscriber::DefaultGuard;

/// What was written, shared with whoever looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    /// Takes whatever this thread logs, at every level, until the guard is dropped.
    pub(crate) fn start(&self) -> DefaultGuard {
        let to = self.clone();
        let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(move || to.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("a line is one JSON object")).collect()
    }
}

/// Level and message of each line that `work` logs.
pub(crate) fn told_by(work: impl FnOnce()) -> Vec<(String, String)> {
    let captured = Captured::default();
    let guard = captured.start();
    work();
    drop(guard);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    captured.lines().iter().map(|line| (text(&line["level"]), text(&line["fields"]["message"]))).collect()
}
