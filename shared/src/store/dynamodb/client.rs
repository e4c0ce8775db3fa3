//! The SDK's client, with time-outs that fit a request: it repeats a call whose answer does not come,
//! all within one `STORE_TIMEOUT`. A write may therefore arrive twice.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::store::Error;

/// `STORE_TIMEOUT` unless set: a call with all its repeats.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

const TRIES: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const CONNECT: Duration = Duration::from_secs(1);
/// A connection that slept through a freeze of the function is likely dead: better a new one.
const IDLE: Duration = Duration::from_secs(20);

/// Region, endpoint and credentials from AWS's own variables and files.
pub(super) async fn from_environment(timeout: Duration) -> Result<Client, Error> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts(timeout))
        .retry_config(retries())
        .http_client(http())
        .load()
        .await;
    if config.region().is_none() {
        return Err(Error::Refused { what: "no AWS region is set (AWS_REGION)".to_owned() });
    }
    Ok(Client::new(&config))
}

/// A store that asks for no credentials of anybody's, such as the embedded one.
pub(super) fn at(endpoint: &str, timeout: Duration) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("local"))
        // DynamoDB Local takes letters and digits only.
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .timeout_config(timeouts(timeout))
        .retry_config(retries())
        .http_client(http_of(endpoint))
        .build();
    Client::from_conf(config)
}

fn timeouts(whole: Duration) -> TimeoutConfig {
    let try_ = whole / TRIES;
    TimeoutConfig::builder().operation_timeout(whole).operation_attempt_timeout(try_).connect_timeout(try_.min(CONNECT)).build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(FIRST_BACKOFF)
}

/// Plain HTTP needs no TLS, whose set-up reads every certificate of the system.
fn http_of(endpoint: &str) -> SharedHttpClient {
    if endpoint.starts_with("http://") {
        aws_smithy_http_client::Builder::new().pool_idle_timeout(IDLE).build_http()
    } else {
        http()
    }
}

fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().pool_idle_timeout(IDLE).tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_time_a_third_for_each_try_and_a_second_at_most_to_connect() {
        for (whole, of_a_try, to_connect) in [(6_000, 2_000, 1_000), (1_500, 500, 500)] {
            let config = timeouts(Duration::from_millis(whole));
            let told = [config.operation_timeout(), config.operation_attempt_timeout(), config.connect_timeout()];
            assert_eq!(told, [whole, of_a_try, to_connect].map(|millis| Some(Duration::from_millis(millis))));
        }
    }
}
