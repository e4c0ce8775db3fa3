//! What this service stands on goes away and comes back, under load and with real processes: the store, the
//! broker, both, the provider, other servers, members of the group. On embedded parts, or on Apache Kafka
//! and DynamoDB Local where the environment names them.
//!
//! What takes minutes, or a cluster of three brokers, is ignored: `docs/reliability.md` has the commands.

#[path = "outage/away.rs"]
#[cfg(test)]
mod away;
#[path = "outage/consumers.rs"]
#[cfg(test)]
mod consumers;
#[path = "outage/defaults.rs"]
#[cfg(test)]
mod defaults;
#[path = "outage/several.rs"]
#[cfg(test)]
mod several;
#[path = "outage/three_brokers.rs"]
#[cfg(test)]
mod three_brokers;
#[path = "outage/world.rs"]
#[cfg(test)]
mod world;
