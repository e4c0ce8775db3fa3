//! What the product builds on, of the ports whose other side is not ours: suites for the models of the simulation and
//! for what is used in earnest. (The store's suite is `shared::store::contract`.)

pub mod log;
pub mod provider;
