//! What a server shows at `/metrics`, read as strictly as the text format 0.0.4 can be: a fault in it is a panic.

use std::collections::{BTreeMap, BTreeSet};

/// The value of each series, by its name and labels as they stand.
#[derive(Clone, Debug, Default)]
pub struct Exposition(pub BTreeMap<String, f64>);

impl Exposition {
    #[must_use]
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut all = Self::default();
        let mut families = BTreeSet::new();
        let (mut name, mut kind) = (String::new(), String::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (family, meaning) = help.split_once(' ').expect("a meaning");
                assert!(is_name(family) && !meaning.is_empty(), "{line}");
                assert!(families.insert(family.to_owned()), "{family} stands twice");
                let (of, what) = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).expect("a TYPE");
                assert_eq!(of, family);
                assert!(["counter", "gauge", "histogram"].contains(&what), "{what}");
                (name, kind) = (family.to_owned(), what.to_owned());
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            let (of, labels) = series.split_once('{').map_or((series, None), |(of, labels)| (of, Some(labels)));
            if let Some(labels) = labels {
                check_labels(labels.strip_suffix('}').unwrap_or_else(|| panic!("no end: {line}")));
            }
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.iter().any(|suffix| of == format!("{name}{suffix}")), "{line} stands under {name}");
            assert_eq!(kind == "counter", of.ends_with("_total"), "{line}");
            assert!(value >= 0.0 && (value.fract() == 0.0 || of.ends_with("_sum")), "{line}");
            assert!(all.0.insert(series.to_owned(), value).is_none(), "{series} stands twice");
        }
        all.check_histograms();
        all
    }

    /// Each bucket holds those before it, and the last one holds all.
    fn check_histograms(&self) {
        for (series, count) in self.0.iter().filter(|(series, _)| series.contains("_seconds_count")) {
            let bucket = series.replace("_count", "_bucket");
            let prefix = bucket.trim_end_matches('}').to_owned();
            let of_it = self.0.iter().filter(|(other, _)| other.starts_with(&prefix));
            let ends = of_it.map(|(other, value)| {
                let end = other.rsplit_once("le=\"").expect("an end").1.trim_end_matches("\"}").to_owned();
                (if end == "+Inf" { f64::INFINITY } else { end.parse().expect("a number") }, *value)
            });
            let mut ends: Vec<(f64, f64)> = ends.collect();
            ends.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{series}: {ends:?}");
            assert_eq!(ends.last(), Some(&(f64::INFINITY, *count)), "{series}");
            assert!(self.0.contains_key(&series.replace("_count", "_sum")), "{series}");
        }
    }

    /// 0 where it is not shown. Without its prefix: `sent_total{…}`.
    #[must_use]
    pub fn get(&self, series: &str) -> f64 {
        self.0.get(&format!("notifications_{series}")).copied().unwrap_or_default()
    }

    /// Of all its series.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        let name = format!("notifications_{name}");
        self.0.iter().filter(|(series, _)| series.split('{').next() == Some(&name)).fold(0.0, |sum, (_, value)| sum + value)
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !text.is_empty()
}

fn check_labels(labels: &str) {
    for label in labels.split(',') {
        let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("no label: {label}"));
        let value = value.strip_suffix('"').unwrap_or_else(|| panic!("no end: {label}"));
        assert!(is_name(name) && !value.contains(['"', '\\', '\n', '=']), "{label}");
    }
}
