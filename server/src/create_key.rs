//! `server create-key NAME [TENANT]`: a new API key. Its line for `API_KEYS_FILE` goes to stdout and the key to
//! stderr, so that `server create-key shop >> api-keys` shows the key once and keeps nothing but its digest.
//! It reads no settings and changes nothing; two runs make two keys.
#![expect(clippy::print_stderr, reason = "this is the one time that the key is shown")]

use std::io::{self, Write};

use shared::access::key::{ApiKey, Digest};
use shared::access::keyring::{Entry, Name};
use shared::domain::Tenant;
use shared::random::Random;
use thiserror::Error;

use crate::fatal::Fatal;

#[derive(Debug, Error)]
pub enum Error {
    #[error("{}", faults.join("\n"))]
    Faulty { faults: Vec<String> },
    #[error("its line can't be written, so the key is not shown")]
    Unwritten {
        #[source]
        source: io::Error,
    },
}

pub fn create(name: &str, tenant: Option<&str>, random: &(dyn Random + 'static)) -> Result<(), Fatal> {
    let made = make(name, tenant, random).and_then(|(entry, key)| {
        // The line first: a key that no file knows would open nothing.
        let mut out = io::stdout().lock();
        writeln!(out, "{entry}").and_then(|()| out.flush()).map_err(|source| Error::Unwritten { source })?;
        Ok(key)
    });
    let key = made.map_err(|source| Fatal::CreateKey { source })?;
    eprintln!("{}", key.expose());
    Ok(())
}

fn make(name: &str, tenant: Option<&str>, random: &(dyn Random + 'static)) -> Result<(Entry, ApiKey), Error> {
    let mut faults = Vec::new();
    let name = Name::parse(name).map_err(|invalid| faults.push(format!("the name {invalid}"))).ok();
    let tenant = tenant.map_or_else(|| Ok(Tenant::default()), Tenant::parse);
    let tenant = tenant.map_err(|invalid| faults.push(format!("the tenant {invalid}"))).ok();
    let (Some(name), Some(tenant)) = (name, tenant) else { return Err(Error::Faulty { faults }) };
    let key = ApiKey::make(random);
    Ok((Entry { name, tenant, digest: Digest::of(key.expose().as_bytes()) }, key))
}
