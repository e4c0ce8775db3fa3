//! What the service does in figures, each against its floor: the least that the same stores need for the
//! same work, measured in the same run. `cargo run --release -p benches` prints the table.
//!
//! - [`measure`]: one file for each group of figures.
//! - [`table`]: a figure, its goal, and how they are printed.
//! - [`binaries`]: builds what ships; [`process`]: runs it. [`service`] and [`bare`] are this program again, as
//!   the two that a create is measured between.
//! - [`stores`]: the embedded store and broker; [`floor`]: the bare calls on them.
//! - [`load`]: the closed loop of clients; [`runtime_api`]: a small stand-in of Lambda's Runtime API.

pub mod bare;
pub mod binaries;
pub mod floor;
pub mod load;
pub mod measure;
pub mod process;
pub mod runtime_api;
pub mod service;
pub mod stores;
pub mod table;
