//! The groups of figures. Each starts its own stores, and measures both sides of a figure in turn, so that a
//! machine that drifts drifts for both; what is told is the median of the rounds.

mod answer;
mod create;
mod delivery;
mod redrive;
mod start;
mod zip;

use futures::future::BoxFuture;

use crate::binaries::Binaries;
use crate::table::Figure;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Rounds of each side.
    pub rounds: u32,
    /// Creates of a round with one client, and with many.
    pub alone: u64,
    pub together: u64,
    /// Notifications of a round the whole way, and due ones of a round of redrive.
    pub notifications: u32,
    /// Rounds of those, which are long.
    pub long_rounds: u32,
    pub starts: u32,
}

impl Size {
    pub const FULL: Self = Self { rounds: 10, alone: 500, together: 4_000, notifications: 10_000, long_rounds: 3, starts: 30 };
    /// To see that all of it works.
    pub const QUICK: Self = Self { rounds: 2, alone: 50, together: 300, notifications: 300, long_rounds: 1, starts: 3 };
}

type Measure = for<'a> fn(&'a Binaries, &'a Size) -> BoxFuture<'a, anyhow::Result<Vec<Figure>>>;

pub struct Group {
    pub name: &'static str,
    pub measure: Measure,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub const GROUPS: [Group; 6] = [
    Group { name: "create", measure: |_, size| Box::pin(create::measure(size)) },
    Group { name: "delivery", measure: |binaries, size| Box::pin(delivery::measure(binaries, size)) },
    Group { name: "redrive", measure: |_, size| Box::pin(redrive::measure(size)) },
    Group { name: "answer", measure: |binaries, size| Box::pin(answer::measure(binaries, size)) },
    Group { name: "start", measure: |binaries, size| Box::pin(start::measure(binaries, size)) },
    Group { name: "zip", measure: |binaries, _| Box::pin(async { zip::measure(binaries) }) },
];

/// The middle one; of an even number the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = values.get(half).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 {
        return upper;
    }
    let lower = half.checked_sub(1).and_then(|index| values.get(index)).copied();
    lower.map_or(f64::NAN, |lower| f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        for (values, middle) in [(vec![3.0, 1.0, 2.0], "2"), (vec![4.0, 1.0, 2.0, 3.0], "2.5"), (vec![7.0], "7"), (vec![], "NaN")]
        {
            assert_eq!(median(values).to_string(), middle);
        }
    }
}
