//! What the tests share: real servers as child processes, and the parts around them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what it expects, and stops where it is wrong"
)]

pub mod apart;
pub mod gate;
pub mod instant;
pub mod kafka;
pub mod receiver;
pub mod server_process;
pub mod simulation;
pub mod stage;
pub mod store_proxy;
pub mod surroundings;
pub mod test_store;
