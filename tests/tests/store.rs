//! The store's contract, its lost answers and its costs, on the embedded store, or on the one that
//! `AWS_ENDPOINT_URL_DYNAMODB` names. Each test has a table of its own.

#[path = "store/costs.rs"]
#[cfg(test)]
mod costs;
#[path = "store/environment.rs"]
#[cfg(test)]
mod environment;
#[path = "store/faults.rs"]
#[cfg(test)]
mod faults;
#[path = "store/foreign.rs"]
#[cfg(test)]
mod foreign;
#[path = "store/suite.rs"]
#[cfg(test)]
mod suite;
#[path = "store/table.rs"]
#[cfg(test)]
mod table;
