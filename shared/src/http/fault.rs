//! One thing that is wrong with a request, and where: a place in the body as a JSON pointer, a parameter
//! of the path or the query, or a header.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

/// What may not stand in a URI's fragment as it is (RFC 3986, 3.5); everything beyond ASCII is escaped too.
const FRAGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// One fault of the request: `detail`, and one of `pointer`, `parameter` and `header`.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where in the body: a JSON pointer in a URI fragment's form (RFC 6901, section 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "#/userId")]
    pointer: Option<String>,
    /// Which parameter of the path or the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// Which header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    header: Option<String>,
    /// What is wrong with it. The value itself is never repeated.
    #[schema(example = "is required")]
    detail: String,
}

impl Fault {
    /// `segments` lead from the body's root to the place; none of them stand for the body itself.
    pub fn at(segments: &[&str], detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer(segments)), parameter: None, header: None, detail: detail.into() }
    }

    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: Some(name.to_owned()), header: None, detail: detail.into() }
    }

    pub fn header(name: &str, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: None, header: Some(name.to_owned()), detail: detail.into() }
    }
}

/// The place may hold names that a client chose: a debug print shows what is wrong and not where.
impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fault({})", self.detail)
    }
}

fn pointer(segments: &[&str]) -> String {
    let mut out = "#".to_owned();
    for segment in segments {
        out.push('/');
        // RFC 6901, section 3: `~` first, so that the `~1` of a slash is not escaped again.
        let escaped = segment.replace('~', "~0").replace('/', "~1");
        out.extend(utf8_percent_encode(&escaped, FRAGMENT));
    }
    out
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    /// The examples of RFC 6901, section 6.
    #[test]
    fn a_pointer_is_written_as_the_rfc_writes_it() {
        let cases = [
            (vec!["foo"], "#/foo"),
            (vec![""], "#/"),
            (vec!["a/b"], "#/a~1b"),
            (vec!["c%d"], "#/c%25d"),
            (vec!["e^f"], "#/e%5Ef"),
            (vec!["g|h"], "#/g%7Ch"),
            (vec!["i\\j"], "#/i%5Cj"),
            (vec!["k\"l"], "#/k%22l"),
            (vec![" "], "#/%20"),
            (vec!["m~n"], "#/m~0n"),
            (vec![], "#"),
            (vec!["metadata", "größe"], "#/metadata/gr%C3%B6%C3%9Fe"),
        ];
        for (segments, written) in cases {
            assert_eq!(pointer(&segments), written);
        }
    }

    proptest! {
        #[test]
        fn a_pointer_reads_back_to_its_segments(segments in prop::collection::vec(".{0,6}", 0..4)) {
            let borrowed: Vec<&str> = segments.iter().map(String::as_str).collect();
            let decoded = percent_decode_str(&pointer(&borrowed)).decode_utf8().unwrap().into_owned();
            let read: Vec<String> =
                decoded.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
            prop_assert_eq!(read, segments);
        }
    }
}
