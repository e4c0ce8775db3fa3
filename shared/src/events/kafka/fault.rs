//! What a librdkafka error code means for us, and what it last said about the connection. Its delivery
//! reports can't tell a wrong password from a broker that is away: both end as "message timed out". The
//! difference is only in the global error callback, so the last word of that is kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use super::token;

/// librdkafka repeats an unchanged connection error every 30 s. One that is older than this is history.
const REMEMBERED: Duration = Duration::from_secs(45);

/// What may be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Waiting may mend it.
    Away,
    /// The topic isn't there: someone has to create it.
    TopicMissing,
    /// Password, certificate or permission: someone has to change them.
    Refused,
}

impl Fault {
    #[must_use]
    pub const fn of(code: RDKafkaErrorCode) -> Self {
        use RDKafkaErrorCode as Code;
        if matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) {
            return Self::TopicMissing;
        }
        if matches!(
            code,
            Code::Authentication
                | Code::SSL
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::InvalidTopic
                | Code::PolicyViolation
                | Code::MessageSizeTooLarge
        ) {
            return Self::Refused;
        }
        Self::Away
    }
}

/// Who is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Publisher,
    EventSource,
}

/// What the broker has to allow, where that is what it refuses: an ACL's operation, and the action of MSK's IAM.
/// <https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html>
#[must_use]
pub const fn missing(code: RDKafkaErrorCode, side: Side) -> Option<&'static str> {
    match (code, side) {
        (RDKafkaErrorCode::TopicAuthorizationFailed, Side::Publisher) => {
            Some("WRITE on the topic (IAM: kafka-cluster:WriteData, kafka-cluster:DescribeTopic)")
        }
        (RDKafkaErrorCode::ClusterAuthorizationFailed, Side::Publisher) => {
            Some("WRITE on the topic, or IDEMPOTENT_WRITE (IAM: kafka-cluster:WriteDataIdempotently)")
        }
        (RDKafkaErrorCode::TopicAuthorizationFailed, Side::EventSource) => {
            Some("READ on the topic (IAM: kafka-cluster:ReadData, kafka-cluster:DescribeTopic)")
        }
        (RDKafkaErrorCode::GroupAuthorizationFailed, Side::EventSource) => {
            Some("READ on the group (IAM: kafka-cluster:AlterGroup, kafka-cluster:DescribeGroup)")
        }
        _ => None,
    }
}

/// The last thing that was said about the connection, until it works again or is too old to count.
#[derive(Debug, Default)]
pub(super) struct LastWord(Mutex<Option<(RDKafkaErrorCode, Instant)>>);

impl LastWord {
    /// That *all* brokers are down says nothing about why; what came before it does.
    fn heard(&self, code: RDKafkaErrorCode) {
        if code != RDKafkaErrorCode::AllBrokersDown {
            *self.lock() = Some((code, Instant::now()));
        }
    }

    /// The connection works: whatever was wrong with it is not any more.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    pub(super) fn get(&self) -> Option<RDKafkaErrorCode> {
        (*self.lock()).filter(|(_, at)| at.elapsed() < REMEMBERED).map(|(code, _)| code)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(RDKafkaErrorCode, Instant)>> {
        // One assignment: a panic elsewhere can't have left it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// librdkafka's own lines: at most a warning, because whoever uses the client reports what came of it.
/// What it says of each lost connection goes to debug: an outage would repeat it for every try.
pub fn log_line(level: RDKafkaLogLevel, facility: &str, line: &str) {
    let connection = matches!(facility, "FAIL" | "ERROR" | "REQTMOUT");
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
            if !connection =>
        {
            tracing::warn!(facility, "librdkafka: {line}");
        }
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice
        | RDKafkaLogLevel::Info
        | RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {line}"),
    }
}

/// What a producer reports outside of its deliveries.
#[derive(Debug)]
pub(super) struct ProducerEvents {
    pub(super) last_word: Arc<LastWord>,
}

impl ClientContext for ProducerEvents {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// Asked for only where the mechanism is OAUTHBEARER.
    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Ok(token::asked_for()?)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the kafka client reports an error");
        if let Some(code) = error.rdkafka_error_code() {
            self.last_word.heard(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::captured::told_by;

    #[tokio::test(start_paused = true)]
    async fn the_reason_is_kept_when_all_brokers_are_said_to_be_down() {
        let word = LastWord::default();
        word.heard(RDKafkaErrorCode::Authentication);
        word.heard(RDKafkaErrorCode::AllBrokersDown);
        assert_eq!(word.get(), Some(RDKafkaErrorCode::Authentication));
        word.heard(RDKafkaErrorCode::BrokerTransportFailure);
        assert_eq!(word.get(), Some(RDKafkaErrorCode::BrokerTransportFailure));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reason_that_is_not_repeated_is_forgotten() {
        let word = LastWord::default();
        word.heard(RDKafkaErrorCode::SSL);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(word.get(), Some(RDKafkaErrorCode::SSL), "librdkafka repeats it only every 30 s");
        tokio::time::advance(Duration::from_secs(13)).await;
        assert_eq!(word.get(), Some(RDKafkaErrorCode::SSL));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(word.get(), None);
    }

    #[test]
    fn librdkafkas_lines_are_warnings_but_for_those_of_a_lost_connection_and_its_chatter() {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        let client = ProducerEvents { last_word: Arc::default() };
        let told = |level, facility: &str| told_by(|| client.log(level, facility, "a line"));
        let at = |level: &str| [(level.to_owned(), "librdkafka: a line".to_owned())];
        for level in [Emerg, Alert, Critical, Error, Warning] {
            assert_eq!(told(level, "SASLMECHS"), at("WARN"));
            for facility in ["FAIL", "ERROR", "REQTMOUT"] {
                assert_eq!(told(level, facility), at("DEBUG"));
            }
        }
        for level in [Notice, Info, Debug] {
            assert_eq!(told(level, "SASLMECHS"), at("DEBUG"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_works_again_has_no_last_word() {
        let word = LastWord::default();
        word.heard(RDKafkaErrorCode::Authentication);
        word.forget();
        assert_eq!(word.get(), None);
    }

    #[test]
    fn what_no_waiting_mends_is_told_from_what_it_may() {
        assert_eq!(Fault::of(RDKafkaErrorCode::Authentication), Fault::Refused);
        assert_eq!(Fault::of(RDKafkaErrorCode::TopicAuthorizationFailed), Fault::Refused);
        assert_eq!(Fault::of(RDKafkaErrorCode::UnknownTopicOrPartition), Fault::TopicMissing);
        assert_eq!(Fault::of(RDKafkaErrorCode::MessageTimedOut), Fault::Away);
        assert_eq!(Fault::of(RDKafkaErrorCode::QueueFull), Fault::Away);
    }
}
