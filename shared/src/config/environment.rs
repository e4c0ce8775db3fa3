//! Where settings come from, as an argument: a test brings its own, a process the real one.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use thiserror::Error;

/// A variable whose value is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not valid UTF-8")]
pub struct NotUtf8;

/// Where what is written to stderr ends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Terminal,
    /// A file, a pipe, a log driver.
    Elsewhere,
}

pub trait Environment {
    /// None if the variable is not set. Set but empty is `Some("")`.
    fn get(&self, name: &str) -> Result<Option<String>, NotUtf8>;

    /// The whole text of a file that a `_FILE` setting names.
    fn read_file(&self, path: &Path) -> io::Result<String>;

    /// The text of a secret that an `_ARN` setting names, fetched before; or why there is none.
    fn secret(&self, _reference: &str) -> Result<String, String> {
        Err("it was not fetched".to_owned())
    }

    fn stderr(&self) -> Output;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnvironment;

impl SystemEnvironment {
    /// More than any URL or key: a `_FILE` that names a disk image must not fill the memory.
    const LARGEST_FILE: u64 = 64 * 1024;
}

impl Environment for SystemEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
    fn get(&self, name: &str) -> Result<Option<String>, NotUtf8> {
        match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(NotUtf8),
        }
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(Self::LARGEST_FILE + 1).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).map_or(true, |read| read > Self::LARGEST_FILE) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 64 KiB"));
        }
        // Not the decoder's own error: it owns the bytes, and they may be a secret.
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
    }

    fn stderr(&self) -> Output {
        if io::stderr().is_terminal() { Output::Terminal } else { Output::Elsewhere }
    }
}

/// An environment made of a list, which remembers what it was asked.
#[cfg(test)]
pub(super) mod fixed {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[derive(Debug)]
    pub(crate) struct Fixed {
        pub(crate) variables: BTreeMap<String, Result<String, NotUtf8>>,
        pub(crate) files: BTreeMap<String, String>,
        pub(crate) stderr: Output,
        pub(crate) asked: RefCell<BTreeSet<String>>,
    }

    impl Fixed {
        pub(crate) fn new<const N: usize>(variables: [(&str, &str); N]) -> Self {
            let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), Ok(value.to_owned()))).collect();
            Self { variables, files: BTreeMap::new(), stderr: Output::Elsewhere, asked: RefCell::default() }
        }

        pub(crate) fn with_file(mut self, path: &str, text: &str) -> Self {
            self.files.insert(path.to_owned(), text.to_owned());
            self
        }
    }

    impl Environment for Fixed {
        fn get(&self, name: &str) -> Result<Option<String>, NotUtf8> {
            self.asked.borrow_mut().insert(name.to_owned());
            self.variables.get(name).cloned().transpose()
        }

        fn read_file(&self, path: &Path) -> io::Result<String> {
            let found = path.to_str().and_then(|path| self.files.get(path));
            found.cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
        }

        fn stderr(&self) -> Output {
            self.stderr
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_this_process_is_read_and_an_unset_one_is_none() {
        assert_eq!(SystemEnvironment.get("CARGO_PKG_NAME"), Ok(Some("shared".to_owned())));
        assert_eq!(SystemEnvironment.get("NOTIFICATIONS_HAS_NO_SUCH_SETTING"), Ok(None));
    }

    #[test]
    fn a_file_is_read_whole_unless_it_is_absurdly_large() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(SystemEnvironment.read_file(&manifest.join("Cargo.toml")).unwrap().contains("name = \"shared\""));
        assert!(SystemEnvironment.read_file(&manifest.join("none-such")).is_err());
        assert!(SystemEnvironment.read_file(manifest).is_err(), "a folder is not a secret");
        #[cfg(unix)]
        assert!(SystemEnvironment.read_file(Path::new("/dev/zero")).is_err());
    }
}
