//! The tokens by which Amazon MSK knows an IAM identity: a signed request, good for a quarter of an hour.
//! librdkafka asks for one when it connects and again before it ends, in a callback that can't wait for a
//! future and may run on a thread of the runtime: so each is made on a thread of its own.

use std::ffi::CString;
use std::ptr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use aws_config::default_provider::region::DefaultRegionChain;
use aws_msk_iam_sasl_signer::generate_auth_token;
use rdkafka::ClientContext;
use rdkafka::bindings::rd_kafka_oauthbearer_set_token;
use rdkafka::client::{Client, OAuthToken};
use rdkafka::error::{IsError, RDKafkaErrorCode};
use thiserror::Error;
use tokio::runtime::Builder;

/// Credentials may have to be fetched over the network. librdkafka asks again 10 s after a failure.
const WITHIN: Duration = Duration::from_secs(5);

/// Why there is no token. None of them holds a credential.
#[derive(Debug, Error)]
pub enum Error {
    #[error("no AWS region is set (AWS_REGION)")]
    NoRegion,
    #[error("no AWS credentials could be had, or the request could not be signed")]
    NotSigned,
    #[error("AWS credentials were not to be had in time")]
    Late,
    #[error("no thread or runtime for it could be started")]
    NoThread,
    #[error("the kafka client does not take the token: {code}")]
    NotTaken { code: RDKafkaErrorCode },
}

/// For a client that asks, and asks again where there is none: the log says so.
pub fn asked_for() -> Result<OAuthToken, Error> {
    let made = of_msk();
    match &made {
        Err(error @ Error::Late) => tracing::warn!(%error, "no token for kafka: it is tried again"),
        Err(error) => tracing::error!(%error, "no token for kafka: it is tried again"),
        Ok(_) => {}
    }
    made
}

/// A token for the identity that AWS's own variables, files and roles name.
fn of_msk() -> Result<OAuthToken, Error> {
    let (tell, told) = mpsc::channel();
    let thread = thread::Builder::new().name("kafka-token".to_owned()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let made = runtime.map_err(|_io| Error::NoThread).and_then(|runtime| runtime.block_on(make()));
        // Nobody listens any more where it was too late.
        drop(tell.send(made));
    });
    // The thread is not joined: a name that is being resolved can't be cut short.
    thread.map_err(|_io| Error::NoThread).and_then(|_detached| {
        told.recv_timeout(WITHIN).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(Error::Late),
            RecvTimeoutError::Disconnected => Err(Error::NotSigned),
        })
    })
}

async fn make() -> Result<OAuthToken, Error> {
    let region = DefaultRegionChain::builder().build().region().await.ok_or(Error::NoRegion)?;
    let signed = generate_auth_token(region).await;
    let (token, lifetime_ms) = signed.map_err(|_may_quote_a_credential| Error::NotSigned)?;
    // MSK reads who we are from the token; librdkafka only wants a name that is not empty.
    Ok(OAuthToken { token, principal_name: "notifications".to_owned(), lifetime_ms })
}

/// Gives a client its token. For one whose events nobody polls, such as the administrative one, which is never asked to
/// make one and would wait for it for ever; it has to be done with its work within the token's time.
pub fn give<C: ClientContext>(client: &Client<C>) -> Result<(), Error> {
    let OAuthToken { token, principal_name, lifetime_ms } = of_msk()?;
    let text = |text: String| CString::new(text).map_err(|_has_a_nul| Error::NotSigned);
    let (token, principal) = (text(token)?, text(principal_name)?);
    #[expect(unsafe_code, reason = "the crate sets a token only where it polls the client's events")]
    // SAFETY: the client outlives the call, both texts end with NUL and are copied, and of the two lengths (extensions,
    // a place for a message) both are 0, which is where their pointers may be null.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            token.as_ptr(),
            lifetime_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
            0,
        )
    };
    if code.is_error() { Err(Error::NotTaken { code: code.into() }) } else { Ok(()) }
}
