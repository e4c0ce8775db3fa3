//! The four spans there are, and all that they tell. Names are those of OpenTelemetry's semantic conventions, as far
//! as they have one: <https://opentelemetry.io/docs/specs/semconv/>. What they ask for and is left out (the
//! path, the client's address, the provider's URL, the key of a message) could name a person or hold a secret.

use super::{Context, Kind, Span, Traces};
use crate::channels::Sent;
use crate::domain::{Channel, ErrorCode, Notification, NotificationId, Outcome};
use crate::events::batch::Place;
use crate::events::{Error, Event};
use crate::telemetry::trail;

const ERROR_TYPE: &str = "error.type";
const NOTIFICATION_ID: &str = "notification.id";
const CHANNEL: &str = "notification.channel";
const ATTEMPT: &str = "notification.attempt";

impl Traces {
    /// One that may change something; `route` is the template of its path.
    pub fn request(&self, method: &'static str, route: &'static str, parent: Option<Context>) -> Span {
        let mut span = self.begin(Kind::Server, method, route, parent);
        span.word("http.request.method", method);
        span.word("http.route", route);
        span
    }

    /// Of an event.
    pub fn publish(&self, topic: &str, event: &Event) -> Span {
        let parent = event.traceparent.as_deref().and_then(Context::parse);
        let mut span = self.begin(Kind::Producer, "send", topic, parent);
        messaging(&mut span, "send", topic);
        span.text(NOTIFICATION_ID, &event.id);
        span.word(CHANNEL, event.channel.as_str());
        span.number(ATTEMPT, event.attempt);
        span
    }

    /// On one record of a batch: whatever becomes of it.
    pub fn work(&self, id: NotificationId, channel: Channel, place: &Place, parent: Option<Context>) -> Span {
        // A topic may have a dash in its name, a partition not.
        let (topic, partition) = place.partition.rsplit_once('-').unwrap_or((&place.partition, ""));
        let mut span = self.begin(Kind::Consumer, "process", topic, parent);
        messaging(&mut span, "process", topic);
        span.text("messaging.destination.partition.id", &partition);
        if let Some(offset) = place.offset {
            span.number("messaging.kafka.offset", offset);
        }
        span.text(NOTIFICATION_ID, &id);
        span.word(CHANNEL, channel.as_str());
        span
    }

    /// One that asks the provider, `within` the work on its event, if there is one. The notification's own context
    /// says to which trace it belongs, whatever the event says; without one the log learns here which it is.
    pub fn attempt(&self, n: &Notification, provider: &'static str, within: Option<Context>) -> Span {
        let stored = n.traceparent.as_deref().and_then(Context::parse);
        let nearest = within.filter(|within| stored.is_none_or(|stored| stored.is_same_trace(*within)));
        let mut span = self.begin(Kind::Client, "attempt", n.channel.as_str(), nearest.or(stored));
        if let (None, Some(context)) = (stored, span.context()) {
            trail::begins_trace(context);
        }
        span.text(NOTIFICATION_ID, &n.id);
        span.word(CHANNEL, n.channel.as_str());
        span.word("notification.provider", provider);
        span.number(ATTEMPT, n.attempt);
        span
    }
}

fn messaging(span: &mut Span, operation: &'static str, topic: &str) {
    span.word("messaging.system", "kafka");
    span.word("messaging.operation.name", operation);
    span.word("messaging.operation.type", operation);
    span.text("messaging.destination.name", &topic);
}

impl Span {
    /// The request was answered; `about` is the notification in the answer, if there is one.
    pub fn answered(&mut self, status: u16, about: Option<(NotificationId, Option<Context>)>) {
        self.number("http.response.status_code", status);
        if status >= 500 {
            self.text(ERROR_TYPE, &status);
            self.fail();
        }
        if let Some((id, created)) = about {
            self.text(NOTIFICATION_ID, &id);
            // A replay or a retry: all else about the notification is in the trace that created it.
            if let (Some(own), Some(created)) = (self.context(), created)
                && !own.is_same_trace(created)
            {
                self.link(created);
            }
        }
    }

    pub fn published(&mut self, published: &Result<(), Error>) {
        match published {
            Ok(()) => {}
            Err(Error::Unavailable { .. }) => self.fail_as("unavailable"),
            Err(Error::Refused { .. }) => self.fail_as("refused"),
        }
    }

    /// What became of the record, in one word.
    pub fn worked(&mut self, result: &'static str) {
        self.word("notification.result", result);
    }

    /// The record could not be worked on.
    pub fn not_worked(&mut self, why: &'static str) {
        self.worked(why);
        self.fail_as(why);
    }

    /// What came of the attempt.
    pub fn sent(&mut self, sent: &Sent) {
        let (outcome, code) = match sent {
            Sent::Accepted { .. } => (Outcome::Accepted, None),
            Sent::Refused { code, .. } => (Outcome::Refused, Some(code)),
            Sent::NotSent { code, .. } => (Outcome::NotSent, Some(code)),
            Sent::Unknown { code, .. } => (Outcome::Unknown, Some(code)),
        };
        self.word("notification.outcome", outcome.as_str());
        if let Some(code) = code.copied().map(ErrorCode::as_str) {
            self.word("notification.code", code);
            self.fail_as(code);
        }
    }

    fn fail_as(&mut self, error_type: &'static str) {
        self.word(ERROR_TYPE, error_type);
        self.fail();
    }
}
