//! Reads a JSON body: its media type first, then at most 128 KiB, never more of it in memory, within a
//! time that a slow client can't stretch.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::Problem;

pub const MOST_BYTES: usize = 128 * 1024;

/// A client that sends a byte now and then must not hold a shutdown up.
const TIME: Duration = Duration::from_secs(10);

pub async fn read_json(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if !is_json(headers) {
        return Err(Problem::UnsupportedMediaType);
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MOST_BYTES) {
        return Err(Problem::BodyTooLarge);
    }
    read_within(TIME, body).await
}

async fn read_within(time: Duration, body: Body) -> Result<Bytes, Problem> {
    tokio::time::timeout(time, read(body)).await.unwrap_or(Err(Problem::RequestTimeout))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        // The body broke off: whoever still listens sent half of it.
        let chunk = chunk.map_err(|_broken| Problem::MalformedJson)?;
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(Problem::BodyTooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// `application/json` in any letter case and with any parameters (RFC 8259 knows none), given once.
fn is_json(headers: &HeaderMap) -> bool {
    let mut sent = headers.get_all(CONTENT_TYPE).iter();
    let (Some(first), None) = (sent.next(), sent.next()) else { return false };
    let essence = first.to_str().unwrap_or("").split(';').next().unwrap_or("");
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn typed(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))])
    }

    #[tokio::test]
    async fn json_is_json_in_any_case_and_with_any_parameters() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/json ;x=\"y\""] {
            assert_eq!(read_json(&typed(good), Body::from("{}")).await, Ok(Bytes::from("{}")), "{good}");
        }
        for bad in ["text/plain", "application/jsonx", "application/problem+json", "", "application/json, text/plain"] {
            assert_eq!(read_json(&typed(bad), Body::from("{}")).await, Err(Problem::UnsupportedMediaType), "{bad}");
        }
        assert_eq!(read_json(&HeaderMap::new(), Body::from("{}")).await, Err(Problem::UnsupportedMediaType));
    }

    #[tokio::test]
    async fn a_body_may_have_128_kib_and_not_a_byte_more() {
        let headers = typed("application/json");
        let body = |n: usize| Body::from(vec![b' '; n]);
        assert_eq!(read_json(&headers, body(131_072)).await.map(|b| b.len()), Ok(131_072));
        assert_eq!(read_json(&headers, body(131_073)).await, Err(Problem::BodyTooLarge));
    }

    #[tokio::test]
    async fn an_endless_body_is_not_read_to_its_end() {
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1024])));
        let read = read_json(&typed("application/json"), Body::from_stream(endless)).await;
        assert_eq!(read, Err(Problem::BodyTooLarge));
    }

    #[tokio::test]
    async fn a_body_that_is_announced_as_too_large_is_not_read_at_all() {
        let mut headers = typed("application/json");
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("131073"));
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read_json(&headers, never).await, Err(Problem::BodyTooLarge));
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read_within(Duration::ZERO, never).await, Err(Problem::RequestTimeout));
    }
}
