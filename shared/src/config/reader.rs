//! Reads settings one by one and keeps every fault until the end, so that the operator mends them all at
//! once. A method that answers [`Reported`] has put its fault on the list already.

use std::path::Path;
use std::time::Duration;

use super::environment::Environment;
use super::fault::{Fault, Faults, Problem};
use super::table::{Default, Rule, Sensitivity, Setting};
use super::values::{self, Secret};

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

    /// What is said, in the variable or in the file that its twin names.
    fn text(&mut self, setting: &Setting) -> Read<Option<String>> {
        let own = self.variable(setting, setting.name);
        let Some(twin) = setting.file_twin() else { return own };
        // Both are looked at before either's fault ends this: all faults at once.
        let path = self.variable(setting, &twin);
        match (own?, path?) {
            (Some(_), Some(_)) => Err(self.report(setting, Problem::BothGiven { twin })),
            (Some(text), None) => Ok(Some(text)),
            (None, Some(path)) => self.file(setting, &twin, path).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn variable(&mut self, setting: &Setting, name: &str) -> Read<Option<String>> {
        let problem = match self.environment.get(name) {
            Ok(Some(text)) if text.is_empty() => Problem::Empty,
            Ok(text) => return Ok(text),
            Err(super::NotUtf8) => Problem::NotUtf8,
        };
        let allowed = if name == setting.name { setting.rule.to_string() } else { "the path of a file".to_owned() };
        Err(self.report_as(name, problem, allowed))
    }

    fn file(&mut self, setting: &Setting, twin: &str, path: String) -> Read<String> {
        let mut text = match self.environment.read_file(Path::new(&path)) {
            Ok(text) => text,
            Err(error) => {
                let problem = Problem::UnreadableFile { path, why: error.to_string() };
                return Err(self.report_as(twin, problem, "the path of a readable text file".to_owned()));
            }
        };
        // An editor ends the last line; the secret does not.
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() {
            let problem = Problem::UnreadableFile { path, why: "it is empty".to_owned() };
            return Err(self.report_as(twin, problem, setting.rule.to_string()));
        }
        Ok(text)
    }
}
