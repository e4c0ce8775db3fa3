//! How it stands with the broker, told in the log when it changes and not before.

use rdkafka::error::RDKafkaErrorCode;
use shared::events::kafka::{Fault, Side, missing};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing was heard of it yet.
    #[default]
    Unknown,
    Up,
    Away,
    TopicMissing,
    /// For each of these, and each was told.
    Refused(Vec<RDKafkaErrorCode>),
}

impl Link {
    pub(super) fn up(&mut self, topic: &str) {
        if *self != Self::Up {
            tracing::info!(topic, "events are read");
            *self = Self::Up;
        }
    }

    /// An outage, or the lack of the topic, is over; a refusal may not be, and a first assignment comes.
    pub(super) fn answered(&mut self, topic: &str) {
        match self {
            Self::Away | Self::TopicMissing => self.up(topic),
            Self::Unknown | Self::Up | Self::Refused(_) => {}
        }
    }

    /// `code`: what the client library, or the broker, says is wrong.
    pub(super) fn down(&mut self, topic: &str, code: RDKafkaErrorCode) {
        match Fault::of(code) {
            Fault::Away if *self == Self::Away => {}
            Fault::Away => {
                tracing::warn!(topic, %code, "kafka is away: trying until it is back");
                *self = Self::Away;
            }
            Fault::TopicMissing if *self == Self::TopicMissing => {}
            Fault::TopicMissing => {
                tracing::error!(topic, %code, "the topic does not exist: trying until it does");
                *self = Self::TopicMissing;
            }
            Fault::Refused => self.refused(topic, code),
        }
    }

    /// The last one, for people.
    pub(super) fn refusal(&self) -> Option<String> {
        let Self::Refused(told) = self else { return None };
        told.last().map(|code| match missing(*code, Side::EventSource) {
            Some(missing) => format!("events are not read: {code}: {missing}"),
            None => format!("events are not read: {code}"),
        })
    }

    /// What mends one refusal may only bring the next to light: each is told, and once, however they alternate.
    fn refused(&mut self, topic: &str, code: RDKafkaErrorCode) {
        let mut told = if let Self::Refused(told) = self { std::mem::take(told) } else { Vec::new() };
        if !told.contains(&code) {
            let missing = missing(code, Side::EventSource);
            tracing::error!(topic, %code, missing, "kafka refuses us, no waiting mends that: trying all the same");
            told.push(code);
        }
        *self = Self::Refused(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_an_outage_but_not_a_refusal() {
        let mut link = Link::default();
        link.down("t", RDKafkaErrorCode::AllBrokersDown);
        assert_eq!(link, Link::Away);
        link.answered("t");
        assert_eq!(link, Link::Up);
        link.down("t", RDKafkaErrorCode::UnknownTopicOrPartition);
        assert_eq!(link, Link::TopicMissing);
        link.down("t", RDKafkaErrorCode::GroupAuthorizationFailed);
        link.answered("t");
        assert_eq!(link, Link::Refused(vec![RDKafkaErrorCode::GroupAuthorizationFailed]));
        assert!(link.refusal().is_some());
        link.up("t");
        assert_eq!((link.refusal(), link), (None, Link::Up));
    }

    #[test]
    fn each_refusal_is_told_once_however_they_alternate() {
        let mut link = Link::default();
        let (group, topic) = (RDKafkaErrorCode::GroupAuthorizationFailed, RDKafkaErrorCode::TopicAuthorizationFailed);
        for code in [group, group, topic, group, topic] {
            link.down("t", code);
        }
        assert_eq!(link, Link::Refused(vec![group, topic]));
        assert!(link.refusal().is_some_and(|told| told.contains("READ on the topic")), "{:?}", link.refusal());
        link.down("t", RDKafkaErrorCode::AllBrokersDown);
        link.down("t", topic);
        assert_eq!(link, Link::Refused(vec![topic]), "an outage lies between");
    }
}
