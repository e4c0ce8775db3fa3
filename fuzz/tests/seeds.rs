//! The properties of the fuzz targets without a fuzzer: on their seeds, and on what a few thousand changes make
//! of those, the same each time. A fuzzer goes where this never comes: see `.ci/fuzz`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test says what it expects")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const CHANGES: usize = 4_000;

/// What a random byte seldom makes.
const WORDS: [&str; 24] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\\ud800",
    "\\u0000",
    "-1",
    "0",
    "2",
    "1e999",
    "1.0",
    "18446744073709551616",
    ",",
    ":",
    "\n",
    "\u{e9}",
    "\u{1f600}",
    "=",
    "%41",
    "|",
    "\"to\":",
    "\"v\":2",
    "ms",
];

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(n.max(1)).unwrap()).unwrap()
    }

    fn change(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(24)).min(bytes.len());
        match self.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            3 => {
                let other = &others[self.below(others.len())];
                let from = self.below(other.len());
                let to = (from + self.below(40)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                let instead = if self.below(2) == 0 { at..at } else { at..end };
                bytes.splice(instead, word.bytes());
            }
        }
    }
}

fn seeds(folders: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn holds_around(folders: &[&str], property: fn(&[u8])) {
    let seeds = seeds(folders);
    let checked = |bytes: &[u8]| {
        let held = catch_unwind(AssertUnwindSafe(|| property(bytes)));
        assert!(held.is_ok(), "of {}", bytes.escape_ascii());
    };
    seeds.iter().for_each(|seed| checked(seed));
    let mut dice = Dice(1);
    for _ in 0..CHANGES {
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(6) {
            dice.change(&mut bytes, &seeds);
        }
        checked(&bytes);
    }
}

#[test]
fn a_body_is_taken_as_it_was_sent_or_refused_for_a_reason() {
    holds_around(&["seeds/http_body"], fuzz::http_body::holds);
}

#[test]
fn a_cursor_is_a_position_with_one_text() {
    holds_around(&["seeds/cursor"], fuzz::cursor::holds);
}

#[test]
fn each_record_of_an_event_is_what_a_second_reading_says() {
    holds_around(&["seeds/kafka_event", "../tests/fixtures"], fuzz::kafka_event::holds);
}

#[test]
fn settings_keep_their_rules_or_are_refused_by_name_and_no_secret_shows() {
    holds_around(&["seeds/settings"], fuzz::settings::holds);
}
