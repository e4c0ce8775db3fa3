//! Who asks is found out here, once for each request, before anything of it is read: [`admit`] is a layer of
//! the front. How it is found out is the process's own affair ([`Access`]): the server asks for API keys, a
//! function believes the authorizer of its API ([`super::gateway`]), and where nobody is asked, it is
//! [`Anybody`].

use std::fmt::Debug;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Problem, routes};
use crate::access::Caller;

pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

pub trait Access: Send + Sync + Debug {
    /// Asked for every request but those that are open to all.
    fn caller(&self, request: &Request) -> Result<Caller, Problem>;

    /// Whether this one comes from no caller at all: it is answered 204, and nobody is asked.
    fn is_preflight(&self, _request: &Request) -> bool {
        false
    }
}

/// Nobody has to prove who they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anybody;

impl Access for Anybody {
    fn caller(&self, _request: &Request) -> Result<Caller, Problem> {
        Ok(Caller::default())
    }
}

/// Why a request came with no key that opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Missing,
    /// Two keys that differ: whoever sent them doesn't know which one counts, and we don't choose.
    Contradictory,
    Unknown,
}

/// The layer: handlers find a [`Caller`] among the request's extensions.
pub(super) async fn admit(State(access): State<Arc<dyn Access>>, mut request: Request, next: Next) -> Result<Response, Problem> {
    if access.is_preflight(&request) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let open = routes::OPEN.contains(&request.uri().path());
    let caller = if open { Caller::default() } else { access.caller(&request)? };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The key that a request bears: `Authorization: Bearer …` (RFC 6750) or `X-Api-Key: …`. Said more than once
/// it has to be the same each time. An `Authorization` of another scheme says nothing about keys.
pub fn presented(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| token(value.as_bytes()));
    let mut keys = bearer.chain(headers.get_all(API_KEY).iter().map(HeaderValue::as_bytes));
    let first = keys.next().ok_or(Refusal::Missing)?;
    if keys.all(|other| other == first) { Ok(first) } else { Err(Refusal::Contradictory) }
}

fn token(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(sent: &[(HeaderName, &'static str)]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, HeaderValue::from_static(value));
        }
        presented(&headers).map(|key| String::from_utf8(key.to_vec()).unwrap())
    }

    #[test]
    fn a_key_comes_in_either_header() {
        assert_eq!(key(&[(AUTHORIZATION, "Bearer a")]), Ok("a".to_owned()));
        assert_eq!(key(&[(AUTHORIZATION, "bEARER  a ")]), Ok("a".to_owned()));
        assert_eq!(key(&[(API_KEY, "a")]), Ok("a".to_owned()));
        assert_eq!(key(&[(API_KEY, "a"), (AUTHORIZATION, "Bearer a")]), Ok("a".to_owned()));
        assert_eq!(key(&[(AUTHORIZATION, "Basic b"), (API_KEY, "a")]), Ok("a".to_owned()));
    }

    #[test]
    fn no_key_is_told_from_two_different_ones() {
        assert_eq!(key(&[]), Err(Refusal::Missing));
        for other in ["Basic YTpi", "a", "Bearer", "Bearera", ""] {
            assert_eq!(key(&[(AUTHORIZATION, other)]), Err(Refusal::Missing), "{other}");
        }
        assert_eq!(key(&[(AUTHORIZATION, "Bearer a"), (API_KEY, "b")]), Err(Refusal::Contradictory));
        assert_eq!(key(&[(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer b")]), Err(Refusal::Contradictory));
        assert_eq!(key(&[(API_KEY, "a"), (API_KEY, "")]), Err(Refusal::Contradictory));
    }
}
