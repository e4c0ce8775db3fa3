//! The core of the notification service. It is linked into each of the four functions and into the
//! server; none of them has rules of its own.
//!
//! # The life of one notification
//!
//! A client posts a request. `http` parses it into a [`NewNotification`](domain::NewNotification), a type
//! that can't hold an invalid value, or answers with all faults at once. [`service::create`] gives it an id,
//! which is derived from the idempotency key where there is one, and puts it into the [`store`] as `Pending`,
//! in one conditional write. If the id was there already, that write brings back the first notification, and
//! its fingerprint tells a repeat from another request under the same key.
//!
//! From that write on the promise holds: the notification has a due time, so it is in the `due` index, and
//! it stays there until it is final. All that follows is either the fast way or a way back from a fault.
//!
//! The fast way is an event in Kafka ([`events`]), which [`service::process`] receives. Where there is no
//! Kafka, or it does not take the event in time, `create` does the same work itself and at once. The work is
//! one attempt ([`service::deliver`]): find room at its provider ([`channels::lane`]), claim the notification by a conditional write (`Processing`, with a
//! fresh token and a lease), hand it to the provider of its channel ([`channels`]), finish by another
//! conditional write that holds only for that token. It is then `Sent` or `Failed`; or `Retrying`, with the
//! instant of the next attempt as [`retry`] computes it; or `Expired`.
//!
//! The way back is [`service::redrive`], which runs every so often and asks the `due` index. A retry whose
//! time has come, a scheduled notification, an event that was lost, a worker that died within its lease: all
//! are found there, and [`domain::step`] says what may be done. If a worker was lost in the middle of an
//! attempt, nobody can know whether the provider has the message. That is recorded as an *unknown* outcome,
//! and another attempt follows only where the provider drops repeats or the operator allows it.
//!
//! What may happen twice: an event, a call of a function, a call of the store, and after an unknown outcome
//! an attempt. What may not: two workers that hold the same attempt, and a status that moves against the
//! table in [`domain::status`]. Both are conditions of writes ([`domain::change`]), and no matter of timing.
//!
//! # The map
//!
//! - [`domain`]: what a notification is and what may happen to it. No SDK, no HTTP, no Kafka, no clock.
//! - [`service`]: the use cases. Each takes the ports that it needs.
//! - [`store`]: the Store port, its adapter for DynamoDB, and the suite that every store passes.
//! - [`events`]: the Publisher port, the event, its adapter for Kafka, and when Kafka is left alone.
//! - [`channels`]: the Provider port, one file for each provider, and the registry that names them.
//! - [`access`]: who asks, and the API keys by which the server knows.
//! - `http`: request to domain, domain to response, problems, OpenAPI. (Feature `http`.)
//! - [`config`], [`telemetry`]: the environment, read in one place; logs that name nobody.
//! - [`metrics`]: what is counted and timed, and how it is shown.
//! - [`traces`]: the spans of a request over all that it caused, and their export. (Feature `otlp`.)
//! - [`clock`], [`random`]: the one home of time and of randomness, which are arguments everywhere else.
//! - [`permission`]: a permission that AWS says is missing, named once.
//! - [`wiring`]: what all binaries put together alike.
//! - `sample`: what tests begin with. (Tests, and the feature `contract`.)
//! - [`crash`]: the windows between any two effects, by name, in which tests let a process die.
//!
//! Dependencies run one way: functions and server to `service`, `service` and the adapters to `domain`.
//! Heavy parts are cargo features (`http`, `kafka`, `otlp`, `webhook`), so that a function carries what it needs.

pub mod access;
pub mod channels;
pub mod clock;
pub mod config;
pub mod crash;
pub mod domain;
pub mod events;
#[cfg(feature = "http")]
pub mod http;
#[cfg(test)]
mod manual;
pub mod metrics;
pub mod permission;
pub mod random;
pub mod retry;
#[cfg(any(test, feature = "contract"))]
pub mod sample;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod traces;
pub mod wiring;
