//! The security settings in the words of librdkafka, for the producer, the event source's consumer and
//! `create-topics`.

use rdkafka::ClientConfig;

use crate::events::security::{OwnCertificate, Sasl, Security, Tls};

/// Sets what `security` says.
pub fn secure(config: &mut ClientConfig, security: &Security) {
    let protocol = match (&security.tls, &security.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(Tls { ca, own }) = &security.tls {
        match ca {
            Some(ca) => config.set("ssl.ca.pem", ca.expose()),
            // OpenSSL is built in, and its own folder of certificates is nobody's: the system's are looked for.
            None => config.set("ssl.ca.location", "probe"),
        };
        if let Some(OwnCertificate { certificate, key }) = own {
            config.set("ssl.certificate.pem", certificate.expose()).set("ssl.key.pem", key.expose());
        }
    }
    match &security.sasl {
        None => {}
        Some(Sasl::Password { mechanism, username, password }) => {
            config.set("sasl.mechanism", mechanism.as_str()).set("sasl.username", username.expose());
            config.set("sasl.password", password.expose());
        }
        Some(Sasl::AwsMskIam) => {
            config.set("sasl.mechanism", "OAUTHBEARER");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::events::security::Mechanism;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn each_part_of_the_settings_becomes_the_property_of_its_name() {
        let tls = Tls { ca: Some(secret("ca")), own: Some(OwnCertificate { certificate: secret("cert"), key: secret("key") }) };
        let password = Sasl::Password { mechanism: Mechanism::ScramSha512, username: secret("user"), password: secret("pass") };
        let cases: [(Security, &[(&str, &str)]); 4] = [
            (Security::default(), &[("security.protocol", "plaintext")]),
            (Security { tls: Some(Tls::default()), sasl: None }, &[("security.protocol", "ssl"), ("ssl.ca.location", "probe")]),
            (
                Security { tls: None, sasl: Some(password.clone()) },
                &[
                    ("security.protocol", "sasl_plaintext"),
                    ("sasl.mechanism", "SCRAM-SHA-512"),
                    ("sasl.username", "user"),
                    ("sasl.password", "pass"),
                ],
            ),
            (
                Security { tls: Some(tls), sasl: Some(Sasl::AwsMskIam) },
                &[
                    ("security.protocol", "sasl_ssl"),
                    ("ssl.ca.pem", "ca"),
                    ("ssl.certificate.pem", "cert"),
                    ("ssl.key.pem", "key"),
                    ("sasl.mechanism", "OAUTHBEARER"),
                ],
            ),
        ];
        for (security, expected) in cases {
            let mut config = ClientConfig::new();
            secure(&mut config, &security);
            let set: Vec<_> = expected.iter().map(|(name, _)| (*name, config.get(name).unwrap_or("nothing"))).collect();
            assert_eq!(set, expected, "{security:?}");
            assert_eq!(config.config_map().len(), expected.len(), "nothing else is set: {security:?}");
        }
    }
}
