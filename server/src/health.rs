//! `server health`: asks the server that runs beside it whether it is alive, and tells by its exit code. It
//! is a container's health check: the image holds neither a shell nor curl. Asking changes nothing.
//!
//! It asks `/health` and not `/health/ready`, because whoever runs containers ends one that is unhealthy,
//! and no restart brings back a store that is away. Who chooses among servers asks `/health/ready`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use shared::config::HealthSettings;
use shared::http::routes;
use thiserror::Error;

/// Nothing of ours is asked on the way: a server that takes longer doesn't get to anybody's request either.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Error)]
pub enum Error {
    #[error("{url} can't be asked")]
    NoAnswer {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
}

pub async fn check(settings: &HealthSettings) -> Result<(), Error> {
    let url = format!("http://{}{}", reachable(settings.listen_addr), routes::HEALTH);
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build();
    let answer = async { client?.get(&url).send().await }.await;
    match answer.map(|answer| answer.status().as_u16()) {
        Ok(200) => Ok(()),
        Ok(status) => Err(Error::Status { url, status }),
        Err(source) => Err(Error::NoAnswer { url, source: source.without_url() }),
    }
}

/// Where a server that listens there is met from the same machine.
fn reachable(listen_addr: SocketAddr) -> SocketAddr {
    let ip = match listen_addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen_addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("192.168.1.1:80", "192.168.1.1:80"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
