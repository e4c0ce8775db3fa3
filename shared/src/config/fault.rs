//! What is wrong with the settings. Written for the operator who has to mend it; a secret is never
//! repeated, and neither is a provider's URL, which may hold one.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    #[error("is not valid UTF-8")]
    NotUtf8,
    #[error("is set but empty")]
    Empty,
    #[error("is missing")]
    Missing,
    #[error("is set, and so is {twin}: only one of them may be")]
    BothGiven { twin: String },
    #[error("names the file {path:?}, which can't be read: {why}")]
    UnreadableFile { path: String, why: String },
    /// In the words of who asked for it; an ARN is no secret.
    #[error("names the secret {arn}, which can't be read: {why}")]
    UnreadableSecret { arn: String, why: String },
    /// A value that may be shown.
    #[error("is {value:?}")]
    NotAllowed { value: String },
    /// A value that may not.
    #[error("is not as it has to be (the value is not shown)")]
    NotAllowedSecret,
    /// In the words of whoever understands the value.
    #[error("{why}")]
    Unfit { why: String },
}

/// One setting that can't work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable to mend, as the operator wrote it: `WEBHOOK_SECRET_FILE`, if it was that one.
    pub name: String,
    pub problem: Problem,
    /// What would do instead.
    pub allowed: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; allowed: {}", self.name, self.problem, self.allowed)
    }
}

/// Every fault of a command's settings, one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// For `main`: says it all on stderr (there are no log settings yet) and gives the code to exit with.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        // Where stderr is closed, the exit code is all that can be said.
        std::io::stderr().lock().write_all(format!("{self}\n").as_bytes()).unwrap_or_default();
        ExitCode::from(super::EX_CONFIG)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
