//! Kafka's events as they should never be, mixed with good ones, against a model of what must be done with
//! each. Whatever a batch holds: the good ones go out once, what is poison is named by its place in the log
//! and counted, no record stops another, and what is left is found by redrive.
//!
//! `POISON=100000` reads that many events (10,000 without it), `POISON_SEED=<n>` one world of them.

#[path = "poison/model.rs"]
#[cfg(test)]
mod model;
#[path = "poison/records.rs"]
#[cfg(test)]
mod records;
#[path = "poison/run.rs"]
#[cfg(test)]
mod run;
#[path = "poison/world.rs"]
#[cfg(test)]
mod world;
