//! Where the server is served and whom it lets in; and, on Lambda, which tenant a caller is of.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::fault::Problem;
use super::reader::{Read, Reader};
use super::{table, values};
use crate::access::key::PREFIX;
use crate::access::keyring::Keyring;

/// The API keys, and the file in which they may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySettings {
    pub path: PathBuf,
    pub keyring: Keyring,
}

/// Beyond loopback somebody has to be asked who they are, or the operator has to say that nobody is.
pub(super) fn doors(reader: &mut Reader<'_>) -> Read<(SocketAddr, Option<KeySettings>)> {
    let addr = reader.value(&table::LISTEN_ADDR, values::listen_addr);
    let anonymous = reader.value(&table::ALLOW_ANONYMOUS, |text| match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    });
    let keys = keys(reader);
    let (addr, anonymous, keys) = (addr?, anonymous?, keys?);
    match (&keys, anonymous) {
        (Some(_), true) => {
            let why = "is true, and API_KEYS_FILE is set: either callers have keys, or anybody may call".to_owned();
            Err(reader.report_as(table::ALLOW_ANONYMOUS.name, Problem::Unfit { why }, "false, or no API_KEYS_FILE".to_owned()))
        }
        (None, false) if !addr.ip().to_canonical().is_loopback() => {
            let why = format!("is {addr}, beyond loopback, where anybody could send: there is no authentication");
            let allowed = "a loopback address, or any with API_KEYS_FILE or with ALLOW_ANONYMOUS=true".to_owned();
            Err(reader.report_as(table::LISTEN_ADDR.name, Problem::Unfit { why }, allowed))
        }
        (Some(_), false) | (None, true | false) => Ok((addr, keys)),
    }
}

fn keys(reader: &mut Reader<'_>) -> Read<Option<KeySettings>> {
    let Some(path) = reader.optional(&table::API_KEYS_FILE, |text| Some(PathBuf::from(text)))? else { return Ok(None) };
    let text = reader.environment().read_file(&path).map_err(|error| {
        let (path, why) = (path.display().to_string(), error.to_string());
        // A path is no secret; a key that somebody set for it is one.
        let problem = if path.starts_with(PREFIX) { Problem::NotAllowedSecret } else { Problem::UnreadableFile { path, why } };
        reader.report(&table::API_KEYS_FILE, problem)
    })?;
    match Keyring::parse(&text) {
        Ok(keyring) => Ok(Some(KeySettings { path, keyring })),
        Err(faults) => {
            let told = faults.iter().map(|fault| reader.report(&table::API_KEYS_FILE, Problem::Unfit { why: fault.to_string() }));
            Err(told.last().unwrap_or(super::reader::Reported))
        }
    }
}

pub(super) fn tenant_claim(reader: &mut Reader<'_>) -> Read<Option<String>> {
    // An issuer may name its claims by URLs, so that they are nobody else's.
    reader.optional(&table::TENANT_CLAIM, values::visible)
}
