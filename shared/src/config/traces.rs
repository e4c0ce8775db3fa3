//! Where spans are exported, and which: OpenTelemetry's own variables, as its specification has them
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>), and no more of them than are named in the table.

use super::fault::Problem;
use super::reader::{Read, Reader};
use super::table::{
    Command, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_SERVICE_NAME,
    OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, Setting,
};
use super::values::{self, Secret};
use crate::traces::{Sampler, TraceSettings};

/// None: there are no traces. The others are looked at all the same: all faults at once.
pub(super) fn traces(reader: &mut Reader<'_>, command: Command) -> Read<Option<TraceSettings>> {
    let general = url(reader, &OTEL_EXPORTER_OTLP_ENDPOINT);
    let own = url(reader, &OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
    let headers = reader.secret(&OTEL_EXPORTER_OTLP_HEADERS).and_then(|text| match text.map(|text| headers(text.expose())) {
        None => Ok(Vec::new()),
        Some(Some(headers)) => Ok(headers),
        Some(None) => Err(reader.report(&OTEL_EXPORTER_OTLP_HEADERS, Problem::NotAllowedSecret)),
    });
    let service_name = reader.optional(&OTEL_SERVICE_NAME, values::visible);
    let sampler = sampler(reader);
    let (general, own, headers, service_name, sampler) = (general?, own?, headers?, service_name?, sampler?);
    let general = general.map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
    Ok(own.or(general).map(|endpoint| {
        let service_name = service_name.unwrap_or_else(|| format!("notification-{}", command.as_str()));
        TraceSettings { endpoint, headers, service_name, sampler }
    }))
}

/// As it is written, if it is one that a client takes. What is refused for a user, a query or a fragment in it may
/// hold a secret.
fn url(reader: &mut Reader<'_>, setting: &Setting) -> Read<Option<String>> {
    let Some(text) = reader.optional(setting, |text| Some(text.to_owned()))? else { return Ok(None) };
    let parsed = values::endpoint(&text).and_then(|endpoint| url::Url::parse(endpoint.as_str()).ok());
    match parsed.filter(url::Url::has_host) {
        Some(_) => Ok(Some(text)),
        None if text.contains(['@', '?', '#']) => Err(reader.report(setting, Problem::NotAllowedSecret)),
        None => reader.optional(setting, |_refused| None),
    }
}

fn sampler(reader: &mut Reader<'_>) -> Read<Sampler> {
    let share = reader.value(&OTEL_TRACES_SAMPLER_ARG, |text| text.parse().ok().filter(|share| (0.0..=1.0).contains(share)));
    let word = reader.value(&OTEL_TRACES_SAMPLER, |text| {
        let (follows_parent, own) = match text.strip_prefix("parentbased_") {
            Some(own) => (true, own),
            None => (false, text),
        };
        let share = match own {
            "always_on" => Some(1.0),
            "always_off" => Some(0.0),
            "traceidratio" => None,
            _ => return None,
        };
        Some((follows_parent, share))
    });
    let (share, (follows_parent, said)) = (share?, word?);
    Ok(Sampler { follows_parent, share: said.unwrap_or(share) })
}

/// As W3C Baggage writes a list, without its properties: `name=value,name=value`, with values percent-encoded.
fn headers(text: &str) -> Option<Vec<(String, Secret)>> {
    text.split(',').map(header).collect()
}

fn header(member: &str) -> Option<(String, Secret)> {
    let (name, value) = member.split_once('=')?;
    let (name, value) = (name.trim(), decoded(value.trim())?);
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_value = |b: u8| b.is_ascii_graphic() || matches!(b, b' ' | b'\t');
    let fits = !name.is_empty() && name.bytes().all(is_token) && value.bytes().all(is_value);
    fits.then(|| (name.to_owned(), Secret::new(value)))
}

fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        let code = code.bytes().all(|b| b.is_ascii_hexdigit()).then_some(code)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::environment::fixed::Fixed;
    use crate::config::{CreateSettings, Faults};

    fn read(over: &[(&'static str, &'static str)]) -> Result<Option<TraceSettings>, Faults> {
        let mut environment = Fixed::new([("EMAIL_PROVIDER", "dev:")]);
        environment.variables.extend(over.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned()))));
        CreateSettings::read(&environment).map(|settings| settings.traces)
    }

    fn endpoint(over: &[(&'static str, &'static str)]) -> Option<String> {
        read(over).unwrap().map(|settings| settings.endpoint)
    }

    proptest! {
        #[test]
        fn no_text_makes_the_list_of_headers_panic(text in "\\PC{0,20}|([a-z]{1,3}=(%[0-9a-fA-F]{0,2}|é|[a-z ]){0,4},?){0,3}") {
            for (name, value) in headers(&text).into_iter().flatten() {
                prop_assert!(!name.is_empty() && text.contains(&name) && value.expose().is_ascii());
            }
        }
    }

    #[test]
    fn the_path_is_appended_to_the_general_endpoint_and_to_no_other() {
        assert_eq!(endpoint(&[]), None);
        for general in ["http://c:4318", "http://c:4318/"] {
            assert_eq!(endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", general)]).as_deref(), Some("http://c:4318/v1/traces"));
        }
        let both = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/own/")];
        assert_eq!(endpoint(&both).as_deref(), Some("https://t/own/"));
        assert_eq!(endpoint(&both[1..]).as_deref(), Some("https://t/own/"));
    }

    #[test]
    fn a_url_that_is_refused_for_what_may_be_a_secret_is_not_shown() {
        for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
            for url in ["https://canary:canary@c", "https://c/v1/traces?key=canary", "c/canary?canary", "https://c/#canary"] {
                let told = read(&[(name, url)]).unwrap_err().to_string();
                assert!(told.contains(name) && !told.contains("canary"), "{told}");
            }
        }
    }

    #[test]
    fn every_fault_is_told_and_no_header_is_shown() {
        let faults = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:99999"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "canary"),
            ("OTEL_SERVICE_NAME", "a name"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ]);
        let faults = faults.unwrap_err();
        let named: Vec<&str> = faults.0.iter().map(|fault| fault.name.as_str()).collect();
        let mut wanted: Vec<&str> =
            crate::config::table::ALL.iter().map(|one| one.name).filter(|name| name.starts_with("OTEL_")).collect();
        wanted.sort_by_key(|name| named.iter().position(|other| other == name));
        assert_eq!(named, wanted);
        assert!(!faults.to_string().contains("canary"), "{faults}");
    }

    #[test]
    fn headers_are_a_list_with_percent_encoded_values() {
        let read =
            |text| headers(text).map(|all| all.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect());
        let of = |all: &[(&str, &str)]| Some(all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>());
        assert_eq!(read("authorization=Bearer%20a=b"), of(&[("authorization", "Bearer a=b")]));
        assert_eq!(read(" a = 1 , x-b=%2C"), of(&[("a", "1"), ("x-b", ",")]));
        for refused in ["", "a", "a=1,", "=1", "a b=1", "a=%", "a=%2", "a=%zz", "a=%0A", "a=%FF", "a=é"] {
            assert_eq!(read(refused), None, "{refused:?}");
        }
        let settings =
            super::tests::read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=canary")]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((settings.headers.len(), settings.service_name.as_str()), (1, "notification-create"));
        assert!(!format!("{settings:?}").contains("canary"));
    }

    #[test]
    fn samplers_have_their_names_from_the_specification() {
        for (word, follows_parent, share) in [
            ("always_on", false, 1.0),
            ("always_off", false, 0.0),
            ("traceidratio", false, 0.25),
            ("parentbased_always_on", true, 1.0),
            ("parentbased_always_off", true, 0.0),
            ("parentbased_traceidratio", true, 0.25),
        ] {
            let all =
                [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_TRACES_SAMPLER", word), ("OTEL_TRACES_SAMPLER_ARG", "0.25")];
            assert_eq!(read(&all).unwrap().unwrap().sampler, Sampler { follows_parent, share }, "{word}");
        }
    }
}
