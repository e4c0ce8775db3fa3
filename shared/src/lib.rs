//! The core of the notification service.

pub mod channels;
pub mod clock;
pub mod config;
pub mod domain;
pub mod events;
#[cfg(feature = "http")]
pub mod http;
pub mod random;
pub mod retry;
pub mod service;
pub mod store;
pub mod telemetry;
