//! Every setting, once: what it is for, what it may be, what it is where nothing is said. The reader
//! takes defaults and bounds from here, and `docs/settings.md` shows what [`markdown`] writes.

use std::fmt;
use std::time::Duration;

use super::values;

/// The programs that read settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    Create,
    Get,
    Process,
    Redrive,
    Server,
    Stack,
    CreateTable,
    CreateTopics,
    Health,
}

impl Command {
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Get,
        Self::Process,
        Self::Redrive,
        Self::Server,
        Self::Stack,
        Self::CreateTable,
        Self::CreateTopics,
        Self::Health,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::Process => "process",
            Self::Redrive => "redrive",
            Self::Server => "server",
            Self::Stack => "server stack",
            Self::CreateTable => "server create-table",
            Self::CreateTopics => "server create-topics",
            Self::Health => "server health",
        }
    }
}

/// What a value has to be. Its `Display` is what the operator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Time {
        least: Duration,
        most: Duration,
    },
    Count {
        least: u32,
        most: u32,
    },
    OneOf(&'static [&'static str]),
    /// Told in words, checked by the function that parses it.
    Words(&'static str),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time { least, most } => {
                write!(f, "{} to {}, a whole number with ms, s, m, h or d", values::written(*least), values::written(*most))
            }
            Self::Count { least, most } => write!(f, "a whole number from {least} to {most}"),
            Self::OneOf(words) => f.write_str(&words.join(", ")),
            Self::Words(words) => f.write_str(words),
        }
    }
}

/// What holds where a setting is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    Value(&'static str),
    /// No value: what its absence means.
    Absent(&'static str),
}

/// Whether a value may be shown. One that may not can also come from elsewhere: from a file, by the twin
/// `<NAME>_FILE`, or out of AWS, by `<NAME>_ARN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    Plain,
    Secret,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    pub meaning: &'static str,
    pub rule: Rule,
    pub default: Default,
    pub example: &'static str,
    pub sensitivity: Sensitivity,
    pub used_by: &'static [Command],
}

impl Setting {
    /// The variable that names a file instead, where there is one.
    #[must_use]
    pub fn file_twin(&self) -> Option<String> {
        self.twin("FILE")
    }

    /// The variable that names a secret or a parameter in AWS instead, where there is one.
    #[must_use]
    pub fn arn_twin(&self) -> Option<String> {
        self.twin("ARN")
    }

    fn twin(&self, of: &str) -> Option<String> {
        match self.sensitivity {
            Sensitivity::Plain => None,
            Sensitivity::Secret => Some(format!("{}_{of}", self.name)),
        }
    }
}

const fn time(least: Duration, most: Duration) -> Rule {
    Rule::Time { least, most }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

const WITH_STORE: &[Command] =
    &[Command::Create, Command::Get, Command::Process, Command::Redrive, Command::Server, Command::Stack, Command::CreateTable];
/// Those that have work to do; `health` only asks whether it is being done.
const WORKING: &[Command] = &[
    Command::Create,
    Command::Get,
    Command::Process,
    Command::Redrive,
    Command::Server,
    Command::Stack,
    Command::CreateTable,
    Command::CreateTopics,
];
const SENDING: &[Command] = &[Command::Create, Command::Process, Command::Redrive, Command::Server];
const WITH_KAFKA: &[Command] = &[Command::Create, Command::Redrive, Command::Server, Command::Stack];
const PRODUCING: &[Command] = &[Command::Create, Command::Redrive, Command::Server];
/// Also `create-topics`, which reads and writes no event.
const CONNECTING: &[Command] = &[Command::Create, Command::Redrive, Command::Server, Command::Stack, Command::CreateTopics];

/// Those that begin spans.
const TRACING: &[Command] = SENDING;

const CONCURRENCY: Rule = Rule::Count { least: 1, most: 10_000 };
const PROVIDER: Rule = Rule::Words("dev:, webhook+http://… or webhook+https://…");
const PROVIDER_ABSENT: Default = Default::Absent("`dev:` on the server with `STORE=embedded`, else the channel is off");

macro_rules! settings {
    ($($name:ident: $meaning:literal, $rule:expr, $default:expr, $example:literal, $sensitivity:ident, $used_by:expr;)*) => {
        $(
            #[doc = $meaning]
            pub static $name: Setting = Setting {
                name: stringify!($name),
                meaning: $meaning,
                rule: $rule,
                default: $default,
                example: $example,
                sensitivity: Sensitivity::$sensitivity,
                used_by: $used_by,
            };
        )*

        /// In the order of the manual.
        pub static ALL: &[&Setting] = &[$(&$name),*];
    };
}

settings! {
    TABLE_NAME: "The DynamoDB table.",
        Rule::Words("3 to 255 of A-Z a-z 0-9 _ . -"), Default::Value("notifications"), "notifications-staging", Plain, WITH_STORE;
    STORE_TIMEOUT: "How long one call of the store may take, the SDK's own repeats included.",
        time(MILLISECOND, Duration::from_secs(30)), Default::Value("3s"), "2s", Plain, WITH_STORE;
    KAFKA_BOOTSTRAP_SERVERS: "The brokers to begin with. `none`: sync mode, without Kafka.",
        Rule::Words("host:port[,host:port…], or none"),
        Default::Absent("sync mode; the embedded broker on the server and the stack with `STORE=embedded`"),
        "b-1.kafka.example:9092,b-2.kafka.example:9092", Plain, CONNECTING;
    KAFKA_TOPIC: "The topic of the events.",
        Rule::Words("1 to 249 of A-Z a-z 0-9 _ . -, and neither . nor .."), Default::Value("notification-events"),
        "notification-events", Plain, CONNECTING;
    KAFKA_GROUP_ID: "The consumer group that hands events to `process`.",
        Rule::Words("1 to 255 visible ASCII characters"), Default::Value("notification-process"),
        "notification-process", Plain, WITH_KAFKA;
    KAFKA_PRODUCE_TIMEOUT: "How long an event may take to be acknowledged; after that the notification is processed at once.",
        time(MILLISECOND, MINUTE), Default::Value("1s"), "500ms", Plain, PRODUCING;
    KAFKA_SECURITY_PROTOCOL: "Whether the brokers speak TLS (`SSL`), ask who we are (`SASL`), or both.",
        Rule::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Default::Value("PLAINTEXT"), "SASL_SSL", Plain, CONNECTING;
    KAFKA_SASL_MECHANISM: "How we say who we are. `AWS_MSK_IAM`: by AWS's own credentials and `AWS_REGION`, over `SASL_SSL`.",
        Rule::OneOf(&["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "AWS_MSK_IAM"]), Default::Absent("none; needed with `SASL_…`"),
        "SCRAM-SHA-512", Plain, CONNECTING;
    KAFKA_SASL_USERNAME: "The user, for SCRAM and PLAIN.",
        Rule::Words("any text"), Default::Absent("none"), "notifications", Secret, CONNECTING;
    KAFKA_SASL_PASSWORD: "The user's password.",
        Rule::Words("any text"), Default::Absent("none"), "…", Secret, CONNECTING;
    KAFKA_CA_PEM: "Who signed the brokers' certificates, where that is nobody whom the system trusts.",
        Rule::Words("certificates in PEM"), Default::Absent("the system's"), "-----BEGIN CERTIFICATE-----…", Secret, CONNECTING;
    KAFKA_CERTIFICATE_PEM: "Our own certificate, with its chain, where the brokers ask for one (mTLS).",
        Rule::Words("certificates in PEM"), Default::Absent("none"), "-----BEGIN CERTIFICATE-----…", Secret, CONNECTING;
    KAFKA_KEY_PEM: "The key of our own certificate, without a password.",
        Rule::Words("a private key in PEM"), Default::Absent("none"), "-----BEGIN PRIVATE KEY-----…", Secret, CONNECTING;
    KAFKA_TOPIC_PARTITIONS: "Into how many partitions a new topic is cut: as many workers can read it side by side.",
        Rule::Count { least: 1, most: 1000 }, Default::Value("12"), "24", Plain, &[Command::CreateTopics];
    KAFKA_TOPIC_REPLICATION: "On how many brokers each partition of a new topic is. With 3 or more, 2 must have an event before it counts.",
        Rule::Count { least: 1, most: 100 }, Default::Value("3"), "1", Plain, &[Command::CreateTopics];
    KAFKA_TOPIC_RETENTION: "How long a new topic keeps an event. What was lost from it is still in the `due` index.",
        time(MINUTE, Duration::from_secs(365 * 24 * 3600)), Default::Value("7d"), "1d", Plain, &[Command::CreateTopics];
    EMAIL_PROVIDER: "Who sends e-mail.",
        PROVIDER, PROVIDER_ABSENT, "webhook+https://mail.example/send", Secret, SENDING;
    SMS_PROVIDER: "Who sends SMS.",
        PROVIDER, PROVIDER_ABSENT, "webhook+https://sms.example/send", Secret, SENDING;
    PUSH_PROVIDER: "Who sends push messages.",
        PROVIDER, PROVIDER_ABSENT, "webhook+https://push.example/send", Secret, SENDING;
    WEBHOOK_SECRET: "The key by which webhook calls are signed (Standard Webhooks). Needed where a provider is a webhook.",
        Rule::Words("whsec_ and the key in Base64"), Default::Absent("none"), "whsec_…", Secret, SENDING;
    EMAIL_CONCURRENCY: "How many attempts to send e-mail may be under way at once, in each process.",
        CONCURRENCY, Default::Value("64"), "16", Plain, SENDING;
    SMS_CONCURRENCY: "How many attempts to send SMS may be under way at once, in each process.",
        CONCURRENCY, Default::Value("64"), "16", Plain, SENDING;
    PUSH_CONCURRENCY: "How many attempts to send push messages may be under way at once, in each process.",
        CONCURRENCY, Default::Value("64"), "200", Plain, SENDING;
    PROVIDER_FAILURES: "After how many failed attempts in a row, of whatever notifications, a channel's provider is left alone for a while.",
        Rule::Count { least: 1, most: 1_000_000 }, Default::Value("10"), "50", Plain, SENDING;
    PROVIDER_PAUSE: "How long it is left alone first. Then one attempt tries it; each one that fails makes the next pause twice as long. Half of it is random.",
        time(MILLISECOND, HOUR), Default::Value("10s"), "1m", Plain, SENDING;
    PROVIDER_PAUSE_CAP: "The longest such pause, a provider's `Retry-After` included.",
        time(MILLISECOND, DAY), Default::Value("5m"), "1h", Plain, SENDING;
    SEND_TIMEOUT: "How long a provider may take for one attempt.",
        time(MILLISECOND, Duration::from_secs(15 * 60)), Default::Value("5s"), "10s", Plain, SENDING;
    LEASE: "How long a claimed notification is its worker's; at least `SEND_TIMEOUT` + 3 × `CLOCK_SKEW`.",
        time(MILLISECOND, DAY), Default::Value("60s"), "2m", Plain, SENDING;
    CLOCK_SKEW: "How far two machines' clocks may be apart.",
        time(Duration::ZERO, Duration::from_secs(5 * 60)), Default::Value("5s"), "1s", Plain, SENDING;
    DUE_GUARD: "How long the fast path has before redrive looks at a notification.",
        time(MILLISECOND, HOUR), Default::Value("30s"), "1m", Plain, SENDING;
    RETRY_MAX_ATTEMPTS: "Attempts of one budget, the first included.",
        Rule::Count { least: 1, most: 1000 }, Default::Value("30"), "8", Plain, SENDING;
    RETRY_BASE: "The first retry's wait; each further one waits twice as long. Half of it is random.",
        time(MILLISECOND, DAY), Default::Value("10s"), "30s", Plain, SENDING;
    RETRY_CAP: "The longest wait, a provider's `Retry-After` included.",
        time(MILLISECOND, Duration::from_secs(30 * 24 * 3600)), Default::Value("1h"), "6h", Plain, SENDING;
    ON_UNKNOWN: "Whether an attempt follows one whose end nobody knows, where the provider does not drop repeats.",
        Rule::OneOf(&["retry", "fail"]), Default::Value("retry"), "fail", Plain, SENDING;
    RETENTION: "How long a notification is kept once it is final; its idempotency key holds as long.",
        time(SECOND, Duration::from_secs(3650 * 24 * 3600)), Default::Value("90d"), "30d", Plain, SENDING;
    REDRIVE_INTERVAL: "How often redrive runs.",
        time(MILLISECOND, HOUR), Default::Value("1s"), "5s", Plain, &[Command::Server, Command::Stack];
    LISTEN_ADDR: "Where HTTP is served. Port 0: any free one, printed.",
        Rule::Words("address:port, as in 127.0.0.1:8080 or [::1]:8080"), Default::Value("127.0.0.1:8080"),
        "0.0.0.0:8080", Plain, &[Command::Server, Command::Health];
    MAX_REQUESTS_IN_FLIGHT: "How many requests are worked on at once; the next one is answered 503 at once. Health is not counted.",
        Rule::Count { least: 1, most: 100_000 }, Default::Value("256"), "64", Plain, &[Command::Server];
    MAX_CONNECTIONS: "How many connections are open at once. Beyond that, those are closed that have been without a request the longest.",
        Rule::Count { least: 1, most: 1_000_000 }, Default::Value("1024"), "4096", Plain, &[Command::Server];
    METRICS_LISTEN_ADDR: "Where `/metrics` is served to Prometheus. There is nothing personal in it, and nobody is asked who they are.",
        Rule::Words("address:port, as in 127.0.0.1:9464"), Default::Absent("it is not served"), "127.0.0.1:9464", Plain, &[Command::Server];
    METRICS_NAMESPACE: "The CloudWatch namespace of the metrics, which are written to stdout in the embedded metric format.",
        Rule::Words("1 to 255 of A-Z a-z 0-9 . - _ / # :, beginning with neither `AWS/` nor `:`"), Default::Absent("they are not written"),
        "notifications-prod", Plain, &[Command::Create, Command::Process, Command::Redrive];
    OTEL_EXPORTER_OTLP_ENDPOINT: "OpenTelemetry's own: the collector that takes traces, by OTLP over HTTP in protobuf. `/v1/traces` is appended.",
        Rule::Words("http://… or https://…, without credentials or query"), Default::Absent("there are no traces"),
        "http://127.0.0.1:4318", Plain, TRACING;
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "OpenTelemetry's own: the whole URL that takes traces, in the other one's place.",
        Rule::Words("http://… or https://…, without credentials or query"), Default::Absent("`OTEL_EXPORTER_OTLP_ENDPOINT`"),
        "https://collector.example/v1/traces", Plain, TRACING;
    OTEL_EXPORTER_OTLP_HEADERS: "OpenTelemetry's own: headers for the collector, such as a key.",
        Rule::Words("name=value[,name=value…], values percent-encoded"), Default::Absent("none"),
        "authorization=Bearer%20a-key", Secret, TRACING;
    OTEL_SERVICE_NAME: "OpenTelemetry's own: by which name the traces call us.",
        Rule::Words("1 to 255 visible ASCII characters"), Default::Absent("`notification-` and the program: `notification-create`"),
        "notifications-prod", Plain, TRACING;
    OTEL_TRACES_SAMPLER: "OpenTelemetry's own: which traces are recorded. `parentbased_…`: a caller's `traceparent` decides, where there is one.",
        Rule::OneOf(&["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"]),
        Default::Value("parentbased_always_on"), "parentbased_traceidratio", Plain, TRACING;
    OTEL_TRACES_SAMPLER_ARG: "OpenTelemetry's own: the share of the traces that `…traceidratio` records.",
        Rule::Words("a number from 0 to 1"), Default::Value("1"), "0.1", Plain, TRACING;
    IDLE_TIMEOUT: "How long a connection may be without a request; longer than a load balancer in front keeps its own open.",
        time(SECOND, HOUR), Default::Value("75s"), "5m", Plain, &[Command::Server];
    API_KEYS_FILE: "The file of the API keys that callers need. It is read again when it changes.",
        Rule::Words("the path of a file of lines `name tenant sha256`"), Default::Absent("nobody is asked who they are"),
        "/run/secrets/api-keys", Plain, &[Command::Server];
    ALLOW_ANONYMOUS: "Whether it may be served beyond loopback without authentication. Not with `API_KEYS_FILE`.",
        Rule::OneOf(&["true", "false"]), Default::Value("false"), "true", Plain, &[Command::Server];
    TENANT_CLAIM: "The claim of a JWT that names the tenant. Who has none is refused.",
        Rule::Words("1 to 255 visible ASCII characters"), Default::Absent("all are of the tenant `default`"), "tenant", Plain,
        &[Command::Create, Command::Get];
    STORE: "`embedded`: a DynamoDB in a file under `DATA_DIR`. `dynamodb`: by the AWS SDK's own endpoint and credentials.",
        Rule::OneOf(&["embedded", "dynamodb"]), Default::Value("embedded"), "dynamodb", Plain,
        &[Command::Server, Command::Stack, Command::CreateTable];
    DATA_DIR: "Where the embedded store keeps its file. Read with `STORE=embedded` only.",
        Rule::Words("the path of a folder"), Default::Value("./data"), "/var/lib/notifications", Plain,
        &[Command::Server, Command::Stack, Command::CreateTable];
    AWS_ENDPOINT_URL_LAMBDA: "AWS's own: where the functions are called.",
        Rule::Words("http://… or https://…, without credentials or query"), Default::Value("http://127.0.0.1:9000"),
        "http://127.0.0.1:9000", Plain, &[Command::Stack];
    LOG_FORMAT: "How log lines are written, to stderr.",
        Rule::OneOf(&["json", "text"]), Default::Absent("`text` where stderr is a terminal and this is no Lambda function, else `json`"),
        "json", Plain, WORKING;
    RUST_LOG: "How much our own crates log. Other crates never log below `warn`, whatever this says.",
        Rule::Words("off, error, warn, info, debug or trace, and target=level for parts, separated by commas"),
        Default::Value("info"), "info,shared::store=debug", Plain, WORKING;
}

/// The table of `docs/settings.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text =
        String::from("| name | meaning | allowed | default | example | read by |\n| --- | --- | --- | --- | --- | --- |\n");
    for setting in ALL {
        let twins = [setting.file_twin(), setting.arn_twin()].into_iter().flatten();
        let twins: String = twins.map(|twin| format!(", `{twin}`")).collect();
        let default = match setting.default {
            Default::Value(value) => format!("`{value}`"),
            Default::Absent(words) => words.to_owned(),
        };
        let readers = if setting.used_by == WORKING {
            "all but server health".to_owned()
        } else {
            setting.used_by.iter().map(|command| command.as_str()).collect::<Vec<_>>().join(", ")
        };
        let Setting { name, meaning, rule, example, .. } = setting;
        text.push_str(&format!("| `{name}`{twins} | {meaning} | {rule} | {default} | `{example}` | {readers} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual;

    #[test]
    fn the_manual_has_the_table_that_the_code_has() {
        manual::assert_current("settings.md", &markdown(), "the_manual_is_written_anew");
    }

    #[test]
    #[ignore = "writes docs/settings.md: run it by hand after a change of the table"]
    fn the_manual_is_written_anew() {
        manual::write("settings.md", &markdown());
    }

    #[test]
    fn no_entry_breaks_the_table_or_stands_twice() {
        for (n, setting) in ALL.iter().enumerate() {
            let columns = markdown().lines().nth(n + 2).unwrap().matches('|').count();
            assert_eq!(columns, 7, "{}", setting.name);
            assert_eq!(ALL.iter().filter(|other| other.name == setting.name).count(), 1, "{}", setting.name);
            assert!(!setting.used_by.is_empty(), "{}", setting.name);
        }
    }
}
