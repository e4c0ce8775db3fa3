//! How it stands with the broker, told in the log when it changes and not before.

use rdkafka::error::RDKafkaErrorCode;
use shared::events::kafka::{Fault, Side, missing};

#[derive(Debug, Default)]
pub(super) struct Link {
    state: State,
    /// Each was told, and nothing has disproved it since. librdkafka tells most of them once and never again.
    refused: Vec<RDKafkaErrorCode>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing was heard of it yet.
    #[default]
    Unknown,
    Up,
    Away,
    TopicMissing,
}

impl Link {
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up && self.refused.is_empty()
    }

    /// A record came, or partitions to read, of which a refusal would be told anew.
    pub(super) fn reads(&mut self, topic: &str) {
        self.comes_up(topic, |_code| false);
    }

    /// The group has us, perhaps with nothing to read: of the topic that says nothing.
    pub(super) fn is_member(&mut self, topic: &str) {
        self.comes_up(topic, |code| code == RDKafkaErrorCode::TopicAuthorizationFailed);
    }

    /// A broker told us about the topic, so it knows who we are. A first assignment comes.
    pub(super) fn answered(&mut self, topic: &str) {
        match self.state {
            State::Unknown => {}
            State::Up | State::Away | State::TopicMissing => self.comes_up(topic, is_a_permission),
        }
    }

    fn comes_up(&mut self, topic: &str, may_still_be: impl Fn(RDKafkaErrorCode) -> bool) {
        let was_up = self.is_up();
        self.state = State::Up;
        self.refused.retain(|code| may_still_be(*code));
        if self.is_up() && !was_up {
            tracing::info!(topic, "events are read");
        }
    }

    /// `code`: what the client library, or the broker, says is wrong.
    pub(super) fn down(&mut self, topic: &str, code: RDKafkaErrorCode) {
        match Fault::of(code) {
            Fault::Away if self.state == State::Away => {}
            Fault::Away => {
                tracing::warn!(topic, %code, "kafka is away: trying until it is back");
                self.state = State::Away;
            }
            Fault::TopicMissing if self.state == State::TopicMissing => {}
            Fault::TopicMissing => {
                tracing::error!(topic, %code, "the topic does not exist: trying until it does");
                self.state = State::TopicMissing;
            }
            // What mends one may only bring the next to light: each is told, and once, however they alternate.
            Fault::Refused if self.refused.contains(&code) => {}
            Fault::Refused => {
                let missing = missing(code, Side::EventSource);
                tracing::error!(topic, %code, missing, "kafka refuses us, no waiting mends that: trying all the same");
                self.refused.push(code);
            }
        }
    }

    /// The last refusal that stands, for people.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refused.last().map(|code| match missing(*code, Side::EventSource) {
            Some(missing) => format!("events are not read: {code}: {missing}"),
            None => format!("events are not read: {code}"),
        })
    }
}

/// Of a broker that knows who we are.
const fn is_a_permission(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed};
    matches!(code, ClusterAuthorizationFailed | GroupAuthorizationFailed | TopicAuthorizationFailed)
}

#[cfg(test)]
mod tests {
    use RDKafkaErrorCode::{AllBrokersDown, Authentication, GroupAuthorizationFailed, TopicAuthorizationFailed};

    use super::*;

    #[test]
    fn an_answer_ends_an_outage_and_the_lack_of_the_topic() {
        let mut link = Link::default();
        for code in [AllBrokersDown, RDKafkaErrorCode::UnknownTopicOrPartition] {
            link.down("t", code);
            assert!(!link.is_up());
            link.answered("t");
            assert!(link.is_up());
        }
    }

    #[test]
    fn each_refusal_is_told_once_however_they_alternate() {
        let mut link = Link::default();
        for code in [GroupAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed, GroupAuthorizationFailed] {
            link.down("t", code);
        }
        assert_eq!(link.refused, [GroupAuthorizationFailed, TopicAuthorizationFailed]);
        assert!(link.refusal().is_some_and(|told| told.contains("READ on the topic")), "{:?}", link.refusal());
    }

    #[test]
    fn a_refusal_stands_until_something_disproves_it() {
        let mut link = Link::default();
        for code in [Authentication, GroupAuthorizationFailed, TopicAuthorizationFailed, AllBrokersDown] {
            link.down("t", code);
        }
        link.answered("t");
        assert_eq!(link.refused, [GroupAuthorizationFailed, TopicAuthorizationFailed], "a broker knows who we are");
        link.is_member("t");
        assert_eq!(link.refused, [TopicAuthorizationFailed], "the group has us");
        assert!(!link.is_up() && link.refusal().is_some());
        link.reads("t");
        assert!(link.is_up() && link.refusal().is_none());
    }
}
