//! What has piled up: behind a consumer that is away, behind one bad item, behind one throttled shard. On
//! virtual time, with stores and providers that take their time as real ones do.
//!
//! `BACKLOG=100000` lets that many wait for the consumer, or for their instant; 10,000 without it.

#[path = "backlog/consumer_away.rs"]
#[cfg(test)]
mod consumer_away;
#[path = "backlog/one_bad.rs"]
#[cfg(test)]
mod one_bad;
#[path = "backlog/scheduled.rs"]
#[cfg(test)]
mod scheduled;
#[path = "backlog/world.rs"]
#[cfg(test)]
mod world;
