//! Why the process can't start, in words for whoever started it, and its exit code.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use shared::config::{EX_CONFIG, Faults};
use shared::store;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Fatal {
    #[error("{faults}")]
    Settings { faults: Faults },
    #[error("usage: server [stack | create-table | create-topics | create-key NAME [TENANT] | health]")]
    Usage,
    #[error("the table {table} does not exist: make it with `server create-table`")]
    TableMissing { table: String },
    #[error("the table can't be made")]
    CreateTable {
        #[source]
        source: shared::store::dynamodb::table::Error,
    },
    #[error("the topic can't be made")]
    CreateTopics {
        #[source]
        source: crate::topics::Error,
    },
    #[error("no key can be made")]
    CreateKey {
        #[source]
        source: crate::create_key::Error,
    },
    #[error("the store can't be used")]
    Store {
        #[source]
        source: store::Error,
    },
    #[error("a provider can't be opened")]
    Provider {
        #[source]
        source: shared::channels::OpenError,
    },
    #[error("the event source can't be made")]
    EventSource {
        #[source]
        source: crate::event_source::EventSourceError,
    },
    #[error("no client for the functions can be made")]
    Functions {
        #[source]
        source: crate::function::ClientError,
    },
    #[error("the log can't be set up")]
    Telemetry {
        #[source]
        source: shared::telemetry::Error,
    },
    #[error("can't listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the embedded store can't be used")]
    #[cfg(feature = "embedded")]
    EmbeddedStore {
        #[source]
        source: crate::embedded::store::Error,
    },
    #[error("the embedded broker can't be started")]
    #[cfg(feature = "embedded")]
    EmbeddedBroker {
        #[source]
        source: crate::embedded::broker::BrokerError,
    },
    #[error("this build has no embedded parts: set STORE=dynamodb, and KAFKA_BOOTSTRAP_SERVERS or none")]
    NotEmbedded,
    #[error("the client for Kafka can't be made")]
    Kafka {
        #[source]
        source: shared::events::kafka::ConnectError,
    },
    #[error("the trace collector can't be used")]
    Traces {
        #[source]
        source: shared::traces::otlp::OpenError,
    },
    #[error("the server is not healthy")]
    NotHealthy {
        #[source]
        source: crate::health::Error,
    },
    #[error("the runtime can't be started")]
    Runtime {
        #[source]
        source: io::Error,
    },
    #[error("a signal handler can't be set up")]
    Signal {
        #[source]
        source: io::Error,
    },
    #[error("a task in the background ended: nothing would be delivered any more, or no key be taken back")]
    BackgroundEnded,
}

impl Fatal {
    /// 78 (`EX_CONFIG` of sysexits.h) where the settings or what they name must be mended first.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings { .. } | Self::Usage | Self::TableMissing { .. } | Self::Store { .. } | Self::NotEmbedded => {
                ExitCode::from(EX_CONFIG)
            }
            Self::CreateKey { source: crate::create_key::Error::Faulty { .. } } => ExitCode::from(EX_CONFIG),
            #[cfg(feature = "embedded")]
            Self::EmbeddedStore { .. } | Self::EmbeddedBroker { .. } => ExitCode::FAILURE,
            Self::CreateKey { source: crate::create_key::Error::Unwritten { .. } }
            | Self::CreateTable { .. }
            | Self::CreateTopics { .. }
            | Self::BackgroundEnded
            | Self::NotHealthy { .. }
            | Self::Runtime { .. }
            | Self::Provider { .. }
            | Self::EventSource { .. }
            | Self::Functions { .. }
            | Self::Telemetry { .. }
            | Self::Listen { .. }
            | Self::Kafka { .. }
            | Self::Traces { .. }
            | Self::Signal { .. } => ExitCode::FAILURE,
        }
    }

    /// The error and its sources, one line each.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(&format!("\n  because {error}"));
            source = error.source();
        }
        text
    }
}

impl From<Faults> for Fatal {
    fn from(faults: Faults) -> Self {
        Self::Settings { faults }
    }
}
