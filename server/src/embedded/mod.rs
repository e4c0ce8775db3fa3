//! What stands in for AWS inside of the process, so that it runs with nothing installed.

pub mod broker;
pub mod store;
