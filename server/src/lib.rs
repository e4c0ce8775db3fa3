//! The four functions in one process, and what stands in for AWS around them.
//!
//! - [`serve`]: `cargo run`. HTTP from the routers of `create` and `get`; [`event_source`] hands Kafka
//!   records to `process`; [`schedule`] calls `redrive`.
//! - [`stack`]: only what AWS would bring, for functions that run under `cargo lambda watch`.
//! - [`http`]: serves HTTP within bounds, whatever clients do.
//! - [`metrics`]: `/metrics`, on a port of its own.
//! - [`keys`]: the API keys that callers need, as their file has them now; [`create_key`] makes one.
//! - [`health`]: whether the server beside it is alive, for a container's health check.
//! - [`parts`]: the store and the broker that the settings name; [`embedded`] ones need nothing installed.
//! - [`function`]: how the event source and the schedule call a function, here or at a Lambda endpoint.

pub mod create_key;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod event_source;
pub mod fatal;
pub mod function;
pub mod health;
pub mod http;
pub mod inbox;
pub mod keys;
pub mod metrics;
pub mod parts;
pub mod schedule;
pub mod serve;
pub mod stack;
pub mod stopping;
pub mod table;
pub mod topics;
