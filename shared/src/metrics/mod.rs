//! What happened, counted; how long it took; how things are. The use cases record it here, and two outputs show
//! it: [`prometheus`] on the server, [`emf`] on Lambda. What there is, is in [`table`].
//!
//! What becomes of a notification is counted from the writes, where they succeeded ([`Metrics::applied`]): a
//! write whose answer was lost is one write, however often it is repeated. What a process knew when it died is
//! lost with it, so these are for alarms and graphs; the truth is in the records.

pub mod emf;
mod family;
pub mod prometheus;
mod recent;
pub mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::recent::Recent;
use self::table::{Definition, Families, NO_PROVIDER, PASSED, PROCESSED, PUBLISHED, PUT_OFF, WAITING};
use crate::channels::Providers;
use crate::channels::lane::Condition;
use crate::domain::change::GiveUp;
use crate::domain::{Attempt, Change, Channel, ErrorCode, Next, Notification, Outcome, Status};
use crate::service::redrive;
use crate::store::{Applied, Created};

#[derive(Debug)]
pub struct Metrics {
    families: Families,
    /// CloudWatch's, for what is written to stdout. None: nothing is.
    namespace: Option<String>,
    recent: Recent,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Metrics {
    #[must_use]
    pub fn new(namespace: Option<String>) -> Self {
        Self { families: Families::new(namespace.is_some()), namespace, recent: Recent::default() }
    }

    pub fn definitions(&self) -> impl Iterator<Item = Definition> {
        self.families.all().into_iter().map(|family| family.definition)
    }

    /// What came of the put of a new notification.
    pub fn created(&self, new: &Notification, created: &Created) {
        let family = match created {
            Created::New => &self.families.accepted,
            Created::Existing(first) if first.fingerprint == new.fingerprint => &self.families.replayed,
            Created::Existing(_) => &self.families.reused,
            Created::Foreign => return,
        };
        family.add(&[new.channel.as_str()], 1);
    }

    /// What came of a conditional write. Claim, take-over and finish are known by their token, so each is seen
    /// as done once. The others are also done if somebody else was first: [`Recent`] tells.
    pub fn applied(&self, change: &Change, applied: &Applied) {
        let Applied::Done(n) = applied else { return };
        let families = &self.families;
        let channel = n.channel.as_str();
        match change {
            Change::Claim { now, .. } => families.queue_seconds.took(&[channel], n.not_before.until(*now)),
            Change::TakeOver { .. } => families.unknown.add(&[channel, NO_PROVIDER, ErrorCode::LeaseLost.as_str()], 1),
            Change::Finish { attempts, next, .. } => {
                if let Some(attempt) = attempts.last() {
                    self.finished(attempt, next);
                }
            }
            Change::GiveUp { now, reason, .. } if self.recent.is_first(change, *now, n) => {
                families.unknown.add(&[channel, NO_PROVIDER, ErrorCode::LeaseLost.as_str()], 1);
                match reason {
                    GiveUp::Expired => families.expired.add(&[channel], 1),
                    GiveUp::Exhausted => self.failed(n.channel, None, ErrorCode::AttemptsExhausted),
                    GiveUp::RepeatNotAllowed => self.failed(n.channel, None, ErrorCode::LeaseLost),
                }
            }
            Change::Cancel { now, .. } if self.recent.is_first(change, *now, n) => families.cancelled.add(&[channel], 1),
            Change::Expire { now, .. } if self.recent.is_first(change, *now, n) => families.expired.add(&[channel], 1),
            Change::Retry { now, .. } if n.status == Status::Pending && self.recent.is_first(change, *now, n) => {
                families.reopened.add(&[channel], 1);
            }
            Change::GiveUp { .. }
            | Change::Cancel { .. }
            | Change::Expire { .. }
            | Change::Retry { .. }
            | Change::Rearm { .. } => {}
        }
    }

    fn finished(&self, attempt: &Attempt, next: &Next) {
        let families = &self.families;
        let (channel, provider) = (attempt.channel.as_str(), attempt.provider.as_deref());
        let code = attempt.code.map_or("", ErrorCode::as_str);
        let of = [channel, provider.unwrap_or(NO_PROVIDER)];
        if attempt.provider_was_asked() {
            let [channel, provider] = of;
            let time = attempt.took();
            families.provider_seconds.took(&[channel, provider, attempt.outcome.as_str()], time);
        }
        if attempt.outcome == Outcome::Unknown {
            let [channel, provider] = of;
            families.unknown.add(&[channel, provider, code], 1);
        }
        match next {
            Next::Sent { .. } => families.sent.add(&of, 1),
            Next::Failed { code, .. } => self.failed(attempt.channel, provider, *code),
            Next::Expired { .. } => families.expired.add(&[channel], 1),
            Next::Retrying { .. } => {
                let [channel, provider] = of;
                families.retried.add(&[channel, provider, code], 1);
            }
        }
    }

    fn failed(&self, channel: Channel, provider: Option<&str>, code: ErrorCode) {
        self.families.failed.add(&[channel.as_str(), provider.unwrap_or(NO_PROVIDER), code.as_str()], 1);
    }

    pub fn create_took(&self, channel: Channel, time: Duration) {
        self.families.create_seconds.took(&[channel.as_str()], time);
    }

    pub fn poisoned(&self) {
        self.families.poisoned.add(&[], 1);
    }

    /// The end of a run of redrive, and by how much the oldest was overdue; None where it could not look.
    pub fn redrove(&self, report: &redrive::Report, oldest: Option<Duration>) {
        let families = &self.families;
        let redrive::Report { published, processed, passed, put_off, waiting, left } = *report;
        let ways = [(PUBLISHED, published), (PROCESSED, processed), (PASSED, passed), (PUT_OFF, put_off), (WAITING, waiting)];
        for (way, count) in ways {
            families.redriven.add(&[way], u64::from(count));
        }
        families.oldest_due_seconds.set(&[], oldest.map(|age| age.as_secs()));
        families.redrive_left.set(&[], Some(u64::from(left) + u64::from(put_off)));
    }

    /// How the channels are that are on. To be called before an output.
    pub fn observe(&self, providers: &Providers) {
        for lane in providers.lanes() {
            let Some(provider) = lane.name() else { continue };
            let of = [lane.channel().as_str(), provider];
            let left_alone = matches!(lane.condition(), Condition::LeftAlone { .. });
            self.families.left_alone.set(&of, Some(u64::from(left_alone)));
            self.families.attempts_in_flight.set(&of, Some(lane.in_flight()));
        }
    }

    pub fn requests_in_flight(&self, count: usize) {
        self.families.requests_in_flight.set(&[], u64::try_from(count).ok());
    }
}
