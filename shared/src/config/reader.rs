//! Reads settings one by one and keeps every fault until the end, so that the operator mends them all at
//! once. A method that answers [`Reported`] has put its fault on the list already.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use super::environment::Environment;
use super::fault::{Fault, Faults, Problem};
use super::table::{Default, Rule, Sensitivity, Setting};
use super::values::{self, Secret};

/// What the twins of a secret may be.
const A_FILE: &str = "the path of a readable text file";
const AN_ARN: &str = "the ARN of a secret in Secrets Manager or of a parameter in SSM, with #key for a member of a JSON object";

/// A value could not be had, and why is on the reader's list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

pub(super) type Read<T> = Result<T, Reported>;

pub(super) struct Reader<'a> {
    environment: &'a dyn Environment,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(environment: &'a dyn Environment) -> Self {
        Self { environment, faults: Vec::new() }
    }

    pub(super) const fn environment(&self) -> &'a dyn Environment {
        self.environment
    }

    pub(super) fn finish<T>(self, value: Read<T>) -> Result<T, Faults> {
        match value {
            Ok(value) if self.faults.is_empty() => Ok(value),
            Ok(_) | Err(Reported) => Err(Faults(self.faults)),
        }
    }

    /// The default, parsed like any other value, where the setting is absent.
    pub(super) fn value<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Option<T>) -> Read<T> {
        let text = match (self.text(setting)?, setting.default) {
            (Some(text), _) => text,
            (None, Default::Value(default)) => default.to_owned(),
            (None, Default::Absent(_)) => return Err(self.report(setting, Problem::Missing)),
        };
        self.parsed(setting, &text, parse)
    }

    /// None where the setting is absent, which means something of its own.
    pub(super) fn optional<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Option<T>) -> Read<Option<T>> {
        self.text(setting)?.map(|text| self.parsed(setting, &text, parse)).transpose()
    }

    pub(super) fn time(&mut self, setting: &Setting) -> Read<Duration> {
        let admits = |time: &Duration| match setting.rule {
            Rule::Time { least, most } => (least..=most).contains(time),
            Rule::Count { .. } | Rule::OneOf(_) | Rule::Words(_) => true,
        };
        self.value(setting, |text| values::duration(text).filter(admits))
    }

    pub(super) fn count(&mut self, setting: &Setting) -> Read<u32> {
        let admits = |number: &u32| match setting.rule {
            Rule::Count { least, most } => (least..=most).contains(number),
            Rule::Time { .. } | Rule::OneOf(_) | Rule::Words(_) => true,
        };
        self.value(setting, |text| values::count(text).filter(admits))
    }

    pub(super) fn secret(&mut self, setting: &Setting) -> Read<Option<Secret>> {
        Ok(self.text(setting)?.map(Secret::new))
    }

    pub(super) fn report(&mut self, setting: &Setting, problem: Problem) -> Reported {
        self.report_as(setting.name, problem, setting.rule.to_string())
    }

    pub(super) fn report_as(&mut self, name: &str, problem: Problem, allowed: String) -> Reported {
        let fault = Fault { name: name.to_owned(), problem, allowed };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
        Reported
    }

    fn parsed<T>(&mut self, setting: &Setting, text: &str, parse: impl Fn(&str) -> Option<T>) -> Read<T> {
        parse(text).ok_or_else(|| {
            let problem = match setting.sensitivity {
                Sensitivity::Plain => Problem::NotAllowed { value: text.chars().take(100).collect() },
                Sensitivity::Secret => Problem::NotAllowedSecret,
            };
            self.report(setting, problem)
        })
    }

    /// What is said: in the variable, in the file that its one twin names, or in the secret that the other does.
    fn text(&mut self, setting: &Setting) -> Read<Option<String>> {
        let own = self.variable(setting.name, setting.rule.to_string());
        let (Some(file), Some(arn)) = (setting.file_twin(), setting.arn_twin()) else { return own };
        // All are looked at before the fault of one ends this: all faults at once.
        let (path, reference) = (self.variable(&file, A_FILE.to_owned()), self.variable(&arn, AN_ARN.to_owned()));
        match (own?, path?, reference?) {
            (Some(_), Some(_), _) => Err(self.report(setting, Problem::BothGiven { twin: file })),
            (Some(_), None, Some(_)) => Err(self.report(setting, Problem::BothGiven { twin: arn })),
            (None, Some(_), Some(_)) => Err(self.report_as(&file, Problem::BothGiven { twin: arn }, A_FILE.to_owned())),
            (Some(text), None, None) => Ok(Some(text)),
            (None, Some(path), None) => self.file(setting, &file, path).map(Some),
            (None, None, Some(reference)) => self.fetched(setting, &arn, reference).map(Some),
            (None, None, None) => Ok(None),
        }
    }

    fn variable(&mut self, name: &str, allowed: String) -> Read<Option<String>> {
        let problem = match self.environment.get(name) {
            Ok(Some(text)) if text.is_empty() => Problem::Empty,
            Ok(text) => return Ok(text),
            Err(super::NotUtf8) => Problem::NotUtf8,
        };
        Err(self.report_as(name, problem, allowed))
    }

    fn file(&mut self, setting: &Setting, twin: &str, path: String) -> Read<String> {
        match self.environment.read_file(Path::new(&path)).map(without_line_end) {
            Ok(text) if text.is_empty() => {
                let problem = Problem::UnreadableFile { path, why: "it is empty".to_owned() };
                Err(self.report_as(twin, problem, setting.rule.to_string()))
            }
            Ok(text) => Ok(text),
            Err(error) => Err(self.report_as(twin, unreadable(path, &error), A_FILE.to_owned())),
        }
    }

    fn fetched(&mut self, setting: &Setting, twin: &str, arn: String) -> Read<String> {
        match self.environment.secret(&arn).map(without_line_end) {
            Ok(text) if text.is_empty() => {
                let problem = Problem::UnreadableSecret { arn, why: "it is empty".to_owned() };
                Err(self.report_as(twin, problem, setting.rule.to_string()))
            }
            Ok(text) => Ok(text),
            // What is no ARN may be the secret itself, set under the wrong name.
            Err(why) => {
                let arn = if arn.starts_with("arn:") { arn } else { "(not shown)".to_owned() };
                Err(self.report_as(twin, Problem::UnreadableSecret { arn, why }, AN_ARN.to_owned()))
            }
        }
    }
}

/// What is no path may be the secret itself, set under the wrong name: it is not shown.
fn unreadable(path: String, error: &io::Error) -> Problem {
    // These say that something is there.
    let there = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::InvalidData);
    if there || Path::new(&path).is_absolute() {
        Problem::UnreadableFile { path, why: error.to_string() }
    } else {
        Problem::NotAllowedSecret
    }
}

/// An editor ends the last line; the secret does not.
fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}
