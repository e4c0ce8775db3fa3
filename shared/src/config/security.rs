//! How Kafka's clients prove who they are. What the protocol does not use must not be set: a password that
//! nobody asks for means that somebody believes in a protection that is not there.

use super::fault::Problem;
use super::reader::{Read, Reader, Reported};
use super::table::{
    KAFKA_CA_PEM, KAFKA_CERTIFICATE_PEM, KAFKA_KEY_PEM, KAFKA_SASL_MECHANISM, KAFKA_SASL_PASSWORD, KAFKA_SASL_USERNAME,
    KAFKA_SECURITY_PROTOCOL, Setting,
};
use super::values::Secret;
use crate::events::security::{Mechanism, OwnCertificate, Sasl, Security, Tls};

/// What `KAFKA_SECURITY_PROTOCOL` says.
#[derive(Clone, Copy)]
struct Protocol {
    name: &'static str,
    tls: bool,
    sasl: bool,
}

const PROTOCOLS: [Protocol; 4] = [
    Protocol { name: "PLAINTEXT", tls: false, sasl: false },
    Protocol { name: "SSL", tls: true, sasl: false },
    Protocol { name: "SASL_PLAINTEXT", tls: false, sasl: true },
    Protocol { name: "SASL_SSL", tls: true, sasl: true },
];

/// What `KAFKA_SASL_MECHANISM` says.
#[derive(Clone, Copy)]
enum Word {
    Password(Mechanism),
    AwsMskIam,
}

pub(super) fn security(reader: &mut Reader<'_>) -> Read<Security> {
    let protocol = reader.value(&KAFKA_SECURITY_PROTOCOL, |text| PROTOCOLS.into_iter().find(|one| one.name == text));
    // Each is looked at, whatever the others are: all faults at once.
    let mechanism = reader.optional(&KAFKA_SASL_MECHANISM, mechanism);
    let username = reader.secret(&KAFKA_SASL_USERNAME);
    let password = reader.secret(&KAFKA_SASL_PASSWORD);
    let ca = pem(reader, &KAFKA_CA_PEM, "-----BEGIN CERTIFICATE-----");
    let certificate = pem(reader, &KAFKA_CERTIFICATE_PEM, "-----BEGIN CERTIFICATE-----");
    let key = pem(reader, &KAFKA_KEY_PEM, "PRIVATE KEY-----");
    let protocol = protocol?;
    let tls = match (ca, certificate, key) {
        (Ok(ca), Ok(certificate), Ok(key)) => tls(reader, protocol, ca, certificate, key),
        (Err(reported), ..) | (_, Err(reported), _) | (.., Err(reported)) => Err(reported),
    };
    let sasl = match (mechanism, username, password) {
        (Ok(mechanism), Ok(username), Ok(password)) => sasl(reader, protocol, mechanism, username, password),
        (Err(reported), ..) | (_, Err(reported), _) | (.., Err(reported)) => Err(reported),
    };
    Ok(Security { tls: tls?, sasl: sasl? })
}

fn mechanism(text: &str) -> Option<Word> {
    let password = [Mechanism::ScramSha512, Mechanism::ScramSha256, Mechanism::Plain];
    let known = password.into_iter().find(|one| one.as_str() == text).map(Word::Password);
    known.or_else(|| (text == "AWS_MSK_IAM").then_some(Word::AwsMskIam))
}

/// A PEM text, at least by its first line: the rest is OpenSSL's to understand.
fn pem(reader: &mut Reader<'_>, setting: &Setting, has: &str) -> Read<Option<Secret>> {
    match reader.secret(setting)? {
        Some(text) if !text.expose().contains(has) => Err(reader.report(setting, Problem::NotAllowedSecret)),
        text => Ok(text),
    }
}

fn tls(
    reader: &mut Reader<'_>,
    protocol: Protocol,
    ca: Option<Secret>,
    certificate: Option<Secret>,
    key: Option<Secret>,
) -> Read<Option<Tls>> {
    if !protocol.tls {
        let set =
            [(&KAFKA_CA_PEM, ca.is_some()), (&KAFKA_CERTIFICATE_PEM, certificate.is_some()), (&KAFKA_KEY_PEM, key.is_some())];
        return unused(reader, protocol, &set);
    }
    let own = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(OwnCertificate { certificate, key }),
        (Some(_), None) => return Err(reader.report(&KAFKA_KEY_PEM, Problem::Missing)),
        (None, Some(_)) => return Err(reader.report(&KAFKA_CERTIFICATE_PEM, Problem::Missing)),
    };
    Ok(Some(Tls { ca, own }))
}

fn sasl(
    reader: &mut Reader<'_>,
    protocol: Protocol,
    mechanism: Option<Word>,
    username: Option<Secret>,
    password: Option<Secret>,
) -> Read<Option<Sasl>> {
    let credentials = [(&KAFKA_SASL_USERNAME, username.is_some()), (&KAFKA_SASL_PASSWORD, password.is_some())];
    if !protocol.sasl {
        let [username, password] = credentials;
        return unused(reader, protocol, &[(&KAFKA_SASL_MECHANISM, mechanism.is_some()), username, password]);
    }
    match mechanism {
        None => Err(reader.report(&KAFKA_SASL_MECHANISM, Problem::Missing)),
        Some(Word::Password(mechanism)) => {
            let username = username.ok_or_else(|| reader.report(&KAFKA_SASL_USERNAME, Problem::Missing));
            let password = password.ok_or_else(|| reader.report(&KAFKA_SASL_PASSWORD, Problem::Missing));
            Ok(Some(Sasl::Password { mechanism, username: username?, password: password? }))
        }
        // The token is as good as a password, for a quarter of an hour.
        Some(Word::AwsMskIam) if !protocol.tls => {
            let why = "is AWS_MSK_IAM, whose tokens must not go over the wire in the clear".to_owned();
            Err(reader.report_as(KAFKA_SASL_MECHANISM.name, Problem::Unfit { why }, "AWS_MSK_IAM with SASL_SSL".to_owned()))
        }
        Some(Word::AwsMskIam) => match credentials.into_iter().find(|(_, set)| *set) {
            None => Ok(Some(Sasl::AwsMskIam)),
            Some((setting, _)) => {
                let why = "is set, but AWS_MSK_IAM uses AWS's own credentials".to_owned();
                Err(reader.report_as(setting.name, Problem::Unfit { why }, "absent".to_owned()))
            }
        },
    }
}

/// None, unless one of them is set all the same.
fn unused<T>(reader: &mut Reader<'_>, protocol: Protocol, set: &[(&Setting, bool)]) -> Read<Option<T>> {
    let mut reported: Option<Reported> = None;
    for (setting, _) in set.iter().filter(|(_, set)| *set) {
        let why = format!("is set, but KAFKA_SECURITY_PROTOCOL is {}, which does not use it", protocol.name);
        reported = Some(reader.report_as(setting.name, Problem::Unfit { why }, "absent, or another protocol".to_owned()));
    }
    reported.map_or(Ok(None), Err)
}
