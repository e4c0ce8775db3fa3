//! How Kafka is spoken to: each protocol with what it needs, and nothing with what it does not use.

use super::*;
use crate::events::Security;
use crate::events::security::{Mechanism, Sasl, Tls};

/// What `create` makes of these, besides what it always needs.
fn secured(said: &[(&str, &str)]) -> Result<Security, Faults> {
    let always = [("EMAIL_PROVIDER", "dev:"), ("KAFKA_BOOTSTRAP_SERVERS", "a:1")];
    let mut environment = Fixed::new(always);
    environment.variables.extend(said.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned()))));
    CreateSettings::read(&environment).map(|settings| settings.kafka.unwrap().security)
}

#[test]
fn kafka_is_spoken_to_as_its_protocol_says() {
    assert_eq!(secured(&[]), Ok(Security::default()));
    assert_eq!(secured(&[("KAFKA_SECURITY_PROTOCOL", "SSL")]), Ok(Security { tls: Some(Tls::default()), sasl: None }));
    let iam = [("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"), ("KAFKA_SASL_MECHANISM", "AWS_MSK_IAM")];
    assert_eq!(secured(&iam), Ok(Security { tls: Some(Tls::default()), sasl: Some(Sasl::AwsMskIam) }));
    let scram = [
        ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
        ("KAFKA_SASL_USERNAME", "user"),
        ("KAFKA_SASL_PASSWORD", "canary"),
    ];
    let security = secured(&scram).unwrap();
    let password = Secret::new("canary".to_owned());
    let sasl = Sasl::Password { mechanism: Mechanism::ScramSha512, username: Secret::new("user".to_owned()), password };
    assert_eq!(security, Security { tls: None, sasl: Some(sasl) });
    assert!(!format!("{security:?}").contains("canary"), "{security:?}");
}

#[test]
fn what_kafkas_protocol_lacks_or_does_not_use_is_a_fault() {
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----";
    type Said = &'static [(&'static str, &'static str)];
    let cases: [(Said, &[&str]); 9] = [
        (&[("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"), ("KAFKA_CA_PEM", "canary")], &["KAFKA_CA_PEM", "KAFKA_SASL_MECHANISM"]),
        (&[("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")], &["KAFKA_SASL_MECHANISM"]),
        (
            &[("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"), ("KAFKA_SASL_MECHANISM", "PLAIN")],
            &["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"],
        ),
        (&[("KAFKA_SASL_MECHANISM", "PLAIN"), ("KAFKA_SASL_PASSWORD", "p")], &["KAFKA_SASL_MECHANISM", "KAFKA_SASL_PASSWORD"]),
        (&[("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("KAFKA_SASL_MECHANISM", "AWS_MSK_IAM")], &["KAFKA_SASL_MECHANISM"]),
        (
            &[("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"), ("KAFKA_SASL_MECHANISM", "AWS_MSK_IAM"), ("KAFKA_SASL_PASSWORD", "p")],
            &["KAFKA_SASL_PASSWORD"],
        ),
        (&[("KAFKA_CA_PEM", CERTIFICATE), ("KAFKA_KEY_PEM", KEY)], &["KAFKA_CA_PEM", "KAFKA_KEY_PEM"]),
        (&[("KAFKA_SECURITY_PROTOCOL", "SSL"), ("KAFKA_CERTIFICATE_PEM", CERTIFICATE)], &["KAFKA_KEY_PEM"]),
        (&[("KAFKA_SECURITY_PROTOCOL", "SSL"), ("KAFKA_CA_PEM", "canary")], &["KAFKA_CA_PEM"]),
    ];
    for (said, expected) in cases {
        let faults = secured(said).unwrap_err();
        assert!(!faults.to_string().contains("canary"), "{faults}");
        assert_eq!(names(Err(faults)), expected, "{said:?}");
    }
}
