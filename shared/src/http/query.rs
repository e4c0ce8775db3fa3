//! The query of a request: each parameter known and given once, or a fault. A typo must not be silently
//! dropped.

use percent_encoding::percent_decode_str;

use super::Fault;

/// The parameters that were given; one that is no text has no value.
pub struct Query {
    values: Vec<(&'static str, Option<String>)>,
    pub faults: Vec<Fault>,
}

impl Query {
    /// `known`: the names that the operation takes.
    #[must_use]
    pub fn parse(raw: Option<&str>, known: &[&'static str]) -> Self {
        let mut query = Self { values: Vec::new(), faults: Vec::new() };
        for pair in raw.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let sent = decode(name);
            let Some(name) = known.iter().copied().find(|known| sent.as_deref() == Some(*known)) else {
                let name = sent.unwrap_or_else(|| name.to_owned());
                query.faults.push(Fault::parameter(&name, "is not known here"));
                continue;
            };
            if query.has(name) {
                query.faults.push(Fault::parameter(name, "must be given once"));
                continue;
            }
            let value = decode(value);
            if value.is_none() {
                query.faults.push(Fault::parameter(name, "must be UTF-8"));
            }
            query.values.push((name, value));
        }
        query
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| *known == name)
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_deref())
    }
}

/// For an operation that takes no parameter at all.
pub(super) fn unknown(raw: Option<&str>) -> Vec<Fault> {
    Query::parse(raw, &[]).faults
}

/// As HTML forms and every client library write it: `+` is a space.
fn decode(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Values are a client's own.
impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Query({} values, {} faults)", self.values.len(), self.faults.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_as_forms_write_them() {
        let query = Query::parse(Some("userId=a%2Bb+c%C3%BC&&limit="), &["userId", "limit"]);
        assert_eq!((query.get("userId"), query.get("limit"), query.get("cursor")), (Some("a+b cü"), Some(""), None));
        assert!(query.faults.is_empty());
    }

    #[test]
    fn what_is_unknown_repeated_or_no_text_is_a_fault() {
        let query = Query::parse(Some("userid=a&limit=1&limit=1&userId=%ff"), &["userId", "limit"]);
        assert_eq!(
            query.faults,
            [
                Fault::parameter("userid", "is not known here"),
                Fault::parameter("limit", "must be given once"),
                Fault::parameter("userId", "must be UTF-8"),
            ]
        );
        assert_eq!((unknown(Some("x=1")).len(), unknown(None).len(), unknown(Some("")).len()), (1, 0, 0));
    }
}
