//! What each command is started with. A command asks only for what it uses: `get` starts without a
//! provider, and nothing asks `process` for Kafka.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::{self, KeySettings};
use super::environment::Environment;
use super::fault::{Faults, Problem};
use super::groups::{self, Brokers, LoadSettings, ProviderSettings, StoreSettings, TopicSettings, Unbound};
use super::reader::{Read, Reader};
use super::table::Command;
use super::{security, table, traces, values};
use crate::events::{KafkaSettings, Security};
use crate::service::Policy;
use crate::telemetry::LogSettings;
use crate::traces::TraceSettings;

#[derive(Clone, Debug)]
pub struct CreateSettings {
    pub store: StoreSettings,
    /// None: sync mode.
    pub kafka: Option<KafkaSettings>,
    pub providers: ProviderSettings,
    pub policy: Policy,
    /// None: no metrics are written.
    pub metrics_namespace: Option<String>,
    /// None: no spans are exported.
    pub traces: Option<TraceSettings>,
    /// None: there is one tenant.
    pub tenant_claim: Option<String>,
    pub log: LogSettings,
}

#[derive(Clone, Debug)]
pub struct GetSettings {
    pub store: StoreSettings,
    pub tenant_claim: Option<String>,
    pub log: LogSettings,
}

#[derive(Clone, Debug)]
pub struct ProcessSettings {
    pub store: StoreSettings,
    pub providers: ProviderSettings,
    pub policy: Policy,
    /// None: no metrics are written.
    pub metrics_namespace: Option<String>,
    /// None: no spans are exported.
    pub traces: Option<TraceSettings>,
    pub log: LogSettings,
}

#[derive(Clone, Debug)]
pub struct RedriveSettings {
    pub store: StoreSettings,
    /// None: sync mode, what is due is processed on the spot.
    pub kafka: Option<KafkaSettings>,
    pub providers: ProviderSettings,
    pub policy: Policy,
    /// None: no metrics are written.
    pub metrics_namespace: Option<String>,
    /// None: no spans are exported.
    pub traces: Option<TraceSettings>,
    pub log: LogSettings,
}

#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// On loopback, or there are keys, or the operator allowed otherwise.
    pub listen_addr: SocketAddr,
    /// None: metrics are not served.
    pub metrics_listen_addr: Option<SocketAddr>,
    /// None: no spans are exported.
    pub traces: Option<TraceSettings>,
    /// None: nobody is asked who they are.
    pub keys: Option<KeySettings>,
    pub load: LoadSettings,
    pub store_kind: StoreKind,
    pub store: StoreSettings,
    pub kafka: KafkaChoice,
    pub providers: ProviderSettings,
    pub policy: Policy,
    pub redrive_interval: Duration,
    pub log: LogSettings,
}

#[derive(Clone, Debug)]
pub struct StackSettings {
    pub store_kind: StoreKind,
    pub store: StoreSettings,
    pub kafka: KafkaChoice,
    /// Without a trailing slash.
    pub lambda_endpoint: String,
    pub redrive_interval: Duration,
    pub log: LogSettings,
}

#[derive(Clone, Debug)]
pub struct CreateTableSettings {
    pub store_kind: StoreKind,
    pub store: StoreSettings,
    pub log: LogSettings,
}

/// Where the table lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// In a file of this folder.
    Embedded { data_dir: PathBuf },
    /// Where the AWS SDK's own settings say.
    DynamoDb,
}

/// Which Kafka the server works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaChoice {
    /// Sync mode.
    None,
    /// A broker of the server's own; where it listens is known once it runs.
    Embedded {
        topic: TopicSettings,
        produce_timeout: Duration,
    },
    External(KafkaSettings),
}

#[derive(Clone, Debug)]
pub struct CreateTopicsSettings {
    pub bootstrap_servers: String,
    pub security: Security,
    pub topic: String,
    pub partitions: u32,
    pub replication: u32,
    pub retention: Duration,
    pub log: LogSettings,
}

#[derive(Clone, Debug)]
pub struct HealthSettings {
    /// Of the server that is asked; its port is known.
    pub listen_addr: SocketAddr,
}

impl CreateSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let (store, kafka) = (StoreSettings::read(reader), groups::kafka(reader));
            let (providers, policy) = (ProviderSettings::read(reader, Unbound::Off), groups::policy(reader));
            let (tenant_claim, metrics_namespace) = (access::tenant_claim(reader), groups::metrics_namespace(reader));
            let (traces, log) = (traces::traces(reader, Command::Create), groups::log(reader));
            let (store, kafka, providers, policy) = (store?, kafka?, providers?, policy?);
            let (tenant_claim, metrics_namespace) = (tenant_claim?, metrics_namespace?);
            Ok(Self { store, kafka, providers, policy, tenant_claim, metrics_namespace, traces: traces?, log: log? })
        })
    }
}

impl GetSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let (store, tenant_claim) = (StoreSettings::read(reader), access::tenant_claim(reader));
            let log = groups::log(reader);
            Ok(Self { store: store?, tenant_claim: tenant_claim?, log: log? })
        })
    }
}

impl ProcessSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let (store, providers) = (StoreSettings::read(reader), ProviderSettings::read(reader, Unbound::Off));
            let (policy, log) = (groups::policy(reader), groups::log(reader));
            let (metrics_namespace, traces) = (groups::metrics_namespace(reader), traces::traces(reader, Command::Process));
            let (store, providers, policy, metrics_namespace) = (store?, providers?, policy?, metrics_namespace?);
            Ok(Self { store, providers, policy, metrics_namespace, traces: traces?, log: log? })
        })
    }
}

impl RedriveSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let (store, kafka) = (StoreSettings::read(reader), groups::kafka(reader));
            let (providers, policy) = (ProviderSettings::read(reader, Unbound::Off), groups::policy(reader));
            let (metrics_namespace, traces) = (groups::metrics_namespace(reader), traces::traces(reader, Command::Redrive));
            let log = groups::log(reader);
            let (store, kafka, providers, policy) = (store?, kafka?, providers?, policy?);
            Ok(Self { store, kafka, providers, policy, metrics_namespace: metrics_namespace?, traces: traces?, log: log? })
        })
    }
}

impl ServerSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let store_kind = StoreKind::read(reader);
            let unbound = unbound(&store_kind);
            let (doors, load) = (access::doors(reader), LoadSettings::read(reader));
            let metrics_listen_addr = reader.optional(&table::METRICS_LISTEN_ADDR, values::listen_addr);
            let traces = traces::traces(reader, Command::Server);
            let store = StoreSettings::read(reader);
            let kafka = KafkaChoice::read(reader, unbound);
            let (providers, policy) = (ProviderSettings::read(reader, unbound), groups::policy(reader));
            let (redrive_interval, log) = (reader.time(&table::REDRIVE_INTERVAL), groups::log(reader));
            let (listen_addr, keys) = doors?;
            Ok(Self {
                listen_addr,
                metrics_listen_addr: metrics_listen_addr?,
                traces: traces?,
                keys,
                load: load?,
                store_kind: store_kind?,
                store: store?,
                kafka: kafka?,
                providers: providers?,
                policy: policy?,
                redrive_interval: redrive_interval?,
                log: log?,
            })
        })
    }
}

impl StackSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let store_kind = StoreKind::read(reader);
            let (store, kafka) = (StoreSettings::read(reader), KafkaChoice::of_stack(reader, unbound(&store_kind)));
            let lambda_endpoint = reader.value(&table::AWS_ENDPOINT_URL_LAMBDA, values::endpoint);
            let (redrive_interval, log) = (reader.time(&table::REDRIVE_INTERVAL), groups::log(reader));
            let (store_kind, store, kafka, lambda_endpoint) = (store_kind?, store?, kafka?, lambda_endpoint?);
            Ok(Self { store_kind, store, kafka, lambda_endpoint, redrive_interval: redrive_interval?, log: log? })
        })
    }
}

impl CreateTopicsSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let brokers = groups::brokers(reader).and_then(|brokers| match brokers {
                Brokers::At(servers) => Ok(servers),
                // An embedded broker makes its own.
                Brokers::Unsaid | Brokers::None => Err(reader.report(&table::KAFKA_BOOTSTRAP_SERVERS, Problem::Missing)),
            });
            let (security, topic) = (security::security(reader), reader.value(&table::KAFKA_TOPIC, values::topic));
            let partitions = reader.count(&table::KAFKA_TOPIC_PARTITIONS);
            let replication = reader.count(&table::KAFKA_TOPIC_REPLICATION);
            let (retention, log) = (reader.time(&table::KAFKA_TOPIC_RETENTION), groups::log(reader));
            Ok(Self {
                bootstrap_servers: brokers?,
                security: security?,
                topic: topic?,
                partitions: partitions?,
                replication: replication?,
                retention: retention?,
                log: log?,
            })
        })
    }
}

impl CreateTableSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let (store_kind, store, log) = (StoreKind::read(reader), StoreSettings::read(reader), groups::log(reader));
            Ok(Self { store_kind: store_kind?, store: store?, log: log? })
        })
    }
}

impl HealthSettings {
    pub fn read(environment: &dyn Environment) -> Result<Self, Faults> {
        read_all(environment, |reader| {
            let listen_addr = reader.value(&table::LISTEN_ADDR, values::listen_addr)?;
            if listen_addr.port() == 0 {
                let why = format!("is {listen_addr}: nobody knows which port the server was given");
                let allowed = "an address with a port other than 0".to_owned();
                return Err(reader.report_as(table::LISTEN_ADDR.name, Problem::Unfit { why }, allowed));
            }
            Ok(Self { listen_addr })
        })
    }
}

impl StoreKind {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        /// What `STORE` says.
        enum Word {
            Embedded,
            DynamoDb,
        }
        let word = reader.value(&table::STORE, |text| match text {
            "embedded" => Some(Word::Embedded),
            "dynamodb" => Some(Word::DynamoDb),
            _ => None,
        })?;
        match word {
            Word::Embedded => Ok(Self::Embedded { data_dir: data_dir(reader)? }),
            Word::DynamoDb => Ok(Self::DynamoDb),
        }
    }
}

impl KafkaChoice {
    /// An embedded broker comes with the embedded store only, as its `dev:` providers do.
    fn read(reader: &mut Reader<'_>, unbound: Unbound) -> Read<Self> {
        match (groups::brokers(reader)?, unbound) {
            (Brokers::At(servers), _) => groups::kafka_at(reader, servers).map(Self::External),
            (Brokers::None, _) | (Brokers::Unsaid, Unbound::Off) => Ok(Self::None),
            (Brokers::Unsaid, Unbound::Dev) => {
                let (topic, produce_timeout) = (TopicSettings::read(reader), reader.time(&table::KAFKA_PRODUCE_TIMEOUT));
                Ok(Self::Embedded { topic: topic?, produce_timeout: produce_timeout? })
            }
        }
    }

    /// For who consumes only: nothing is asked that a producer needs.
    fn of_stack(reader: &mut Reader<'_>, unbound: Unbound) -> Read<Self> {
        /// Never used; the settings of a client have one.
        const PRODUCE: Duration = Duration::from_secs(1);
        match (groups::brokers(reader)?, unbound) {
            (Brokers::At(servers), _) => {
                let (topic, security) = (TopicSettings::read(reader), security::security(reader));
                Ok(Self::External(topic?.at(servers, security?, PRODUCE)))
            }
            (Brokers::None, _) | (Brokers::Unsaid, Unbound::Off) => Ok(Self::None),
            (Brokers::Unsaid, Unbound::Dev) => {
                Ok(Self::Embedded { topic: TopicSettings::read(reader)?, produce_timeout: PRODUCE })
            }
        }
    }
}

/// Where STORE itself is faulty, its absence stands in for it: the other faults show all the same.
const fn unbound(store_kind: &Read<StoreKind>) -> Unbound {
    match store_kind {
        Ok(StoreKind::DynamoDb) => Unbound::Off,
        Ok(StoreKind::Embedded { .. }) | Err(_) => Unbound::Dev,
    }
}

fn read_all<T>(environment: &dyn Environment, read: impl FnOnce(&mut Reader<'_>) -> Read<T>) -> Result<T, Faults> {
    let mut reader = Reader::new(environment);
    let value = read(&mut reader);
    reader.finish(value)
}

fn data_dir(reader: &mut Reader<'_>) -> Read<PathBuf> {
    reader.value(&table::DATA_DIR, |text| Some(PathBuf::from(text)))
}
