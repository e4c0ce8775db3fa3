//! The simulation's models keep the contracts of the real parts; and what it found of clocks has tests of its own.

#[path = "models/clock.rs"]
#[cfg(test)]
mod clock;
#[path = "models/ports.rs"]
#[cfg(test)]
mod ports;
#[path = "models/store.rs"]
#[cfg(test)]
mod store;
