//! The provider `webhook+http(s):`: hands the notification to a receiver of the user's own, after
//! Standard Webhooks (<https://www.standardwebhooks.com>). Whatever has no provider here yet is sent by
//! such a receiver.
//!
//! The same notification may arrive more than once: after an unknown outcome it is sent again, under the
//! same `webhook-id`. It is that id which makes [`Provider::drops_repeats`] true: the standard tells a
//! receiver to remember it, so that a repeat has no second effect. A receiver that doesn't is told so in
//! `docs/channels.md`.
//!
//! One call of `send` writes at most one request: redirects and reqwest's retries are off, and hyper
//! repeats by itself only what it had not begun to write.

mod request;
mod secret;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect, retry};
use url::Url;

pub use secret::Secret;

use super::registry::{BindingError, Given, Opener, Surroundings};
use super::{Message, OpenError, Provider, Sent};
use crate::clock::Clock;

pub const NAME: &str = "webhook";

/// How much of an answer is read. What lies beyond is never asked for, and the connection not reused.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

/// Below the five seconds after which the most impatient of common servers (Node) closes an idle
/// connection: a request that meets the close on its way is an unknown outcome. Short, too, because a
/// frozen function's connections are dead when it wakes up.
const IDLE: Duration = Duration::from_secs(4);
const MOST_IDLE: usize = 64;

pub struct Webhook {
    client: Client,
    url: Url,
    secret: Secret,
    clock: Arc<dyn Clock>,
}

pub(super) fn parse(given: &Given<'_>) -> Result<Opener, BindingError> {
    let url = read_url(given)
        .ok_or(BindingError::Malformed { form: "webhook+http[s]://[user:password@]host[:port][/path][?query]" })?;
    let secret = given.webhook_secret.ok_or(BindingError::SecretMissing { scheme: given.scheme })?;
    let secret = Secret::parse(secret).map_err(|reason| BindingError::SecretInvalid { reason })?;
    Ok(Arc::new(move |surroundings| Ok(Arc::new(Webhook::open(url.clone(), secret.clone(), surroundings)?))))
}

fn read_url(given: &Given<'_>) -> Option<Url> {
    let scheme = given.scheme.strip_prefix("webhook+")?;
    let after_slashes = given.rest.strip_prefix("//")?;
    let url = Url::parse(&format!("{scheme}://{after_slashes}")).ok()?;
    (url.has_host() && url.fragment().is_none()).then_some(url)
}

impl Webhook {
    fn open(url: Url, secret: Secret, surroundings: &Surroundings) -> Result<Self, OpenError> {
        let client = client(&url, surroundings.send_timeout)
            .map_err(|source| OpenError { provider: NAME, source: source.without_url().into() })?;
        Ok(Self { client, url, secret, clock: Arc::clone(&surroundings.clock) })
    }

    async fn judge(&self, response: Response) -> Sent {
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| verdict::retry_after(text, self.clock.now()));
        // Any other answer is known by its status, and nobody waits for its body. (hyper itself reads off
        // what of it has come, so that the connection can be used again.)
        let answer = if status.is_success() { read(response).await } else { None };
        verdict::of_status(status.as_u16(), retry_after, answer.as_deref())
    }
}

/// How long an exchange may take, and how long its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimeOuts {
    connect: Duration,
    total: Duration,
}

impl TimeOuts {
    /// The whole exchange ends before `SEND_TIMEOUT` does, because at that moment the caller's own clock
    /// calls it unknown, whatever we know by then (a status, say, whose answer goes on and on). And
    /// connecting ends halfway, so that its time-out is certainly one before the request went out.
    fn within(send_timeout: Duration) -> Self {
        let total = send_timeout.saturating_sub(send_timeout / 20);
        Self { connect: total / 2, total }
    }
}

fn client(url: &Url, send_timeout: Duration) -> reqwest::Result<Client> {
    let TimeOuts { connect, total } = TimeOuts::within(send_timeout);
    let builder = Client::builder()
        .user_agent(concat!("notifications/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .timeout(total)
        .connect_timeout(connect)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        // The environment is the settings' home, and a proxy is not among them.
        .no_proxy()
        .referer(false)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MOST_IDLE);
    match url.scheme() {
        // No TLS, no certificates to look for: a machine without any can still use plain HTTP.
        "http" => builder.tls_certs_only([]).build(),
        _ => builder.build(),
    }
}

/// The whole answer; None if it is longer than we read or broke off.
async fn read(mut response: Response) -> Option<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if answer.len() + chunk.len() <= MOST_ANSWER_BYTES => answer.extend_from_slice(&chunk),
            Ok(None) => return Some(answer),
            Ok(Some(_)) | Err(_) => return None,
        }
    }
}

#[async_trait]
impl Provider for Webhook {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs_recipient(&self) -> bool {
        false
    }

    fn drops_repeats(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message) -> Sent {
        let id = message.id.to_string();
        let timestamp = message.at.as_secs();
        let body = request::body(message);
        let signature = self.secret.sign(&id, timestamp, body.as_bytes());
        // reqwest makes the URL's user and password a Basic `authorization`, and marks it as sensitive.
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature);
        if let Some(parent) = message.traceparent.as_deref().and_then(|parent| HeaderValue::from_str(parent).ok()) {
            request = request.header("traceparent", parent);
        }
        match request.body(body).send().await {
            Ok(response) => self.judge(response).await,
            Err(error) => verdict::of_error(&error),
        }
    }
}

/// Its URL may hold credentials in every part.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_exchange_ends_before_its_caller_gives_up_and_connecting_before_that(millis in 100..600_000_u64) {
            let send_timeout = Duration::from_millis(millis);
            let TimeOuts { connect, total } = TimeOuts::within(send_timeout);
            prop_assert!(total < send_timeout && total >= send_timeout.mul_f64(0.94));
            prop_assert!(connect < total && connect >= total.mul_f64(0.49));
        }
    }
}
