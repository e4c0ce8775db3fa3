//! How much is logged, by whom. `RUST_LOG` is for our own crates; everybody else is capped at WARN.

use std::collections::BTreeMap;

use tracing::Level;
use tracing::level_filters::LevelFilter;

/// The crates of this workspace: the targets that `RUST_LOG` rules without a cap.
const OURS: [&str; 6] = ["shared", "create", "get", "process", "redrive", "server"];

/// The embedded store warns of every condition that does not hold, which here is an answer like any other.
const LOUD: &str = "dynoxide";

/// What `RUST_LOG` says: a level for all and levels for parts, the longest fitting part counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    all: LevelFilter,
    parts: BTreeMap<String, LevelFilter>,
}

impl Levels {
    /// `info`, `warn,shared::store=debug`. Without a level for all, `info` holds. Stricter than other
    /// readers of this variable: a word that is no level is not taken for a target that nobody has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = None;
        let mut parts = BTreeMap::new();
        for directive in text.split(',') {
            match directive.trim().split_once('=') {
                None if all.is_none() => all = Some(level(directive.trim())?),
                None => return None,
                Some((target, level_text)) => {
                    let new = is_target(target) && parts.insert(target.to_owned(), level(level_text)?).is_none();
                    new.then_some(())?;
                }
            }
        }
        Some(Self { all: all.unwrap_or(LevelFilter::INFO), parts })
    }

    /// Whether an event or a span is of interest.
    pub(super) fn allow(&self, target: &str, level: Level) -> bool {
        let asked = self.parts.iter().filter(|(part, _)| is_within(target, part)).max_by_key(|(part, _)| part.len());
        let asked = asked.map_or(self.all, |(_, level)| *level);
        let cap = match target {
            ours if OURS.iter().any(|name| is_within(ours, name)) => LevelFilter::TRACE,
            loud if is_within(loud, LOUD) => LevelFilter::ERROR,
            _ => LevelFilter::WARN,
        };
        level <= asked.min(cap)
    }

    /// No target logs more than this.
    pub(super) fn most(&self) -> LevelFilter {
        self.parts.values().copied().fold(self.all, LevelFilter::max)
    }
}

/// By whole segments: `get` is ours, `getrandom` is not.
fn is_within(target: &str, part: &str) -> bool {
    target.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_target(text: &str) -> bool {
    text.split("::").all(|segment| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

/// By name, in any letter case; not by number.
fn level(text: &str) -> Option<LevelFilter> {
    let named = text.bytes().all(|b| b.is_ascii_alphabetic()) && !text.is_empty();
    named.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_lifts_a_foreign_crate_above_warn(
            text in "(trace|debug|hyper=trace|shared=trace|getrandom=trace|hyper::proto=debug|,){1,4}",
            target in "(hyper|hyper::proto|getrandom|processing|servers::x|aws_smithy_runtime|log|shared_memory|rdkafka::client|a:b|)",
        ) {
            if let Some(levels) = Levels::parse(&text) {
                for level in [Level::INFO, Level::DEBUG, Level::TRACE] {
                    prop_assert!(!levels.allow(&target, level), "{target} at {level} by {text}");
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic_and_the_most_is_what_any_target_gets_at_most(text in "\\PC{0,30}|((shared(::store)?=)?(off|error|info|trace),?){1,3}") {
            if let Some(levels) = Levels::parse(&text) {
                for target in ["shared", "shared::store", "create"] {
                    prop_assert!(!levels.allow(target, Level::TRACE) || levels.most() == LevelFilter::TRACE);
                }
            }
        }
    }

    #[test]
    fn the_longest_fitting_part_counts() {
        let levels = Levels::parse("warn, shared::store=trace,shared=off").unwrap();
        assert!(levels.allow("shared::store::dynamodb", Level::TRACE));
        assert!(!levels.allow("shared::service", Level::ERROR));
        assert!(!levels.allow("shared::storehouse", Level::ERROR));
        assert!(levels.allow("create", Level::WARN) && !levels.allow("create", Level::INFO));
        assert_eq!(levels.most(), LevelFilter::TRACE);
    }

    #[test]
    fn a_foreign_crate_can_be_silenced() {
        let levels = Levels::parse("info,hyper=off").unwrap();
        assert!(!levels.allow("hyper::client", Level::ERROR) && levels.allow("reqwest", Level::WARN));
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for refused in [
            "",
            "inof",
            "shared",
            "shared=",
            "=info",
            "info,",
            "info,warn",
            "shared=loud",
            "3",
            "shared[x]=info",
            "a b=info",
            "shared=info,shared=warn",
        ] {
            assert_eq!(Levels::parse(refused), None, "{refused:?}");
        }
        assert_eq!(Levels::parse("INFO"), Levels::parse("info"));
        assert_eq!(Levels::parse("shared=debug").unwrap().all, LevelFilter::INFO);
    }
}
