//! The file of API keys, `API_KEYS_FILE`: one key a line, as `name tenant sha256`. What is empty or begins
//! with `#` says nothing.
//!
//! ```text
//! # made by `server create-key shop`
//! shop default <64 hexadecimal digits>
//! ```
//!
//! A fault names its line and repeats nothing of it: where the digest should be, somebody may have put the key.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::Caller;
use super::key::Digest;
use crate::domain::{Invalid, Tenant};

/// What a key is called in `createdBy`: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_name);
        if fits { Ok(Self(text.to_owned())) } else { Err(Invalid("must be 1 to 64 of A-Z a-z 0-9 . _ -")) }
    }
}

/// One key: who bears it, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: Name,
    pub tenant: Tenant,
    pub digest: Digest,
}

/// Its line in the file.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name.0, self.tenant.as_str(), self.digest)
    }
}

/// Who may come in, by their keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("line {line} is not a name, a tenant and a SHA-256 with spaces between")]
    Form { line: usize },
    #[error("line {line}: the name {why}")]
    Name { line: usize, why: Invalid },
    #[error("line {line}: the tenant {why}")]
    Tenant { line: usize, why: Invalid },
    #[error("line {line}: the SHA-256 must be 64 hexadecimal digits")]
    Digest { line: usize },
    #[error("line {line}: the SHA-256 is that of an empty key")]
    EmptyKey { line: usize },
    #[error("line {line} has the name of line {first}")]
    SameName { line: usize, first: usize },
    #[error("line {line} has the key of line {first}")]
    SameKey { line: usize, first: usize },
}

impl Keyring {
    /// Everything that is wrong with the file, at once.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let (mut entries, mut faults) = (Vec::new(), Vec::new());
        let (mut names, mut digests) = (BTreeMap::new(), BTreeMap::new());
        for (line, text) in (1..).zip(text.lines()) {
            let words: Vec<&str> = text.split_whitespace().collect();
            let (name, tenant, digest) = match *words.as_slice() {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                [name, tenant, digest] => (name, tenant, digest),
                _ => {
                    faults.push(Fault::Form { line });
                    continue;
                }
            };
            let name = Name::parse(name).map_err(|why| faults.push(Fault::Name { line, why })).ok();
            let tenant = Tenant::parse(tenant).map_err(|why| faults.push(Fault::Tenant { line, why })).ok();
            let digest = Digest::parse(digest);
            match digest {
                None => faults.push(Fault::Digest { line }),
                // Of a variable that was not set.
                Some(digest) if digest == Digest::of(b"") => faults.push(Fault::EmptyKey { line }),
                Some(_) => {}
            }
            if let Some(first) = name.clone().and_then(|name| first_line(&mut names, name, line)) {
                faults.push(Fault::SameName { line, first });
            }
            if let Some(first) = digest.and_then(|digest| first_line(&mut digests, digest.to_string(), line)) {
                faults.push(Fault::SameKey { line, first });
            }
            if let (Some(name), Some(tenant), Some(digest)) = (name, tenant, digest) {
                entries.push(Entry { name, tenant, digest });
            }
        }
        if faults.is_empty() { Ok(Self { entries }) } else { Err(faults) }
    }

    /// Whose key this is. Every key is looked at, whichever it is, each in the same time.
    #[must_use]
    pub fn find(&self, presented: &[u8]) -> Option<Caller> {
        let presented = Digest::of(presented);
        let mut found = None;
        for entry in &self.entries {
            if entry.digest == presented {
                found = Some(entry);
            }
        }
        found.map(|entry| Caller { tenant: entry.tenant.clone(), name: Some(entry.name.0.clone()) })
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The line that had it before, if there is one.
fn first_line<T: Ord>(seen: &mut BTreeMap<T, usize>, what: T, line: usize) -> Option<usize> {
    let first = *seen.entry(what).or_insert(line);
    (first != line).then_some(first)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(name: &str, tenant: &str, key: &str) -> String {
        format!("{name} {tenant} {}", Digest::of(key.as_bytes()))
    }

    proptest! {
        #[test]
        fn a_written_file_reads_back_and_each_key_is_its_bearers(
            written in proptest::collection::btree_map("[A-Za-z0-9._-]{1,64}", ("[A-Za-z0-9_-]{1,64}", "[ -~]{0,9}"), 0..9),
            strange in "[ -~]{10,20}",
        ) {
            let mut text = String::from("# keys\n\n");
            for (name, (tenant, key)) in &written {
                text.push_str(&line(name, tenant, &format!("{name}/{key}")));
                text.push_str(" \t\r\n");
            }
            let keyring = Keyring::parse(&text).unwrap();
            prop_assert_eq!(keyring.len(), written.len());
            for (name, (tenant, key)) in written {
                let caller = keyring.find(format!("{name}/{key}").as_bytes());
                prop_assert_eq!(caller, Some(Caller { tenant: Tenant::parse(&tenant).unwrap(), name: Some(name) }));
            }
            prop_assert_eq!(keyring.find(strange.as_bytes()), None);
            prop_assert_eq!(keyring.find(b""), None);
        }

        #[test]
        fn no_text_makes_the_parser_panic_and_what_is_kept_is_written_as_it_was(text in "([a#]{0,2}[ \t]?[a-c.]{0,2} [0-9a-f]{63,65}[ \n]|\\PC{0,9}\n){0,4}") {
            match Keyring::parse(&text) {
                Ok(keyring) => {
                    let again: String = keyring.entries.iter().map(|entry| format!("{entry}\n")).collect();
                    prop_assert_eq!(Keyring::parse(&again), Ok(keyring));
                }
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }
    }

    #[test]
    fn every_fault_of_the_file_is_told_with_its_line_and_nothing_of_its_text() {
        let text = [
            "# name tenant sha256".to_owned(),
            line("shop", "default", "canary-1"),
            "canary-a canary-b".to_owned(),
            "canary/1 canary.1 nk_canary".to_owned(),
            line("shop", "other", "canary-2"),
            line("other", "other", "canary-1"),
            format!("{} canary", line("more", "other", "canary-3")),
            line("unset", "other", ""),
        ];
        let faults = Keyring::parse(&text.join("\n")).unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "line 3 is not a name, a tenant and a SHA-256 with spaces between",
                "line 4: the name must be 1 to 64 of A-Z a-z 0-9 . _ -",
                "line 4: the tenant must be 1 to 64 of A-Z a-z 0-9 _ -",
                "line 4: the SHA-256 must be 64 hexadecimal digits",
                "line 5 has the name of line 2",
                "line 6 has the key of line 2",
                "line 7 is not a name, a tenant and a SHA-256 with spaces between",
                "line 8: the SHA-256 is that of an empty key",
            ]
        );
        let keyring = Keyring::parse(&line("canary", "canary", "canary")).unwrap();
        assert_eq!(format!("{keyring:?}"), "Keyring(1 keys)");
    }
}
