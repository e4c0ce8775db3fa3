//! A figure beside its floor and its goal, and the table of all, in Markdown.

use std::fmt::Write;

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Told for its own sake.
    None,
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
    RatioAtLeast(f64),
    RatioAtMost(f64),
}

/// Which way round the two are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratio {
    OursToFloor,
    /// How many times faster than the other way.
    FloorToOurs,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub what: String,
    pub unit: &'static str,
    pub ours: f64,
    pub floor: Option<f64>,
    pub ratio: Ratio,
    pub goal: Goal,
}

#[derive(Clone, Debug)]
pub enum Row {
    Measured(Figure),
    NotMeasured { what: String, why: String },
}

impl Figure {
    #[must_use]
    pub fn new(what: impl Into<String>, unit: &'static str, ours: f64, floor: impl Into<Option<f64>>, goal: Goal) -> Self {
        Self { what: what.into(), unit, ours, floor: floor.into(), ratio: Ratio::OursToFloor, goal }
    }

    fn ratio(&self) -> Option<f64> {
        let floor = self.floor?;
        Some(match self.ratio {
            Ratio::OursToFloor => self.ours / floor,
            Ratio::FloorToOurs => floor / self.ours,
        })
    }

    fn goal(&self) -> String {
        let unit = self.unit;
        match self.goal {
            Goal::None => String::new(),
            Goal::AtLeast(goal) => format!("≥ {} {unit}", short(goal)),
            Goal::AtMost(goal) => format!("≤ {} {unit}", short(goal)),
            Goal::Below(goal) => format!("< {} {unit}", short(goal)),
            Goal::RatioAtLeast(goal) => format!("≥ {goal} ×"),
            Goal::RatioAtMost(goal) => format!("≤ {goal} ×"),
        }
    }

    /// How far the goal was missed, as a part of it; None where it was met. A ratio that can't be had misses.
    fn missed_by(&self) -> Option<f64> {
        let ratio = || self.ratio().unwrap_or(f64::NAN);
        let (met, is, goal) = match self.goal {
            Goal::None => return None,
            Goal::AtLeast(goal) => (self.ours >= goal, self.ours, goal),
            Goal::AtMost(goal) => (self.ours <= goal, self.ours, goal),
            Goal::Below(goal) => (self.ours < goal, self.ours, goal),
            Goal::RatioAtLeast(goal) => (ratio() >= goal, ratio(), goal),
            Goal::RatioAtMost(goal) => (ratio() <= goal, ratio(), goal),
        };
        (!met).then(|| (is - goal).abs() / goal)
    }

    fn met(&self) -> String {
        match (self.goal, self.missed_by()) {
            (Goal::None, _) => String::new(),
            (_, None) => "yes".to_owned(),
            (_, Some(by)) => format!("**missed** by {:.0} %", by * 100.0),
        }
    }
}

#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut text = "| what | ours | floor | ratio | goal | met |\n| --- | ---: | ---: | ---: | --- | --- |\n".to_owned();
    for row in rows {
        let line = match row {
            Row::Measured(figure) => {
                let value = |value: f64| format!("{} {}", short(value), figure.unit);
                let (floor, ratio) = (figure.floor.map(value), figure.ratio().map(|ratio| format!("{ratio:.2} ×")));
                let (floor, ratio) = (floor.unwrap_or_default(), ratio.unwrap_or_default());
                let (ours, goal, met) = (value(figure.ours), figure.goal(), figure.met());
                writeln!(text, "| {} | {ours} | {floor} | {ratio} | {goal} | {met} |", figure.what)
            }
            Row::NotMeasured { what, why } => {
                writeln!(text, "| {what} | | | | | **not measured**: {} |", why.replace(['\n', '|'], " "))
            }
        };
        // A text takes every line.
        line.unwrap_or_default();
    }
    text
}

/// About three digits, which is more than the machine repeats.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Where it was measured: without it no figure means anything.
#[must_use]
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpu = first_value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = first_value("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let profile = if cfg!(debug_assertions) { "dev: these figures mean nothing" } else { "release" };
    format!(
        "{cores} cores ({cpu}), {memory} of memory, {} {}, profile {profile}, load over the last minute {load}",
        std::env::consts::OS,
        kernel.trim()
    )
}

fn first_value(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_own_value_and_missed_beyond() {
        for (goal, ours, met) in [
            (Goal::RatioAtMost(2.0), 20.0, "yes"),
            (Goal::RatioAtMost(2.0), 25.0, "**missed** by 25 %"),
            (Goal::RatioAtLeast(0.8), 8.0, "yes"),
            (Goal::RatioAtLeast(0.8), 4.0, "**missed** by 50 %"),
            (Goal::AtLeast(10.0), 10.0, "yes"),
            (Goal::AtMost(10.0), 11.0, "**missed** by 10 %"),
            (Goal::Below(10.0), 10.0, "**missed** by 0 %"),
            (Goal::None, 10.0, ""),
        ] {
            assert_eq!(Figure::new("", "ms", ours, 10.0, goal).met(), met, "{goal:?} {ours}");
        }
    }

    #[test]
    fn a_ratio_without_a_floor_is_missed() {
        assert!(Figure::new("", "ms", 1.0, None, Goal::RatioAtMost(2.0)).met().starts_with("**missed**"));
    }

    #[test]
    fn a_line_tells_the_figure_its_floor_and_their_ratio_either_way_round() {
        let figure = Figure::new("a", "ms", 2.0, 30.0, Goal::RatioAtLeast(10.0));
        let faster = Figure { ratio: Ratio::FloorToOurs, ..figure.clone() };
        let failed = Row::NotMeasured { what: "b".to_owned(), why: "x|y".to_owned() };
        let text = markdown(&[Row::Measured(figure), Row::Measured(faster), failed]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| a | 2.00 ms | 30.0 ms | 0.07 × | ≥ 10 × | **missed** by 99 % |",
                "| a | 2.00 ms | 30.0 ms | 15.00 × | ≥ 10 × | yes |",
                "| b | | | | | **not measured**: x y |"
            ]
        );
    }
}
