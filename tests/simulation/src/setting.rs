//! The tests' own switches: how much is run, and from which seed.

/// A number from the environment, where somebody gave one: `SEEDS=20000 cargo test …`.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
