//! The operations of the document, one for each row of the route table.

use serde_json::json;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Ref, SchemaFormat, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, RefOr, Required, Schema};

use super::answers::{created, problems, replayed, success};
use super::schema;
use super::security::SCHEMES;
use crate::http::{Kind, list, routes};

/// None for a row that nobody described; a test finds that out.
pub(super) fn operation(template: &str, method: &str) -> Option<OperationBuilder> {
    let operation = match (template, method) {
        (routes::NOTIFICATIONS, "POST") => create(),
        (routes::NOTIFICATIONS, "GET") => list(),
        (routes::NOTIFICATION, "GET") => get(),
        (routes::WHY, "GET") => why(),
        (routes::CANCEL, "POST") => cancel(),
        (routes::RETRY, "POST") => retry(),
        (routes::OPENAPI, "GET") => openapi(),
        (routes::HEALTH, "GET") => health(),
        (routes::READY, "GET") => ready(),
        _ => return None,
    };
    Some(if routes::OPEN.contains(&template) { operation } else { guarded(operation) })
}

/// Each of the ways to say who asks, or none where the deployment asks nobody: one document is true of them all.
fn guarded(operation: OperationBuilder) -> OperationBuilder {
    let ways = SCHEMES.map(|scheme| SecurityRequirement::new::<_, [&str; 0], _>(scheme, [])).into_iter();
    let operation = operation.securities(Some(ways.chain([SecurityRequirement::default()])));
    problems(operation, &[Kind::Unauthorized, Kind::Forbidden])
}

fn named(id: &str, summary: &str) -> OperationBuilder {
    OperationBuilder::new().operation_id(Some(id)).summary(Some(summary))
}

fn create() -> OperationBuilder {
    let example = json!({
        "userId": "user-17", "channel": "email", "template": "account/welcome", "to": {"email": "a@example.com"},
        "data": {"name": "Ada"}, "idempotencyKey": "welcome-user-17",
    });
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("CreateRequest"))).example(Some(example)).build();
    let body = RequestBodyBuilder::new()
        .description(Some("At most 128 KiB. Unknown fields and fields given twice are refused; null means absent."))
        .content("application/json", content)
        .required(Some(Required::True))
        .build();
    let key = parameter("Idempotency-Key", ParameterIn::Header, schema::string().pattern(Some(schema::KEY_HEADER)))
        .description(Some("1 to 255 printable ASCII characters, bare or in quotes: a repeat under it creates nothing."));
    let operation = named("createNotification", "Create a notification")
        .parameter(key)
        .request_body(Some(body))
        .response(
            "200",
            created("The same request was made before under this key: the notification as it stands now.")
                .header("Idempotent-Replayed", replayed())
                .build(),
        )
        .response(
            "201",
            created("Stored, and the first attempt was made at once: the notification as that attempt left it.").build(),
        )
        .response("202", created("Stored, to be processed in the background.").build());
    problems(
        operation,
        &[
            Kind::MalformedJson,
            Kind::InvalidRequest,
            Kind::ChannelOff,
            Kind::MethodNotAllowed,
            Kind::RequestTimeout,
            Kind::BodyTooLarge,
            Kind::UnsupportedMediaType,
            Kind::IdempotencyKeyReused,
            Kind::Internal,
            Kind::Overloaded,
            Kind::StoreUnavailable,
        ],
    )
}

fn list() -> OperationBuilder {
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(list::LIMIT_MOST))
        .default(Some(list::LIMIT_DEFAULT.into()));
    let operation = named("listNotifications", "List a user's notifications, or find the one of a key")
        .description(Some(
            "Newest first, eventually consistent, without data and attempts. Either userId, with limit and cursor, or \
             idempotencyKey alone, which gives the one notification of that key or an empty list.",
        ))
        .parameter(parameter("userId", ParameterIn::Query, schema::user_id()))
        .parameter(parameter("limit", ParameterIn::Query, limit))
        .parameter(parameter("cursor", ParameterIn::Query, schema::cursor()).description(Some("nextCursor of the page before.")))
        .parameter(parameter("idempotencyKey", ParameterIn::Query, schema::string().pattern(Some(schema::KEY))))
        .response("200", success("One page.", "NotificationPage").build());
    problems(operation, &[Kind::InvalidRequest, Kind::MethodNotAllowed, Kind::Internal, Kind::Overloaded, Kind::StoreUnavailable])
}

fn get() -> OperationBuilder {
    let operation = named("getNotification", "Read a notification")
        .description(Some("Strongly consistent: a client reads its own write."))
        .parameter(id())
        .response("200", success("The notification.", "Notification").build());
    problems(operation, &ONE)
}

fn why() -> OperationBuilder {
    let operation = named("explainNotification", "Say why a notification is where it is")
        .description(Some("From its record alone, strongly consistent: what happened, what caused it, what comes next and when."))
        .parameter(id())
        .response("200", success("The explanation.", "Explanation").build());
    problems(operation, &ONE)
}

/// What every operation on one notification may answer.
const ONE: [Kind; 7] = [
    Kind::InvalidRequest,
    Kind::NotFound,
    Kind::NotificationNotFound,
    Kind::MethodNotAllowed,
    Kind::Internal,
    Kind::Overloaded,
    Kind::StoreUnavailable,
];

fn cancel() -> OperationBuilder {
    let operation = named("cancelNotification", "Cancel a notification")
        .description(Some("Works while no attempt is under way; to cancel again is a success again."))
        .parameter(id())
        .response("200", success("Cancelled: no attempt starts any more.", "Notification").build());
    problems(problems(operation, &ONE), &[Kind::NotCancellable])
}

fn retry() -> OperationBuilder {
    let operation = named("retryNotification", "Put a failed notification back to work")
        .parameter(id())
        .response("200", success("Its next attempt was made at once: the notification as that left it.", "Notification").build())
        .response("202", success("It has a new budget of attempts.", "Notification").build());
    problems(problems(operation, &ONE), &[Kind::NotRetryable])
}

fn openapi() -> OperationBuilder {
    let content = ContentBuilder::new().schema(Some(ObjectBuilder::new())).build();
    let operation = named("getOpenApi", "This document").response(
        "200",
        utoipa::openapi::ResponseBuilder::new().description("OpenAPI 3.1.").content("application/json", content).build(),
    );
    problems(operation, &[Kind::MethodNotAllowed, Kind::Internal])
}

fn health() -> OperationBuilder {
    let operation = named("getHealth", "Whether the process runs").response("200", success("It does.", "Health").build());
    problems(operation, &[Kind::MethodNotAllowed, Kind::Internal])
}

fn ready() -> OperationBuilder {
    let operation = named("getReadiness", "Whether it can do its work")
        .description(Some("Kafka away is not \"not ready\": the mode is sync then, and reason says why."))
        .response("200", success("Ready.", "Readiness").build())
        .response("503", success("The store does not answer.", "Readiness").build());
    problems(operation, &[Kind::MethodNotAllowed, Kind::Internal])
}

fn id() -> Parameter {
    let uuid = schema::string().format(Some(SchemaFormat::Custom("uuid".to_owned())));
    parameter("id", ParameterIn::Path, uuid).required(Required::True).description(Some("A UUID in its hyphenated form.")).build()
}

fn parameter(name: &str, place: ParameterIn, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(place).required(Required::False).schema(Some(schema))
}
