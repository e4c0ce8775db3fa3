//! How it stands with the broker, told in the log when it changes and not before.

use rdkafka::error::RDKafkaErrorCode;
use shared::events::kafka::{Fault, Side, missing};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing was heard of it yet.
    #[default]
    Unknown,
    Up,
    Down(Fault),
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
            Self::Down(Fault::Away | Fault::TopicMissing) => self.up(topic),
            Self::Unknown | Self::Up | Self::Down(Fault::Refused) => {}
        }
    }

    /// `code`: what the client library, or the broker, says is wrong.
    pub(super) fn down(&mut self, topic: &str, code: RDKafkaErrorCode) {
        let fault = Fault::of(code);
        if *self == Self::Down(fault) {
            return;
        }
        *self = Self::Down(fault);
        match fault {
            Fault::Away => tracing::warn!(topic, %code, "kafka is away: trying until it is back"),
            Fault::TopicMissing => tracing::error!(topic, %code, "the topic does not exist: trying until it does"),
            Fault::Refused => {
                let missing = missing(code, Side::EventSource);
                tracing::error!(topic, %code, missing, "kafka refuses us, no waiting mends that: trying all the same");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_an_outage_but_not_a_refusal() {
        let mut link = Link::default();
        link.down("t", RDKafkaErrorCode::AllBrokersDown);
        assert_eq!(link, Link::Down(Fault::Away));
        link.answered("t");
        assert_eq!(link, Link::Up);
        link.down("t", RDKafkaErrorCode::UnknownTopicOrPartition);
        assert_eq!(link, Link::Down(Fault::TopicMissing));
        link.down("t", RDKafkaErrorCode::GroupAuthorizationFailed);
        link.answered("t");
        assert_eq!(link, Link::Down(Fault::Refused));
        link.up("t");
        assert_eq!(link, Link::Up);
    }
}
