//! What must come of a call, said in advance: the counts of its report or that it fails, and the places that
//! the log names.

use std::collections::{BTreeMap, BTreeSet};

use shared::domain::NotificationId;
use shared::service::process::Report;

use crate::records::{Made, Must};
use crate::world::Fate;

/// What the parts are like during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Calm,
    StoreAway,
    /// The function's time is nearly over when it begins.
    NoTime,
}

/// A record in its partition, and the notification that it names or would name.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) partition: String,
    pub(crate) id: NotificationId,
    pub(crate) made: Made,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// None where the call must fail, so that the batch comes again.
    pub(crate) report: Option<Report>,
    /// Where the poison lies: partition by partition, in the order of the log.
    pub(crate) poison: Vec<(String, Option<i64>)>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) fates: BTreeMap<NotificationId, Fate>,
    /// Those whose one attempt was made, or that were ended.
    pub(crate) over: BTreeSet<NotificationId>,
    failed_once: BTreeSet<NotificationId>,
}

impl Model {
    pub(crate) fn expect(&mut self, batch: &[Placed], weather: Weather) -> Outcome {
        let mut report = Report::default();
        let mut poison = Vec::new();
        for placed in batch {
            match placed.made.must {
                Must::PassOver => report.passed_over += 1,
                Must::CallPoison => {
                    report.poison += 1;
                    poison.push((placed.partition.clone(), placed.made.offset));
                }
                Must::Deliver => *self.count(placed.id, weather, &mut report) += 1,
            }
        }
        // Stable: within a partition the order stays.
        poison.sort_by(|a, b| a.0.cmp(&b.0));
        let asked = batch.iter().any(|placed| placed.made.must == Must::Deliver);
        let reached = report.attempted + report.left > 0;
        Outcome { report: (reached || !asked).then_some(report), poison }
    }

    fn count<'a>(&mut self, id: NotificationId, weather: Weather, report: &'a mut Report) -> &'a mut u32 {
        match weather {
            Weather::StoreAway => return &mut report.failed,
            Weather::NoTime => return &mut report.not_begun,
            Weather::Calm => {}
        }
        match self.fates[&id] {
            Fate::Missing | Fate::NotDue | Fate::Foreign | Fate::Unreadable | Fate::StorePanics => &mut report.left,
            Fate::FailsOnce if self.failed_once.insert(id) => &mut report.failed,
            Fate::Plain | Fate::Expired | Fate::FailsOnce | Fate::ProviderPanics => {
                if self.over.insert(id) {
                    &mut report.attempted
                } else {
                    &mut report.left
                }
            }
        }
    }
}
