//! `traceparent` (W3C Trace Context, level 1): kept if it is valid, dropped without a word if not, as the
//! recommendation asks.

use http::{HeaderMap, HeaderValue};

use crate::traces::Context;

const HEADER: &str = "traceparent";

pub(in crate::http) fn parent(headers: &HeaderMap) -> Option<Context> {
    let mut sent = headers.get_all(HEADER).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else { return None };
    Context::parse(value.to_str().ok()?)
}

/// From here on this is the parent, for the handler and whatever is stored.
pub(in crate::http) fn set_parent(headers: &mut HeaderMap, context: Context) {
    if let Ok(value) = HeaderValue::try_from(context.to_string()) {
        headers.insert(HEADER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        parent(&headers).map(|context| context.to_string())
    }

    #[test]
    fn a_valid_parent_is_kept_and_any_other_dropped() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(parse(&[good]).as_deref(), Some(good));
        assert_eq!(parse(&["cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"]).as_deref(), Some(good));
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        ] {
            assert_eq!(parse(&[bad]), None, "{bad}");
        }
        assert_eq!(parse(&[good, good]), None);
    }
}
