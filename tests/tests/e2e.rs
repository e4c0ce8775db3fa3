//! From HTTP to the provider through the real `server` binary: on embedded parts, or on Apache Kafka and
//! DynamoDB Local where the environment names them. What needs the embedded parts is in `embedded.rs`.

#[path = "e2e/access.rs"]
#[cfg(test)]
mod access;
#[path = "e2e/api.rs"]
#[cfg(test)]
mod api;
#[path = "e2e/costs.rs"]
#[cfg(test)]
mod costs;
#[path = "e2e/events.rs"]
#[cfg(test)]
mod events;
#[path = "e2e/keys.rs"]
#[cfg(test)]
mod keys;
#[path = "e2e/life.rs"]
#[cfg(test)]
mod life;
#[path = "e2e/logs.rs"]
#[cfg(test)]
mod logs;
#[path = "e2e/lost_answers.rs"]
#[cfg(test)]
mod lost_answers;
#[path = "e2e/metrics.rs"]
#[cfg(test)]
mod metrics;
#[path = "e2e/promise.rs"]
#[cfg(test)]
mod promise;
#[path = "e2e/providers.rs"]
#[cfg(test)]
mod providers;
#[path = "e2e/retries.rs"]
#[cfg(test)]
mod retries;
#[path = "e2e/several.rs"]
#[cfg(test)]
mod several;
#[path = "e2e/store_away.rs"]
#[cfg(test)]
mod store_away;
#[path = "e2e/traces.rs"]
#[cfg(test)]
mod traces;
#[path = "e2e/webhook_tls.rs"]
#[cfg(test)]
mod webhook_tls;
#[path = "e2e/why.rs"]
#[cfg(test)]
mod why;
