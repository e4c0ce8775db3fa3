//! The settings: what is taken keeps the rules that the settings promise, what is not is told fault by fault
//! under names that there are, and a secret shows nowhere.
//!
//! The bytes are lines, `NAME=value`; in one without a known name the first byte picks it. A `|` in a secret
//! stands for a text that must never be seen again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::path::Path;

use shared::config::table::{ALL, Command, Sensitivity};
use shared::config::{
    CreateSettings, CreateTableSettings, Environment, Faults, GetSettings, NotUtf8, Output, ProcessSettings, RedriveSettings,
    ServerSettings, StackSettings,
};
use shared::service::Policy;

/// Of base64's letters, and as many as keep it whole.
const CANARY: &str = "k4n4rI3nV0g3l/+x";

pub fn holds(bytes: &[u8]) {
    let environment = Made::of(bytes);
    let server = judged(&environment, Command::Server, ServerSettings::read);
    if let Some(server) = &server {
        keeps_its_rules(&server.policy);
        let anonymous = environment.says("ALLOW_ANONYMOUS", "true");
        assert!(
            anonymous != server.keys.is_some() || server.listen_addr.ip().to_canonical().is_loopback(),
            "{}",
            server.listen_addr
        );
    }
    let create = judged(&environment, Command::Create, CreateSettings::read);
    let process = judged(&environment, Command::Process, ProcessSettings::read);
    let redrive = judged(&environment, Command::Redrive, RedriveSettings::read);
    let get = judged(&environment, Command::Get, GetSettings::read);
    judged(&environment, Command::Stack, StackSettings::read);
    judged(&environment, Command::CreateTable, CreateTableSettings::read);
    // Who asks for less is satisfied with less.
    assert!(create.is_none() || redrive.is_some());
    assert!(redrive.is_none() || process.is_some());
    // Of what `create` asks for and redrive doesn't, `get` asks for all.
    assert!(create.is_some() || redrive.is_none() || get.is_none());
    if let Some(create) = &create {
        keeps_its_rules(&create.policy);
        assert!(!create.providers.bindings.is_empty());
    }
}

fn judged<T: Debug>(environment: &Made, command: Command, read: fn(&dyn Environment) -> Result<T, Faults>) -> Option<T> {
    match (read(environment), read(environment)) {
        (Ok(settings), Ok(_)) => {
            assert!(!format!("{settings:?}").contains(CANARY), "a secret shows in the settings of {command:?}");
            Some(settings)
        }
        (Err(faults), Err(again)) => {
            assert_eq!(faults, again, "the same settings have other faults");
            assert!(!faults.0.is_empty(), "refused without a reason");
            assert!(!format!("{faults} {faults:?}").contains(CANARY), "a secret shows in a fault of {command:?}: {faults}");
            for fault in &faults.0 {
                let setting = ALL.iter().find(|known| {
                    known.name == fault.name
                        || [known.file_twin(), known.arn_twin()].iter().flatten().any(|twin| *twin == fault.name)
                });
                let setting = setting.unwrap_or_else(|| panic!("there is no {}", fault.name));
                assert!(setting.used_by.contains(&command), "{command:?} does not use {}", fault.name);
                assert!(!fault.allowed.is_empty());
            }
            None
        }
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("the same settings are taken and refused"),
    }
}

fn keeps_its_rules(policy: &Policy) {
    assert!(policy.lease >= policy.send_timeout + 3 * policy.clock_skew, "nobody could ever send: {policy:?}");
    assert!(policy.retry.max_attempts >= 1 && !policy.send_timeout.is_zero() && !policy.due_guard.is_zero());
}

/// An environment made up by a fuzzer.
struct Made(BTreeMap<String, Result<String, NotUtf8>>);

impl Made {
    fn of(bytes: &[u8]) -> Self {
        let twins = ALL.iter().filter_map(|setting| setting.file_twin().map(|twin| (twin, Sensitivity::Plain)));
        let names: Vec<(String, Sensitivity)> =
            ALL.iter().map(|setting| (setting.name.to_owned(), setting.sensitivity)).chain(twins).collect();
        let mut variables = BTreeMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some((first, rest)) = line.split_first() else { continue };
            let named = names.iter().find_map(|known| Some((known, line.strip_prefix(known.0.as_bytes())?.strip_prefix(b"=")?)));
            let ((name, sensitivity), value) = named.unwrap_or((&names[usize::from(*first) % names.len()], rest));
            let value = std::str::from_utf8(value).map_err(|_not_text| NotUtf8).map(|value| match sensitivity {
                Sensitivity::Plain => value.to_owned(),
                Sensitivity::Secret => value.replace('|', CANARY),
            });
            variables.insert(name.clone(), value);
        }
        Self(variables)
    }

    fn says(&self, name: &str, value: &str) -> bool {
        matches!(self.0.get(name), Some(Ok(said)) if said == value)
    }
}

impl Environment for Made {
    fn get(&self, name: &str) -> Result<Option<String>, NotUtf8> {
        self.0.get(name).cloned().transpose()
    }

    /// A file holds what its path says behind the first letter.
    fn read_file(&self, path: &Path) -> io::Result<String> {
        let path = path.to_str().unwrap_or_default();
        let text = path.strip_prefix('/').ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))?;
        Ok(text.replace('|', CANARY))
    }

    fn stderr(&self) -> Output {
        Output::Elsewhere
    }
}
