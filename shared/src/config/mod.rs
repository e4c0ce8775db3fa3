//! What the operator says, turned into types once, at start.
//!
//! Every `main` calls the `read` of its command's settings (`CreateSettings::read(&SystemEnvironment)`
//! and so on). It answers with a value in which nothing is invalid any more, or with *all* faults at
//! once; `main` then returns [`Faults::report`], which prints them and exits with [`EX_CONFIG`]. Nothing is read later, nothing is
//! read twice, and no value falls back to a default because it could not be understood.
//!
//! A setting is one entry of [`table`]: its documentation, its default and its bounds come from there,
//! and `docs/settings.md` is held against it by a test.

mod access;
mod commands;
mod environment;
mod fault;
mod groups;
mod reader;
#[cfg(feature = "secrets")]
pub mod secrets;
mod security;
pub mod table;
#[cfg(test)]
mod tests;
mod traces;
mod values;

pub use access::KeySettings;
pub use commands::{
    CreateSettings, CreateTableSettings, CreateTopicsSettings, GetSettings, HealthSettings, KafkaChoice, ProcessSettings,
    RedriveSettings, ServerSettings, StackSettings, StoreKind,
};
pub use environment::{Environment, NotUtf8, Output, SystemEnvironment};
pub use fault::{Fault, Faults, Problem};
pub use groups::{LoadSettings, ProviderSettings, StoreSettings, TopicSettings};
pub use values::Secret;

/// The exit code of a process whose settings can't work: `EX_CONFIG` of `sysexits.h`.
pub const EX_CONFIG: u8 = 78;
