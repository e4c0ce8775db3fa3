//! How a setting's text becomes a value. Each function answers None for what it does not take: the
//! reader then tells the operator what would do, from the setting's own rule.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A value that no debug print and no log line may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The value itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// The units of a time, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// `250ms`, `5s`, `15m`, `1h`, `90d`: a whole number and its unit, nothing between.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(digits_end)?;
    let number: u64 = digits.parse().ok()?;
    let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(millis).map(Duration::from_millis)
}

/// A time as it would be set, in the longest unit that needs no fraction.
pub(super) fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let unit = UNITS.into_iter().find(|(_, size)| millis.is_multiple_of(u128::from(*size)));
    unit.map_or_else(|| format!("{millis}ms"), |(name, size)| format!("{}{name}", millis / u128::from(size)))
}

/// Digits only: `u32`'s own parser would take a leading plus.
pub(super) fn count(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// DynamoDB's rule for the name of a table.
pub(super) fn table_name(text: &str) -> Option<String> {
    ((3..=255).contains(&text.len()) && text.bytes().all(is_name)).then(|| text.to_owned())
}

/// Kafka's rule for the name of a topic.
pub(super) fn topic(text: &str) -> Option<String> {
    let fits = (1..=249).contains(&text.len()) && text.bytes().all(is_name) && text != "." && text != "..";
    fits.then(|| text.to_owned())
}

/// Kafka takes any text; what can't be seen in a log line is refused here.
pub(super) fn group_id(text: &str) -> Option<String> {
    visible(text)
}

/// What can be seen, and has an end.
pub(super) fn visible(text: &str) -> Option<String> {
    ((1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.to_owned())
}

/// `host:port[,host:port…]`, an IPv6 address in brackets.
pub(super) fn bootstrap_servers(text: &str) -> Option<String> {
    text.split(',').all(is_host_and_port).then(|| text.to_owned())
}

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>, and what `PutMetricData` says of a namespace.
pub(super) fn metrics_namespace(text: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/' | b'#' | b':');
    let fits =
        (1..=255).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with("AWS/") && !text.starts_with(':');
    fits.then(|| text.to_owned())
}

pub(super) fn listen_addr(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

/// The address of a service that speaks HTTP, without the slash that a path would bring.
pub(super) fn endpoint(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let host_end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(host_end)?;
    let clean = !host.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()) && !rest.contains(['?', '#', '@']);
    let kept = path.trim_end_matches('/');
    clean.then(|| text.strip_suffix(path).map(|before| format!("{before}{kept}"))).flatten()
}

const fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_fits = bracketed
        .map_or_else(|| !host.is_empty() && host.bytes().all(is_name), |address| address.parse::<std::net::Ipv6Addr>().is_ok());
    host_fits && count(port).is_some_and(|port| (1..=65_535).contains(&port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_written_time_reads_back_as_itself(millis in prop_oneof![any::<u64>(), 0..10_000_000_u64]) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(duration(&written(time)), Some(time));
        }

        #[test]
        fn a_time_is_its_number_times_its_unit_or_refused(number in any::<u64>(), unit in 0..UNITS.len()) {
            let (name, size) = UNITS[unit];
            let expected = number.checked_mul(size).map(Duration::from_millis);
            prop_assert_eq!(duration(&format!("{number}{name}")), expected);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,20}|[0-9]{0,25}[a-z]{0,3}|.{0,9}:[0-9]{0,6}|https?://.{0,9}") {
            let numbers = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
            let digits = !numbers.is_empty() && numbers.bytes().all(|b| b.is_ascii_digit());
            prop_assert!(duration(&text).is_none() || digits);
            prop_assert!(count(&text).is_none_or(|n| text.trim_start_matches('0') == n.to_string().trim_start_matches('0')));
            for kept in [table_name(&text), topic(&text), group_id(&text), bootstrap_servers(&text)].into_iter().flatten() {
                prop_assert_eq!(&kept, &text);
            }
            prop_assert!(endpoint(&text).is_none_or(|kept| text.starts_with(&kept)));
        }
    }

    #[test]
    fn a_time_needs_a_whole_number_and_a_known_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("90d"), Some(Duration::from_secs(90 * 24 * 3600)));
        for refused in
            ["", "5", "s", "5 s", " 5s", "5S", "1.5s", "-5s", "+5s", "5sec", "5s ", "1h30m", "٥s", "99999999999999999999s"]
        {
            assert_eq!(duration(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn brokers_are_hosts_with_ports() {
        for taken in ["localhost:9092", "b-1.example:9094,b-2.example:9094", "[::1]:9092", "kafka_1:1", "10.0.0.1:65535"] {
            assert!(bootstrap_servers(taken).is_some(), "{taken}");
        }
        for refused in [
            "localhost",
            "localhost:",
            ":9092",
            "a:0",
            "a:65536",
            "a:+1",
            "a:1,",
            ",a:1",
            "a:1, b:1",
            "::1:9092",
            "SSL://a:1",
            "[a]:1",
        ] {
            assert!(bootstrap_servers(refused).is_none(), "{refused}");
        }
    }

    #[test]
    fn tables_and_topics_are_named_by_their_owners_rules() {
        assert!(table_name("abc").is_some() && table_name(&"a".repeat(255)).is_some() && table_name("My_table-1.x").is_some());
        assert!(table_name("ab").is_none() && table_name(&"a".repeat(256)).is_none() && table_name("täble").is_none());
        assert!(topic("t").is_some() && topic(&"a".repeat(249)).is_some());
        assert!(topic(&"a".repeat(250)).is_none() && topic(".").is_none() && topic("..").is_none() && topic("a b").is_none());
    }

    #[test]
    fn an_endpoint_is_a_url_without_a_trailing_slash() {
        assert_eq!(endpoint("http://127.0.0.1:9000/").as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(endpoint("https://gateway.example/lambda").as_deref(), Some("https://gateway.example/lambda"));
        for refused in ["127.0.0.1:9000", "http://", "http:///x", "ftp://a", "http://a b", "http://u:p@a", "http://a/?x"] {
            assert!(endpoint(refused).is_none(), "{refused}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert!(!format!("{:?}", Secret::new("canary".to_owned())).contains("canary"));
    }
}
