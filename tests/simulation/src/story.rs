//! What happened in a run, in order: cheap to keep, and written out only for whoever reads it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared::domain::{NotificationId, Status};

/// Who did it. Process 2 in its third life is `p2.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    World,
    Client(usize),
    Process { number: usize, life: u32 },
}

#[derive(Clone, Debug)]
pub enum What {
    Wrote { id: NotificationId, action: &'static str, from: Option<Status>, to: Status, attempt: u32, due: Option<String> },
    Refused { id: NotificationId, action: &'static str, status: Status },
    Fault { port: &'static str, fault: &'static str },
    Frozen { by: Duration },
    Clock { offset_millis: i64 },
    Published { id: NotificationId, attempt: u32, how: &'static str },
    Batch { partition: usize, from: usize, records: usize },
    Send { id: NotificationId, attempt: u32, how: &'static str },
    Asked { id: Option<NotificationId>, what: &'static str },
    Answered { id: Option<NotificationId>, what: &'static str, status: Option<Status> },
    Note(&'static str),
    Broken(String),
}

#[derive(Debug, Default)]
pub struct Story(Mutex<Vec<(Duration, Who, What)>>);

impl Story {
    pub fn tell(&self, at: Duration, who: Who, what: What) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((at, who, what));
    }

    /// The first breach of the contract, if there is one.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().find_map(|(_, _, what)| if let What::Broken(rule) = what { Some(rule.clone()) } else { None })
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, who, what) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(f, "{:>9.3}s  {:<6} {what}", at.as_secs_f64(), who.to_string())?;
        }
        Ok(())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World => f.pad("world"),
            Self::Client(number) => write!(f, "c{number}"),
            Self::Process { number, life } => write!(f, "p{number}.{life}"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrote { id, action, from, to, attempt, due } => {
                let from = from.map_or("nothing", Status::as_str);
                write!(f, "{} {action}: {from} -> {}, attempt {attempt}", short(*id), to.as_str())?;
                due.as_ref().map_or(Ok(()), |due| write!(f, ", due {due}"))
            }
            Self::Refused { id, action, status } => write!(f, "{} {action} refused: {}", short(*id), status.as_str()),
            Self::Fault { port, fault } => write!(f, "! {port}: {fault}"),
            Self::Frozen { by } => write!(f, "! frozen for {:.3} s", by.as_secs_f64()),
            Self::Clock { offset_millis } => write!(f, "! its clock is now off by {offset_millis} ms"),
            Self::Published { id, attempt, how } => write!(f, "{} event for attempt {attempt}: {how}", short(*id)),
            Self::Batch { partition, from, records } => write!(f, "takes {records} records from {partition}@{from}"),
            Self::Send { id, attempt, how } => write!(f, "{} attempt {attempt}: {how}", short(*id)),
            Self::Asked { id, what } => write!(f, "{} asks: {what}", shown(*id)),
            Self::Answered { id, what, status } => {
                write!(f, "{} is answered: {what} {}", shown(*id), status.map_or("", Status::as_str))
            }
            Self::Note(what) => f.write_str(what),
            Self::Broken(rule) => write!(f, "########## BROKEN: {rule}"),
        }
    }
}

fn shown(id: Option<NotificationId>) -> String {
    id.map_or_else(String::new, short)
}

/// Enough of an id to follow it through a story.
#[must_use]
pub fn short(id: NotificationId) -> String {
    id.to_string().chars().skip(31).collect()
}
