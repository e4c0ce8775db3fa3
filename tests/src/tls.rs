//! A certificate authority of a test's own, and a door that speaks TLS before a receiver that does not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(…)")
    }
}

/// What a server shows, and its key.
#[derive(Debug)]
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Identity {
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Now,
    Over,
}

impl Authority {
    /// Trusted by nobody who is not told of it.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, as a file of trusted ones holds it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// For host names or addresses, the first of which is its subject.
    #[must_use]
    pub fn identity(&self, names: &[&str], validity: Validity) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names.first().copied().expect("a name"));
        if validity == Validity::Over {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        Identity { certificate: params.signed_by(&key, &self.issuer).expect("a certificate"), key }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes connections with TLS and passes on what is in them; until it is dropped.
#[derive(Debug)]
pub struct TlsDoor {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsDoor {
    pub async fn before(upstream: SocketAddr, identity: Identity) -> Self {
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![identity.certificate.into()], PrivatePkcs8KeyDer::from(identity.key.serialize_der()).into())
            .expect("the key is the certificate's");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    // Who doesn't trust the certificate hangs up.
                    let Ok(mut near) = acceptor.accept(near).await else { return };
                    let Ok(mut far) = TcpStream::connect(upstream).await else { return };
                    drop(copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        Self { address, task }
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        self.task.abort();
    }
}
