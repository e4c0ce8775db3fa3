//! How a client and its brokers know each other. Read from the settings; the clients of Kafka turn it into
//! properties of their library.

use crate::config::Secret;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// None: in the clear.
    pub tls: Option<Tls>,
    /// None: we are nobody, or known by our certificate.
    pub sasl: Option<Sasl>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// In PEM. None: whom the system trusts.
    pub ca: Option<Secret>,
    pub own: Option<OwnCertificate>,
}

/// For brokers that ask for one (mTLS); both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    pub certificate: Secret,
    pub key: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    Password {
        mechanism: Mechanism,
        username: Secret,
        password: Secret,
    },
    /// Amazon MSK's: a token made of AWS's own credentials (OAUTHBEARER on the wire).
    AwsMskIam,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    ScramSha512,
    ScramSha256,
    Plain,
}

impl Mechanism {
    /// As the IANA's registry of SASL mechanisms writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}
