//! What must hold for any bytes that come from outside, one property for each way in: each takes what a fuzzer
//! makes up, and panics where something is wrong. The fuzz targets call them by the million, the tests with
//! the seeds and with what a few thousand changes make of those.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a property says what it expects, and stops where it is wrong"
)]

pub mod cursor;
pub mod http_body;
pub mod kafka_event;
pub mod settings;
