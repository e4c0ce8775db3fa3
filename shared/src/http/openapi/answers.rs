//! Answers in the document: what succeeds, and every problem, grouped by status.

use serde_json::json;
use utoipa::openapi::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::link::Link;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Ref, Type};

use super::schema;
use crate::http::Kind;
use crate::http::problem::MEDIA_TYPE;

pub(super) const SENT_EXAMPLE: &str = r##"{
    "id": "0198f2f4-5c1e-7cc3-98c4-dc0c0c07398f", "userId": "user-17", "channel": "email", "template": "account/welcome",
    "to": {"email": "a@example.com"}, "status": "Sent", "createdAt": "2030-01-31T08:00:00.000Z",
    "updatedAt": "2030-01-31T08:00:00.140Z", "sentAt": "2030-01-31T08:00:00.140Z", "finishedAt": "2030-01-31T08:00:00.140Z",
    "retryCount": 0, "provider": "webhook", "providerMessageId": "m-1", "data": {"name": "Ada", "total": 1.10},
    "attempts": [{"number": 1, "startedAt": "2030-01-31T08:00:00.020Z", "finishedAt": "2030-01-31T08:00:00.140Z",
        "channel": "email", "provider": "webhook", "outcome": "accepted"}]
}"##;

/// A success with a JSON body of the named schema.
pub(super) fn success(description: &str, schema_name: &str) -> ResponseBuilder {
    let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema_name)));
    if schema_name == "Notification" {
        content = content.example(serde_json::from_str(SENT_EXAMPLE).ok());
    }
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content.build())
        .header("x-request-id", request_id())
        .header("Cache-Control", not_stored())
}

/// As [`success`], for an answer that says where the notification is, and what can be done with it next.
pub(super) fn created(description: &str) -> ResponseBuilder {
    let location = HeaderBuilder::new().schema(Some(schema::string())).description(Some("The path of the notification.")).build();
    let mut response = success(description, "Notification").header("Location", location);
    for operation in ["getNotification", "explainNotification", "cancelNotification", "retryNotification"] {
        let link = Link::builder().operation_id(operation).parameter("id", "$response.body#/id").build();
        response = response.link(operation, link);
    }
    response
}

/// Adds every problem, one response for each status.
pub(super) fn problems(mut operation: OperationBuilder, kinds: &[Kind]) -> OperationBuilder {
    let mut statuses: Vec<u16> = kinds.iter().map(|kind| kind.status().as_u16()).collect();
    statuses.dedup();
    for status in statuses {
        let here: Vec<Kind> = kinds.iter().copied().filter(|kind| kind.status().as_u16() == status).collect();
        operation = operation.response(status.to_string(), problem(&here).build());
    }
    operation
}

fn problem(kinds: &[Kind]) -> ResponseBuilder {
    let description: Vec<String> = kinds.iter().map(|kind| format!("`{}`: {}.", kind.slug(), kind.title())).collect();
    let examples = kinds.iter().map(|kind| {
        let value = json!({
            "type": kind.type_uri(), "title": kind.title(), "status": kind.status().as_u16(), "detail": kind.title(),
            "instance": "/api/notifications", "code": kind.slug(), "requestId": "0198f2f4-5c1e-4cc3-98c4-dc0c0c07398f",
        });
        (kind.slug(), ExampleBuilder::new().value(Some(value)).build())
    });
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).examples_from_iter(examples).build();
    let mut response = ResponseBuilder::new()
        .description(description.join(" "))
        .content(MEDIA_TYPE, content)
        .header("x-request-id", request_id())
        .header("Cache-Control", not_stored());
    if kinds.contains(&Kind::Overloaded) || kinds.contains(&Kind::StoreUnavailable) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let retry_after = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds. It promises nothing.")).build();
        response = response.header("Retry-After", retry_after);
    }
    if kinds.contains(&Kind::Unauthorized) {
        let challenge =
            HeaderBuilder::new().schema(Some(schema::string())).description(Some("`Bearer`, as RFC 6750 has it.")).build();
        response = response.header("WWW-Authenticate", challenge);
    }
    if kinds.contains(&Kind::MethodNotAllowed) {
        let allow = HeaderBuilder::new().schema(Some(schema::string())).description(Some("The methods that there are.")).build();
        response = response.header("Allow", allow);
    }
    response
}

fn request_id() -> Header {
    let id = schema::string().min_length(Some(1)).max_length(Some(128)).pattern(Some("^[A-Za-z0-9._-]+$"));
    HeaderBuilder::new().schema(Some(id)).description(Some("Names the request in our logs.")).build()
}

fn not_stored() -> Header {
    let always = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["no-store"]));
    HeaderBuilder::new().schema(Some(always)).description(Some("No cache may keep the answer.")).build()
}

pub(super) fn replayed() -> Header {
    let always = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["true"]));
    HeaderBuilder::new().schema(Some(always)).description(Some("The request was known; nothing was created.")).build()
}
