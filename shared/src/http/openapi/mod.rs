//! The OpenAPI 3.1 document: made from the route table, the views that the handlers serialise, the fields
//! that the parser knows, and the kinds of problems. `get` serves it; it needs no code of `create`'s.

mod answers;
mod operations;
mod request;
pub(super) mod schema;
mod security;

use utoipa::openapi::info::LicenseBuilder;
use utoipa::openapi::path::{HttpMethod, PathItemBuilder, PathsBuilder};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};

use super::explanation::{ExplanationView, FactsView, LastAttemptView, NextView};
use super::problem::ProblemView;
use super::response::{
    AttemptView, CheckView, ChecksView, HealthView, ListedView, NotificationView, PageView, ProviderCheckView, ReadinessView,
};
use super::{Fault, routes};

const ABOUT: &str = "Takes notifications and brings them to their providers. The API only grows: a new field, status, code or outcome may come \
at any time, and clients accept unknown ones. Every answer carries x-request-id: the caller's, if it is 1 to 128 of \
`A-Z a-z 0-9 . _ -`, else a fresh one. Every error is application/problem+json (RFC 9457). \
Who may ask is the deployment's to say: by API keys, by tokens, by signatures of AWS, or anybody. A caller meets the notifications of \
its own tenant and no others. Health and this document are open to all.";

#[must_use]
pub fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut templates: Vec<&str> = Vec::new();
    for template in routes::ROUTES.iter().map(|route| route.template) {
        if templates.contains(&template) {
            continue;
        }
        templates.push(template);
        let mut item = PathItemBuilder::new();
        for route in routes::ROUTES.iter().filter(|route| route.template == template) {
            let method = if route.method == "POST" { HttpMethod::Post } else { HttpMethod::Get };
            if let Some(operation) = operations::operation(template, route.method) {
                item = item.operation(method, operation);
            }
        }
        paths = paths.path(template, item.build());
    }
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Notifications")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(license))
                .build(),
        )
        .paths(paths.build())
        .components(Some(
            // Each by its name: none brings along what it refers to. A test follows the references.
            security::schemes(ComponentsBuilder::new())
                .schema_from::<request::CreateRequest>()
                .schema_from::<NotificationView>()
                .schema_from::<ListedView>()
                .schema_from::<AttemptView>()
                .schema_from::<PageView>()
                .schema_from::<ExplanationView>()
                .schema_from::<FactsView>()
                .schema_from::<LastAttemptView>()
                .schema_from::<NextView>()
                .schema_from::<HealthView>()
                .schema_from::<ReadinessView>()
                .schema_from::<ChecksView>()
                .schema_from::<CheckView>()
                .schema_from::<ProviderCheckView>()
                .schema_from::<ProblemView>()
                .schema_from::<Fault>()
                .build(),
        ))
        .build()
}

/// The document as it is served.
#[must_use]
pub fn json() -> String {
    // A document of maps and strings always serialises; a test holds it against its own text.
    serde_json::to_string(&document()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
