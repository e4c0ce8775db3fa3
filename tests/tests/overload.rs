//! More than the server can take, on the real binary and real sockets: too many requests, too many
//! connections, and clients that send too slowly, too much, or nothing.
//!
//! After `cargo build --workspace`, `OVERLOAD_SECONDS=30 cargo test --workspace --test overload five_times --
//! --nocapture` is the long one, with its figures.

use tokio::sync::RwLock;

/// Whoever measures the machine has it for itself; the others share it.
static MACHINE: RwLock<()> = RwLock::const_new(());

#[path = "overload/clients.rs"]
#[cfg(test)]
mod clients;
#[path = "overload/connections.rs"]
#[cfg(test)]
mod connections;
#[path = "overload/flood.rs"]
#[cfg(test)]
mod flood;
#[path = "overload/places.rs"]
#[cfg(test)]
mod places;
