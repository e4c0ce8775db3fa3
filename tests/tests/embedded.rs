//! What only the embedded parts have: a data folder of their own, a port to share a machine by, and a broker
//! that a test can take down. Run on them whatever the environment names.

#[path = "embedded/data_folder.rs"]
#[cfg(test)]
mod data_folder;
#[path = "embedded/kafka_away.rs"]
#[cfg(test)]
mod kafka_away;
#[path = "embedded/scheduled.rs"]
#[cfg(test)]
mod scheduled;
