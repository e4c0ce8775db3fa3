//! One span while it lasts. It ends when it is dropped, so it is told of whatever ends it: an answer, a panic, a
//! client that hung up.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::Context;
use super::recorder::Recorder;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Server,
    Producer,
    Consumer,
    Client,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

/// What is told of a span that has ended.
#[derive(Clone, Debug)]
pub struct Record {
    pub name: String,
    pub kind: Kind,
    pub context: Context,
    pub parent: Option<Context>,
    /// Of another trace that it is about.
    pub link: Option<Context>,
    /// In nanoseconds since 1970.
    pub begun: u64,
    pub ended: u64,
    pub attributes: Vec<(&'static str, Value)>,
    pub failed: bool,
}

/// Costs nothing where traces are off, and is only a context where this trace is not recorded.
#[derive(Debug, Default)]
#[must_use = "a span ends when it is dropped"]
pub struct Span {
    context: Option<Context>,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    record: Record,
    recorder: Arc<Recorder>,
}

impl Span {
    pub(super) const fn unrecorded(context: Context) -> Self {
        Self { context: Some(context), open: None }
    }

    pub(super) fn recorded(record: Record, recorder: Arc<Recorder>) -> Self {
        Self { context: Some(record.context), open: Some(Box::new(Open { record, recorder })) }
    }

    /// What is caused within it has this as its parent. None: traces are off.
    #[must_use]
    pub const fn context(&self) -> Option<Context> {
        self.context
    }

    /// The text is written down only where it is recorded.
    pub(super) fn text(&mut self, name: &'static str, text: &dyn fmt::Display) {
        if let Some(open) = &mut self.open {
            open.record.attributes.push((name, Value::Text(Cow::Owned(text.to_string()))));
        }
    }

    pub(super) fn word(&mut self, name: &'static str, word: &'static str) {
        if let Some(open) = &mut self.open {
            open.record.attributes.push((name, Value::Text(Cow::Borrowed(word))));
        }
    }

    pub(super) fn number(&mut self, name: &'static str, number: impl Into<i64>) {
        if let Some(open) = &mut self.open {
            open.record.attributes.push((name, Value::Number(number.into())));
        }
    }

    pub(super) fn fail(&mut self) {
        if let Some(open) = &mut self.open {
            open.record.failed = true;
        }
    }

    pub(super) fn link(&mut self, to: Context) {
        if let Some(open) = &mut self.open {
            open.record.link = Some(to);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let Open { record, recorder } = *open;
            recorder.end(record);
        }
    }
}
