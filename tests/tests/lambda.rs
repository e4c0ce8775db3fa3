//! The functions' real binaries, as Lambda runs them: under a stand-in of its Runtime API, on the embedded store
//! and broker, or on the real parts that the environment names.

#[path = "lambda/events.rs"]
#[cfg(test)]
mod events;
#[path = "lambda/failures.rs"]
#[cfg(test)]
mod failures;
#[path = "lambda/metrics.rs"]
#[cfg(test)]
mod metrics;
#[path = "lambda/secrets.rs"]
#[cfg(test)]
mod secrets;
#[path = "lambda/start.rs"]
#[cfg(test)]
mod start;
#[path = "lambda/traces.rs"]
#[cfg(test)]
mod traces;
#[path = "lambda/world.rs"]
#[cfg(test)]
mod world;
