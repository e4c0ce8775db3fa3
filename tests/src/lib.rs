//! What the tests share: real servers as child processes, and the parts around them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what it expects, and stops where it is wrong"
)]

pub mod aftermath;
pub mod apart;
pub mod collector;
pub mod contract;
pub mod exposition;
pub mod function_process;
pub mod gate;
pub mod home;
pub mod instant;
pub mod kafka;
pub mod ledger;
pub mod load;
pub mod outage;
pub mod raw;
pub mod receiver;
pub mod secret_store;
pub mod secure_kafka;
pub mod server_process;
pub mod stage;
pub mod store_proxy;
pub mod surroundings;
pub mod test_store;
pub mod tls;
