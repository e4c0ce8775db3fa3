//! Settings that belong together, each group read in one place for every command that uses it.

use std::fmt;
use std::time::Duration;

use super::environment::Output;
use super::fault::Problem;
use super::reader::{Read, Reader};
use super::security;
use super::table::{self, Setting};
use super::values::{self, Secret, written};
use crate::channels::Limits;
use crate::channels::breaker::Endurance;
use crate::channels::registry::{Binding, BindingError};
use crate::domain::Channel;
use crate::events::{KafkaSettings, Security};
use crate::retry::RetryPolicy;
use crate::service::{OnUnknown, Policy};
use crate::telemetry::{Levels, LogFormat, LogSettings};

/// Which table, and how patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    pub table_name: String,
    /// Of one call, the SDK's own repeats included.
    pub timeout: Duration,
}

impl StoreSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let table_name = reader.value(&table::TABLE_NAME, values::table_name);
        let timeout = reader.time(&table::STORE_TIMEOUT);
        Ok(Self { table_name: table_name?, timeout: timeout? })
    }
}

/// What the server takes on at once, and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadSettings {
    pub max_requests: usize,
    pub max_connections: usize,
    /// Of a connection without a request.
    pub idle_timeout: Duration,
}

impl LoadSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let max_requests = reader.count(&table::MAX_REQUESTS_IN_FLIGHT);
        let max_connections = reader.count(&table::MAX_CONNECTIONS);
        let idle_timeout = reader.time(&table::IDLE_TIMEOUT);
        let wide = |count| usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self { max_requests: wide(max_requests?), max_connections: wide(max_connections?), idle_timeout: idle_timeout? })
    }
}

/// What there is to know of Kafka where its brokers are our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    pub topic: String,
    pub group_id: String,
}

impl TopicSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let topic = reader.value(&table::KAFKA_TOPIC, values::topic);
        let group_id = reader.value(&table::KAFKA_GROUP_ID, values::group_id);
        Ok(Self { topic: topic?, group_id: group_id? })
    }

    /// The settings of a client, once it is known where the brokers listen.
    #[must_use]
    pub fn at(self, bootstrap_servers: String, security: Security, produce_timeout: Duration) -> KafkaSettings {
        let Self { topic, group_id } = self;
        KafkaSettings { bootstrap_servers, security, topic, group_id, produce_timeout }
    }
}

/// What `KAFKA_BOOTSTRAP_SERVERS` says.
pub(super) enum Brokers {
    Unsaid,
    None,
    At(String),
}

pub(super) fn brokers(reader: &mut Reader<'_>) -> Read<Brokers> {
    let said = reader.optional(&table::KAFKA_BOOTSTRAP_SERVERS, |text| match text {
        "none" => Some(Brokers::None),
        _ => values::bootstrap_servers(text).map(Brokers::At),
    });
    Ok(said?.unwrap_or(Brokers::Unsaid))
}

/// The settings of a client of these brokers.
pub(super) fn kafka_at(reader: &mut Reader<'_>, bootstrap_servers: String) -> Read<KafkaSettings> {
    let (topic, security) = (TopicSettings::read(reader), security::security(reader));
    let produce_timeout = reader.time(&table::KAFKA_PRODUCE_TIMEOUT);
    Ok(topic?.at(bootstrap_servers, security?, produce_timeout?))
}

/// Kafka for the functions: none unless brokers are named.
pub(super) fn kafka(reader: &mut Reader<'_>) -> Read<Option<KafkaSettings>> {
    match brokers(reader)? {
        Brokers::Unsaid | Brokers::None => Ok(None),
        Brokers::At(servers) => kafka_at(reader, servers).map(Some),
    }
}

/// Which provider each channel is bound to. A channel that is not listed is off; one is on at least.
#[derive(Clone)]
pub struct ProviderSettings {
    pub bindings: Vec<(Channel, Binding)>,
    pub limits: Limits,
}

/// The channels only: a binding may hold a password or a key.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels: Vec<Channel> = self.bindings.iter().map(|(channel, _)| *channel).collect();
        f.debug_struct("ProviderSettings").field("channels", &channels).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a channel without a provider's URL is bound to.
#[derive(Clone, Copy)]
pub(super) enum Unbound {
    Off,
    Dev,
}

impl ProviderSettings {
    pub(super) fn read(reader: &mut Reader<'_>, unbound: Unbound) -> Read<Self> {
        let secret = Self::webhook_secret(reader);
        // With a secret that can't be read, the URLs are still looked at, as if it were a good one.
        let assumed = secret.clone().unwrap_or_else(|_| Some(Secret::new(ASSUMED_SECRET.to_owned())));
        let bindings = Channel::ALL.map(|channel| {
            let binding = Self::binding(reader, provider_of(channel), assumed.as_ref(), unbound)?;
            Ok(binding.map(|binding| (channel, binding)))
        });
        let limits = limits(reader);
        secret?;
        let bindings = bindings.into_iter().collect::<Read<Vec<_>>>()?;
        let bindings: Vec<_> = bindings.into_iter().flatten().collect();
        if bindings.is_empty() {
            let why = "is not set, and neither is SMS_PROVIDER nor PUSH_PROVIDER: every channel is off, there is nothing to do";
            return Err(reader.report(&table::EMAIL_PROVIDER, Problem::Unfit { why: why.to_owned() }));
        }
        Ok(Self { bindings, limits: limits? })
    }

    /// Looked at whether or not a URL needs it: a fault must not wait until another one is mended.
    fn webhook_secret(reader: &mut Reader<'_>) -> Read<Option<Secret>> {
        let secret = reader.secret(&table::WEBHOOK_SECRET)?;
        match Binding::parse(ANY_WEBHOOK, secret.as_ref().map(Secret::expose)) {
            Err(error @ BindingError::SecretInvalid { .. }) => {
                Err(reader.report(&table::WEBHOOK_SECRET, Problem::Unfit { why: error.to_string() }))
            }
            Ok(_) | Err(_) => Ok(secret),
        }
    }

    fn binding(reader: &mut Reader<'_>, setting: &Setting, secret: Option<&Secret>, unbound: Unbound) -> Read<Option<Binding>> {
        let url = match (reader.secret(setting)?, unbound) {
            (Some(url), _) => url,
            (None, Unbound::Dev) => Secret::new("dev:".to_owned()),
            (None, Unbound::Off) => return Ok(None),
        };
        let bound = Binding::parse(url.expose(), secret.map(Secret::expose));
        bound.map(Some).map_err(|error| reader.report(setting, Problem::Unfit { why: error.to_string() }))
    }
}

/// A URL that asks for a secret, to have one looked at.
const ANY_WEBHOOK: &str = "webhook+http://127.0.0.1/";

/// Never signs anything: where it is used, a fault is on the list and nothing starts.
const ASSUMED_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

const fn provider_of(channel: Channel) -> &'static Setting {
    match channel {
        Channel::Email => &table::EMAIL_PROVIDER,
        Channel::Sms => &table::SMS_PROVIDER,
        Channel::Push => &table::PUSH_PROVIDER,
    }
}

fn limits(reader: &mut Reader<'_>) -> Read<Limits> {
    let email = reader.count(&table::EMAIL_CONCURRENCY);
    let sms = reader.count(&table::SMS_CONCURRENCY);
    let push = reader.count(&table::PUSH_CONCURRENCY);
    let failures = reader.count(&table::PROVIDER_FAILURES);
    let base = reader.time(&table::PROVIDER_PAUSE);
    let cap = reader.time(&table::PROVIDER_PAUSE_CAP);
    let pause = RetryPolicy { base: base?, cap: cap?, max_attempts: u32::MAX };
    Ok(Limits { email: email?, sms: sms?, push: push?, endurance: Endurance { failures: failures?, pause } })
}

pub(super) fn policy(reader: &mut Reader<'_>) -> Read<Policy> {
    let send_timeout = reader.time(&table::SEND_TIMEOUT);
    let lease = reader.time(&table::LEASE);
    let clock_skew = reader.time(&table::CLOCK_SKEW);
    let due_guard = reader.time(&table::DUE_GUARD);
    let retention = reader.time(&table::RETENTION);
    let max_attempts = reader.count(&table::RETRY_MAX_ATTEMPTS);
    let base = reader.time(&table::RETRY_BASE);
    let cap = reader.time(&table::RETRY_CAP);
    let on_unknown = reader.value(&table::ON_UNKNOWN, |text| match text {
        "retry" => Some(OnUnknown::Retry),
        "fail" => Some(OnUnknown::Fail),
        _ => None,
    });
    let (send_timeout, lease, clock_skew) = (send_timeout?, lease?, clock_skew?);
    // A worker sends only while SEND_TIMEOUT + skew remain of its lease, and a take-over waits for another
    // skew on either side: with a shorter lease nobody could ever send.
    let least = send_timeout + 3 * clock_skew;
    if lease < least {
        let (lease, least) = (written(lease), written(least));
        let why = format!("is {lease}, shorter than SEND_TIMEOUT + 3 × CLOCK_SKEW");
        return Err(reader.report_as(table::LEASE.name, Problem::Unfit { why }, format!("at least {least}")));
    }
    let retry = RetryPolicy { base: base?, cap: cap?, max_attempts: max_attempts? };
    let (due_guard, retention, on_unknown) = (due_guard?, retention?, on_unknown?);
    Ok(Policy { send_timeout, lease, clock_skew, due_guard, retention, retry, on_unknown })
}

/// Where CloudWatch has the metrics of a function.
pub(super) fn metrics_namespace(reader: &mut Reader<'_>) -> Read<Option<String>> {
    reader.optional(&table::METRICS_NAMESPACE, values::metrics_namespace)
}

pub(super) fn log(reader: &mut Reader<'_>) -> Read<LogSettings> {
    let format = reader.optional(&table::LOG_FORMAT, |text| match text {
        "json" => Some(LogFormat::Json),
        "text" => Some(LogFormat::Text),
        _ => None,
    });
    let levels = reader.value(&table::RUST_LOG, Levels::parse);
    // Lambda's own variable, not a setting: it only tells where we are.
    let on_lambda = !matches!(reader.environment().get("AWS_LAMBDA_FUNCTION_NAME"), Ok(None));
    let usual = match reader.environment().stderr() {
        Output::Terminal if !on_lambda => LogFormat::Text,
        Output::Terminal | Output::Elsewhere => LogFormat::Json,
    };
    Ok(LogSettings { format: format?.unwrap_or(usual), levels: levels? })
}
