use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::domain::{Channel, IdempotencyKey, Template};
use crate::http::request::Field;

fn served() -> Value {
    serde_json::from_str(&json()).unwrap()
}

#[test]
fn the_document_has_exactly_the_routes_of_the_table() {
    let document = served();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["operationId"].is_string() && operation["responses"]["500"].is_object(), "{method} {path}");
            described.insert((path.clone(), method.to_uppercase()));
        }
    }
    let table = routes::ROUTES.iter().map(|route| (route.template.to_owned(), route.method.to_owned())).collect();
    assert_eq!(described, table);
}

#[test]
fn whatever_is_not_open_says_how_to_ask_and_what_follows_else() {
    let document = served();
    let schemes: BTreeSet<&String> = document["components"]["securitySchemes"].as_object().unwrap().keys().collect();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let open = routes::OPEN.contains(&path.as_str());
            let ways = operation["security"].as_array().map_or(&[][..], Vec::as_slice);
            // The last way is none, where the deployment asks nobody.
            let named: BTreeSet<&String> = ways.iter().flat_map(|way| way.as_object().unwrap().keys()).collect();
            assert_eq!(ways.last(), (!open).then_some(&Value::Object(serde_json::Map::new())), "{method} {path}");
            assert_eq!(named, if open { BTreeSet::new() } else { schemes.clone() }, "{method} {path}");
            for status in ["401", "403"] {
                assert_eq!(operation["responses"][status].is_object(), !open, "{method} {path} {status}");
            }
        }
    }
    let unauthorized = &document["paths"][routes::NOTIFICATIONS]["post"]["responses"]["401"];
    assert!(unauthorized["headers"]["WWW-Authenticate"].is_object(), "{unauthorized}");
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value, seen: &mut usize) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to}");
                    *seen += 1;
                }
                members.values().for_each(|member| walk(member, document, seen));
            }
            Value::Array(elements) => elements.iter().for_each(|element| walk(element, document, seen)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = served();
    let mut seen = 0;
    walk(&document, &document, &mut seen);
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_request_has_exactly_the_fields_that_the_parser_knows() {
    let document = served();
    let properties = document["components"]["schemas"]["CreateRequest"]["allOf"][0]["properties"].as_object().unwrap();
    let described: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
    let known = Field::ALL.iter().map(|field| field.name()).chain([Field::ALIAS]).collect();
    assert_eq!(described, known);
}

#[test]
fn a_value_that_may_be_absent_from_an_answer_is_never_null() {
    let document = served();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas.iter().filter(|(name, _)| *name != "CreateRequest") {
        let properties = schema.get("properties").or_else(|| schema["allOf"][1].get("properties"));
        for (property, schema) in properties.unwrap_or_else(|| panic!("{name}")).as_object().unwrap() {
            let kinds = schema.get("type").map(Value::to_string).unwrap_or_default();
            let choices = schema.get("oneOf").map(Value::to_string).unwrap_or_default();
            assert!(!kinds.contains("null") && !choices.contains("\"null\""), "{name}.{property}: {schema}");
        }
    }
}

/// A pattern without its anchors, for a generator.
fn body_of(pattern: &str) -> String {
    pattern.trim_start_matches('^').trim_end_matches('$').to_owned()
}

fn channel_pattern() -> String {
    let object = schema::channel_asked(None).build();
    body_of(&object.pattern.unwrap())
}

proptest! {
    #[test]
    fn what_fits_the_published_patterns_is_taken(
        template in proptest::string::string_regex(&body_of(schema::TEMPLATE)).unwrap(),
        key in proptest::string::string_regex(&body_of(schema::KEY)).unwrap(),
        channel in proptest::string::string_regex(&channel_pattern()).unwrap(),
    ) {
        prop_assert!(template.len() > 100 || Template::parse(&template).is_ok(), "{}", template);
        prop_assert!(IdempotencyKey::parse(&key).is_ok());
        prop_assert!(Channel::parse(&channel).is_ok());
    }

    #[test]
    fn a_key_that_fits_the_headers_pattern_is_taken(header in proptest::string::string_regex(&body_of(schema::KEY_HEADER)).unwrap()) {
        let headers = http::HeaderMap::from_iter([(http::HeaderName::from_static("idempotency-key"), header.parse().unwrap())]);
        let body = r#"{"userId":"u","channel":"email","template":"t"}"#;
        prop_assert!(crate::http::request::tests::takes(body, &headers), "{}", header);
    }
}
